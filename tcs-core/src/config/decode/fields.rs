//! The fields of a mapping, or of what stands for one, for serde: each with its path and the place
//! where it was given.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, Visitor};

use super::error::{DecodeError, Origin, joined};
use super::placeholder::Placeholder;
use super::reader::ValueReader;
use super::reading::Reading;
use super::recovery::Recovery;
use crate::config::problem::Place;
use crate::config::value::{Key, Mapping, Node};

/// What a field is read from.
#[derive(Clone, Copy)]
pub(in crate::config) enum Input<'s> {
    /// The file.
    Node(&'s Node),
    /// A text that becomes what the field's type is.
    Text(&'s str),
}

/// One field.
pub(in crate::config) struct Field<'s> {
    pub(in crate::config) key: Cow<'s, str>,
    input: Input<'s>,
    origin: Origin,
    path: String,
    /// Of the key, in the file.
    pub(in crate::config) key_at: Option<Place>,
}

impl<'s> Field<'s> {
    /// At the top.
    pub(in crate::config) fn new(
        key: impl Into<Cow<'s, str>>,
        input: Input<'s>,
        origin: Origin,
    ) -> Self {
        let key = key.into();
        Self { path: key.clone().into_owned(), key, input, origin, key_at: None }
    }
}

/// Fields in the order in which they are read.
pub(in crate::config) struct Fields<'s> {
    rest: std::vec::IntoIter<Field<'s>>,
    next: Option<Field<'s>>,
    reading: &'s Reading<'s>,
}

impl<'s> Fields<'s> {
    /// Of what lies below `path`.
    pub(in crate::config) fn new(
        mut fields: Vec<Field<'s>>,
        path: &str,
        reading: &'s Reading<'s>,
    ) -> Self {
        fields.extend(reading.recovery.missing_below(path).map(|name| Field {
            path: joined(path, name),
            ..Field::new(name, Input::Text(""), Origin::Given)
        }));
        fields.retain(|field| reading.recovery.at(&field.path) != Some(Recovery::Omit));
        Self { rest: fields.into_iter(), next: None, reading }
    }

    /// Of a mapping in the file; `known` are the fields of the struct that reads it.
    pub(in crate::config) fn of_mapping(
        mapping: &'s Mapping,
        path: &str,
        known: Option<&'static [&'static str]>,
        reading: &'s Reading<'s>,
    ) -> Self {
        let is_known = |key: &Key| known.is_some_and(|known| known.contains(&key.text.as_str()));
        let is_absent = |key, node| is_known(key) && reading.dialect.is_absent(node);
        let present = mapping.iter().filter(|(key, node)| !is_absent(key, node));
        let fields = present.map(|(key, node)| Field {
            key: Cow::Borrowed(&key.text),
            input: Input::Node(node),
            origin: Origin::File(node.at),
            path: joined(path, &key.text),
            key_at: Some(key.at),
        });
        let fields = fields.collect();
        if let Some(known) = known {
            for (key, _) in mapping.iter() {
                reading.warn_unknown(path, &key.text, key.at, known);
            }
        }
        Self::new(fields, path, reading)
    }

    /// For enums and other types that take one key, or any.
    pub(in crate::config) fn into_deserializer(self) -> MapAccessDeserializer<Self> {
        MapAccessDeserializer::new(self)
    }
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
