//! Compiles the library for WebAssembly in a JavaScript host, and calls the simulator from Node. It takes a target and
//! a program that may not be there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::simulator::Simulator;
use crate::{Outcome, cargo_path, root, run as run_command};

const TARGET: &str = "wasm32-unknown-unknown";

/// The features that work there.
const FEATURES: [&str; 3] = ["webhooks", "client", "client,rustls,schemars,tracing,webhooks"];

/// The version of the program `wasm-bindgen` that fits, as in tests/wasm/Cargo.toml.
const WASM_BINDGEN: &str = "0.2.130";

pub(crate) fn run() -> Outcome {
    let Some(toolchain) = Toolchain::find() else {
        println!("skipped: WebAssembly (no target {TARGET}; on Debian, .ci/wasm-toolchain gets one)");
        return Ok(());
    };
    for features in FEATURES {
        let arguments = ["--package", "agentgate", "--lib", "--no-default-features", "--features", features];
        run_command(toolchain.cargo("check").args(arguments))?;
    }
    run_in_node(&toolchain)
}

/// Runs tests/wasm.
fn run_in_node(toolchain: &Toolchain) -> Outcome {
    let version = output("wasm-bindgen", &["--version"]).unwrap_or_default();
    if version.split(' ').next_back() != Some(WASM_BINDGEN) || output("node", &["--version"]).is_none() {
        println!("skipped: calls from WebAssembly (they take Node, and wasm-bindgen {WASM_BINDGEN})");
        return Ok(());
    }
    run_command(toolchain.cargo("build").args(["--manifest-path", "tests/wasm/Cargo.toml"]))?;
    let module = target().join(TARGET).join("debug/agentgate_wasm.wasm");
    let made = target().join("node");
    let bindgen = ["--target", "nodejs", "--no-typescript", "--out-dir"];
    run_command(Command::new("wasm-bindgen").args(bindgen).args([&made, &module]))?;
    let program = made.join("agentgate_wasm.js");
    Simulator::start()?.run(Command::new("node").arg("tests/wasm/run.mjs").arg(program))
}

/// A compiler for the target.
enum Toolchain {
    /// The active one.
    Active,
    /// The nightly one, which compiles the standard library from its sources.
    Nightly,
    /// Debian's, unpacked here, which compiles the standard library from its sources.
    Unpacked(PathBuf),
}

impl Toolchain {
    fn find() -> Option<Self> {
        let is_directory = |path: String| Path::new(&path).is_dir();
        if output("rustc", &["--print", "target-libdir", "--target", TARGET]).is_some_and(is_directory) {
            return Some(Self::Active);
        }
        let nightly = output("rustup", &["run", "nightly", "rustc", "--print", "sysroot"]);
        if nightly.is_some_and(|sysroot| is_directory(format!("{sysroot}/lib/rustlib/src/rust/library"))) {
            return Some(Self::Nightly);
        }
        let unpacked = root().join("target/rustc-web/usr");
        unpacked.join("bin/rustc").exists().then_some(Self::Unpacked(unpacked))
    }

    fn cargo(&self, command: &str) -> Command {
        let mut cargo = match self {
            Self::Nightly => {
                let mut rustup = Command::new("rustup");
                rustup.args(["run", "nightly", "cargo"]);
                rustup
            }
            Self::Active | Self::Unpacked(_) => Command::new(cargo_path()),
        };
        cargo.args([command, "--quiet", "--target", TARGET, "--target-dir"]).arg(target());
        if !matches!(self, Self::Active) {
            cargo.arg("-Zbuild-std=std,panic_abort");
        }
        if let Self::Unpacked(unpacked) = self {
            cargo.env("RUSTC", unpacked.join("bin/rustc")).env("RUSTC_BOOTSTRAP", "1");
            cargo.env("LD_LIBRARY_PATH", unpacked.join("lib/x86_64-linux-gnu"));
            // It has no linker for the target.
            let linker =
                output("rustc", &["--print", "target-libdir"]).map(|it| PathBuf::from(it).join("../bin/rust-lld"));
            cargo.envs(linker.map(|linker| ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)));
        }
        cargo
    }
}

/// A directory of its own, as the compiler is another.
fn target() -> PathBuf {
    root().join("target/wasm")
}

/// Returns the output of a program, if it can be run.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).env("RUSTUP_AUTO_INSTALL", "0").output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.trim().to_owned())
}
