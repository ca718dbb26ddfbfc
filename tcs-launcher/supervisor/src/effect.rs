//! What the supervisor wants done.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use tcs_wire::gave_up;

use super::agenda::Missed;
use super::event::{Run, Ticket};
use super::spec::ServiceId;

/// One thing to do. The effects of one event are to be done in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start it, and report `Spawned` or `NotSpawned`, then what happens, then `Exited` and
    /// `Cleared`.
    Spawn {
        /// Which service.
        id: ServiceId,
        /// The number to report with.
        run: Run,
    },
    /// Ask it to end: stop signal to its group, or cancellation of its task. A start that is under
    /// way is ended.
    Stop {
        /// Which service.
        id: ServiceId,
        /// Which run.
        run: Run,
    },
    /// End it and all it has started, at once. Comes again while it has not helped.
    Kill {
        /// Which service.
        id: ServiceId,
        /// Which run.
        run: Run,
    },
    /// Say so on the wire.
    Publish {
        /// Of which service.
        id: ServiceId,
        /// What happened.
        event: Lifecycle,
        /// Who asked for it, where somebody did.
        requested_by: Option<Arc<str>>,
    },
    /// Answer a caller.
    Reply {
        /// Whom.
        ticket: Ticket,
        /// With what.
        answer: Answer,
    },
    /// The service is no longer configured, and nothing of it is left.
    Forget {
        /// Which service.
        id: ServiceId,
    },
    /// All has ended: the launcher's turn.
    Done(Conclusion),
}

/// How all of it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// No wanted service had failed, none was killed by force, and nothing was left behind.
    Success,
    /// Something of that was so.
    Failure,
}

/// The registry event to publish (`docs/spec/wire.md#registry-events`).
#[derive(Debug, Clone, PartialEq)]
pub enum Lifecycle {
    /// Listed in the configuration.
    Declared,
    /// Its start waits for others, or no longer does.
    Waiting {
        /// Services that are to be up first, or to have ended.
        on: Vec<ServiceId>,
        /// It is started now although they are not: their `start_timeout` has passed.
        timed_out: bool,
    },
    /// Started.
    Start {
        /// Its process; `None` for a task.
        pid: Option<u32>,
        /// Crashes in the last 10 minutes.
        recent_crashes: u32,
    },
    /// Start-up finished.
    Ready {
        /// How long it took.
        took: Duration,
    },
    /// A stop is under way.
    Stopping {
        /// Why.
        reason: StopReason,
    },
    /// Ended as intended.
    Stop {
        /// In which way.
        reason: EndReason,
        /// Negative for a signal; `None` where there was no run to end.
        code: Option<i32>,
        /// How long it had run.
        uptime: Option<Duration>,
    },
    /// Ended by itself, not as intended.
    Crashed {
        /// Negative for a signal; `None` where it could not be started.
        code: Option<i32>,
        /// Whether the kernel wrote a core file.
        core_dumped: bool,
        /// Why, in one line: text of the error or panic, or our reason to end it.
        error: Option<String>,
        /// The attempt to come, and in how long; `None` if there will be none.
        restart: Option<(u32, Duration)>,
        /// From here on the delay is longer than the policy's, because runs end too soon.
        throttled: bool,
        /// Crashes in the last 10 minutes, this one included.
        recent_crashes: u32,
        /// Restarts that the window allows.
        limit: Option<u32>,
        /// How long it had run.
        uptime: Duration,
    },
    /// Being started again after a crash.
    Restarting {
        /// From 1.
        attempt: u32,
        /// Restarts that the window allows.
        limit: Option<u32>,
        /// Crashes in the last 10 minutes.
        recent_crashes: u32,
    },
    /// Runs of its schedule did not take place.
    Missed(Missed),
    /// Given up.
    Failed {
        /// Why.
        reason: FailReason,
        /// Restarts inside the window.
        restarts: u32,
    },
}

/// Why a stop is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// Somebody asked for a stop.
    Requested,
    /// Somebody asked for a restart.
    Restart,
    /// The configuration changed.
    Reload,
    /// The launcher ends.
    Shutdown,
    /// It was not ready in time.
    NotReady,
    /// Its watchdog was not served in time.
    Watchdog,
}

impl StopReason {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Shutdown => "shutdown",
            Self::NotReady => "not_ready",
            Self::Watchdog => "watchdog",
        }
    }

    /// Whether we end it because it failed, not because it was asked for.
    pub(super) fn is_failure(self) -> bool {
        match self {
            Self::NotReady | Self::Watchdog => true,
            Self::Requested | Self::Restart | Self::Reload | Self::Shutdown => false,
        }
    }
}

/// How an intended end came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// It had done its work.
    Completed,
    /// It was asked to end, and did.
    Terminated,
    /// It was asked to end, did not in time, and was killed.
    ForceKilled,
}

impl EndReason {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Terminated => "terminated",
            Self::ForceKilled => "force_killed",
        }
    }
}

/// Why a service was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailReason {
    /// The window, which is this long, holds as many restarts as are allowed.
    LimitReached {
        /// `restart_window`
        window: Duration,
    },
    /// It could not be started: the error.
    NotStarted(String),
}

impl FailReason {
    /// As it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::LimitReached { .. } => "restart_limit_reached",
            Self::NotStarted(error) => error,
        }
    }

    /// For people: `restart limit reached (2 in 30 s), giving up`.
    pub fn in_words(&self, restarts: u32) -> String {
        let window = self.window().map(|window| window.as_secs_f64());
        gave_up(Some(self.as_str()), Some(restarts), window)
    }

    /// In which the restarts were counted.
    pub fn window(&self) -> Option<Duration> {
        match self {
            Self::LimitReached { window } => Some(*window),
            Self::NotStarted(_) => None,
        }
    }
}

/// What a caller is told, after the effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To a request for one service.
    Service(Result<Success, Refusal>),
    /// To a reload: what became of each service that it touched.
    Reload(Vec<(ServiceId, Result<Success, Refusal>)>),
}

/// The state that was asked for has been reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// The state.
    pub state: Reached,
    /// False: it was in that state already.
    pub changed: bool,
}

/// Where a service has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Up.
    Running {
        /// Its process; `None` for a task.
        pid: Option<u32>,
    },
    /// Started, and not ready within its `start_timeout`.
    Starting {
        /// Its process; `None` for a task.
        pid: Option<u32>,
    },
    /// Started, and has done its work already.
    Completed,
    /// Down, with nothing of it left.
    Stopped {
        /// How its last run ended, if it had one.
        code: Option<i32>,
    },
    /// Only the supervisor's own rules for it have changed.
    Updated,
}

/// Why what was asked for is not so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not in the configuration.
    #[error("no such service here: {0}")]
    UnknownService(ServiceId),
    /// The launcher ends.
    #[error("the launcher is shutting down")]
    ShuttingDown,
    /// More requests wait for their effect than can be remembered.
    #[error("too many requests under way")]
    TooManyRequests,
    /// It cannot be started.
    #[error("not started: {0}")]
    NotStarted(String),
    /// It ended before it was up.
    #[error("crashed while starting ({}){}", describe(*.code, .error.as_deref()), if *.will_restart { ", will be started again" } else { "" })]
    Crashed {
        /// Negative for a signal; `None` where it could not be started.
        code: Option<i32>,
        /// Text of the error, where it is known.
        error: Option<String>,
        /// Whether the restart policy gives it another try.
        will_restart: bool,
    },
    /// Somebody asked for the opposite before it came about.
    #[error("overtaken: {by} asked for the opposite")]
    Overtaken {
        /// Who, or the launcher itself.
        by: Arc<str>,
    },
    /// It survives SIGKILL (a process that hangs in the kernel).
    #[error("cannot be killed: still there after SIGKILL")]
    Unkillable,
}

fn describe(code: Option<i32>, error: Option<&str>) -> String {
    let code = match code {
        Some(code) if code < 0 => format!("signal {}", -code),
        Some(code) => format!("code {code}"),
        None => return error.unwrap_or("exit status unknown").to_owned(),
    };
    error.map_or(code.clone(), |error| format!("{code}: {error}"))
}
