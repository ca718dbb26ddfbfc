//! The forms in which a file has values that are not plain: seconds, sizes, signals, addresses.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr as _;
use std::time::Duration;

use nix::sys::signal::Signal;
use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, IntoDeserializer as _, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize as _, Serializer};
use serde_json::Value as Json;

use super::nearest::nearest;
use super::numbers;
use crate::id::{ServiceId, ServiceType, Variant};
use crate::wire::policy::RestartWhen;

/// Says which form a field is read in: `#[serde(with = "As::<Seconds>")]`, for its schema too.
pub(super) struct As<F>(PhantomData<F>);

/// A form, and what it stands for.
pub(super) trait Form {
    type Value;
    fn value(self) -> Self::Value;

    /// As a file has it, for the schema's defaults; null where none is worth showing.
    fn written(_: &Self::Value) -> Json {
        Json::Null
    }
}

impl<F: Form> Form for Option<F> {
    type Value = Option<F::Value>;
    fn value(self) -> Self::Value {
        self.map(F::value)
    }
}

impl<F: Form> As<F> {
    pub(super) fn deserialize<'de, D>(deserializer: D) -> Result<F::Value, D::Error>
    where
        D: Deserializer<'de>,
        F: Deserialize<'de>,
    {
        F::deserialize(deserializer).map(F::value)
    }

    pub(super) fn serialize<S: Serializer>(value: &F::Value, to: S) -> Result<S::Ok, S::Error> {
        F::written(value).serialize(to)
    }
}

impl<F: JsonSchema> JsonSchema for As<F> {
    fn inline_schema() -> bool {
        F::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        F::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        F::json_schema(generator)
    }
}

/// A form: what serde reads, its value, its schema, and the way from one to the other.
macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident($given:ident: $raw:ty) -> $value:ty, $schema:tt, $read:expr
        $(, written $written:expr)?;)*) => {
        $(
            $(#[$doc])*
            pub(super) struct $name($value);

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let $given = <$raw>::deserialize(deserializer)?;
                    let read: Result<$value, String> = $read;
                    read.map(Self).map_err(D::Error::custom)
                }
            }

            impl Form for $name {
                type Value = $value;
                fn value(self) -> $value {
                    self.0
                }
                $(fn written(value: &$value) -> Json {
                    let written: fn(&$value) -> Json = $written;
                    written(value)
                })?
            }

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        )*
    };
}

forms! {
    Seconds(number: f64) -> Duration, {"type": "number", "minimum": 0}, seconds(number),
        written |it| it.as_secs_f64().into();
    Interval(number: f64) -> Duration, {"type": "number", "minimum": 0.1, "maximum": 3600},
        if (0.1..=3600.0).contains(&number) {
            seconds(number)
        } else {
            Err(format!("expected 0.1 to 3600 seconds, found {}", numbers::shown(number)))
        },
        written |it| it.as_secs_f64().into();
    Sampling(number: f64) -> Duration, {"type": "number", "minimum": 0, "maximum": 3600},
        if number == 0.0 || (1.0..=3600.0).contains(&number) {
            seconds(number)
        } else {
            Err(format!("expected 0 (off), or 1 to 3600 seconds; found {}", numbers::shown(number)))
        },
        written |it| it.as_secs_f64().into();
    Factor(number: f64) -> f64, {"type": "number", "minimum": 1},
        if number.is_finite() && number >= 1.0 {
            Ok(number)
        } else {
            Err(format!("expected a number, 1 or more; found {}", numbers::shown(number)))
        },
        written |it| (*it).into();
    /// Bytes: a number, or one with a unit (`64K`, `10M`, `1.5GiB`; 1 K is 1024).
    Bytes(text: String) -> u64,
        {"type": ["integer", "string"], "minimum": 0,
         "pattern": "^ *[0-9._]+ *([kKmMgG]?[bB]|[kKmMgG]([iI][bB])?)? *$|\\$\\{"},
        size(&text)
            .ok_or_else(|| format!("expected a size such as 65536, 64K or 10M, found {text:?}")),
        written |it| (*it).into();
    SignalName(text: String) -> Signal, {"type": ["string", "integer"]}, signal(&text),
        written |it| it.as_str().trim_start_matches("SIG").into();
    /// Compiled at once, so that a wrong one is told when the file is read; the bound keeps it from
    /// taking the launcher's memory.
    Pattern(text: String) -> Regex, {"type": "string", "format": "regex"},
        RegexBuilder::new(&text).size_limit(1 << 20).build().map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            format!("not a regular expression: {reason}")
        });
    Address(text: String) -> (String, u16), {"type": "string", "pattern": ":[0-9]+$|\\$\\{"},
        address(&text).ok_or_else(|| {
            format!("`{text}` is not HOST:PORT\nhint: for example `localhost:8080`")
        });
    Program(words: Several<String>) -> Vec<String>,
        {"type": ["array", "string"], "items": {"type": ["string", "number"]}, "minItems": 1},
        program(words);
    After(ids: Several<ServiceId>) -> Vec<ServiceId>,
        {"type": ["array", "string"], "items": {"type": "string"}}, Ok(ids.items);
    Variables(variables: BTreeMap<VariableName, VariableValue>) -> BTreeMap<String, String>,
        {"type": "object", "additionalProperties": {"type": ["string", "number", "null"]}},
        Ok(variables.into_iter().map(|(name, value)| (name.0, value.0)).collect());
    VariableValue(text: Option<String>) -> String, {"type": ["string", "number", "null"]},
        match text.unwrap_or_default() {
            text if text.contains('\0') => Err("no variable can hold a NUL".to_owned()),
            text => Ok(text),
        };
    TypeName(text: Name) -> ServiceType, {"type": "string"},
        text.0.parse().map_err(|error| format!("{error}"));
    /// An empty one counts as none, as in Python.
    VariantName(text: Name) -> Option<Variant>, {"type": "string"},
        match text.0.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|error| format!("{error}")),
        };
    Module(text: String) -> String, {"type": "string", "pattern": "^\\w+(\\.\\w+)*$|\\$\\{"},
        if text.split('.').all(is_identifier) {
            Ok(text)
        } else {
            Err(format!(
                "`{text}` is not a Python module\nhint: write its import path, such as \
                 `my_project.telescope_control`"
            ))
        };
    RestartWord(word: Word) -> RestartWhen,
        // YAML 1.1 reads an unquoted `no` as false
        {"enum": ["no", "always", "on-failure", "on-abnormal", false]}, Ok(word.0);
}

impl Module {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn seconds(number: f64) -> Result<Duration, String> {
    if !number.is_finite() || number < 0.0 {
        return Err(format!("expected seconds, 0 or more; found {}", numbers::shown(number)));
    }
    // longer than any machine lives, and still addable to a clock
    Ok(Duration::from_secs_f64(number.min(1e9)))
}

fn size(text: &str) -> Option<u64> {
    let text = text.trim().replace('_', "");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    (bytes <= 1e18).then_some(bytes as u64)
}

fn signal(text: &str) -> Result<Signal, String> {
    let name = text.to_ascii_uppercase();
    let full = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    let by_number = || Signal::try_from(text.parse::<i32>().ok()?).ok();
    Signal::from_str(&full).ok().or_else(by_number).ok_or_else(|| {
        // what all names begin with makes none like another
        let bare = |name: &'static str| name.strip_prefix("SIG").unwrap_or(name);
        let typed = full.strip_prefix("SIG").unwrap_or(&full);
        let near = nearest(typed, Signal::iterator().map(Signal::as_str).map(bare));
        let hint = near.map(|near| format!("\nhint: did you mean `SIG{near}`?"));
        let hint = hint.unwrap_or_default();
        format!("`{text}` is not a signal{hint}")
    })
}

fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let port = port.parse::<u16>().ok().filter(|&port| port > 0)?;
    let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    is_host.then(|| (host.to_owned(), port))
}

fn program(words: Several<String>) -> Result<Vec<String>, String> {
    match words.items.first() {
        Some(first) if first.contains(' ') && !words.is_list => {
            let list = first.split_whitespace().collect::<Vec<_>>().join(", ");
            Err(format!(
                "expected a list: nothing splits the text into words\nhint: write `exec: [{list}]`"
            ))
        }
        Some(first) if !first.is_empty() => Ok(words.items),
        Some(_) | None => {
            Err("no program\nhint: write `exec: [program, argument, ...]`".to_owned())
        }
    }
}

fn is_identifier(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// A list of texts, or one text alone.
#[derive(Debug)]
pub struct Several<T> {
    /// Each.
    pub items: Vec<T>,
    /// They are written as a list.
    pub is_list: bool,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = Several<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a list of texts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Several<T>, E> {
                let item = T::deserialize(text.into_deserializer())?;
                Ok(Several { items: vec![item], is_list: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Several<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Several { items, is_list: true })
            }
        }
        deserializer.deserialize_any(Items(PhantomData))
    }
}

/// Text that is written as text: a variant of 15 is a number to Python.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                Ok(Name(text.to_owned()))
            }
        }
        deserializer.deserialize_identifier(Text)
    }
}

/// The name of a variable of the environment.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
struct VariableName(String);

impl TryFrom<String> for VariableName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(format!("{name:?} cannot be the name of a variable"));
        }
        Ok(Self(name))
    }
}

/// What stands at `restart`.
struct Word(RestartWhen);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "one of {}", RestartWhen::ALL.map(RestartWhen::as_str).join(", "))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Word, E> {
                if value {
                    return Err(E::invalid_type(Unexpected::Bool(true), &self));
                }
                Ok(Word(RestartWhen::No))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Word, E> {
                let found = RestartWhen::ALL.into_iter().find(|when| when.as_str() == text);
                // a warning, because such files run today, without restarts
                found.map(Word).ok_or_else(|| {
                    let words = RestartWhen::ALL.map(RestartWhen::as_str);
                    let near =
                        nearest(text, words).map(|near| format!("\nhint: did you mean `{near}`?"));
                    E::custom(format!(
                        "warning: `{text}` is not one of {}: nothing is restarted{}",
                        words.join(", "),
                        near.unwrap_or_default()
                    ))
                })
            }
        }
        deserializer.deserialize_any(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_compared_without_what_all_names_begin_with() {
        assert_eq!(signal("FOO").unwrap_err(), "`FOO` is not a signal");
        let hint = "`TREM` is not a signal\nhint: did you mean `SIGTERM`?";
        assert_eq!(signal("TREM").unwrap_err(), hint);
        assert_eq!(signal("int").unwrap(), Signal::SIGINT);
    }
}
