//! A request as a handler sees it.

use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::simulator::delivery::schedule::Schedule;
use crate::simulator::model::error::ApiError;
use crate::simulator::routes::body;
use crate::simulator::routes::query::Query;

/// A request that has passed authentication and rate limits.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The id in the path; empty if the path has none.
    pub(crate) id: String,
    pub(crate) query: Query,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) now: DateTime<Utc>,
    /// The schedule of the events that the request causes.
    pub(crate) schedule: &'a mut Schedule,
}

impl Call<'_> {
    /// Parses the body as JSON.
    pub(crate) fn json(&self) -> Result<Value, ApiError> {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = value.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            let message = "The body must be sent with `Content-Type: application/json`.";
            return Err(ApiError::new("INVALID_REQUEST").with_message(message));
        }
        body::parse(self.body)
    }
}
