//! From the configuration to what the supervisor and the runners take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tcs_core::config::{self, Config, Entry, Environment, How, KnownType, Mode, Ready};
use tcs_core::service::Registry;

use super::inbound::ReadyBy;
use crate::reload_text::duration;
use crate::runner::spawner::OWN_PROGRAM;
use crate::runner::{Launch, SERVICE};
use crate::schedules;
use tcs_supervisor::reload::{self, Planned};
use tcs_supervisor::{Readiness, Spec};

/// Imports a module and runs the `main` of the service it registers, which works for modules
/// without a `__main__` part too; without the framework, the module as a program
/// (`docs/spec/configuration.md#python-modules`).
const PYTHON: &str = "\
import importlib, runpy, sys
name, kind = sys.argv[1:3]
del sys.argv[1:3]
try:
    from ocabox_tcs.base_service import get_service_class
except ImportError:
    runpy.run_module(name, run_name='__main__', alter_sys=True)
else:
    module = importlib.import_module(name)
    own = [c for c in vars(module).values() if isinstance(c, type)
           and c.__module__ == name and callable(getattr(c, 'main', None))]
    (own[0] if len(own) == 1 else get_service_class(kind)).main()
";

/// A service, and all that is needed to run it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) planned: Planned<Fixed>,
    pub(super) how: How,
    pub(super) entry: Entry,
    /// When its schedule starts it next.
    pub(super) next_run: Option<DateTime<Utc>>,
}

impl Plan {
    /// What says that it is up.
    pub(super) fn ready_by(&self) -> ReadyBy {
        match (&self.how, &self.entry.launch.ready) {
            (_, Some(Ready::Heartbeat)) => ReadyBy::Heartbeat,
            (How::Python { .. }, None) => ReadyBy::Status,
            (How::Python { .. } | How::Rust(_) | How::Program(_) | How::BuiltIn(_), _) => {
                ReadyBy::Runner
            }
        }
    }

    /// When it is ready, where something else than its framework says so: `when its output matches
    /// /up/`.
    pub(super) fn ready_when(&self) -> Option<String> {
        let ready = self.entry.launch.ready.as_ref().filter(|it| **it != Ready::Started)?;
        let words = self.how.readiness(Some(ready));
        Some(words.strip_prefix("ready ").map_or(words.clone(), str::to_owned))
    }

    /// The same for its log, where something is waited for that its own framework does not tell.
    pub(super) fn readiness(&self) -> Option<String> {
        let launch = &self.entry.launch;
        let words = || self.how.readiness(launch.ready.as_ref());
        match (&self.how, &launch.ready) {
            (_, Some(Ready::Started))
            | (How::Program(_) | How::Rust(_) | How::BuiltIn(_), None) => None,
            (How::Python { .. }, None) => {
                let (words, limit) = (words(), duration(launch.start_timeout));
                Some(format!("{words}, or after {limit} without one (launch.ready: started)"))
            }
            (_, Some(_)) => Some(words()),
        }
    }
}

/// What is missing where a service that says neither `module` nor anything else is run as Python's
/// usual module: an author may have forgotten to link the crate of a Rust service.
pub(crate) fn not_linked(entry: &Entry, how: &How) -> Option<String> {
    let by_default = matches!(how, How::Python { .. }) && entry.module.is_none();
    let name = &entry.service_type;
    by_default.then(|| format!("no Rust service `{name}` in this program (is its crate linked?)"))
}

/// What a plan is made from.
pub(super) struct Site<'a> {
    pub(super) registry: &'a Registry,
    pub(super) environment: &'a Environment,
    /// Where Rust services run that do not say.
    pub(super) mode: Mode,
    /// From the stop signal to SIGKILL, for entries that do not say.
    pub(super) grace: Duration,
    /// Absolute.
    pub(super) config: &'a Path,
    /// The launcher's id, and its monitored name.
    pub(super) launcher: (&'a str, &'a str),
    /// Variables that hold credentials for NATS.
    pub(super) credentials: &'a BTreeSet<String>,
    /// `NATS_HOST` and `NATS_PORT`, where the file names none.
    pub(super) nats: Option<(String, String)>,
}

/// The Rust service types of this program.
pub(crate) fn known_types(registry: &Registry) -> Vec<KnownType<'_>> {
    let all = registry.iter();
    all.map(|(name, it)| KnownType { name: name.as_str(), settings: it.check() }).collect()
}

impl Site<'_> {
    pub(super) fn plan(&self, config: &Config) -> Vec<Plan> {
        let types = known_types(self.registry);
        let plan = |entry: &Entry| {
            let how = match How::of(entry, &types, self.environment) {
                How::Rust(mode) => How::Rust(Some(mode.unwrap_or(self.mode))),
                how @ (How::Python { .. } | How::Program(_) | How::BuiltIn(_)) => how,
            };
            let planned = Planned { spec: self.spec(entry, &how), fixed: Fixed::of(entry, &how) };
            Plan { planned, how, entry: entry.clone(), next_run: None }
        };
        config.services.iter().map(plan).collect()
    }

    fn spec(&self, entry: &Entry, how: &How) -> Spec {
        let launch = &entry.launch;
        Spec {
            id: entry.id.clone(),
            enabled: launch.enabled,
            // a file with a mistake in it has been refused
            schedule: schedules::of_entry(entry).ok().flatten(),
            restart: entry.restart,
            // a Rust service's host tells when it is up, and a Python service's status
            readiness: match (how, &launch.ready) {
                (_, Some(Ready::Started)) | (How::Program(_), None) => Readiness::AtOnce,
                (How::Rust(_) | How::Python { .. } | How::BuiltIn(_), None) | (_, Some(_)) => {
                    Readiness::Reported
                }
            },
            start_timeout: launch.start_timeout,
            stop_timeout: launch.stop_timeout.unwrap_or(self.grace),
            after: launch.after.clone(),
            level: launch.level,
        }
    }

    /// How to start its process; `None` for a task.
    pub(super) fn launch(&self, plan: &Plan) -> Option<Launch> {
        let entry = &plan.entry;
        let fleet = || -> [String; 7] {
            [
                self.config.display().to_string(),
                entry.variant.to_string(),
                "--runner-id".to_owned(),
                format!("{}.{}", self.launcher.0, entry.service_type),
                "--parent-name".to_owned(),
                self.launcher.1.to_owned(),
                "--no-banner".to_owned(),
            ]
        };
        let added = self.environment.added();
        let mut env: BTreeMap<String, String> =
            added.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if let Some((host, port)) = &self.nats {
            env.insert("NATS_HOST".to_owned(), host.clone());
            env.insert("NATS_PORT".to_owned(), port.clone());
        }
        let (program, args) = match &plan.how {
            How::Rust(Some(Mode::Async)) => return None,
            How::Rust(Some(Mode::Process) | None) => {
                let args = [SERVICE.to_owned(), entry.service_type.to_string()];
                (PathBuf::from(OWN_PROGRAM), args.into_iter().chain(fleet()).collect())
            }
            How::Python { interpreter, module } => {
                env.insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
                let interpreter = absolute(interpreter);
                let kind = entry.service_type.to_string();
                let first = ["-c".to_owned(), PYTHON.to_owned(), module.clone(), kind];
                (interpreter, first.into_iter().chain(fleet()).collect())
            }
            How::BuiltIn(command) => {
                (console(), std::iter::once((*command).to_owned()).chain(fleet()).collect())
            }
            How::Program(exec) => {
                let program = exec.first().cloned().unwrap_or_default();
                (program.into(), exec.iter().skip(1).cloned().collect())
            }
        };
        let own = &entry.launch;
        let is_stranger = matches!(plan.how, How::Program(_)) && !own.nats;
        let env_removed = if is_stranger { self.credentials.clone() } else { BTreeSet::new() };
        env.retain(|name, _| !env_removed.contains(name));
        env.extend(own.env.clone());
        let tells = matches!(plan.how, How::Rust(_) | How::BuiltIn(_));
        let said = tells.then_some(Ready::Notify);
        Some(Launch {
            program,
            args,
            cwd: own.cwd.clone(),
            env,
            env_removed,
            user: own.user.clone(),
            limits: own.limits,
            stop_signal: own.stop_signal,
            ready: own.ready.clone().or(said),
            sample: own.sample,
        })
    }
}

/// `tcsctl`: the one beside this program, which is of the same version; else the one in `PATH`.
fn console() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("tcsctl"));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| "tcsctl".into())
}

/// A relative path counts from the launcher's working directory; a name is looked for in `PATH`.
pub(crate) fn absolute(program: &Path) -> PathBuf {
    match program.components().count() {
        0 | 1 => program.to_owned(),
        _ => std::path::absolute(program).unwrap_or_else(|_| program.to_owned()),
    }
}

/// All of an entry that a running service cannot change.
#[derive(Debug, Clone)]
pub(super) struct Fixed {
    how: How,
    launch: config::Launch,
    settings: serde_json::Map<String, serde_json::Value>,
}

impl Fixed {
    fn of(entry: &Entry, how: &How) -> Self {
        let settings = entry.settings.deserialize().map(|(settings, _)| settings);
        let (how, launch) = (how.clone(), entry.launch.clone());
        Self { how, launch, settings: settings.unwrap_or_default() }
    }
}

impl reload::Fixed for Fixed {
    fn differences(&self, other: &Self) -> Vec<String> {
        let program = |how: &How| match how {
            How::Rust(_) => "launch.mode",
            How::Python { .. } => "module",
            How::Program(_) => "launch.exec",
            How::BuiltIn(_) => "type",
        };
        let (a, b) = (&self.launch, &other.launch);
        let is_other_program = self.how != other.how;
        let is_other_kind = program(&self.how) != program(&other.how);
        let own = [
            (program(&self.how), is_other_program),
            (program(&other.how), is_other_program && is_other_kind),
            ("launch.cwd", a.cwd != b.cwd),
            ("launch.env", a.env != b.env),
            ("launch.nats", a.nats != b.nats),
            ("launch.user", a.user != b.user),
            ("launch.stop_signal", a.stop_signal != b.stop_signal),
            ("launch.limits", a.limits != b.limits),
            ("launch.ready", a.ready != b.ready),
            ("launch.heartbeat", a.heartbeat != b.heartbeat),
            ("launch.sample", a.sample != b.sample),
        ];
        let own = own.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name);
        let names: BTreeSet<&String> = self.settings.keys().chain(other.settings.keys()).collect();
        let settings =
            names.into_iter().filter(|&it| self.settings.get(it) != other.settings.get(it));
        let mut names: Vec<String> = own.map(str::to_owned).chain(settings.cloned()).collect();
        names.sort();
        names
    }
}
