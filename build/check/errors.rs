//! Checks the tables of errors: `x-errors`, the status and the advice of each code, and `x-advice`, the advice of an
//! operation by status.

use serde_json::Value;

use crate::build::contract::{Operation, entries, operations, schemas, text, word_texts};
use crate::build::error::{SpecError, fail, refuse};

pub fn check(document: &Value) -> Result<(), SpecError> {
    for (name, schema) in schemas(document).filter(|(_, schema)| schema.get("x-errors").is_some()) {
        check_codes(schema, &format!("components.schemas.{name}.x-errors"))?;
    }
    operations(document).try_for_each(|operation| check_advice(&operation))
}

/// Checks that every word of the enum, and nothing else, has a status and an advice.
fn check_codes(schema: &Value, place: &str) -> Result<(), SpecError> {
    let words: Vec<_> = word_texts(schema).collect();
    let table = &schema["x-errors"];
    if let Some(word) = words.iter().find(|word| table.get(word).is_none()) {
        return fail(place, format!("`{word}` has no entry; write `{word}: {{status: 400, advice: What to do.}}`"));
    }
    for (word, entry) in entries(Some(table)) {
        let place = format!("{place}.{word}");
        refuse(!words.contains(&word.as_str()), &place, format!("`{word}` is not a word of the enum"))?;
        if entry.get("status").and_then(Value::as_u64).is_none_or(|status| !(400..600).contains(&status)) {
            return fail(place, "write `status: ` and a status from 400 to 599");
        }
        check_text(entry.get("advice"), &format!("{place}.advice"))?;
    }
    Ok(())
}

/// Checks that each advice is for a status that the operation documents.
fn check_advice(operation: &Operation<'_>) -> Result<(), SpecError> {
    let place = format!("{}.x-advice", operation.place);
    let Some(advice) = operation.value.get("x-advice") else {
        return Ok(());
    };
    for (status, advice) in entries(Some(advice)) {
        let place = format!("{place}.{status}");
        let is_documented = operation.value.get("responses").is_some_and(|responses| responses.get(status).is_some());
        let is_error = status.parse().is_ok_and(|status: u16| (400..600).contains(&status));
        refuse(!is_documented || !is_error, &place, "the operation documents no such error; add it under `responses`")?;
        check_text(Some(advice), &place)?;
    }
    Ok(())
}

/// Checks an advice, which ends an error message of one line.
fn check_text(advice: Option<&Value>, place: &str) -> Result<(), SpecError> {
    let is_sentence = |text: &str| text.ends_with('.') && !text.contains('\n');
    if advice.and_then(Value::as_str).is_some_and(is_sentence) {
        return Ok(());
    }
    fail(place, "write a sentence on one line, with a full stop, that says what to do")
}

/// Returns the advice of an operation by status.
pub fn advice<'a>(operation: &Operation<'a>) -> impl Iterator<Item = (u16, &'a str)> + use<'a> {
    let advice = operation.value.get("x-advice");
    entries(advice).filter_map(|(status, advice)| Some((status.parse().ok()?, advice.as_str()?)))
}

/// Returns the codes of an enum, with the status and the advice of each.
pub fn codes(schema: &Value) -> impl Iterator<Item = (&str, u16, &str)> {
    entries(schema.get("x-errors")).filter_map(|(word, entry)| {
        let status = entry.get("status")?.as_u64()?.try_into().ok()?;
        Some((word.as_str(), status, text(entry, "advice")?))
    })
}
