//! Properties of all secrets, bodies and headers.

use agentgate::http::{HeaderMap, HeaderValue};
use agentgate::serde_json::{Map, Number, Value, from_slice, to_vec};
use agentgate::webhook::{Error, Event, SIGNATURE_HEADER, Verifier};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Failed cases are printed, and not saved to a file.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() }
}

/// Any text that is a secret: without white space and invisible characters, not in quotation marks, and with a letter
/// in it.
fn secret() -> impl Strategy<Value = String> {
    let any_text = any::<String>().prop_map(|text| {
        let kept = text.chars().filter(|character| character.is_alphanumeric() || character.is_ascii_graphic());
        format!("k{}y", kept.collect::<String>())
    });
    prop_oneof![
        any_text,
        "whsec_[0-9A-Za-z+/=_-]{0,40}[0-9a-z]",
        "[!-~]{0,70}[0-9a-z]".prop_map(|text| format!("0{text}"))
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), 0..300), 1 => vec(any::<u8>(), 0..5000)]
}

/// Values of a signature header, well formed or not.
fn header() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..100),
        "(sha256|SHA256|sha1|v1|)=?[0-9a-fA-F]{60,68}".prop_map(String::into_bytes),
        "sha256=[0-9a-f]{64}".prop_map(String::into_bytes),
        "((sha256=[0-9a-f]{63,65}|[ \t,]|\\PC){0,3},){0,4}".prop_map(String::into_bytes),
    ]
}

fn flip(bytes: &mut [u8], bit: Index) {
    let bit = bit.index(8 * bytes.len());
    bytes[bit / 8] ^= 1 << (bit % 8);
}

fn json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        any::<f64>().prop_filter_map("no JSON", Number::from_f64),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(Value::Number),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            btree_map(key(), inner, 0..6).prop_map(|map| Value::Object(Map::from_iter(map))),
        ]
    })
}

const NAMES: [&str; 10] =
    ["id", "type", "data", "createdAt", "timestamp", "runId", "workOrderId", "status", "tenantContext", "error"];
const TYPES: [&str; 5] = ["run.created", "run.completed", "run.failed", "verification.passed", "verification.failed"];

/// Names, those that events have among them.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), select(&NAMES[..]).prop_map(str::to_owned)]
}

/// Types of events, and other words.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&TYPES[..]).prop_map(str::to_owned),
        "\\PC{1,20}",
        any::<String>().prop_filter("empty", |text| !text.is_empty()),
    ]
}

/// Members of the data of an event as text: values that fit, values that do not, and text that is hardly JSON.
fn members() -> impl Strategy<Value = String> {
    const FITTING: [&str; 12] = [
        r#""runId":"run_1""#,
        r#""id":"run_2""#,
        r#""status":"failed""#,
        r#""iterations":3"#,
        r#""prUrl":null"#,
        r#""timing":{"startedAt":"2026-01-15T10:30:05Z","durationMs":240000,"more":[1]}"#,
        r#""cost":{"credits":12.5,"currency":"credits"}"#,
        r#""cost":{"credits":123456789012345678901234567890}"#,
        r#""error":{"code":"E","message":null}"#,
        r#""tenantContext":{"tenantId":"a","metadata":{"b":[1,{"c":null}],"b":2}}"#,
        r#""workOrderId":"wo_1""#,
        r#""more":{"deep":[1.0,-0,"\u00e9"]}"#,
    ];
    const MISFITS: [&str; 14] = [
        r#""iterations":3.0"#,
        r#""iterations":-1"#,
        r#""timing":["2026-01-15T10:30:05Z"]"#,
        r#""timing":{"startedAt":"soon","startedAt":"2026-01-15T10:30:05Z"}"#,
        r#""timing":{"durationMs":1e2,"completedAt":1768473060}"#,
        r#""tenantContext":["a"]"#,
        r#""tenantContext":{"tenantId":7,"metadata":null}"#,
        r#""error":{"code":"\ud83d"}"#,
        r#""more":1e400"#,
        r#""more":"\ude00""#,
        r#""runId":7"#,
        r#""status":null"#,
        r#""cost":[12.5]"#,
        r#""extra":{"a":1}"#,
    ];
    let member = prop_oneof![4 => select(&FITTING[..]), 1 => select(&MISFITS[..])];
    vec(member, 0..6).prop_map(|members| members.join(","))
}

/// The text of an event, its members in any order, some of them twice.
fn event_text() -> impl Strategy<Value = String> {
    let data = prop_oneof![8 => members().prop_map(|members| format!("{{{members}}}")), 1 => json().prop_map(|it| it.to_string())];
    let more = [
        r#""createdAt":"2026-01-15T10:30:00Z""#,
        r#""createdAt":"soon""#,
        r#""timestamp":1768473060"#,
        r#""id":"evt_2""#,
        r#""type":"run.started""#,
        r#""data":{}"#,
        r#""note":"\ud83d""#,
        r#""note":[[1e400]]"#,
        r#""note":"plain""#,
    ];
    (word(), data, vec(select(more.to_vec()), 0..3)).prop_flat_map(|(kind, data, more)| {
        let own =
            [r#""id":"evt_1""#.to_owned(), format!(r#""type":{}"#, Value::from(kind)), format!(r#""data":{data}"#)];
        let members: Vec<String> = own.into_iter().chain(more.into_iter().map(str::to_owned)).collect();
        Just(members).prop_shuffle().prop_map(|members| format!("{{{}}}", members.join(",")))
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_event_that_is_read_from_its_text_equals_the_event_of_its_json(text in event_text()) {
        let event = Event::parse_unverified(text.as_bytes()).unwrap();
        let of_json = Event::from_json(event.json().clone()).unwrap();
        if let Ok(json) = from_slice::<Value>(text.as_bytes()) {
            prop_assert_eq!(event.json(), &json);
        }
        prop_assert_eq!(of_json, event);
    }

    #[test]
    fn what_is_signed_verifies(secret in secret(), body in body()) {
        let verifier = Verifier::new([secret]).unwrap();
        let signature = verifier.sign(&body);
        prop_assert!(verifier.verify(&body, &signature).is_ok());
        prop_assert!(verifier.verify(&body, signature.replace("sha256=", " sha256=") + "\t").is_ok());
    }

    #[test]
    fn a_flipped_bit_in_the_body_does_not_verify(secret in secret(), mut body in body(), bit: Index) {
        prop_assume!(!body.is_empty());
        let verifier = Verifier::new([secret]).unwrap();
        let signature = verifier.sign(&body);
        flip(&mut body, bit);
        let outcome = verifier.verify(&body, &signature);
        prop_assert!(matches!(outcome, Err(Error::NoMatch { signatures: 1, secrets: 1 })), "{outcome:?}");
    }

    #[test]
    fn a_flipped_bit_in_the_tag_does_not_verify(secret in secret(), body in body(), bit in 0..256_usize) {
        let verifier = Verifier::new([secret]).unwrap();
        let mut signature = verifier.sign(&body);
        let place = "sha256=".len() + bit / 4;
        let digit = u8::from_str_radix(&signature[place..=place], 16).unwrap() ^ (1 << (bit % 4));
        signature.replace_range(place..=place, &format!("{digit:x}"));
        let outcome = verifier.verify(&body, &signature);
        prop_assert!(matches!(outcome, Err(Error::NoMatch { signatures: 1, secrets: 1 })), "{outcome:?}");
    }

    #[test]
    fn a_flipped_bit_in_the_text_of_a_signature_changes_no_more_than_the_case_or_it_does_not_verify(
        secret in secret(), body in body(), bit: Index,
    ) {
        let verifier = Verifier::new([secret]).unwrap();
        let signature = verifier.sign(&body).into_bytes();
        let mut changed = signature.clone();
        flip(&mut changed, bit);
        let same = changed.starts_with(b"sha256=") && changed.eq_ignore_ascii_case(&signature);
        prop_assert_eq!(verifier.verify(&body, &changed).is_ok(), same);
    }

    #[test]
    fn another_secret_does_not_verify(secrets in (secret(), secret()), body in body()) {
        prop_assume!(secrets.0 != secrets.1);
        let signature = Verifier::new([secrets.0]).unwrap().sign(&body);
        prop_assert!(Verifier::new([secrets.1]).unwrap().verify(&body, signature).is_err());
    }

    #[test]
    fn a_delivery_signed_with_any_of_several_secrets_is_accepted(
        secrets in vec(secret(), 1..6), signer: Index, body in body(),
    ) {
        let verifier = Verifier::new(secrets.iter().map(String::as_str)).unwrap();
        let signature = Verifier::new([signer.get(&secrets).as_str()]).unwrap().sign(&body);
        prop_assert!(verifier.verify(&body, signature).is_ok());
    }

    #[test]
    fn a_genuine_signature_is_found_wherever_it_stands(
        secret in secret(), body in body(), mut values in vec(header(), 0..6), place: Index,
    ) {
        let verifier = Verifier::new([secret]).unwrap();
        values.insert(place.index(values.len() + 1), verifier.sign(&body).into_bytes());
        prop_assert!(verifier.verify_any(&body, &values).is_ok());
        prop_assert!(verifier.verify(&body, values.join(&b',')).is_ok());
    }

    #[test]
    fn no_header_is_accepted_by_accident_or_panics(secret in secret(), body in body(), values in vec(header(), 0..6)) {
        let verifier = Verifier::new([secret]).unwrap();
        let outcome = verifier.verify_any(&body, &values);
        prop_assert!(outcome.is_err());
        prop_assert_eq!(matches!(outcome, Err(Error::MissingSignature)), values.is_empty());
        for value in &values {
            prop_assert!(verifier.verify(&body, value).is_err());
        }
        let headers = values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok());
        let headers: HeaderMap = headers.map(|value| (SIGNATURE_HEADER.parse().unwrap(), value)).collect();
        prop_assert!(verifier.unwrap(&body, &headers).is_err());
    }

    #[test]
    fn a_secret_is_refused_if_and_only_if_it_cannot_be_right(
        secret in prop_oneof![
            any::<String>(),
            "[\0 \t]{0,3}",
            "[\0 \t\u{feff}\"']?(whsec_)?[a-z.]{0,3}[\0 \t\u{200b}]?[a-z*\u{ad}]?[\0 \t\"']?",
        ],
    ) {
        const MARKS: [char; 7] = ['"', '\'', '`', '‘', '’', '“', '”'];
        const NO_WIDTH: [char; 3] = ['\u{feff}', '\u{200b}', '\u{ad}'];
        let bad = secret.contains(|character: char| character.is_whitespace() || character.is_control())
            || secret.contains(NO_WIDTH)
            || secret.starts_with(MARKS)
            || secret.ends_with(MARKS)
            || !secret.trim_start_matches("whsec_").contains(char::is_alphanumeric);
        // Characters of no width are many more.
        if bad || secret.chars().all(|character| character.is_alphanumeric() || character.is_ascii()) {
            prop_assert_eq!(Verifier::new([secret]).is_err(), bad);
        }
    }

    #[test]
    fn no_body_makes_the_event_panic(body in prop_oneof![body(), json().prop_map(|json| to_vec(&json).unwrap())]) {
        let read = Event::parse_unverified(&body);
        if let Ok(json) = from_slice::<Value>(&body) {
            prop_assert_eq!(read.ok(), Event::from_json(json).ok());
        }
    }

    #[test]
    fn every_object_with_an_id_and_a_type_is_an_event_that_keeps_its_json(
        fields in btree_map(key(), json(), 0..8), id in word(), event_type in word(),
    ) {
        let mut object = Map::from_iter(fields);
        object.insert("id".to_owned(), id.clone().into());
        object.insert("type".to_owned(), event_type.clone().into());
        let json = Value::Object(object);

        let body = to_vec(&json).unwrap();
        let event = Event::parse_unverified(&body).unwrap();
        prop_assert_eq!((event.id.as_str(), event.kind.as_str()), (id.as_str(), event_type.as_str()));
        prop_assert_eq!(event.json(), &json);
        prop_assert_eq!(&from_slice::<Event>(&to_vec(&event).unwrap()).unwrap(), &event);
        prop_assert_eq!(Event::from_json(json).unwrap(), event);
    }
}
