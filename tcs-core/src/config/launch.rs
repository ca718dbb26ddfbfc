//! `launch:`, the one mapping in which everything of ours lies, so that no flat name collides with
//! a service's own field. In an entry, or at the top of the file as its default.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::line_pattern::LinePattern;
use super::problem::{Place, Problem, Problems};
use super::signal::StopSignal;
use super::value::{Mapping, Node, Value};
use super::values::{
    Address, After, As, Bytes, Factor, FileSize, Files, Interval, Pattern, Program, Sampling,
    Seconds, SignalName, Variables,
};
use crate::id::ServiceId;
use crate::wire::policy::Backoff;

/// From the stop signal to SIGKILL, where nobody says otherwise.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a start-up holds up those that come after it, where nobody says otherwise.
pub const START_TIMEOUT: Duration = Duration::from_mins(1);

/// The keys of the restart policy, which are the launcher's and not the service's.
pub(super) const RESTART_KEYS: [&str; 4] =
    ["restart", "restart_sec", "restart_max", "restart_window"];

/// How a service is run, as far as the file says it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Launch {
    /// Program and arguments, as a list; never empty.
    #[serde(with = "As::<Option<Program>>")]
    pub exec: Option<Vec<String>>,
    /// Run the Rust service of that type, even where the file names a Python module for it.
    pub rust: bool,
    /// `exec` gets the credentials for NATS in its environment, as services of our framework do.
    pub nats: bool,
    /// Working directory, relative to the launcher's.
    pub cwd: Option<PathBuf>,
    /// Variables added to the environment.
    #[serde(with = "As::<Variables>")]
    pub env: BTreeMap<String, String>,
    /// Name or number of the user to run as; needs root.
    pub user: Option<String>,
    /// Python interpreter.
    pub python: Option<PathBuf>,
    /// Started with the launcher; otherwise only when somebody asks.
    pub enabled: bool,
    /// Ids of services that are to be ready first.
    #[serde(with = "As::<After>")]
    pub after: Vec<ServiceId>,
    /// Lower levels start first.
    pub level: i64,
    /// What says that it is up; without it, as the kind of service has it.
    pub ready: Option<Ready>,
    /// Seconds between two heartbeats, 0.1 to 3600. Python services have their own.
    #[serde(with = "As::<Interval>")]
    pub heartbeat: Duration,
    /// Seconds between two samples of what its processes use, 1 to 3600; 0: none.
    #[serde(with = "As::<Sampling>")]
    pub sample: Duration,
    /// Seconds between two rounds of health checks of a Rust service, 0.1 to 3600.
    #[serde(with = "As::<Interval>")]
    pub healthcheck: Duration,
    /// Seconds that services which come after it wait for it to be ready; then they are started
    /// anyway.
    #[serde(with = "As::<Seconds>")]
    pub start_timeout: Duration,
    /// Signal that asks it to stop.
    #[serde(with = "As::<SignalName>")]
    pub stop_signal: StopSignal,
    /// Seconds from the stop signal to SIGKILL; without it, as the launcher was told.
    #[serde(with = "As::<Option<Seconds>>")]
    pub stop_timeout: Option<Duration>,
    /// Where a Rust service runs; without it, as the launcher was told.
    pub mode: Option<Mode>,
    /// Restart delays that grow.
    pub(super) backoff: Option<BackoffKeys>,
    /// Where its output goes, beside the launcher's own log.
    pub log: Option<Log>,
    /// Resource limits.
    pub limits: Limits,
    /// Where each of `after` stands.
    #[serde(skip)]
    pub(super) after_places: Vec<Place>,
}

/// What says that a service is up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// Its start: nothing is waited for.
    Started,
    /// `READY=1` on a notify socket.
    Notify,
    /// Its first heartbeat of a status other than `startup`.
    Heartbeat,
    /// A line of output that matches this regular expression.
    #[serde(with = "As::<Pattern>")]
    Log(LinePattern),
    /// A port that accepts connections: `HOST:PORT`.
    #[serde(with = "As::<Address>")]
    Tcp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// From 1.
        port: u16,
    },
}

/// Where a Rust service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As a task of the launcher.
    #[serde(alias = "asyncio")]
    Async,
    /// In a process of its own.
    Process,
}

/// Restart delays that grow.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Backoff")]
pub(super) struct BackoffKeys {
    /// From one delay to the next, 1 or more.
    #[serde(with = "As::<Factor>")]
    factor: f64,
    /// Seconds of the longest delay.
    #[serde(with = "As::<Seconds>")]
    max: Duration,
}

impl Default for BackoffKeys {
    fn default() -> Self {
        let Backoff { factor, max } = Backoff::default();
        Self { factor, max }
    }
}

impl From<BackoffKeys> for Backoff {
    fn from(BackoffKeys { factor, max }: BackoffKeys) -> Self {
        Self { factor, max }
    }
}

/// Where a service's output goes, beside the launcher's own log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Log {
    /// Directory of its files; without it there are none.
    pub dir: Option<PathBuf>,
    /// Size of one file. A run begins a new one.
    #[serde(with = "As::<FileSize>")]
    pub max_size: u64,
    /// Files of the service that are kept, the one that is written too.
    #[serde(with = "As::<Files>")]
    pub keep: u32,
    /// Each line on the service's log stream, whether somebody reads or not.
    pub journal: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { dir: None, max_size: 10 << 20, keep: 5, journal: false }
    }
}

/// Resource limits of a process (`setrlimit`); what is not set stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of address space.
    #[serde(with = "As::<Option<Bytes>>")]
    pub memory: Option<u64>,
    /// Open files.
    pub open_files: Option<u64>,
    /// Processes of the user.
    pub processes: Option<u64>,
    /// Seconds of processor time.
    pub cpu_seconds: Option<u64>,
    /// Bytes of a core dump.
    #[serde(with = "As::<Option<Bytes>>")]
    pub core: Option<u64>,
}

impl Default for Launch {
    fn default() -> Self {
        Self {
            exec: None,
            rust: false,
            nats: false,
            cwd: None,
            env: BTreeMap::new(),
            user: None,
            python: None,
            enabled: true,
            after: Vec::new(),
            level: 0,
            ready: None,
            heartbeat: Duration::from_secs(10),
            sample: Duration::from_secs(10),
            healthcheck: Duration::from_secs(30),
            start_timeout: START_TIMEOUT,
            stop_signal: StopSignal::TERM,
            stop_timeout: None,
            mode: None,
            backoff: None,
            log: None,
            limits: Limits::default(),
            after_places: Vec::new(),
        }
    }
}

/// An entry's `launch` over the file's own: key by key, `ready` and lists as a whole, the
/// mappings in it deeply. `None`: neither is there.
pub(super) fn combined(default: Option<&Node>, own: Option<&Node>) -> Option<Node> {
    match (default, own.filter(|node| !node.is_null())) {
        (
            Some(Node { value: Value::Map(default), .. }),
            Some(own @ Node { value: Value::Map(map), .. }),
        ) if map.get("ready").is_some() => {
            Some(Node::new(Value::Map(default.without(&["ready"])), own.at).overlaid(own))
        }
        (Some(default), Some(own)) => Some(default.overlaid(own)),
        (one, other) => other.or(one).cloned(),
    }
}

/// What its type does not say: whether `log` writes anything.
pub(super) fn check(map: &Mapping, launch: &Launch, problems: &mut Problems) {
    let (Some(log), Some(node)) = (&launch.log, map.get("log")) else { return };
    let Value::Map(keys) = &node.value else { return };
    if log.dir.is_none() && keys.get("dir").is_none() && keys.get("journal").is_none() {
        let problem = Problem::error(node.at, "`launch.log` names no place");
        problems.push(problem.hint("write `dir: FOLDER`, or `journal: true`"));
    }
}

/// Where each of these ids stands in a `launch`.
pub(super) fn places(launch: &Mapping, after: &[ServiceId]) -> Vec<Place> {
    let Some(node) = launch.get("after") else { return Vec::new() };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let place = |id: &ServiceId| {
        let item = items.iter().find(|item| item.scalar_text() == Some(id.as_str()));
        item.unwrap_or(node).at
    };
    after.iter().map(place).collect()
}
