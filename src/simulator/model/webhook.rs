//! Webhooks.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::Secret;
use crate::simulator::clock::time::timestamp;
use crate::simulator::model::rate_limit::Limit;
use crate::simulator::model::response::without_nulls;

#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) id: Arc<str>,
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    pub(crate) enabled: bool,
    pub(crate) description: Option<String>,
    pub(crate) secret: Secret,
    /// Additional headers of each delivery.
    pub(crate) headers: HeaderMap,
    pub(crate) tests: Limit,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Webhook {
    pub(crate) fn is_subscribed_to(&self, event_type: &str) -> bool {
        self.enabled && self.events.iter().any(|subscribed| subscribed == event_type)
    }

    /// Returns the webhook without its secret, which only the response to its creation contains.
    pub(crate) fn to_json(&self) -> Value {
        without_nulls(json!({
            "id": &*self.id,
            "url": self.url,
            "events": self.events,
            "enabled": self.enabled,
            "description": self.description,
            "createdAt": timestamp(self.created_at),
            "updatedAt": timestamp(self.updated_at),
        }))
    }
}
