//! What a change of the contract means to users: over HTTP by rules, and in Rust by the generated surface.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::build::error::SpecError;
use crate::build::normalize::unwrap_references;
use crate::build::parse::parse;
use crate::contract_http::Class::{self, Additive, Breaking, Documentation};
use crate::contract_http::{Differences, compare};
use crate::surface::{self, Lines};

/// The changes between two contracts: those of HTTP, and the lines of the Rust surface that are gone and that came.
pub(crate) struct Changes {
    http: Differences,
    gone: Lines,
    came: Lines,
}

/// A contract, and the surface that is generated from it.
pub(crate) struct Contract {
    document: Value,
    surface: Lines,
}

impl Contract {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let read = || {
            let mut document = parse(text)?;
            unwrap_references(&mut document);
            Ok(Self { document, surface: surface::lines(text)? })
        };
        read().map_err(|error: SpecError| error.to_string())
    }
}

impl Changes {
    pub(crate) fn between(old: &Contract, new: &Contract) -> Self {
        let only = |one: &Lines, other: &Lines| -> Lines {
            let lines = one.iter().filter(|(line, _)| !other.contains_key(*line));
            lines.map(|(line, name)| (line.clone(), name.clone())).collect()
        };
        let (gone, came) = (only(&old.surface, &new.surface), only(&new.surface, &old.surface));
        Self { http: compare(&old.document, &new.document), gone, came }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.http.is_empty() && self.gone.is_empty() && self.came.is_empty()
    }

    pub(crate) fn http(&self) -> Class {
        self.http.values().copied().max().unwrap_or(Documentation)
    }

    /// What is gone breaks users, and what came is an addition.
    pub(crate) fn rust(&self) -> Class {
        match (self.gone.is_empty(), self.came.is_empty()) {
            (false, _) => Breaking,
            (true, false) => Additive,
            (true, true) => Documentation,
        }
    }

    /// Returns the changes for each kind of user, and the lines for the changelog.
    pub(crate) fn report(&self) -> String {
        let mut text = format!("For programs that speak HTTP: {}\n", self.http());
        for class in [Breaking, Additive, Documentation] {
            for ((place, change), _) in self.http.iter().filter(|(_, other)| **other == class) {
                let _ = writeln!(text, "    {class}: {place}: {change}");
            }
        }
        let _ = writeln!(text, "\nFor users of the Rust API: {}", self.rust());
        for (sign, lines) in [("-", &self.gone), ("+", &self.came)] {
            for line in lines.keys() {
                let _ = writeln!(text, "    {sign} {line}");
            }
        }
        let _ = writeln!(text, "\nFor CHANGELOG.md:\n{}", self.log().join("\n"));
        text
    }

    fn log(&self) -> Vec<String> {
        let (gone, came) = (told(&self.gone), told(&self.came));
        let mut log: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for name in gone.union(&came) {
            let change = match (gone.contains(name), came.contains(name)) {
                (true, true) => "**Breaking:** Changed",
                (true, false) => "**Breaking:** Removed",
                _ => "Added",
            };
            log.entry(change).or_default().push(format!("`{name}`"));
        }
        let mut lines: Vec<_> =
            log.into_iter().map(|(change, names)| format!("- {change} {}.", names.join(", "))).collect();
        // What the Rust API does not show.
        let breaking = self.http.iter().filter(|(_, class)| **class == Breaking && self.gone.is_empty());
        lines.extend(breaking.map(|((place, change), _)| {
            let place = place.replace("components.schemas.", "").replace(".properties.", ".").replace("paths.", "");
            format!("- **Breaking** over HTTP: `{place}`: {change}.")
        }));
        if lines.is_empty() {
            lines.push("- The documentation of the contract changed.".to_owned());
        }
        lines
    }
}

/// Returns the names that a changelog mentions: calls, and types with their fields, but no member of what is new.
fn told(lines: &Lines) -> BTreeSet<String> {
    let names: BTreeSet<_> = lines.values().map(String::as_str).collect();
    // The types behind a call are not written by users.
    let behind: BTreeSet<_> = lines
        .keys()
        .filter_map(|line| line.strip_prefix("client.")?.split_once("-> ").map(|(_, returned)| returned))
        .map(|returned| returned.trim_start_matches("Call<").trim_end_matches('>'))
        .collect();
    let owner =
        |name: &str| name.rsplit_once(['.', ':']).map(|(owner, _)| owner.trim_end_matches(['(', ')', ':']).to_owned());
    let is_told = |name: &&&str| {
        let is_handle =
            names.iter().any(|other| other.starts_with(&format!("{name}().")) && name.matches('.').count() == 1);
        let owner = owner(name);
        let is_member = owner.as_deref().is_some_and(|owner| names.contains(owner) && owner.matches('.').count() != 1);
        let is_behind = behind.contains(**name) || owner.is_some_and(|owner| behind.contains(owner.as_str()));
        !is_handle && !is_member && !is_behind && !name.starts_with("Operation::") && !name.starts_with('&')
    };
    let told: BTreeSet<String> = names.iter().filter(is_told).map(|name| (*name).to_owned()).collect();
    if told.is_empty() { names.into_iter().map(str::to_owned).collect() } else { told }
}
