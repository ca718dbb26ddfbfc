//! The configuration file: what runs, with which settings, and on which broker
//! (`docs/spec/configuration.md`). The Python project's files are read unchanged.
//!
//! In order: the `yaml` room turns bytes into a tree in which every value knows its line and
//! column, read as `PyYAML` reads it; `expand` replaces `${VARIABLES}` in it; `services`, `launch`,
//! `restart` and `nats` take their parts out of the tree; [`ServiceSettings`] hands what is left
//! to a service's own type. [`check()`] says what would run, and how.
//!
//! Nothing here stops at the first mistake: each step adds to one list of [`Problem`]s, which a
//! [`Report`] renders for people. The environment is an argument ([`Environment`]); only
//! [`Config::load`], [`Environment::with_dotenv`] and [`check()`] look at the disk.

mod check;
mod decode;
mod dotenv;
mod environment;
mod expand;
mod grammar;
mod launch;
mod line_pattern;
mod nats;
mod nearest;
mod numbers;
mod order;
mod problem;
mod schedule;
#[cfg(feature = "observer")]
mod schema;
mod secret_names;
mod secrets;
#[cfg(feature = "observer")]
mod serve;
mod services;
mod settings;
mod signal;
#[cfg(test)]
mod tests;
mod value;
mod values;
mod yaml;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

pub use check::{Check, How, KnownType, Planned, check, interpreter, missing_interpreter};
pub use environment::Environment;
pub use launch::{Launch, Limits, Log, Mode, Ready, START_TIMEOUT, STOP_TIMEOUT};
pub use line_pattern::LinePattern;
pub use nearest::nearest;
pub use order::{Awaited, Wait, waits};
pub use problem::{ConfigErrors, Place, Problem, Report, Severity, Source};
pub use schedule::{Overlap, Schedule};
#[cfg(feature = "observer")]
pub use schema::schema;
pub use secrets::Secrets;
#[cfg(feature = "observer")]
pub use serve::ServeSettings;
pub use services::{Entry, Module, ModuleOrigin};
pub use settings::{ServiceSettings, check_settings};
pub use signal::StopSignal;
pub use value::{Key, Mapping, Node, Value};
pub use values::Several;

use serde::de::DeserializeOwned;

use crate::bus::settings::NatsSection;
use crate::id::{ServiceType, Variant};
use problem::Problems;

/// Where a configuration is looked for when nobody names one.
pub const DEFAULT_PATH: &str = "config/services.yaml";

/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Top-level keys that are not settings of services.
const NOT_SETTINGS: [&str; 4] = ["services", "registry", "nats", "launch"];

/// A file's content, without errors.
#[derive(Clone)]
pub struct Config {
    /// How to reach the broker; `None`: the file does not say.
    pub nats: Option<NatsSection>,
    /// The services, in the file's order; no two of one id.
    pub services: Vec<Entry>,
    /// `services` is a list or a mapping, be it an empty one. Without it, a file may be cut off or
    /// not written yet.
    pub lists_services: bool,
    /// `launch` at the top of the file: for what has no entry, the launcher itself too.
    pub launch: Launch,
    /// What looks wrong and does not keep anything from running.
    pub warnings: Report,
    /// Variables that hold credentials for NATS: not for programs that do not ask for them.
    pub nats_variables: BTreeSet<String>,
    shared: Mapping,
    nats_node: Option<Node>,
    environment: Arc<Environment>,
}

impl fmt::Debug for Config {
    /// Without settings and environment, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("nats", &self.nats)
            .field("services", &self.services)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads a file. One that is missing is an error when it was asked for (`explicit`), and an
    /// empty configuration otherwise.
    pub fn load(
        path: &Path,
        explicit: bool,
        environment: &Environment,
    ) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        match read(path, explicit)? {
            Some(bytes) => Self::parse(&name, &bytes, environment),
            None => Ok(Self::empty(&name, environment)),
        }
    }

    /// Adds what a program that runs these services has found: warnings to [`Self::warnings`].
    pub fn add(&mut self, found: Vec<Problem>) -> Result<(), ConfigErrors> {
        self.warnings = self.warnings.clone().with(found);
        if self.warnings.has_errors() {
            return Err(ConfigErrors::new(self.warnings.clone()));
        }
        Ok(())
    }

    /// The `nats` section of a file alone, for programs that look at a fleet and run none of it:
    /// mistakes elsewhere in the file do not concern them.
    pub fn load_nats(
        path: &Path,
        explicit: bool,
        environment: &Environment,
    ) -> Result<Option<NatsSection>, ConfigErrors> {
        let Some(bytes) = read(path, explicit)? else { return Ok(None) };
        let (source, undecodable) = Source::decode(&path.display().to_string(), &bytes);
        let mut problems = Problems::default();
        if let Some(problem) = undecodable {
            problems.push(problem);
        }
        let root = yaml::parse(source.text(), &mut problems);
        let mut section = None;
        if let Some(Node { value: Value::Map(top), .. }) = &root
            && let Some(node) = top.get("nats")
        {
            let mut node = node.clone();
            expand::expand(&mut node, environment, &mut problems);
            section = nats::read(&node, &mut problems);
        }
        let report = problems.into_report(Arc::new(source));
        if report.has_errors() { Err(ConfigErrors::new(report)) } else { Ok(section) }
    }

    /// Reads the content of a file; `name` is what problems call it.
    pub fn parse(
        name: &str,
        bytes: &[u8],
        environment: &Environment,
    ) -> Result<Self, ConfigErrors> {
        let (source, undecodable) = Source::decode(name, bytes);
        let source = Arc::new(source);
        let mut problems = Problems::default();
        if let Some(problem) = undecodable {
            return Err(ConfigErrors::new(Report { source, problems: vec![problem] }));
        }
        let Some(mut root) = yaml::parse(source.text(), &mut problems) else {
            return Err(ConfigErrors::new(problems.into_report(source)));
        };
        let nats_variables = nats::credentials(Some(&root), environment);
        expand::expand(&mut root, environment, &mut problems);
        let config = Self::from_tree(root, &source, environment, &mut problems);
        let report = problems.into_report(source);
        if report.has_errors() {
            return Err(ConfigErrors::new(report));
        }
        Ok(Self { warnings: report, nats_variables, ..config })
    }

    /// What a missing file amounts to.
    fn empty(name: &str, environment: &Environment) -> Self {
        Self {
            nats: None,
            services: Vec::new(),
            lists_services: false,
            launch: Launch::default(),
            warnings: Report::empty(name),
            nats_variables: nats::credentials(None, environment),
            shared: Mapping::default(),
            nats_node: None,
            environment: Arc::new(environment.clone()),
        }
    }

    fn from_tree(
        root: Node,
        source: &Arc<Source>,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Self {
        let mut config = Self::empty(source.name(), environment);
        let top = match root.value {
            Value::Map(top) => top,
            Value::Null => {
                problems.push(Problem::warning(None, "the file is empty"));
                return config;
            }
            _ => {
                let found = root.kind();
                problems.push(
                    Problem::error(root.at, format!("expected keys and values, found {found}"))
                        .hint("the file starts with keys such as `nats:` and `services:`"),
                );
                return config;
            }
        };
        for (key, _) in
            top.iter().filter(|(key, _)| launch::RESTART_KEYS.contains(&key.text.as_str()))
        {
            problems.push(
                Problem::warning(
                    key.at,
                    format!("`{}` at the top of the file has no effect on the launcher", key.text),
                )
                .hint("write it in the service's entry"),
            );
        }
        for (key, _) in top.iter().filter(|(_, node)| !node.is_scalar()) {
            let near = nearest::nearest(&key.text, NOT_SETTINGS);
            if near.is_some_and(|near| near != key.text) {
                let message = format!("`{}` is passed to every service as a setting", key.text);
                problems.push(Problem::warning(key.at, message).suggest(near));
            }
        }
        config.nats = top.get("nats").and_then(|node| nats::read(node, problems));
        config.nats_node = top.get("nats").cloned();
        let services = top.get("services").map(|node| &node.value);
        config.lists_services = matches!(services, Some(Value::List(_) | Value::Map(_)));
        config.shared = top.without(&NOT_SETTINGS);
        (config.launch, config.services) = services::Reader {
            source,
            environment: &config.environment,
            nats: config.nats_node.as_ref(),
            shared: &config.shared,
            problems,
        }
        .read(&top);
        order::check(&config.services, problems);
        config
    }

    /// The secrets in the environment and in the `nats` section, which nobody is to be shown.
    pub fn secrets(&self, environment: &Environment) -> Secrets {
        let section = self.nats.iter().flat_map(NatsSection::secrets);
        Secrets::new(Secrets::of_environment(environment).chain(section))
    }

    /// The entry of this id.
    pub fn entry(&self, service_type: &ServiceType, variant: &Variant) -> Option<&Entry> {
        self.services
            .iter()
            .find(|entry| entry.service_type == *service_type && entry.variant == *variant)
    }

    /// The settings of a service that runs by itself: its entry's, or, where the file does not
    /// know it, the top-level keys alone (as in Python).
    pub fn settings_for(&self, service_type: &ServiceType, variant: &Variant) -> ServiceSettings {
        self.entry(service_type, variant).map_or_else(
            || {
                ServiceSettings::new(
                    settings::Parts {
                        source: Arc::clone(&self.warnings.source),
                        environment: Arc::clone(&self.environment),
                        shared: &self.shared,
                        nats: self.nats_node.as_ref(),
                        own: &Mapping::default(),
                        at: None,
                    },
                    service_type.clone(),
                    variant.clone(),
                )
            },
            |entry| entry.settings.clone(),
        )
    }
}

/// Reads the text of another YAML file as the launcher reads its own; `name` is what errors call it.
/// An empty one is `T`'s default.
pub fn read_yaml<T: DeserializeOwned + Default>(name: &str, text: &str) -> Result<T, ConfigErrors> {
    let (source, _) = Source::decode(name, text.as_bytes());
    let mut problems = Problems::default();
    let root = yaml::parse(source.text(), &mut problems).filter(|root| !root.is_null());
    let value = root.and_then(|root| decode::section(&root, "", false, &mut problems));
    let report = problems.into_report(Arc::new(source));
    if report.has_errors() { Err(ConfigErrors::new(report)) } else { Ok(value.unwrap_or_default()) }
}

/// Reads what was sent as JSON, with mistakes in the same words: each with the path of its value.
pub(crate) fn read_json<T: DeserializeOwned>(
    data: serde_json::Map<String, serde_json::Value>,
) -> Result<T, String> {
    let node = Node::of_json(serde_json::Value::Object(data));
    let (decoded, problems) = decode::json(&node);
    let told = problems.into_iter().filter(|problem| problem.severity == Severity::Error);
    let told: Vec<String> = told.map(|problem| problem.message).collect();
    match decoded {
        Some(value) if told.is_empty() => Ok(value),
        Some(_) | None => Err(told.join("; ")),
    }
}

/// The content of a file; `None`: it is missing, and was not asked for.
fn read(path: &Path, explicit: bool) -> Result<Option<Vec<u8>>, ConfigErrors> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MAX_BYTES => Err(ConfigErrors::whole_file(
            &name,
            format!("cannot read the file: longer than {} MiB", MAX_BYTES >> 20),
        )),
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound && !explicit => Ok(None),
        Err(error) => {
            Err(ConfigErrors::whole_file(&name, format!("cannot read the file: {error}")))
        }
    }
}
