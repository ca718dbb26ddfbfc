//! The forms in which a file has values that are not plain: seconds, sizes, signals, addresses.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, IntoDeserializer as _, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize as _, Serializer};
use serde_json::Value as Json;

use super::grammar::{self, EXACT};
use super::line_pattern::LinePattern;
use super::nearest::nearest;
use super::numbers;
use super::signal::{self, StopSignal};
use crate::id::{MAX_LEN, ServiceId, ServiceType, Variant};
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
    Seconds(number: f64) -> Duration, {"type": "number", "minimum": 0, "maximum": LONGEST},
        within(number, 0.0, LONGEST),
        written |it| it.as_secs_f64().into();
    Interval(number: f64) -> Duration, {"type": "number", "minimum": 0.1, "maximum": 3600},
        within(number, 0.1, 3600.0),
        written |it| it.as_secs_f64().into();
    Sampling(number: f64) -> Duration,
        {"anyOf": [{"type": "number", "minimum": 1, "maximum": 3600}, {"const": 0}]},
        if number == 0.0 {
            Ok(Duration::ZERO)
        } else {
            within(number, 1.0, 3600.0).map_err(|error| format!("{error}; 0: off"))
        },
        written |it| it.as_secs_f64().into();
    Factor(number: f64) -> f64, {"type": "number", "minimum": 1, "maximum": 1000},
        if (1.0..=1000.0).contains(&number) {
            Ok(number)
        } else {
            Err(format!("expected a number from 1 to 1000, found {}", numbers::shown(number)))
        },
        written |it| (*it).into();
    /// Bytes: a number, or one with a unit (`64K`, `10M`, `1.5GiB`; 1 K is 1024).
    Bytes(text: NumberOrText) -> u64,
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MOST_BYTES, EXACT: true},
                   {"type": "string", "pattern": grammar::SIZE.or_variable()}]},
        size(&text.0).ok_or_else(|| not_a_size(&text.0)),
        written |it| (*it).into();
    /// The same, and some.
    FileSize(text: NumberOrText) -> u64,
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_BYTES, EXACT: true},
                   {"type": "string", "pattern": grammar::SIZE.or_variable(),
                    "not": {"pattern": grammar::NO_SIZE.or_variable()}}]},
        match size(&text.0) {
            Some(0) => Err(KEEPS_NOTHING.to_owned()),
            size => size.ok_or_else(|| not_a_size(&text.0)),
        },
        written |it| (*it).into();
    Files(number: u32) -> u32, {"type": "integer", "format": "uint32", "minimum": 1},
        if number == 0 { Err(KEEPS_NOTHING.to_owned()) } else { Ok(number) },
        written |it| (*it).into();
    CronFields(text: String) -> String,
        {"type": "string", "pattern": grammar::CRON.or_variable()},
        if grammar::CRON.fits(&text) {
            Ok(text)
        } else {
            Err(format!(
                "expected five fields, found `{text}`\nhint: write minute, hour, day of month, \
                 month, day of week: `30 7 * * *`"
            ))
        };
    Every(text: NumberOrText) -> Duration,
        {"type": "string", "pattern": grammar::EVERY.or_variable()},
        every(&text.0).ok_or_else(|| {
            let text = &text.0;
            format!("`{text}` is not a duration\nhint: write `30s`, `15m`, `6h` or `1d`")
        });
    SignalName(text: NumberOrText) -> StopSignal,
        {"anyOf": [{"enum": signal::names()},
                   {"type": "integer", "minimum": 1, "maximum": 31, EXACT: true},
                   {"type": "string", "pattern": signal::pattern()}]},
        text.0.parse(),
        written |it| it.bare().into();
    Pattern(text: String) -> LinePattern, {"type": ["string", "number"], "format": "regex"},
        LinePattern::new(&text);
    Address(text: String) -> (String, u16),
        {"type": "string", "pattern": grammar::ADDRESS.or_variable()},
        address(&text).ok_or_else(|| {
            format!("`{text}` is not HOST:PORT\nhint: for example `localhost:8080`")
        });
    Program(words: Several<String>) -> Vec<String>,
        {"anyOf": [
            {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1,
             "prefixItems": [{"type": ["string", "number"], "minLength": 1}]},
            {"type": "string", "pattern": grammar::PROGRAM.or_variable()},
        ]},
        program(words);
    After(ids: Several<Id>) -> Vec<ServiceId>,
        {"anyOf": [
            {"type": "array", "items": {"type": "string", "pattern": grammar::ID.or_variable()}},
            {"type": "string", "pattern": grammar::ID.or_variable()},
        ]},
        Ok(ids.items.into_iter().map(|id| id.0).collect());
    Profiles(sets: BTreeMap<ProfileName, Option<Several<Id>>>) -> BTreeMap<String, Vec<ServiceId>>,
        {"type": "object",
         "propertyNames": {"pattern": grammar::PROFILE.or_variable()},
         "additionalProperties": {"anyOf": [
            {"type": "array", "items": {"type": "string", "pattern": grammar::ID.or_variable()}},
            {"type": "string", "pattern": grammar::ID.or_variable()},
            {"type": "null"},
         ]}},
        Ok(sets.into_iter().map(|(name, ids)| {
            let ids = ids.map(|ids| ids.items).unwrap_or_default();
            (name.0, ids.into_iter().map(|id| id.0).collect())
        }).collect());
    Variables(variables: BTreeMap<VariableName, VariableValue>) -> BTreeMap<String, String>,
        {"type": "object", "propertyNames": {"pattern": grammar::VARIABLE_NAME.or_variable()},
         "additionalProperties": {"type": ["string", "number", "null"]}},
        Ok(variables.into_iter().map(|(name, value)| (name.0, value.0)).collect());
    VariableValue(text: Option<String>) -> String, {"type": ["string", "number", "null"]},
        match text.unwrap_or_default() {
            text if text.contains('\0') => Err("no variable can hold a NUL".to_owned()),
            text => Ok(text),
        };
    TypeName(text: Name) -> ServiceType,
        {"type": "string", "pattern": grammar::NAME.or_variable(), "maxLength": MAX_LEN},
        text.0.parse().map_err(|error| format!("{error}"));
    /// An empty one counts as none, as in Python.
    VariantName(text: Name) -> Option<Variant>,
        {"type": "string", "pattern": grammar::VARIANT.or_variable(), "maxLength": MAX_LEN},
        match text.0.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|error| format!("{error}")),
        };
    Id(text: Name) -> ServiceId, {"type": "string", "pattern": grammar::ID.or_variable()},
        text.0.parse().map_err(|error| format!("{error}"));
    Module(text: String) -> String, {"type": "string", "pattern": grammar::MODULE.or_variable()},
        if grammar::MODULE.fits(&text) {
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

/// Seconds of the longest span, some 31 years: still addable to a clock.
const LONGEST: f64 = 1e9;

/// More than any disk has.
const MOST_BYTES: u64 = 999_999_999_999_999_999;

const KEEPS_NOTHING: &str = "0 would keep no file\nhint: leave `log` out, or write 1 or more";

impl Module {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn within(number: f64, least: f64, most: f64) -> Result<Duration, String> {
    if (least..=most).contains(&number) {
        return Ok(Duration::from_secs_f64(number));
    }
    let [least, most, number] = [least, most, number].map(numbers::shown);
    Err(format!("expected {least} to {most} seconds, found {number}"))
}

fn size(text: &str) -> Option<u64> {
    let found = grammar::SIZE.captures(text)?;
    // each unit has a group of its own
    let units = [1.0, 1024.0, 1024.0 * 1024.0, 1024.0 * 1024.0 * 1024.0];
    let mut given = units.into_iter().zip(found.iter().skip(1));
    let (unit, number) = given.find_map(|(unit, number)| Some((unit, number?.as_str())))?;
    let bytes = number.replace('_', "").parse::<f64>().ok()? * unit;
    Some(bytes.ceil() as u64)
}

fn every(text: &str) -> Option<Duration> {
    let found = grammar::EVERY.captures(text)?;
    let unit = match &found[2] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 86_400,
    };
    Some(Duration::from_secs(found[1].parse::<u64>().ok()? * unit))
}

fn not_a_size(text: &str) -> String {
    format!("expected a size such as 65536, 64K or 10M, found {text:?}")
}

fn address(text: &str) -> Option<(String, u16)> {
    let found = grammar::ADDRESS.captures(text)?;
    let host = found[1].trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), found[2].parse().ok()?))
}

fn program(words: Several<String>) -> Result<Vec<String>, String> {
    match words.items.first() {
        Some(first) if !words.is_list && first.contains(' ') => {
            let list = first.split_whitespace().collect::<Vec<_>>().join(", ");
            Err(format!(
                "expected a list: text is not split into words\nhint: write `exec: [{list}]`"
            ))
        }
        Some(first) if !first.is_empty() => Ok(words.items),
        Some(_) | None => {
            Err("`exec` is empty\nhint: write `exec: [program, argument, ...]`".to_owned())
        }
    }
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

/// A number as decimal digits, or a text.
struct NumberOrText(String);

impl<'de> Deserialize<'de> for NumberOrText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = NumberOrText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or text")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<NumberOrText, E> {
                Ok(NumberOrText(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<NumberOrText, E> {
                Ok(NumberOrText(number.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<NumberOrText, E> {
                Ok(NumberOrText(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The name of a set of services, which is typed.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
struct ProfileName(String);

impl TryFrom<String> for ProfileName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if !grammar::PROFILE.fits(&name) {
            return Err(format!(
                "{name:?} cannot be the name of a profile: letters, digits, `_`, `-`"
            ));
        }
        Ok(Self(name))
    }
}

/// The name of a variable of the environment.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
struct VariableName(String);

impl TryFrom<String> for VariableName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if !grammar::VARIABLE_NAME.fits(&name) {
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
