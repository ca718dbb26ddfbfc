//! What parameters a command takes, from the type that they are read into: serde's `Deserialize`
//! is asked to read, and what it asks for is noted. Fields, their kinds, and which may be left out;
//! no documentation, and of an enum with data the names alone.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::{Map, Value, json};

/// Levels that are looked into: a type may contain itself.
const MAX_DEPTH: usize = 6;

/// The form of a value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema(Shape);

#[derive(Debug, Clone, Default, PartialEq)]
enum Shape {
    /// Anything, or not known.
    #[default]
    Any,
    Null,
    Bool,
    Integer,
    Number,
    Text,
    List(Box<Shape>),
    /// Any keys.
    Map(Box<Shape>),
    Choice(Vec<&'static str>),
    Object(Vec<FieldShape>),
}

#[derive(Debug, Clone, PartialEq)]
struct FieldShape {
    name: &'static str,
    shape: Shape,
    optional: bool,
}

/// The form of what `T` is read from.
pub(super) fn of<T: DeserializeOwned>() -> Schema {
    let noted = RefCell::default();
    T::deserialize(Probe { noted: &noted, depth: 0, without: None }).ok();
    let mut shape = noted.into_inner();
    if let Shape::Object(fields) = &mut shape {
        for field in fields {
            let ignored = RefCell::default();
            let probe = Probe { noted: &ignored, depth: 0, without: Some(field.name) };
            let read = T::deserialize(probe);
            field.optional = !matches!(read, Err(Refused::Missing));
        }
    }
    Schema(shape)
}

impl Schema {
    /// Of a command without parameters.
    pub(super) fn nothing() -> Self {
        Self(Shape::Object(Vec::new()))
    }

    /// As JSON Schema.
    pub fn to_json(&self) -> Value {
        self.0.to_json()
    }
}

impl Shape {
    fn to_json(&self) -> Value {
        match self {
            Self::Any => json!({}),
            Self::Null => json!({"type": "null"}),
            Self::Bool => json!({"type": "boolean"}),
            Self::Integer => json!({"type": "integer"}),
            Self::Number => json!({"type": "number"}),
            Self::Text => json!({"type": "string"}),
            Self::List(item) => json!({"type": "array", "items": item.to_json()}),
            Self::Map(item) => json!({"type": "object", "additionalProperties": item.to_json()}),
            Self::Choice(names) => json!({"enum": names}),
            Self::Object(fields) => {
                let properties: Map<_, _> =
                    fields.iter().map(|it| (it.name.to_owned(), it.shape.to_json())).collect();
                let required: Vec<_> =
                    fields.iter().filter(|it| !it.optional).map(|it| it.name).collect();
                json!({"type": "object", "properties": properties, "required": required})
            }
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// For people: `{count: integer, to?: string}`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("true or false"),
            Self::Integer => f.write_str("integer"),
            Self::Number => f.write_str("number"),
            Self::Text => f.write_str("string"),
            Self::List(item) => write!(f, "[{item}]"),
            Self::Map(item) => write!(f, "{{any: {item}}}"),
            Self::Choice(names) => f.write_str(&names.join("|")),
            Self::Object(fields) => {
                f.write_str("{")?;
                for (number, field) in fields.iter().enumerate() {
                    let comma = if number > 0 { ", " } else { "" };
                    let mark = if field.optional { "?" } else { "" };
                    write!(f, "{comma}{}{mark}: {}", field.name, field.shape)?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Why the value that was made up was refused.
#[derive(Debug, PartialEq)]
enum Refused {
    Missing,
    Other,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }

    fn missing_field(_: &'static str) -> Self {
        Self::Missing
    }
}

/// Notes what it is asked for, and makes up a value.
struct Probe<'n> {
    noted: &'n RefCell<Shape>,
    depth: usize,
    /// The field of the outermost struct that is left out.
    without: Option<&'static str>,
}

impl Probe<'_> {
    fn note(&self, shape: Shape) {
        *self.noted.borrow_mut() = shape;
    }

    /// A probe for a value inside this one.
    fn inside<'n>(&self, noted: &'n RefCell<Shape>) -> Result<Probe<'n>, Refused> {
        if self.depth == MAX_DEPTH {
            return Err(Refused::Other);
        }
        Ok(Probe { noted, depth: self.depth + 1, without: None })
    }
}

macro_rules! simple {
    ($($method:ident => $shape:expr, $visit:ident($($value:expr)?);)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.note($shape);
            visitor.$visit($($value)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Refused;

    simple! {
        deserialize_any => Shape::Any, visit_unit();
        deserialize_ignored_any => Shape::Any, visit_unit();
        deserialize_bool => Shape::Bool, visit_bool(false);
        deserialize_i8 => Shape::Integer, visit_i8(1);
        deserialize_i16 => Shape::Integer, visit_i16(1);
        deserialize_i32 => Shape::Integer, visit_i32(1);
        deserialize_i64 => Shape::Integer, visit_i64(1);
        deserialize_i128 => Shape::Integer, visit_i128(1);
        deserialize_u8 => Shape::Integer, visit_u8(1);
        deserialize_u16 => Shape::Integer, visit_u16(1);
        deserialize_u32 => Shape::Integer, visit_u32(1);
        deserialize_u64 => Shape::Integer, visit_u64(1);
        deserialize_u128 => Shape::Integer, visit_u128(1);
        deserialize_f32 => Shape::Number, visit_f32(1.0);
        deserialize_f64 => Shape::Number, visit_f64(1.0);
        deserialize_char => Shape::Text, visit_char('a');
        deserialize_str => Shape::Text, visit_str("a");
        deserialize_string => Shape::Text, visit_str("a");
        deserialize_identifier => Shape::Text, visit_str("a");
        deserialize_bytes => Shape::Text, visit_bytes(b"a");
        deserialize_byte_buf => Shape::Text, visit_bytes(b"a");
        deserialize_unit => Shape::Null, visit_unit();
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if self.depth == MAX_DEPTH { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_tuple(1, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let item = RefCell::default();
        let result = visitor.visit_seq(Items { of: &self, item: &item, left: len });
        self.note(Shape::List(Box::new(item.into_inner())));
        result
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let item = RefCell::default();
        let result = visitor.visit_map(Entries { of: &self, item: &item, names: &["key"], at: 0 });
        self.note(Shape::Map(Box::new(item.into_inner().into_value())));
        result
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let noted = RefCell::default();
        let result = visitor.visit_map(Entries { of: &self, item: &noted, names: fields, at: 0 });
        self.note(Shape::Object(noted.into_inner().fields));
        result
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note(Shape::Choice(variants.to_vec()));
        let first = variants.first().ok_or(Refused::Other)?;
        visitor.visit_enum(Variant { name: first, depth: self.depth })
    }
}

struct Items<'p, 'n> {
    of: &'p Probe<'n>,
    item: &'p RefCell<Shape>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.of.inside(self.item)?).map(Some)
    }
}

/// What was noted of a struct's fields, or of a map's one entry.
#[derive(Default)]
struct NotedFields {
    fields: Vec<FieldShape>,
}

impl NotedFields {
    fn into_value(self) -> Shape {
        self.fields.into_iter().next().map_or(Shape::Any, |it| it.shape)
    }
}

struct Entries<'p, 'n> {
    of: &'p Probe<'n>,
    item: &'p RefCell<NotedFields>,
    names: &'static [&'static str],
    at: usize,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        if self.names.get(self.at).is_some_and(|name| self.of.without == Some(name)) {
            self.at += 1;
        }
        match self.names.get(self.at) {
            Some(name) => seed.deserialize(StrDeserializer::new(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let Some(name) = self.names.get(self.at) else { return Err(Refused::Other) };
        self.at += 1;
        let noted = RefCell::default();
        let result = seed.deserialize(self.of.inside(&noted)?);
        let shape = noted.into_inner();
        self.item.borrow_mut().fields.push(FieldShape { name, shape, optional: false });
        result
    }
}

struct Variant {
    name: &'static str,
    depth: usize,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        Ok((seed.deserialize(StrDeserializer::new(self.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        let ignored = RefCell::default();
        let outer = Probe { noted: &ignored, depth: self.depth, without: None };
        seed.deserialize(outer.inside(&RefCell::default())?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        let ignored = RefCell::default();
        Probe { noted: &ignored, depth: self.depth + 1, without: None }
            .deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let ignored = RefCell::default();
        Probe { noted: &ignored, depth: self.depth + 1, without: None }
            .deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Slow,
        #[serde(rename = "quick")]
        _Fast,
    }

    #[derive(Deserialize)]
    struct Inner {
        _deep: Option<Box<Args>>,
    }

    #[derive(Deserialize)]
    struct Args {
        count: u8,
        #[serde(default)]
        gain: f32,
        to: Option<String>,
        #[serde(rename = "mode")]
        mode: Mode,
        many: Vec<[i32; 2]>,
        other: BTreeMap<String, bool>,
        any: Value,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[test]
    fn fields_kinds_and_what_may_be_left_out() {
        let text = of::<Args>().to_string();
        assert!(
            text.starts_with(
                "{count: integer, gain?: number, to?: string, mode: slow|quick, many: [[integer]], \
                 other: {any: true or false}, any: anything, inner?: [{_deep: "
            ),
            "{text}"
        );
        assert_eq!(of::<()>().to_string(), "null");
        assert_eq!(of::<u32>().to_json(), json!({"type": "integer"}));
        let schema = of::<Args>().to_json();
        assert_eq!(schema["required"], json!(["count", "mode", "many", "other", "any"]));
        assert_eq!(schema["properties"]["mode"], json!({"enum": ["slow", "quick"]}));
        let Args { count, gain, to, mode, many, other, any, inner } = serde_json::from_value(
            json!({"count": 1, "mode": "slow", "many": [], "other": {}, "any": null}),
        )
        .unwrap();
        assert!(matches!(mode, Mode::Slow) && any.is_null() && inner.is_empty());
        assert_eq!((count, gain, to, many.len(), other.len()), (1, 0.0, None, 0, 0));
    }
}
