//! Workspace sources, which work orders and templates have in common.

use crate::simulator::routes::body::{Check, Object};

const TYPES: &str = "git, template, url";

/// Checks the workspace source under `name`, if there. `exists` tells whether there is a template of an id.
pub(crate) fn check(check: &mut Check, object: &Object<'_>, name: &str, exists: impl Fn(&str) -> bool) {
    let Some(source) = check.object(object, name) else { return };
    check.require(&source, "type");
    match check.text(&source, "type") {
        Some("git") => {
            check.require(&source, "repository");
            check.some_text(&source, "repository");
            check.text(&source, "branch");
            check.text(&source, "commit");
        }
        Some("template") => {
            check.require(&source, "templateId");
            if let Some(id) = check.text(&source, "templateId")
                && !exists(id)
            {
                check.refuse(source.path("templateId"), format!("there is no template {id}"));
            }
            check.texts(&source, "variables");
        }
        Some("url") => {
            check.require(&source, "url");
            check.some_text(&source, "url");
            check.text(&source, "format");
        }
        Some(_) => check.refuse(source.path("type"), format!("must be one of {TYPES}")),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::simulator::routes::body::root;

    fn details(source: &Value) -> Option<Value> {
        let body = json!({ "workspaceSource": source });
        let mut errors = Check::default();
        check(&mut errors, &root(&body).unwrap(), "workspaceSource", |id| id == "python-flask");
        errors.finish().err().and_then(|error| error.details)
    }

    #[test]
    fn each_type_needs_its_own_fields() {
        for source in [
            json!({ "type": "git", "repository": "https://github.com/your-org/your-repo" }),
            json!({ "type": "template", "templateId": "python-flask", "variables": { "name": "shop" } }),
            json!({ "type": "url", "url": "https://files.example.com/a.zip", "format": "zip" }),
            json!({ "type": "url", "url": "https://files.example.com/a.rar", "format": "rar" }),
        ] {
            assert_eq!(details(&source), None, "{source}");
        }
        for (source, field) in [
            (json!({}), "workspaceSource.type"),
            (json!({ "type": "svn" }), "workspaceSource.type"),
            (json!({ "type": "git" }), "workspaceSource.repository"),
            (json!({ "type": "template" }), "workspaceSource.templateId"),
            (json!({ "type": "template", "templateId": "cobol" }), "workspaceSource.templateId"),
            (
                json!({ "type": "template", "templateId": "python-flask", "variables": { "n": 1 } }),
                "workspaceSource.variables.n",
            ),
            (json!({ "type": "url" }), "workspaceSource.url"),
            (json!({ "type": "url", "url": "https://files.example.com/a.zip", "format": 1 }), "workspaceSource.format"),
            (json!("git"), "workspaceSource"),
        ] {
            let details = details(&source).unwrap();
            assert_eq!(details["errors"][0]["field"], field, "{source}");
            assert_eq!(details["errors"].as_array().unwrap().len(), 1, "{source}");
        }
    }
}
