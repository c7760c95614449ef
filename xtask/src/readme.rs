//! Pastes each program of README.md into an empty package, as a reader does, compiles it and runs it against the
//! simulator.
//!
//! A program's dependencies are those of the nearest `cargo add` lines above it, in the versions of this repository's
//! Cargo.lock. The packages are a workspace of their own, below the target directory, and built one by one, so that
//! none borrows a feature from another.
//!
//! | block | is |
//! |---|---|
//! | has `fn main` | a program, which is run to its end, unless it is a server |
//! | has `#[tokio::test` | a test, which is run |
//! | anything else | a fragment: lines for the body of an `async` function that has a `client` |

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::simulator::Simulator;
use crate::{Outcome, cargo_path, root, target_directory};

/// The longest line that GitHub and docs.rs show without a scroll bar.
const WIDTH: usize = 90;

/// The name of a test, as its file in `tests/`.
const TEST: &str = "agentgate";

/// The prefix of links from README.md to the documentation.
const DOCS: &str = "https://docs.rs/agentgate/latest/agentgate/";

/// The dependencies of a program, as lines of a Cargo.toml.
#[derive(Clone, Default)]
struct Dependencies {
    normal: Vec<String>,
    dev: Vec<String>,
}

/// The kind of a block of code.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Program,
    Server,
    Test,
    Fragment,
}

struct Block {
    /// The name of its package.
    name: String,
    /// The number of its first line.
    line: usize,
    code: String,
    kind: Kind,
    dependencies: Dependencies,
}

pub(crate) fn check() -> Outcome {
    let readme = read(&root().join("README.md"))?;
    let blocks = blocks(&readme, &read(&root().join("Cargo.lock"))?)?;
    let workspace = target_directory().join("readme");
    write_workspace(&workspace, &blocks)?;
    let simulator = Simulator::start()?;
    for block in &blocks {
        let task = match block.kind {
            Kind::Program => "run",
            Kind::Test => "test",
            Kind::Server | Kind::Fragment => "build",
        };
        let mut command = Command::new(cargo_path());
        command.args([task, "--quiet", "--package", &block.name, "--manifest-path"]);
        command.arg(workspace.join("Cargo.toml")).arg("--target-dir").arg(target_directory());
        if block.kind == Kind::Test {
            command.args(["--test", TEST]);
        }
        simulator.run(&mut command).map_err(|error| format!("README.md:{}: {error}", block.line))?;
    }
    println!("\n{} programs and fragments of README.md compile as pasted, and run.", blocks.len());
    Ok(())
}

impl Block {
    fn new(name: String, line: usize, code: String, dependencies: Dependencies) -> Result<Self, String> {
        let kind = if code.contains("#[tokio::test") {
            Kind::Test
        } else if !code.contains("fn main()") {
            Kind::Fragment
        } else if code.contains("0.0.0.0:") {
            Kind::Server
        } else {
            Kind::Program
        };
        if kind == Kind::Fragment && !code.starts_with("// Fragment") {
            return Err(format!("README.md:{line}: a fragment that does not say so"));
        }
        for (number, text) in (line..).zip(code.lines()) {
            if text.chars().count() > WIDTH {
                return Err(format!("README.md:{number}: longer than {WIDTH} columns"));
            }
            if text.trim_start().starts_with("# ") {
                return Err(format!("README.md:{number}: a hidden line, which is hidden on docs.rs alone"));
            }
        }
        Ok(Self { name, line, code, kind, dependencies })
    }

    fn manifest(&self) -> String {
        format!(
            "[package]\nname = \"{}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [dependencies]\n{}\n\n[dev-dependencies]\n{}\n",
            self.name,
            self.dependencies.normal.join("\n"),
            self.dependencies.dev.join("\n")
        )
    }

    fn file(&self) -> String {
        match self.kind {
            Kind::Program | Kind::Server => "src/main.rs".to_owned(),
            Kind::Test => format!("tests/{TEST}.rs"),
            Kind::Fragment => "src/lib.rs".to_owned(),
        }
    }

    fn source(&self) -> String {
        if self.kind != Kind::Fragment {
            return self.code.clone();
        }
        format!(
            "pub async fn fragment(client: agentgate::Client) -> Result<(), Box<dyn std::error::Error>> {{\n{}Ok(())\n}}\n",
            self.code
        )
    }
}

/// Checks that each link by name leads somewhere: on GitHub by the definitions of README.md, and on docs.rs by those of
/// `src/links.md`, which rustdoc checks.
pub(crate) fn check_links() -> Outcome {
    let (readme, links) = (read(&root().join("README.md"))?, read(&root().join("src/links.md"))?);
    let names = |text| definitions(text).map(|(name, _)| name).collect::<BTreeSet<_>>();
    if let Some(name) = names(&readme).symmetric_difference(&names(&links)).next() {
        return Err(format!("{name}] is not defined in both README.md and src/links.md"));
    }
    for (name, target) in definitions(&readme) {
        if readme.matches(&format!("{name}]")).count() < 2 {
            return Err(format!("README.md: {name}] is defined and not used"));
        }
        let path = match target.strip_prefix(DOCS) {
            Some(page) => target_directory().join("doc/agentgate").join(page.split('#').next().unwrap_or(page)),
            None => root().join(target),
        };
        if !path.exists() {
            return Err(format!("README.md: {name}] leads nowhere: {target}"));
        }
    }
    Ok(())
}

/// The definitions of links: `[name]: target`.
fn definitions(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "))
}

/// Finds the blocks of Rust, each with its dependencies.
fn blocks(readme: &str, lock: &str) -> Result<Vec<Block>, String> {
    let mut dependencies = Dependencies::default();
    let mut blocks = Vec::new();
    let mut lines = readme.lines().enumerate();
    while let Some((_, fence)) = lines.next() {
        let Some(language) = fence.strip_prefix("```") else { continue };
        let mut code = String::new();
        let mut first = 0;
        for (number, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
            first = if first == 0 { number + 1 } else { first };
            code.push_str(line);
            code.push('\n');
        }
        if language == "sh" && code.contains("cargo add ") {
            let commands = code.lines().filter_map(|line| line.strip_prefix("cargo add "));
            dependencies = Dependencies::default();
            for arguments in commands {
                match arguments.strip_prefix("--dev ") {
                    Some(arguments) => dependencies.dev.extend(added(arguments, lock)?),
                    None => dependencies.normal.extend(added(arguments, lock)?),
                }
            }
        } else if language == "rust" {
            let name = format!("readme-{}", blocks.len() + 1);
            blocks.push(Block::new(name, first, code, dependencies.clone())?);
        }
    }
    Ok(blocks)
}

/// Translates the arguments of `cargo add` to lines of a Cargo.toml.
fn added(arguments: &str, lock: &str) -> Result<Vec<String>, String> {
    let mut words = arguments.split('#').next().unwrap_or_default().split_whitespace();
    let (mut names, mut features, mut default) = (Vec::new(), Vec::new(), true);
    while let Some(word) = words.next() {
        match word {
            "--features" => features = words.next().unwrap_or_default().split(',').collect(),
            "--no-default-features" => default = false,
            option if option.starts_with('-') => return Err(format!("`cargo add {arguments}`: what is `{option}`?")),
            name => names.push(name),
        }
    }
    let line = |name: &&str| {
        let place = match *name {
            "agentgate" => format!("path = '{}'", root().display()),
            name => format!("version = \"={}\"", locked_version(name, lock)?),
        };
        Ok(format!("{name} = {{ {place}, default-features = {default}, features = {features:?} }}"))
    };
    names.iter().map(line).collect()
}

fn locked_version<'a>(name: &str, lock: &'a str) -> Result<&'a str, String> {
    let entry = lock.split_once(&format!("\nname = \"{name}\"\nversion = \"")).map(|(_, rest)| rest);
    entry
        .and_then(|rest| rest.split('"').next())
        .ok_or_else(|| format!("`cargo add {name}`: it is not in Cargo.lock; make it a dependency of tests/Cargo.toml"))
}

/// Writes the packages, and the versions of their dependencies.
fn write_workspace(workspace: &Path, blocks: &[Block]) -> Outcome {
    let _ = fs::remove_dir_all(workspace);
    let mut manifest = "[workspace]\nresolver = \"3\"\nmembers = [".to_owned();
    for block in blocks {
        let _ = write!(manifest, "\"{}\", ", block.name);
        let package = workspace.join(&block.name);
        write(&package.join("Cargo.toml"), &block.manifest())?;
        if block.kind == Kind::Test {
            write(&package.join("src/lib.rs"), "")?;
        }
        write(&package.join(block.file()), &block.source())?;
    }
    // As this repository's, so that what it has built is not built again.
    manifest.push_str("]\n\n[profile.dev]\ndebug = \"line-tables-only\"\n");
    write(&workspace.join("Cargo.toml"), &manifest)?;
    write(&workspace.join("Cargo.lock"), &read(&root().join("Cargo.lock"))?)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}
