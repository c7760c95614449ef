//! The service: records a request, applies a fault to it or carries it out, and returns its response.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use http::Request;
use http::request::Parts;
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Incoming;

use crate::Operation;
use crate::simulator::delivery::state::{SharedState, State};
use crate::simulator::faults::fault::{Fault, Faults, Outcome};
use crate::simulator::faults::script::Script;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::rate_limit;
use crate::simulator::model::response::{self, Response, default_header};
use crate::simulator::routes;
use crate::simulator::routes::call::Call;
use crate::simulator::routes::query::Query;
use crate::simulator::server::record::RecordedRequest;

/// 10 MiB.
const MAX_BODY: usize = 10 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) shared: Arc<SharedState>,
    log: Mutex<Log>,
}

/// The faults to come, and the requests so far.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) faults: Faults,
    /// `None` if requests are not recorded.
    pub(crate) requests: Option<Vec<RecordedRequest>>,
    pub(crate) request_count: usize,
    /// Number of responses by status.
    pub(crate) response_counts: BTreeMap<u16, usize>,
    last_request_id: u64,
}

#[derive(Debug)]
pub(crate) enum Reply {
    Response(Response),
    /// Bytes in place of a valid response.
    Script(Script),
}

type Route = Result<(Operation, String), ApiError>;

impl Service {
    pub(crate) fn new(shared: Arc<SharedState>, record: bool) -> Self {
        Self { shared, log: Mutex::new(Log { requests: record.then(Vec::new), ..Log::default() }) }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn respond(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.ok().map(Collected::to_bytes);
        self.reply(&head, body.as_deref())
    }

    /// Processes a request. Its body is `None` if it was too large or incomplete.
    fn reply(&self, head: &Parts, body: Option<&[u8]>) -> Reply {
        // A clock that advances by itself waits for what the request causes.
        self.shared.clock.sleepers.note_change();
        let route = routes::find(head.method.as_str(), head.uri.path());
        let operation = route.as_ref().ok().map(|(operation, _)| *operation);
        let mut log = self.log();
        log.last_request_id += 1;
        log.request_count += 1;
        if let Some(requests) = &mut log.requests {
            let id = operation.as_ref().map(Operation::id);
            requests.push(RecordedRequest::new(head, body.unwrap_or_default(), id));
        }

        let fault = log.faults.take(operation);
        let is_from_service = fault.as_ref().is_none_or(Fault::is_from_service);
        let (outcome, now, quota) = self.shared.act(|state, now| {
            let acts = fault.as_ref().is_none_or(Fault::is_after_acting);
            let own = acts.then(|| act(state, head, body, route, now).unwrap_or_else(ApiError::into_response));
            let outcome = match fault {
                Some(fault) => fault.apply(own, operation, &state.organization, now),
                None => Outcome::Response(own.unwrap_or_else(response::no_content)),
            };
            (outcome, now, state.organization.requests.quota(now))
        });

        let (mut response, truncated) = match outcome {
            Outcome::Script(script) => return Reply::Script(script),
            Outcome::Response(response) => (response, None),
            Outcome::Truncated(response, end) => (response, Some(end)),
        };
        if is_from_service {
            for (name, value) in rate_limit::headers(quota) {
                response.headers_mut().entry(name).or_insert(value);
            }
            default_header(&mut response, "x-request-id", &format!("req_{:06}", log.last_request_id));
        }
        // On the same clock as the times in the response.
        default_header(&mut response, "date", &now.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        *log.response_counts.entry(response.status().as_u16()).or_default() += 1;
        match truncated {
            None => Reply::Response(response),
            Some(end) => Reply::Script(Script::truncated(&head.method, &response, end)),
        }
    }
}

/// Checks and carries out a request.
fn act(
    state: &mut State,
    head: &Parts,
    body: Option<&[u8]>,
    route: Route,
    now: DateTime<Utc>,
) -> Result<Response, ApiError> {
    let organization = &mut state.organization;
    let key = organization.keys.authenticate(&head.headers)?;
    if organization.suspended {
        return Err(ApiError::new("ORGANIZATION_SUSPENDED"));
    }
    organization.requests.acquire(now).map_err(|quota| ApiError::rate_limited(quota, now))?;
    let (operation, id) = route?;
    key.require(operation.scope())?;
    let body = body.ok_or_else(|| ApiError::new("PAYLOAD_TOO_LARGE"))?;
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let mut call = Call { id, query, headers: &head.headers, body, now, schedule: &mut state.schedule };
    routes::handle(operation, organization, &mut call)
}
