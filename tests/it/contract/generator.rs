//! The generator: what it makes of the contract, and of a contract with a mistake in it.

use std::fmt::Write as _;

use common::CONTRACT;

use crate::build;

/// What is wrong, the text to find, and the text to put in its place.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("bad YAML", "tags:\n", "tags: [\n"),
    ("a key that stands twice", "openapi: 3.0.3\n", "openapi: 3.0.3\nopenapi: 3.0.3\n"),
    ("OpenAPI 3.1", "openapi: 3.0.3", "openapi: 3.1.0"),
    ("no version at all", "openapi: 3.0.3\n", ""),
    ("a part of the wrong shape", "operationId: listRuns\n", "operationId: [listRuns]\n"),
    ("a $ref to nothing", "'#/components/schemas/RunPage'", "'#/components/schemas/Pages'"),
    ("a $ref to another file", "'#/components/schemas/RunPage'", "'runs.yaml#/RunPage'"),
    ("no operationId", "      operationId: getRun\n", ""),
    ("an operationId that stands twice", "operationId: getRun\n", "operationId: listRuns\n"),
    ("an operationId that is no name", "operationId: getRun\n", "operationId: get-run!\n"),
    ("no scope", "      x-required-scope: credits:read\n", ""),
    ("a path parameter that is not declared", "  /v1/webhooks/{id}/test:", "  /v1/webhooks/{webhook}/test:"),
    ("a path that starts with no slash", "  /v1/credits:\n", "  v1/credits:\n"),
    ("a parameter in a header", "      name: tag\n      in: query\n", "      name: tag\n      in: header\n"),
    (
        "an enum without a name",
        "        maxIterations:\n          type: integer\n",
        "        maxIterations:\n          type: string\n          enum: [few, many]\n",
    ),
    ("an enum word without a description", "        running: ", "        walking: "),
    ("an alias of no word", "canceled: cancelled", "canceled: stopped"),
    ("a type that is none", "        prUrl:\n          type: string\n", "        prUrl:\n          type: text\n"),
    (
        "an enum of one number",
        "          format: double\n          description: Number of credits the run",
        "          format: double\n          enum: [1]\n          description: Number of credits the run",
    ),
    (
        "a required property that is not there",
        "required: [id, workOrderId, status]",
        "required: [id, workOrderId, state]",
    ),
    (
        "a property without a description",
        "          description: Number of iterations the agent has taken so far.\n",
        "",
    ),
    (
        "an object in an object",
        "        timing:\n          $ref: '#/components/schemas/RunTiming'\n",
        "        timing:\n          type: object\n          description: Times.\n          properties: {startedAt: {type: string}}\n",
    ),
    (
        "allOf",
        "    RunTiming:\n      type: object\n",
        "    RunTiming:\n      allOf: [{$ref: '#/components/schemas/RunCost'}]\n",
    ),
    ("a union without a discriminator", "        propertyName: type\n", "        property: type\n"),
    ("a list of nothing", "x-list-of: Webhook\n", "x-list-of: Hook\n"),
    (
        "a lenient object that requires a property",
        "      x-lenient: true\n",
        "      x-lenient: true\n      required: [runId]\n",
    ),
    ("a lenient string", "      example: evt_6j3w9r\n\n", "      example: evt_6j3w9r\n      x-lenient: true\n\n"),
    ("leniency that is neither there nor not", "      x-lenient: true\n", "      x-lenient: some\n"),
    (
        "a delivery that may have no body",
        "examples are illustrative.\n      required: true\n",
        "examples are illustrative.\n",
    ),
    ("data of no type of event", "        run.created: RunEventData\n", "        run.begun: RunEventData\n"),
    ("data of no schema", "        run.created: RunEventData\n", "        run.created: RunsEventData\n"),
    ("data that is no object", "        run.created: RunEventData\n", "        run.created: EventId\n"),
    ("data that makes no variant", "        run.created: RunEventData\n", "        run.created: RunCost\n"),
    ("data that no delivery brings", "            - $ref: '#/components/schemas/RunEventData'\n", ""),
    ("a table of data that is empty", "      x-eventData:\n", "      x-eventData: {}\n      x-formerEventData:\n"),
    (
        "a table of data at something else than an enum",
        "      x-lenient: true\n",
        "      x-lenient: true\n      x-eventData: {run.created: RunEventData}\n",
    ),
    ("two tables of data", "      x-aliases:\n", "      x-eventData: {failed: RunEventData}\n      x-aliases:\n"),
    (
        "a schema name that is no type name",
        "    RunTiming:\n",
        "    run-timing: {type: object, description: It., properties: {}}\n    RunTiming:\n",
    ),
    ("an event type without its data", "        run.started: RunEventData\n", ""),
    ("no table of events", "      x-eventData:\n", "      x-events:\n"),
    (
        "two fields with one Rust name",
        "        prUrl:\n",
        "        pr_url:\n          type: string\n          description: It again.\n        prUrl:\n",
    ),
];

fn with_mistake(what: &str, find: &str, replace: &str) -> String {
    assert!(CONTRACT.contains(find), "{what}: the contract has no {find:?}");
    CONTRACT.replacen(find, replace, 1)
}

#[test]
fn the_contract_generates() {
    let generated = build::generate(CONTRACT).map_err(|mistake| mistake.to_string()).unwrap();
    for part in [&generated.types, &generated.endpoints, &generated.operations] {
        syn::parse_file(part).unwrap();
    }
}

#[test]
fn every_mistake_in_the_contract_gives_one_line_that_names_the_place() {
    let mut lines = String::new();
    for (what, find, replace) in MISTAKES {
        let text = with_mistake(what, find, replace);
        let mistake = build::generate(&text).err().expect(what).to_string();
        assert!(mistake.starts_with("openapi.yaml: "), "{what}: {mistake}");
        assert_eq!(mistake.lines().count(), 1, "{what}: {mistake}");
        writeln!(lines, "{what}\n    {mistake}").unwrap();
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn a_contract_cut_off_at_any_line_never_panics() {
    let lines: Vec<_> = CONTRACT.lines().collect();
    for length in (0..lines.len()).step_by(97) {
        let _ = build::generate(&lines[..length].join("\n"));
    }
}

#[test]
fn a_new_word_in_an_enum_becomes_a_variant() {
    let text = CONTRACT
        .replacen(
            "enum: [pending, running, succeeded, failed, cancelled]",
            "enum: [pending, running, succeeded, failed, cancelled, timed-out]",
            1,
        )
        .replacen(
            "        cancelled: The run was",
            "        timed-out: It took too long.\n        cancelled: The run was",
            1,
        );
    assert_ne!(text, CONTRACT);
    assert!(build::generate(&text).is_ok_and(|generated| generated.types.contains("TimedOut = \"timed-out\"")));
}

#[test]
fn every_field_of_a_lenient_object_is_read_leniently() {
    let found = "      x-lenient: true\n      additionalProperties: true\n      properties:\n";
    let added = [
        "        at: {type: string, format: date-time, description: When.}\n",
        "        words: {type: array, items: {type: string}, description: What.}\n",
    ];
    let text = CONTRACT.replacen(found, &format!("{found}{}", added.concat()), 1);
    assert_ne!(text, CONTRACT);
    let types = build::generate(&text).map(|generated| generated.types).unwrap_or_default();
    let file = syn::parse_file(&types).unwrap();
    let data = file.items.iter().find_map(|item| match item {
        syn::Item::Struct(item) if item.ident == "RunEventData" => Some(item),
        _ => None,
    });
    let mut readings = String::new();
    for field in &data.unwrap().fields {
        let attributes = field.attrs.iter().map(|attribute| quote::ToTokens::to_token_stream(attribute).to_string());
        let reading = attributes.filter(|text| text.contains("deserialize_with")).collect::<Vec<_>>().join(" ");
        writeln!(readings, "{}: {reading}", field.ident.as_ref().unwrap()).unwrap();
    }
    insta::assert_snapshot!(readings);
}

/// A type as a user meets it: its name and its public fields.
fn outline(item: &syn::Item) -> Option<String> {
    let compact = |tokens: proc_macro2::TokenStream| {
        tokens
            .to_string()
            .replace(' ', "")
            .replace("crate::types::", "")
            .replace("crate::secret::", "")
            .replace("::std::", "std::")
    };
    match item {
        syn::Item::Struct(item) => {
            let mut text = format!("struct {}", item.ident);
            for field in &item.fields {
                let name = field.ident.as_ref()?;
                write!(text, "\n    {name}: {}", compact(quote::ToTokens::to_token_stream(&field.ty))).ok()?;
            }
            Some(text)
        }
        syn::Item::Macro(item) => {
            // `open_enum! { #[doc = "…"] Name { … } }`: what counts is left when the descriptions are gone.
            let mut text = format!("{}!", quote::ToTokens::to_token_stream(&item.mac.path));
            let mut tokens = item.mac.tokens.clone().into_iter().peekable();
            undocumented(&mut tokens, &mut text);
            Some(text)
        }
        _ => None,
    }
}

fn undocumented(tokens: &mut dyn Iterator<Item = proc_macro2::TokenTree>, text: &mut String) {
    use proc_macro2::TokenTree;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => drop(tokens.next()),
            TokenTree::Group(group) => undocumented(&mut group.stream().into_iter(), text),
            TokenTree::Punct(punct) if punct.as_char() == ',' => {}
            token => write!(text, " {token}").unwrap(),
        }
    }
}

#[test]
fn the_public_types_of_the_contract() {
    let types = build::generate(CONTRACT).map(|generated| generated.types).unwrap_or_default();
    let outlines: Vec<_> = syn::parse_file(&types).unwrap().items.iter().filter_map(outline).collect();
    insta::assert_snapshot!(outlines.join("\n"));
}
