//! The signature header: its name, its values, and their encoding.
//!
//! There may be several signatures, in several headers or separated by commas: while a secret is replaced, or when a
//! proxy joins headers. One that matches is enough. Signatures of other algorithms are ignored, because a later version
//! of the service may add them.

use http::{HeaderMap, HeaderValue};

use super::error::{Error, SignatureFault};

/// The name of the signature header: `X-AgentGate-Signature`, in the lower case of the `http` crate.
///
/// Its value is `sha256=` and the lower-case hex of the HMAC-SHA256 of the raw body, with the whole secret, including
/// `whsec_`, as the key. On the command line: `printf %s "$body" | openssl dgst -sha256 -hmac "$secret"`.
pub const SIGNATURE_HEADER: &str = "x-agentgate-signature";

/// The prefix of a signature.
const SCHEME: &str = "sha256=";

type Tag = [u8; 32];

pub(super) fn header_values(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(SIGNATURE_HEADER).iter().map(HeaderValue::as_bytes)
}

/// Decodes the signatures in the values of signature headers, which are separated by commas.
pub(super) fn candidates<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Result<Tag, SignatureFault>> {
    values.flat_map(|value| value.split(|byte| *byte == b',')).map(|candidate| decode(candidate.trim_ascii()))
}

/// Counts the well-formed signatures in the values of signature headers. Fails if there is none.
pub(super) fn count<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<usize, Error> {
    let (mut well_formed, mut fault) = (0, None);
    for candidate in candidates(values) {
        match candidate {
            Ok(_) => well_formed += 1,
            Err(what) => fault = fault.or(Some(what)),
        }
    }
    if well_formed == 0 {
        return Err(fault.map_or(Error::MissingSignature, Error::MalformedSignature));
    }
    Ok(well_formed)
}

fn decode(candidate: &[u8]) -> Result<Tag, SignatureFault> {
    if candidate.is_empty() {
        return Err(SignatureFault::Empty);
    }
    let Some(digits) = candidate.strip_prefix(SCHEME.as_bytes()) else {
        return Err(SignatureFault::NotSha256);
    };
    let mut tag = Tag::default();
    if digits.len() != 2 * tag.len() {
        return Err(SignatureFault::Length { digits: digits.len() });
    }
    match base16ct::mixed::decode(digits, &mut tag) {
        Ok(_) => Ok(tag),
        Err(_) => Err(SignatureFault::NotHex),
    }
}

pub(super) fn encode(tag: &[u8]) -> String {
    format!("{SCHEME}{:x}", base16ct::HexDisplay(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn decoded(values: &[&str]) -> Vec<Result<u8, SignatureFault>> {
        candidates(values.iter().map(|value| value.as_bytes())).map(|candidate| candidate.map(|tag| tag[0])).collect()
    }

    #[test]
    fn upper_case_and_lower_case_digits_are_read() {
        assert_eq!(decoded(&[&format!("sha256={DIGITS}")]), [Ok(0x75)]);
        assert_eq!(decoded(&[&format!("sha256={}", DIGITS.to_uppercase())]), [Ok(0x75)]);
    }

    #[test]
    fn every_part_of_every_value_is_a_candidate() {
        let one = format!("sha256={DIGITS}");
        let other = format!("v1=abc , sha256={}", DIGITS.replace("75", "00"));
        assert_eq!(decoded(&[&one, &other]), [Ok(0x75), Err(SignatureFault::NotSha256), Ok(0x00)]);
    }

    #[test]
    fn a_malformed_signature_has_its_fault() {
        for (value, fault) in [
            ("", SignatureFault::Empty),
            (" , ", SignatureFault::Empty),
            (DIGITS, SignatureFault::NotSha256),
            ("sha1=0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33", SignatureFault::NotSha256),
            (&format!("SHA256={DIGITS}"), SignatureFault::NotSha256),
            ("sha256=", SignatureFault::Length { digits: 0 }),
            (&format!("sha256={}", &DIGITS[1..]), SignatureFault::Length { digits: 63 }),
            (&format!("sha256={DIGITS}0"), SignatureFault::Length { digits: 65 }),
            (&format!("sha256={}", DIGITS.replace('7', "g")), SignatureFault::NotHex),
            (&format!("sha256= {}", &DIGITS[1..]), SignatureFault::NotHex),
        ] {
            assert_eq!(decoded(&[value])[0], Err(fault), "{value:?}");
        }
    }
}
