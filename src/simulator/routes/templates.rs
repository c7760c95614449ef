//! Templates: workspaces to start from, built in or the organization's own.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::simulator::clock::time::timestamp;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::response::Answer;
use crate::simulator::routes::Call;
use crate::simulator::routes::body::{self, Check, Object};
use crate::simulator::routes::workspace_source;

/// The built-in templates: id, name, and tags.
const BUILT_IN: [(&str, &str, &[&str]); 6] = [
    ("node-typescript-api", "Node.js API in TypeScript", &["node", "typescript", "api"]),
    ("node-typescript-lib", "Node.js library in TypeScript", &["node", "typescript", "library"]),
    ("python-fastapi", "Python API with FastAPI", &["python", "api"]),
    ("python-flask", "Python application with Flask", &["python", "web"]),
    ("react-typescript", "React application in TypeScript", &["react", "typescript", "web"]),
    ("next-typescript", "Next.js application in TypeScript", &["next", "typescript", "web"]),
];

/// The fields that are kept as they were sent.
const FIELDS: [&str; 6] = ["name", "description", "source", "variables", "hooks", "tags"];

#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) id: String,
    fields: Map<String, Value>,
    /// When it was created and last changed. `None` for the built-in ones, which have always been there.
    times: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// The templates that everybody has.
pub(crate) fn built_in() -> Vec<Template> {
    let template = |(id, name, tags): (&str, &str, &[&str])| {
        let source = json!({ "type": "git", "repository": format!("https://git.example.com/templates/{id}") });
        let fields = [("name", json!(name)), ("source", source), ("tags", json!(tags))];
        Template {
            id: id.to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
            times: None,
        }
    };
    BUILT_IN.into_iter().map(template).collect()
}

// Infallible, but of the shape that all operations have.
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn list(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let tag = call.query.text("tag");
    let tagged = organization.templates.iter().filter(|template| tag.is_none_or(|tag| template.has_tag(tag)));
    let templates: Vec<_> = tagged.map(Template::to_json).collect();
    Ok(Answer::ok(&json!({ "data": templates })))
}

pub(crate) fn create(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let body = call.json()?;
    let object = body::root(&body)?;
    let mut check = Check::default();
    for name in ["id", "name", "source"] {
        check.require(&object, name);
    }
    let id = check.text(&object, "id").unwrap_or_default();
    if object.get("id").is_some_and(Value::is_string) && !is_id(id) {
        check.refuse(object.path("id"), "must consist of lower-case letters, digits and hyphens");
    }
    let fields = read(organization, &mut check, &object);
    check.finish()?;
    if organization.templates.iter().any(|template| template.id == id) {
        return Err(ApiError::conflict(format!("There is a template {id} already.")));
    }

    let template = Template { id: id.to_owned(), fields, times: Some((call.now, call.now)) };
    let created = template.to_json();
    organization.templates.push(template);
    Ok(Answer::created(&created))
}

pub(crate) fn get(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let position = position(organization, &call.id)?;
    Ok(Answer::ok(&organization.templates[position].to_json()))
}

pub(crate) fn update(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let body = call.json()?;
    let mut check = Check::default();
    let fields = read(organization, &mut check, &body::root(&body)?);
    check.finish()?;

    let position = own_position(organization, &call.id)?;
    let template = &mut organization.templates[position];
    template.fields.extend(fields);
    if let Some((_, updated_at)) = &mut template.times {
        *updated_at = call.now;
    }
    Ok(Answer::ok(&template.to_json()))
}

pub(crate) fn delete(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let position = own_position(organization, &call.id)?;
    organization.templates.remove(position);
    Ok(Answer::no_content())
}

fn position(organization: &Organization, id: &str) -> Result<usize, ApiError> {
    organization
        .templates
        .iter()
        .position(|template| template.id == id)
        .ok_or_else(|| ApiError::not_found(&format!("template {id}")))
}

/// Returns the position of a template that may be changed.
fn own_position(organization: &Organization, id: &str) -> Result<usize, ApiError> {
    let position = position(organization, id)?;
    if organization.templates[position].is_built_in() {
        return Err(ApiError::conflict(format!("The template {id} is built in and cannot be changed.")));
    }
    Ok(position)
}

/// The fields of a template that a body sets.
fn read(organization: &Organization, check: &mut Check, object: &Object<'_>) -> Map<String, Value> {
    check.some_text(object, "name");
    check.text(object, "description");
    workspace_source::check(check, object, "source", |id| {
        organization.templates.iter().any(|template| template.id == id)
    });
    for variable in check.objects(object, "variables") {
        check.require(&variable, "name");
        check.some_text(&variable, "name");
        check.text(&variable, "description");
        check.boolean(&variable, "required");
    }
    check.object(object, "hooks");
    check.list(object, "tags");
    FIELDS.into_iter().filter_map(|name| Some((name.to_owned(), object.copy(name)?))).collect()
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

impl Template {
    fn is_built_in(&self) -> bool {
        self.times.is_none()
    }

    fn has_tag(&self, tag: &str) -> bool {
        self.fields.get("tags").and_then(Value::as_array).is_some_and(|tags| tags.iter().any(|known| known == tag))
    }

    fn to_json(&self) -> Value {
        let mut json = self.fields.clone();
        json.insert("id".to_owned(), json!(self.id));
        json.insert("builtIn".to_owned(), json!(self.is_built_in()));
        if let Some((created_at, updated_at)) = self.times {
            json.insert("createdAt".to_owned(), json!(timestamp(created_at)));
            json.insert("updatedAt".to_owned(), json!(timestamp(updated_at)));
        }
        Value::Object(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_lower_case_letters_digits_and_hyphens() {
        for id in ["acme", "acme-order-service", "python-3"] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", "Acme", "acme_service", "acme service", "café"] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn the_built_in_templates_are_those_of_the_documentation() {
        assert!(built_in().iter().all(|template| is_id(&template.id) && template.is_built_in()));
        assert!(built_in().iter().filter(|template| template.has_tag("python")).count() == 2);
    }
}
