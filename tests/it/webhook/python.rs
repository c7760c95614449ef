//! The recipe of the vendor's documentation, run by Python beside the SDK: each accepts what the other signed.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use agentgate::webhook::{Error, Verifier};
use fastrand::Rng;

const DELIVERIES: usize = 1000;

/// Answers each line with three words: its own signature; whether it accepts the one it was given; and whether it
/// accepts that one for the body with a flipped bit, or else the flipped signature.
const PYTHON: &str = r"
import hashlib, hmac, sys

def sign(secret, body):
    return 'sha256=' + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()

def accepts(secret, body, signature):
    return hmac.compare_digest(sign(secret, body), signature)

for line in sys.stdin:
    secret, body, forged_body, signature, forged_signature = (bytes.fromhex(word) for word in line.rstrip('\n').split(','))
    secret, signature, forged_signature = secret.decode(), signature.decode(), forged_signature.decode()
    accepted = accepts(secret, body, signature)
    forged = accepts(secret, forged_body, signature) or accepts(secret, body, forged_signature)
    print(sign(secret, body), accepted, forged, flush=True)
";

#[test]
#[cfg_attr(not(python3), ignore = "needs python3")]
fn python_and_this_crate_accept_each_others_signatures() {
    let mut command = Command::new("python3");
    let mut child = command.args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut python = Python {
        input: BufWriter::new(child.stdin.take().unwrap()),
        output: BufReader::new(child.stdout.take().unwrap()),
    };

    let seed = fastrand::u64(..);
    let mut rng = Rng::with_seed(seed);
    for number in 0..DELIVERIES {
        let secret = secret(&mut rng, number);
        let body = body(&mut rng, number);
        let context = format!("delivery {number} of seed {seed}: secret {secret:?}, body of {} bytes", body.len());
        python.compare(&mut rng, &secret, &body, &context);
    }

    drop(python);
    assert!(child.wait().unwrap().success());
}

struct Python {
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Python {
    fn compare(&mut self, rng: &mut Rng, secret: &str, body: &[u8], context: &str) {
        let verifier = Verifier::new([secret]).expect(context).max_body_size(body.len() + 1);
        let signature = verifier.sign(body);
        // There is no bit in an empty body; another one will do.
        let forged_body = if body.is_empty() { vec![0] } else { flip(rng, body) };
        let forged_signature = flip_digit(rng, &signature);

        let words = [secret.as_bytes(), body, &forged_body, signature.as_bytes(), forged_signature.as_bytes()];
        writeln!(self.input, "{}", words.map(hex).join(",")).expect(context);
        self.input.flush().expect(context);
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect(context);
        let [pythons_signature, accepted, forged] = *answer.split_whitespace().collect::<Vec<_>>() else {
            panic!("{context}: Python answered {answer:?}");
        };

        assert_eq!((accepted, forged), ("True", "False"), "{context}");
        assert_eq!(pythons_signature, signature, "{context}");
        assert!(verifier.verify(body, pythons_signature).is_ok(), "{context}");
        for (body, signature) in [(&*forged_body, &*signature), (body, &*forged_signature)] {
            let error = verifier.verify(body, signature).expect_err(context);
            assert!(matches!(error, Error::NoMatch { .. }), "{context}: {error:?}");
        }
    }
}

/// Text of any characters that are letters, digits or ASCII, of lengths on both sides of a block of SHA-256; or such as
/// the service makes.
fn secret(rng: &mut Rng, number: usize) -> String {
    let length = if number.is_multiple_of(10) { rng.usize(60..70) } else { rng.usize(1..200) };
    let character = |rng: &mut Rng| match number % 3 {
        0 => rng.alphanumeric(),
        1 => rng.char('!'..='~'),
        _ => std::iter::repeat_with(|| rng.char(..)).find(|character| character.is_alphanumeric()).unwrap_or('x'),
    };
    let secret: String = (0..length).map(|_| character(rng)).collect();
    // No quotation mark stands at an end.
    if number.is_multiple_of(2) { format!("whsec_{secret}0") } else { format!("0{secret}0") }
}

/// Empty, of a few bytes, of some KiB, of 1 MiB once; some are text, most are not.
fn body(rng: &mut Rng, number: usize) -> Vec<u8> {
    let length = match number {
        0 => 0,
        1 => 1024 * 1024,
        _ => match number % 4 {
            0 => rng.usize(..3),
            1 => rng.usize(50..140),
            _ => rng.usize(..8 * 1024),
        },
    };
    if number % 5 == 2 {
        return (0..length).map(|_| rng.char(..)).collect::<String>().into_bytes();
    }
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes
}

fn flip(rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[rng.usize(..bytes.len())] ^= 1 << rng.u8(..8);
    flipped
}

/// Flips a bit of the tag that the signature writes in hex.
fn flip_digit(rng: &mut Rng, signature: &str) -> String {
    let place = rng.usize("sha256=".len()..signature.len());
    let digit = u32::from_str_radix(&signature[place..=place], 16).unwrap() ^ (1 << rng.u32(..4));
    format!("{}{digit:x}{}", &signature[..place], &signature[place + 1..])
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
