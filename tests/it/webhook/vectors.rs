//! Signatures that others computed: test vectors of RFC 4231 and of Wikipedia.

use agentgate::webhook::{Error, SignatureFault, Verifier};

/// A secret, a body and the HMAC-SHA256 of the two.
struct Vector {
    name: &'static str,
    secret: &'static str,
    body: &'static [u8],
    tag: &'static str,
}

/// Of RFC 4231, section 4, the one whose key can be a secret. The others, and those of keys with white space in them,
/// are in the unit tests of the verifier.
const VECTORS: [Vector; 2] = [
    Vector {
        name: "RFC 4231, test case 2",
        secret: "Jefe",
        body: b"what do ya want for nothing?",
        tag: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    },
    Vector {
        name: "Wikipedia, HMAC",
        secret: "key",
        body: b"The quick brown fox jumps over the lazy dog",
        tag: "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
    },
];

#[test]
fn the_published_signatures_are_made_and_accepted() {
    for Vector { name, secret, body, tag } in VECTORS {
        let verifier = Verifier::new([secret]).unwrap();
        let signature = format!("sha256={tag}");
        assert_eq!(verifier.sign(body), signature, "{name}");
        assert!(verifier.verify(body, &signature).is_ok(), "{name}");
    }
}

#[test]
fn a_published_signature_does_not_match_another_secret_or_body() {
    for (number, vector) in VECTORS.iter().enumerate() {
        let next = &VECTORS[(number + 1) % VECTORS.len()];
        let signature = format!("sha256={}", vector.tag);
        for (secret, body) in [(next.secret, vector.body), (vector.secret, next.body)] {
            let error = Verifier::new([secret]).unwrap().verify(body, &signature).unwrap_err();
            assert!(matches!(error, Error::NoMatch { signatures: 1, secrets: 1 }), "{}: {error:?}", vector.name);
        }
    }
}

/// RFC 4231, test case 5, is about tags of 128 bits. The service sends whole tags, and a shorter tag is easier to
/// forge.
#[test]
fn a_truncated_signature_is_refused() {
    for Vector { name, secret, body, tag } in VECTORS {
        let verifier = Verifier::new([secret]).unwrap();
        for digits in 0..tag.len() {
            let error = verifier.verify(body, format!("sha256={}", &tag[..digits])).unwrap_err();
            let expected = SignatureFault::Length { digits };
            assert!(matches!(error, Error::MalformedSignature(fault) if fault == expected), "{name}: {error:?}");
        }
    }
    // The truncated tag of the RFC.
    let verifier = Verifier::new(["any"]).unwrap();
    let error = verifier.verify(b"Test With Truncation", "sha256=a3b6167473100ee06e0c796c2955552b").unwrap_err();
    assert!(matches!(error, Error::MalformedSignature(SignatureFault::Length { digits: 32 })), "{error:?}");
}

#[test]
fn keys_of_white_space_are_refused() {
    for key in ["\x0b".repeat(20), "\x0c".repeat(20)] {
        assert!(Verifier::new([key]).unwrap_err().to_string().contains("begins or ends with white space"));
    }
}

/// HMAC pads keys with zeros, so these are the empty key, with which anybody can sign.
#[test]
fn a_secret_of_zeros_counts_as_empty() {
    const EMPTY_SECRET_AND_BODY: &str = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    for secret in ["", "\0", &"\0".repeat(64)] {
        match Verifier::new([secret]) {
            Err(error) => assert!(error.to_string().contains("is empty"), "{error}"),
            Ok(verifier) => panic!("{:?}", verifier.verify(b"", format!("sha256={EMPTY_SECRET_AND_BODY}"))),
        }
    }
}
