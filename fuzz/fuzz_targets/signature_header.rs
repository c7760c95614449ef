//! Verifying any signature headers does not panic, and accepts only the genuine signature.

#![no_main]

use std::sync::LazyLock;

use agentgate::http::{HeaderMap, HeaderValue};
use agentgate::webhook::{Error, SIGNATURE_HEADER, Verifier};
use libfuzzer_sys::fuzz_target;

const BODY: &[u8] = br#"{"id": "evt_1", "type": "run.completed", "data": {"runId": "run_1"}}"#;
const SECRETS: [&str; 2] = ["whsec_0123456789", "whsec_abcdefghij"];
/// The signatures of the body. `dictionaries/signature_header.dict` contains them, so that the fuzzer finds accepted
/// inputs.
const TAGS: [&str; 2] = [
    "20275f80cdf0e001f8a854434f0f7e681aff8b57171c87e4e7d586ae50eb54f1",
    "e155df7699d871122c36946b38cc8f702da69427126c468044e1b7fc22fc6e9e",
];

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    for (secret, tag) in SECRETS.into_iter().zip(TAGS) {
        assert_eq!(Verifier::new([secret]).unwrap().sign(BODY), format!("sha256={tag}"));
    }
    Verifier::new(SECRETS).unwrap()
});

// The values are the lines of the input.
fuzz_target!(|input: &[u8]| {
    let values: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let genuine = values.iter().any(|value| is_genuine(value));

    let accepted = VERIFIER.verify_any(BODY, &values).is_ok();
    assert_eq!(accepted, genuine, "verify_any");
    assert_eq!(VERIFIER.unwrap_any(BODY, &values).is_ok(), genuine, "unwrap_any");
    let one_by_one = values.iter().any(|value| VERIFIER.verify(BODY, value).is_ok());
    assert_eq!(one_by_one, genuine, "verify");

    // Skips values that are not valid in a header.
    let mut headers = HeaderMap::new();
    let mut genuine = false;
    for value in values {
        if let Ok(header) = HeaderValue::from_bytes(value) {
            headers.append(SIGNATURE_HEADER, header);
            genuine |= is_genuine(value);
        }
    }
    let outcome = VERIFIER.unwrap(BODY, &headers);
    assert_eq!(outcome.is_ok(), genuine, "unwrap");
    assert_eq!(matches!(outcome, Err(Error::MissingSignature)), headers.is_empty());
    if let Err(error) = outcome {
        let text = format!("{error} {error:?}");
        assert!(!TAGS.iter().any(|tag| text.contains(tag)));
    }
});

/// Returns `true` for an acceptable value, by an independent implementation.
fn is_genuine(value: &[u8]) -> bool {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter_map(|part| part.strip_prefix(b"sha256="))
        .any(|tag| TAGS.iter().any(|genuine| tag.eq_ignore_ascii_case(genuine.as_bytes())))
}
