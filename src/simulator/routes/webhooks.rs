//! Webhooks: list, create, get, update, delete, test.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::Secret;
use crate::simulator::delivery::schedule::Scheduled;
use crate::simulator::delivery::signed_request::is_reserved;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::rate_limit::Limit;
use crate::simulator::model::response::{self, Response, created, ok};
use crate::simulator::model::webhook::Webhook;
use crate::simulator::routes::body::{Object, Validator};
use crate::simulator::routes::call::Call;

/// Number of test deliveries per minute and webhook.
const TESTS: u32 = 10;

/// The fields of a webhook in a body.
struct Fields {
    url: Option<String>,
    events: Option<Vec<String>>,
    enabled: Option<bool>,
    description: Option<String>,
}

pub(crate) fn list(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let page = call.query.page(20, usize::MAX);
    call.query.check()?;
    Ok(ok(&page.of("data", organization.webhooks.iter(), Webhook::to_json)))
}

pub(crate) fn create(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let body = call.json()?;
    let object = Object::root(&body)?;
    let mut validator = Validator::default();
    validator.require(&object, "url");
    validator.require(&object, "events");
    let headers = additional_headers(&mut validator, &object);
    let fields = read(&mut validator, &object);
    validator.finish()?;

    organization.webhooks_created += 1;
    let number = organization.webhooks_created;
    let secret = format!("whsec_simulator{number:06}");
    let webhook = Webhook {
        id: format!("wh_{number:06}").into(),
        url: fields.url.unwrap_or_default(),
        events: fields.events.unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
        description: fields.description,
        secret: Secret::from(secret.as_str()),
        headers,
        tests: Limit::per_minute(TESTS),
        created_at: call.now,
        updated_at: call.now,
    };
    let response = created(&json!({ "webhook": webhook.to_json(), "secret": secret }));
    organization.webhooks.push(webhook);
    Ok(response)
}

pub(crate) fn get(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let position = organization.webhook_position(&call.id)?;
    Ok(ok(&organization.webhooks[position].to_json()))
}

pub(crate) fn update(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let body = call.json()?;
    let mut validator = Validator::default();
    let fields = read(&mut validator, &Object::root(&body)?);
    validator.finish()?;

    let position = organization.webhook_position(&call.id)?;
    let webhook = &mut organization.webhooks[position];
    webhook.url = fields.url.unwrap_or_else(|| webhook.url.clone());
    webhook.events = fields.events.unwrap_or_else(|| webhook.events.clone());
    webhook.enabled = fields.enabled.unwrap_or(webhook.enabled);
    webhook.description = fields.description.or_else(|| webhook.description.clone());
    webhook.updated_at = call.now;
    Ok(ok(&webhook.to_json()))
}

pub(crate) fn delete(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let position = organization.webhook_position(&call.id)?;
    organization.webhooks.remove(position);
    Ok(response::no_content())
}

pub(crate) fn test(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let position = organization.webhook_position(&call.id)?;
    let webhook = &mut organization.webhooks[position];
    webhook.tests.acquire(call.now).map_err(|quota| ApiError::rate_limited(quota, call.now))?;
    call.schedule.push(call.now, Scheduled::Test { webhook: webhook.id.clone() });
    // The delivery is not sent yet.
    Ok(ok(&json!({ "delivered": false })))
}

/// Reads the additional headers of deliveries. The contract allows names that HTTP does not allow or that the delivery
/// sets itself. They are not sent.
fn additional_headers(validator: &mut Validator, object: &Object<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in validator.texts(object, "headers") {
        // Other bytes than ASCII could be sent, but receivers may not be able to read them.
        match HeaderValue::from_str(value).ok().filter(|_| value.is_ascii()) {
            None => {
                let field = format!("{}.{name}", object.path("headers"));
                validator.error(field, "must be ASCII without control characters");
            }
            Some(value) => {
                if let Ok(name) = HeaderName::from_bytes(name.as_bytes())
                    && !is_reserved(name.as_str())
                {
                    headers.append(name, value);
                }
            }
        }
    }
    headers
}

fn read(validator: &mut Validator, object: &Object<'_>) -> Fields {
    let events = validator.list(object, "events");
    if object.get("events").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        validator.error(object.path("events"), "must name at least one event type");
    }
    Fields {
        url: validator.callback(object, "url").map(str::to_owned),
        events,
        enabled: validator.boolean(object, "enabled"),
        description: validator.text(object, "description").map(str::to_owned),
    }
}
