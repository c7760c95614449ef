//! Runs progenitor on the prepared document.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle};
use serde_json::Value;

use super::error::SpecError;
use super::parse::typed;
use super::schema_types::Mappings;

pub fn generate(prepared: &Value, mappings: &Mappings) -> Result<syn::File, SpecError> {
    let api = typed(prepared)?;
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Positional)
        .with_hooks(HooksMode::Expected)
        .with_map_type("::std::collections::BTreeMap");
    for (name, mapping) in mappings {
        settings.with_replacement(name, mapping.replacement(name), [].into_iter());
    }
    let tokens = without_panic(|| Generator::new(&settings).generate_tokens(&api))?
        .map_err(|error| SpecError::at("", format!("progenitor cannot map the contract: {error}")))?;
    syn::parse2(tokens).map_err(not_rust)
}

fn not_rust(error: impl std::fmt::Display) -> SpecError {
    SpecError::at("", format!("progenitor wrote something that is not Rust: {error}"))
}

/// Turns a panic into an error: progenitor panics on OpenAPI that it does not support and that no check has refused.
fn without_panic<T>(run: impl FnOnce() -> T) -> Result<T, SpecError> {
    // The panic hook belongs to the process, and tests share one.
    static HOOK: Mutex<()> = Mutex::new(());
    let guard = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    panic::set_hook(hook);
    drop(guard);
    outcome.map_err(|panic| {
        let why = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        SpecError::at("", format!("progenitor cannot map the contract: {why}"))
    })
}
