//! [`EventData`](super::EventData): the data of an event, by the type of the event.
//!
//! The contract assigns a schema to each type of event, which the service does not promise. Data that does not fit its
//! schema is kept as JSON.

use super::{RunEventData, RunId, VerificationEventData};

/// Defines the enum of the data of events, with a catch-all variant.
macro_rules! event_data {
    (
        by $event_type:ident {
            $($(#[$variant_doc:meta])* $variant:ident($schema:ident) = $($word:ident)|+,)*
        }
        run_id of { $($with_run:ident: $run_id:ident $(or $other_run_id:ident)?,)* }
        work_order_id of { $($with_order:ident,)* }
        tenant_context of { $($with_tenant:ident,)* }
    ) => {
        /// The data of an event, by the type of the event.
        ///
        /// Its JSON is the `data` of the event, without the name of the variant.
        #[derive(Clone, PartialEq, ::serde::Serialize)]
        #[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]
        #[serde(untagged)]
        #[non_exhaustive]
        pub enum EventData {
            $($(#[$variant_doc])* $variant(Box<$schema>),)*
            /// The JSON of any other data: of an event of a type that this version of the crate does not know, or data
            /// that is no object.
            Other(::serde_json::Value),
        }

        impl EventData {
            /// Reads the data of an event of this type. Returns the paths of what does not fit, too.
            #[cfg(feature = "webhooks")]
            pub(crate) fn read(event_type: &$event_type, data: &::serde_json::Value) -> (Self, Vec<String>) {
                let known = match event_type {
                    $($($event_type::$word)|+ => $crate::types::event_data::fitting(data).map(|(data, ignored)| {
                        (Self::$variant(data), ignored)
                    }),)*
                    _ => None,
                };
                known.unwrap_or_else(|| (Self::Other(data.clone()), Vec::new()))
            }

            #[cfg(feature = "webhooks")]
            pub(crate) fn run_id(&self) -> Option<&$crate::types::RunId> {
                match self {
                    $(Self::$with_run(data) => data.$run_id.as_ref()$(.or(data.$other_run_id.as_ref()))?,)*
                    _ => None,
                }
            }

            #[cfg(feature = "webhooks")]
            pub(crate) fn work_order_id(&self) -> Option<&$crate::types::WorkOrderId> {
                match self {
                    $(Self::$with_order(data) => data.work_order_id.as_ref(),)*
                    _ => None,
                }
            }

            #[cfg(feature = "webhooks")]
            pub(crate) fn tenant_context(&self) -> Option<&$crate::types::TenantContext> {
                match self {
                    $(Self::$with_tenant(data) => data.tenant_context.as_ref(),)*
                    _ => None,
                }
            }
        }
    };
}

/// Reads the members of an object that fit. Returns the paths of the others, too.
#[cfg(feature = "webhooks")]
pub(super) fn fitting<T: serde::de::DeserializeOwned + 'static>(
    data: &serde_json::Value,
) -> Option<(Box<T>, Vec<String>)> {
    let shape = super::shapes::of_type(std::any::TypeId::of::<T>())?;
    let mut data = data.clone();
    let ignored = super::shape::fit(shape, &mut data, "data").ok()?;
    Some((Box::new(crate::json::convert(&data).ok()?), ignored))
}

impl RunEventData {
    /// Returns the id of the run: `runId`, or else `id`, because the service may use either key.
    ///
    /// ```
    /// use agentgate::types::{RunEventData, RunId};
    ///
    /// # fn main() -> Result<(), serde_json::Error> {
    /// for json in [r#"{"runId": "run_3n9x2p"}"#, r#"{"id": "run_3n9x2p"}"#] {
    ///     let data: RunEventData = serde_json::from_str(json)?;
    ///     assert_eq!(data.run_id(), Some(&RunId::from("run_3n9x2p")));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn run_id(&self) -> Option<&RunId> {
        self.run_id.as_ref().or(self.id.as_ref())
    }
}

impl VerificationEventData {
    /// Returns the id of the verified run: `runId`, or else `id`, because the service may use either key.
    ///
    /// ```
    /// use agentgate::types::{RunId, VerificationEventData};
    ///
    /// # fn main() -> Result<(), serde_json::Error> {
    /// let json = r#"{"runId": "run_3n9x2p", "gate": "tests"}"#;
    /// let data: VerificationEventData = serde_json::from_str(json)?;
    /// assert_eq!(data.run_id(), Some(&RunId::from("run_3n9x2p")));
    /// assert_eq!(data.extra["gate"], "tests");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn run_id(&self) -> Option<&RunId> {
        self.run_id.as_ref().or(self.id.as_ref())
    }
}

#[cfg(all(test, feature = "webhooks"))]
mod tests {
    use serde_json::{Map, Value, json};

    use crate::types::{EventData, RunEventData, RunId, VerificationEventData, WebhookEventType};

    fn read(event_type: &str, data: &Value) -> EventData {
        EventData::read(&WebhookEventType::from(event_type), data).0
    }

    fn run(data: &Value) -> RunEventData {
        match read("run.completed", data) {
            EventData::Run(run) => *run,
            other => panic!("not about a run: {other:?}"),
        }
    }

    fn verification(data: &Value) -> VerificationEventData {
        match read("verification.failed", data) {
            EventData::Verification(verification) => *verification,
            other => panic!("not about a verification: {other:?}"),
        }
    }

    /// Every field of a run's event, each with a value that fits.
    fn complete() -> Map<String, Value> {
        let data = json!({
            "runId": "run_1",
            "id": "run_1",
            "workOrderId": "wo_1",
            "status": "succeeded",
            "iterations": 3,
            "prUrl": "https://github.com/your-org/your-repo/pull/42",
            "timing": {"startedAt": "2026-01-15T10:30:02Z", "completedAt": "2026-01-15T10:34:47Z", "durationMs": 285_000},
            "cost": {"credits": 12.5, "currency": "credits"},
            "tenantContext": {"tenantId": "acme-corp", "tenantUserId": "user_123", "metadata": {"plan": "team"}},
            "error": {"code": "TESTS_FAILED", "message": "2 of 40 tests have failed.", "gate": "tests"},
            "unheardOf": {"deep": [1]},
        });
        data.as_object().unwrap().clone()
    }

    #[test]
    fn every_known_type_of_event_has_its_data() {
        for word in WebhookEventType::KNOWN {
            let data = read(word, &json!({"runId": "run_1"}));
            let as_expected = match word.split_once('.').unwrap().0 {
                "run" => matches!(data, EventData::Run(_)),
                "verification" => matches!(data, EventData::Verification(_)),
                _ => false,
            };
            assert!(as_expected, "{word}: {data:?}");
        }
    }

    #[test]
    fn data_is_written_as_it_was_read() {
        let data = Value::Object(complete());
        assert_eq!(serde_json::to_value(run(&data)).unwrap(), data);
        assert_eq!(serde_json::to_value(verification(&data)).unwrap(), data);
    }

    #[test]
    fn a_field_of_the_wrong_type_is_left_out() {
        let values = json!([-1, 1.5, true, null, [], [{"id": 1}], {"a": {}}, "text"]);
        let values = values.as_array().unwrap();
        for (field, right) in complete() {
            let mut without = complete();
            without.remove(&field);
            let without = Value::Object(without);
            let is_wrong = |value: &&Value| match right {
                Value::String(_) => !value.is_string(),
                Value::Object(_) => !value.is_object(),
                _ => true,
            };
            for value in values.iter().filter(is_wrong) {
                let mut with = complete();
                with.insert(field.clone(), value.clone());
                let with = Value::Object(with);
                match field.as_str() {
                    "unheardOf" => assert_eq!(run(&with).extra["unheardOf"], *value),
                    // A verification keeps these as they are.
                    "prUrl" | "timing" | "cost" => assert_eq!(run(&with), run(&without), "{field}: {value}"),
                    _ => {
                        assert_eq!(run(&with), run(&without), "{field}: {value}");
                        assert_eq!(verification(&with), verification(&without), "{field}: {value}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_nested_field_of_the_wrong_type_is_left_out() {
        for field in [
            "timing.startedAt", "timing.durationMs", "cost.credits", "tenantContext.tenantId",
            "tenantContext.metadata", "error.code",
        ] {
            let (mut with, mut without) = (complete(), complete());
            let (object, name) = field.split_once('.').unwrap();
            with[object][name] = json!([true]);
            without[object].as_object_mut().unwrap().remove(name);
            assert_eq!(run(&with.into()), run(&without.into()), "{field}");
        }
    }

    #[test]
    fn run_id_is_preferred_to_id() {
        for (data, expected) in [
            (json!({"runId": "run_1"}), Some("run_1")),
            (json!({"id": "run_1"}), Some("run_1")),
            (json!({"id": "run_2", "runId": "run_1"}), Some("run_1")),
            (json!({"id": "run_2", "runId": null}), Some("run_2")),
            (json!({"id": "run_2", "runId": 1}), Some("run_2")),
            (json!({"id": 2}), None),
        ] {
            assert_eq!(run(&data).run_id().map(RunId::as_str), expected, "{data}");
            assert_eq!(verification(&data).run_id().map(RunId::as_str), expected, "{data}");
        }
    }

    #[test]
    fn other_data_is_kept_as_json() {
        for data in [json!(null), json!([]), json!(["run_1"]), json!("run_1"), json!(1), json!(true)] {
            for word in ["run.completed", "verification.passed"] {
                assert_eq!(read(word, &data), EventData::Other(data.clone()), "{word}");
                assert_eq!(serde_json::to_value(read(word, &data)).unwrap(), data);
            }
        }
        let data = json!({"runId": "run_1", "iterations": 3});
        assert_eq!(read("run.paused", &data), EventData::Other(data));
    }
}
