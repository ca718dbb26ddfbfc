//! What we say of a service (`truth.md` 4 to 6).

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::crashes::how_ended;

/// What the symbol and the colour say, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Given up, or unusable by its own word.
    Failed,
    /// Should be running, and nothing is heard of it.
    Lost,
    /// Running, and something is broken by its own word.
    Error,
    /// Crashed, and being brought back.
    Restarting,
    /// Running, and its heart or its loop is late.
    Late,
    /// Running, and something is less than it should be.
    Degraded,
    /// Its first start is under way.
    Starting,
    /// Ending.
    Stopping,
    /// Nothing can be said.
    Unknown,
    /// Running well.
    Ok,
    /// Not running, and not meant to.
    Stopped,
}

impl Verdict {
    /// All, worst first.
    pub const ALL: [Self; 11] = [
        Self::Failed,
        Self::Lost,
        Self::Error,
        Self::Restarting,
        Self::Late,
        Self::Degraded,
        Self::Starting,
        Self::Stopping,
        Self::Unknown,
        Self::Ok,
        Self::Stopped,
    ];

    /// The word, as in `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Error => "error",
            Self::Restarting => "restarting",
            Self::Late => "late",
            Self::Degraded => "degraded",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Stopped => "stopped",
        }
    }

    /// Something a person should look at: failed, lost, error, restarting, late or degraded.
    pub const fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Failed
                | Self::Lost
                | Self::Error
                | Self::Restarting
                | Self::Late
                | Self::Degraded
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a service is in its life, from the registry's events and its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Configured, not started.
    Declared,
    /// Being started.
    Starting,
    /// Up.
    Running,
    /// Asked to stop.
    Stopping,
    /// Ended, as intended.
    Stopped,
    /// Ended by itself with all done.
    Completed,
    /// Crashed, waiting to be started again.
    Backoff,
    /// Given up.
    Failed,
}

impl Phase {
    /// The word, as in `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }

    /// Whether a process or task should be there now.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the heartbeats say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Liveness {
    /// The last one is under 3 intervals old.
    Live,
    /// Under 12.
    Late,
    /// From there on.
    Lost,
    /// None is held of the present run.
    None,
}

impl Liveness {
    /// The word, as in `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Late => "late",
            Self::Lost => "lost",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One piece of a verdict's evidence: a code for scripts ([`Reason::code`]), words for people
/// (`Display`).
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Nothing for 3 intervals and more.
    HeartbeatLate(Silence),
    /// Nothing for 12 intervals and more.
    HeartbeatLost(Silence),
    /// No heartbeat of this run was ever heard.
    NeverHeard {
        /// How long it should have been beating.
        since: TimeDelta,
    },
    /// The service's own loop is late; its heart beats on a thread of its own.
    LoopBlocked {
        /// How late.
        lag: TimeDelta,
    },
    /// We have been blind ourselves, and wait for one interval before we call it lost.
    AfterOutage,
    /// Its launcher is lost.
    LauncherLost(String),
    /// Its launcher said that it ends.
    LauncherShutdown {
        /// The launcher.
        launcher: String,
        /// How long ago.
        ago: TimeDelta,
    },
    /// At a lost launcher: how many services it takes along.
    TakesAlong(usize),
    /// All that is known of its host is silent.
    HostSilent(String),
    /// Everything is silent at once while we are connected.
    HeartbeatsMissing,
    /// Alive though its launcher is gone.
    Orphaned(String),
    /// Alive though its launcher said that it ended.
    Unmanaged {
        /// How long ago it is said to have ended.
        ended_ago: TimeDelta,
    },
    /// Live launchers that declare it, or that declare something together with this one.
    Conflict(Vec<String>),
    /// Two programs beat under this name.
    Double(Vec<String>),
    /// Its launcher sent no start; its own words say that it runs.
    NoStartEvent,
    /// Its launcher sent no stop; its own words say that it ended.
    NoStopEvent,
    /// It ended as if all was well after saying that it failed.
    EndedAfterFailed,
    /// Its heart beats, and it says nothing else.
    NoStatus,
    /// Its launcher declares it no longer.
    NotDeclared,
    /// Its host's clock is wrong by this much (positive: behind the broker's).
    Skew {
        /// The host.
        host: String,
        /// Broker's time minus the host's.
        by: TimeDelta,
    },
    /// It says so itself.
    Reported {
        /// The status.
        status: crate::wire::Status,
        /// Its message.
        message: Option<String>,
        /// How old that is.
        ago: TimeDelta,
    },
    /// It crashed.
    Crashed {
        /// Signal's name, exit code or error text.
        how: String,
        /// How long ago.
        ago: TimeDelta,
        /// When it is to be started again.
        restart_at: Option<DateTime<Utc>>,
    },
    /// It was given up.
    GivenUp {
        /// `restart_limit_reached`, or what the launcher said.
        reason: String,
        /// Restarts tried.
        restarts: Option<u32>,
        /// In this time, where the limit was declared for one.
        window: Option<TimeDelta>,
        /// How long ago.
        ago: TimeDelta,
    },
    /// It was stopped, or ended by itself.
    Ended {
        /// `completed`, `terminated`, `force_killed`, or the launcher's word.
        reason: String,
        /// Its exit code; negative for a signal.
        exit_code: Option<i32>,
        /// How long ago.
        ago: TimeDelta,
    },
}

/// How long nothing was heard, against how often it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Since the last heartbeat.
    pub age: TimeDelta,
    /// Expected from one beat to the next.
    pub interval: TimeDelta,
}

impl Reason {
    /// The code, as in `--json`'s `reasons`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::HeartbeatLate(_) => "heartbeat_late",
            Self::HeartbeatLost(_) => "heartbeat_lost",
            Self::NeverHeard { .. } => "never_heard",
            Self::LoopBlocked { .. } => "loop_blocked",
            Self::AfterOutage => "after_outage",
            Self::LauncherLost(_) => "launcher_lost",
            Self::LauncherShutdown { .. } => "launcher_shutdown",
            Self::TakesAlong(_) => "takes_along",
            Self::HostSilent(_) => "host_silent",
            Self::HeartbeatsMissing => "heartbeats_missing",
            Self::Orphaned(_) => "orphaned",
            Self::Unmanaged { .. } => "unmanaged",
            Self::Conflict(_) => "conflict",
            Self::Double(_) => "double",
            Self::NoStartEvent => "no_start_event",
            Self::NoStopEvent => "no_stop_event",
            Self::EndedAfterFailed => "ended_after_failed",
            Self::NoStatus => "no_status",
            Self::NotDeclared => "not_declared",
            Self::Skew { .. } => "skew",
            Self::Reported { .. } => "reported",
            Self::Crashed { .. } => "crashed",
            Self::GivenUp { .. } => "given_up",
            Self::Ended { .. } => "ended",
        }
    }
}

/// A length of time as people say it: `0.4 s`, `41 s`, `4m 12s`, `3h 11m`, `2d 4h`.
pub fn words(span: TimeDelta) -> String {
    let millis = span.num_milliseconds();
    let (sign, millis) =
        if millis < 0 { ("-", millis.unsigned_abs()) } else { ("", millis.unsigned_abs()) };
    let seconds = millis / 1000;
    let text = match seconds {
        0 if millis == 0 => "0 s".to_owned(),
        0..10 if millis % 1000 >= 50 => format!("{:.1} s", millis as f64 / 1000.0),
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    };
    format!("{sign}{text}")
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeartbeatLate(silence) | Self::HeartbeatLost(silence) => write!(
                f,
                "last heartbeat {} ago, expected every {}",
                words(silence.age),
                words(silence.interval)
            ),
            Self::NeverHeard { since } => {
                write!(f, "no heartbeat held of this run, for {}", words(*since))
            }
            Self::LoopBlocked { lag } => {
                write!(
                    f,
                    "its loop is {} late; its heart beats on a thread of its own",
                    words(*lag)
                )
            }
            Self::AfterOutage => {
                f.write_str("silent since the broker came back, waiting one interval")
            }
            Self::LauncherLost(launcher) => write!(f, "launcher lost: {launcher}"),
            Self::LauncherShutdown { launcher, ago } => {
                write!(f, "its launcher said {} ago that it ends: {launcher}", words(*ago))
            }
            Self::TakesAlong(1) => f.write_str("launcher lost: 1 service"),
            Self::TakesAlong(n) => write!(f, "launcher lost: {n} services"),
            Self::HostSilent(host) => write!(f, "host silent: {host}"),
            Self::HeartbeatsMissing => f.write_str("all heartbeats are missing at once"),
            Self::Orphaned(launcher) => write!(f, "its launcher is gone, it is alive: {launcher}"),
            Self::Unmanaged { ended_ago } => {
                write!(f, "alive {} after its end, by its launcher's word", words(*ended_ago))
            }
            Self::Conflict(launchers) => {
                write!(f, "declared by more than one live launcher: {}", launchers.join(", "))
            }
            Self::Double(senders) => {
                write!(f, "two programs beat under this name: {}", senders.join(", "))
            }
            Self::NoStartEvent => f.write_str("no start event; it speaks for itself"),
            Self::NoStopEvent => f.write_str("no stop event; it said itself that it ends"),
            Self::EndedAfterFailed => f.write_str("ended after it had said that it failed"),
            Self::NoStatus => f.write_str("no status is held of this run"),
            Self::NotDeclared => f.write_str("no longer declared by its launcher"),
            Self::Skew { host, by } if *by < TimeDelta::zero() => {
                write!(f, "clock of {host} is {} ahead", words(-*by))
            }
            Self::Skew { host, by } => write!(f, "clock of {host} is {} behind", words(*by)),
            Self::Reported { status, message, ago } => {
                write!(f, "says {status} since {}", words(*ago))?;
                message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
            }
            Self::Crashed { how, ago, restart_at: _ } => {
                write!(f, "crashed {} ago: {how}", words(*ago))
            }
            Self::GivenUp { reason, restarts, window, ago } => {
                f.write_str(&reason.replace('_', " "))?;
                match (restarts, window) {
                    (Some(0) | None, _) => {}
                    (Some(n), Some(window)) => write!(f, " ({n} in {} s)", window.num_seconds())?,
                    (Some(n), None) => write!(f, " ({n} restarts)")?,
                }
                write!(f, ", {} ago", words(*ago))
            }
            Self::Ended { reason, exit_code, ago } => {
                write!(f, "{} {} ago", reason.replace('_', " "), words(*ago))?;
                match exit_code {
                    Some(0) | None => Ok(()),
                    Some(code) => write!(f, ", {}", how_ended(*code)),
                }
            }
        }
    }
}
