//! A body signed with any of the secrets is accepted, a changed one is rejected, and an event is accepted only within
//! the maximum age.

#![no_main]

use std::time::Duration;

use agentgate::chrono::{DateTime, Utc};
use agentgate::webhook::{Error, Event, Verifier};
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    body: &'a [u8],
    /// The time of the event. The body is then an event with this time.
    happened: Option<i64>,
    now: i64,
    max_age: Duration,
    max_skew: Duration,
    secrets: Vec<&'a str>,
    /// Index of the secret that signs.
    signer: usize,
    /// Other values of the signature header.
    others: Vec<&'a [u8]>,
    place: usize,
    /// Index of the bit of the body, and of the digit of the tag, to change.
    body_bit: usize,
    tag_bit: usize,
}

fuzz_target!(|input: Input| {
    let Ok(verifier) = Verifier::new(input.secrets.iter().copied()) else {
        let good = |secret: &&str| !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        assert!(input.secrets.is_empty() || !input.secrets.iter().all(good));
        return;
    };
    let body = match input.happened {
        Some(time) => format!(r#"{{"id": "evt_1", "type": "run.completed", "createdAt": {time}}}"#).into_bytes(),
        None => input.body.to_vec(),
    };
    let signer = Verifier::new([input.secrets[input.signer % input.secrets.len()]]).unwrap();
    let signature = signer.sign(&body);

    // Accepted, alone and among others.
    verifier.verify(&body, &signature).unwrap();
    let mut values = input.others.clone();
    let place = input.place % (values.len() + 1);
    values.insert(place, signature.as_bytes());
    verifier.verify_any(&body, &values).unwrap();
    verifier.verify(&body, values.join(&b',')).unwrap();

    // Rejected after a change.
    let mut changed = body.clone();
    if !changed.is_empty() {
        let bit = input.body_bit % (8 * changed.len());
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_rejected(&verifier, &changed, &signature);
    }
    changed = body.clone();
    changed.push(input.tag_bit as u8);
    assert_rejected(&verifier, &changed, &signature);
    let mut tag = signature.clone().into_bytes();
    let digit = 7 + input.tag_bit % 64;
    tag[digit] = if tag[digit] == b'0' { b'1' } else { b'0' };
    assert_rejected(&verifier, &body, &tag);
    // Several values are accepted if and only if one of them is.
    let any_accepted = input.others.iter().any(|value| verifier.verify(&body, value).is_ok());
    assert_eq!(verifier.verify_any(&body, &input.others).is_ok(), any_accepted);
    let limited = verifier.clone().max_body_size(body.len().saturating_sub(1));
    if !body.is_empty() {
        assert!(matches!(limited.verify(&body, &signature), Err(Error::BodyTooLarge { .. })));
    }

    // The age.
    let Some(now) = DateTime::<Utc>::from_timestamp_millis(input.now) else { return };
    let aging = verifier.max_age(input.max_age).max_clock_skew(input.max_skew).clock(move || now);
    let outcome = aging.unwrap_any(&body, &values);
    match Event::parse_unverified(&body).map(|event| event.created_at) {
        Err(_) => assert!(matches!(outcome, Err(Error::NotJson(_) | Error::NotAnEvent(_)))),
        Ok(None) => assert!(matches!(outcome, Err(Error::NoTime))),
        // A time in an arbitrary body may be a leap second, which has a different arithmetic.
        Ok(Some(happened)) if input.happened.is_some() => {
            let age = nanoseconds(now) - nanoseconds(happened);
            let limit = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap();
            if age > limit(input.max_age) {
                assert!(matches!(outcome, Err(Error::TooOld { .. })), "{outcome:?}");
            } else if -age > limit(input.max_skew) {
                assert!(matches!(outcome, Err(Error::InFuture { .. })), "{outcome:?}");
            } else {
                outcome.unwrap();
            }
        }
        Ok(Some(_)) => assert!(matches!(outcome, Ok(_) | Err(Error::TooOld { .. } | Error::InFuture { .. }))),
    }
});

fn nanoseconds(time: DateTime<Utc>) -> i128 {
    i128::from(time.timestamp()) * 1_000_000_000 + i128::from(time.timestamp_subsec_nanos())
}

fn assert_rejected(verifier: &Verifier, body: &[u8], signature: impl AsRef<[u8]>) {
    let error = verifier.verify(body, signature).unwrap_err();
    assert!(matches!(error, Error::NoMatch { signatures: 1, .. }), "{error:?}");
}
