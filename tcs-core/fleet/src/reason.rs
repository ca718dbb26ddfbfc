//! Why a verdict is as it is: a code for scripts ([`Reason::code`]), a text for people (`Display`).

use std::fmt;

use chrono::TimeDelta;

use tcs_wire::format_duration;
use tcs_wire::how_ended;

/// One reason of a verdict.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// At a lost launcher: how many services are lost with it.
    TakesAlong(usize),
    /// Its launcher is lost.
    LauncherLost(String),
    /// All that is known of its host is silent.
    HostSilent(String),
    /// Its launcher reported that it ends.
    LauncherShutdown {
        /// The launcher.
        launcher: String,
        /// How long ago.
        ago: TimeDelta,
    },
    /// We were not connected ourselves, and wait for one interval before we call it lost.
    AfterOutage,
    /// Its launcher declares it no longer.
    NotDeclared,
    /// It is to be started, and other services are not ready yet.
    WaitingFor {
        /// Their ids.
        services: Vec<String>,
        /// How long it has been waiting.
        waited: TimeDelta,
        /// Longer than `launch.start_timeout`: it is started all the same.
        timed_out: bool,
    },
    /// It has been started, and is not ready yet.
    NotReady {
        /// When it is, for people: `when its output matches /up/`.
        until: String,
        /// How long ago it was started.
        waited: TimeDelta,
    },
    /// What it reports itself.
    Reported {
        /// The status.
        status: tcs_wire::Status,
        /// The component in trouble, where it is not the service itself.
        part: Option<String>,
        /// The component's message, or the service's own.
        message: Option<String>,
        /// How long it has been reporting this.
        ago: TimeDelta,
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
    /// It crashed.
    Crashed {
        /// Why, in one line: [`tcs_wire::Crashed::headline`].
        cause: String,
        /// How long it had run.
        uptime: Option<TimeDelta>,
        /// How long ago.
        ago: TimeDelta,
        /// When it is to be started again, from now; negative: overdue.
        restart_in: Option<TimeDelta>,
    },
    /// It was stopped, or ended by itself.
    Ended {
        /// `completed`, `terminated`, `force_killed`, or what the launcher said.
        reason: String,
        /// Its exit code; negative for a signal.
        exit_code: Option<i32>,
        /// Who asked for it.
        requested_by: Option<String>,
        /// How long ago.
        ago: TimeDelta,
    },
    /// It was stopped for planned work, and stays so until somebody starts it.
    Planned {
        /// Which work, as they say.
        comment: String,
        /// Who stopped it, as they claim.
        by: Option<String>,
        /// How long ago.
        ago: TimeDelta,
    },
    /// It runs at times, and the next one comes.
    Scheduled {
        /// When, as people write it: `30 7 * * * Europe/Warsaw`.
        rule: String,
        /// In which time; negative: it is due.
        next_in: TimeDelta,
    },
    /// Alive though its launcher is gone.
    Orphaned(String),
    /// Running outside its launcher's control.
    Unmanaged {
        /// How long ago its launcher reported its end.
        ended_ago: Option<TimeDelta>,
    },
    /// Two programs send heartbeats under this name: their senders.
    Double(Vec<String>),
    /// Live launchers that declare it, or that declare something together with this one.
    Conflict(Vec<String>),
    /// It crashed several times within 10 minutes.
    Flapping {
        /// How often.
        crashes: u32,
        /// There may be more, of which nothing is held.
        at_least: bool,
        /// Why the last time, in one line.
        cause: String,
        /// How long ago the last one was.
        ago: TimeDelta,
    },
    /// No heartbeat for 3 intervals and more.
    HeartbeatLate(Silence),
    /// No heartbeat for 12 intervals and more.
    HeartbeatLost(Silence),
    /// No heartbeat of this run was ever received.
    NeverHeard {
        /// How long ago it started.
        since: TimeDelta,
    },
    /// The service's main loop does not run; its heartbeats come from a thread of their own.
    LoopBlocked {
        /// For how long.
        lag: TimeDelta,
    },
    /// It sends heartbeats, and no status.
    NoStatus,
    /// It ended without an error after it had reported one.
    EndedAfterFailed,
    /// Its launcher sent no start event; its own messages show that it runs.
    NoStartEvent,
    /// Its launcher sent no stop event; its own messages show that it ended.
    NoStopEvent,
    /// No heartbeat of any service comes while we are connected.
    HeartbeatsMissing,
    /// Its host's clock is wrong by this much (positive: behind the broker's).
    Skew {
        /// The host.
        host: String,
        /// Broker's time minus the host's.
        by: TimeDelta,
    },
}

/// How long nothing came, against how often it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Since the last heartbeat.
    pub age: TimeDelta,
    /// Expected from one beat to the next.
    pub interval: TimeDelta,
}

impl Reason {
    /// All codes.
    pub const CODES: [&str; 29] = [
        "takes_along",
        "launcher_lost",
        "host_silent",
        "launcher_shutdown",
        "after_outage",
        "no_longer_declared",
        "waiting_for",
        "not_ready",
        "reported",
        "given_up",
        "crashed",
        "ended",
        "planned",
        "scheduled",
        "orphaned",
        "unmanaged",
        "double",
        "conflict",
        "flapping",
        "heartbeat_late",
        "heartbeat_lost",
        "never_heard",
        "loop_blocked",
        "no_status",
        "ended_after_failed",
        "no_start_event",
        "no_stop_event",
        "heartbeats_missing",
        "skew",
    ];

    /// The code, as in `--json`'s `reasons`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TakesAlong(_) => "takes_along",
            Self::LauncherLost(_) => "launcher_lost",
            Self::HostSilent(_) => "host_silent",
            Self::LauncherShutdown { .. } => "launcher_shutdown",
            Self::AfterOutage => "after_outage",
            Self::NotDeclared => "no_longer_declared",
            Self::WaitingFor { .. } => "waiting_for",
            Self::NotReady { .. } => "not_ready",
            Self::Reported { .. } => "reported",
            Self::GivenUp { .. } => "given_up",
            Self::Crashed { .. } => "crashed",
            Self::Ended { .. } => "ended",
            Self::Planned { .. } => "planned",
            Self::Scheduled { .. } => "scheduled",
            Self::Orphaned(_) => "orphaned",
            Self::Unmanaged { .. } => "unmanaged",
            Self::Double(_) => "double",
            Self::Conflict(_) => "conflict",
            Self::Flapping { .. } => "flapping",
            Self::HeartbeatLate(_) => "heartbeat_late",
            Self::HeartbeatLost(_) => "heartbeat_lost",
            Self::NeverHeard { .. } => "never_heard",
            Self::LoopBlocked { .. } => "loop_blocked",
            Self::NoStatus => "no_status",
            Self::EndedAfterFailed => "ended_after_failed",
            Self::NoStartEvent => "no_start_event",
            Self::NoStopEvent => "no_stop_event",
            Self::HeartbeatsMissing => "heartbeats_missing",
            Self::Skew { .. } => "skew",
        }
    }

    /// Where it stands among the reasons of one verdict: a cause before its effect, what concerns
    /// the service before what explains the picture.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::TakesAlong(_) => 0,
            Self::LauncherLost(_) => 1,
            Self::HostSilent(_) => 2,
            Self::LauncherShutdown { .. } => 3,
            Self::AfterOutage => 4,
            Self::WaitingFor { .. } | Self::NotReady { .. } => 5,
            Self::Reported { .. } => 6,
            Self::GivenUp { .. } => 7,
            Self::Crashed { .. } => 8,
            // in the order in which they are given
            Self::Planned { .. } | Self::Ended { .. } | Self::Scheduled { .. } => 9,
            Self::Double(_) => 10,
            Self::Conflict(_) => 11,
            Self::Orphaned(_) => 12,
            Self::Unmanaged { .. } => 13,
            Self::Flapping { .. } => 14,
            Self::HeartbeatLate(_)
            | Self::HeartbeatLost(_)
            | Self::NeverHeard { .. }
            | Self::LoopBlocked { .. } => 15,
            Self::NoStatus => 16,
            Self::EndedAfterFailed => 17,
            Self::NoStartEvent | Self::NoStopEvent => 18,
            Self::HeartbeatsMissing => 19,
            Self::NotDeclared => 20,
            Self::Skew { .. } => 21,
        }
    }

    /// What was wrong, without ages: for an incident of the past.
    pub fn cause(&self) -> String {
        match self {
            Self::Reported { status, part, message, .. } => {
                let part = part.as_ref().map_or_else(String::new, |part| format!("{part}: "));
                match message {
                    Some(message) => format!("reported {status}: {part}{message}"),
                    None => format!("{part}reported {status}"),
                }
            }
            Self::Crashed { cause, uptime, .. } => format!("crashed{}: {cause}", after(*uptime)),
            Self::Flapping { cause, .. } => format!("crashes repeatedly: {cause}"),
            Self::GivenUp { reason, .. } => format!("given up: {}", reason.replace('_', " ")),
            Self::HeartbeatLate(_) | Self::HeartbeatLost(_) => "heartbeats stopped".to_owned(),
            Self::NeverHeard { .. } => "no heartbeat since its start".to_owned(),
            Self::LoopBlocked { .. } => "main loop blocked".to_owned(),
            Self::TakesAlong(_) => "launcher lost".to_owned(),
            Self::LauncherShutdown { launcher, .. } => format!("launcher {launcher} was shut down"),
            Self::Unmanaged { .. } => {
                "still running after its launcher reported its end".to_owned()
            }
            other => other.to_string(),
        }
    }

    /// The cause first, the age last: for one line in a list, whose end may be cut.
    pub fn headline(&self) -> String {
        match self {
            Self::Reported { part: Some(part), message: Some(message), .. } => {
                format!("{part}: {message}")
            }
            Self::Reported { part: None, message: Some(message), .. } => message.clone(),
            Self::Crashed { cause, uptime, ago, restart_in } => {
                let then = then(*ago, *restart_in, ", ");
                // `crashed 4 s ago`, but `crashed after 6 s, 4 s ago`
                let then = match (uptime, restart_in) {
                    (None, None) => then.trim_start_matches(','),
                    _ => &then,
                };
                format!("{cause}; crashed{}{then}", after(*uptime))
            }
            other => other.to_string(),
        }
    }

    fn flapping(&self) -> String {
        let Self::Flapping { crashes, at_least, ago, .. } = self else { return String::new() };
        let or_more = if *at_least { " or more" } else { "" };
        format!("{crashes}{or_more} crashes in 10 min, the last {} ago", format_duration(*ago))
    }
}

/// ` after 6 s`
fn after(uptime: Option<TimeDelta>) -> String {
    uptime.map_or_else(String::new, |uptime| format!(" after {}", format_duration(uptime)))
}

/// What comes after a crash, behind `separator`; or how old it is.
fn then(ago: TimeDelta, restart_in: Option<TimeDelta>, separator: &str) -> String {
    match restart_in {
        Some(left) if left > TimeDelta::zero() => {
            format!("{separator}restarting in {}", format_duration(left))
        }
        Some(_) => format!("{separator}restarting now"),
        None => format!(", {} ago", format_duration(ago)),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakesAlong(1) => f.write_str("launcher lost: 1 service"),
            Self::TakesAlong(n) => write!(f, "launcher lost: {n} services"),
            Self::LauncherLost(launcher) => write!(f, "launcher lost: {launcher}"),
            Self::HostSilent(host) => write!(f, "host silent: {host}"),
            Self::LauncherShutdown { launcher, ago } => {
                write!(f, "launcher {launcher} was shut down {} ago", format_duration(*ago))
            }
            Self::AfterOutage => {
                f.write_str("no heartbeat since the broker came back (waiting one interval)")
            }
            Self::NotDeclared => f.write_str("no longer declared by its launcher"),
            Self::WaitingFor { services, timed_out: true, .. } => {
                write!(f, "{} not ready within the start timeout", services.join(", "))
            }
            Self::WaitingFor { services, waited, timed_out: false } => {
                write!(
                    f,
                    "waiting for {}, {} so far",
                    services.join(", "),
                    format_duration(*waited)
                )
            }
            Self::NotReady { until, waited } => {
                write!(f, "ready {until}, {} so far", format_duration(*waited))
            }
            Self::Planned { comment, by, ago } => {
                write!(f, "planned work: {comment}; stopped")?;
                if let Some(by) = by {
                    write!(f, " by {by}")?;
                }
                write!(f, " {} ago", format_duration(*ago))
            }
            Self::Scheduled { rule, next_in } if *next_in > TimeDelta::zero() => {
                write!(f, "next run in {} ({rule})", format_duration(*next_in))
            }
            Self::Scheduled { rule, .. } => write!(f, "next run is due ({rule})"),
            Self::Reported { status, part, message, ago } => {
                let who = part.as_deref().unwrap_or_default();
                match message {
                    Some(message) if who.is_empty() => write!(f, "{message}; ")?,
                    Some(message) => write!(f, "{who}: {message}; ")?,
                    None if who.is_empty() => {}
                    None => write!(f, "{who} ")?,
                }
                write!(f, "has reported {status} for {}", format_duration(*ago))
            }
            Self::GivenUp { reason, restarts, window, ago } => {
                f.write_str(&reason.replace('_', " "))?;
                match (restarts, window) {
                    (Some(0) | None, _) => {}
                    (Some(n), Some(window)) => write!(f, " ({n} in {})", format_duration(*window))?,
                    (Some(n), None) => write!(f, " ({n} restarts)")?,
                }
                write!(f, ", gave up {} ago", format_duration(*ago))
            }
            Self::Crashed { cause, uptime, ago, restart_in } => {
                write!(f, "crashed{}: {cause}{}", after(*uptime), then(*ago, *restart_in, "; "))
            }
            Self::Ended { reason, exit_code, requested_by, ago } => {
                f.write_str(&reason.replace('_', " "))?;
                if let Some(code) = exit_code.filter(|code| *code != 0) {
                    write!(f, " ({})", how_ended(code))?;
                }
                if let Some(by) = requested_by {
                    write!(f, " by {by}")?;
                }
                write!(f, " {} ago", format_duration(*ago))
            }
            Self::Orphaned(launcher) => {
                write!(f, "still running, but its launcher is gone: {launcher}")
            }
            Self::Unmanaged { ended_ago: Some(ago) } => {
                write!(
                    f,
                    "still running {} after its launcher reported its end",
                    format_duration(*ago)
                )
            }
            Self::Unmanaged { ended_ago: None } => {
                f.write_str("running outside its launcher's control")
            }
            Self::Double(senders) => {
                write!(f, "two programs run under this name: {}", senders.join(", "))
            }
            Self::Conflict(launchers) => {
                write!(f, "declared by more than one live launcher: {}", launchers.join(", "))
            }
            Self::Flapping { cause, .. } => write!(f, "{cause}; {}", self.flapping()),
            Self::HeartbeatLate(silence) | Self::HeartbeatLost(silence) => write!(
                f,
                "no heartbeat for {} (expected every {})",
                format_duration(silence.age),
                format_duration(silence.interval)
            ),
            Self::NeverHeard { since } => {
                write!(f, "no heartbeat since its start {} ago", format_duration(*since))
            }
            Self::LoopBlocked { lag } => {
                write!(
                    f,
                    "main loop blocked for {} (heartbeat thread still running)",
                    format_duration(*lag)
                )
            }
            Self::NoStatus => f.write_str("no status received since its start"),
            Self::EndedAfterFailed => f.write_str("ended after it had reported a failure"),
            Self::NoStartEvent => f.write_str("no start event; its own messages show that it runs"),
            Self::NoStopEvent => f.write_str("no stop event; its own messages show that it ended"),
            Self::HeartbeatsMissing => f.write_str("no heartbeat of any service"),
            Self::Skew { host, by } if *by < TimeDelta::zero() => {
                write!(f, "clock of {host} is {} ahead", format_duration(-*by))
            }
            Self::Skew { host, by } => {
                write!(f, "clock of {host} is {} behind", format_duration(*by))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn every_code_is_in_the_list_of_all() {
        let source = include_str!("reason.rs");
        let arms = source.split("fn code").nth(1).unwrap().split("fn rank").next().unwrap();
        let codes: Vec<&str> =
            arms.split("=> \"").skip(1).map(|arm| arm.split('"').next().unwrap()).collect();
        assert_eq!(codes, Reason::CODES);
    }
}
