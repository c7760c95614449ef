//! The dependencies of the feature `webhooks`: neither an HTTP client nor an async runtime nor TLS.

use std::collections::BTreeSet;
use std::process::Command;

use agentgate::serde_json::{from_slice, to_vec};
use agentgate::webhook::Event;

/// Words that may not be in the name of a dependency.
const UNWANTED: [&str; 8] = ["reqwest", "tokio", "hyper", "rustls", "native-tls", "openssl", "ring", "aws-lc"];

/// Returns the lines of `cargo tree` for the feature `webhooks` alone.
///
/// On one platform, whichever this is: some crates need others on some platforms.
fn tree(arguments: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--target", "x86_64-unknown-linux-gnu"])
        .args(["--package", "agentgate", "--no-default-features", "--features", "webhooks"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The names of the crates.
fn crates() -> BTreeSet<String> {
    let lines = tree(&["--edges", "normal"]);
    lines.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn webhooks_need_neither_an_http_client_nor_a_runtime_nor_tls() {
    let crates = crates();
    assert!(crates.contains("hmac") && crates.contains("sha2"), "{crates:?}");
    // By whole words: `tokio-util` is unwanted, and `string` is no `ring`.
    let unwanted = |name: &&String| UNWANTED.iter().any(|word| format!("-{name}-").contains(&format!("-{word}-")));
    assert_eq!(crates.iter().filter(unwanted).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_crates_that_webhooks_need() {
    insta::assert_snapshot!(crates().into_iter().collect::<Vec<_>>().join("\n"));
}

/// Without this feature, `serde_json` reads numbers of seventeen digits that differ in the last one from what was
/// written, and an event that goes through a queue is another one. It cannot be seen from a test: dependencies of the
/// tests turn it on.
#[test]
fn numbers_are_read_as_they_were_written() {
    let features = tree(&["--edges", "normal,features", "--invert", "serde_json"]);
    assert!(features.iter().any(|line| line.contains("float_roundtrip")), "{features:#?}");
    for number in ["360.73440527506165", "7.858006643404745e-51"] {
        let body = format!(r#"{{"id":"evt_1","type":"run.completed","data":{{"cost":{{"credits":{number}}}}}}}"#);
        let event = Event::parse_unverified(body.as_bytes()).unwrap();
        assert_eq!(event.json()["data"]["cost"]["credits"].to_string(), number);
        assert_eq!(from_slice::<Event>(&to_vec(&event).unwrap()).unwrap(), event);
    }
}
