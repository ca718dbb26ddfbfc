//! Which service types this program has: each registers itself at link time, with
//! [`service!`](crate::service!).

use std::any::TypeId;
use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};

use super::kinds::{Kind, Made};
use super::outcome::{Cause, Failure};
use crate::config::{ConfigErrors, Report, ServiceSettings};
use crate::id::{IdError, ServiceType};

/// One service type of this program.
#[derive(Debug)]
pub struct Registration {
    /// As given, if it was.
    name: Option<&'static str>,
    file: &'static str,
    line: u32,
    kind: &'static str,
    check: fn(&ServiceSettings) -> Result<Report, ConfigErrors>,
    make: fn(&ServiceSettings) -> Result<Made, ConfigErrors>,
}

impl Registration {
    #[doc(hidden)]
    pub const fn new<M, S: Kind<M> + 'static>(
        name: Option<&'static str>,
        file: &'static str,
        line: u32,
    ) -> Self {
        Self { name, file, line, kind: S::WORD, check: check::<M, S>, make: make::<M, S> }
    }

    /// The type, as given or as the file is named: `services/examples/minimal.rs` is
    /// `examples.minimal`, any other `path/to/guider.rs` is `guider`.
    ///
    /// # Errors
    /// A file name that NATS cannot carry.
    pub fn service_type(&self) -> Result<ServiceType, IdError> {
        self.name.map_or_else(|| type_of_file(self.file), str::to_owned).parse()
    }

    /// `blocking`, `one-shot` or `permanent`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether it ends by itself when all goes well.
    pub fn is_one_shot(&self) -> bool {
        self.kind == "one-shot"
    }

    /// Where it is registered, `file:line`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// Whether settings fit it: for [`KnownType`](crate::config::KnownType).
    pub fn check(&self) -> fn(&ServiceSettings) -> Result<Report, ConfigErrors> {
        self.check
    }

    /// Makes the service from its settings.
    pub(crate) fn make(&self, settings: &ServiceSettings) -> Result<Made, Failure> {
        (self.make)(settings).map_err(|errors| Failure {
            text: errors.to_string(),
            exit_code: 1,
            cause: Cause::Error,
        })
    }
}

fn read<T: DeserializeOwned + 'static>(
    settings: &ServiceSettings,
) -> Result<(T, Report), ConfigErrors> {
    if TypeId::of::<T>() == TypeId::of::<()>() {
        // no settings: it takes any, and looks at none
        let (_, report) = settings.deserialize::<IgnoredAny>()?;
        let unit =
            T::deserialize(serde::de::value::UnitDeserializer::<serde::de::value::Error>::new());
        if let Ok(unit) = unit {
            return Ok((unit, report));
        }
    }
    settings.deserialize()
}

fn check<M, S: Kind<M>>(settings: &ServiceSettings) -> Result<Report, ConfigErrors> {
    Ok(read::<S::Config>(settings)?.1)
}

fn make<M, S: Kind<M>>(settings: &ServiceSettings) -> Result<Made, ConfigErrors> {
    let (config, warnings) = read::<S::Config>(settings)?;
    if !warnings.is_empty() {
        tracing::warn!("{warnings}");
    }
    Ok(S::make(config))
}

/// A type that is registered; [`service!`](crate::service!) implements it.
pub trait Service: 'static {
    /// How it was registered.
    fn registration() -> &'static Registration;
}

fn type_of_file(file: &str) -> String {
    let path = file.replace('\\', "/");
    let stem = path.strip_suffix(".rs").unwrap_or(&path);
    match stem.rsplit_once("/services/") {
        Some((_, below)) => below.replace('/', "."),
        None => stem.rsplit('/').next().unwrap_or(stem).to_owned(),
    }
}

/// Whether a file's name says nothing about the service in it.
#[doc(hidden)]
pub const fn is_nameless(file: &str) -> bool {
    ends_with(file, "main.rs") || ends_with(file, "lib.rs") || ends_with(file, "mod.rs")
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

/// Whether a service type was given that NATS can carry.
#[doc(hidden)]
pub const fn is_name(name: &str) -> bool {
    let name = name.as_bytes();
    let mut i = 0;
    let mut part = 0;
    while i < name.len() {
        match name[i] {
            b'.' if part == 0 => return false,
            b'.' => part = 0,
            b'*' | b'>' | 0..=b' ' | 0x7f => return false,
            _ => part += 1,
        }
        i += 1;
    }
    part > 0
}

/// Registers a service type of this program, under the name of its file:
///
/// ```ignore
/// tcs_core::service!(HelloWorld);                     // hello_world, in hello_world.rs
/// tcs_core::service!(HelloWorld, "examples.hello");   // under a name of its own
/// ```
///
/// The program must name the crate that holds it (`use my_services as _;`), or the linker leaves
/// it out.
#[macro_export]
macro_rules! service {
    ($service:ty) => {
        const _: () = assert!(
            !$crate::service::is_nameless(file!()),
            "a service in main.rs, lib.rs or mod.rs needs a name: service!(Type, \"its_name\")",
        );
        $crate::service!(@ $service, None);
    };
    ($service:ty, $name:literal) => {
        const _: () = assert!(
            $crate::service::is_name($name),
            "a service type is names joined by single dots, without blanks, `*` and `>`",
        );
        $crate::service!(@ $service, Some($name));
    };
    (@ $service:ty, $name:expr) => {
        const _: () = {
            static REGISTRATION: $crate::service::Registration =
                $crate::service::Registration::new::<_, $service>($name, file!(), line!());
            $crate::service::submit!($crate::service::Submitted(&REGISTRATION));
            impl $crate::service::Service for $service {
                fn registration() -> &'static $crate::service::Registration {
                    &REGISTRATION
                }
            }
        };
    };
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
pub enum RegistryError {
    /// Two of one name.
    #[error(
        "two services are named `{service_type}`: {one} and {other}\n\
         hint: give one of them another name: service!(Type, \"another_name\")"
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
    #[error("{place}: {source}\nhint: give it a name: service!(Type, \"a_name\")")]
    Name {
        /// Where it is registered.
        place: String,
        /// What is wrong.
        source: IdError,
    },
    /// None of that name.
    #[error(
        "no service type `{service_type}` in this program{}\n\
         hint: its file needs `tcs_core::service!(Type);`, and the program must name its crate: \
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
    /// Collects them.
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
            let service_type = registration
                .service_type()
                .map_err(|source| RegistryError::Name { place: registration.place(), source })?;
            let other: Option<&Registration> = types.insert(service_type.clone(), registration);
            if let Some(other) = other {
                let mut places = [registration.place(), other.place()];
                places.sort(); // the linker's order is nobody's
                let [one, other] = places;
                return Err(RegistryError::Twice { service_type, one, other });
            }
        }
        Ok(Self { types })
    }

    /// The one of this name.
    ///
    /// # Errors
    /// There is none; the error tells what to do.
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
    use crate::service::{OneShotService, ServiceContext};

    struct Import;
    impl OneShotService for Import {
        type Config = ();
        fn new((): ()) -> Self {
            Self
        }
        async fn execute(&self, _: &ServiceContext) -> anyhow::Result<()> {
            Ok(())
        }
    }

    const fn at(file: &'static str, name: Option<&'static str>) -> Registration {
        Registration::new::<_, Import>(name, file, 7)
    }
    static ONE: Registration = at("a/src/data_import.rs", None);
    static TWO: Registration = at("b/src/services/data_import.rs", None);
    static NAMED: Registration = at("src/main.rs", Some("my.import"));

    #[test]
    fn a_type_is_named_as_its_file() {
        for (file, name) in [
            ("tcs-launcher/src/services/hello_world.rs", "hello_world"),
            ("tcs-launcher/src/services/examples/minimal.rs", "examples.minimal"),
            ("my_project/src/telescope_control.rs", "telescope_control"),
            ("c:\\x\\services\\examples\\minimal.rs", "examples.minimal"),
            ("guider.rs", "guider"),
        ] {
            assert_eq!(type_of_file(file), name);
        }
        assert!(is_nameless("src/main.rs") && is_nameless("lib.rs") && !is_nameless("xlib.rs"));
        assert!(is_name("examples.minimal") && is_name("ä"));
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a.*", "a>"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn mistakes_are_told_with_what_to_do() {
        let text = Registry::collect([&ONE, &NAMED, &TWO]).unwrap_err().to_string();
        assert!(
            text.contains("`data_import`: a/src/data_import.rs:7 and b/src/services/"),
            "{text}"
        );
        let registry = Registry::collect([&ONE, &NAMED]).unwrap();
        assert_eq!(registry.find("my.import").unwrap().place(), "src/main.rs:7");
        assert_eq!(registry.find("my.import").unwrap().kind(), "one-shot");
        let text = registry.find("dat_import").unwrap_err().to_string();
        assert!(text.contains("no service type `dat_import`"), "{text}");
        assert!(text.contains("there is `data_import`, `my.import`"), "{text}");
        assert!(text.contains("use that_crate as _;"), "{text}");
    }
}
