//! The operations: one table of methods, paths and scopes, and a module for each resource.

mod credits;
mod runs;
pub(super) mod templates;
pub(super) mod webhooks;
pub(super) mod work_orders;

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::answer::Answer;
use super::body;
use super::error::ApiError;
use super::organization::Organization;
use super::query::{Query, percent_decode};

/// An operation of the API.
pub(super) struct Operation {
    pub(super) id: &'static str,
    method: &'static str,
    path: &'static str,
    /// The scope that a key needs for it.
    pub(super) scope: &'static str,
    pub(super) handle: Handle,
}

type Handle = fn(&mut Organization, &mut Call<'_>) -> Result<Answer, ApiError>;

/// A request that is allowed, on its way to its operation.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// The id in the path; empty if the path has none.
    pub(super) id: String,
    pub(super) query: Query,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) now: DateTime<Utc>,
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

const fn operation(
    id: &'static str,
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    handle: Handle,
) -> Operation {
    Operation { id, method, path, scope, handle }
}

/// All operations.
#[rustfmt::skip]
pub(super) static OPERATIONS: [Operation; 18] = [
    operation("createWorkOrder", "POST",   "/v1/work-orders",        "work-orders:write", work_orders::create),
    operation("getWorkOrder",    "GET",    "/v1/work-orders/{id}",   "work-orders:read",  work_orders::get),
    operation("listRuns",        "GET",    "/v1/runs",               "runs:read",         runs::list),
    operation("getRun",          "GET",    "/v1/runs/{id}",          "runs:read",         runs::get),
    operation("cancelRun",       "POST",   "/v1/runs/{id}/cancel",   "runs:write",        runs::cancel),
    operation("getCredits",      "GET",    "/v1/credits",            "credits:read",      credits::get),
    operation("listCreditUsage", "GET",    "/v1/credits/usage",      "credits:read",      credits::usage),
    operation("listWebhooks",    "GET",    "/v1/webhooks",           "webhooks:read",     webhooks::list),
    operation("createWebhook",   "POST",   "/v1/webhooks",           "webhooks:write",    webhooks::create),
    operation("getWebhook",      "GET",    "/v1/webhooks/{id}",      "webhooks:read",     webhooks::get),
    operation("updateWebhook",   "PATCH",  "/v1/webhooks/{id}",      "webhooks:write",    webhooks::update),
    operation("deleteWebhook",   "DELETE", "/v1/webhooks/{id}",      "webhooks:write",    webhooks::delete),
    operation("testWebhook",     "POST",   "/v1/webhooks/{id}/test", "webhooks:write",    webhooks::test),
    operation("listTemplates",   "GET",    "/v1/templates",          "templates:read",    templates::list),
    operation("createTemplate",  "POST",   "/v1/templates",          "templates:write",   templates::create),
    operation("getTemplate",     "GET",    "/v1/templates/{id}",     "templates:read",    templates::get),
    operation("updateTemplate",  "PUT",    "/v1/templates/{id}",     "templates:write",   templates::update),
    operation("deleteTemplate",  "DELETE", "/v1/templates/{id}",     "templates:write",   templates::delete),
];

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// The operation that a request means, and the id in its path.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) operation: &'static Operation,
    pub(super) id: String,
}

/// Finds the operation of a method and a path.
pub(super) fn find(method: &str, path: &str) -> Result<Route, ApiError> {
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

/// The id in `path` if it is of this pattern, empty if the pattern has none.
fn id(pattern: &str, path: &str) -> Option<String> {
    let (mut id, mut segments) = (String::new(), path.split('/'));
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected == "{id}" && !segment.is_empty() {
            id = percent_decode(segment);
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(id)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn every_operation_is_found_by_its_method_and_path() {
        for operation in &OPERATIONS {
            let route = find(operation.method, &operation.path.replace("{id}", "a%20b")).unwrap();
            assert_eq!(route.operation.id, operation.id);
            assert_eq!(route.id, if operation.path.contains("{id}") { "a b" } else { "" });
        }
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
        assert_eq!(answer.headers["allow"], "GET, PATCH, DELETE");
    }
}
