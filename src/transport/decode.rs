//! Reads the value of a successful response.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Track;

use crate::response::RawResponse;
use crate::{Error, Operation, json};

type PathError = serde_path_to_error::Error<serde_json::Error>;

/// One page of the vendor's documentation says that every object is wrapped in `data`; all the others show it bare.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// Reads the value of a body.
pub(super) fn decode<T: DeserializeOwned>(operation: Operation, response: &RawResponse) -> Result<T, Error> {
    serde_json::from_slice(&response.body).or_else(|_| decode_leniently(operation, response))
}

/// Reads a body that is not the plain value: in its envelope if it has one, or with the replacements of [`json`]. The
/// error names the place that does not fit.
fn decode_leniently<T: DeserializeOwned>(operation: Operation, response: &RawResponse) -> Result<T, Error> {
    let body = &response.body;
    let error = match bare_or_enveloped(read(body), || read(body)) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let replaced = json::read_replaced(body);
    let again = replaced.map(|value| {
        bare_or_enveloped(serde_path_to_error::deserialize(&value), || serde_path_to_error::deserialize(&value))
    });
    let error = match again {
        Some(Ok(value)) => return Ok(value),
        // The first error was about something that is replaced.
        Some(Err(other)) if !error.inner().is_data() => other,
        _ => error,
    };
    let path = error.path().to_string();
    Err(Error::decode(operation, &path, error.into_inner(), response))
}

fn bare_or_enveloped<T>(
    bare: Result<T, PathError>,
    enveloped: impl FnOnce() -> Result<Envelope<T>, PathError>,
) -> Result<T, PathError> {
    let bare = match bare {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match enveloped() {
        Ok(envelope) => Ok(envelope.data),
        // The place that does not fit is inside the envelope.
        Err(error) if bare.path().to_string() == "." && is_inside(&error.path().to_string()) => Err(error),
        Err(_) => Err(bare),
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, PathError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let mut track = Track::new();
    let value = T::deserialize(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track));
    // Anything after the value is an error as well.
    match value.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(error) => Err(PathError::new(track.path(), error)),
    }
}

/// Returns whether a path is the content of the envelope, or within it.
fn is_inside(path: &str) -> bool {
    path.strip_prefix("data").is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::Operation;
    use crate::response::RawResponse;
    use crate::types::{CreditBalance, Run};
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    fn response(body: &'static str) -> RawResponse {
        let body = Bytes::from_static(body.as_bytes());
        RawResponse { status: StatusCode::OK, headers: HeaderMap::new(), body }
    }

    fn place(body: &'static str) -> String {
        decode::<Run>(Operation::GET_RUN, &response(body)).unwrap_err().to_string()
    }

    #[test]
    fn an_object_in_an_envelope_is_taken_out() {
        let response = response(r#"{"data": {"id": "run_1", "workOrderId": "wo_1", "status": "pending"}}"#);
        let run: Run = decode(Operation::GET_RUN, &response).unwrap();
        assert_eq!(run.id, "run_1");
    }

    #[test]
    fn the_place_is_named_inside_and_outside_of_an_envelope() {
        let bare = r#"{"id": "run_1", "workOrderId": "wo_1", "status": "pending", "timing": {"startedAt": "soon"}}"#;
        assert!(place(bare).contains("at `timing.startedAt`"), "{}", place(bare));
        let wrapped = r#"{"data": {"id": "run_1", "workOrderId": "wo_1", "status": 7}}"#;
        assert!(place(wrapped).contains("at `data.status`"), "{}", place(wrapped));
    }

    #[test]
    fn a_number_that_does_not_fit_names_its_place() {
        let response =
            response(r#"{"includedCreditsCents": 1e40, "purchasedCreditsCents": 0, "totalCreditsCents": 0}"#);
        let error = decode::<CreditBalance>(Operation::GET_RUN, &response).unwrap_err().to_string();
        assert!(error.contains("at `includedCreditsCents`"), "{error}");
    }

    #[test]
    fn json_that_other_parsers_accept_is_read_bare_and_in_an_envelope() {
        for body in [
            r#"{"id": "run_1", "workOrderId": "wo_1", "status": "pending", "prUrl": "\ud83d", "iterations": 3.0}"#,
            r#"{"data": {"id": "run_1", "workOrderId": "wo_1", "status": "pending", "iterations": 1e400}}"#,
            r#"{"id": "run_0", "workOrderId": "wo_1", "status": "pending", "id": "run_1", "cost": {"credits": NaN}}"#,
        ] {
            assert_eq!(decode::<Run>(Operation::GET_RUN, &response(body)).unwrap().id, "run_1", "{body}");
        }
    }

    #[test]
    fn the_place_that_does_not_fit_is_named_beside_json_that_other_parsers_accept() {
        let body = r#"{"id": "\ud83d", "workOrderId": "wo_1", "status": 7}"#;
        assert!(place(body).contains("at `status`"), "{}", place(body));
        let body = r#"{"id": "run_1", "workOrderId": 1e400, "status": "pending"}"#;
        assert!(place(body).contains("at `workOrderId`"), "{}", place(body));
    }

    #[test]
    fn an_empty_body_is_called_empty() {
        assert!(place("").contains("has no body"), "{}", place(""));
    }
}
