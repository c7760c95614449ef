//! [`Secret`]: a string that `Debug` does not show.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// A secret of the service, such as the signing secret of a webhook.
///
/// It is redacted in `Debug`, its memory is wiped when it is dropped, and it cannot be serialized, or compared with
/// `==`, which does not take constant time. [`expose_secret`](Self::expose_secret) returns its text:
///
/// ```
/// use agentgate::Secret;
///
/// let secret = Secret::from("whsec_0123456789");
/// assert_eq!(format!("{secret:?}"), "Secret([redacted])");
/// assert_eq!(secret.expose_secret(), "whsec_0123456789");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Returns the text of the secret. Store it in a place for secrets, and do not log it.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret.into())
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(secret.into())
    }
}

impl From<&Self> for Secret {
    fn from(secret: &Self) -> Self {
        secret.clone()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Returns what is wrong with a text that was copied with something around it.
#[cfg(any(feature = "client", feature = "webhooks"))]
pub(crate) fn copying_mistake(text: &str) -> Option<String> {
    const MARKS: [char; 10] =
        ['"', '\'', '`', '\u{ab}', '\u{bb}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{201e}'];
    let is_invisible = |character: &char| match character {
        // A byte order mark, and others of no width.
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => true,
        character => character.is_control() && !character.is_whitespace(),
    };
    if let Some(character) = text.chars().find(is_invisible) {
        let code = u32::from(character);
        return Some(format!(
            "contains the invisible character U+{code:04X}; copy it again, and save a file that holds it without a byte \
             order mark"
        ));
    }
    let is_quoted = text.starts_with(MARKS) || text.ends_with(MARKS);
    is_quoted.then(|| "begins or ends with a quotation mark; remove the marks".to_owned())
}

/// Returns what is wrong with a setting, which often comes from a file or a variable.
#[cfg(feature = "client")]
pub(crate) fn setting_mistake(setting: &str) -> Option<String> {
    // A key may end in `=`, but has none in the middle.
    let is_assignment = setting.split_once('=').is_some_and(|(name, value)| {
        !value.trim_matches('=').is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    let is_variable = setting.starts_with(['$', '%', '<']) || setting.contains("${") || setting.contains("{{");
    let is_header = setting.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("Bearer "));
    let problems = [
        (setting.is_empty(), "is empty"),
        (is_variable, "is the name of a variable or a placeholder, in place of its value"),
        (is_assignment, "begins with the name of a variable; give its value alone"),
        (is_header, "begins with `Bearer`, which the client adds itself"),
        (setting.contains(char::is_whitespace), "contains white space"),
    ];
    copying_mistake(setting).or_else(|| Some(problems.into_iter().find(|(is_so, _)| *is_so)?.1.to_owned()))
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "password" })
    }
}
