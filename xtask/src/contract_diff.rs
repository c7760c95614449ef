//! `cargo xtask contract-diff [git revision or file]`: lists what the working tree's contract changes for users. The
//! default is the last release, or the commit at which the branch left `main`.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use crate::contract_differences::{Changes, Contract};
use crate::contract_http::Class::Breaking;
use crate::{Outcome, root};

const CONTRACT: &str = "openapi.yaml";

/// Prints the differences. Fails where one is breaking, unless the package's version is a breaking one.
pub(crate) fn run() -> Outcome {
    let Some(base) = env::args().nth(2).or_else(last_release).or_else(start_of_branch) else {
        println!("There is no release and no branch to compare the contract with.");
        return Ok(());
    };
    // A file is named from where the task is started.
    let is_file = Path::new(&base).is_file();
    let old = if is_file { read(Path::new(&base))? } else { at_revision(&base, CONTRACT)? };
    let old = Contract::read(&old).map_err(|error| format!("the contract of {base}: {error}"))?;
    let changes = Changes::between(&old, &Contract::read(&read(&root().join(CONTRACT))?)?);
    if changes.is_empty() {
        println!("The contract means the same as that of {base}.");
        return Ok(());
    }
    print!("{}", changes.report());
    if changes.http().max(changes.rust()) < Breaking {
        return Ok(());
    }
    if is_file {
        return Err("the contract has breaking changes".to_owned());
    }
    let before = version(&at_revision(&base, "Cargo.toml")?)?;
    let after = version(&read(&root().join("Cargo.toml"))?)?;
    if breaking_part(&before) == breaking_part(&after) {
        Err(format!(
            "the contract has breaking changes, and version {after} is not a breaking version bump after {before}"
        ))
    } else {
        println!("\nVersion {after} says after {before} that there are breaking changes.");
        Ok(())
    }
}

/// The last tag before the present commit.
fn last_release() -> Option<String> {
    git(&["describe", "--tags", "--abbrev=0"])
}

/// The commit at which the branch left `main`, unless it is `main` itself.
fn start_of_branch() -> Option<String> {
    let start = ["origin/main", "main"].iter().find_map(|main| git(&["merge-base", "HEAD", main]))?;
    (git(&["rev-parse", "HEAD"])? != start).then_some(start)
}

/// The one line that git prints; `None` if it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: cannot be read: {error}", path.display()))
}

/// The text of a file at a revision.
fn at_revision(revision: &str, file: &str) -> Result<String, String> {
    let output = Command::new("git")
        .args(["show", "--end-of-options", &format!("{revision}:{file}")])
        .current_dir(root())
        .output()
        .map_err(|error| format!("git cannot be run: {error}"))?;
    if output.status.success() {
        String::from_utf8(output.stdout).map_err(|_| format!("{file} at {revision} is not UTF-8"))
    } else {
        let reason = String::from_utf8_lossy(&output.stderr);
        let line = reason.lines().next().unwrap_or_default();
        Err(format!("{revision} is neither a file nor a revision that has {file}: {line}"))
    }
}

/// The version that a manifest gives: the first one, which is that of the workspace.
fn version(manifest: &str) -> Result<String, String> {
    let quoted = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.split('"').next());
    quoted.map(ToOwned::to_owned).ok_or_else(|| "Cargo.toml has no version".to_owned())
}

/// The part of a version that differs after a breaking change.
fn breaking_part(version: &str) -> &str {
    let dots: Vec<_> = version.match_indices('.').map(|(index, _)| index).collect();
    let parts = usize::from(version.starts_with("0."));
    dots.get(parts).map_or(version, |end| &version[..*end])
}

#[cfg(test)]
mod tests {
    use super::breaking_part;

    #[test]
    fn the_breaking_part_is_the_minor_version_before_1_0() {
        assert_eq!(breaking_part("0.1.7"), "0.1");
        assert_eq!(breaking_part("1.2.3"), "1");
        assert_eq!(breaking_part("10.0.0-rc.1"), "10");
    }
}
