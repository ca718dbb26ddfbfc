//! The input of the supervisor: events.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spec::{ServiceId, Spec};

/// Which start of a service: 1, 2, ... It goes out with [`Effect::Spawn`](super::Effect) and comes
/// back with each report, so that a late word of an earlier run is not taken for the present one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Run(pub u64);

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A configuration, or what changed in it. The first one starts everything.
    Apply {
        /// What is to change.
        diff: Diff,
        /// Who asked, and how to answer; `None` at launch and for SIGHUP.
        request: Option<(Ticket, Operation)>,
    },
    /// Somebody asked for something.
    Request {
        /// How to answer.
        ticket: Ticket,
        /// Which operation it is, and whose.
        operation: Operation,
        /// To whom.
        id: ServiceId,
        /// What.
        command: Command,
    },
    /// A runner's word on one run.
    Report {
        /// Of which service.
        id: ServiceId,
        /// Of which of its runs.
        run: Run,
        /// What.
        report: Report,
    },
    /// The time of [`Supervisor::deadline`](super::Supervisor::deadline) has come.
    Tick,
    /// The launcher is to end: in order the first time, by force the second.
    Shutdown,
}

/// What a runner says of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// It runs.
    Spawned {
        /// Its process; `None` for a task.
        pid: Option<u32>,
    },
    /// It could not be started, and nothing of it is left.
    NotSpawned {
        /// What was tried, and why it failed.
        error: String,
        /// Another try may succeed (no memory, no free process): the restart policy decides.
        transient: bool,
    },
    /// Its start-up is finished.
    Ready,
    /// It published a status.
    Said {
        /// What the status means to us.
        word: Word,
        /// The status message.
        message: Option<String>,
    },
    /// The service's own watchdog (`sd_notify`).
    Watchdog(Watchdog),
    /// The process or task has ended. Others that it started may still be there.
    Exited(Exit),
    /// Nothing of it is left. Comes after `Exited`, once.
    Cleared,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; negative for a signal; `None` where the system does not tell it.
    pub code: Option<i32>,
    /// Why, in one line, where it is known: by the service itself, or from the end of its output.
    pub error: Option<String>,
    /// Whether the kernel wrote a core file.
    pub core_dumped: bool,
}

impl Exit {
    /// An exit with this code and no more.
    pub fn code(code: i32) -> Self {
        Self { code: Some(code), error: None, core_dumped: false }
    }

    /// An exit with this code, and why.
    pub fn failed(code: i32, error: String) -> Self {
        Self { error: Some(error), ..Self::code(code) }
    }

    /// A death by this signal.
    pub fn signal(signal: i32) -> Self {
        Self::code(-signal)
    }
}

/// What a status of a service's own means to the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// `failed` or `error`: an exit with code 0 after it is a failure
    /// (`docs/spec/supervision.md#how-python-services-end`).
    Failed,
    /// `busy`: a patient stop waits for the end of it.
    Busy,
    /// Any other.
    Other,
}

/// Words of `sd_notify` about the watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watchdog {
    /// `WATCHDOG_USEC=`: from now on it will be heard of at least this often; zero ends it.
    Every(Duration),
    /// `WATCHDOG=1`
    Alive,
    /// `WATCHDOG=trigger`: the service itself asks to be taken for hung.
    Trigger,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Be up. Clears the count of restarts.
    Start,
    /// Be down.
    Stop(Patience),
    /// Be down, and stay so until somebody asks for a start, whatever the configuration says.
    Hold(Patience),
    /// End the present run, if there is one, and be up again.
    Restart(Patience),
}

/// Whether a stop waits for a busy service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It does not.
    Now,
    /// Until the service no longer says `busy`, and at most this long.
    WhenIdle(Option<Duration>),
}

/// The way back to one caller. Each ticket is answered once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What makes two requests the same one, asked twice (`docs/spec/wire.md#requests`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    /// `meta.sender`: also who asked.
    pub sender: Arc<str>,
    /// `meta.id`
    pub message: Arc<str>,
}

/// From one configuration to the next.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Diff {
    /// New services, in the order of the file.
    pub added: Vec<Spec>,
    /// Services that must be started anew to be what the file now says.
    pub restarted: Vec<Spec>,
    /// Services of which only what concerns the supervisor has changed.
    pub updated: Vec<Spec>,
    /// Services that are no longer there.
    pub removed: Vec<ServiceId>,
    /// Services that are as before, and are to be up, unless they are held down.
    pub up: Vec<ServiceId>,
    /// Services that are as before, and are to be down.
    pub down: Vec<ServiceId>,
    /// Those of the new ones that an earlier launcher was told to hold down.
    pub held: Vec<ServiceId>,
}
