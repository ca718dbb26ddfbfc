//! A service's settings, turned into the service's own type.
//!
//! Precedence: command line, then the file (its top-level keys too), then
//! `{SERVICE_TYPE}_{FIELD}` from the environment, then the type's defaults. Which fields the type
//! has, serde says when it is asked to read a struct; that is how the environment's variables are
//! found, and how unknown keys are told from known ones. A type that takes any key (a map,
//! `#[serde(flatten)]`) gets all of them, without warnings.

mod error;
mod fields;
mod node;
mod placeholder;
mod recovery;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::environment::Environment;
use super::problem::{ConfigErrors, Place, Problem, Report, Source};
use super::restart;
use super::value::{Mapping, Node};
use crate::id::{ServiceId, ServiceType, Variant};
use error::DecodeError;
use fields::Top;
use recovery::Recoveries;

/// More mistakes than anybody reads at once.
const MAX_MISTAKES: usize = 50;

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
    command_line: Vec<(String, String)>,
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
        let not_settings: Vec<&str> = BASE.into_iter().chain(restart::KEYS).collect();
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
            command_line: Vec::new(),
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

    /// Fields given on the command line, as text; they win over everything.
    #[must_use]
    pub fn with_command_line(mut self, fields: impl IntoIterator<Item = (String, String)>) -> Self {
        self.command_line.extend(fields);
        self
    }

    /// Whose settings they are.
    pub fn id(&self) -> ServiceId {
        ServiceId::new(&self.service_type, &self.variant)
    }

    /// Reads them as `T`. Warnings name keys that `T` does not know. Errors are given all at once:
    /// what is wrong or missing in a field, in the items of a list, at any depth. What only comes
    /// to light once those are right (a rule of the type itself about several fields) is not.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<(T, Report), ConfigErrors> {
        let mut recovery = Recoveries::default();
        let mut warnings: Vec<Problem> = Vec::new();
        let mut mistakes: Vec<DecodeError> = Vec::new();
        loop {
            let reading = Reading { recovery: &recovery, warnings: RefCell::default() };
            let result = T::deserialize(Top { settings: self, reading: &reading });
            for warning in reading.warnings.into_inner() {
                // what is outside the file is told at the entry that it concerns
                let warning = Problem { at: warning.at.or(self.at), ..warning };
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
            let mistake = match result {
                Ok(value) if mistakes.is_empty() => return Ok((value, self.report(warnings))),
                Ok(_) => break, // made of stand-ins
                Err(mistake) => mistake,
            };
            let finding = recovery.take(&mistake);
            if finding.is_news {
                mistakes.push(mistake);
            }
            if !finding.goes_on || mistakes.len() == MAX_MISTAKES {
                break;
            }
        }
        // a type that refuses unknown keys makes an error of the warning
        let refused = |at| {
            let keys = mistakes.iter().filter(|mistake| mistake.is_key);
            keys.filter_map(DecodeError::place).any(|place| Some(place) == at)
        };
        warnings.retain(|warning| !refused(warning.at));
        let errors = mistakes.into_iter().map(|mistake| mistake.into_problem(self.at));
        Err(ConfigErrors::new(self.report(errors.chain(warnings).collect())))
    }

    fn report(&self, problems: Vec<Problem>) -> Report {
        Report::new(Arc::clone(&self.source), problems)
    }
}

/// What one pass of serde is told, and what it finds.
struct Reading<'c> {
    recovery: &'c Recoveries,
    warnings: RefCell<Vec<Problem>>,
}

impl Reading<'_> {
    fn warn(&self, problem: Problem) {
        self.warnings.borrow_mut().push(problem);
    }
}

/// Whether settings fit `T`: what [`check()`](super::check()) calls for a service type of this
/// binary.
pub fn check_settings<T: DeserializeOwned>(
    settings: &ServiceSettings,
) -> Result<Report, ConfigErrors> {
    settings.deserialize::<T>().map(|(_, warnings)| warnings)
}
