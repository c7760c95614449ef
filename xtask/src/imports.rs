//! Checks the direction of imports between the top modules of `src`.

use std::fs;

use crate::{Outcome, root, sources};

/// The layers, from the top. A module imports modules of lower layers, and itself.
const LAYERS: [&[&str]; 10] = [
    &["blocking", "simulator", "test_util"],
    &["resources"],
    &["client"],
    &["follow"],
    &["transport"],
    &["rate_limit", "webhook"],
    &["error"],
    &["response"],
    &["types"],
    // They import nothing but each other.
    &[
        "error_causes", "bounded_map", "clock", "endpoints", "examples", "json", "operation", "platform", "run_until",
        "redact", "redis_login", "secret",
    ],
];

pub(crate) fn run() -> Outcome {
    let library = fs::read_to_string(root().join("src/lib.rs")).map_err(|error| format!("src/lib.rs: {error}"))?;
    let declared = library.lines().filter_map(|line| line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod "));
    if let Some(unknown) = declared.filter_map(|line| line.strip_suffix(';')).find(|module| layer(module).is_none()) {
        return Err(format!("src/lib.rs: the module `{unknown}` has no layer in xtask/src/imports.rs"));
    }
    let mut upward = Vec::new();
    for (file, text) in sources("src/*.rs")? {
        upward.extend(upward_imports(&library, &file, &text));
    }
    if upward.is_empty() {
        Ok(())
    } else {
        Err(format!("{} imports lead upwards\n{}", upward.len(), upward.join("\n")))
    }
}

/// Returns a line for each import of a file that leads to a layer above, or to another module of the own layer.
fn upward_imports(library: &str, file: &str, text: &str) -> Vec<String> {
    let own = file.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default();
    let Some(from) = layer(own) else { return Vec::new() };
    // The tests of a module may use what they need.
    let is_test = file.contains("/tests") || file.ends_with("tests.rs");
    let code = if is_test { "" } else { text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default() };
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let code: Vec<_> = code.lines().map(|line| if is_comment(&line) { "" } else { line }).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (start, prefix) in code.match_indices("crate::") {
        for module in first_names(&code[start + prefix.len()..]).filter_map(|name| module_of(library, name)) {
            // The modules of the lowest layer may import each other.
            let is_down = layer(module).is_none_or(|to| to > from || (to == from && to == LAYERS.len() - 1));
            if module != own && !is_down {
                let line = code[..start].matches('\n').count() + 1;
                found.push(format!("{file}:{line}: {own} imports {module}"));
            }
        }
    }
    found
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Returns the names that may follow `crate::`: one, or each of a group.
fn first_names(path: &str) -> impl Iterator<Item = &str> {
    let group = path.strip_prefix('{').map(|group| group.split(';').next().unwrap_or(group));
    let parts = group.unwrap_or(path).split(',').take(if group.is_some() { usize::MAX } else { 1 });
    parts.filter_map(|part| part.trim().split(|letter: char| !letter.is_alphanumeric() && letter != '_').next())
}

/// Returns the module that a name at the root of the crate belongs to: its own, or the one that `lib.rs` re-exports it
/// from.
fn module_of<'a>(library: &'a str, name: &'a str) -> Option<&'a str> {
    if layer(name).is_some() {
        return Some(name);
    }
    if let Some((_, exports)) = library.split_once(&format!("mod {name} {{")) {
        return exports.split_once("pub use crate::").and_then(|(_, path)| first_names(path).next());
    }
    library.lines().find_map(|line| {
        let (module, names) =
            line.strip_prefix("pub use ").or(line.strip_prefix("pub(crate) use "))?.split_once("::")?;
        names.split(['{', '}', ',', ' ', ';']).any(|exported| exported == name).then_some(module)
    })
}

#[cfg(test)]
mod tests {
    use super::upward_imports;

    #[test]
    fn an_import_from_a_layer_above_is_found() {
        let library = "pub use client::{Client, ClientBuilder};\npub use operation::Operation;\n\
                       pub mod events {\n    pub use crate::transport::Attempt;\n}\n";
        let text = "use crate::client::Limits;\nuse crate::{\n    Client, Operation, json};\n/// [`Client`](crate::Client).\n\
                    fn wait(call: &crate::events::Attempt) {}\n#[cfg(test)]\nmod tests { use crate::Client; }\n";
        let found = upward_imports(library, "src/rate_limit/window.rs", text);
        let expected = [(1, "client"), (2, "client"), (5, "transport")];
        assert_eq!(
            found,
            expected.map(|(line, module)| format!("src/rate_limit/window.rs:{line}: rate_limit imports {module}"))
        );
        assert!(upward_imports(library, "src/resources/runs.rs", text).is_empty());
    }
}
