//! What stands in the signature header.
//!
//! A header may come several times, and hold several signatures separated by commas: while a secret is replaced, or when a
//! proxy joins headers. Each is a candidate, and one that fits is enough. Candidates of other algorithms are passed over,
//! as a later version of the service may send them beside the present one.

use http::{HeaderMap, HeaderValue};

use super::error::{Error, SignatureFault};

/// The name of the header that carries the signature: `X-AgentGate-Signature`, in lower case, as `http` writes names.
///
/// Its value is `sha256=` and the lower-case hex of the HMAC-SHA256 of the raw body, keyed with the whole secret, `whsec_` included. By
/// hand: `printf %s "$body" | openssl dgst -sha256 -hmac "$secret"`.
pub const SIGNATURE_HEADER: &str = "x-agentgate-signature";

/// What a signature begins with.
const SCHEME: &str = "sha256=";

/// The bytes of an HMAC-SHA256.
type Tag = [u8; 32];

/// The values of the signature headers among these.
pub(super) fn signatures(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(SIGNATURE_HEADER).iter().map(HeaderValue::as_bytes)
}

/// The candidates in the values of signature headers.
pub(super) fn candidates<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Result<Tag, SignatureFault>> {
    values.flat_map(|value| value.split(|byte| *byte == b',')).map(|candidate| read(candidate.trim_ascii()))
}

/// How many signatures there are in the values of signature headers.
///
/// # Errors
///
/// If there is none.
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

/// Reads one signature: `sha256=` and 64 hex digits, upper case or lower.
fn read(candidate: &[u8]) -> Result<Tag, SignatureFault> {
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

/// Writes a signature as the service does.
pub(super) fn write(tag: &[u8]) -> String {
    format!("{SCHEME}{:x}", base16ct::HexDisplay(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn of(values: &[&str]) -> Vec<Result<u8, SignatureFault>> {
        candidates(values.iter().map(|value| value.as_bytes())).map(|candidate| candidate.map(|tag| tag[0])).collect()
    }

    #[test]
    fn either_case_of_the_digits_is_read() {
        assert_eq!(of(&[&format!("sha256={DIGITS}")]), [Ok(0x75)]);
        assert_eq!(of(&[&format!("sha256={}", DIGITS.to_uppercase())]), [Ok(0x75)]);
    }

    #[test]
    fn every_value_and_every_part_of_it_is_a_candidate() {
        let one = format!("sha256={DIGITS}");
        let other = format!("v1=abc , sha256={}", DIGITS.replace("75", "00"));
        assert_eq!(of(&[&one, &other]), [Ok(0x75), Err(SignatureFault::NotSha256), Ok(0x00)]);
    }

    #[test]
    fn what_is_no_signature_says_what_is_wrong_with_it() {
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
            assert_eq!(of(&[value])[0], Err(fault), "{value:?}");
        }
    }
}
