//! A model of the service: runs that start and end by a plan, lists of runs, a rate limit, and faults.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use http::{HeaderMap, StatusCode};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::seconds;
use crate::clock::Clock;
use crate::follow::{BroadcastKey, FollowState, PAGE_SIZE, RunFollower, RunSource, SourceFuture, Watcher};
use crate::response::RawResponse;
use crate::test_util::TokioClock;
use crate::types::{Run, RunId, RunPage, RunStatus};
use crate::{Error, Operation, RateLimit, Response, Result};

const LIMIT: u32 = 100;
/// The time-out of an attempt.
const TIMEOUT: Duration = Duration::from_secs(30);
const START: i64 = 1_767_225_600;

/// A run with the times of its start and end, and its final status.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) id: RunId,
    pub(super) starts: Duration,
    pub(super) ends: Duration,
    pub(super) status: RunStatus,
}

impl Planned {
    fn status_at(&self, at: Duration) -> &RunStatus {
        match at {
            at if at < self.starts => &RunStatus::Pending,
            at if at < self.ends => &RunStatus::Running,
            _ => &self.status,
        }
    }

    fn json(&self, at: Duration) -> Value {
        let time = |at: Duration| DateTime::from_timestamp(START, 0).unwrap() + at;
        let mut run = json!({ "id": self.id, "workOrderId": "wo_1", "status": self.status_at(at) });
        if at >= self.ends {
            run["completedAt"] = json!(time(self.ends));
            run["timing"] = json!({ "completedAt": time(self.ends) });
        }
        run
    }
}

/// Returns the failure of a request by its operation, the fetched run if it is a fetch, and the time.
pub(super) type Fault = dyn Fn(Operation, Option<&RunId>, Duration) -> Option<Error> + Send + Sync;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lists {
    /// Lists show the runs as they were this long ago.
    pub(super) lag: Duration,
    /// One item in this many is omitted, repeated, or swapped with the next. 0 is none.
    pub(super) skips: u64,
    pub(super) duplicates: u64,
    pub(super) swaps: u64,
}

#[derive(Default)]
struct State {
    /// In the order of their submission.
    runs: Vec<Planned>,
    by_id: HashMap<RunId, usize>,
    requests: Vec<(Duration, Operation)>,
    lists: Lists,
    latency: Duration,
    /// The run whose fetch times out.
    hanging: Option<RunId>,
    fault: Option<Box<Fault>>,
}

#[derive(Clone)]
pub(super) struct Model {
    pub(super) clock: TokioClock,
    state: Arc<Mutex<State>>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self { clock: TokioClock::new(), state: Arc::default() }
    }

    /// A service with this number of lanes, each of which runs one run of 2 to 15 minutes after the other.
    pub(super) fn with_lanes(lanes: usize, runs: usize, random: &mut fastrand::Rng) -> Self {
        let model = Self::new();
        let mut free: BinaryHeap<_> = std::iter::repeat_n(Reverse(Duration::ZERO), lanes).collect();
        for number in 0..runs {
            let Reverse(starts) = free.pop().unwrap();
            let ends = starts + Duration::from_millis(random.u64(120_000..900_000));
            free.push(Reverse(ends));
            let status = if random.u8(0..10) == 0 { RunStatus::Failed } else { RunStatus::Succeeded };
            model.submit(Planned { id: RunId::from(format!("run_{number:06}")), starts, ends, status });
        }
        model
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn submit(&self, run: Planned) {
        let mut state = self.state();
        let index = state.runs.len();
        state.by_id.insert(run.id.clone(), index);
        state.runs.push(run);
    }

    pub(super) fn runs(&self) -> Vec<Planned> {
        self.state().runs.clone()
    }

    pub(super) fn set_lists(&self, lists: Lists) {
        self.state().lists = lists;
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    pub(super) fn set_hanging(&self, run: Option<RunId>) {
        self.state().hanging = run;
    }

    pub(super) fn set_fault(
        &self,
        fault: impl Fn(Operation, Option<&RunId>, Duration) -> Option<Error> + Send + Sync + 'static,
    ) {
        self.state().fault = Some(Box::new(fault));
    }

    pub(super) fn requests(&self) -> Vec<Duration> {
        self.state().requests.iter().map(|(at, _)| *at).collect()
    }

    pub(super) fn requests_a_minute(&self) -> f64 {
        let requests = self.requests();
        f64::from(u32::try_from(requests.len()).unwrap()) * 60.0 / requests.last().unwrap().as_secs_f64()
    }

    pub(super) fn count(&self, operation: Operation) -> usize {
        self.state().requests.iter().filter(|(_, other)| *other == operation).count()
    }

    pub(super) fn watcher(&self) -> Watcher {
        self.client().0
    }

    pub(super) fn client(&self) -> (Watcher, Arc<FollowState>) {
        let follow = Arc::new(FollowState::new(Arc::new(self.clock)));
        (Watcher::new(RunFollower::new(&follow, self.clone())), follow)
    }

    /// Records a request, and waits for its latency.
    fn begin(&self, operation: Operation, id: Option<&RunId>) -> impl Future<Output = Result<()>> + Send + use<> {
        let now = self.clock.monotonic();
        let mut state = self.state();
        state.requests.push((now, operation));
        let failure = state.fault.as_ref().and_then(|fault| fault(operation, id, now));
        let hangs = id.is_some() && id == state.hanging.as_ref();
        let latency = if hangs { TIMEOUT } else { state.latency };
        let failure = if hangs { Some(self::failure(408)) } else { failure };
        async move {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            failure.map_or(Ok(()), Err)
        }
    }
}

impl State {
    fn page(&self, status: Option<&RunStatus>, offset: usize, now: Duration) -> RunPage {
        let at = now.saturating_sub(self.lists.lag);
        let is_listed = |run: &&Planned| status.is_none_or(|status| run.status_at(at) == status);
        let total = match status {
            Some(_) => self.runs.iter().filter(is_listed).count(),
            None => self.runs.len(),
        };
        let listed = self.runs.iter().rev().filter(is_listed).skip(offset).take(PAGE_SIZE as usize);
        let mut data: Vec<_> = listed.map(|run| run.json(at)).collect();
        let happens = |one_in: u64| one_in > 0 && fastrand::u64(0..one_in) == 0;
        for index in (0..data.len()).rev() {
            if happens(self.lists.skips) {
                data.remove(index);
            } else if happens(self.lists.duplicates) {
                data.insert(index, data[index].clone());
            } else if happens(self.lists.swaps) && index > 0 {
                data.swap(index, index - 1);
            }
        }
        RunPage::deserialize(json!({ "data": data, "total": total })).unwrap()
    }
}

impl RunSource for Model {
    fn page(&self, status: Option<RunStatus>, offset: u32) -> SourceFuture<Response<RunPage>> {
        let model = self.clone();
        Box::pin(async move {
            model.begin(Operation::LIST_RUNS, None).await?;
            let now = model.clock.monotonic();
            Ok(Response::of_value(model.state().page(status.as_ref(), offset as usize, now)))
        })
    }

    fn run(&self, id: &RunId) -> SourceFuture<Response<Run>> {
        let (model, id) = (self.clone(), id.clone());
        Box::pin(async move {
            model.begin(Operation::GET_RUN, Some(&id)).await?;
            let now = model.clock.monotonic();
            let state = model.state();
            match state.by_id.get(&id) {
                Some(index) => Ok(Response::of_value(Run::deserialize(state.runs[*index].json(now)).unwrap())),
                None => Err(failure(404)),
            }
        })
    }

    fn cancel(&self, _: &RunId) -> SourceFuture<()> {
        Box::pin(async { Err(failure(405)) })
    }

    fn rate_limit(&self) -> Option<RateLimit> {
        let minute = self.clock.monotonic().as_secs() / 60;
        let state = self.state();
        let spent = state.requests.iter().rev().take_while(|(at, _)| at.as_secs() / 60 == minute).count();
        let left = LIMIT.saturating_sub(u32::try_from(spent).unwrap());
        let reset_at = DateTime::from_timestamp(START + 60 * (i64::try_from(minute).unwrap() + 1), 0);
        Some(RateLimit { limit: Some(LIMIT), remaining: Some(left), reset_at })
    }

    fn broadcast_key(&self) -> BroadcastKey {
        BroadcastKey::new(b"org_live_test", "https://agentgate.example")
    }
}

/// Returns an error of the service.
pub(super) fn failure(status: u16) -> Error {
    Error::of_response(Operation::GET_RUN, status, r#"{"error": {"code": "NEW_CODE"}}"#)
}

/// Returns the error of a response that is none of the service's.
pub(super) fn foreign(status: u16) -> Error {
    Error::of_response(Operation::GET_RUN, status, "")
}

/// Returns the error of a response that cannot be read.
pub(super) fn undecodable(body: &str) -> Error {
    let source = serde_json::from_str::<Value>(body).err().unwrap_or_else(|| serde::de::Error::custom("no run"));
    let body = Bytes::copy_from_slice(body.as_bytes());
    let response = RawResponse { status: StatusCode::OK, headers: HeaderMap::new(), body };
    Error::decode(Operation::GET_RUN, ".", source, &response)
}

/// The delays of waits, sorted.
pub(super) struct Lateness(Vec<Duration>);

impl Lateness {
    pub(super) fn new(mut late: Vec<Duration>) -> Self {
        late.sort_unstable();
        Self(late)
    }

    /// Returns a percentile of the delays.
    pub(super) fn part(&self, hundredths: usize) -> Duration {
        self.0[(self.0.len() * hundredths / 100).min(self.0.len() - 1)]
    }
}

/// Waits for all runs at once, with the watchers in turn, and checks each result.
pub(super) async fn wait_for_all(model: &Model, watchers: &[Watcher]) -> Lateness {
    wait_for_all_that_count(model, watchers, |_| true).await
}

/// Does the same, and returns the delays of these waits only.
pub(super) async fn wait_for_all_that_count(
    model: &Model,
    watchers: &[Watcher],
    counts: impl Fn(&Planned) -> bool,
) -> Lateness {
    let waits: Vec<_> = model
        .runs()
        .into_iter()
        .enumerate()
        .map(|(index, run)| {
            let (wait, clock) = (watchers[index % watchers.len()].wait(&run.id).summary_only(), model.clock);
            let counts = counts(&run);
            tokio::spawn(async move {
                let finished = wait.await.unwrap_or_else(|error| panic!("{}: {error}", run.id));
                assert_eq!(finished.status(), &run.status, "{}", run.id);
                let late = clock.monotonic().checked_sub(run.ends).expect("no wait ends before its run");
                counts.then_some(late)
            })
        })
        .collect();
    let mut late = Vec::new();
    for wait in waits {
        late.extend(wait.await.unwrap());
    }
    Lateness::new(late)
}

/// Returns the largest number of requests in a minute.
pub(super) fn busiest_minute(requests: &[Duration]) -> usize {
    let mut first = 0;
    let counts = requests.iter().enumerate().map(|(index, at)| {
        while requests[first] + seconds(60) <= *at {
            first += 1;
        }
        index - first + 1
    });
    counts.max().unwrap_or(0)
}
