//! `launch:`, the one mapping in which everything of ours lies, so that no flat name collides with
//! a service's own field. In an entry, or at the top of the file as its default.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal;
use regex::Regex;

use super::problem::{Place, Problem, Problems, Severity};
use super::section::Section;
use super::value::{Mapping, Node, Value};
use crate::id::ServiceId;
pub use crate::wire::policy::Backoff;

/// From the stop signal to SIGKILL, where nobody says otherwise.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a start-up holds up those that come after it, where nobody says otherwise.
pub const START_TIMEOUT: Duration = Duration::from_mins(1);

const KEYS: [&str; 20] = [
    "exec",
    "rust",
    "nats",
    "cwd",
    "env",
    "user",
    "python",
    "enabled",
    "after",
    "level",
    "ready",
    "heartbeat",
    "start_timeout",
    "stop_signal",
    "stop_timeout",
    "mode",
    "backoff",
    "log",
    "limits",
    "restart",
];

/// How a service is run, as far as the file says it.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Program and arguments; never empty.
    pub exec: Option<Vec<String>>,
    /// The Rust service of that type is run, even where the file names a Python module for it.
    pub rust: bool,
    /// `exec` gets the credentials for NATS in its environment, as services of our framework do.
    pub nats: bool,
    /// Working directory, relative to the launcher's.
    pub cwd: Option<PathBuf>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// Name or number of the user to run as.
    pub user: Option<String>,
    /// Python interpreter.
    pub python: Option<PathBuf>,
    /// Started by itself; otherwise only when somebody asks.
    pub enabled: bool,
    /// Services whose start-up comes first.
    pub after: Vec<ServiceId>,
    /// Lower levels start first.
    pub level: i64,
    /// What says that it is up; `None`: as the kind of service has it.
    pub ready: Option<Ready>,
    /// Time between two heartbeats of what speaks by our framework, or has the launcher speak for
    /// it; 10 s. Python services have their own.
    pub heartbeat: Duration,
    /// How long services that come after it wait for it to be ready; [`START_TIMEOUT`]. Then they
    /// are started anyway, and it may go on with its start-up.
    pub start_timeout: Duration,
    /// What asks it to stop; SIGTERM.
    pub stop_signal: Signal,
    /// From the stop signal to SIGKILL; `None`: as the launcher was told, else [`STOP_TIMEOUT`].
    pub stop_timeout: Option<Duration>,
    /// Where a Rust service runs; `None`: as the launcher was told.
    pub mode: Option<Mode>,
    /// Restart delays that grow.
    pub backoff: Option<Backoff>,
    /// Where its output goes.
    pub log: Option<Log>,
    /// Resource limits.
    pub limits: Limits,
    pub(super) after_places: Vec<Place>,
}

/// What says that a service is up.
#[derive(Debug, Clone)]
pub enum Ready {
    /// Its start: nothing is waited for.
    Started,
    /// `READY=1` on a notify socket.
    Notify,
    /// A line of output that matches.
    Log(Regex),
    /// A port that accepts connections.
    Tcp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// From 1.
        port: u16,
    },
    /// Its first heartbeat of a status other than `startup`.
    Heartbeat,
}

/// Where a Rust service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As a task of the launcher.
    Async,
    /// In a process of its own.
    Process,
}

/// Where a service's output goes, beside the launcher's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Where its files lie; `None`: it has none.
    pub dir: Option<PathBuf>,
    /// Bytes of one file; 10 MiB. A run begins a new one.
    pub max_size: u64,
    /// Files of the service that are kept, the one that is written too; 5.
    pub keep: u32,
    /// Each line on the service's journal, whether somebody reads or not.
    pub journal: bool,
}

/// Resource limits of a process (`setrlimit`); `None` leaves one as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of address space.
    pub memory: Option<u64>,
    /// Open files.
    pub open_files: Option<u64>,
    /// Processes of the user.
    pub processes: Option<u64>,
    /// Seconds of processor time.
    pub cpu_seconds: Option<u64>,
    /// Bytes of a core dump.
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
            start_timeout: START_TIMEOUT,
            stop_signal: Signal::SIGTERM,
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
/// mappings in it deeply.
pub(super) fn combined(default: Option<&Mapping>, own: Option<&Mapping>) -> Mapping {
    match (default, own) {
        (None, None) => Mapping::default(),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (Some(default), Some(own)) if own.get("ready").is_some() => {
            default.without(&["ready"]).overlaid(own)
        }
        (Some(default), Some(own)) => default.overlaid(own),
    }
}

/// Reads a `launch` mapping.
pub(super) fn read(map: &Mapping, problems: &mut Problems) -> Launch {
    let mut section = Section { name: "`launch`", map, problems };
    // `restart` is not a key here, but known, for its own message
    section.unknown_keys(&KEYS, Severity::Error);
    if let Some(key) = map.get_key("restart") {
        let problem = Problem::error(key.at, "`restart` does not belong into `launch`");
        section.problems.push(problem.hint("write it in the entry itself, beside `type`"));
    }
    let default = Launch::default();
    let (after, after_places) = after(&mut section);
    Launch {
        exec: exec(&mut section),
        rust: section.flag("rust").unwrap_or(default.rust),
        nats: section.flag("nats").unwrap_or(default.nats),
        cwd: section.text("cwd").map(PathBuf::from),
        env: env(&mut section),
        user: section.text("user"),
        python: section.text("python").map(PathBuf::from),
        enabled: section.flag("enabled").unwrap_or(default.enabled),
        after,
        level: level(&mut section).unwrap_or(default.level),
        ready: section.node("ready").and_then(|node| ready(node, section.problems)),
        heartbeat: heartbeat(&mut section).unwrap_or(default.heartbeat),
        start_timeout: section.seconds("start_timeout").unwrap_or(default.start_timeout),
        stop_signal: stop_signal(&mut section).unwrap_or(default.stop_signal),
        stop_timeout: section.seconds("stop_timeout"),
        mode: section.choice(
            "mode",
            &[("async", Mode::Async), ("asyncio", Mode::Async), ("process", Mode::Process)],
        ),
        backoff: backoff(&mut section),
        log: log(&mut section),
        limits: limits(&mut section),
        after_places,
    }
}

fn exec(section: &mut Section<'_, '_>) -> Option<Vec<String>> {
    let node = section.node("exec")?;
    let words: Vec<String> = section.texts("exec").into_iter().map(|(text, _)| text).collect();
    if words.first().is_none_or(String::is_empty) {
        let problem = Problem::error(node.at, "`exec` names no program");
        section.problems.push(problem.hint("write `exec: [program, argument, ...]`"));
        return None;
    }
    if let (Value::Text(text), true) = (&node.value, words[0].contains(' ')) {
        let list = text.split_whitespace().collect::<Vec<_>>().join(", ");
        let problem = Problem::error(node.at, "`exec` is a list: nothing splits it into words");
        section.problems.push(problem.hint(format!("write `exec: [{list}]`")));
    }
    Some(words)
}

fn env(section: &mut Section<'_, '_>) -> BTreeMap<String, String> {
    let Some(map) = section.mapping("env") else { return BTreeMap::new() };
    let mut variables = BTreeMap::new();
    for (key, node) in map.iter() {
        let name = &key.text;
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("{name:?} cannot be the name of a variable");
            section.problems.push(Problem::error(key.at, message));
        }
        let value = match &node.value {
            Value::Null => Some(""),
            _ => node.scalar_text(),
        };
        match value {
            Some(value) if !value.contains('\0') => {
                variables.insert(name.clone(), value.to_owned());
            }
            _ => {
                let message = format!("`{name}` must be text, found {}", node.kind());
                section.problems.push(Problem::error(node.at, message).hint("put it in quotes"));
            }
        }
    }
    variables
}

fn after(section: &mut Section<'_, '_>) -> (Vec<ServiceId>, Vec<Place>) {
    let mut found = (Vec::new(), Vec::new());
    for (text, at) in section.texts("after") {
        match text.parse::<ServiceId>() {
            Ok(id) => {
                found.0.push(id);
                found.1.push(at);
            }
            Err(error) => section.problems.push(Problem::error(at, error.to_string())),
        }
    }
    found
}

fn level(section: &mut Section<'_, '_>) -> Option<i64> {
    let node = section.node("level")?;
    if let Value::Int(number) = node.value
        && let Ok(level) = i64::try_from(number)
    {
        return Some(level);
    }
    let message = format!("`level` must be a whole number, found {}", node.kind());
    section.problems.push(Problem::error(node.at, message));
    None
}

fn ready(node: &Node, problems: &mut Problems) -> Option<Ready> {
    let form = "write `started`, `notify`, `heartbeat`, `{log: REGEX}` or `{tcp: HOST:PORT}`";
    let (word, key_at, value) = match &node.value {
        Value::Text(word) => (word.as_str(), node.at, None),
        Value::Map(map) if map.len() == 1 => {
            let (key, value) = map.iter().next()?;
            (key.text.as_str(), key.at, Some(value))
        }
        _ => {
            let problem = Problem::error(node.at, "`ready` names one thing to wait for");
            problems.push(problem.hint(form));
            return None;
        }
    };
    let text = value.and_then(Node::scalar_text);
    let is_set = value.is_none_or(|v| matches!(v.value, Value::Null | Value::Bool(true)));
    match (word, text) {
        ("started", _) if is_set => Some(Ready::Started),
        ("notify", _) if is_set => Some(Ready::Notify),
        ("heartbeat", _) if is_set => Some(Ready::Heartbeat),
        ("log", Some(pattern)) => {
            // compiled once here, so that a wrong one is told at load; the size bound keeps a
            // pattern from taking the launcher's memory
            match regex::RegexBuilder::new(pattern).size_limit(1 << 20).build() {
                Ok(regex) => Some(Ready::Log(regex)),
                Err(error) => {
                    let reason = error.to_string();
                    let reason = reason.lines().last().unwrap_or_default();
                    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                    let at = value.map_or(node.at, |value| value.at);
                    problems
                        .push(Problem::error(at, format!("not a regular expression: {reason}")));
                    None
                }
            }
        }
        ("tcp", Some(address)) => {
            let at = value.map_or(node.at, |value| value.at);
            tcp(address, at, problems)
        }
        _ => {
            let near =
                super::nearest::nearest(word, ["started", "notify", "log", "tcp", "heartbeat"]);
            let problem = match near {
                Some(near) if near != word => {
                    Problem::error(key_at, format!("unknown kind of `ready`: `{word}`"))
                        .suggest(Some(near))
                }
                _ => Problem::error(key_at, format!("`ready` cannot be `{word}` like this"))
                    .hint(form),
            };
            problems.push(problem);
            None
        }
    }
}

fn tcp(address: &str, at: Place, problems: &mut Problems) -> Option<Ready> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| {
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = port.parse::<u16>().ok().filter(|&port| port > 0)?;
        let valid = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
        valid.then(|| Ready::Tcp { host: host.to_owned(), port })
    });
    if parts.is_none() {
        let problem = Problem::error(at, format!("`{address}` is not HOST:PORT"));
        problems.push(problem.hint("for example `localhost:8080`"));
    }
    parts
}

/// As far as the rules of liveness go (`docs/spec/truth.md#liveness`).
fn heartbeat(section: &mut Section<'_, '_>) -> Option<Duration> {
    let node = section.node("heartbeat")?;
    let seconds = section.number("heartbeat", 0.1, "a number of seconds")?;
    if seconds > 3600.0 {
        let message = format!("a heartbeat every {seconds} s would say nothing");
        section.problems.push(Problem::error(node.at, message).hint("3600 at most"));
        return None;
    }
    Some(Duration::from_secs_f64(seconds))
}

fn stop_signal(section: &mut Section<'_, '_>) -> Option<Signal> {
    let node = section.node("stop_signal")?;
    let text = section.text("stop_signal")?;
    let name = text.to_ascii_uppercase();
    let by_number = || Signal::try_from(text.parse::<i32>().ok()?).ok();
    let signal = Signal::from_str(&name)
        .or_else(|_| Signal::from_str(&format!("SIG{name}")))
        .ok()
        .or_else(by_number);
    if signal.is_none() {
        let names = Signal::iterator().map(Signal::as_str);
        let near = super::nearest::nearest(&name, names.clone())
            .or_else(|| super::nearest::nearest(&format!("SIG{name}"), names));
        let problem = Problem::error(node.at, format!("`{text}` is not a signal"));
        section.problems.push(problem.suggest(near));
    }
    signal
}

fn backoff(section: &mut Section<'_, '_>) -> Option<Backoff> {
    let map = section.mapping("backoff")?;
    let mut inner = Section { name: "`backoff`", map, problems: section.problems };
    inner.unknown_keys(&["factor", "max"], Severity::Error);
    Some(Backoff {
        factor: inner.number("factor", 1.0, "a number").unwrap_or(2.0),
        max: inner.seconds("max").unwrap_or(Duration::from_mins(5)),
    })
}

fn log(section: &mut Section<'_, '_>) -> Option<Log> {
    let node = section.node("log")?;
    let map = section.mapping("log")?;
    let mut inner = Section { name: "`log`", map, problems: section.problems };
    inner.unknown_keys(&["dir", "max_size", "keep", "journal"], Severity::Error);
    let keep = inner.whole("keep").map_or(5, |keep| u32::try_from(keep).unwrap_or(u32::MAX));
    let max_size = inner.size("max_size").unwrap_or(10 << 20);
    let journal = inner.flag("journal").unwrap_or(false);
    let dir = inner.text("dir").map(PathBuf::from);
    if dir.is_none() && inner.node("dir").is_none() && inner.node("journal").is_none() {
        let problem = Problem::error(node.at, "`log` names no place");
        inner.problems.push(problem.hint("write `dir: FOLDER`, or `journal: true`"));
    }
    for (key, value) in [("keep", u64::from(keep)), ("max_size", max_size)] {
        if let Some(node) = inner.node(key).filter(|_| value == 0) {
            let problem = Problem::error(node.at, format!("`{key}: 0` keeps nothing"));
            inner.problems.push(problem.hint("leave `log` out, or write 1 or more"));
        }
    }
    Some(Log { dir, max_size, keep, journal })
}

fn limits(section: &mut Section<'_, '_>) -> Limits {
    let Some(map) = section.mapping("limits") else { return Limits::default() };
    let mut inner = Section { name: "`limits`", map, problems: section.problems };
    let known = ["memory", "open_files", "processes", "cpu_seconds", "core"];
    inner.unknown_keys(&known, Severity::Error);
    Limits {
        memory: inner.size("memory"),
        open_files: inner.whole("open_files"),
        processes: inner.whole("processes"),
        cpu_seconds: inner.whole("cpu_seconds"),
        core: inner.size("core"),
    }
}
