//! The handwritten methods of `src/resources` and `src/client`, whose names the generated ones must not take.

use std::collections::BTreeSet;

/// The files that have such methods, and those of the client.
const SOURCES: [&str; 11] = [
    include_str!("../src/client/builder.rs"),
    include_str!("../src/client/mod.rs"),
    include_str!("../src/resources/call.rs"),
    include_str!("../src/resources/client.rs"),
    include_str!("../src/resources/pages/mod.rs"),
    include_str!("../src/resources/raw_request.rs"),
    include_str!("../src/resources/reconcile.rs"),
    include_str!("../src/resources/runs.rs"),
    include_str!("../src/resources/submission.rs"),
    include_str!("../src/resources/webhooks.rs"),
    include_str!("../src/resources/work_orders.rs"),
];

/// Methods of traits that calls implement.
const TRAITS: [&str; 4] = ["clone", "into", "into_future", "send"];

/// The methods, each with its type: `Client`, `Call<CreateWorkOrder>`, or `Call` for those of every call.
pub struct HandwrittenMethods(BTreeSet<(String, String)>);

impl HandwrittenMethods {
    /// Reads the methods off the lines of the sources, which rustfmt keeps in one form.
    pub fn read() -> Self {
        let (mut found, mut of) = (BTreeSet::new(), None);
        for line in SOURCES.iter().flat_map(|source| source.lines()) {
            if line.starts_with("impl") {
                // `impl<E: ListEndpoint> Call<E> {`, and not a trait.
                let (is_generic, of_all) = (line.starts_with("impl<"), line.trim_end_matches([' ', '{']));
                let name = of_all.rsplit(' ').next().unwrap_or_default();
                let name = if is_generic { name.split('<').next().unwrap_or_default() } else { name };
                of = Some(name.to_owned()).filter(|_| !line.contains(" for "));
            } else if let (Some(of), Some((before, after))) = (&of, line.split_once("fn "))
                && before.starts_with("    ")
                && !before.starts_with("     ")
                && !before.contains("//")
            {
                let name = after.split(['(', '<']).next().unwrap_or_default();
                found.insert((of.clone(), name.to_owned()));
            }
        }
        Self(found)
    }

    /// Returns `true` if every call, or every list, has a method of this name.
    pub fn is_common(&self, method: &str) -> bool {
        TRAITS.contains(&method) || self.has_function("Call", method)
    }

    /// Returns `true` if the call of this endpoint has such a method.
    pub fn has_setter(&self, endpoint: &str, method: &str) -> bool {
        self.has_function(&format!("Call<{endpoint}>"), method)
    }

    /// Returns the methods of the call of this endpoint.
    pub fn setters(&self, endpoint: &str) -> impl Iterator<Item = String> {
        let call = format!("Call<{endpoint}>");
        self.0.iter().filter(move |(of, _)| *of == call).map(|(_, method)| method.clone())
    }

    /// Returns `true` if this type has such a function.
    pub fn has_function(&self, of: &str, function: &str) -> bool {
        self.0.contains(&(of.to_owned(), function.to_owned()))
    }
}
