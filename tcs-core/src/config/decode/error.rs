//! One mistake as serde reports it, with the place added on its way up.

use std::fmt;

use serde::de;

use crate::config::nearest::nearest;
use crate::config::numbers;
use crate::config::problem::{Place, Problem, Severity};

pub(in crate::config) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum Origin {
    File(Place),
    /// The name of the variable.
    Environment(String),
    /// The framework.
    Given,
}

/// The message of a key that a type does not take; its path names it.
const UNKNOWN_KEY: &str = "unknown key";

/// How serde begins to say that no variant fits, before it names the type.
const UNTAGGED: &str = "data did not match any variant of untagged enum";

#[derive(Debug)]
pub(in crate::config) struct DecodeError {
    pub(in crate::config) severity: Severity,
    pub(in crate::config) message: String,
    pub(in crate::config) hint: Option<String>,
    pub(in crate::config) origin: Option<Origin>,
    /// Of the value, from the top: `camera.filters[2].name`.
    pub(in crate::config) path: String,
    /// A field below `path` that is not there.
    pub(in crate::config) missing: Option<&'static str>,
    /// It is the key at `path` that is wrong, not its value.
    pub(in crate::config) is_key: bool,
}

impl DecodeError {
    pub(in crate::config) fn new(message: String) -> Self {
        Self {
            severity: Severity::Error,
            message,
            hint: None,
            origin: None,
            path: String::new(),
            missing: None,
            is_key: false,
        }
    }

    pub(in crate::config) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// Adds where it happened, if nobody below did.
    pub(in crate::config) fn at(mut self, origin: &Origin, path: &str) -> Self {
        if self.origin.is_none() {
            self.origin = Some(origin.clone());
            path.clone_into(&mut self.path);
        }
        self
    }

    /// The same for a key.
    pub(in crate::config) fn at_key(mut self, origin: &Origin, path: &str) -> Self {
        self.is_key |= self.origin.is_none();
        self.at(origin, path)
    }

    /// Where it stands in the file.
    pub(in crate::config) fn place(&self) -> Option<Place> {
        match self.origin {
            Some(Origin::File(place)) => Some(place),
            Some(Origin::Environment(_) | Origin::Given) | None => None,
        }
    }

    /// The path of a field that is not there.
    pub(in crate::config) fn missing_path(&self) -> Option<String> {
        self.missing.map(|name| joined(&self.path, name))
    }

    /// For a person; `entry` is where the settings stand.
    pub(in crate::config) fn into_problem(self, entry: Option<Place>) -> Problem {
        let named = match (self.path.as_str(), self.missing_path()) {
            (_, Some(missing)) => format!("`{missing}` is missing"),
            ("", None) => self.message,
            (path, None) if self.message == UNKNOWN_KEY => format!("unknown key `{path}`"),
            (path, None) => format!("`{path}`: {}", self.message),
        };
        let (at, message) = match self.origin {
            Some(Origin::File(place)) => (Some(place), named),
            Some(Origin::Environment(name)) => (entry, format!("{named} (from variable `{name}`)")),
            Some(Origin::Given) | None => (entry, named),
        };
        Problem { severity: self.severity, at, message, hint: self.hint }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    /// What a type says of itself: `message`, `message\nhint: what to do`, and with `warning: `
    /// before it what does not keep the rest from being used.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        let (severity, text) = match text.strip_prefix("warning: ") {
            Some(rest) => (Severity::Warning, rest),
            None => (Severity::Error, text.as_str()),
        };
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message, Some(hint.to_owned())),
            None if text.starts_with(UNTAGGED) => ("has none of the allowed forms", None),
            None => (text, None),
        };
        Self { severity, hint, ..Self::new(message.to_owned()) }
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {}, found {}", plain(expected), found(unexpected)))
    }

    fn invalid_value(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {}, found {}", plain(expected), found(unexpected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let mistake = Self::new(format!("`{variant}` is not one of {}", expected.join(", ")));
        did_you_mean(mistake, variant, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let mistake = did_you_mean(Self::new(UNKNOWN_KEY.to_owned()), field, expected);
        mistake.hint(format!("known: {}", expected.join(", ")))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("`{field}` is given twice, under two names"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("`{field}` is missing")) }
    }
}

fn did_you_mean(mistake: DecodeError, name: &str, known: &'static [&'static str]) -> DecodeError {
    match nearest(name, known.iter().copied()) {
        Some(near) => mistake.hint(format!("did you mean `{near}`?")),
        None => mistake,
    }
}

/// Rust's names of types, in words of the file.
fn plain(expected: &dyn de::Expected) -> String {
    let text = expected.to_string();
    let begins = |word: &str| text.starts_with(word);
    match text.as_str() {
        "f32" | "f64" => "a number".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "u128" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "a string" => "text".to_owned(),
        "a character" => "one character".to_owned(),
        "path string" => "a path".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "keys and values".to_owned(),
        "unit" => "nothing".to_owned(),
        "newtype variant" => "a value with it (`KEY: VALUE`)".to_owned(),
        _ if begins("a nonzero u") => "a whole number, 1 or more".to_owned(),
        _ if begins("a nonzero i") => "a whole number other than 0".to_owned(),
        _ if begins("struct ") || begins("internally tagged ") || begins("adjacently tagged ") => {
            "keys and values".to_owned()
        }
        _ if ["a tuple ", "tuple ", "an array "].into_iter().any(begins) => {
            match text.rsplit_once(' ').map(|(_, size)| size.parse::<usize>()) {
                Some(Ok(size)) => format!("a list of {size}"),
                Some(Err(_)) | None => "a list".to_owned(),
            }
        }
        _ if begins("unit struct ") => "nothing".to_owned(),
        _ if begins("enum ") => "a word, or one key and its value".to_owned(),
        _ => text,
    }
}

fn found(unexpected: de::Unexpected<'_>) -> String {
    match unexpected {
        de::Unexpected::Bool(value) => format!("the boolean {value}"),
        de::Unexpected::Unsigned(number) => number.to_string(),
        de::Unexpected::Signed(number) => number.to_string(),
        de::Unexpected::Float(number) => numbers::shown(number),
        de::Unexpected::Str(text) if text.chars().count() <= 40 => format!("the text {text:?}"),
        de::Unexpected::Str(_) => "text".to_owned(),
        de::Unexpected::Unit | de::Unexpected::Option => "nothing".to_owned(),
        de::Unexpected::Seq | de::Unexpected::TupleVariant => "a list".to_owned(),
        de::Unexpected::Map | de::Unexpected::StructVariant => "keys and values".to_owned(),
        de::Unexpected::UnitVariant => "the word alone".to_owned(),
        de::Unexpected::NewtypeVariant => "a value with it".to_owned(),
        // how serde calls a whole number of more than 64 bits
        de::Unexpected::Other(text) => match text.split('`').nth(1) {
            Some(number) if text.ends_with("128") => number.to_owned(),
            Some(_) | None => text.to_owned(),
        },
        other => other.to_string(),
    }
}
