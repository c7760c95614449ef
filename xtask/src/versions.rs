//! Checks the versions that Cargo.toml names: of the dependencies, and of Rust. Each takes a toolchain that may not be there.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Outcome, root, run};

/// The `rust-version` of Cargo.toml.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// What a build of the package reads.
const SOURCES: [&str; 6] = ["build", "build.rs", "examples", "openapi.yaml", "README.md", "src"];

/// Compiles the library with the lowest versions of its direct dependencies, in a copy of the package without the rest of the workspace.
pub(crate) fn minimal() -> Outcome {
    if !is_installed("nightly") {
        println!("skipped: the lowest versions of the dependencies (no nightly toolchain)");
        return Ok(());
    }
    let copy = root().join("target/minimal-versions");
    make_copy(&copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    let manifest = copy.join("Cargo.toml");
    let cargo = |command: &str| {
        let mut rustup = Command::new("rustup");
        rustup.args(["run", "nightly", "cargo", command, "-Zdirect-minimal-versions", "--quiet", "--manifest-path"]);
        rustup.arg(&manifest);
        rustup
    };
    run(&mut cargo("update"))?;
    run(cargo("check").args(["--features", "full", "--target-dir", "target/minimal"]))
}

fn make_copy(copy: &Path) -> std::io::Result<()> {
    for source in SOURCES {
        let to = copy.join(source);
        if to.is_dir() {
            fs::remove_dir_all(&to)?;
        }
        copy_all(&root().join(source), &to)?;
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let is_member = |line: &&str| line.starts_with("members = ") || line.starts_with("default-members = ");
    let manifest: Vec<_> = manifest.lines().filter(|line| !is_member(line)).collect();
    fs::write(copy.join("Cargo.toml"), manifest.join("\n"))
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_all(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Compiles the library with the oldest Rust that it is for.
pub(crate) fn msrv() -> Outcome {
    if !is_installed(RUST) {
        println!("skipped: Rust {RUST} (no such toolchain)");
        return Ok(());
    }
    let arguments = ["cargo", "check", "--quiet", "--package", "agentgate", "--features", "full"];
    run(Command::new("rustup").args(["run", RUST]).args(arguments).args(["--target-dir", "target/msrv"]))
}

fn is_installed(toolchain: &str) -> bool {
    Command::new("rustup")
        .args(["run", toolchain, "cargo", "--version"])
        .env("RUSTUP_AUTO_INSTALL", "0")
        .output()
        .is_ok_and(|it| it.status.success())
}
