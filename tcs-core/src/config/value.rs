//! A tree of values in which each knows where it stands.

use serde_json::Value as Json;

use super::problem::Place;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What.
    pub value: Value,
    /// Where.
    pub at: Place,
    /// As it was written, or as a variable gave it; for scalars that are not text.
    pub(super) raw: Option<String>,
    /// It is one `${VARIABLE}` and nothing else.
    pub(super) from_variable: bool,
}

/// What YAML can say, and files in the field do.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `~`, `null`, or nothing.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// Text. Dates are text too.
    Text(String),
    /// `- item` or `[item]`.
    List(Vec<Node>),
    /// `key: value` or `{key: value}`.
    Map(Mapping),
}

/// A key and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// As written.
    pub text: String,
    /// Where.
    pub at: Place,
    /// False where YAML takes it for something else, as in `1:` and `no:`.
    pub(super) is_text: bool,
}

/// Keys and values in the file's order; no key twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapping(Vec<(Key, Node)>);

impl Node {
    pub(super) fn new(value: Value, at: Place) -> Self {
        Self { value, at, raw: None, from_variable: false }
    }

    /// Of what was sent as JSON: in no place of a file.
    pub(super) fn of_json(value: Json) -> Self {
        let at = Place::new(1, 1, 1);
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(value),
            Json::Number(number) => match number.as_i128() {
                Some(number) => Value::Int(number),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Text(text),
            Json::Array(items) => Value::List(items.into_iter().map(Self::of_json).collect()),
            Json::Object(map) => {
                let pair = |(text, value)| (Key { text, at, is_text: true }, Self::of_json(value));
                Value::Map(Mapping(map.into_iter().map(pair).collect()))
            }
        };
        Self::new(value, at)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(super) fn is_scalar(&self) -> bool {
        !matches!(self.value, Value::List(_) | Value::Map(_))
    }

    /// A scalar's text: what was written for a number, too.
    pub(super) fn scalar_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Int(_) | Value::Float(_) => self.raw.as_deref(),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// How a message calls it.
    pub(super) fn kind(&self) -> String {
        let raw = self.raw.as_deref().unwrap_or_default();
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) if raw.is_empty() => format!("the boolean {value}"),
            Value::Bool(_) => format!("the boolean `{raw}`"),
            Value::Int(_) | Value::Float(_) if self.from_variable => "a number".to_owned(),
            Value::Int(_) | Value::Float(_) => format!("the number {raw}"),
            // a variable may hold a secret
            Value::Text(_) if self.from_variable => "text".to_owned(),
            Value::Text(text) if text.chars().count() > 40 => "text".to_owned(),
            Value::Text(text) => format!("the text {text:?}"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "keys and values".to_owned(),
        }
    }

    /// Mappings are merged deeply, everything else is replaced by what stands over it.
    pub(super) fn overlaid(&self, over: &Self) -> Self {
        match (&self.value, &over.value) {
            (Value::Map(under), Value::Map(upper)) => {
                Self::new(Value::Map(under.overlaid(upper)), over.at)
            }
            _ => over.clone(),
        }
    }
}

impl Mapping {
    /// The value of a key, null included.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|(k, _)| k.text == key).map(|(_, node)| node)
    }

    pub(super) fn get_key(&self, key: &str) -> Option<&Key> {
        self.0.iter().find(|(k, _)| k.text == key).map(|(k, _)| k)
    }

    /// In the file's order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Node)> {
        self.0.iter().map(|(key, node)| (key, node))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.0.iter_mut().map(|(_, node)| node)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Sets a key, at its old position if it was there; gives back the old key.
    pub(super) fn insert(&mut self, key: Key, node: Node) -> Option<Key> {
        if let Some(slot) = self.0.iter_mut().find(|(k, _)| k.text == key.text) {
            return Some(std::mem::replace(slot, (key, node)).0);
        }
        self.0.push((key, node));
        None
    }

    pub(super) fn without(&self, keys: &[&str]) -> Self {
        let kept = self.0.iter().filter(|(key, _)| !keys.contains(&key.text.as_str()));
        Self(kept.cloned().collect())
    }

    pub(super) fn overlaid(&self, over: &Self) -> Self {
        let mut merged = self.clone();
        for (key, node) in over.iter() {
            let node = merged.get(&key.text).map_or_else(|| node.clone(), |u| u.overlaid(node));
            merged.insert(key.clone(), node);
        }
        merged
    }
}
