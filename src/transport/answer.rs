//! Reads the value out of a successful answer.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Track;

use crate::response::Answer;
use crate::{Error, Operation, json};

type PathError = serde_path_to_error::Error<serde_json::Error>;

/// One page of the vendor's documentation says that every object is wrapped in `data`; all the others show it bare.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// Reads a body that did not fit at first sight: in its envelope if it has one, or with the replacements of [`json`], or else for the
/// place where it does not fit.
pub(super) fn reread<T: DeserializeOwned>(operation: Operation, answer: &Answer) -> Result<T, Error> {
    let body = &answer.body;
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
        // The first error is about something that is no obstacle.
        Some(Err(other)) if !error.inner().is_data() => other,
        _ => error,
    };
    let path = error.path().to_string();
    Err(Error::decode(operation, &path, error.into_inner(), answer.status, answer.headers.clone(), body))
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
        // What does not fit is inside of the envelope.
        Err(error) if bare.path().to_string() == "." && is_inside(&error.path().to_string()) => Err(error),
        Err(_) => Err(bare),
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, PathError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let mut track = Track::new();
    let value = T::deserialize(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track));
    // What follows the value is an error as well, at no place within it.
    match value.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(error) => Err(PathError::new(track.path(), error)),
    }
}

/// Whether a place is the content of the envelope, or within it.
fn is_inside(path: &str) -> bool {
    path.strip_prefix("data").is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::reread;
    use crate::Operation;
    use crate::response::Answer;
    use crate::types::{CreditBalance, Run};
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    fn answer(body: &'static str) -> Answer {
        Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
            attempts: 1,
        }
    }

    fn place(body: &'static str) -> String {
        let answer = answer(body);
        reread::<Run>(Operation::GET_RUN, &answer).unwrap_err().to_string()
    }

    #[test]
    fn an_object_in_an_envelope_is_taken_out() {
        let answer = answer(r#"{"data": {"id": "run_1", "workOrderId": "wo_1", "status": "pending"}}"#);
        let run: Run = reread(Operation::GET_RUN, &answer).unwrap();
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
        let answer = answer(r#"{"includedCreditsCents": 1e40, "purchasedCreditsCents": 0, "totalCreditsCents": 0}"#);
        let error = reread::<CreditBalance>(Operation::GET_RUN, &answer).unwrap_err().to_string();
        assert!(error.contains("at `includedCreditsCents`"), "{error}");
    }

    #[test]
    fn what_other_parsers_read_is_read_bare_and_in_an_envelope() {
        for body in [
            r#"{"id": "run_1", "workOrderId": "wo_1", "status": "pending", "prUrl": "\ud83d", "iterations": 3.0}"#,
            r#"{"data": {"id": "run_1", "workOrderId": "wo_1", "status": "pending", "iterations": 1e400}}"#,
            r#"{"id": "run_0", "workOrderId": "wo_1", "status": "pending", "id": "run_1", "cost": {"credits": NaN}}"#,
        ] {
            assert_eq!(reread::<Run>(Operation::GET_RUN, &answer(body)).unwrap().id, "run_1", "{body}");
        }
    }

    #[test]
    fn the_place_that_does_not_fit_is_named_beside_what_other_parsers_read() {
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
