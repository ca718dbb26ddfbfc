//! What the supervisor wants done.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use tcs_wire::Event as RegistryEvent;

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
    /// Say so on the wire (`docs/spec/wire.md#registry-events`). What only the launcher knows is not in
    /// it: what a `declared` says of the configuration, host and times of day, output and resources.
    Publish {
        /// Of which service.
        id: ServiceId,
        /// What happened.
        event: RegistryEvent,
        /// For a crash: the restart that follows, if any.
        restart: Option<Delay>,
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

/// How soon a crashed service is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// From the crash on.
    pub length: Duration,
    /// Whether the delay is now longer than the policy's, because runs end too soon.
    pub throttled: bool,
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
pub(super) enum EndReason {
    /// It had done its work.
    Completed,
    /// It was asked to end, and did.
    Terminated,
    /// It was asked to end, did not in time, and was killed.
    ForceKilled,
}

impl EndReason {
    /// As it stands on the wire.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Terminated => "terminated",
            Self::ForceKilled => "force_killed",
        }
    }
}

/// The reply to a caller, sent after the effect.
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
