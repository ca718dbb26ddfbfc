//! A service's settings, turned into the service's own type.
//!
//! Precedence: command line, then the file (its top-level keys too), then
//! `{SERVICE_TYPE}_{FIELD}` from the environment, then the type's defaults. Serde names the fields
//! of the type when it reads a struct; variables of the environment and unknown keys are found by
//! these names. A type that takes any key (a map,
//! `#[serde(flatten)]`) gets all of them, without warnings.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::{DeserializeOwned, Visitor};

use super::decode::{self, DecodeError, Dialect, Field, Fields, Input, Origin, Reading};
use super::environment::Environment;
use super::launch::RESTART_KEYS;
use super::nearest::nearest;
use super::problem::{ConfigErrors, Place, Problem, Report, Source};
use super::value::{Mapping, Node, Value};
use crate::id::{ServiceId, ServiceType, Variant};

/// Keys of an entry that are not the service's, unless its type has such a field.
const BASE: [&str; 6] = ["type", "variant", "instance_context", "module", "launch", "log_level"];

/// Where settings come from.
pub(super) struct Parts<'a> {
    pub(super) source: Arc<Source>,
    pub(super) environment: Arc<Environment>,
    /// The file's top-level keys.
    pub(super) shared: &'a Mapping,
    /// The file's `nats` section.
    pub(super) nats: Option<&'a Node>,
    /// The entry.
    pub(super) own: &'a Mapping,
    /// The entry's place.
    pub(super) at: Option<Place>,
}

/// What is known of one service's settings before its type is.
#[derive(Clone)]
pub struct ServiceSettings {
    source: Arc<Source>,
    environment: Arc<Environment>,
    service_type: ServiceType,
    variant: Variant,
    /// The entry over the top-level keys.
    merged: Mapping,
    /// The entry's keys.
    own: Vec<String>,
    /// For those who ask for it by name.
    base: Mapping,
    at: Option<Place>,
}

impl fmt::Debug for ServiceSettings {
    /// Whose, and nothing of what may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServiceSettings").field(&self.id()).finish()
    }
}

impl ServiceSettings {
    pub(super) fn new(parts: Parts<'_>, service_type: ServiceType, variant: Variant) -> Self {
        let Parts { source, environment, shared, nats, own, at } = parts;
        let not_settings: Vec<&str> = BASE.into_iter().chain(RESTART_KEYS).collect();
        let own_settings = own.without(&not_settings);
        let mut base = Mapping::default();
        for (key, node) in shared.overlaid(own).iter() {
            if not_settings.contains(&key.text.as_str()) {
                base.insert(key.clone(), node.clone());
            }
        }
        if let (Some(nats), Some(at)) = (nats, at) {
            let key = super::Key { text: "nats".to_owned(), at, is_text: true };
            base.insert(key, nats.clone());
        }
        Self {
            source,
            environment,
            service_type,
            variant,
            merged: shared.without(&not_settings).overlaid(&own_settings),
            own: own_settings.iter().map(|(key, _)| key.text.clone()).collect(),
            base,
            at,
        }
    }

    /// Settings without a file: from the environment alone.
    pub fn without_file(
        service_type: ServiceType,
        variant: Variant,
        environment: &Environment,
    ) -> Self {
        let parts = Parts {
            source: Report::empty("no configuration").source,
            environment: Arc::new(environment.clone()),
            shared: &Mapping::default(),
            nats: None,
            own: &Mapping::default(),
            at: None,
        };
        Self::new(parts, service_type, variant)
    }

    /// Where the file has a key, by the path to it (`escalate`, `critical`); the nearest above it,
    /// where it does not have the whole path.
    pub fn place(&self, path: &[&str]) -> Option<Place> {
        let (mut at, mut mapping) = (self.at, &self.merged);
        for key in path {
            let Some(found) = mapping.get_key(key) else { break };
            at = Some(found.at);
            match mapping.get(key).map(|node| &node.value) {
                Some(Value::Map(inner)) => mapping = inner,
                _ => break,
            }
        }
        at
    }

    /// Whose settings they are.
    pub fn id(&self) -> ServiceId {
        ServiceId::new(&self.service_type, &self.variant)
    }

    /// Reads them as `T`. Warnings name keys that `T` does not know. Errors are given all at once:
    /// what is wrong or missing in a field, in the items of a list, at any depth. What only comes
    /// to light once those are right (a rule of the type itself about several fields) is not.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<(T, Report), ConfigErrors> {
        let read = |reading: &Reading<'_>| T::deserialize(Top { settings: self, reading });
        let decoded = decode::decode(Dialect::Settings, self.at, read);
        let report = Report::new(Arc::clone(&self.source), decoded.problems);
        match decoded.value {
            Some(value) if !report.has_errors() => Ok((value, report)),
            Some(_) | None => Err(ConfigErrors::new(report)),
        }
    }
}

/// Whether settings fit `T`: what [`check()`](super::check()) calls for a service type of this
/// binary.
pub fn check_settings<T: DeserializeOwned>(
    settings: &ServiceSettings,
) -> Result<Report, ConfigErrors> {
    settings.deserialize::<T>().map(|(_, warnings)| warnings)
}

/// The whole of a service's settings.
#[derive(Clone, Copy)]
struct Top<'s> {
    settings: &'s ServiceSettings,
    reading: &'s Reading<'s>,
}

impl<'s> Top<'s> {
    /// Every source's fields, each name once. `known` are those of the type, if it says.
    fn fields(self, known: Option<&'static [&'static str]>) -> Fields<'s> {
        let settings = self.settings;
        let wants = |name: &str| known.is_none_or(|known| known.contains(&name));
        let mut fields: Vec<Field<'s>> = Vec::new();
        for (key, node) in settings.merged.iter() {
            let name = key.text.as_str();
            let is_own = settings.own.iter().any(|own| own == name);
            if let Some(known) = known
                && is_own
            {
                self.reading.warn_unknown("", name, key.at, known);
            }
            // a top-level key may be meant for another service: it is not a mistake in this one
            if (is_own || wants(name)) && fields.iter().all(|field| field.key != name) {
                let mut field = Field::new(name, Input::Node(node), Origin::File(node.at));
                field.key_at = Some(key.at);
                fields.push(field);
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
                fields.push(Field::new(
                    key,
                    Input::Text(text),
                    Origin::Environment(name.to_owned()),
                ));
            }
        }
    }

    /// What is the launcher's, for a type that has a field of that name.
    fn add_base(self, known: &'static [&'static str], fields: &mut Vec<Field<'s>>) {
        let settings = self.settings;
        let mut add = |name: &'s str, input, origin| {
            if known.contains(&name) && fields.iter().all(|field| field.key != name) {
                fields.push(Field::new(name, input, origin));
            }
        };
        add("type", Input::Text(settings.service_type.as_str()), Origin::Given);
        add("variant", Input::Text(settings.variant.as_str()), Origin::Given);
        for (key, node) in settings.base.iter() {
            add(&key.text, Input::Node(node), Origin::File(node.at));
        }
    }
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
