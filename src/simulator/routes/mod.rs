//! The operations of the API, with a module for each resource.
// Handlers that cannot fail have the signature of the others.
#![allow(clippy::unnecessary_wraps)]

mod body;
pub(crate) mod call;
mod credits;
mod example;
pub(crate) mod query;
mod runs;
mod templates;
mod webhooks;
mod work_orders;
mod workspace_source;

use percent_encoding::percent_decode_str;

use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::response::Response;
use crate::simulator::routes::call::Call;
use crate::{Operation, examples};

type Handler = fn(&mut Organization, &mut Call<'_>) -> Result<Response, ApiError>;

/// The handlers of the operations.
static HANDLERS: &[(Operation, Handler)] = &[
    (Operation::CREATE_WORK_ORDER, work_orders::create),
    (Operation::GET_WORK_ORDER, work_orders::get),
    (Operation::LIST_RUNS, runs::list),
    (Operation::GET_RUN, runs::get),
    (Operation::CANCEL_RUN, runs::cancel),
    (Operation::GET_CREDITS, credits::get),
    (Operation::LIST_CREDIT_USAGE, credits::usage),
    (Operation::LIST_WEBHOOKS, webhooks::list),
    (Operation::CREATE_WEBHOOK, webhooks::create),
    (Operation::GET_WEBHOOK, webhooks::get),
    (Operation::UPDATE_WEBHOOK, webhooks::update),
    (Operation::DELETE_WEBHOOK, webhooks::delete),
    (Operation::TEST_WEBHOOK, webhooks::test),
    (Operation::LIST_TEMPLATES, templates::list),
    (Operation::CREATE_TEMPLATE, templates::create),
    (Operation::GET_TEMPLATE, templates::get),
    (Operation::UPDATE_TEMPLATE, templates::update),
    (Operation::DELETE_TEMPLATE, templates::delete),
];

/// Carries out an operation. An operation of the contract without a handler responds with the contract's example.
pub(crate) fn handle(
    operation: Operation,
    organization: &mut Organization,
    call: &mut Call<'_>,
) -> Result<Response, ApiError> {
    if let Some((_, handler)) = HANDLERS.iter().find(|(known, _)| *known == operation) {
        return handler(organization, call);
    }
    // The resource in the path has to exist.
    if let Some((_, get)) = parent(operation.path()) {
        get(organization, call)?;
    } else if !call.id.is_empty() && !examples::may_exist(operation.id(), &call.id) {
        return Err(ApiError::not_found(&call.id));
    }
    if !call.body.is_empty() {
        call.json()?;
    }
    example::respond(operation)
}

/// Returns the handler that gets the resource in a path: that of `/v1/runs/{id}` for `/v1/runs/{id}/retry`.
fn parent(path: &str) -> Option<&'static (Operation, Handler)> {
    let (resource, _) = path.split_at(path.rfind('}')? + 1);
    HANDLERS.iter().find(|(other, _)| other.method() == "GET" && is_same_path(other.path(), resource))
}

/// Compares two paths of the contract, ignoring the names of their parameters.
fn is_same_path(one: &str, other: &str) -> bool {
    let is_same = |(one, other): (&str, &str)| one == other || is_parameter(one) && is_parameter(other);
    one.split('/').count() == other.split('/').count() && one.split('/').zip(other.split('/')).all(is_same)
}

/// Finds the operation of a method and a path, and the id in the path.
///
/// A router would not do: the contract may name the parameter in one place differently in each path.
pub(crate) fn find(method: &str, path: &str) -> Result<(Operation, String), ApiError> {
    let matches = |operation: &Operation| Some((*operation, path_id(operation.path(), path)?));
    let matching: Vec<_> = Operation::ALL.iter().filter_map(matches).collect();
    if matching.is_empty() {
        return Err(ApiError::not_found(&format!("path {path}")));
    }
    let allowed: Vec<_> = matching.iter().map(|(operation, _)| operation.method()).collect();
    // `/runs/{id}:retry` rather than `/runs/{id}`.
    let found = matching.into_iter().filter(|(operation, _)| operation.method() == method);
    let found = found.max_by_key(|(operation, _)| operation.path().rsplit('}').next().map_or(0, str::len));
    found.ok_or_else(|| ApiError::method_not_allowed(&allowed.join(", ")))
}

/// Returns the id in a path that matches the pattern, empty if the pattern has no parameter; `None` if it does not
/// match.
fn path_id(pattern: &str, path: &str) -> Option<String> {
    let (mut id, mut segments) = (String::new(), path.split('/'));
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if let Some(value) = parameter(expected, segment) {
            id = percent_decode_str(value).decode_utf8_lossy().into_owned();
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(id)
}

/// Returns `true` for `{id}`, and for `{id}:verb`.
fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

/// Returns the value of the parameter in a segment: of `a:retry`, it is `a` for `{id}:retry`.
fn parameter<'a>(pattern: &str, segment: &'a str) -> Option<&'a str> {
    let (_, verb) = pattern.strip_prefix('{')?.split_once('}')?;
    segment.strip_suffix(verb).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_method_and_path() {
        for operation in Operation::ALL {
            let segment = |segment: &str| {
                segment.split_once('}').map_or_else(|| segment.to_owned(), |(_, verb)| format!("a%20b{verb}"))
            };
            let path: Vec<_> = operation.path().split('/').map(segment).collect();
            let (found, id) = find(operation.method(), &path.join("/")).unwrap();
            assert_eq!(found, *operation);
            assert_eq!(id, if operation.path().contains('{') { "a b" } else { "" });
        }
    }

    #[test]
    fn a_path_that_differs_from_all_operations_is_unknown() {
        for path in
            ["/", "/v1", "/v1/runs/", "//v1/runs", "/v1/runs/x/y", "/v1/runs//cancel", "/v2/runs", "/v1/runs/x/cancel/"]
        {
            assert!(find("GET", path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_resource_in_a_path_is_found_whatever_the_parameter_is_called() {
        assert_eq!(path_id("/v1/runs/{id}:retry", "/v1/runs/run_1:retry").as_deref(), Some("run_1"));
        assert_eq!(path_id("/v1/runs/{id}:retry", "/v1/runs/run_1"), None);
        assert_eq!(path_id("/v1/runs/{runId}/cancel", "/v1/runs/run_1/cancel").as_deref(), Some("run_1"));
        assert_eq!(parent("/v1/runs/{runId}/no-such-action").unwrap().0, Operation::GET_RUN);
        assert!(parent("/v1/no-such-things/{id}/archive").is_none());
        assert!(parent("/v1/runs").is_none());
    }
}
