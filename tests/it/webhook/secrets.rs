//! Secrets that cannot be valid are refused when the verifier is created, not by the first delivery.

use agentgate::webhook::{Error, SecretError, Verifier};

fn problem(secrets: &[&str]) -> String {
    match Verifier::new(secrets.iter().copied()) {
        Err(SecretError::Invalid(problem)) => problem,
        other => panic!("{secrets:?}: {other:?}"),
    }
}

#[test]
fn a_secret_that_cannot_be_valid_is_refused_with_the_reason() {
    for (secrets, expected) in [
        (&["", "\0\0"][..], "is empty"),
        (&[" whsec_0123", "whsec_0123\n", "\u{a0}whsec_0123"], "begins or ends with white space"),
        (
            &["whsec_0123 whsec_4567", "whsec_0123 # ours", "SECRET = whsec_0123", "whsec_01\r\n23"],
            "contains white space",
        ),
        (&["\u{feff}whsec_0123", "whsec_01\u{feff}23"], "contains the invisible character U+FEFF"),
        (&["whsec_0123\u{200b}"], "contains the invisible character U+200B"),
        (&["whsec_0123\0"], "contains the invisible character U+0000"),
        (
            &["\"whsec_0123\"", "'whsec_0123'", "`whsec_0123`", "“whsec_0123”", "\"whsec_0123", "whsec_0123'"],
            "begins or ends with a quotation mark",
        ),
        (&["whsec_", "whsec_...", "whsec_…", "whsec_***", "***", "..."], "is a placeholder"),
    ] {
        for secret in secrets {
            let problem = problem(&[secret]);
            let expected = format!("webhook secret 0 (counted from 0) {expected}; ");
            assert!(problem.starts_with(&expected), "{secret:?}: {problem}");
        }
    }
    assert!(problem(&["whsec_0123", "whsec_"]).starts_with("webhook secret 1 (counted from 0) is a placeholder"));
}

#[test]
fn the_placeholder_of_an_error_text_is_refused() {
    let text = SecretError::NotSet.to_string();
    let placeholder = text.split('`').nth(1).unwrap();
    assert!(problem(&[placeholder]).contains("is a placeholder"));
}

#[test]
fn a_secret_that_can_be_valid_is_accepted() {
    for secret in ["whsec_0123", "whsec_xxxxxxxxxxxxxxxx", "whsec_a+/=,-_.", "0", "Jefe", "päßword", "a'b\"c", "wh,sec"]
    {
        assert!(Verifier::new([secret]).is_ok(), "{secret}");
    }
}

#[test]
fn the_default_limit_of_a_body_is_256_kib() {
    let verifier = Verifier::new(["whsec_0123"]).unwrap();
    let largest = vec![b' '; 256 * 1024];
    assert!(verifier.verify(&largest, verifier.sign(&largest)).is_ok());
    let larger = vec![b' '; 256 * 1024 + 1];
    let error = verifier.verify(&larger, verifier.sign(&larger)).unwrap_err();
    assert!(matches!(error, Error::BodyTooLarge { limit: 262_144 }), "{error:?}");
}
