//! Secrets that cannot be right are refused when the verifier is made, not when the first delivery comes.

use agentgate::webhook::{Error, SecretError, Verifier};

#[test]
fn a_secret_that_cannot_be_right_is_refused_for_what_is_wrong_with_it() {
    let index = 0;
    for (secrets, error) in [
        (&["", "\0\0"][..], SecretError::Empty { index }),
        (&[" whsec_0123", "whsec_0123\n", "\u{a0}whsec_0123"], SecretError::Padded { index }),
        (
            &["whsec_0123 whsec_4567", "whsec_0123 # ours", "SECRET = whsec_0123"],
            SecretError::Invisible { index, character: ' ' },
        ),
        (&["whsec_01\r\n23"], SecretError::Invisible { index, character: '\r' }),
        (&["\u{feff}whsec_0123", "whsec_01\u{feff}23"], SecretError::Invisible { index, character: '\u{feff}' }),
        (&["whsec_0123\u{200b}"], SecretError::Invisible { index, character: '\u{200b}' }),
        (&["whsec_0123\0"], SecretError::Invisible { index, character: '\0' }),
        (
            &["\"whsec_0123\"", "'whsec_0123'", "`whsec_0123`", "“whsec_0123”", "\"whsec_0123", "whsec_0123'"],
            SecretError::Quoted { index },
        ),
        (&["whsec_", "whsec_...", "whsec_…", "whsec_***", "***", "..."], SecretError::Placeholder { index }),
    ] {
        for secret in secrets {
            assert_eq!(Verifier::new([*secret]).unwrap_err(), error, "{secret:?}");
        }
    }
    assert_eq!(Verifier::new(["whsec_0123", "whsec_"]).unwrap_err(), SecretError::Placeholder { index: 1 });
}

#[test]
fn the_placeholder_of_an_error_text_is_no_secret() {
    for error in [SecretError::NotSet, SecretError::NotText] {
        let text = error.to_string();
        let placeholder = text.split('`').nth(1).unwrap();
        assert_eq!(Verifier::new([placeholder]).unwrap_err(), SecretError::Placeholder { index: 0 });
    }
}

#[test]
fn a_secret_that_can_be_right_is_accepted() {
    for secret in ["whsec_0123", "whsec_xxxxxxxxxxxxxxxx", "whsec_a+/=,-_.", "0", "Jefe", "päßword", "a'b\"c", "wh,sec"]
    {
        assert!(Verifier::new([secret]).is_ok(), "{secret}");
    }
}

#[test]
fn by_default_a_body_may_have_256_kib() {
    let verifier = Verifier::new(["whsec_0123"]).unwrap();
    let largest = vec![b' '; 256 * 1024];
    assert!(verifier.verify(&largest, verifier.sign(&largest)).is_ok());
    let larger = vec![b' '; 256 * 1024 + 1];
    let error = verifier.verify(&larger, verifier.sign(&larger)).unwrap_err();
    assert!(matches!(error, Error::BodyTooLarge { limit: 262_144 }), "{error:?}");
}
