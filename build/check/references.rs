//! Every `$ref` is local, leads to something, and not to itself.

use serde_json::Value;

use crate::build::contract::{lookup, reference};
use crate::build::mistake::Mistake;

/// Longer chains of references than this lead in a circle.
const MAX_CHAIN: usize = 16;

/// Keys whose values are data, not contract.
const DATA: [&str; 4] = ["example", "examples", "default", "enum"];

pub fn check(document: &Value) -> Result<(), Mistake> {
    walk(document, document, "")
}

fn walk(document: &Value, value: &Value, place: &str) -> Result<(), Mistake> {
    match value {
        Value::Object(object) => {
            if let Some(reference) = reference(value) {
                follow(document, reference, place)?;
            }
            for (key, child) in object {
                // A property may be called `default`; as a keyword it holds data.
                let is_data = DATA.contains(&key.as_str()) && !place.ends_with(".properties");
                if is_data && !is_component_examples(place) || key.starts_with("x-") {
                    continue;
                }
                let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                walk(document, child, &place)?;
            }
            Ok(())
        }
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, child)| walk(document, child, &format!("{place}[{index}]")))
        }
        _ => Ok(()),
    }
}

/// `components.examples` holds named examples, whose references count.
fn is_component_examples(place: &str) -> bool {
    place == "components"
}

fn follow(document: &Value, first: &str, place: &str) -> Result<(), Mistake> {
    let mut next = first;
    for _ in 0..MAX_CHAIN {
        if !next.starts_with("#/") {
            return Err(Mistake::at(place, format!("$ref `{next}` is not local; write `#/components/…`")));
        }
        let Some(target) = lookup(document, next) else {
            return Err(Mistake::at(place, format!("$ref `{next}` leads nowhere")));
        };
        match reference(target) {
            Some(further) => next = further,
            None => return Ok(()),
        }
    }
    Err(Mistake::at(place, format!("$ref `{first}` leads in a circle")))
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::json;

    #[test]
    fn a_reference_in_an_example_is_data() {
        let document = json!({"components": {"schemas": {"A": {"example": {"$ref": "#/nowhere"}}}}});
        assert!(check(&document).is_ok());
    }

    #[test]
    fn a_reference_to_nothing_names_its_place() {
        let document = json!({"paths": {"/v1/runs": {"get": {"parameters": [{"$ref": "#/components/parameters/X"}]}}}});
        assert_eq!(
            check(&document).unwrap_err().to_string(),
            "openapi.yaml: paths./v1/runs.get.parameters[0]: $ref `#/components/parameters/X` leads nowhere"
        );
    }

    #[test]
    fn a_circle_of_references_ends() {
        let document = json!({"components": {"schemas": {
            "A": {"$ref": "#/components/schemas/B"},
            "B": {"$ref": "#/components/schemas/A"},
        }}});
        assert!(check(&document).unwrap_err().to_string().ends_with("leads in a circle"));
    }

    #[test]
    fn a_property_that_is_called_default_is_not_skipped() {
        let document = json!({"components": {"schemas": {"A": {"properties": {"default": {"$ref": "#/no"}}}}}});
        assert!(check(&document).is_err());
    }
}
