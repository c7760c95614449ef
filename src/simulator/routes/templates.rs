//! Templates: list, create, get, update, delete.

use serde_json::{Map, Value};

use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::response::{self, Response, created, ok};
use crate::simulator::model::template::Template;
use crate::simulator::routes::body::{Object, Validator};
use crate::simulator::routes::call::Call;
use crate::simulator::routes::workspace_source;

/// The fields that are stored as they were sent.
const FIELDS: [&str; 6] = ["name", "description", "source", "variables", "hooks", "tags"];

pub(crate) fn list(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let page = call.query.page(20, usize::MAX);
    call.query.check()?;
    let tag = call.query.text("tag");
    let tagged = organization.templates.iter().filter(|template| tag.is_none_or(|tag| template.has_tag(tag)));
    Ok(ok(&page.of("data", tagged, Template::to_json)))
}

pub(crate) fn create(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let body = call.json()?;
    let object = Object::root(&body)?;
    let mut validator = Validator::default();
    for name in ["id", "name", "source"] {
        validator.require(&object, name);
    }
    let id = validator.text(&object, "id");
    if id.is_some_and(|id| !is_id(id)) {
        validator.error(object.path("id"), "must consist of lower-case letters, digits and hyphens");
    }
    let fields = read(organization, &mut validator, &object);
    validator.finish()?;
    let id = id.unwrap_or_default().to_owned();
    if organization.template_position(&id).is_ok() {
        return Err(ApiError::conflict(format!("There is already a template {id}.")));
    }

    let template = Template { id, fields, times: Some((call.now, call.now)) };
    let response = created(&template.to_json());
    organization.templates.push(template);
    Ok(response)
}

pub(crate) fn get(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let position = organization.template_position(&call.id)?;
    Ok(ok(&organization.templates[position].to_json()))
}

pub(crate) fn update(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let body = call.json()?;
    let mut validator = Validator::default();
    let fields = read(organization, &mut validator, &Object::root(&body)?);
    validator.finish()?;

    let position = own_position(organization, &call.id)?;
    let template = &mut organization.templates[position];
    template.fields.extend(fields);
    if let Some((_, updated_at)) = &mut template.times {
        *updated_at = call.now;
    }
    Ok(ok(&template.to_json()))
}

pub(crate) fn delete(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let position = own_position(organization, &call.id)?;
    organization.templates.remove(position);
    Ok(response::no_content())
}

/// Returns the index of a template that may be changed.
fn own_position(organization: &Organization, id: &str) -> Result<usize, ApiError> {
    let position = organization.template_position(id)?;
    if organization.templates[position].is_built_in() {
        return Err(ApiError::conflict(format!("The template {id} is built in and cannot be changed.")));
    }
    Ok(position)
}

/// Reads the fields of a template in a body.
fn read(organization: &Organization, validator: &mut Validator, object: &Object<'_>) -> Map<String, Value> {
    validator.non_empty_text(object, "name");
    validator.text(object, "description");
    workspace_source::validate(validator, object, "source", organization);
    for variable in validator.objects(object, "variables") {
        validator.require(&variable, "name");
        validator.non_empty_text(&variable, "name");
        validator.text(&variable, "description");
        validator.boolean(&variable, "required");
    }
    validator.object(object, "hooks");
    validator.list(object, "tags");
    FIELDS.into_iter().filter_map(|name| Some((name.to_owned(), object.get(name)?.clone()))).collect()
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}
