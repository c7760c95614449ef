//! The Rust code for each part of OpenAPI.

use serde_json::{Value, json};

use super::sample::{contract, error, generated, with};

/// Returns the sample with a property of what is received, and of what is sent.
fn with_property(property: &str) -> Value {
    let property = crate::build::yaml::read(property).unwrap();
    with(&json!({
        "/components/schemas/Widget/properties/probe": property,
        "/components/schemas/NewWidget/properties/probe": property,
    }))
}

/// Returns the code of a struct.
fn structure<'a>(types: &'a str, name: &str) -> &'a str {
    let start = types.find(&format!("pub struct {name} {{")).unwrap_or_else(|| panic!("no {name}"));
    types[start..].split_inclusive('}').next().unwrap_or_default()
}

fn compact(text: &str) -> String {
    text.replace(' ', "").replace(",>", ">").replace(",)", ")").replace("::std::", "")
}

#[track_caller]
fn assert_holds(text: &str, part: &str) {
    assert!(compact(text).contains(&compact(part)), "no {part} in {text}");
}

#[test]
fn every_type_has_a_field_and_an_argument() {
    let text = "string::String";
    let reference = "allOf: [{$ref: '#/components/schemas/PartId'}]";
    for (property, field, accepted) in [
        ("{type: string, pattern: '^a', maxLength: 3}", text, "impl Into<string::String>"),
        ("{type: string, format: uuid}", text, "impl Into<string::String>"),
        (
            "{type: string, format: date-time}",
            "::chrono::DateTime<::chrono::offset::Utc>",
            "::chrono::DateTime<::chrono::offset::Utc>",
        ),
        ("{type: integer}", "i64", "i64"),
        ("{type: integer, format: int32}", "i32", "i32"),
        ("{type: integer, minimum: 0}", "u64", "u64"),
        ("{type: integer, format: int32, minimum: 1, maximum: 9, default: 2}", "u32", "u32"),
        ("{type: number}", "f64", "f64"),
        ("{type: number, format: float}", "f32", "f32"),
        ("{type: boolean, default: true}", "bool", "bool"),
        ("{x-any-json: true}", "::serde_json::Value", "impl Into<::serde_json::Value>"),
        (
            "{x-any-json: true, oneOf: [{type: string}, {type: integer}]}",
            "::serde_json::Value",
            "impl Into<::serde_json::Value>",
        ),
        (&format!("{{{reference}}}"), "crate::types::PartId", "impl Into<crate::types::PartId>"),
        (
            "{type: array, items: {type: string}}",
            "vec::Vec<string::String>",
            "impl IntoIterator<Item = impl Into<string::String>>",
        ),
        (
            "{type: array, items: {type: array, items: {type: integer}}}",
            "vec::Vec<vec::Vec<i64>>",
            "impl IntoIterator<Item = impl IntoIterator<Item = i64>>",
        ),
        (
            "{type: array, items: {type: string, nullable: true}}",
            "vec::Vec<option::Option<string::String>>",
            "impl IntoIterator<Item = option::Option<impl Into<string::String>>>",
        ),
        (
            "{type: object, additionalProperties: {$ref: '#/components/schemas/PartId'}}",
            "collections::BTreeMap<string::String, crate::types::PartId>",
            "impl IntoIterator<Item = (impl Into<String>, impl Into<crate::types::PartId>)>",
        ),
        (
            "{type: object}",
            "::serde_json::Map<string::String, ::serde_json::Value>",
            "::serde_json::Map<string::String, ::serde_json::Value>",
        ),
    ] {
        let code = generated(&with_property(&property.replacen('{', "{description: It., ", 1)));
        assert_holds(structure(&code.types, "NewWidget"), &format!("pub probe: option::Option<{field}>"));
        let is_collection = property.contains("array") || property.contains("object");
        let received = if is_collection { field.to_owned() } else { format!("option::Option<{field}>") };
        assert_holds(structure(&code.types, "Widget"), &format!("pub probe: {received}"));
        assert_holds(&code.calls, &format!("pub fn probe(mut self, probe: {accepted})"));
    }
}

#[test]
fn a_format_without_a_type_is_documented() {
    let types =
        generated(&with_property("{type: array, items: {type: string, format: uuid}, description: Several}")).types;
    assert_holds(&types, "///Several. Format: `uuid`.");
}

#[test]
fn a_reference_has_a_description_of_its_own() {
    let property = "{allOf: [{$ref: '#/components/schemas/Price'}], description: What it costs., nullable: true}";
    assert_holds(structure(&generated(&with_property(property)).types, "Widget"), "///What it costs.");
}

#[test]
fn null_can_be_read_set_and_sent() {
    let text = "{type: string, nullable: true, description: It.}";
    let mut contract = with_property(text);
    let code = generated(&contract);
    assert_holds(structure(&code.types, "Widget"), "pub probe: option::Option<string::String>");
    let sent =
        "skip_serializing_if = \"::std::option::Option::is_none\", deserialize_with = \"crate::types::null_or_value\"";
    assert_holds(structure(&code.types, "NewWidget"), sent);
    assert_holds(structure(&code.types, "NewWidget"), "pub probe: option::Option<option::Option<string::String>>");
    assert_holds(&code.calls, "pub fn probe(mut self, probe: impl Into<string::String>)");
    assert_holds(&code.calls, "pub fn clear_probe(mut self) -> Self { self.endpoint.body.probe = Some(None);");
    for name in ["Widget", "NewWidget"] {
        contract["components"]["schemas"][name]["required"].as_array_mut().unwrap().push(json!("probe"));
    }
    let code = generated(&contract);
    let read =
        "#[serde(deserialize_with = \"::std::option::Option::deserialize\")] pub probe: option::Option<string::String>";
    assert_holds(structure(&code.types, "Widget"), read);
    assert_holds(structure(&code.types, "NewWidget"), read);
    assert!(!code.calls.contains("clear_probe") && code.calls.contains("pub fn probe("));
}

#[test]
fn an_object_that_holds_itself_is_boxed() {
    let itself = "$ref: '#/components/schemas/Widget'";
    for (property, field) in [
        (format!("{{{itself}}}"), "option::Option<boxed::Box<crate::types::Widget>>"),
        (format!("{{description: It., type: array, items: {{{itself}}}}}"), "vec::Vec<crate::types::Widget>"),
    ] {
        let property = crate::build::yaml::read(&property).unwrap();
        let types = generated(&with(&json!({"/components/schemas/Widget/properties/probe": property}))).types;
        assert_holds(structure(&types, "Widget"), &format!("pub probe: {field}"));
    }
    let edits = json!({"/components/schemas/Price/properties/of": {"$ref": "#/components/schemas/Widget"}});
    let types = generated(&with(&edits)).types;
    assert_holds(structure(&types, "Price"), "pub of: option::Option<boxed::Box<crate::types::Widget>>");
}

#[test]
fn types_have_equality_and_a_hash_where_all_members_have() {
    let derives = |types: &str, name: &str| {
        let (before, _) = types.split_once(&format!("pub struct {name} {{")).unwrap();
        before[before.rfind("#[derive(").unwrap()..].split(')').next().unwrap().to_owned()
    };
    let types = generated(&contract()).types;
    assert!(derives(&types, "Widget").contains("PartialEq, Eq, Hash, ::serde::Serialize"));
    assert!(
        !derives(&types, "PartCreated").contains("PartialEq") && !derives(&types, "PartCreated").contains("Serialize")
    );
    let types = generated(&with(
        &json!({"/components/schemas/MadeSource/properties/cost": {"type": "number", "description": "It."}}),
    ))
    .types;
    // The fraction is in a member of the union.
    assert!(derives(&types, "Widget").contains("PartialEq, ::serde::Serialize"));
    assert!(derives(&types, "BoughtSource").contains("Eq, Hash"));
}

#[test]
fn what_a_put_returns_converts_to_what_it_takes() {
    let types = generated(&contract()).types;
    assert_holds(
        &types,
        "impl From<Widget> for WidgetUpdate { fn from(value: Widget) -> Self { Self { name: value.name, origin: value.origin, tags: Some(value.tags).filter(|value| !value.is_empty())",
    );
    let edits = json!({"/components/schemas/WidgetUpdate/properties/depth": {"type": "integer", "description": "It."}});
    assert!(!generated(&with(&edits)).types.contains("for WidgetUpdate { fn from"));
}

#[test]
fn a_body_is_given_whole_or_in_parts() {
    let calls = generated(&contract()).calls;
    assert_holds(
        &calls,
        "pub fn update(&self, id: impl Into<crate::types::WidgetId>) -> Call<UpdateWidget> { self.update_from(id, <crate::types::WidgetUpdate>::new())",
    );
    assert_holds(
        &calls,
        "pub fn update_from(&self, id: impl Into<crate::types::WidgetId>, body: impl Into<crate::types::WidgetUpdate>)",
    );
}

#[test]
fn a_response_that_may_have_no_body_is_an_option() {
    let edits = json!({"/paths/~1v1~1widgets~1{id}/put/responses/204": {"description": "Nothing."}});
    assert_holds(&generated(&with(&edits)).calls, "type Output = option::Option<crate::types::Widget>;");
}

#[test]
fn a_list_is_a_response_by_name_or_without() {
    let list = json!({"type": "array", "items": {"$ref": "#/components/schemas/Part"}});
    let content = json!({"application/json": {"schema": list}});
    for edits in [
        json!({"/paths/~1v1~1spare-parts/get/responses/200/content": content}),
        json!({"/components/schemas/PartList": {"type": "array", "description": "All.", "items": {"$ref": "#/components/schemas/Part"}}}),
        json!({
            "/paths/~1v1~1spare-parts/get/responses/200": {"$ref": "#/components/responses/All"},
            "/components/responses/All": {"description": "All.", "content": content},
        }),
    ] {
        assert_holds(&generated(&with(&edits)).calls, "type Output = vec::Vec<crate::types::Part>;");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let code = generated(&contract());
    assert_holds(
        &code.types,
        ".field(stringify!(headers), &crate::types::without_values(self.headers.iter().flatten()))",
    );
    assert_holds(structure(&code.types, "PartCreated"), "pub token: crate::secret::Secret");
    assert_holds(&code.operations, "returns_secret: true");
}

#[test]
fn a_deprecation_is_noted_where_users_see_it() {
    let reason = json!({"deprecated": true, "x-deprecated-reason": "Use two."});
    let mut contract = contract();
    for place in [
        "/components/parameters/Limit",
        "/paths/~1v1~1widgets/post",
        "/components/schemas/NewWidget/properties/hook",
        "/components/schemas/Price",
    ] {
        contract.pointer_mut(place).unwrap().as_object_mut().unwrap().extend(reason.as_object().unwrap().clone());
    }
    contract["components"]["parameters"]["WidgetIdPath"]["deprecated"] = json!(true);
    let code = generated(&contract);
    for item in ["pub fn limit(", "pub fn create(", "pub fn create_from(", "pub fn hook("] {
        assert_holds(&code.calls, &format!("#[deprecated(note = \"Use two.\")] {item}"));
    }
    assert_holds(&code.types, "#[deprecated(note = \"Use two.\")] pub struct Price");
    assert_holds(&code.types, "#[deprecated(note = \"Use two.\")] pub hook:");
    assert_holds(&code.calls, "Deprecated: `id`. The service has deprecated it.");
}

#[test]
fn a_parameter_is_sent_under_the_name_of_the_contract() {
    let code = generated(&contract());
    assert_holds(&code.calls, "pub sort: option::Option<string::String>");
    assert_holds(&code.endpoints, ".query(&progenitor_client::QueryParam::new(\"type\", &type_))");
    assert_holds(&code.calls, "self.sort.as_deref()");
}

#[test]
fn an_idempotency_key_is_a_setter_of_calls_that_are_idempotent() {
    let key = json!([{"name": "Idempotency-Key", "in": "header", "description": "It.", "schema": {"type": "string"}}]);
    let calls = |method: &str| {
        let path = if method == "post" { "~1v1~1widgets" } else { "~1v1~1widgets~1{id}" };
        generated(&with(&json!({format!("/paths/{path}/{method}/parameters"): key}))).calls
    };
    // Each call that is not idempotent sends one by itself.
    assert!(!calls("post").contains("pub fn idempotency_key"));
    assert!(calls("put").contains("pub fn idempotency_key"));
}

#[test]
fn a_handwritten_name_is_not_taken_again() {
    // Of the calls that src/resources completes by hand.
    let setter = |property: &str, name: &str| {
        let mut contract = crate::build::yaml::read(common::CONTRACT).unwrap();
        contract["components"]["schemas"]["NewWorkOrder"]["properties"][property] =
            json!({"type": "boolean", "description": "It.", "x-rust-name": name});
        error(&contract.to_string())
    };
    for name in ["tenant", "reconcile", "extra_body"] {
        let line = setter("noSuchField", name);
        assert!(line.contains(&format!("`{name}`")) && line.contains("x-rust-name"), "{line}");
    }
}
