//! The operations: one table of what carries them out, and a module for each resource.

pub(crate) mod body;
pub(crate) mod credits;
pub(crate) mod example;
pub(crate) mod query;
pub(crate) mod runs;
pub(crate) mod templates;
pub(crate) mod webhooks;
pub(crate) mod work_orders;
pub(crate) mod workspace_source;

use std::fmt;
use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::response::Answer;
use crate::simulator::routes::query::{Query, percent_decode};

/// An operation of the contract, and what carries it out.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    method: &'static str,
    path: &'static str,
    /// The scope that a key needs for it.
    pub(crate) scope: &'static str,
    /// `None` if the simulator has no behaviour for it.
    handle: Option<Handle>,
}

impl Operation {
    /// Carries it out. An operation without a behaviour responds with the contract's example.
    pub(crate) fn carry_out(&self, organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
        match self.handle {
            Some(handle) => handle(organization, call),
            None => example::respond(self, organization, call),
        }
    }
}

type Handle = fn(&mut Organization, &mut Call<'_>) -> Result<Answer, ApiError>;

/// A request that is allowed, on its way to its operation.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The id in the path; empty if the path has none.
    pub(crate) id: String,
    pub(crate) query: Query,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) now: DateTime<Utc>,
}

impl Call<'_> {
    /// The body, as JSON.
    fn json(&self) -> Result<Value, ApiError> {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = value.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            let message = "The body must be sent with `Content-Type: application/json`.";
            return Err(ApiError::new("INVALID_REQUEST").with_message(message));
        }
        body::parse(self.body)
    }
}

/// The behaviour of operations.
static BEHAVIOUR: &[(crate::Operation, Handle)] = &[
    (crate::Operation::CREATE_WORK_ORDER, work_orders::create),
    (crate::Operation::GET_WORK_ORDER, work_orders::get),
    (crate::Operation::LIST_RUNS, runs::list),
    (crate::Operation::GET_RUN, runs::get),
    (crate::Operation::CANCEL_RUN, runs::cancel),
    (crate::Operation::GET_CREDITS, credits::get),
    (crate::Operation::LIST_CREDIT_USAGE, credits::usage),
    (crate::Operation::LIST_WEBHOOKS, webhooks::list),
    (crate::Operation::CREATE_WEBHOOK, webhooks::create),
    (crate::Operation::GET_WEBHOOK, webhooks::get),
    (crate::Operation::UPDATE_WEBHOOK, webhooks::update),
    (crate::Operation::DELETE_WEBHOOK, webhooks::delete),
    (crate::Operation::TEST_WEBHOOK, webhooks::test),
    (crate::Operation::LIST_TEMPLATES, templates::list),
    (crate::Operation::CREATE_TEMPLATE, templates::create),
    (crate::Operation::GET_TEMPLATE, templates::get),
    (crate::Operation::UPDATE_TEMPLATE, templates::update),
    (crate::Operation::DELETE_TEMPLATE, templates::delete),
];

/// The operations of the contract, by path.
pub(crate) static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let behaviour = |id| BEHAVIOUR.iter().find(|(operation, _)| operation.id() == id).map(|(_, handle)| *handle);
    crate::Operation::ALL
        .iter()
        .map(|operation| Operation {
            id: operation.id(),
            method: operation.method(),
            path: operation.path(),
            scope: operation.scope(),
            handle: behaviour(operation.id()),
        })
        .collect()
});

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// The operation that a request means, and the id in its path.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) operation: &'static Operation,
    pub(crate) id: String,
}

/// Finds the operation of a method and a path.
pub(crate) fn find(method: &str, path: &str) -> Result<Route, ApiError> {
    let here: Vec<_> = OPERATIONS.iter().filter_map(|operation| Some((operation, id(operation.path, path)?))).collect();
    if let Some((operation, id)) = here.iter().find(|(operation, _)| operation.method == method) {
        return Ok(Route { operation, id: id.clone() });
    }
    if here.is_empty() {
        return Err(ApiError::not_found(&format!("path {path}")));
    }
    let allowed: Vec<_> = here.iter().map(|(operation, _)| operation.method).collect();
    Err(ApiError::method_not_allowed(&allowed.join(", ")))
}

/// The id in `path`, where the pattern has a parameter, if it is of this pattern, empty if the pattern has none.
fn id(pattern: &str, path: &str) -> Option<String> {
    let (mut id, mut segments) = (String::new(), path.split('/'));
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if is_parameter(expected) && !segment.is_empty() {
            id = percent_decode(segment);
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(id)
}

/// Returns `true` if this segment of a pattern stands for any text, as `{id}` does.
fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}

#[cfg(test)]
pub(crate) mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn every_operation_is_found_by_its_method_and_path() {
        for operation in OPERATIONS.iter() {
            let segment = |segment| if is_parameter(segment) { "a%20b" } else { segment };
            let path: Vec<_> = operation.path.split('/').map(segment).collect();
            let route = find(operation.method, &path.join("/")).unwrap();
            assert_eq!(route.operation.id, operation.id);
            assert_eq!(route.id, if operation.path.contains('{') { "a b" } else { "" });
        }
    }

    #[test]
    fn a_parameter_may_have_any_name() {
        assert_eq!(id("/v1/runs/{runId}/cancel", "/v1/runs/run_1/cancel").as_deref(), Some("run_1"));
        assert_eq!(id("/v1/runs/{runId}/cancel", "/v1/runs//cancel"), None);
    }

    #[test]
    fn a_path_that_is_not_quite_one_of_the_api_is_unknown() {
        for path in
            ["/", "/v1", "/v1/runs/", "//v1/runs", "/v1/runs/x/y", "/v1/runs//cancel", "/v2/runs", "/v1/runs/x/cancel/"]
        {
            assert_eq!(find("GET", path).unwrap_err().status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let answer = find("POST", "/v1/webhooks/wh_000001").unwrap_err().into_answer();
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers["allow"], "DELETE, GET, PATCH");
    }
}
