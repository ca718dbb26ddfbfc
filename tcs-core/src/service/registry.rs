//! Which service types this program has: each registers itself at link time, with
//! `#[service]`.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::{DeserializeOwned, IgnoredAny};

use super::context::Context;
use super::kinds::{Kind, Made, Service};
use super::outcome::{Cause, Failure};
use crate::config::{ConfigErrors, Report, ServiceSettings};
use crate::id::{IdError, ServiceType};

/// One service type of this program.
#[derive(Debug)]
pub struct Registration {
    /// The name given to `#[service]`, if any.
    name: Option<&'static str>,
    /// Where it is, with the crate: `my_services::instruments::guider`.
    module: &'static str,
    /// `file:line`
    place: &'static str,
    kind: &'static str,
    check: fn(&ServiceSettings) -> Result<Report, ConfigErrors>,
    make: fn(&ServiceSettings, Context) -> Result<Made, Failure>,
}

impl Registration {
    #[doc(hidden)]
    pub const fn new<M, S: Kind<M> + 'static>(
        name: Option<&'static str>,
        module: &'static str,
        place: &'static str,
    ) -> Self {
        Self { name, module, place, kind: S::WORD, check: check::<S>, make: make::<M, S> }
    }

    /// The type, as given or as the module is named, from below `services` or the crate's root on:
    /// `my_crate::services::examples::minimal` is `examples.minimal`, `my_crate::guider` is
    /// `guider`. A program of one file is named as the file.
    ///
    /// # Errors
    /// A name that NATS cannot carry.
    pub fn service_type(&self) -> Result<ServiceType, IdError> {
        self.name.map_or_else(|| type_of_module(self.module), str::to_owned).parse()
    }

    /// `blocking`, `one-shot` or `permanent`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    fn is_sample(&self) -> bool {
        self.module.starts_with("tcs_samples::")
    }

    /// Where it is registered, `file:line`.
    pub fn place(&self) -> &'static str {
        self.place
    }

    /// Whether settings fit it: for [`KnownType`](crate::config::KnownType).
    pub fn check(&self) -> fn(&ServiceSettings) -> Result<Report, ConfigErrors> {
        self.check
    }

    /// Makes the service from its settings.
    pub(crate) fn make(&self, settings: &ServiceSettings, ctx: Context) -> Result<Made, Failure> {
        (self.make)(settings, ctx)
    }
}

fn read<T: DeserializeOwned + 'static>(
    settings: &ServiceSettings,
) -> Result<(T, Report), ConfigErrors> {
    if TypeId::of::<T>() == TypeId::of::<()>() {
        // a service without settings accepts any, and ignores them
        let (_, report) = settings.deserialize::<IgnoredAny>()?;
        let unit =
            T::deserialize(serde::de::value::UnitDeserializer::<serde::de::value::Error>::new());
        if let Ok(unit) = unit {
            return Ok((unit, report));
        }
    }
    settings.deserialize()
}

fn check<S: Service>(settings: &ServiceSettings) -> Result<Report, ConfigErrors> {
    Ok(read::<S::Config>(settings)?.1)
}

fn make<M, S: Kind<M>>(settings: &ServiceSettings, ctx: Context) -> Result<Made, Failure> {
    let config = read_config::<S::Config>(settings)?;
    Ok(create(ctx, config, S::create, S::running)?.1)
}

/// The settings; what only is a warning is logged.
pub(crate) fn read_config<T: DeserializeOwned + 'static>(
    settings: &ServiceSettings,
) -> Result<T, Failure> {
    let (config, warnings) = read::<T>(settings).map_err(|errors| Failure {
        text: errors.to_string(),
        exit_code: 1,
        cause: Cause::Error,
    })?;
    if !warnings.is_empty() {
        tracing::warn!("{warnings}");
    }
    Ok(config)
}

/// Makes a service with these settings.
pub(crate) fn create<S: Service>(
    ctx: Context,
    config: S::Config,
    create: impl FnOnce(&Context<S>) -> anyhow::Result<S>,
    running: fn(Arc<S>, Context<S>) -> Made,
) -> Result<(Arc<S>, Made), Failure> {
    let ctx = Context::of(ctx, config);
    let service = Arc::new(create(&ctx).map_err(|error| Failure::from(&error))?);
    ctx.serves(&service);
    Ok((Arc::clone(&service), running(service, ctx)))
}

/// The name of a module below `services`, or below its crate.
fn type_of_module(module: &str) -> String {
    let mut parts: Vec<_> =
        module.split("::").map(|part| part.strip_prefix("r#").unwrap_or(part)).collect();
    if parts.len() > 1 {
        parts.remove(0); // the crate
    }
    if let Some(at) = parts.iter().rposition(|part| *part == "services")
        && at + 1 < parts.len()
    {
        parts.drain(..=at);
    }
    parts.join(".")
}

/// Whether neither module nor file says what the service is called: at the root of a crate in
/// `main.rs` or `lib.rs`.
#[doc(hidden)]
pub const fn is_nameless(module: &str, file: &str) -> bool {
    !has_parts(module) && (ends_with(file, "main.rs") || ends_with(file, "lib.rs"))
}

const fn has_parts(module: &str) -> bool {
    let module = module.as_bytes();
    let mut i = 0;
    while i < module.len() {
        if module[i] == b':' {
            return true;
        }
        i += 1;
    }
    false
}

const fn ends_with(file: &str, name: &str) -> bool {
    let (file, name) = (file.as_bytes(), name.as_bytes());
    if file.len() < name.len() {
        return false;
    }
    let start = file.len() - name.len();
    let mut i = 0;
    while i < name.len() {
        if file[start + i] != name[i] {
            return false;
        }
        i += 1;
    }
    start == 0 || matches!(file[start - 1], b'/' | b'\\')
}

/// What the linker collects.
#[doc(hidden)]
#[derive(Debug)]
pub struct Submitted(pub &'static Registration);

inventory::collect!(Submitted);

/// All service types of this program.
#[derive(Debug, Default)]
pub struct Registry {
    types: BTreeMap<ServiceType, &'static Registration>,
}

/// What is wrong with the service types of this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Two service types have the same name.
    #[error(
        "two services are named `{service_type}`: {one} and {other}\n\
         hint: give one of them another name: #[service(\"another_name\")]"
    )]
    Twice {
        /// The name.
        service_type: ServiceType,
        /// Where the one is registered.
        one: String,
        /// Where the other is.
        other: String,
    },
    /// A name that NATS cannot carry.
    #[error("{place}: {source}\nhint: give it a name: #[service(\"a_name\")]")]
    Name {
        /// Where it is registered.
        place: String,
        /// What is wrong.
        source: IdError,
    },
    /// No service type has that name.
    #[error(
        "no service type `{service_type}` in this program{}\n\
         hint: `#[service]` before its `impl` registers it, and the program must name its crate: \
         `use that_crate as _;`",
        if nearest.is_empty() { String::new() } else { format!("; there is {nearest}") }
    )]
    Unknown {
        /// The name looked for.
        service_type: String,
        /// The most similar names, in words; empty if there are none at all.
        nearest: String,
    },
}

impl Registry {
    /// Collects the service types of this program.
    ///
    /// # Errors
    /// Two services of one type name, or a name that is none.
    pub fn of_this_program() -> Result<Self, RegistryError> {
        Self::collect(inventory::iter::<Submitted>.into_iter().map(|submitted| submitted.0))
    }

    fn collect(
        all: impl IntoIterator<Item = &'static Registration>,
    ) -> Result<Self, RegistryError> {
        let mut types = BTreeMap::new();
        for registration in all {
            let service_type = registration.service_type().map_err(|source| {
                RegistryError::Name { place: registration.place().to_owned(), source }
            })?;
            let other: Option<&Registration> = types.insert(service_type.clone(), registration);
            if let Some(sample) =
                other.filter(|other| other.is_sample() || registration.is_sample())
            {
                // an author's own service counts, not our sample of that name
                let own = if sample.is_sample() { registration } else { sample };
                types.insert(service_type, own);
            } else if let Some(other) = other {
                let mut places = [registration.place().to_owned(), other.place().to_owned()];
                places.sort(); // the linker's order is arbitrary
                let [one, other] = places;
                return Err(RegistryError::Twice { service_type, one, other });
            }
        }
        Ok(Self { types })
    }

    /// The service type with this name.
    ///
    /// # Errors
    /// If there is no such type; the error says what to do.
    pub fn find(&self, service_type: &str) -> Result<&'static Registration, RegistryError> {
        let found = self.types.iter().find(|(name, _)| name.as_str() == service_type);
        found.map(|(_, registration)| *registration).ok_or_else(|| RegistryError::Unknown {
            service_type: service_type.escape_debug().to_string(),
            nearest: self.nearest(service_type),
        })
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ServiceType, &'static Registration)> {
        self.types.iter().map(|(name, registration)| (name, *registration))
    }

    fn nearest(&self, name: &str) -> String {
        let mut names: Vec<_> = self.types.keys().map(ServiceType::as_str).collect();
        names.sort_by_key(|known| distance(known, name));
        names.truncate(5);
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

/// How many letters have to be put in, left out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[derive(Default)]
    struct Import;
    #[service("unit.import")]
    impl OneShotService for Import {
        async fn execute(&self, _: &Context) -> Result<()> {
            Ok(())
        }
    }

    const fn at(
        module: &'static str,
        place: &'static str,
        name: Option<&'static str>,
    ) -> Registration {
        Registration::new::<_, Import>(name, module, place)
    }
    static ONE: Registration = at("a::data_import", "a/src/data_import.rs:7", None);
    static TWO: Registration =
        at("b::services::data_import", "b/src/services/data_import.rs:7", None);
    static SAMPLE: Registration = at("tcs_samples::data_import", "sample.rs:7", None);
    static NAMED: Registration = at("main", "src/main.rs:7", Some("my.import"));

    #[test]
    fn a_type_is_named_as_its_module() {
        for (module, name) in [
            ("tcsd::services::hello_world", "hello_world"),
            ("tcsd::services::examples::minimal", "examples.minimal"),
            ("services::src::services::guider", "guider"),
            ("services::guider", "guider"),
            ("my_project::instruments::camera", "instruments.camera"),
            ("my_project::r#type", "type"),
            ("standalone", "standalone"),
            ("my_project::services", "services"),
        ] {
            assert_eq!(type_of_module(module), name);
        }
        assert!(is_nameless("guider", "src/main.rs") && is_nameless("guider", "lib.rs"));
        assert!(!is_nameless("guider", "src/bin/guider.rs") && !is_nameless("a::b", "lib.rs"));
    }

    #[test]
    fn mistakes_are_told_with_what_to_do() {
        let text = Registry::collect([&ONE, &NAMED, &TWO]).unwrap_err().to_string();
        assert!(
            text.contains("`data_import`: a/src/data_import.rs:7 and b/src/services/"),
            "{text}"
        );
        for order in [[&ONE, &SAMPLE], [&SAMPLE, &ONE]] {
            let registry = Registry::collect(order).unwrap();
            assert_eq!(registry.find("data_import").unwrap().place(), "a/src/data_import.rs:7");
        }
        let registry = Registry::collect([&ONE, &NAMED]).unwrap();
        assert_eq!(registry.find("my.import").unwrap().place(), "src/main.rs:7");
        assert_eq!(registry.find("my.import").unwrap().kind(), "one-shot");
        let text = registry.find("dat_import").unwrap_err().to_string();
        assert!(text.contains("no service type `dat_import`"), "{text}");
        assert!(text.contains("there is `data_import`, `my.import`"), "{text}");
        assert!(text.contains("use that_crate as _;"), "{text}");
    }
}
