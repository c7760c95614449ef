//! The texts of errors for the receiver's log and for the sender.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use agentgate::Secret;
use agentgate::webhook::{Error, Event, EventFault, SecretError, SignatureFault, Verifier};
use common::assert_chain_repeats_nothing;

/// Each variant at least once.
fn errors() -> Vec<Error> {
    let limit = Duration::from_secs(24 * 60 * 60);
    vec![
        Error::MissingSignature,
        Error::MalformedSignature(SignatureFault::Empty),
        Error::MalformedSignature(SignatureFault::NotSha256),
        Error::MalformedSignature(SignatureFault::Length { digits: 40 }),
        Error::MalformedSignature(SignatureFault::NotHex),
        Error::NoMatch { signatures: 2, secrets: 3 },
        Error::BodyTooLarge { limit: 256 * 1024 },
        Error::IncompleteBody("connection reset".into()),
        // Its text is that of its source.
        Error::IncompleteBody(axum::Error::new(std::io::Error::other("connection reset")).into()),
        Event::parse_unverified(b"").unwrap_err(),
        Event::parse_unverified(b"<html>").unwrap_err(),
        Event::parse_unverified(b"{\"id\": \"evt_1\"").unwrap_err(),
        Error::NotAnEvent(EventFault::NotAnObject),
        Error::NotAnEvent(EventFault::NoId),
        Error::NotAnEvent(EventFault::NoType),
        Error::NoTime,
        Error::TooOld { age: limit + Duration::from_secs(1), limit },
        Error::InFuture { ahead: Duration::from_secs(301), limit: Duration::from_secs(300) },
        Error::NoVerifier,
    ]
}

fn secret_errors() -> Vec<SecretError> {
    let invalid = ["", " whsec_0123", "whsec 0123", "whsec_01\u{feff}23", "'whsec_0123'", "whsec_..."];
    let errors = invalid.into_iter().map(|secret| Verifier::new(["whsec_0123", secret]).unwrap_err());
    errors.chain([Verifier::new([""; 0]).unwrap_err(), SecretError::NotSet]).collect()
}

/// The names of the variants of `Error`.
fn variants() -> BTreeSet<String> {
    let source = syn::parse_file(include_str!("../../../src/webhook/error.rs")).unwrap();
    let mut enums =
        source.items.into_iter().filter_map(|item| if let syn::Item::Enum(item) = item { Some(item) } else { None });
    let found = enums.find(|item| item.ident == "Error").unwrap();
    found.variants.iter().map(|variant| variant.ident.to_string()).collect()
}

/// The name of a variant, which `Debug` does not show.
fn name(error: &Error) -> String {
    macro_rules! name {
        ($($variant:ident),*) => {
            match error {
                $(Error::$variant { .. } => stringify!($variant),)*
                _ => "?",
            }
        };
    }
    name!(
        MissingSignature, MalformedSignature, NoMatch, BodyTooLarge, IncompleteBody, NotJson, NotAnEvent, NoTime,
        TooOld, InFuture, NoVerifier
    )
    .to_owned()
}

#[test]
fn every_refusal_has_a_text_a_status_and_a_public_message() {
    assert_eq!(errors().iter().map(name).collect::<BTreeSet<_>>(), variants());
    let mut texts = String::new();
    for error in errors() {
        assert_chain_repeats_nothing(&error);
        let status = error.status().as_u16();
        writeln!(texts, "{error}\n    {status}, to the sender: {}", error.public_message()).unwrap();
    }
    insta::assert_snapshot!(texts);
}

#[test]
fn every_invalid_secret_has_a_text_that_says_what_to_do() {
    insta::assert_snapshot!(secret_errors().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_public_message_shows_no_more_than_the_status() {
    for (number, error) in errors().iter().enumerate() {
        for other in &errors()[number..] {
            let same_status = error.status() == other.status();
            assert_eq!(error.public_message() == other.public_message(), same_status, "{error:?}, {other:?}");
        }
        assert!(!error.status().is_success());
    }
}

#[test]
fn neither_the_secret_nor_the_expected_signature_shows_anywhere() {
    let secret = "whsec_d2hvX3JlYWRzX3RoaXM";
    let verifier = Verifier::new([secret, "whsec_other"]).unwrap().max_age(Duration::from_secs(60));
    let body = br#"{"id": "evt_1", "type": "run.completed"}"#;
    let genuine = verifier.sign(body);
    let (_, tag) = genuine.split_once('=').unwrap();

    let mut shown = vec![format!("{verifier:?}"), format!("{verifier:#?}"), format!("{:?}", Secret::from(secret))];
    let forged = tag.chars().rev().collect::<String>();
    for value in ["", "sha256=", tag, "sha1=00", &format!("sha256={forged}"), &genuine[..40], &format!("{genuine}0")] {
        shown.extend(texts(&verifier.verify(body, value).unwrap_err()));
        shown.extend(texts(&verifier.unwrap_any(body, &[value, "x"]).unwrap_err()));
    }
    // Signed, but refused.
    shown.extend(texts(&verifier.unwrap_any(body, &[&genuine]).unwrap_err()));
    shown.extend(texts(&verifier.clone().max_body_size(1).verify(body, &genuine).unwrap_err()));
    shown.extend(texts(&verifier.unwrap_any(b"secret", &[verifier.sign(b"secret")]).unwrap_err()));
    for bad in [
        format!("{secret}\n"),
        format!(" {secret}"),
        format!("{secret} {secret}"),
        format!("\u{feff}{secret}"),
        format!("'{secret}'"),
    ] {
        let error = Verifier::new([bad]).unwrap_err();
        shown.extend([error.to_string(), format!("{error:?}")]);
    }

    let tag_bytes: Vec<u8> =
        (0..32).map(|place| u8::from_str_radix(&tag[2 * place..2 * place + 2], 16).unwrap()).collect();
    let secret_bytes = format!("{:?}", secret.as_bytes());
    for text in shown {
        for kept in [secret, &secret[6..], tag, &tag.to_uppercase(), &format!("{tag_bytes:?}"), &secret_bytes] {
            assert!(!text.contains(kept), "{text}");
        }
    }
}

fn texts(error: &Error) -> [String; 4] {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    [error.to_string(), format!("{error:?}"), format!("{error:#?}"), source]
}
