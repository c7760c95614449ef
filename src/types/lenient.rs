//! Reads undocumented fields leniently: a value that does not fit is left out.
//!
//! The data of events is not documented, and a webhook that fails because of one unexpected field would lose the event.
//! So objects that the contract marks with `x-lenient` read each field by one of these functions, which fail only if
//! the text is not JSON.

use chrono::{DateTime, Utc};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::{Map, Value};

use super::timestamp::optional_time;

/// Reads a value, or the default if it does not fit.
pub(super) fn value<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(T::deserialize(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// Reads a time in the formats of [`optional_time`], or `None` if it does not fit.
#[cfg_attr(not(test), allow(dead_code, reason = "generated for lenient objects with a time"))]
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(optional_time(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// Reads an object without the members that do not fit, or `None` if it is not an object.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    // Serde would read a struct from a list of its fields.
    let Some(members) = value.as_object() else {
        return Ok(None);
    };
    let fitting = || members.clone().into_iter().filter(|(name, value)| fits_alone::<T>(name, value)).collect();
    Ok(T::deserialize(&value).or_else(|_| T::deserialize(Value::Object(fitting()))).ok())
}

/// Returns whether an object with only this member can be read.
fn fits_alone<T: DeserializeOwned>(name: &str, value: &Value) -> bool {
    T::deserialize(Value::Object(Map::from_iter([(name.to_owned(), value.clone())]))).is_ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use crate::types::{RunError, RunStatus, RunTiming, TenantContext};

    #[derive(Debug, Default, Deserialize, PartialEq)]
    struct Fields {
        #[serde(default, deserialize_with = "super::value")]
        count: Option<u32>,
        #[serde(default, deserialize_with = "super::value")]
        status: Option<RunStatus>,
        #[serde(default, deserialize_with = "super::value")]
        words: Vec<String>,
        #[serde(default, deserialize_with = "super::time")]
        at: Option<chrono::DateTime<chrono::Utc>>,
        #[serde(default, deserialize_with = "super::object")]
        timing: Option<RunTiming>,
        #[serde(default, deserialize_with = "super::object")]
        tenant: Option<TenantContext>,
        #[serde(default, deserialize_with = "super::object")]
        error: Option<RunError>,
    }

    fn read(value: serde_json::Value) -> Fields {
        // Serde reads text and values in different ways.
        let from_text: Fields = serde_json::from_str(&value.to_string()).unwrap();
        let from_value: Fields = serde_json::from_value(value).unwrap();
        assert_eq!(from_text, from_value);
        from_value
    }

    #[test]
    fn values_that_fit_are_read() {
        let fields = read(json!({
            "count": 3, "status": "no-such-status", "words": ["a"], "at": "2026-01-01T00:00:00.5", "timing": {"durationMs": 7},
        }));
        assert_eq!(fields.count, Some(3));
        assert_eq!(fields.status, Some(RunStatus::Unknown("no-such-status".to_owned())));
        assert_eq!(fields.words, ["a"]);
        assert_eq!(fields.at.unwrap().to_rfc3339(), "2026-01-01T00:00:00.500+00:00");
        assert_eq!(fields.timing.unwrap().duration_ms, Some(7));
    }

    #[test]
    fn values_that_do_not_fit_are_left_out() {
        for value in [json!(-1), json!(1.5), json!(true), json!("soon"), json!(null), json!([1]), json!([])] {
            let mut fields = read(json!({
                "count": value, "words": value, "at": value, "timing": value, "tenant": value, "error": value,
            }));
            fields.words.clear();
            assert_eq!(fields, Fields::default(), "{value}");
        }
        assert_eq!(read(json!({"status": 7, "words": "a", "count": u64::MAX, "at": 1_768_473_060})), Fields::default());
    }

    #[test]
    fn an_object_keeps_the_members_that_fit() {
        let fields = read(json!({
            "timing": {"startedAt": "today", "completedAt": "2026-01-01T00:00:00Z", "durationMs": "long"},
            "tenant": {"tenantId": "acme-corp", "tenantUserId": 7, "metadata": "team"},
            "error": {"code": 7, "message": "no", "step": [1]},
        }));
        let timing = fields.timing.unwrap();
        assert_eq!((timing.started_at, timing.duration_ms), (None, None));
        assert_eq!(timing.completed_at.unwrap().to_rfc3339(), "2026-01-01T00:00:00+00:00");
        let tenant = fields.tenant.unwrap();
        assert_eq!((tenant.tenant_id.as_deref(), tenant.tenant_user_id), (Some("acme-corp"), None));
        assert!(tenant.metadata.is_empty());
        let error = fields.error.unwrap();
        assert_eq!((error.code, error.message.as_deref()), (None, Some("no")));
        assert_eq!(error.extra["step"], json!([1]));
    }

    #[test]
    fn an_object_without_a_required_field_is_left_out() {
        #[derive(Debug, Deserialize)]
        struct Holder {
            #[serde(default, deserialize_with = "super::object")]
            run: Option<crate::types::Run>,
        }
        for run in [json!({}), json!({"id": 1, "workOrderId": "wo_1", "status": "running"})] {
            assert!(serde_json::from_value::<Holder>(json!({"run": run})).unwrap().run.is_none());
        }
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        assert!(serde_json::from_str::<Fields>(r#"{"count": }"#).is_err());
    }
}
