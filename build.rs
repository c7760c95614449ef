//! Generates the types and endpoints of the crate from `openapi.yaml`, into `OUT_DIR` alone.

#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "build/mod.rs"]
mod build;

use std::path::Path;
use std::{env, fs};

const CONTRACT: &str = "openapi.yaml";

fn main() {
    for source in [CONTRACT, "build.rs", "build"] {
        println!("cargo::rerun-if-changed={source}");
    }
    if let Err(error) = run() {
        println!("cargo::error={error}");
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    // The working directory is the package's with Cargo alone.
    let package =
        env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set; build with Cargo, or set it")?;
    let text = fs::read_to_string(Path::new(&package).join(CONTRACT))
        .map_err(|error| format!("{CONTRACT}: cannot be read: {error}"))?;
    let generated = build::generate(&text)?;
    let directory = env::var("OUT_DIR")?;
    for (name, text) in [
        ("types.rs", generated.types),
        ("endpoints.rs", generated.endpoints),
        ("calls.rs", generated.calls),
        ("operations.rs", generated.operations),
        ("examples.rs", generated.examples),
    ] {
        let file = Path::new(&directory).join(name);
        fs::write(&file, text).map_err(|error| format!("{}: cannot be written: {error}", file.display()))?;
    }
    Ok(())
}
