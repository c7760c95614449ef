//! Leases from a shared rate limit, in tasks of their own: a call that waits may be left unpolled, or dropped.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::RateLimiter;
use super::fair_queue::LeaseDemand;
use super::leased::{Change, Demand};
use super::shared::{Lease, LeaseReport, LeaseRequest, SharedRateLimit};
use super::window::Report;
use crate::platform::Handle;
use crate::race::race;

/// The shared limit of a client, and its names there.
#[derive(Debug)]
pub(crate) struct Sharing {
    limit: Arc<dyn SharedRateLimit>,
    organization: Arc<str>,
    client: Arc<str>,
}

impl Sharing {
    pub(crate) fn new(limit: Arc<dyn SharedRateLimit>, organization: String) -> Self {
        let client = uuid::Uuid::new_v4().simple().to_string();
        Self { limit, organization: organization.into(), client: client.into() }
    }

    /// The longest time that a lease may take.
    pub(super) fn timeout(&self) -> Duration {
        self.limit.timeout()
    }

    fn request(&self, LeaseDemand { demand, report, submission_limit }: &LeaseDemand) -> LeaseRequest {
        let Demand { asked_at: now, requests, submissions, spare, news } = *demand;
        let left = |until: Option<Duration>| until.map(|until| until.saturating_sub(now));
        LeaseRequest {
            requests,
            submissions,
            spare,
            submission_limit: *submission_limit,
            submissions_ended: news.submissions_ended,
            submissions_returned: news.submissions_returned,
            report: report.map(|report| lease_report(&report, now)),
            hold_for: left(news.hold_until),
            hold_submissions_for: left(news.hold_submissions_until),
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

/// Returns the name of an organization in a shared limit. It tells neither the key nor the address.
pub(crate) fn organization(base_url: &str, api_key: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["agentgate rate limit", base_url, api_key] {
        hash.update(part);
        // Stands in none of them, so that no two triples are the same text.
        hash.update([0]);
    }
    format!("{:x}", base16ct::HexDisplay(&hash.finalize()))
}

impl RateLimiter {
    /// Reports to the shared limit what others have to know soon, if there is something.
    pub(super) fn report_news(self: &Arc<Self>, now: Duration) {
        if self.sharing.is_some()
            && let Some(demand) = self.queue.begin_lease(now)
        {
            self.begin_lease(demand);
        }
    }

    /// Asks the shared limit, and goes on as long as there is something to ask.
    pub(super) fn begin_lease(self: &Arc<Self>, demand: LeaseDemand) {
        let pending = PendingLease { limiter: Arc::clone(self), demand: Some(demand) };
        // Without a runtime, the lease has failed.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(pending.run());
        }
    }

    fn end_lease(&self, demand: &Demand, result: Result<Lease, String>) {
        let change = self.queue.end_lease(demand, result.as_ref().ok().copied(), self.clock.monotonic());
        tell(change, result.err());
    }
}

/// A lease that is under way. Dropped, with the task or with its runtime, it has failed.
struct PendingLease {
    limiter: Arc<RateLimiter>,
    demand: Option<LeaseDemand>,
}

impl PendingLease {
    async fn run(mut self) {
        while let Some(demand) = &self.demand {
            let result = self.limiter.lease(demand).await;
            if let Some(demand) = self.demand.take() {
                self.limiter.end_lease(&demand.demand, result);
            }
            self.demand = self.limiter.queue.begin_lease(self.limiter.clock.monotonic());
        }
    }
}

impl Drop for PendingLease {
    fn drop(&mut self) {
        if let Some(demand) = self.demand.take() {
            self.limiter.end_lease(&demand.demand, Err("the runtime has ended".to_owned()));
        }
    }
}

impl RateLimiter {
    async fn lease(&self, demand: &LeaseDemand) -> Result<Lease, String> {
        let Some(sharing) = &self.sharing else { return Err("there is no shared limit".to_owned()) };
        let _held = self.clock.hold();
        let timeout = sharing.timeout();
        let lease = sharing.limit.lease(sharing.request(demand));
        match race(lease, self.clock.sleep(timeout)).await {
            Some(result) => result.map_err(|error| error.to_string()),
            None => Err(format!("there was no response within {timeout:?}")),
        }
    }
}

#[cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, clippy::needless_pass_by_value, reason = "there is no log")
)]
fn tell(change: Change, error: Option<String>) {
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
