//! What the generator makes of the parts of OpenAPI that the contract may come to use.

use common::CONTRACT;

use crate::build;

/// The contract with one text in the place of another.
fn with(find: &str, replace: &str) -> String {
    assert!(CONTRACT.contains(find), "the contract has no {find:?}");
    CONTRACT.replacen(find, replace, 1)
}

/// The contract with one more property of a run.
fn with_property(name: &str, property: &str) -> String {
    with("        prUrl:\n", &format!("        {name}: {property}\n        prUrl:\n"))
}

/// The types of a contract that generates, without line breaks and indentation.
fn types(text: &str) -> String {
    let types = build::generate(text).map_err(|mistake| mistake.to_string()).unwrap().types;
    types.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line about a contract that does not generate.
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
fn a_string_format_without_a_type_of_its_own_is_a_string_that_names_it() {
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
fn a_parameter_with_a_format_is_a_string() {
    let text = with(
        "      schema:\n        type: string\n      example: python\n",
        "      schema: {type: string, format: uuid}\n      example: python\n",
    );
    let endpoints = build::generate(&text).map_err(|mistake| mistake.to_string()).unwrap().endpoints;
    assert!(endpoints.contains("Format: `uuid`."), "{endpoints}");
    assert!(endpoints.contains("tag: Option<&'a str>"));
    assert!(!endpoints.contains("Uuid"));
}

#[test]
fn a_named_string_with_a_format_is_an_id() {
    let schema = "    Origin: {type: string, format: uuid, description: Where it comes from.}\n    RunTiming:\n";
    let text = with_property("origin", "{$ref: '#/components/schemas/Origin'}").replacen("    RunTiming:\n", schema, 1);
    let types = types(&text);
    assert_holds(&types, "id! { #[doc = \"Where it comes from. Format: `uuid`.\"] Origin }");
    assert_holds(&types, "pub origin: ::std::option::Option<crate::types::Origin>");
}

#[test]
fn a_format_that_would_be_read_wrongly_is_one_line() {
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
