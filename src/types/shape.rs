//! Makes the JSON of the service fit the types of this crate.
//!
//! Nothing proves that the service sends what its documentation says, and one odd member must not lose a paid run. So
//! each object that the service sends has a [`Shape`], which the build script writes from the contract. What does not
//! fit is removed from the JSON before it becomes a value:
//!
//! | received | read as |
//! |---|---|
//! | an optional member that does not fit | nothing, and reported |
//! | a required list or map that is `null` | empty |
//! | a required word that does not fit or is missing | the empty word, which is unknown, and reported |
//! | a required union that is missing | `null`, which is unknown, and reported |
//! | any other required member that does not fit or is missing, such as the id of an object | an error that names it |
//! | an item of a list that does not fit | as the list: no list loses an item |
//! | a number or a boolean in a string, such as `"3"` | the number or the boolean |
//! | a number with a fraction where an integer is documented, such as `12.5` | nothing: it is not rounded |
//! | a time in another form | see `read_time` |

use std::fmt::{Arguments, Write as _};

use serde_json::{Map, Number, Value, json};

use super::timestamp::read_time;

/// The keys that an object may have a list of an undocumented wrapping under.
pub(crate) const LIST_KEYS: [&str; 4] = ["data", "items", "templates", "webhooks"];

/// What the JSON of a value looks like.
#[allow(dead_code, reason = "the contract may have no such value")]
pub(crate) enum Shape {
    Any,
    Text,
    /// A word of an open set.
    Word,
    Flag,
    /// From the one to the other.
    Integer(i64, u64),
    Number,
    Time,
    List(&'static Shape),
    /// A list (`[..]`), or an object with one under a usual key (`{"data": [..]}`), possibly nested.
    WrappedList(&'static Shape),
    Map(&'static Shape),
    Nullable(&'static Shape),
    Object(&'static [Member]),
    /// By the word that an object has as its tag. An object of another shape is kept as it is.
    Union(&'static str, &'static [(&'static str, &'static Shape)]),
}

/// A documented member of an object.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) is_required: bool,
    pub(crate) shape: &'static Shape,
}

/// JSON that cannot be made to fit, and its place.
#[cfg_attr(not(feature = "client"), allow(dead_code, reason = "events are not refused"))]
pub(crate) struct Misfit {
    pub(crate) path: String,
    pub(crate) problem: String,
}

/// Makes a value fit. Returns the paths of what was removed, behind that of the value.
pub(crate) fn fit(shape: &Shape, value: &mut Value, path: &str) -> Result<Vec<String>, Misfit> {
    let mut fitter = Fitter { path: path.to_owned(), ignored: Vec::new() };
    fitter.fit(shape, value)?;
    Ok(fitter.ignored)
}

/// Makes the value of a response fit. It may be in an envelope: one page of the vendor's documentation says that every
/// object is wrapped in `data`; all the others show it bare.
#[cfg(feature = "client")]
pub(crate) fn fit_response(shape: &Shape, value: &mut Value) -> Result<Vec<String>, Misfit> {
    let Shape::Object(members) = shape else {
        return fit(shape, value, "");
    };
    let known = |value: &Value| members.iter().filter(|member| member.is_plausible_in(value)).count();
    let bare = known(value);
    if let Some(inside) = value.get_mut("data").filter(|inside| known(inside) > bare) {
        *value = inside.take();
        return fit(shape, value, "data");
    }
    if bare == 0 && value.is_object() && members.iter().all(|member| !member.is_required) {
        return Err(Misfit { path: String::new(), problem: "it has none of the documented members".to_owned() });
    }
    fit(shape, value, "")
}

impl Member {
    #[cfg(feature = "client")]
    fn is_plausible_in(&self, object: &Value) -> bool {
        object.get(self.name).is_some_and(|value| match self.shape {
            Shape::List(_) => value.is_array(),
            Shape::Object(_) | Shape::Map(_) | Shape::Union(..) => value.is_object(),
            _ => !value.is_array() && !value.is_object(),
        })
    }

    /// Returns what stands for the member where it does not fit, if it is required.
    fn substitute(&self, is_null: bool) -> Option<Value> {
        match self.shape {
            Shape::Word => Some(json!("")),
            Shape::Any | Shape::Nullable(_) | Shape::Union(..) => Some(Value::Null),
            Shape::List(_) if is_null => Some(json!([])),
            Shape::Map(_) if is_null => Some(json!({})),
            _ => None,
        }
    }
}

struct Fitter {
    /// The path of the present value.
    path: String,
    ignored: Vec<String>,
}

impl Fitter {
    fn fit(&mut self, shape: &Shape, value: &mut Value) -> Result<(), Misfit> {
        let read = match (shape, &mut *value) {
            (Shape::Any, _)
            | (Shape::Nullable(_), Value::Null)
            | (Shape::Text | Shape::Word, Value::String(_))
            | (Shape::Flag, Value::Bool(_)) => return Ok(()),
            (Shape::Object(members), Value::Object(object)) => {
                return members.iter().try_for_each(|member| self.member(member, object));
            }
            (Shape::List(shape) | Shape::WrappedList(shape), Value::Array(items)) => return self.items(shape, items),
            (Shape::Map(shape), Value::Object(entries)) => {
                entries.retain(|name, value| self.is_entry(shape, name, value));
                return Ok(());
            }
            (Shape::Nullable(shape), _) => return self.fit(shape, value),
            (Shape::Union(tag, variants), _) => {
                self.variant(tag, variants, value);
                return Ok(());
            }

            (Shape::WrappedList(_), Value::Object(object)) => match take_list(object) {
                Some((key, inside)) => {
                    *value = inside;
                    return self.part(format_args!(".{key}"), shape, value);
                }
                None => None,
            },
            (Shape::WrappedList(_), Value::Null) => Some(json!([])),
            (Shape::Flag, Value::String(text)) => text.trim().parse().map(Value::Bool).ok(),
            (Shape::Integer(min, max), _) => integer(value, *min, *max),
            (Shape::Number, _) => number(value).map(Value::Number),
            (Shape::Time, _) => read_time(value).map(|time| json!(time)),
            _ => None,
        };
        *value = read.ok_or_else(|| Misfit { path: self.path.clone(), problem: problem(shape, value) })?;
        Ok(())
    }

    fn member(&mut self, member: &Member, object: &mut Map<String, Value>) -> Result<(), Misfit> {
        let found = object.get_mut(member.name);
        let is_null = found.as_ref().is_some_and(|value| value.is_null());
        let misfit = match found {
            Some(value) if !is_null => match self.part(format_args!(".{}", member.name), member.shape, value) {
                Ok(()) => return Ok(()),
                Err(misfit) => misfit,
            },
            _ if !member.is_required => {
                object.remove(member.name);
                return Ok(());
            }
            _ => Misfit { path: self.path.clone(), problem: format!("missing field `{}`", member.name) },
        };
        if member.is_required {
            let substitute = member.substitute(is_null).ok_or(misfit)?;
            object.insert(member.name.to_owned(), substitute);
        } else {
            object.remove(member.name);
        }
        if !is_null || matches!(member.shape, Shape::Word | Shape::Union(..)) {
            self.report(member.name);
        }
        Ok(())
    }

    fn items(&mut self, shape: &Shape, items: &mut [Value]) -> Result<(), Misfit> {
        let mut items = items.iter_mut().enumerate();
        items.try_for_each(|(index, item)| self.part(format_args!("[{index}]"), shape, item))
    }

    /// Returns whether an entry of a map fits.
    fn is_entry(&mut self, shape: &Shape, name: &str, value: &mut Value) -> bool {
        let fits = self.part(format_args!(".{name}"), shape, value).is_ok();
        if !fits {
            self.report(name);
        }
        fits
    }

    fn report(&mut self, name: &str) {
        self.within(format_args!(".{name}"), |fitter| fitter.ignored.push(fitter.path.clone()));
    }

    /// Makes a part fit. If it does not, nothing within it is reported.
    fn part(&mut self, step: Arguments<'_>, shape: &Shape, value: &mut Value) -> Result<(), Misfit> {
        let ignored = self.ignored.len();
        let fit = self.within(step, |fitter| fitter.fit(shape, value));
        fit.inspect_err(|_| self.ignored.truncate(ignored))
    }

    fn variant(&mut self, tag: &str, variants: &[(&str, &Shape)], value: &mut Value) {
        let tagged = value.get(tag).and_then(Value::as_str);
        let is_tagged = |word: &str| tagged.is_some_and(|tagged| tagged.eq_ignore_ascii_case(word));
        let Some((word, shape)) = variants.iter().find(|(word, _)| is_tagged(word)) else {
            return;
        };
        let mut fitting = value.clone();
        fitting[tag] = json!(word);
        if self.part(format_args!(""), shape, &mut fitting).is_ok() {
            *value = fitting;
        }
    }

    /// Acts in the place of a part.
    fn within<T>(&mut self, step: Arguments<'_>, act: impl FnOnce(&mut Self) -> T) -> T {
        let outside = self.path.len();
        // To write to a string does not fail.
        let _ = self.path.write_fmt(step);
        if outside == 0 {
            self.path = self.path.trim_start_matches('.').to_owned();
        }
        let result = act(self);
        self.path.truncate(outside);
        result
    }
}

/// Takes the list out of its wrapping, with its key. Of several, the first counts that is not null.
fn take_list(object: &mut Map<String, Value>) -> Option<(&'static str, Value)> {
    let key = LIST_KEYS.into_iter().filter(|key| object.contains_key(*key)).min_by_key(|key| object[*key].is_null())?;
    Some((key, object.remove(key)?))
}

/// Returns the number that a value is or, as a string, stands for.
fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Returns the integer that a value is or stands for: also `3.0`, and no number with a fraction.
fn integer(value: &Value, min: i64, max: u64) -> Option<Value> {
    /// Above this, not every integer is an `f64`.
    const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;
    let number = number(value)?;
    let whole = || number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < MAX_INTEGER);
    #[expect(clippy::cast_possible_truncation, reason = "the integer fits")]
    let integer = number.as_i128().or_else(|| whole().map(|number| number as i128))?;
    let integer = Some(integer).filter(|integer| (i128::from(min)..=i128::from(max)).contains(integer))?;
    Number::from_i128(integer).map(Value::Number)
}

fn problem(shape: &Shape, value: &Value) -> String {
    let expected = match shape {
        Shape::Text | Shape::Word => "a string",
        Shape::Flag => "a boolean",
        Shape::Integer(0, _) => "a whole number that is not negative",
        Shape::Integer(..) => "a whole number",
        Shape::Number => "a number",
        Shape::Time => "a time such as \"2026-01-01T00:00:00Z\"",
        Shape::WrappedList(_) => return format!("there is no list under any of {LIST_KEYS:?}"),
        Shape::List(_) => "a list",
        _ => "an object",
    };
    match value {
        Value::Array(_) => format!("a list in place of {expected}"),
        Value::Object(_) => format!("an object in place of {expected}"),
        Value::String(_) => format!("a string in place of {expected}"),
        value => format!("{value} in place of {expected}"),
    }
}
