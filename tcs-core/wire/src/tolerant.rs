//! How we read what others write: a field of a wrong type is dropped and noted, the rest stays.
//!
//! Every raw struct has [`Field`]s only, so that reading it never fails for a type. A first pass
//! reads the bytes as they are. If they are not JSON in the strict sense, [`repair`] makes them so:
//! bare `NaN` and `Infinity` (Python writes them) become null, nesting that would overflow a
//! parser's stack becomes null, and a repeated key keeps its last value.

use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

/// Nesting kept by [`repair`]; `serde_json` itself refuses 128.
const MAX_DEPTH: usize = 120;

/// The longest name of a monitored object that is read, in bytes; NATS could not carry a longer
/// one in a subject.
pub const MAX_NAME: usize = 4096;

/// The longest text kept, in bytes (`docs/spec/truth.md#bounds`).
pub const MAX_TEXT: usize = 4096;

/// One optional field of a message.
#[derive(Debug, Default)]
pub(super) enum Field<T> {
    /// Not there, or null.
    #[default]
    Absent,
    /// There, and of the right type.
    Got(T),
    /// There, and of another type.
    Wrong,
}

/// A usable name of a monitored object.
pub(super) fn object_name(field: Field<String>) -> Option<String> {
    match field {
        Field::Got(name) if !name.is_empty() && name.len() <= MAX_NAME => Some(name),
        Field::Got(_) | Field::Absent | Field::Wrong => None,
    }
}

/// A type that can be taken from JSON, or not: what it does not override it refuses.
pub(super) trait Take: Sized {
    /// From a string.
    fn text(_: &str) -> Option<Self> {
        None
    }
    /// From true or false.
    fn flag(_: bool) -> Option<Self> {
        None
    }
    /// From a whole number.
    fn int(_: i128) -> Option<Self> {
        None
    }
    /// From a number with a fraction or an exponent.
    fn float(_: f64) -> Option<Self> {
        None
    }
    /// From a list; must read it to its end.
    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        drain_list(list)?;
        Ok(None)
    }
    /// From an object; must read it to its end.
    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        drain_object(object)?;
        Ok(None)
    }
}

pub(super) fn drain_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

fn drain_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<(), A::Error> {
    while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

impl<'de, T: Take> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldVisitor<T>(PhantomData<T>);

        impl<'de, T: Take> Visitor<'de> for FieldVisitor<T> {
            type Value = Field<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any JSON value")
            }
            fn visit_unit<E>(self) -> Result<Field<T>, E> {
                Ok(Field::Absent)
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Field<T>, E> {
                Ok(T::flag(flag).into())
            }
            fn visit_i64<E>(self, int: i64) -> Result<Field<T>, E> {
                Ok(T::int(int.into()).into())
            }
            fn visit_u64<E>(self, int: u64) -> Result<Field<T>, E> {
                Ok(T::int(int.into()).into())
            }
            fn visit_f64<E>(self, float: f64) -> Result<Field<T>, E> {
                Ok(T::float(float).into())
            }
            fn visit_str<E>(self, text: &str) -> Result<Field<T>, E> {
                Ok(T::text(text).into())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Field<T>, A::Error> {
                Ok(T::list(list)?.into())
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Field<T>, A::Error> {
                Ok(T::object(object)?.into())
            }
        }

        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Field::Wrong, Field::Got)
    }
}

impl Take for String {
    fn text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Take for bool {
    fn flag(flag: bool) -> Option<Self> {
        Some(flag)
    }
}

/// The longest span that is read, in seconds: some 3,000 years, and a moment's seconds since 1970.
pub const MAX_SECONDS: f64 = 1e11;

/// Seconds, as all numbers with a fraction in our messages are.
impl Take for f64 {
    fn int(int: i128) -> Option<Self> {
        Self::float(int as f64)
    }
    fn float(float: f64) -> Option<Self> {
        (0.0..=MAX_SECONDS).contains(&float).then_some(float)
    }
}

macro_rules! take_int {
    ($($int:ty)*) => {$(
        impl Take for $int {
            fn int(int: i128) -> Option<Self> {
                int.try_into().ok()
            }
            fn float(float: f64) -> Option<Self> {
                let whole = float.fract() == 0.0 && float.abs() < 9e15;
                whole.then_some(float as i128)?.try_into().ok()
            }
        }
    )*};
}
take_int!(i32 i64 u32 u64);

impl<T: Take> Take for Vec<T> {
    /// Elements of a wrong type are left out of the list; the list is kept.
    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element::<Field<T>>()? {
            if let Field::Got(element) = element {
                elements.push(element);
            }
        }
        Ok(Some(elements))
    }
}

impl Take for Map<String, Value> {
    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Map::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }
}

/// Makes a raw struct of [`Field`]s one that can be a field itself.
macro_rules! take_struct {
    ($raw:ty) => {
        impl $crate::tolerant::Take for $raw {
            fn object<'de, A: serde::de::MapAccess<'de>>(
                object: A,
            ) -> Result<Option<Self>, A::Error> {
                serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(
                    object,
                ))
                .map(Some)
            }
        }
    };
}
pub(super) use take_struct;

/// What reading a message had to leave out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notes {
    /// Fields of a wrong type, by name.
    pub dropped: Vec<&'static str>,
    /// What was larger than a bound of `docs/spec/truth.md#bounds`, by name.
    pub cut: Vec<&'static str>,
}

impl Notes {
    /// The field's value; a wrong type is noted under `name`.
    pub(super) fn take<T>(&mut self, field: Field<T>, name: &'static str) -> Option<T> {
        match field {
            Field::Absent => None,
            Field::Got(value) => Some(value),
            Field::Wrong => {
                self.drop(name);
                None
            }
        }
    }

    /// As [`Notes::take`], cut at [`MAX_TEXT`].
    pub(super) fn text(&mut self, field: Field<String>, name: &'static str) -> Option<String> {
        let mut text = self.take(field, name)?;
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.push('…');
            text.shrink_to_fit();
            self.cut(name);
        }
        Some(text)
    }

    pub(super) fn drop(&mut self, name: &'static str) {
        if !self.dropped.contains(&name) {
            self.dropped.push(name);
        }
    }

    pub(super) fn cut(&mut self, name: &'static str) {
        if !self.cut.contains(&name) {
            self.cut.push(name);
        }
    }
}

/// Reads `body` as JSON, in a second and tolerant pass if the first fails. The error is that
/// of the first pass, because it describes the bytes as received.
pub(super) fn from_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body).or_else(|strict| {
        let repaired = repair(&String::from_utf8_lossy(body));
        serde_json::from_str::<Value>(&repaired)
            .and_then(serde_json::from_value)
            .map_err(|_| strict)
    })
}

/// Replaces, outside strings, bare `NaN`, `Infinity` and `-Infinity`, and whatever is nested deeper
/// than [`MAX_DEPTH`], by `null`.
fn repair(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut depth = 0_usize;
    let mut i = 0;
    while i < bytes.len() {
        let rest = &bytes[i..];
        let kept = depth <= MAX_DEPTH;
        let step = match bytes[i] {
            b'"' => {
                let len = string_len(rest);
                if kept {
                    out.extend_from_slice(&rest[..len]);
                }
                len
            }
            open @ (b'[' | b'{') => {
                depth += 1;
                if depth <= MAX_DEPTH {
                    out.push(open);
                } else if depth == MAX_DEPTH + 1 {
                    out.extend_from_slice(b"null");
                }
                1
            }
            close @ (b']' | b'}') => {
                if kept {
                    out.push(close);
                }
                depth = depth.saturating_sub(1);
                1
            }
            other => {
                let word = [&b"-Infinity"[..], b"Infinity", b"NaN"]
                    .into_iter()
                    .find(|word| rest.starts_with(word));
                if kept {
                    match word {
                        Some(_) => out.extend_from_slice(b"null"),
                        None => out.push(other),
                    }
                }
                word.map_or(1, <[u8]>::len)
            }
        };
        i += step;
    }
    // only whole characters were copied or left out
    String::from_utf8(out).unwrap_or_default()
}

/// The length of the string literal at the start of `bytes`, quotes included.
fn string_len(bytes: &[u8]) -> usize {
    let mut i = 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_nan_and_infinity_become_null_and_strings_stay() {
        let text = r#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" Infinity", "d": -1}"#;
        assert_eq!(
            repair(text),
            r#"{"a": null, "b": [null, null], "c": "NaN \" Infinity", "d": -1}"#
        );
    }

    #[test]
    fn deep_nesting_is_cut_and_the_rest_stays() {
        let text = format!("{{\"deep\": {}1{}, \"b\": 2}}", "[".repeat(500), "]".repeat(500));
        let value: Value = from_body(text.as_bytes()).unwrap();
        assert_eq!(value["b"], 2);
        assert!(value["deep"].is_array());
    }

    #[test]
    fn a_repeated_key_keeps_its_last_value() {
        #[derive(serde::Deserialize)]
        struct Raw {
            a: Field<i64>,
        }
        let raw: Raw = from_body(br#"{"a": 1, "a": 2}"#).unwrap();
        assert!(matches!(raw.a, Field::Got(2)));
    }

    #[test]
    fn what_is_no_json_is_an_error_of_the_bytes_as_they_came() {
        let error = from_body::<Value>(b"{\"a\": NaN, oops}").unwrap_err();
        assert_eq!((error.line(), error.column()), (1, 7));
    }

    #[test]
    fn long_text_is_cut_at_a_character_and_marked() {
        let mut notes = Notes::default();
        let text = notes.text(Field::Got("é".repeat(5000)), "message").unwrap();
        assert_eq!(text.len(), MAX_TEXT + "…".len());
        assert_eq!(notes.cut, ["message"]);
    }
}
