//! The client sends `Authorization: Bearer` with each request, and talks to the first server over HTTPS.

use serde_json::Value;

use crate::build::contract::{entries, items, operations, resolve, text};
use crate::build::mistake::Mistake;

pub fn check(document: &Value) -> Result<(), Mistake> {
    let server = items(document.get("servers")).next().and_then(|server| text(server, "url"));
    if server.is_none_or(|url| !url.starts_with("https://") || url.contains('{')) {
        return Err(Mistake::at("servers", "the first server has to be the service's own; write `- url: https://…`"));
    }
    check_requirements(document, document.get("security"), "security")?;
    for operation in operations(document) {
        if let Some(own) = operation.value.get("security") {
            check_requirements(document, Some(own), &format!("{}.security", operation.place))?;
        }
    }
    Ok(())
}

fn check_requirements(document: &Value, requirements: Option<&Value>, place: &str) -> Result<(), Mistake> {
    let is_bearer = |name: &str| {
        let scheme = document.pointer("/components/securitySchemes").and_then(|schemes| schemes.get(name));
        let scheme = scheme.map(|scheme| resolve(document, scheme));
        let word = |key| scheme.and_then(|scheme| text(scheme, key)).map(str::to_ascii_lowercase);
        word("type").as_deref() == Some("http") && word("scheme").as_deref() == Some("bearer")
    };
    // One of several requirements is enough, and each may name several schemes. Without any, a key that is sent does no harm.
    let is_met = |requirement: &Value| entries(Some(requirement)).all(|(name, _)| is_bearer(name));
    if items(requirements).next().is_none() || items(requirements).any(is_met) {
        return Ok(());
    }
    let problem =
        "the client sends an API key as `Authorization: Bearer`; require a scheme of `type: http, scheme: bearer`";
    Err(Mistake::at(place, problem))
}
