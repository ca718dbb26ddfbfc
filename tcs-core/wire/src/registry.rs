//! What a launcher says of a service's life: `<prefix>.registry.<event>.<service id>`.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use chrono::TimeDelta;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::control::CrashFigures;
use super::status::Status;
use super::{Timestamp, format_duration, gave_up, how_ended};

mod read;

pub(super) use read::RawRegistry;

/// One registry event.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryMessage {
    /// The service it is about.
    pub service_id: String,
    /// When it happened, by the launcher's clock.
    pub timestamp: Option<Timestamp>,
    /// The launcher's monitored name.
    pub parent: Option<String>,
    /// `<launcher id>.<service type>`
    pub runner_id: Option<String>,
    /// Random for each start of a tcsd.
    pub launcher_run: Option<String>,
    /// 1, 2, ... through one `launcher_run`; a gap shows a lost event.
    pub event_seq: Option<u64>,
    /// Who asked for it, as they claim.
    pub requested_by: Option<String>,
    /// What happened.
    pub event: Event,
}

/// What happened to a service. The table in `docs/spec/wire.md#registry-events`.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Listed in a launcher's configuration.
    Declared(Declared),
    /// The runner has started it.
    Start {
        /// Host it runs on.
        hostname: Option<String>,
        /// Its process; a task's is the launcher's.
        pid: Option<u32>,
        /// Crashes in the 10 minutes before. Ours.
        recent_crashes: Option<u32>,
    },
    /// Wanted, and not started yet because of what it is `after`. Ours.
    Waiting {
        /// Service ids that are not ready.
        waiting_for: Vec<String>,
        /// Whether `launch.start_timeout` has passed: it is started all the same.
        timed_out: bool,
    },
    /// Start-up finished.
    Ready {
        /// How long it took.
        startup_duration_seconds: Option<f64>,
    },
    /// A stop was asked for.
    Stopping {
        /// Why.
        reason: Option<String>,
    },
    /// Ended as intended.
    Stop(Stop),
    /// Ended by itself, not as intended.
    Crashed(Crashed),
    /// Being started again.
    Restarting {
        /// From 1.
        restart_attempt: Option<u32>,
        /// How many are allowed in the window.
        max_restarts: Option<Limit>,
        /// Crashes in the last 10 minutes. Ours.
        recent_crashes: Option<u32>,
    },
    /// Given up.
    Failed {
        /// `restart_limit_reached`, `restart_failed`, or ours: the error of the start.
        reason: Option<String>,
        /// Restarts tried.
        restart_count: Option<u32>,
        /// Seconds in which these restarts were: `restart_window`. Ours.
        restart_window: Option<f64>,
    },
    /// Runs of its schedule did not take place. Ours.
    Missed(Missed),
    /// An event of a name that is not in the table.
    Other(String),
}

/// Reason in [`Event::Failed`]: all restarts that the window allows were used up.
pub const RESTART_LIMIT_REACHED: &str = "restart_limit_reached";

/// How many restarts are allowed inside the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// This many.
    Times(u32),
    /// Any number; null on the wire.
    Unlimited,
}

/// The data of [`Event::Declared`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    /// `no`, `always`, `on-failure`, `on-abnormal`, or whatever the launcher was given.
    pub restart_policy: Option<String>,
    /// Restarts allowed in the window.
    pub restart_max: Option<Limit>,
    /// The window in seconds.
    pub restart_window: Option<f64>,
    /// Monitored names of other launchers that declare the service too.
    pub others: Vec<String>,
    /// What the configuration says it is.
    pub declared: Option<Box<Declaration>>,
}

/// `declared: {module, kind, enabled, batch, after, schedule}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Declaration {
    /// Python module, or the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// `rust`, `python` or `program`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// False: listed, and not to be started by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Counts the times that this `launcher_run` has declared all that it has, from 1: what it
    /// said in an earlier batch and not in this one, it declares no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<u64>,
    /// Service ids that come before it when it is started (`launch.after`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// When it runs, if not all the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<DeclaredSchedule>,
    /// When it is ready, for people, where something else than its framework says so: `when its
    /// output matches /up/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
}

/// `schedule: {rule, next_at}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DeclaredSchedule {
    /// For people: `30 7 * * * Europe/Warsaw`, `every 15m`.
    pub rule: String,
    /// When it runs next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
}

/// The data of [`Event::Missed`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missed {
    /// `launcher_not_running` or `still_running`.
    pub reason: Option<String>,
    /// How many runs; 1000: or more.
    pub missed_count: Option<u32>,
    /// The time for which the last missed run was scheduled.
    pub scheduled_at: Option<Timestamp>,
    /// Whether one run makes up for the missed ones.
    pub made_up: bool,
}

impl Missed {
    /// In words, without when: `3 scheduled runs missed: the launcher was not running; one makes up
    /// for them`.
    pub fn in_words(&self) -> String {
        let count = self.missed_count.unwrap_or(1);
        let more = if count >= 1000 { " or more" } else { "" };
        let s = if count == 1 { "" } else { "s" };
        let why = match self.reason.as_deref() {
            Some("launcher_not_running") => ": the launcher was not running".to_owned(),
            Some("still_running") => ": the run before was still going on".to_owned(),
            Some(other) => format!(": {}", other.replace('_', " ")),
            None => String::new(),
        };
        let made_up = if self.made_up { "; one run makes up for it" } else { "" };
        format!("{count}{more} scheduled run{s} missed{why}{made_up}")
    }
}

/// The data of [`Event::Stop`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stop {
    /// `completed`, `terminated` or `force_killed`.
    pub reason: Option<String>,
    /// Negative: the signal.
    pub exit_code: Option<i32>,
    /// Seconds it had run.
    pub uptime_seconds: Option<f64>,
    /// The planned work for which the service stays stopped. Ours.
    pub planned: Option<Box<Planned>>,
}

impl Stop {
    /// Whether the service stopped because its work was done.
    pub fn is_completed(&self) -> bool {
        self.reason.as_deref() == Some("completed")
    }
}

/// Work for which a service was stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Which work, as they say.
    pub comment: String,
    /// Who stopped it, as they claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was stopped for this work; unchanged when a later launcher reports it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// The data of [`Event::Crashed`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Crashed {
    /// Negative: the signal.
    pub exit_code: Option<i32>,
    /// As declared.
    pub restart_policy: Option<String>,
    /// Whether it will be started again.
    pub will_restart: bool,
    /// `SIGKILL`.
    pub signal: Option<String>,
    /// Text of the error or panic.
    pub error: Option<String>,
    /// The attempt to come.
    pub restart_attempt: Option<u32>,
    /// Restarts allowed in the window.
    pub max_restarts: Option<Limit>,
    /// When it will be started again.
    pub restart_at: Option<Timestamp>,
    /// Seconds it had run.
    pub uptime_seconds: Option<f64>,
    /// Crashes in the last 10 minutes, this one included. Ours.
    pub recent_crashes: Option<u32>,
    /// Whether a core was dumped. Ours.
    pub core_dumped: Option<bool>,
    /// Its last lines of output, oldest first; `details.last_lines` on the wire. Ours.
    pub last_lines: Vec<String>,
    /// What the run had used. Ours.
    pub resources: Option<Box<CrashFigures>>,
}

/// Lines of output that a `crashed` carries, at most.
pub const MAX_LAST_LINES: usize = 20;
/// Bytes of output that a `crashed` carries, at most.
pub const MAX_LAST_BYTES: usize = 4096;

impl Event {
    /// The event's name, which is also a token of its subject.
    pub fn name(&self) -> &str {
        match self {
            Self::Declared(_) => "declared",
            Self::Start { .. } => "start",
            Self::Waiting { .. } => "waiting",
            Self::Ready { .. } => "ready",
            Self::Stopping { .. } => "stopping",
            Self::Stop(_) => "stop",
            Self::Crashed(_) => "crashed",
            Self::Restarting { .. } => "restarting",
            Self::Failed { .. } => "failed",
            Self::Missed(_) => "missed",
            Self::Other(name) => name,
        }
    }

    /// In words, the same for every reader: `stopped after 3m 20s: completed`. `ran`: how long the
    /// run had lasted, of an end.
    pub fn in_words(&self, ran: Option<TimeDelta>) -> String {
        let after =
            || ran.map(|ran| format!(" after {}", format_duration(ran))).unwrap_or_default();
        match self {
            Self::Declared(declared) => match &declared.restart_policy {
                Some(policy) => format!("declared, restart {policy}"),
                None => "declared".to_owned(),
            },
            Self::Start { hostname, pid, .. } => {
                let pid = pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
                let host = hostname.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
                format!("started{pid}{host}")
            }
            Self::Waiting { waiting_for, timed_out } => {
                let how = if *timed_out { "started without waiting longer" } else { "waiting" };
                format!("{how} for {}", waiting_for.join(", "))
            }
            Self::Ready { startup_duration_seconds } => match startup_duration_seconds {
                Some(seconds) => format!("ready after {seconds:.1} s"),
                None => "ready".to_owned(),
            },
            Self::Stopping { reason } => with_reason("stopping", reason.as_deref()),
            Self::Stop(stop) => {
                let mut text = with_reason(&format!("stopped{}", after()), stop.reason.as_deref());
                if let Some(code) = stop.exit_code.filter(|code| *code != 0) {
                    let _ = write!(text, ", {}", how_ended(code));
                }
                if let Some(planned) = &stop.planned {
                    let _ = write!(text, ", planned work: {}", planned.comment);
                }
                text
            }
            Self::Crashed(crash) => {
                let not = if crash.will_restart { "" } else { "not " };
                format!("crashed{}: {}; will {not}be restarted", after(), crash.headline())
            }
            Self::Restarting { restart_attempt, max_restarts, .. } => {
                let number = restart_attempt.map_or("?".to_owned(), |n| n.to_string());
                match max_restarts {
                    Some(limit) => format!("restarting ({number}/{limit})"),
                    None => format!("restarting ({number}/?)"),
                }
            }
            Self::Failed { reason, restart_count, restart_window } => {
                gave_up(reason.as_deref(), *restart_count, *restart_window)
            }
            Self::Missed(missed) => missed.in_words(),
            Self::Other(name) => name.clone(),
        }
    }

    /// The event of this name, of those that have no fields of their own.
    fn without_fields(name: String) -> Self {
        Self::Other(name)
    }

    /// The `status` that goes with the event on the wire.
    fn status(&self) -> Option<Status> {
        match self {
            Self::Start { .. } | Self::Restarting { .. } => Some(Status::Startup),
            Self::Stop(_) => Some(Status::Shutdown),
            Self::Crashed(crashed) if crashed.will_restart => Some(Status::Error),
            Self::Crashed(_) | Self::Failed { .. } => Some(Status::Failed),
            Self::Declared(_)
            | Self::Waiting { .. }
            | Self::Ready { .. }
            | Self::Stopping { .. }
            | Self::Missed(_)
            | Self::Other(_) => None,
        }
    }
}

/// `stopping: not ready`
fn with_reason(word: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| word.to_owned(), |reason| format!("{word}: {}", reason.replace('_', " ")))
}

impl fmt::Display for Limit {
    /// `5`, `∞`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}"),
            Self::Unlimited => f.write_str("∞"),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Times(n) => serializer.serialize_u32(*n),
            Self::Unlimited => serializer.serialize_none(),
        }
    }
}

impl Serialize for RegistryMessage {
    /// One flat object, in Python's order of fields; what is absent is not written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Flat<M: SerializeMap>(M);
        impl<M: SerializeMap> Flat<M> {
            fn some(&mut self, key: &str, value: Option<&impl Serialize>) -> Result<(), M::Error> {
                value.map_or(Ok(()), |value| self.0.serialize_entry(key, value))
            }
        }

        let mut map = Flat(serializer.serialize_map(None)?);
        map.0.serialize_entry("event", self.event.name())?;
        map.0.serialize_entry("service_id", &self.service_id)?;
        map.some("timestamp", self.timestamp.as_ref())?;
        map.some("status", self.event.status().as_ref())?;
        match &self.event {
            Event::Declared(declared) => {
                map.some("restart_policy", declared.restart_policy.as_ref())?;
                map.some("restart_max", declared.restart_max.as_ref())?;
                map.some("restart_window", declared.restart_window.as_ref())?;
                if !declared.others.is_empty() {
                    map.0.serialize_entry("others", &declared.others)?;
                }
                map.some("declared", declared.declared.as_ref())?;
            }
            Event::Start { hostname, pid, recent_crashes } => {
                map.some("hostname", hostname.as_ref())?;
                map.some("pid", pid.as_ref())?;
                map.some("recent_crashes", recent_crashes.as_ref())?;
            }
            Event::Waiting { waiting_for, timed_out } => {
                map.0.serialize_entry("waiting_for", waiting_for)?;
                map.0.serialize_entry("timed_out", timed_out)?;
            }
            Event::Ready { startup_duration_seconds } => {
                map.some("startup_duration_seconds", startup_duration_seconds.as_ref())?;
            }
            Event::Stopping { reason } => map.some("reason", reason.as_ref())?,
            Event::Stop(stop) => {
                map.some("reason", stop.reason.as_ref())?;
                map.some("exit_code", stop.exit_code.as_ref())?;
                map.some("uptime_seconds", stop.uptime_seconds.as_ref())?;
                map.some("planned", stop.planned.as_deref())?;
            }
            Event::Crashed(crashed) => {
                map.some("exit_code", crashed.exit_code.as_ref())?;
                map.some("restart_policy", crashed.restart_policy.as_ref())?;
                map.0.serialize_entry("will_restart", &crashed.will_restart)?;
                map.some("signal", crashed.signal.as_ref())?;
                map.some("error", crashed.error.as_ref())?;
                map.some("restart_attempt", crashed.restart_attempt.as_ref())?;
                // the old console takes a number here, or nothing
                if let Some(Limit::Times(times)) = crashed.max_restarts {
                    map.0.serialize_entry("max_restarts", &times)?;
                }
                map.some("restart_at", crashed.restart_at.as_ref())?;
                map.some("uptime_seconds", crashed.uptime_seconds.as_ref())?;
                map.some("recent_crashes", crashed.recent_crashes.as_ref())?;
                map.some("core_dumped", crashed.core_dumped.as_ref())?;
                map.some("resources", crashed.resources.as_deref())?;
                if !crashed.last_lines.is_empty() {
                    let details = BTreeMap::from([("last_lines", &crashed.last_lines)]);
                    map.0.serialize_entry("details", &details)?;
                }
            }
            Event::Restarting { restart_attempt, max_restarts, recent_crashes } => {
                map.some("restart_attempt", restart_attempt.as_ref())?;
                map.some("max_restarts", max_restarts.as_ref())?;
                map.some("recent_crashes", recent_crashes.as_ref())?;
            }
            Event::Failed { reason, restart_count, restart_window } => {
                map.some("reason", reason.as_ref())?;
                map.some("restart_count", restart_count.as_ref())?;
                map.some("restart_window", restart_window.as_ref())?;
            }
            Event::Missed(missed) => {
                map.some("reason", missed.reason.as_ref())?;
                map.some("missed_count", missed.missed_count.as_ref())?;
                map.some("scheduled_at", missed.scheduled_at.as_ref())?;
                map.0.serialize_entry("made_up", &missed.made_up)?;
            }
            Event::Other(_) => {}
        }
        map.some("parent", self.parent.as_ref())?;
        map.some("runner_id", self.runner_id.as_ref())?;
        map.some("launcher_run", self.launcher_run.as_ref())?;
        map.some("event_seq", self.event_seq.as_ref())?;
        map.some("requested_by", self.requested_by.as_ref())?;
        map.0.end()
    }
}
