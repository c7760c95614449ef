//! What becomes of a request: it is recorded, then a fault happens to it or it is carried out, then it is answered, or not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::to_bytes;
use axum::extract::{self, ConnectInfo};
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, Utc};

use crate::simulator::clock::sleepers::Sleepers;
use crate::simulator::clock::time::Time;
use crate::simulator::delivery::{self, Bells, Deliveries};
use crate::simulator::faults::{Fault, Faults, Outcome, Scene};
use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::rate_limit;
use crate::simulator::model::response::Answer;
use crate::simulator::routes::query::Query;
use crate::simulator::routes::{self, Call, Route};
use crate::simulator::server::record::{RecordedRequest, header_texts};
use crate::simulator::server::tally::Tally;
use crate::simulator::server::wire::{Script, Wire};

/// The largest body that is read: 10 MiB.
const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// The simulator's state, shared between its server, its courier and the handle that the test holds.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) bells: Bells,
    pub(crate) sleepers: Arc<Sleepers>,
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), bells: Bells::default(), sleepers: Arc::default() }
    }

    /// The state. A test that panicked while it held it has not harmed it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, with everything done that is due before and after that, and wakes the courier if there is
    /// something for it to do.
    pub(crate) fn act<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.catch_up();
        let result = change(&mut state);
        state.catch_up();
        let sooner = state.organization.agenda.is_sooner();
        if sooner || state.deliveries.lanes.has_unserved() {
            self.bells.courier.notify_one();
        }
        result
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The task that moves the clock ends.
        self.sleepers.changed.notify_one();
    }
}

/// Answers every request, or lets happen what happens to it instead.
pub(crate) async fn serve(
    extract::State(shared): extract::State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: extract::Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await.ok().map(Vec::from);
    let reply = shared.act(|state| state.reply(&head, body.as_deref()));
    match reply {
        Reply::Answer(answer) => answer.into_response(),
        Reply::Script(script) => {
            wire.play(script).await;
            // It goes nowhere: the server finds the connection closed.
            Response::default()
        }
    }
}

/// What a client gets for its request.
#[derive(Debug)]
enum Reply {
    Answer(Answer),
    /// Something other than an answer in good order.
    Script(Script),
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) time: Time,
    pub(crate) organization: Organization,
    pub(crate) faults: Faults,
    /// `None` if requests are not recorded.
    pub(crate) requests: Option<Vec<RecordedRequest>>,
    pub(crate) tally: Tally,
    pub(crate) deliveries: Deliveries,
    /// How many requests were ever seen.
    seen: u64,
}

impl State {
    pub(crate) fn new(time: Time, organization: Organization, deliveries: delivery::Settings, record: bool) -> Self {
        Self {
            time,
            organization,
            faults: Faults::default(),
            requests: record.then(Vec::new),
            tally: Tally::default(),
            deliveries: Deliveries::new(deliveries, record),
            seen: 0,
        }
    }

    /// How many requests were ever seen.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Lets happen what is due by now, and tells what now is.
    pub(crate) fn catch_up(&mut self) -> DateTime<Utc> {
        let now = self.time.now();
        while let Some((at, due)) = self.organization.agenda.take(now) {
            self.deliveries.happen(due, at, &self.organization);
        }
        now
    }

    /// Replies to one request. Its body is `None` if it was too large, or cut off, when nobody waits for the answer.
    fn reply(&mut self, head: &Parts, body: Option<&[u8]>) -> Reply {
        let now = self.catch_up();
        let route = routes::find(head.method.as_str(), head.uri.path());
        let operation = route.as_ref().ok().map(|route| route.operation);
        self.seen += 1;
        self.tally.requests += 1;
        if let Some(requests) = &mut self.requests {
            requests.push(record(head, body.unwrap_or_default(), operation.map(|operation| operation.id)));
        }

        let fault = self.faults.take(operation.map(|operation| operation.id));
        let from_service = fault.as_ref().is_none_or(Fault::is_from_service);
        let acts = fault.as_ref().is_none_or(Fault::is_after_acting);
        let own = acts.then(|| self.act(head, body, route, now).unwrap_or_else(ApiError::into_answer));
        let scene = Scene {
            now,
            quota: self.organization.requests.quota(now),
            scope: operation.map(|operation| operation.scope),
            price: self.organization.price,
            credits: self.organization.credits.total(),
        };
        let outcome = match (fault, own) {
            (Some(fault), own) => fault.happen(own, &scene),
            (None, own) => Outcome::Answer(own.unwrap_or_else(Answer::no_content)),
        };

        let (mut answer, damage) = match outcome {
            Outcome::NoAnswer(script) => return Reply::Script(script),
            Outcome::Answer(answer) => (answer, None),
            Outcome::Damaged(answer, damage) => (answer, Some(damage)),
        };
        if from_service {
            for (name, value) in rate_limit::headers(self.organization.requests.quota(now)) {
                answer.headers.entry(name).or_insert(value);
            }
            answer.header_if_absent("x-request-id", &format!("req_{:06}", self.seen));
        }
        // Clients that compare times with the answer's date find them on the same clock.
        answer.header_if_absent("date", &now.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        self.tally.answered(answer.status);
        match damage {
            None => Reply::Answer(answer),
            Some(damage) => Reply::Script(damage.script(&head.method, answer)),
        }
    }

    /// Carries out one request, if nothing speaks against it.
    fn act(
        &mut self,
        head: &Parts,
        body: Option<&[u8]>,
        route: Result<Route, ApiError>,
        now: DateTime<Utc>,
    ) -> Result<Answer, ApiError> {
        let organization = &mut self.organization;
        let key = organization.keys.authenticate(&head.headers)?;
        if organization.suspended {
            return Err(ApiError::new("ORGANIZATION_SUSPENDED"));
        }
        organization.requests.take(now).map_err(|quota| ApiError::rate_limited(quota, now))?;
        let Route { operation, id } = route?;
        key.require(operation.scope)?;
        let body = body.ok_or_else(|| ApiError::new("PAYLOAD_TOO_LARGE"))?;
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let mut call = Call { id, query, headers: &head.headers, body, now };
        operation.carry_out(organization, &mut call)
    }
}

fn record(head: &Parts, body: &[u8], operation_id: Option<&'static str>) -> RecordedRequest {
    RecordedRequest {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: header_texts(&head.headers),
        body: body.to_vec(),
        operation_id,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;
    use crate::simulator::clock::time::SimulatedClock;
    use crate::simulator::model::organization::Settings;
    use crate::simulator::model::plan::DefaultRun;

    fn state() -> (State, String) {
        let settings = Settings {
            price: 1,
            requests: 9,
            submissions: 9,
            concurrent_runs: 9,
            default_run: DefaultRun::default(),
            webhook_secret: "whsec_test".into(),
        };
        let mut organization = Organization::new(settings);
        let key = organization.keys.add(&["*"]);
        let time = Time::start(SimulatedClock::Manual).unwrap();
        (State::new(time, organization, delivery::Settings::default(), true), key)
    }

    fn head(path: &str, key: &str) -> Parts {
        let request = Request::post(path).header("authorization", format!("Bearer {key}")).body(()).unwrap();
        request.into_parts().0
    }

    fn status(state: &mut State, head: &Parts, body: Option<&[u8]>) -> u16 {
        match state.reply(head, body) {
            Reply::Answer(answer) => answer.status.as_u16(),
            Reply::Script(script) => panic!("{script:?}"),
        }
    }

    #[test]
    fn a_body_that_is_too_large_is_refused_and_recorded_without_it() {
        let (mut state, key) = state();
        assert_eq!(status(&mut state, &head("/v1/webhooks", &key), None), 413);
        assert_eq!(state.requests.unwrap()[0].body, b"");
    }

    #[test]
    fn a_panic_elsewhere_does_not_stop_the_service() {
        let (state, key) = state();
        let shared = Arc::new(Shared::new(state));
        let held = Arc::clone(&shared);
        let panicked = std::thread::spawn(move || {
            let _guard = held.lock();
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        assert_eq!(status(&mut shared.lock(), &head("/v1/runs/x/cancel", &key), Some(b"")), 404);
    }
}
