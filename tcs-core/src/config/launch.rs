//! `launch:`, the one mapping in which everything of ours lies, so that no flat name collides with
//! a service's own field. In an entry, or at the top of the file as its default.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::line_pattern::LinePattern;
use super::problem::{Place, Problem, Problems};
use super::schedule::Schedule;
use super::signal::StopSignal;
use super::value::{Mapping, Node, Value};
use super::values::{
    Address, After, As, Bytes, Factor, FileSize, Files, Interval, Pattern, Profiles, Program,
    Sampling, Seconds, SignalName, Variables,
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

/// How a service is run. `launch` at the top of the file is for all services; keys of an entry's
/// own `launch` override it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Launch {
    /// Program and its arguments, as a list.
    #[serde(with = "As::<Option<Program>>")]
    pub exec: Option<Vec<String>>,
    /// Run the Rust service of that type even if the file names a Python module for it.
    pub rust: bool,
    /// Pass the credentials for NATS to the program (`exec`) in its environment. Services always get them.
    pub nats: bool,
    /// Working directory; relative to the launcher's.
    pub cwd: Option<PathBuf>,
    /// Environment variables to add.
    #[serde(with = "As::<Variables>")]
    pub env: BTreeMap<String, String>,
    /// User to run as, by name or number; the launcher must run as root.
    pub user: Option<String>,
    /// Python interpreter to use.
    pub python: Option<PathBuf>,
    /// Start it with the launcher; `false`: only on request.
    pub enabled: bool,
    /// When it is started; for a service that does its work and ends. It is not started with the
    /// launcher.
    pub schedule: Option<Schedule>,
    /// Named sets of services (at the top of the file only): `tcsctl profile NAME` starts those of
    /// the set, and stops those that are only in other sets.
    #[serde(with = "As::<Profiles>")]
    pub profiles: BTreeMap<String, Vec<ServiceId>>,
    /// Services that must be ready first: `[camera.main]`.
    #[serde(with = "As::<After>")]
    pub after: Vec<ServiceId>,
    /// Start order: services of lower levels start first.
    pub level: i64,
    /// When it counts as ready; the default depends on the kind of service.
    pub ready: Option<Ready>,
    /// Seconds between two heartbeats. Python services use their own interval.
    #[serde(with = "As::<Interval>")]
    pub heartbeat: Duration,
    /// Seconds between two samples of its processor and memory use; 0: none.
    #[serde(with = "As::<Sampling>")]
    pub sample: Duration,
    /// Seconds between two rounds of health checks of a Rust service.
    #[serde(with = "As::<Interval>")]
    pub healthcheck: Duration,
    /// Maximum seconds that other services wait until it is ready; then they are started anyway.
    #[serde(with = "As::<Seconds>")]
    pub start_timeout: Duration,
    /// Signal to stop it with.
    #[serde(with = "As::<SignalName>")]
    pub stop_signal: StopSignal,
    /// Seconds from the stop signal to SIGKILL; the launcher's `--terminate-delay` by default.
    #[serde(with = "As::<Option<Seconds>>")]
    pub stop_timeout: Option<Duration>,
    /// How a Rust service runs; the launcher's `--launcher` by default.
    pub mode: Option<Mode>,
    /// Growing restart delays.
    pub(super) backoff: Option<BackoffKeys>,
    /// Where its output goes, besides the launcher's own log.
    pub log: Option<Log>,
    /// Resource limits.
    pub limits: Limits,
    /// Allow `tcsctl drill` to make faults here on purpose.
    pub drill: bool,
    /// Where each of `after` stands.
    #[serde(skip)]
    pub(super) after_places: Vec<Place>,
}

/// When a service counts as ready.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// As soon as it has been started.
    Started,
    /// When it sends `READY=1` to its notify socket.
    Notify,
    /// With its first heartbeat of a status other than `startup`.
    Heartbeat,
    /// When a line of its output matches this regular expression.
    #[serde(with = "As::<Pattern>")]
    Log(LinePattern),
    /// When this port accepts connections: `HOST:PORT`.
    #[serde(with = "As::<Address>")]
    Tcp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// From 1.
        port: u16,
    },
}

/// How a Rust service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As a task of the launcher.
    #[serde(alias = "asyncio")]
    Async,
    /// In a process of its own.
    Process,
}

/// Growing restart delays.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Backoff")]
pub(super) struct BackoffKeys {
    /// Factor from one delay to the next.
    #[serde(with = "As::<Factor>")]
    factor: f64,
    /// Longest delay in seconds.
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

/// Where a service's output goes, besides the launcher's own log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Log {
    /// Directory of its log files; without it there are none.
    pub dir: Option<PathBuf>,
    /// Maximum size of one file. Each run begins a new file.
    #[serde(with = "As::<FileSize>")]
    pub max_size: u64,
    /// Number of files to keep, the current one included.
    #[serde(with = "As::<Files>")]
    pub keep: u32,
    /// Publish each line on the service's log stream even if nobody reads it.
    pub journal: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { dir: None, max_size: 10 << 20, keep: 5, journal: false }
    }
}

/// Resource limits of a process (`setrlimit`); what is not set is inherited from the launcher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Address space, in bytes or with a unit.
    #[serde(with = "As::<Option<Bytes>>")]
    pub memory: Option<u64>,
    /// Number of open files.
    pub open_files: Option<u64>,
    /// Number of processes of the user.
    pub processes: Option<u64>,
    /// Processor time in seconds.
    pub cpu_seconds: Option<u64>,
    /// Size of a core dump.
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
            schedule: None,
            profiles: BTreeMap::new(),
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
            drill: false,
            after_places: Vec::new(),
        }
    }
}

/// The key of the sets of services, at the top of the file only.
pub(super) const PROFILES: &str = "profiles";

/// An entry's `launch` over the file's own: key by key, `ready`, `schedule` and lists as a whole, the
/// other mappings in it deeply. `None`: neither is there.
pub(super) fn combined(default: Option<&Node>, own: Option<&Node>) -> Option<Node> {
    match (default, own.filter(|node| !node.is_null())) {
        (
            Some(Node { value: Value::Map(default), .. }),
            Some(own @ Node { value: Value::Map(map), .. }),
        ) => {
            let whole = ["ready", "schedule"].into_iter().filter(|key| map.get(key).is_some());
            let rest = default.without(&whole.chain([PROFILES]).collect::<Vec<_>>());
            Some(Node::new(Value::Map(rest), own.at).overlaid(own))
        }
        (Some(default), Some(own)) => Some(default.overlaid(own)),
        (Some(Node { value: Value::Map(default), at, .. }), None) => {
            Some(Node::new(Value::Map(default.without(&[PROFILES])), *at))
        }
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

/// Where each of these ids stands in the list of them, or in the text of one.
pub(super) fn places(node: &Node, ids: &[ServiceId]) -> Vec<Place> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let place = |id: &ServiceId| {
        let item = items.iter().find(|item| item.scalar_text() == Some(id.as_str()));
        item.unwrap_or(node).at
    };
    ids.iter().map(place).collect()
}
