//! Leases permits from a shared rate limit, in tasks of their own, as a call that waits may be left unpolled or
//! dropped.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::fair_queue::FairQueue;
use super::leased_permits::{Change, LeaseDemand};
use super::shared::{Lease, LeaseReport, LeaseRequest, SharedRateLimit};
use super::window::Report;
use crate::clock::Clock;
use crate::platform::Handle;
use crate::run_until::run_until;

/// The shared limit of a client, and the names by which the limit knows the client and its organization.
#[derive(Debug)]
pub(crate) struct SharedLimit {
    limit: Arc<dyn SharedRateLimit>,
    organization: Arc<str>,
    client: Arc<str>,
}

impl SharedLimit {
    pub(crate) fn new(limit: Arc<dyn SharedRateLimit>, organization: String) -> Self {
        let client = uuid::Uuid::new_v4().simple().to_string();
        Self { limit, organization: organization.into(), client: client.into() }
    }

    /// Returns the longest time that a lease may take.
    pub(super) fn timeout(&self) -> Duration {
        self.limit.timeout()
    }

    fn request(&self, demand: &LeaseDemand) -> LeaseRequest {
        let LeaseDemand { requested_at: now, requests, submissions, spare, changes, report, submission_limit } =
            *demand;
        let left = |until: Option<Duration>| until.map(|until| until.saturating_sub(now));
        LeaseRequest {
            requests,
            submissions,
            spare,
            submission_limit,
            submissions_ended: changes.submissions_ended,
            submissions_returned: changes.submissions_returned,
            report: report.map(|report| lease_report(&report, now)),
            hold_for: left(changes.hold_until),
            hold_submissions_for: left(changes.hold_submissions_until),
            ..LeaseRequest::new(Arc::clone(&self.organization), Arc::clone(&self.client))
        }
    }
}

fn lease_report(report: &Report, now: Duration) -> LeaseReport {
    let ends = report.ends.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    LeaseReport {
        limit: report.limit,
        remaining: report.left,
        resets_in: report.resets_at.saturating_sub(now),
        window: u64::try_from(ends.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Returns the name of an organization in a shared limit, from which neither the key nor the address can be derived.
pub(crate) fn organization(base_url: &str, api_key: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["agentgate rate limit", base_url, api_key] {
        hash.update(part);
        // None of the parts has a zero byte, so that different triples are different texts.
        hash.update([0]);
    }
    format!("{:x}", base16ct::HexDisplay(&hash.finalize()))
}

/// Leases permits for the calls of a queue.
#[derive(Debug)]
pub(super) struct Leasing {
    pub(super) shared: SharedLimit,
    pub(super) queue: Arc<FairQueue>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Leasing {
    /// Reports changes to the shared limit that other clients need soon, if there are any.
    pub(super) fn report_changes(self: &Arc<Self>, now: Duration) {
        if let Some(demand) = self.queue.begin_lease(now) {
            self.begin(demand);
        }
    }

    /// Sends this request to the shared limit, and further requests as long as calls need permits.
    pub(super) fn begin(self: &Arc<Self>, demand: LeaseDemand) {
        let pending = PendingLease { leasing: Arc::clone(self), demand: Some(demand) };
        // Without a runtime, the lease has failed.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(pending.run());
        }
    }

    async fn lease(&self, demand: &LeaseDemand) -> Result<Lease, String> {
        let _held = self.clock.hold();
        let timeout = self.shared.timeout();
        let lease = self.shared.limit.lease(self.shared.request(demand));
        match run_until(lease, self.clock.sleep(timeout)).await {
            Some(result) => result.map_err(|error| error.to_string()),
            None => Err(format!("there was no response within {timeout:?}")),
        }
    }

    fn end(&self, demand: &LeaseDemand, result: Result<Lease, String>) {
        let change = self.queue.end_lease(demand, result.as_ref().ok().copied(), self.clock.monotonic());
        log(change, result.err());
    }
}

/// A lease that is under way. It has failed if it is dropped, with the task or with its runtime.
struct PendingLease {
    leasing: Arc<Leasing>,
    demand: Option<LeaseDemand>,
}

impl PendingLease {
    async fn run(mut self) {
        while let Some(demand) = &self.demand {
            let result = self.leasing.lease(demand).await;
            if let Some(demand) = self.demand.take() {
                self.leasing.end(&demand, result);
            }
            self.demand = self.leasing.queue.begin_lease(self.leasing.clock.monotonic());
        }
    }
}

impl Drop for PendingLease {
    fn drop(&mut self) {
        if let Some(demand) = self.demand.take() {
            self.leasing.end(&demand, Err("the runtime has ended".to_owned()));
        }
    }
}

#[cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, clippy::needless_pass_by_value, reason = "there is no log")
)]
fn log(change: Change, error: Option<String>) {
    #[cfg(feature = "tracing")]
    match change {
        Change::Lost => {
            let error = error.unwrap_or_else(|| "it leases nothing".to_owned());
            tracing::warn!(error, "the shared rate limit does not work; calls go on with the client's own");
        }
        Change::Found => tracing::info!("the shared rate limit works again"),
        Change::None => {}
    }
}
