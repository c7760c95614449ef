//! The objects of the API, generated from its contract.
//!
//! Structs have public fields and are `#[non_exhaustive]`, so that a new field is not a breaking change. Create the
//! inputs of calls with `new`, which takes the required fields. Sets of words, such as [`RunStatus`], are enums with an
//! `Unknown` variant for words that the service adds later. Each kind of id has its own type, so that a run's id cannot
//! be passed as a work order's.
//!
//! ```
//! use agentgate::types::{Run, RunId, RunStatus};
//!
//! # fn main() -> Result<(), serde_json::Error> {
//! let json = r#"{"id": "run_1", "workOrderId": "wo_1", "status": "no-such-status"}"#;
//! let run: Run = serde_json::from_str(json)?;
//! assert_eq!(run.id, RunId::from("run_1"));
//! assert_eq!(run.status, RunStatus::Unknown("no-such-status".to_owned()));
//! # Ok(())
//! # }
//! ```
//!
//! The client and the verifier read leniently: a member that does not fit its type is left out, and
//! `Response::ignored` has its path. Numbers in strings and times in other forms are read.
//! So all fields are optional but those that identify an object, and words. The types themselves read what they write.
//!
//! Responses and deliveries may contain JSON that the parsers of JavaScript and Python accept and `serde_json` refuses:
//! an unpaired surrogate (`"\ud83d"`) is read as U+FFFD, and a number beyond `f64` as `null`.

#[macro_use]
mod event_data;
#[macro_use]
mod id;
#[macro_use]
mod open_enum;
#[macro_use]
mod open_union;
#[cfg(feature = "client")]
mod list;
#[cfg(any(feature = "client", feature = "webhooks"))]
mod shape;
mod shown;
mod status;
#[cfg(any(test, feature = "client", feature = "webhooks"))]
mod timestamp;
mod timing;
mod workspace;

#[cfg(feature = "client")]
pub(crate) use list::List;
#[cfg(feature = "client")]
pub(crate) use shape::{LIST_KEYS, Misfit, fit_response};
#[cfg(any(feature = "client", feature = "webhooks"))]
pub(crate) use shape::{Member, Shape};
#[allow(unused_imports, reason = "for `x-secret-values` of the contract")]
pub(crate) use shown::{Redacted, without_values};
#[cfg(feature = "webhooks")]
pub(crate) use timestamp::read_time;

use serde::{Deserialize, Deserializer};

pub use self::generated::*;

mod generated {
    #![allow(clippy::all, clippy::pedantic, deprecated, reason = "generated code")]

    #[allow(unused_imports, reason = "for a required value that may be null")]
    use serde::Deserialize as _;

    include!(concat!(env!("OUT_DIR"), "/types.rs"));
}

/// Reads `null` as `Some(None)`. A missing field is `None` by its default.
#[allow(clippy::option_option, dead_code, reason = "for request fields that the contract lets be null")]
fn null_or_value<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Update {
        #[serde(default, deserialize_with = "super::null_or_value")]
        #[allow(clippy::option_option, reason = "as the generated code has it")]
        note: Option<Option<String>>,
    }

    #[test]
    fn null_differs_from_a_missing_field() {
        for (json, note) in
            [("{}", None), (r#"{"note": null}"#, Some(None)), (r#"{"note": "a"}"#, Some(Some("a".into())))]
        {
            assert_eq!(serde_json::from_str::<Update>(json).unwrap(), Update { note }, "{json}");
        }
    }
}
