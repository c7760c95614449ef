//! Webhooks: where events are to be delivered.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::Secret;
use crate::simulator::clock::time::timestamp;
use crate::simulator::delivery::{Due, signed_request};
use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::rate_limit::Limit;
use crate::simulator::model::response::{Answer, present};
use crate::simulator::routes::Call;
use crate::simulator::routes::body::{self, Check, Object};

/// Number of test deliveries that a webhook allows in a minute.
const TESTS: u32 = 10;

#[derive(Debug)]
pub(crate) struct Webhook {
    /// The webhooks that were ever created count from one.
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) url: String,
    events: Vec<String>,
    pub(crate) enabled: bool,
    description: Option<String>,
    pub(crate) secret: Secret,
    /// The headers that are sent with each delivery besides its own.
    pub(crate) headers: HeaderMap,
    tests: Limit,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// The fields of a webhook that a body may set.
struct Changes {
    url: Option<String>,
    events: Option<Vec<String>>,
    enabled: Option<bool>,
    description: Option<String>,
}

// Infallible, but of the shape that all operations have.
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn list(organization: &mut Organization, _: &mut Call<'_>) -> Result<Answer, ApiError> {
    let webhooks: Vec<_> = organization.webhooks.iter().map(Webhook::to_json).collect();
    Ok(Answer::ok(&json!({ "data": webhooks })))
}

pub(crate) fn create(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let body = call.json()?;
    let object = body::root(&body)?;
    let mut check = Check::default();
    check.require(&object, "url");
    check.require(&object, "events");
    let headers = own_headers(&mut check, &object);
    let changes = read(&mut check, &object);
    check.finish()?;

    organization.webhooks_created += 1;
    let number = organization.webhooks_created;
    let secret = format!("whsec_simulator{number:06}");
    let webhook = Webhook {
        number,
        id: format!("wh_{number:06}"),
        url: changes.url.unwrap_or_default(),
        events: changes.events.unwrap_or_default(),
        enabled: changes.enabled.unwrap_or(true),
        description: changes.description,
        secret: Secret::from(secret.as_str()),
        headers,
        tests: Limit::a_minute(TESTS),
        created_at: call.now,
        updated_at: call.now,
    };
    let created = json!({ "webhook": webhook.to_json(), "secret": secret });
    organization.webhooks.push(webhook);
    Ok(Answer::created(&created))
}

pub(crate) fn get(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let position = position(organization, &call.id)?;
    Ok(Answer::ok(&organization.webhooks[position].to_json()))
}

pub(crate) fn update(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let body = call.json()?;
    let mut check = Check::default();
    let changes = read(&mut check, &body::root(&body)?);
    check.finish()?;

    let position = position(organization, &call.id)?;
    let webhook = &mut organization.webhooks[position];
    webhook.url = changes.url.unwrap_or_else(|| webhook.url.clone());
    webhook.events = changes.events.unwrap_or_else(|| webhook.events.clone());
    webhook.enabled = changes.enabled.unwrap_or(webhook.enabled);
    webhook.description = changes.description.or_else(|| webhook.description.clone());
    webhook.updated_at = call.now;
    Ok(Answer::ok(&webhook.to_json()))
}

pub(crate) fn delete(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let position = position(organization, &call.id)?;
    organization.webhooks.remove(position);
    Ok(Answer::no_content())
}

pub(crate) fn test(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let position = position(organization, &call.id)?;
    let webhook = &mut organization.webhooks[position];
    webhook.tests.take(call.now).map_err(|quota| ApiError::rate_limited(quota, call.now))?;
    organization.agenda.push(call.now, Due::Test { webhook: webhook.number });
    // It is on its way at best.
    Ok(Answer::ok(&json!({ "delivered": false })))
}

fn position(organization: &Organization, id: &str) -> Result<usize, ApiError> {
    organization
        .webhooks
        .iter()
        .position(|webhook| webhook.id == id)
        .ok_or_else(|| ApiError::not_found(&format!("webhook {id}")))
}

/// The headers to send with each delivery. A name that HTTP does not allow, or that the delivery sets itself, is not
/// sent: the contract forbids neither.
fn own_headers(check: &mut Check, object: &Object<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in check.texts(object, "headers") {
        // Bytes beyond ASCII could be sent, but nothing promises that they arrive.
        match Some(value).filter(|value| value.is_ascii()).and_then(|value| HeaderValue::from_str(value).ok()) {
            None => {
                let field = format!("{}.{name}", object.path("headers"));
                check.refuse(field, "must be ASCII without control characters");
            }
            Some(value) => {
                let name = HeaderName::from_bytes(name.as_bytes()).ok();
                if let Some(name) = name.filter(|name| !signed_request::is_reserved(name)) {
                    headers.append(name, value);
                }
            }
        }
    }
    headers
}

fn read(check: &mut Check, object: &Object<'_>) -> Changes {
    let events = check.list(object, "events");
    if object.get("events").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        check.refuse(object.path("events"), "must name at least one event type");
    }
    Changes {
        url: check.callback(object, "url").map(str::to_owned),
        events,
        enabled: check.boolean(object, "enabled"),
        description: check.text(object, "description").map(str::to_owned),
    }
}

impl Webhook {
    /// Returns `true` if it subscribes to events of this type.
    pub(crate) fn wants(&self, event_type: &str) -> bool {
        self.enabled && self.events.iter().any(|wanted| wanted == event_type)
    }

    /// The webhook without its secret, which is shown only once.
    fn to_json(&self) -> Value {
        present(json!({
            "id": self.id,
            "url": self.url,
            "events": self.events,
            "enabled": self.enabled,
            "description": self.description,
            "createdAt": timestamp(self.created_at),
            "updatedAt": timestamp(self.updated_at),
        }))
    }
}
