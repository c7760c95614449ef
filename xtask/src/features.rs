//! Runs clippy, the unit tests and the tests of TLS with the sets of features that users will pick.

use std::process::{Command, Stdio};

use crate::{Outcome, cargo_path, run as run_command};

/// Sets whose unit tests are run, beside those of `cargo test`, which has all features.
const TESTED: [&str; 5] = ["webhooks", "simulator", "client", "blocking", "client,test-util"];

/// Sets for clippy alone. A set is left out where another one compiles the same code of this crate.
const CHECKED: [&str; 11] = [
    "", "rustls-ring", "schemars", "simulator,test-util", "rustls,simulator,schemars", "axum", "actix-web", "redis",
    "client,webhooks", "axum,redis,tracing", "rustls,rustls-ring",
];

/// Sets for the tests of TLS, beside that of `cargo test`. Another crate of a program may turn HTTP/2 on.
const TLS: [&str; 2] = ["rustls,http2", "rustls-ring"];

pub(crate) fn run() -> Outcome {
    for features in TESTED {
        clippy(features)?;
        cargo(&["test", "--quiet", "--lib"], features, &[])?;
    }
    for features in CHECKED {
        clippy(features)?;
    }
    for features in TLS {
        tls(features)?;
    }
    // It builds with the system's OpenSSL, and only where that is.
    let mut openssl = Command::new("pkg-config");
    openssl.args(["--exists", "openssl"]).stderr(Stdio::null());
    if openssl.status().is_ok_and(|it| it.success()) {
        clippy("native-tls")?;
        return tls("native-tls");
    }
    println!("skipped: feature native-tls (no OpenSSL to build with)");
    Ok(())
}

fn tls(features: &str) -> Outcome {
    let command = ["test", "--quiet", "--package", "agentgate-tests", "--test", "tls", "--no-default-features"];
    run_command(Command::new(cargo_path()).args(command).args(["--features", features]))
}

fn clippy(features: &str) -> Outcome {
    cargo(&["clippy", "--quiet"], features, &["--", "-D", "warnings"])
}

fn cargo(command: &[&str], features: &str, last: &[&str]) -> Outcome {
    let package = ["--package", "agentgate", "--no-default-features", "--features", features];
    run_command(Command::new(cargo_path()).args(command).args(package).args(last))
}
