//! A tree for serde: typed where a value comes from the file, as text that becomes what the field's
//! type is where it comes from the environment or the command line.

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer, SeqAccess, Unexpected, Visitor};

use super::error::{DecodeError, Origin};
use super::fields::{Fields, Input};
use super::placeholder::Placeholder;
use super::reading::Reading;
use super::recovery::Recovery;
use crate::config::grammar;
use crate::config::nearest::nearest;
use crate::config::numbers;
use crate::config::value::{Node, Value};

pub(in crate::config) struct ValueReader<'s, 'p> {
    pub(in crate::config) input: Input<'s>,
    /// From the top.
    pub(in crate::config) path: &'p str,
    pub(in crate::config) reading: &'s Reading<'s>,
}

/// From here on a number with a fraction stands for several whole ones.
const MOST_EXACT: f64 = 9e15;

impl<'s> ValueReader<'s, '_> {
    fn visit_node<'de, V: Visitor<'de>>(
        &self,
        node: &'s Node,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(number) => visit_int(*number, visitor),
            // a whole number, as JSON has it
            Value::Float(number)
                if self.reading.dialect.is_lenient()
                    && number.fract() == 0.0
                    && number.abs() < MOST_EXACT =>
            {
                visit_int(*number as i128, visitor)
            }
            Value::Float(number) => visitor.visit_f64(*number),
            // a variable may hold a secret, which no message should show
            Value::Text(text) if node.from_variable => {
                visitor.visit_str(text).map_err(|mistake| redacted(mistake, text))
            }
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => {
                let items =
                    Items { rest: items.iter(), index: 0, path: self.path, reading: self.reading };
                visitor.visit_seq(items)
            }
            Value::Map(mapping) => {
                visitor.visit_map(Fields::of_mapping(mapping, self.path, known, self.reading))
            }
        }
    }
}

fn redacted(mistake: DecodeError, text: &str) -> DecodeError {
    let message = mistake.message.replace(&format!("{text:?}"), "of a variable");
    let message = message.replace(&format!("`{text}`"), "what it says");
    // a short one would be found in ordinary words
    let message = if text.len() < 6 { message } else { message.replace(text, "…") };
    DecodeError { message, ..mistake }
}

fn visit_int<'de, V: Visitor<'de>>(number: i128, visitor: V) -> Result<V::Value, DecodeError> {
    if let Ok(number) = u64::try_from(number) {
        visitor.visit_u64(number)
    } else if let Ok(number) = i64::try_from(number) {
        visitor.visit_i64(number)
    } else {
        visitor.visit_i128(number)
    }
}

/// Why a text is where a number should be.
fn number_hint(node: &Node) -> Option<String> {
    let Value::Text(text) = &node.value else { return None };
    match numbers::variable(text) {
        Some(_) => Some("without quotes it is a number".to_owned()),
        None if text.parse::<f64>().is_ok_and(f64::is_finite) && text.contains(['e', 'E']) => {
            Some("YAML 1.1 reads it as text; a number has a dot and a sign: `1.0e+5`".to_owned())
        }
        None => None,
    }
}

/// A field of this mapping is missing, and a key in it looks like it.
fn misspelt(mistake: DecodeError, node: &Node, known: &[&str]) -> DecodeError {
    let (Some(missing), None, Value::Map(map)) = (mistake.missing, &mistake.origin, &node.value)
    else {
        return mistake;
    };
    let others = map.iter().map(|(key, _)| key.text.as_str()).filter(|key| !known.contains(key));
    let mut near = others.filter(|key| nearest(key, [missing]).is_some());
    match near.next() {
        Some(near) => mistake.hint(format!("is `{near}` meant to be it?")),
        None => mistake,
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.input {
                Input::Node(node) => {
                    if let (Value::Text(text), true) = (&node.value, self.reading.dialect.is_lenient())
                        && grammar::NUMBER.fits(text)
                        && let Ok(number) = text.trim().parse::<$type>()
                    {
                        return visitor.$visit(number);
                    }
                    let hint = number_hint(node);
                    self.visit_node(node, None, visitor).map_err(|mistake| match hint {
                        Some(hint) => mistake.hint(hint),
                        None => mistake,
                    })
                }
                Input::Text(text) => match text.trim().parse::<$type>() {
                    Ok(number) => visitor.$visit(number),
                    Err(_) => Err(text_mistake(&visitor)),
                },
            }
        })*
    };
}

/// The text itself is not shown: it comes from the environment, and may be a secret.
fn text_mistake(expected: &dyn serde::de::Expected) -> DecodeError {
    DecodeError::invalid_value(Unexpected::Other("other text"), expected)
}

fn text_as_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" | "on" => Some(true),
        "false" | "no" | "0" | "off" => Some(false),
        _ => None,
    }
}

impl<'de> Deserializer<'de> for ValueReader<'_, '_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.input {
            Input::Node(node) => self.visit_node(node, None, visitor),
            // no type says what it is: what it looks like, numbers first
            Input::Text(text) => match numbers::variable(text) {
                Some(Value::Int(number)) => visit_int(number, visitor),
                Some(Value::Float(number)) => visitor.visit_f64(number),
                _ => match text_as_bool(text) {
                    Some(value) => visitor.visit_bool(value),
                    None => visitor.visit_str(text),
                },
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.input {
            Input::Node(node) => {
                self.visit_node(node, None, visitor).map_err(|mistake| match &node.value {
                    Value::Text(text) if text_as_bool(text).is_some() && node.from_variable => {
                        mistake.hint(
                            "`${VARIABLE}` is never a boolean; leave the key out and set \
                             SERVICE_TYPE_FIELD instead",
                        )
                    }
                    Value::Text(text) if text_as_bool(text).is_some() => {
                        mistake.hint("without quotes `true` and `false` are booleans")
                    }
                    _ => mistake,
                })
            }
            Input::Text(text) => match text_as_bool(text) {
                Some(value) => visitor.visit_bool(value),
                None => Err(text_mistake(&visitor)),
            },
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.input {
            // as it was written
            Input::Node(Node {
                value: Value::Int(_) | Value::Float(_), raw: Some(raw), ..
            }) if self.reading.dialect.is_lenient() => visitor.visit_str(raw),
            Input::Node(_) | Input::Text(_) => self.deserialize_identifier(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    /// Text that is written as text, in every dialect.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.input {
            Input::Node(node) => match (&node.value, node.raw.as_deref()) {
                // the type says text, so the number that a variable looked like was none
                (Value::Int(_) | Value::Float(_), Some(raw)) if node.from_variable => {
                    visitor.visit_str(raw).map_err(|mistake| redacted(mistake, raw))
                }
                (Value::Int(_) | Value::Float(_) | Value::Bool(_), raw) => {
                    let raw = raw.map(str::to_owned);
                    self.visit_node(node, None, visitor).map_err(|mistake| match raw {
                        Some(raw) => mistake.hint(format!("for text, put it in quotes: \"{raw}\"")),
                        None => mistake,
                    })
                }
                _ => self.visit_node(node, None, visitor),
            },
            Input::Text(text) => visitor.visit_str(text).map_err(|m| redacted(m, text)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.input {
            Input::Node(node) if matches!(node.value, Value::Null) => visitor.visit_none(),
            Input::Node(_) | Input::Text(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.input {
            // serde would take its items for the fields, in their order
            Input::Node(Node { value: Value::List(_), .. }) => {
                Err(DecodeError::invalid_type(Unexpected::Seq, &visitor))
            }
            Input::Node(node) => self
                .visit_node(node, Some(fields), visitor)
                .map_err(|mistake| misspelt(mistake, node, fields)),
            Input::Text(_) => Err(text_mistake(&visitor)),
        }
    }

    /// Of an enum's variant that is a struct, too.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.input {
            Input::Node(Node { value: Value::List(_), .. }) => {
                Err(DecodeError::invalid_type(Unexpected::Seq, &visitor))
            }
            Input::Node(_) | Input::Text(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.input {
            Input::Node(node) => match &node.value {
                Value::Map(mapping) if mapping.len() != 1 => {
                    let message = format!("expected one key of {}", variants.join(", "));
                    Err(DecodeError::new(format!("{message}; found {}", mapping.len())))
                }
                Value::Map(mapping) => {
                    let fields = Fields::of_mapping(mapping, self.path, None, self.reading);
                    fields.into_deserializer().deserialize_enum(name, variants, visitor)
                }
                Value::Text(text) => visitor
                    .visit_enum(text.as_str().into_deserializer())
                    .map_err(|m| if node.from_variable { redacted(m, text) } else { m }),
                _ => Err(DecodeError::new(format!(
                    "expected one of {}, found {}",
                    variants.join(", "),
                    node.kind()
                ))),
            },
            Input::Text(text) => {
                visitor.visit_enum(text.into_deserializer()).map_err(|m| redacted(m, text))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.input {
            Input::Node(node) => self.visit_node(node, None, visitor),
            Input::Text(_) => {
                Err(DecodeError::new("a list cannot be given as one text".to_owned())
                    .hint("write it in the configuration file"))
            }
        }
    }

    serde::forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct tuple tuple_struct
    }
}

/// The items of a list.
struct Items<'s, 'p> {
    rest: std::slice::Iter<'s, Node>,
    index: usize,
    path: &'p str,
    reading: &'s Reading<'s>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        for node in self.rest.by_ref() {
            let path = format!("{}[{}]", self.path, self.index);
            self.index += 1;
            let read = match self.reading.recovery.at(&path) {
                Some(Recovery::Omit) => continue,
                Some(Recovery::Placeholder) => seed.deserialize(Placeholder),
                None => seed.deserialize(ValueReader {
                    input: Input::Node(node),
                    path: &path,
                    reading: self.reading,
                }),
            };
            return read.map(Some).map_err(|mistake| mistake.at(&Origin::File(node.at), &path));
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}
