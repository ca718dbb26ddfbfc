//! Keys and values for serde: the top level, where several sources meet, and every mapping below.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, Visitor};

use super::error::{DecodeError, Origin};
use super::node::ValueReader;
use super::placeholder::Placeholder;
use super::recovery::Recovery;
use super::{Reading, ServiceSettings};
use crate::config::nearest::nearest;
use crate::config::problem::{Place, Problem};
use crate::config::value::{Mapping, Node};

/// What a field is read from.
#[derive(Clone, Copy)]
pub(super) enum Input<'s> {
    /// The file.
    Node(&'s Node),
    /// A text that becomes what the field's type is.
    Text(&'s str),
}

/// One field.
pub(super) struct Field<'s> {
    key: Cow<'s, str>,
    input: Input<'s>,
    origin: Origin,
    path: String,
    /// Of the key, in the file.
    key_at: Option<Place>,
}

/// Fields in the order in which they are read.
pub(super) struct Fields<'s> {
    rest: std::vec::IntoIter<Field<'s>>,
    next: Option<Field<'s>>,
    reading: &'s Reading<'s>,
}

impl<'s> Fields<'s> {
    /// Of what lies below `path`.
    fn new(mut fields: Vec<Field<'s>>, path: &str, reading: &'s Reading<'s>) -> Self {
        fields.extend(reading.recovery.missing_below(path).map(|name| Field {
            path: joined(path, name),
            ..field(name, Input::Text(""), Origin::Given)
        }));
        fields.retain(|field| reading.recovery.at(&field.path) != Some(Recovery::Omit));
        Self { rest: fields.into_iter(), next: None, reading }
    }

    /// Of a mapping in the file; `known` are the fields of the struct that reads it.
    pub(super) fn of_mapping(
        mapping: &'s Mapping,
        path: &str,
        known: Option<&'static [&'static str]>,
        reading: &'s Reading<'s>,
    ) -> Self {
        let fields = mapping
            .iter()
            .map(|(key, node)| Field {
                key: Cow::Borrowed(&key.text),
                input: Input::Node(node),
                origin: Origin::File(node.at),
                path: joined(path, &key.text),
                key_at: Some(key.at),
            })
            .collect();
        if let Some(known) = known {
            for (key, _) in mapping.iter() {
                warn_unknown(&key.text, key.at, known, reading);
            }
        }
        Self::new(fields, path, reading)
    }

    /// For enums and other types that take one key, or any.
    pub(super) fn into_deserializer(self) -> MapAccessDeserializer<Self> {
        MapAccessDeserializer::new(self)
    }
}

fn warn_unknown(name: &str, at: Place, known: &'static [&'static str], reading: &Reading<'_>) {
    if !known.contains(&name) {
        let problem = Problem::warning(at, format!("unknown key `{name}`: the service ignores it"));
        reading.warn(problem.suggest(nearest(name, known.iter().copied())));
    }
}

pub(super) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.next = self.rest.next();
        let Some(field) = &self.next else { return Ok(None) };
        let read = seed.deserialize(KeyReader(&field.key));
        read.map(Some).map_err(|mistake| {
            let origin = field.key_at.map_or_else(|| field.origin.clone(), Origin::File);
            mistake.at_key(&origin, &field.path)
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let Some(Field { input, origin, path, .. }) = self.next.take() else {
            return Err(DecodeError::new("a value without a key".to_owned()));
        };
        match self.reading.recovery.at(&path) {
            Some(_) => seed.deserialize(Placeholder),
            None => seed.deserialize(ValueReader { input, path: &path, reading: self.reading }),
        }
        .map_err(|mistake| mistake.at(&origin, &path))
    }
}

/// A key: text, or what a map's key type makes of it.
struct KeyReader<'s>(&'s str);

macro_rules! parsed_keys {
    ($($method:ident $visit:ident $type:ty,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.0.parse::<$type>() {
                Ok(key) => visitor.$visit(key),
                Err(_) => visitor.visit_str(self.0),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for KeyReader<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_str(self.0)
    }

    parsed_keys! {
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The whole of a service's settings.
#[derive(Clone, Copy)]
pub(super) struct Top<'s> {
    pub(super) settings: &'s ServiceSettings,
    pub(super) reading: &'s Reading<'s>,
}

impl<'s> Top<'s> {
    /// Every source's fields, each name once. `known` are those of the type, if it says.
    fn fields(self, known: Option<&'static [&'static str]>) -> Fields<'s> {
        let settings = self.settings;
        let wants = |name: &str| known.is_none_or(|known| known.contains(&name));
        let mut fields: Vec<Field<'s>> = Vec::new();
        for (name, text) in settings.command_line.iter().rev() {
            if !wants(name) {
                let message = format!("unknown field `{name}` on the command line");
                let near = nearest(name, known.unwrap_or_default().iter().copied());
                self.reading.warn(Problem::warning(None, message).suggest(near));
            } else if fields.iter().all(|field| field.key != name.as_str()) {
                fields.push(field(name.as_str(), Input::Text(text), Origin::CommandLine));
            }
        }
        for (key, node) in settings.merged.iter() {
            let name = key.text.as_str();
            let is_own = settings.own.iter().any(|own| own == name);
            if let Some(known) = known
                && is_own
            {
                warn_unknown(name, key.at, known, self.reading);
            }
            // a top-level key may be meant for another service: it is not a mistake in this one
            if (is_own || wants(name)) && fields.iter().all(|field| field.key != name) {
                let field = field(name, Input::Node(node), Origin::File(node.at));
                fields.push(Field { key_at: Some(key.at), ..field });
            }
        }
        self.add_environment(known, &mut fields);
        if let Some(known) = known {
            self.add_base(known, &mut fields);
        }
        Fields::new(fields, "", self.reading)
    }

    /// `{SERVICE_TYPE}_{FIELD}`, below the file.
    fn add_environment(self, known: Option<&'static [&'static str]>, fields: &mut Vec<Field<'s>>) {
        let settings = self.settings;
        let prefix =
            format!("{}_", settings.service_type.as_str().to_uppercase().replace('.', "_"));
        for (name, text) in settings.environment.iter() {
            let Some(rest) = name.strip_prefix(&prefix).filter(|rest| !rest.is_empty()) else {
                continue;
            };
            let key = match known {
                // a type that takes any key: names are lower case, as in Python
                None => {
                    let present = fields.iter().find(|field| variable_of(&field.key) == rest);
                    present.is_none().then(|| Cow::Owned(rest.to_lowercase()))
                }
                Some(known) => {
                    let key = known.iter().copied().find(|field| variable_of(field) == rest);
                    if key.is_none()
                        && let Some(near) = nearest(rest, known.iter().copied())
                    {
                        // without a near name it may well be somebody else's variable
                        let message = format!("the variable `{name}` sets no field");
                        let hint = format!("did you mean `{prefix}{}`?", variable_of(near));
                        self.reading.warn(Problem::warning(None, message).hint(hint));
                    }
                    key.map(Cow::Borrowed)
                }
            };
            if let Some(key) = key
                && fields.iter().all(|field| field.key != key)
            {
                fields.push(field(key, Input::Text(text), Origin::Environment(name.to_owned())));
            }
        }
    }

    /// What is the launcher's, for a type that has a field of that name.
    fn add_base(self, known: &'static [&'static str], fields: &mut Vec<Field<'s>>) {
        let settings = self.settings;
        let mut add = |name: &'s str, input, origin| {
            if known.contains(&name) && fields.iter().all(|field| field.key != name) {
                fields.push(field(name, input, origin));
            }
        };
        add("type", Input::Text(settings.service_type.as_str()), Origin::Given);
        add("variant", Input::Text(settings.variant.as_str()), Origin::Given);
        for (key, node) in settings.base.iter() {
            add(&key.text, Input::Node(node), Origin::File(node.at));
        }
    }
}

fn field<'s>(key: impl Into<Cow<'s, str>>, input: Input<'s>, origin: Origin) -> Field<'s> {
    let key = key.into();
    Field { path: key.clone().into_owned(), key, input, origin, key_at: None }
}

/// The end of the variable's name for a field.
fn variable_of(field: &str) -> String {
    field.to_uppercase().replace(['.', '-'], "_")
}

impl<'de> Deserializer<'de> for Top<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_map(self.fields(None))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_map(self.fields(Some(fields)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(Some(variants)).into_deserializer().deserialize_enum(name, variants, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    /// A service without settings: whatever the file has is unknown to it.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.fields(Some(&[]));
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        seq tuple tuple_struct map identifier ignored_any
    }
}
