//! Templates: built-in ones and the organization's own.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::simulator::clock::time::timestamp;

/// The built-in templates: id, name, and tags.
const BUILT_IN: [(&str, &str, &[&str]); 6] = [
    ("node-typescript-api", "Node.js API in TypeScript", &["node", "typescript", "api"]),
    ("node-typescript-lib", "Node.js library in TypeScript", &["node", "typescript", "library"]),
    ("python-fastapi", "Python API with FastAPI", &["python", "api"]),
    ("python-flask", "Python application with Flask", &["python", "web"]),
    ("react-typescript", "React application in TypeScript", &["react", "typescript", "web"]),
    ("next-typescript", "Next.js application in TypeScript", &["next", "typescript", "web"]),
];

#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) id: String,
    /// The fields as they were sent.
    pub(crate) fields: Map<String, Value>,
    /// The times of creation and of the last change. `None` for a built-in template.
    pub(crate) times: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

pub(crate) fn built_in() -> Vec<Template> {
    let template = |(id, name, tags): (&str, &str, &[&str])| {
        let source = json!({ "type": "git", "repository": format!("https://git.example.com/templates/{id}") });
        let fields = [("name", json!(name)), ("source", source), ("tags", json!(tags))];
        let fields = fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Template { id: id.to_owned(), fields, times: None }
    };
    BUILT_IN.into_iter().map(template).collect()
}

impl Template {
    pub(crate) fn is_built_in(&self) -> bool {
        self.times.is_none()
    }

    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.fields.get("tags").and_then(Value::as_array).is_some_and(|tags| tags.iter().any(|known| known == tag))
    }

    pub(crate) fn to_json(&self) -> Value {
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
