//! Validation of workspace sources, for work orders and templates.

use crate::simulator::model::organization::Organization;
use crate::simulator::routes::body::{Object, Validator};

pub(crate) fn validate(validator: &mut Validator, object: &Object<'_>, name: &str, organization: &Organization) {
    let Some(source) = validator.object(object, name) else { return };
    validator.require(&source, "type");
    match validator.text(&source, "type") {
        Some("git") => {
            validator.require(&source, "repository");
            validator.non_empty_text(&source, "repository");
            validator.text(&source, "branch");
            validator.text(&source, "commit");
        }
        Some("template") => {
            validator.require(&source, "templateId");
            if let Some(id) = validator.text(&source, "templateId")
                && organization.template_position(id).is_err()
            {
                validator.error(source.path("templateId"), format!("there is no template {id}"));
            }
            validator.texts(&source, "variables");
        }
        Some("url") => {
            validator.require(&source, "url");
            validator.non_empty_text(&source, "url");
            validator.text(&source, "format");
        }
        Some(_) => validator.error(source.path("type"), "must be one of git, template, url"),
        None => {}
    }
}
