//! The tasks of this repository, as `cargo xtask <task>`. `.ci/run` runs most of them, and then the tests.

/// The modules of `build.rs`, which refer to themselves as `crate::build`.
#[path = "../../build/mod.rs"]
mod build;
mod contract_changes;
mod contract_diff;
mod contract_differences;
mod contract_http;
mod deny;
mod examples;
mod features;
mod imports;
mod lines;
mod peers;
mod readme;
mod repository_copy;
mod restart;
mod simulator;
#[path = "../../tests/it/contract/surface.rs"]
mod surface;
mod versions;
mod wasm;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Each task: its name, what it does, and the function that runs it.
const TASKS: [(&str, &str, Task); 17] = [
    ("examples", "runs each example to its end, against the simulator", examples::run),
    ("restart", "kills a program that submits work orders at 200 random moments, and counts them", restart::run),
    ("readme", "compiles each program of README.md as pasted, and runs it against the simulator", readme::check),
    ("lint", "checks format, comments, imports, clippy and the contract", lint),
    ("deny", "checks the licenses, bans and sources of the dependencies by deny.toml", deny::run),
    ("imports", "checks the direction of imports between the modules of src", imports::run),
    ("lines", "checks the length of comments", lines::run),
    ("features", "runs clippy and the unit tests with the sets of features that users will pick", features::run),
    ("docs", "builds the documentation, and fails on warnings", docs),
    ("fuzz", "compiles the fuzz targets", fuzz),
    ("package", "packs the crate as it would be published, and compiles that", package),
    ("minimal-versions", "compiles the library with the lowest versions of its dependencies", versions::minimal),
    ("msrv", "compiles the library with the oldest Rust that it is for", versions::msrv),
    ("wasm", "compiles the library for WebAssembly, and calls the simulator from Node", wasm::run),
    ("peers", "measures the SDK beside plain reqwest, Python's requests and Node's fetch", peers::run),
    ("contract-diff", "lists what openapi.yaml changes for users since a git revision, or a file", contract_diff::run),
    (
        "contract-changes",
        "compiles the library with the changes of openapi.yaml that have to work",
        contract_changes::run,
    ),
];

const API_KEY: &str = "AGENTGATE_API_KEY";

type Task = fn() -> Outcome;

/// `Err` holds the command that failed, or why.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let name = env::args().nth(1).unwrap_or_default();
    let Some((_, _, task)) = TASKS.iter().find(|(task, ..)| *task == name) else {
        eprintln!("Usage: cargo xtask <task>\n\nTasks:");
        for (name, description, _) in TASKS {
            eprintln!("    {name:<17} {description}");
        }
        return if matches!(&*name, "help" | "-h" | "--help") { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    let start = Instant::now();
    match task() {
        Ok(()) => {
            println!("\n{name}: {} s", start.elapsed().as_secs());
            ExitCode::SUCCESS
        }
        Err(command) => {
            eprintln!("cargo xtask {name}: failed: {command}");
            ExitCode::FAILURE
        }
    }
}

fn lint() -> Outcome {
    cargo("fmt --all --check")?;
    lines::run()?;
    imports::run()?;
    run(Command::new("bash").arg(".ci/lint-contract"))?;
    cargo("clippy --quiet --workspace --all-targets --features agentgate/full -- -D warnings")
}

fn docs() -> Outcome {
    // All features last, as the links are checked in that.
    for features in ["--no-default-features", "--no-default-features --features webhooks", "--features full"] {
        let arguments = format!("doc --quiet --package agentgate --lib --no-deps {features}");
        run(Command::new(cargo_path()).args(arguments.split(' ')).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    readme::check_links()
}

fn fuzz() -> Outcome {
    cargo("check --quiet --manifest-path fuzz/Cargo.toml --target-dir target/fuzz")
}

fn package() -> Outcome {
    cargo("package --quiet --allow-dirty --package agentgate")
}

/// Runs cargo with these arguments, which are separated by spaces.
fn cargo(arguments: &str) -> Outcome {
    run(Command::new(cargo_path()).args(arguments.split(' ')))
}

/// Returns the path and the text of each tracked file that matches a pattern of git.
fn sources(pattern: &str) -> Result<Vec<(String, String)>, String> {
    let output = Command::new("git").args(["ls-files", pattern]).current_dir(root()).output();
    let output = output.map_err(|error| format!("git cannot be run: {error}"))?;
    let read = |file: &str| {
        let text = fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
        Ok((file.to_owned(), text))
    };
    String::from_utf8_lossy(&output.stdout).lines().map(read).collect()
}

/// The cargo that runs this program.
fn cargo_path() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Prints a command and runs it at the root of the repository. It gets no key from outside, with which an example would
/// cost credits.
fn run(command: &mut Command) -> Outcome {
    let words = command.get_args().map(|word| word.to_string_lossy());
    let line = format!("{} {}", program(command), words.collect::<Vec<_>>().join(" "));
    println!("\n== {line}");
    if !command.get_envs().any(|(name, _)| name == API_KEY) {
        command.env_remove(API_KEY);
    }
    match command.current_dir(root()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{line} ({status})")),
        Err(error) => Err(format!("{line} ({error})")),
    }
}

/// The directory that cargo builds in, by the place of this program.
fn target_directory() -> PathBuf {
    let program = env::current_exe().ok();
    program.and_then(|path| Some(path.parent()?.parent()?.to_owned())).unwrap_or_else(|| root().join("target"))
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

fn program(command: &Command) -> String {
    let path = Path::new(command.get_program());
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
