//! A hundred thousand forged deliveries of many kinds: all are refused, with the right reason.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use agentgate::http::{HeaderMap, HeaderValue};
use agentgate::webhook::{Error, SIGNATURE_HEADER, SignatureFault, Verifier};
use fastrand::Rng;
use sha2::{Digest, Sha256, Sha512};

const FORGERIES: usize = 100_000;
const SECRETS: [&str; 3] = ["whsec_0123456789", "whsec_abcdefghij", "whsec_Ünïcödé-sécrèt"];
const SCHEME: &str = "sha256=";

/// One for each of the secrets.
static SIGNERS: LazyLock<[Verifier; 3]> = LazyLock::new(|| SECRETS.map(|secret| Verifier::new([secret]).unwrap()));

/// Why a forgery is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Refusal {
    /// Nothing in the header is a signature.
    Malformed,
    /// There is a signature, and it does not fit.
    NoMatch,
    /// One or the other.
    Any,
}
use Refusal::{Any, Malformed, NoMatch};

/// An intercepted delivery, signed with one of the secrets.
struct Overheard {
    body: Vec<u8>,
    /// Without `sha256=`.
    tag: String,
}

/// A forged delivery: a body, and the values of signature headers.
struct Forgery {
    body: Vec<u8>,
    values: Vec<Vec<u8>>,
}

impl Overheard {
    fn new(rng: &mut Rng) -> Self {
        let body = body(rng);
        Self { tag: tag(rng.choice(&*SIGNERS).unwrap(), &body), body }
    }

    /// The same body with another header.
    fn with(self, value: impl Into<Vec<u8>>) -> Forgery {
        Forgery { body: self.body, values: vec![value.into()] }
    }

    /// The same header with another body.
    fn over(self, body: Vec<u8>) -> Forgery {
        Forgery { values: vec![format!("{SCHEME}{}", self.tag).into_bytes()], body }
    }
}

type Forge = fn(&mut Rng, Overheard) -> Forgery;

/// The kinds that send one value.
const SINGLE: [(&str, Refusal, Forge); 27] = [
    ("empty", Malformed, |_, delivery| delivery.with("")),
    ("white space", Malformed, |rng, delivery| {
        let length = rng.usize(1..20);
        delivery.with((0..length).map(|_| *rng.choice(b" \t,").unwrap()).collect::<Vec<_>>())
    }),
    ("random bytes", Malformed, |rng, delivery| {
        let length = rng.usize(1..200);
        delivery.with((0..length).map(|_| rng.u8(..)).collect::<Vec<_>>())
    }),
    ("no scheme", Malformed, |_, delivery| {
        let tag = delivery.tag.clone();
        delivery.with(tag)
    }),
    ("scheme only", Malformed, |rng, delivery| delivery.with(rng.choice(["sha256=", "sha256", "sha256=,"]).unwrap())),
    ("scheme twice", Malformed, |_, delivery| {
        let value = format!("{SCHEME}{SCHEME}{}", delivery.tag);
        delivery.with(value)
    }),
    ("scheme in upper case", Malformed, |rng, delivery| {
        let value = format!("{}={}", rng.choice(["SHA256", "Sha256", "shA256"]).unwrap(), delivery.tag);
        delivery.with(value)
    }),
    ("another scheme", Malformed, |rng, delivery| {
        let scheme =
            ["v0=", "v1=", "t=", "sha-256=", "sha224=", "sha256:", "sha2566=", "hmac-sha256=", "none=", "=", " = "];
        let value = format!("{}{}", rng.choice(scheme).unwrap(), delivery.tag);
        delivery.with(value)
    }),
    ("another algorithm", Malformed, |rng, delivery| {
        let value = match rng.u8(..5) {
            0 => format!("sha512={}", hex(&Sha512::digest(&delivery.body))),
            1 => format!("sha256={}", hex(&Sha512::digest(&delivery.body))),
            2 => format!("sha1={}", digits(rng, 40)),
            3 => format!("md5={}", digits(rng, 32)),
            _ => "none".to_owned(),
        };
        delivery.with(value)
    }),
    ("truncated", Malformed, |rng, delivery| {
        let value = format!("{SCHEME}{}", &delivery.tag[..rng.usize(..64)]);
        delivery.with(value)
    }),
    ("cut at the front", Malformed, |rng, delivery| {
        let value = format!("{SCHEME}{}", &delivery.tag[rng.usize(1..=64)..]);
        delivery.with(value)
    }),
    ("extended", Malformed, |rng, delivery| {
        let length = rng.usize(1..70);
        let value = format!("{SCHEME}{}{}", delivery.tag, digits(rng, length));
        delivery.with(value)
    }),
    ("something behind", Malformed, |rng, delivery| {
        let more = rng.choice(["=", ";", "; charset=utf-8", "\0", "\"", " v1=0", "\r\nx: y"]).unwrap();
        let value = format!("{SCHEME}{}{more}", delivery.tag);
        delivery.with(value)
    }),
    ("quoted", Malformed, |rng, delivery| {
        let value = format!("{SCHEME}{}", delivery.tag);
        let value = rng.choice([
            format!("\"{value}\""),
            format!("'{value}'"),
            format!("<{value}>"),
            format!("{SCHEME}0x{}", delivery.tag),
        ]);
        delivery.with(value.unwrap())
    }),
    ("a space within", Malformed, |rng, delivery| {
        let mut value = format!("{SCHEME}{}", delivery.tag);
        let place = rng.usize(1..value.len());
        let length = usize::from(rng.bool());
        value.replace_range(place..place + length, rng.choice([" ", "\t"]).unwrap());
        delivery.with(value)
    }),
    ("split by a comma", Malformed, |rng, delivery| {
        let mut value = format!("{SCHEME}{}", delivery.tag);
        value.insert(rng.usize(1..value.len()), ',');
        delivery.with(value)
    }),
    ("a number of digits that is wrong", Malformed, |rng, delivery| {
        let length = rng.usize(1..64) + rng.choice([0, 64]).unwrap();
        let value = format!("{SCHEME}{}", digits(rng, length));
        delivery.with(value)
    }),
    ("a digit that is none", Malformed, |rng, delivery| {
        let mut value = format!("{SCHEME}{}", delivery.tag);
        let place = rng.usize(SCHEME.len()..value.len());
        value.replace_range(
            place..=place,
            rng.choice(["g", "G", "/", ":", "@", "`", "O", "l", "-", "\0", "\x7f"]).unwrap(),
        );
        delivery.with(value)
    }),
    ("bytes that are not UTF-8", Malformed, |rng, delivery| {
        let mut value = format!("{SCHEME}{}", delivery.tag).into_bytes();
        let place = rng.usize(..value.len());
        // The same digit with the high bit set.
        value[place] = rng.choice([value[place] | 0x80, 0xff, 0xa0, 0xc0]).unwrap();
        delivery.with(value)
    }),
    ("similar digits of Unicode", Malformed, |rng, delivery| {
        let place = rng.usize(..64);
        let digit = char::from(delivery.tag.as_bytes()[place]);
        let similar = similar(rng, digit);
        // As many characters, or as many bytes, as there should be.
        let end = if rng.bool() { place + 1 } else { (place + similar.len_utf8()).min(64) };
        let value = format!("{SCHEME}{}{similar}{}", &delivery.tag[..place], &delivery.tag[end..]);
        delivery.with(value)
    }),
    ("wrong digits in upper case", NoMatch, |rng, delivery| {
        let value = format!("{SCHEME}{}", other_digits(rng, &delivery.tag).to_uppercase());
        delivery.with(value)
    }),
    ("random digits", NoMatch, |rng, delivery| {
        let value = format!("{SCHEME}{}", digits(rng, 64));
        delivery.with(value)
    }),
    ("a flipped bit in the tag", NoMatch, |rng, delivery| {
        let place = rng.usize(..64);
        let digit = u8::from_str_radix(&delivery.tag[place..=place], 16).unwrap() ^ (1 << rng.u8(..4));
        let value = format!("{SCHEME}{}{digit:x}{}", &delivery.tag[..place], &delivery.tag[place + 1..]);
        delivery.with(value)
    }),
    ("no secret", NoMatch, |rng, delivery| {
        // The digest alone; with the key that is no key; with the words for the secret.
        let tag = match rng.u8(..3) {
            0 => hex(&Sha256::digest(&delivery.body)),
            1 => hex(&Sha256::digest([SECRETS[0].as_bytes(), &delivery.body].concat())),
            _ => tag(&Verifier::new(["AGENTGATE_WEBHOOK_SECRET"]).unwrap(), &delivery.body),
        };
        delivery.with(format!("{SCHEME}{tag}"))
    }),
    ("a wrong secret", NoMatch, |rng, delivery| {
        let secret = rng.choice(SECRETS).unwrap();
        let secret = match rng.u8(..4) {
            0 => secret.trim_start_matches("whsec_").to_owned(),
            1 => secret.to_uppercase(),
            2 => secret.chars().rev().collect(),
            _ => format!("whsec_{}", rng.u64(..)),
        };
        let value = Verifier::new([secret]).unwrap().sign(&delivery.body);
        delivery.with(value)
    }),
    ("the signature of another body", NoMatch, |rng, delivery| {
        let body = body(rng);
        delivery.over(body)
    }),
    ("a body that was changed", NoMatch, |rng, delivery| {
        let mut body = delivery.body.clone();
        let place = rng.usize(..body.len());
        match rng.u8(..5) {
            0 | 1 => body[place] ^= 1 << rng.u8(..8),
            2 => body.insert(place, b' '),
            3 => body.truncate(place),
            _ => body.extend_from_slice(b"\n"),
        }
        delivery.over(body)
    }),
];

/// A forgery of one of the kinds, the name of the kind, and why it is refused.
fn forge(rng: &mut Rng, number: usize) -> (&'static str, Refusal, Forgery) {
    let delivery = Overheard::new(rng);
    let kinds = SINGLE.len() + 2;
    match number % kinds {
        kind if kind < SINGLE.len() => {
            let (name, refusal, forge) = SINGLE[kind];
            (name, refusal, forge(rng, delivery))
        }
        kind => {
            let values = several(rng, &delivery);
            if kind == SINGLE.len() {
                ("several headers", Any, Forgery { body: delivery.body, values })
            } else {
                ("a list with commas", Any, delivery.with(values.join(&b',')))
            }
        }
    }
}

/// Some values that do not fit this delivery's body.
fn several(rng: &mut Rng, delivery: &Overheard) -> Vec<Vec<u8>> {
    let length = rng.usize(2..10);
    let mut values = Vec::new();
    while values.len() < length {
        let (_, _, forge) = *rng.choice(&SINGLE).unwrap();
        let forgery = forge(rng, Overheard { body: delivery.body.clone(), tag: delivery.tag.clone() });
        // Otherwise its signature is the right one.
        if forgery.body == delivery.body {
            values.extend(forgery.values);
        }
    }
    values
}

#[test]
fn a_hundred_thousand_forged_deliveries_are_refused() {
    let verifier = Verifier::new(SECRETS).unwrap();
    let seed = fastrand::u64(..);
    let mut rng = Rng::with_seed(seed);
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();

    for number in 0..FORGERIES {
        let (kind, refusal, Forgery { body, values }) = forge(&mut rng, number);
        let context = || format!("forgery {number} of seed {seed}, {kind}: {}", shown(&values));
        let [alone, together, unwrapped] = counts.entry(kind).or_default();

        for value in &values {
            check(&verifier.verify(&body, value), refusal).unwrap_or_else(|what| panic!("{}: {what}", context()));
            *alone += 1;
        }
        check(&verifier.verify_any(&body, &values), refusal).unwrap_or_else(|what| panic!("{}: {what}", context()));
        *together += 1;
        // Some bytes do not get into a header.
        if let Some(headers) = headers(&values) {
            let outcome = verifier.unwrap(&body, &headers).map(drop);
            check(&outcome, refusal).unwrap_or_else(|what| panic!("{}: {what}", context()));
            *unwrapped += 1;
        }
    }

    assert_eq!(counts.len(), SINGLE.len() + 2);
    for (kind, [alone, together, unwrapped]) in &counts {
        println!("{alone:6} {together:6} {unwrapped:6}  {kind}");
        assert!(*alone > 0 && *together > 0 && *unwrapped > 0, "{kind}");
    }
    assert_eq!(counts.values().map(|[_, together, _]| together).sum::<usize>(), FORGERIES);
}

#[test]
fn a_delivery_without_a_signature_header_is_refused() {
    let verifier = Verifier::new(SECRETS).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("x-hub-signature-256", verifier.sign(b"{}").parse().unwrap());
    for outcome in [verifier.verify_any::<&str>(b"{}", &[]), verifier.unwrap(b"{}", &headers).map(drop)] {
        assert!(matches!(outcome, Err(Error::MissingSignature)), "{outcome:?}");
    }
}

#[test]
fn every_byte_that_is_not_a_digit_is_refused_at_every_place() {
    let verifier = Verifier::new(["whsec_0123456789"]).unwrap();
    let genuine = verifier.sign(b"{}").into_bytes();
    for place in SCHEME.len()..genuine.len() {
        for byte in 0..=u8::MAX {
            let mut value = genuine.clone();
            value[place] = byte;
            let outcome = verifier.verify(b"{}", &value);
            let fits = match outcome {
                Ok(()) => byte.eq_ignore_ascii_case(&genuine[place]),
                Err(Error::NoMatch { .. }) => byte.is_ascii_hexdigit(),
                // A comma, and white space at the end, leave fewer digits.
                Err(Error::MalformedSignature(SignatureFault::Length { digits })) => {
                    digits < 64 && (byte == b',' || byte.is_ascii_whitespace())
                }
                Err(Error::MalformedSignature(SignatureFault::NotHex)) => !byte.is_ascii_hexdigit(),
                Err(_) => false,
            };
            assert!(fits, "byte {byte:#x} at {place}: {outcome:?}");
        }
    }
}

#[test]
fn the_genuine_signature_is_found_among_forgeries_at_every_place_and_with_each_secret() {
    let seed = fastrand::u64(..);
    let mut rng = Rng::with_seed(seed);
    for (secrets, forgeries) in
        (1..=SECRETS.len()).flat_map(|secrets| (0..8).map(move |forgeries| (secrets, forgeries)))
    {
        let verifier = Verifier::new(SECRETS.into_iter().take(secrets)).unwrap();
        for (signer, place) in (0..secrets).flat_map(|signer| (0..=forgeries).map(move |place| (signer, place))) {
            let signer = &SIGNERS[signer];
            let delivery = Overheard { body: EVENT.to_vec(), tag: tag(signer, EVENT) };
            let mut values: Vec<Vec<u8>> = Vec::new();
            while values.len() < forgeries {
                values.extend(
                    several(&mut rng, &delivery).into_iter().filter(|value| HeaderValue::from_bytes(value).is_ok()),
                );
            }
            values.truncate(forgeries);
            values.insert(place, signer.sign(EVENT).into_bytes());

            let context = format!("seed {seed}, {}", shown(&values));
            assert!(verifier.verify(EVENT, values.join(&b',')).is_ok(), "{context}");
            assert!(verifier.verify(EVENT, values.join(&b" , "[..])).is_ok(), "{context}");
            assert!(verifier.verify_any(EVENT, &values).is_ok(), "{context}");
            assert!(verifier.unwrap_any(EVENT, &values).is_ok(), "{context}");
            let event = verifier.unwrap(EVENT, &headers(&values).unwrap()).expect(&context);
            assert_eq!(event.id, "evt_1");
        }
    }
}

const EVENT: &[u8] = br#"{"id": "evt_1", "type": "run.completed", "data": {"runId": "run_1"}}"#;

/// Returns the fault of a result.
fn check(outcome: &Result<(), Error>, expected: Refusal) -> Result<(), String> {
    let actual = match outcome {
        Err(Error::MalformedSignature(_)) => Malformed,
        Err(Error::NoMatch { secrets: 3, .. }) => NoMatch,
        _ => return Err(format!("{outcome:?}")),
    };
    if actual == expected || expected == Any { Ok(()) } else { Err(format!("{outcome:?}, not {expected:?}")) }
}

fn headers(values: &[Vec<u8>]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(SIGNATURE_HEADER, HeaderValue::from_bytes(value).ok()?);
    }
    Some(headers)
}

/// An event, mostly, that no other is equal to.
fn body(rng: &mut Rng) -> Vec<u8> {
    if rng.u8(..4) == 0 {
        let mut bytes = vec![0; rng.usize(16..200)];
        rng.fill(&mut bytes);
        return bytes;
    }
    format!(r#"{{"id": "evt_{:x}", "type": "run.completed", "data": {{"runId": "run_1"}}}}"#, rng.u128(..)).into_bytes()
}

/// The right tag, in hex.
fn tag(signer: &Verifier, body: &[u8]) -> String {
    signer.sign(body).trim_start_matches(SCHEME).to_owned()
}

fn digits(rng: &mut Rng, length: usize) -> String {
    (0..length).map(|_| rng.digit(16)).collect()
}

/// As many digits, and at least one that differs.
fn other_digits(rng: &mut Rng, tag: &str) -> String {
    loop {
        let other = digits(rng, tag.len());
        if other != tag {
            return other;
        }
    }
}

/// A character that looks or counts like this digit, and is none.
fn similar(rng: &mut Rng, digit: char) -> char {
    let value = digit.to_digit(16).unwrap();
    // Fullwidth, Arabic-Indic, Devanagari, mathematical bold; fullwidth and mathematical letters.
    let zeros: &[u32] =
        if value < 10 { &[0xff10, 0x0660, 0x0966, 0x1d7ce] } else { &[0xff41 - 10, 0x1d41a - 10, 0x24d0 - 10] };
    let cyrillic = match digit {
        'a' => Some('а'),
        'c' => Some('с'),
        'e' => Some('е'),
        _ => None,
    };
    cyrillic.filter(|_| rng.bool()).unwrap_or_else(|| char::from_u32(rng.choice(zeros).unwrap() + value).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", base16ct::HexDisplay(bytes))
}

fn shown(values: &[Vec<u8>]) -> String {
    values.iter().map(|value| value.escape_ascii().to_string()).collect::<Vec<_>>().join(" | ")
}
