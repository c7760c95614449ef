//! What becomes of a request: it is recorded, then a fault happens to it or it is carried out, then it is answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::to_bytes;
use axum::extract;
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, Utc};

use super::answer::Answer;
use super::clock::Time;
use super::error::ApiError;
use super::fault::{Faults, Scene};
use super::organization::Organization;
use super::query::Query;
use super::rate_limit;
use super::record::RecordedRequest;
use super::routes::{self, Call, Route};

/// The largest body that is read: 10 MiB.
const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// The simulator's state, shared between its server and the handle that the test holds.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self(Mutex::new(state))
    }

    /// The state. A test that panicked while it held it has not harmed it.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers every request.
pub(super) async fn serve(extract::State(shared): extract::State<Arc<Shared>>, request: extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await.ok().map(Vec::from);
    let answer = shared.lock().answer(&head, body.as_deref());
    answer.into_response()
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) time: Time,
    pub(super) organization: Organization,
    pub(super) faults: Faults,
    pub(super) requests: Vec<RecordedRequest>,
    /// How many requests were ever seen.
    seen: u64,
}

impl State {
    pub(super) fn new(time: Time, organization: Organization) -> Self {
        Self { time, organization, faults: Faults::default(), requests: Vec::new(), seen: 0 }
    }

    /// Answers one request. Its body is `None` if it was too large, or cut off, when nobody waits for the answer.
    fn answer(&mut self, head: &Parts, body: Option<&[u8]>) -> Answer {
        let now = self.time.now();
        let route = routes::find(head.method.as_str(), head.uri.path());
        let operation = route.as_ref().ok().map(|route| route.operation);
        self.seen += 1;
        self.requests.push(record(head, body.unwrap_or_default(), operation.map(|operation| operation.id)));

        let mut from_service = true;
        let mut answer = match self.faults.take(operation.map(|operation| operation.id)) {
            None => self.act(head, body, route, now).unwrap_or_else(ApiError::into_answer),
            Some(fault) => {
                if fault.is_after_acting() {
                    // Its outcome is what the client never gets to know.
                    let _ = self.act(head, body, route, now);
                }
                from_service = fault.is_from_service();
                fault.answer(&Scene {
                    now,
                    quota: self.organization.requests.quota(now),
                    scope: operation.map(|operation| operation.scope),
                    price: self.organization.price,
                    credits: self.organization.credits.total(),
                })
            }
        };

        if from_service {
            for (name, value) in rate_limit::headers(self.organization.requests.quota(now)) {
                answer.headers.entry(name).or_insert(value);
            }
            answer.header_if_absent("x-request-id", &format!("req_{:06}", self.seen));
        }
        // Clients that compare times with the answer's date find them on the same clock.
        answer.header_if_absent("date", &now.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        answer
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
        let mut call = Call { id, query: Query::parse(head.uri.query().unwrap_or_default()), body, now };
        (operation.handle)(organization, &mut call)
    }
}

fn record(head: &Parts, body: &[u8], operation_id: Option<&'static str>) -> RecordedRequest {
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    RecordedRequest {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers.iter().map(header).collect(),
        body: body.to_vec(),
        operation_id,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;
    use crate::simulator::clock::Clock;
    use crate::simulator::organization::Settings;
    use crate::simulator::plan::RunPlan;

    fn state() -> (State, String) {
        let settings =
            Settings { price: 1, requests: 9, submissions: 9, concurrent_runs: 9, default_run: RunPlan::succeeds() };
        let mut organization = Organization::new(settings);
        let key = organization.keys.add(&["*"]);
        (State::new(Time::start(Clock::Manual).unwrap(), organization), key)
    }

    fn head(path: &str, key: &str) -> Parts {
        let request = Request::post(path).header("authorization", format!("Bearer {key}")).body(()).unwrap();
        request.into_parts().0
    }

    #[test]
    fn a_body_that_is_too_large_is_refused_and_recorded_without_it() {
        let (mut state, key) = state();
        let answer = state.answer(&head("/v1/webhooks", &key), None);
        assert_eq!(answer.status, 413);
        assert_eq!(state.requests[0].body, b"");
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
        assert_eq!(shared.lock().answer(&head("/v1/runs/x/cancel", &key), Some(b"")).status, 404);
    }
}
