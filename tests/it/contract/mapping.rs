//! The Rust code for parts of OpenAPI that the contract does not use yet.

use super::fixture::{CONTRACT, GATE_PLAN, with};

use crate::build;

/// Returns the contract with an additional property of a run.
fn with_property(name: &str, property: &str) -> String {
    with("        prUrl:\n", &format!("        {name}: {property}\n        prUrl:\n"))
}

/// Returns the generated types of a contract.
fn types(text: &str) -> String {
    generate(text).types
}

/// Generates a contract, without line breaks and indentation in the code.
fn generate(text: &str) -> build::Generated {
    let mut generated = build::generate(text).map_err(|error| error.to_string()).unwrap();
    for part in [&mut generated.types, &mut generated.endpoints, &mut generated.calls] {
        syn::parse_file(part).unwrap();
        *part = part.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    generated
}

/// Returns the error of an invalid contract.
fn line(text: &str) -> String {
    let line = build::generate(text).err().unwrap_or_else(|| panic!("it generates")).to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

#[track_caller]
fn assert_holds(types: &str, part: &str) {
    let near = part.split_whitespace().find_map(|word| types.find(word)).unwrap_or_default();
    let shown: String = types[near..].chars().take(300).collect();
    assert!(types.contains(part), "no {part:?} in the types; near it: {shown}");
}

#[test]
fn a_string_with_an_unmapped_format_is_a_string_that_documents_the_format() {
    for format in ["uuid", "date", "email", "uri", "ipv4", "hostname", "byte", "time", "x.custom"] {
        let types = types(&with_property("probe", &format!("{{type: string, format: {format}, description: It.}}")));
        let documented = format!("///It. Format: `{format}`.");
        assert_holds(&types, &documented);
        assert_holds(&types, "pub probe: ::std::option::Option<::std::string::String>");
    }
    let list = "{type: array, items: {type: string, format: uuid}, description: Several.}";
    let types = types(&with_property("probes", list));
    assert_holds(&types, "///Several. Format: `uuid`.");
    assert_holds(&types, "pub probes: ::std::vec::Vec<::std::string::String>");
}

#[test]
fn a_parameter_with_a_format_becomes_a_string() {
    let text = with(
        "      schema:\n        type: string\n      example: python\n",
        "      schema: {type: string, format: uuid}\n      example: python\n",
    );
    let endpoints = build::generate(&text).map_err(|error| error.to_string()).unwrap().endpoints;
    assert!(endpoints.contains("Format: `uuid`."), "{endpoints}");
    assert!(endpoints.contains("tag: Option<&'a str>"));
    assert!(!endpoints.contains("Uuid"));
}

#[test]
fn a_named_string_with_a_format_becomes_an_id() {
    let schema = "    Origin: {type: string, format: uuid, description: Where it comes from.}\n    RunTiming:\n";
    let text = with_property("origin", "{$ref: '#/components/schemas/Origin'}").replacen("    RunTiming:\n", schema, 1);
    let types = types(&text);
    assert_holds(&types, "id! { #[doc = \"Where it comes from. Format: `uuid`.\"] Origin }");
    assert_holds(&types, "pub origin: ::std::option::Option<crate::types::Origin>");
}

#[test]
fn a_format_that_would_decode_incorrectly_is_rejected() {
    for (format, advice) in [
        ("datetime", "did you mean `date-time`?"),
        ("pasword", "did you mean `password`?"),
        ("binary", "`byte`"),
        ("two words", "one word"),
        ("'`'", "one word"),
    ] {
        let line = line(&with_property("probe", &format!("{{type: string, format: {format}, description: It.}}")));
        assert!(line.starts_with("openapi.yaml: components.schemas.Run.properties.probe.format: "), "{line}");
        assert!(line.contains(advice), "{line}");
    }
}

#[test]
fn a_reference_in_all_of_can_have_a_description_and_be_nullable() {
    let reference = "allOf: [{$ref: '#/components/schemas/RunTiming'}]";
    let property = format!("{{{reference}, description: When it ran.}}");
    let types_of = |property: &str| types(&with_property("probe", property));
    let plain = types_of(&property);
    assert_holds(&plain, "///When it ran. #[serde(");
    assert_holds(&plain, "pub probe: ::std::option::Option<RunTiming>");
    let nullable = types_of(&format!("{{{reference}, description: When it ran., nullable: true, deprecated: false}}"));
    assert_eq!(nullable, plain);
    assert_holds(
        &types_of("{allOf: [{$ref: '#/components/schemas/RunId'}], description: The one before., nullable: true}"),
        "pub probe: ::std::option::Option<crate::types::RunId>",
    );
    let list = format!("{{type: array, description: All., items: {{{reference}, description: One.}}}}");
    assert_holds(&types_of(&list), "pub probe: ::std::vec::Vec<RunTiming>");
}

#[test]
fn a_required_nullable_reference_is_an_option() {
    for (schema, kind) in
        [("RunTiming", "RunTiming"), ("RunId", "crate::types::RunId"), ("Run", "::std::boxed::Box<Run>")]
    {
        let property =
            format!("{{allOf: [{{$ref: '#/components/schemas/{schema}'}}], description: It., nullable: true}}");
        let text = with_property("probe", &property).replacen(
            "required: [id, workOrderId, status]",
            "required: [id, workOrderId, status, probe]",
            1,
        );
        let read = "#[serde(deserialize_with = \"::std::option::Option::deserialize\")]";
        assert_holds(&types(&text), &format!("///It. {read} pub probe: ::std::option::Option<{kind}>"));
    }
}

#[test]
fn a_required_nullable_time_has_one_deserializer() {
    let text = with_property("endOf", "{type: string, format: date-time, nullable: true, description: It.}").replacen(
        "required: [id, workOrderId, status]",
        "required: [id, workOrderId, status, endOf]",
        1,
    );
    let read = "#[serde(rename = \"endOf\", deserialize_with = \"::std::option::Option::deserialize\")] pub end_of:";
    assert_holds(&types(&text), &format!("///It. {read}"));
}

#[test]
fn a_parameter_can_reference_a_schema_through_all_of() {
    let reference = "{allOf: [{$ref: '#/components/schemas/RunStatus'}], default: running}";
    let text = with(
        "      schema:\n        type: string\n      example: python\n",
        &format!("      schema: {reference}\n      example: python\n"),
    );
    let endpoints = build::generate(&text).map_err(|error| error.to_string()).unwrap().endpoints;
    assert!(
        endpoints.contains("tag: Option<&'a crate::types::RunStatus>")
            || endpoints.contains("tag: Option<crate::types::RunStatus>")
    );
}

#[test]
fn other_uses_of_all_of_in_a_property_are_rejected() {
    for property in [
        "{description: It., allOf: [{$ref: '#/components/schemas/RunId'}, {$ref: '#/components/schemas/RunCost'}]}",
        "{description: It., allOf: [{type: string}]}",
        "{description: It., type: object, allOf: [{$ref: '#/components/schemas/RunCost'}]}",
    ] {
        let line = line(&with_property("probe", property));
        assert!(line.starts_with("openapi.yaml: components.schemas.Run.properties.probe.allOf: "), "{line}");
        assert!(line.contains("one $ref"), "{line}");
    }
}

/// Returns the contract with an additional schema that a run references.
fn with_schema(schema: &str) -> String {
    let text = with_property("probe", "{$ref: '#/components/schemas/Probe'}");
    text.replacen("    RunTiming:\n", &format!("    Probe: {schema}\n    RunTiming:\n"), 1)
}

/// Returns the code of a struct.
fn structure<'a>(types: &'a str, name: &str) -> &'a str {
    let start = types.find(&format!("pub struct {name} {{")).unwrap_or_else(|| panic!("no {name}"));
    types[start..].split_inclusive('}').next().unwrap_or_default()
}

#[test]
fn all_of_in_a_named_schema_merges_the_properties() {
    let part = "{$ref: '#/components/schemas/RunTiming'}";
    let own = "{type: object, required: [note], properties: {note: {type: string, description: It.}}}";
    let text = with_schema(&format!("{{description: A probe., allOf: [{part}, {own}, {{required: [startedAt]}}]}}"));
    let types = types(&text);
    let probe = structure(&types, "Probe");
    assert_holds(probe, "pub note: ::std::string::String,");
    assert_holds(probe, "pub started_at: ::chrono::DateTime<::chrono::offset::Utc>,");
    assert_holds(structure(&types, "RunTiming"), "pub started_at: ::std::option::Option<");
    assert_holds(probe, "pub completed_at: ::std::option::Option<");
}

#[test]
fn all_of_includes_sibling_and_nested_properties() {
    let text = with_schema(
        "{description: A probe., allOf: [{$ref: '#/components/schemas/Base'}], type: object, additionalProperties: true, \
         properties: {code: {type: integer, description: Its code.}}}",
    )
    .replacen(
        "    RunTiming:\n",
        "    Base: {description: It., allOf: [{$ref: '#/components/schemas/RunTiming'}], \
         properties: {code: {type: integer, description: A code.}}}\n    RunTiming:\n",
        1,
    );
    let types = types(&text);
    let probe = structure(&types, "Probe");
    assert_holds(probe, "///Its code. #[serde(skip_serializing_if = \"::std::option::Option::is_none\")] pub code:");
    assert_holds(probe, "pub started_at:");
    assert_holds(probe, "pub extra:");
}

#[test]
fn a_union_variant_can_be_all_of_several_objects() {
    let text = with(
        "    UrlWorkspaceSource:\n      type: object\n",
        "    UrlWorkspaceSource:\n      allOf:\n        - properties: {note: {type: string, description: It.}}\n",
    );
    assert_holds(structure(&types(&text), "UrlWorkspaceSource"), "pub note: ");
}

#[test]
fn all_of_without_an_object_is_rejected_with_advice() {
    let timing = "{$ref: '#/components/schemas/RunTiming'}";
    for (schema, place, problem) in [
        ("allOf: [{$ref: '#/components/schemas/RunId'}]".to_owned(), ".allOf[0]", "`RunId` is not an object"),
        (format!("allOf: [{timing}, {{type: string}}]"), ".allOf[1]", "the part is not an object"),
        (
            format!("allOf: [{timing}, {{properties: {{startedAt: {{type: string, description: It.}}}}}}]"),
            ".allOf[1]",
            "`startedAt` is declared differently in an earlier part",
        ),
        (
            format!("allOf: [{timing}], properties: {{startedAt: {{type: string, description: It.}}}}"),
            "",
            "`startedAt`",
        ),
        ("allOf: [{$ref: '#/components/schemas/Probe'}]".to_owned(), ".allOf[0]", "a part of itself"),
        (format!("allOf: [{timing}, {{additionalProperties: false}}]"), ".allOf[1]", "additionalProperties: false"),
        ("allOf: [{$ref: '#/components/schemas/WorkspaceSource'}]".to_owned(), ".allOf[0]", "has `discriminator`"),
        (format!("allOf: [{{oneOf: [{timing}]}}]"), ".allOf[0]", "has `oneOf`"),
        (format!("allOf: [{timing}], oneOf: [{timing}]"), "", "has `oneOf`"),
    ] {
        let line = line(&with_schema(&format!("{{description: A probe., {schema}}}")));
        assert!(line.starts_with(&format!("openapi.yaml: components.schemas.Probe{place}: ")), "{line}");
        assert!(line.contains(problem), "{line}");
    }
}

/// Returns the contract with an additional response of an operation.
fn with_response(operation: &str, response: &str) -> String {
    let (before, after) = CONTRACT.split_at(CONTRACT.find(&format!("operationId: {operation}\n")).unwrap());
    format!("{before}{}", after.replacen("      responses:\n", &format!("      responses:\n        {response}\n"), 1))
}

const WEBHOOK: &str = "{application/json: {schema: {$ref: '#/components/schemas/Webhook'}}}";

#[test]
fn several_successful_responses_with_the_same_body_return_its_type() {
    let text = with_response("updateWebhook", &format!("'202': {{description: Later., content: {WEBHOOK}}}"));
    assert_eq!(generate(&text).calls, generate(CONTRACT).calls);
    assert_eq!(generate(&text).endpoints, generate(CONTRACT).endpoints);
}

#[test]
fn a_successful_response_without_a_body_beside_another_makes_the_value_optional() {
    for status in ["202", "204", "299"] {
        let generated = generate(&with_response("updateWebhook", &format!("'{status}': {{description: Nothing.}}")));
        assert_holds(&generated.calls, "type Output = ::std::option::Option<crate::types::Webhook>;");
        assert_holds(&generated.calls, ".read_optional(");
        assert_eq!(generated.endpoints, generate(CONTRACT).endpoints);
    }
}

#[test]
fn incompatible_successful_responses_are_rejected() {
    let other = "{application/json: {schema: {$ref: '#/components/schemas/Run'}}}";
    let different = line(&with_response("updateWebhook", &format!("'202': {{description: It., content: {other}}}")));
    let place = "openapi.yaml: paths./v1/webhooks/{id}.patch.responses.202: ";
    assert!(different.starts_with(place) && different.contains("write one schema for both"), "{different}");
    for (operation, problem) in [
        ("listRuns", "a list needs its body in each 2xx response"),
        ("listWebhooks", "a list needs its body in each 2xx response"),
        ("cancelRun", "src/resources reads the body of each 2xx response"),
    ] {
        let line = line(&with_response(operation, "'204': {description: None.}"));
        assert!(line.contains(problem), "{line}");
    }
}

#[test]
fn a_deprecated_property_becomes_a_deprecated_field_with_a_note() {
    let note = |reason: &str| format!("#[deprecated(note = \"{reason}\")] pub probe:");
    let deprecated = |more: &str| format!("{{type: string, description: It., deprecated: true{more}}}");
    assert_holds(&types(&with_property("probe", &deprecated(""))), &note("The service has deprecated it."));
    let reasoned = with_property("probe", &deprecated(", x-deprecated-reason: Use the other."));
    assert_holds(&types(&reasoned), &note("Use the other."));
    let reference = "{allOf: [{$ref: '#/components/schemas/RunTiming'}], description: It., deprecated: true}";
    assert_holds(&types(&with_property("probe", reference)), &note("The service has deprecated it."));
}

#[test]
fn a_deprecated_schema_becomes_a_deprecated_type() {
    let note = "#[deprecated(note = \"The service has deprecated it.\")]";
    let property = "{note: {type: string, description: It.}}";
    let object = format!("{{type: object, description: It., deprecated: true, properties: {property}}}");
    assert_holds(&types(&with_schema(&object)), &format!("{note} pub struct Probe"));
    let id = types(&with_schema("{type: string, description: It., deprecated: true}"));
    assert_holds(&id, &format!("id! {{ #[doc = \"It.\"] {note} Probe }}"));
}

#[test]
fn a_deprecated_parameter_or_request_field_becomes_a_deprecated_setter() {
    let tag = "      name: tag\n      in: query\n";
    let calls =
        generate(&with(tag, &format!("{tag}      deprecated: true\n      x-deprecated-reason: Use two.\n"))).calls;
    assert_holds(&calls, "#[deprecated(note = \"Use two.\")] pub fn tag(mut self");
    let field = "        probe: {type: string, description: It., deprecated: true}\n";
    let text = with(GATE_PLAN, &format!("{field}{GATE_PLAN}"));
    let generated = generate(&text);
    assert_holds(&generated.calls, "#[deprecated(note = \"The service has deprecated it.\")] pub fn probe(mut self");
    assert_holds(
        structure(&generated.types, "NewWorkOrder"),
        "#[deprecated(note = \"The service has deprecated it.\")] pub probe:",
    );
}

#[test]
fn a_deprecated_argument_is_mentioned_in_the_documentation() {
    let id = "      name: id\n      in: path\n";
    let calls = generate(&with(id, &format!("{id}      deprecated: true\n"))).calls;
    assert_holds(&calls, "Deprecated: `id`. The service has deprecated it.");
}

#[test]
fn deprecation_without_effect_is_rejected() {
    let within =
        line(&with_property("probe", "{type: array, description: It., items: {type: string, deprecated: true}}"));
    assert!(within.starts_with("openapi.yaml: components.schemas.Run.properties.probe.items.deprecated: "), "{within}");
    let alone = line(&with_property("probe", "{type: string, description: It., x-deprecated-reason: Old.}"));
    assert!(alone.contains("a reason has no effect without `deprecated: true`"), "{alone}");
    let list = line(&with("      x-list-of: Webhook\n", "      x-list-of: Webhook\n      deprecated: true\n"));
    assert!(list.starts_with("openapi.yaml: components.schemas.WebhookList.deprecated: has no effect here"), "{list}");
}

const TAG_SCHEMA: &str = "      schema:\n        type: string\n      example: python\n";

#[test]
fn an_array_in_the_query_is_sent_as_one_parameter_for_each_item() {
    for (items, field, accepted) in [
        ("{type: string}", "::std::string::String", "impl Into<::std::string::String>"),
        ("{type: integer, minimum: 0}", "u64", "u64"),
        ("{$ref: '#/components/schemas/RunStatus'}", "crate::types::RunStatus", "impl Into<crate::types::RunStatus>"),
        ("{$ref: '#/components/schemas/RunId'}", "crate::types::RunId", "impl Into<crate::types::RunId>"),
    ] {
        for more in ["", "      style: form\n", "      explode: true\n"] {
            let generated =
                generate(&with(TAG_SCHEMA, &format!("{more}      schema: {{type: array, items: {items}}}\n")));
            assert_holds(&generated.calls, &format!("pub(crate) tag: ::std::option::Option<::std::vec::Vec<{field}>>"));
            assert_holds(&generated.calls, &format!("tag: impl IntoIterator<Item = {accepted}>"));
            assert_holds(&generated.endpoints, ".query(&progenitor_client::QueryParam::new(\"tag\", &tag))");
        }
    }
}

#[test]
fn a_parameter_with_an_unsupported_style_is_rejected_with_advice() {
    let array = "      schema: {type: array, items: {type: string}}\n";
    for (schema, keyword, value, advice) in [
        (array, "explode", "false", "the client sends `tag=a&tag=b`"),
        (array, "style", "pipeDelimited", "remove it"),
        (array, "style", "spaceDelimited", "remove it"),
        (TAG_SCHEMA, "style", "deepObject", "so that it is `form`"),
    ] {
        let line = line(&with(TAG_SCHEMA, &format!("      {keyword}: {value}\n{schema}")));
        assert!(
            line.starts_with(&format!("openapi.yaml: paths./v1/templates.get.parameters[0].{keyword}: ")),
            "{line}"
        );
        assert!(line.contains(advice), "{line}");
    }
    let id = "      name: id\n      in: path\n";
    let matrix = line(&with(id, &format!("{id}      style: matrix\n")));
    assert!(matrix.contains(".style: `matrix` is not supported here; remove it, so that it is `simple`"), "{matrix}");
}

#[test]
fn a_nullable_parameter_is_rejected_with_advice() {
    for schema in
        ["{type: string, nullable: true}", "{allOf: [{$ref: '#/components/schemas/RunStatus'}], nullable: true}"]
    {
        for required in ["", "      required: true\n"] {
            let line = line(&with(TAG_SCHEMA, &format!("{required}      schema: {schema}\n")));
            let place = "openapi.yaml: paths./v1/templates.get.parameters[0].schema.nullable: ";
            assert!(line.starts_with(place) && line.contains("a URL holds no null"), "{line}");
        }
    }
}

#[test]
fn a_recursive_object_is_boxed() {
    let itself = "$ref: '#/components/schemas/Probe'";
    let types = types(&with_schema(&format!(
        "{{type: object, description: It., required: [next], properties: {{\
         children: {{type: array, description: It., items: {{{itself}}}}}, \
         byName: {{type: object, description: It., additionalProperties: {{{itself}}}}}, \
         parent: {{{itself}}}, \
         next: {{allOf: [{{{itself}}}], nullable: true, description: It.}}}}}}"
    )));
    let probe = structure(&types, "Probe");
    assert_holds(probe, "pub children: ::std::vec::Vec<Probe>,");
    assert_holds(probe, "pub by_name: ::std::collections::BTreeMap<::std::string::String, Probe>,");
    assert_holds(probe, "pub parent: ::std::option::Option<::std::boxed::Box<Probe>>,");
    assert_holds(probe, "pub next: ::std::option::Option<::std::boxed::Box<Probe>>,");
}

#[test]
fn a_recursive_union_generates_only_through_lists() {
    let union = "$ref: '#/components/schemas/WorkspaceSource'";
    let with_field = |property: &str| {
        with("        repository:\n", &format!("        probe: {property}\n        repository:\n")).replacen(
            "    RunTiming:\n",
            &format!(
                "    Probe: {{type: object, description: It., properties: {{source: {{{union}}}}}}}\n    RunTiming:\n"
            ),
            1,
        )
    };
    let list = types(&with_field(&format!("{{type: array, description: It., items: {{{union}}}}}")));
    assert_holds(&list, "pub probe: ::std::vec::Vec<crate::types::WorkspaceSource>,");
    for property in [format!("{{{union}}}"), "{$ref: '#/components/schemas/Probe'}".to_owned()] {
        let line = line(&with_field(&property));
        assert!(line.contains("`WorkspaceSource` would hold itself here; write an array of it"), "{line}");
    }
}

#[test]
fn a_setter_accepts_nested_collections_by_conversion() {
    let text = "::std::string::String";
    for (property, accepted) in [
        ("{$ref: '#/components/schemas/NewWorkOrder'}", "impl Into<crate::types::NewWorkOrder>".to_owned()),
        (
            "{type: array, description: It., items: {type: array, items: {type: string}}}",
            format!("impl IntoIterator<Item = impl IntoIterator<Item = impl Into<{text}>>>"),
        ),
        (
            "{type: object, description: It., additionalProperties: {type: array, items: {type: string}}}",
            format!("impl IntoIterator<Item = (impl Into<String>, impl IntoIterator<Item = impl Into<{text}>>)>"),
        ),
        (
            "{type: array, description: It., items: {type: string, nullable: true}}",
            format!("impl IntoIterator<Item = ::std::option::Option<impl Into<{text}>>>"),
        ),
        (
            "{type: object, description: It., additionalProperties: {type: integer}}",
            "impl IntoIterator<Item = (impl Into<String>, i64)>".to_owned(),
        ),
    ] {
        let calls = generate(&with(GATE_PLAN, &format!("        probe: {property}\n{GATE_PLAN}"))).calls;
        let start = calls.find("pub fn probe(").unwrap();
        let signature: String = calls[start..].split(" -> ").next().unwrap().split_whitespace().collect();
        let accepted: String = accepted.split_whitespace().collect();
        assert_eq!(signature.replace(",)", ")").replace(",>", ">"), format!("pubfnprobe(mutself,probe:{accepted})"));
    }
}

const DESCRIPTION: &str = "          description: What the webhook is for.\n\n    WebhookList:\n";

#[test]
fn a_nullable_request_field_can_be_set_cleared_and_omitted() {
    let generated = generate(&with(DESCRIPTION, &format!("          nullable: true\n{DESCRIPTION}")));
    let update = structure(&generated.types, "WebhookUpdate");
    assert_holds(update, "skip_serializing_if = \"::std::option::Option::is_none\"");
    assert_holds(update, "deserialize_with = \"crate::types::null_or_value\"");
    assert_holds(update, "pub description: ::std::option::Option<::std::option::Option<::std::string::String>>");
    let setter = "description: impl Into<::std::string::String>) -> Self { self.endpoint.body.description = Some(Some(description.into()));";
    assert_holds(&generated.calls, setter);
    assert_holds(
        &generated.calls,
        "pub fn clear_description(mut self) -> Self { self.endpoint.body.description = Some(None);",
    );
}

#[test]
fn a_nullable_list_in_a_request_can_be_empty() {
    let found = "          minItems: 1\n          items:\n            $ref: '#/components/schemas/WebhookEventType'\n          description: The event types to subscribe to, at least one, in place";
    let generated = generate(&with(found, &format!("          nullable: true\n{found}")));
    let update = structure(&generated.types, "WebhookUpdate");
    assert_holds(update, "::std::option::Option<::std::vec::Vec<crate::types::WebhookEventType>>");
    assert_holds(&generated.calls, "pub fn clear_events(mut self)");
}

#[test]
fn a_required_nullable_request_field_is_null_unless_set() {
    let property = "        probe: {type: string, nullable: true, description: It.}\n";
    let text = with(GATE_PLAN, &format!("{property}{GATE_PLAN}")).replacen(
        "required: [taskPrompt, workspaceSource]",
        "required: [taskPrompt, probe, workspaceSource]",
        1,
    );
    let generated = generate(&text);
    let field = "pub probe: ::std::option::Option<::std::string::String>";
    assert_holds(structure(&generated.types, "NewWorkOrder"), field);
    assert!(
        !structure(&generated.types, "NewWorkOrder")
            .contains(&format!("skip_serializing_if = \"::std::option::Option::is_none\")] {field}"))
    );
    assert_holds(
        &generated.types,
        "pub fn new( task_prompt: impl Into<::std::string::String>, workspace_source: impl Into<crate::types::WorkspaceSource>, )",
    );
    assert_holds(&generated.calls, "self.endpoint.body.probe = Some(probe.into());");
    assert!(!generated.calls.contains("clear_probe"));
}

#[test]
fn null_that_cannot_be_sent_is_rejected_with_advice() {
    let taken = format!(
        "        probe: {{type: string, nullable: true, description: It.}}\n        \
         clearProbe: {{type: boolean, description: It.}}\n{GATE_PLAN}"
    );
    let line_of = |find: &str, replace: &str| line(&with(find, replace));
    let twice = line_of(GATE_PLAN, &taken);
    assert!(twice.contains("`clear_probe` is declared twice in the call"), "{twice}");
    let metadata = "          description: Data of your own, in free form. It is kept with the work order.\n";
    let by_hand = line_of(metadata, &format!("          nullable: true\n{metadata}"));
    assert!(by_hand.contains("the method in src/resources sends no null"), "{by_hand}");
    let at = CONTRACT.find("    Webhook:\n").unwrap();
    let described = CONTRACT[at..].replacen(
        "What the webhook is for.\n",
        "What the webhook is for.\n          nullable: true\n",
        1,
    );
    let operations =
        CONTRACT[..at].replacen("'#/components/schemas/WebhookUpdate'", "'#/components/schemas/Webhook'", 1);
    let both = line(&format!("{operations}{described}"));
    assert!(both.starts_with("openapi.yaml: components.schemas.Webhook.properties.description.nullable: "), "{both}");
    assert!(both.contains("give the request an object of its own"), "{both}");
}

/// Returns the contract with an additional property of a run, and of a submission.
fn with_property_each_way(property: &str) -> [(&'static str, String); 2] {
    let sent = with(GATE_PLAN, &format!("        probe: {property}\n{GATE_PLAN}"));
    [("Run", with_property("probe", property)), ("NewWorkOrder", sent)]
}

#[test]
fn every_type_and_format_maps_to_a_field_type() {
    let map = |values: &str| format!("::std::collections::BTreeMap<::std::string::String, {values}>");
    for (property, kind) in [
        ("{type: integer, description: It.}", "i64".to_owned()),
        ("{type: integer, format: int32, description: It.}", "i32".to_owned()),
        ("{type: integer, minimum: 0, description: It.}", "u64".to_owned()),
        ("{type: integer, format: int32, minimum: 1, maximum: 9, default: 2, description: It.}", "u32".to_owned()),
        ("{type: number, description: It.}", "f64".to_owned()),
        ("{type: number, format: double, description: It.}", "f64".to_owned()),
        ("{type: boolean, default: true, description: It.}", "bool".to_owned()),
        (
            "{type: string, pattern: '^a', maxLength: 3, default: a, description: It.}",
            "::std::string::String".to_owned(),
        ),
        (
            "{x-any-json: true, oneOf: [{type: string}, {type: integer}], description: It.}",
            "::serde_json::Value".to_owned(),
        ),
    ] {
        for (_, text) in with_property_each_way(property) {
            assert_holds(&types(&text), &format!("pub probe: ::std::option::Option<{kind}>"));
        }
    }
    for (property, kind) in [
        ("{type: object, additionalProperties: {type: integer}, description: It.}", map("i64")),
        (
            "{type: object, additionalProperties: {$ref: '#/components/schemas/RunStatus'}, description: It.}",
            map("crate::types::RunStatus"),
        ),
        (
            "{type: array, uniqueItems: true, items: {$ref: '#/components/schemas/RunStatus'}, description: It.}",
            "::std::vec::Vec<crate::types::RunStatus>".to_owned(),
        ),
    ] {
        for (_, text) in with_property_each_way(property) {
            let types: String = types(&text).split_whitespace().collect();
            let kind: String = kind.split_whitespace().collect();
            assert!(types.replace(",>", ">").contains(&kind), "{kind}");
        }
    }
}

#[test]
fn an_unsupported_inline_schema_is_rejected_with_advice() {
    for (property, keyword, advice) in [
        ("oneOf: [{type: string}, {type: integer}]", ".oneOf", "add `x-any-json: true`"),
        ("oneOf: [{$ref: '#/components/schemas/RunCost'}]", ".oneOf", "under components.schemas as `oneOf`"),
        ("anyOf: [{$ref: '#/components/schemas/RunCost'}]", ".anyOf", "under components.schemas as `oneOf`"),
        ("anyOf: [{type: string, enum: [a]}, {type: string}]", ".anyOf", "give the enum a name"),
        ("type: string, enum: [a]", ".enum", "give the enum a name"),
        ("type: array, items: {type: string, enum: [a]}", ".items.enum", "give the enum a name"),
        ("type: integer, enum: [1, 2]", ".enum", "describe the values, and remove it"),
        ("not: {type: string}", ".not", "describe what is allowed"),
        ("type: object, required: [a]", "", "give the object a name"),
        ("type: number, format: decimal", ".format", "`float` and `double`"),
        ("x-any-json: true, type: string", ".type", "remove one of them"),
        ("x-any-json: false", ".x-any-json", "write `true`, or leave it out"),
    ] {
        for (schema, text) in with_property_each_way(&format!("{{{property}, description: It.}}")) {
            let line = line(&text);
            let place = format!("openapi.yaml: components.schemas.{schema}.properties.probe{keyword}: ");
            assert!(line.starts_with(&place) && line.contains(advice), "{property}: {line}");
        }
    }
}

#[test]
fn a_keyword_without_effect_on_the_type_is_rejected() {
    let variant = "{$ref: '#/components/schemas/GitWorkspaceSource'}";
    let union = format!(
        "oneOf: [{variant}], discriminator: {{propertyName: type, mapping: {{git: '#/components/schemas/GitWorkspaceSource'}}}}"
    );
    let property = "properties: {note: {type: string, description: It.}}";
    for (schema, keyword) in [
        (format!("{union}, {property}"), "properties"),
        (format!("type: object, discriminator: {{propertyName: note}}, {property}"), "discriminator"),
        ("type: string, not: {type: integer}".to_owned(), "not"),
    ] {
        let line = line(&with_schema(&format!("{{description: It., {schema}}}")));
        assert!(line.starts_with(&format!("openapi.yaml: components.schemas.Probe.{keyword}: ")), "{line}");
    }
}

#[test]
fn an_extension_in_an_unsupported_place_is_rejected() {
    for extension in
        ["x-aliases: {a: b}", "x-enumDescriptions: {a: b}", "x-list-of: Run", "x-rust-name: other", "x-terminal: [a]"]
    {
        let line = line(&with_property("probe", &format!("{{type: string, description: It., {extension}}}")));
        assert!(line.starts_with("openapi.yaml: components.schemas.Run.properties.probe.x-"), "{line}");
        assert!(line.contains("has no effect here; write it at "), "{line}");
    }
    let setter = with(
        GATE_PLAN,
        &format!("        probe: {{type: string, description: It., x-rust-setter: true}}\n{GATE_PLAN}"),
    );
    assert!(line(&setter).contains("write `false`, or leave it out"));
}

#[test]
fn a_read_only_or_write_only_property_in_the_wrong_direction_is_rejected() {
    let [(_, received), _] = with_property_each_way("{type: string, description: It., writeOnly: true}");
    assert!(line(&received).contains("give the response an object of its own"));
    let [(_, received), (_, sent)] = with_property_each_way("{type: string, description: It., readOnly: true}");
    assert!(line(&sent).contains("give the request an object of its own"));
    assert_holds(&types(&received), "pub probe: ::std::option::Option<::std::string::String>");
}

#[test]
fn an_unused_server_or_security_scheme_is_rejected() {
    let operation = "      operationId: getCredits\n";
    for (find, replace, problem) in [
        (operation, format!("{operation}      servers: [{{url: 'https://a'}}]\n"), "paths./v1/credits.get.servers: "),
        (
            "  /v1/credits:\n",
            "  /v1/credits:\n    servers: [{url: 'https://a'}]\n".to_owned(),
            "paths./v1/credits.servers: ",
        ),
        (
            "      scheme: bearer\n",
            "      scheme: basic\n".to_owned(),
            "security: the client sends its API key as a bearer token",
        ),
        ("  - bearerAuth: []\n", "  - keyAuth: []\n".to_owned(), "security: there is no security scheme `keyAuth`"),
        (operation, format!("{operation}      security: [{{key: []}}]\n"), "paths./v1/credits.get.security: "),
    ] {
        let line = line(&with(find, &replace));
        assert!(line.starts_with(&format!("openapi.yaml: {problem}")), "{line}");
    }
}

#[test]
fn a_body_where_http_allows_none_is_rejected() {
    let schema =
        "{description: It., content: {application/json: {schema: {$ref: '#/components/schemas/CreditBalance'}}}";
    for status in ["204", "205"] {
        let line = line(&with_response("getCredits", &format!("'{status}': {schema}}}")));
        assert!(
            line.starts_with(&format!("openapi.yaml: paths./v1/credits.get.responses.{status}.content: ")),
            "{line}"
        );
    }
    let head = line(&with("  /v1/credits:\n    get:\n", "  /v1/credits:\n    head:\n"));
    assert!(head.starts_with("openapi.yaml: paths./v1/credits.head.responses.200.content: "), "{head}");
    let operation = "      operationId: getCredits\n";
    let body = line(&with(operation, &format!("{operation}      requestBody: {schema}, required: true}}\n")));
    assert!(
        body.starts_with("openapi.yaml: paths./v1/credits.get.requestBody: HTTP gives such a request no body"),
        "{body}"
    );
}

#[test]
fn a_reference_into_a_schema_is_rejected() {
    for part in ["timing", "Run"] {
        let text = with_property("probe", &format!("{{$ref: '#/components/schemas/Run/properties/{part}'}}"));
        let line = line(&text.replacen(
            "        prUrl:\n",
            "        Run: {type: string, description: It.}\n        prUrl:\n",
            1,
        ));
        assert!(line.starts_with("openapi.yaml: components.schemas.Run.properties.probe: "), "{line}");
        assert!(line.contains("give what is there a name under components.schemas"), "{line}");
    }
}
