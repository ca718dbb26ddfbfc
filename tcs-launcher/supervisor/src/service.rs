//! One service: its state, and what each event does to it.
//!
//! Two facts stand beside the state. `wanted` is what people want (up or down), and outlives any
//! state. `remains` says that the last run has ended while something that it started may still be
//! there: a crash is published at once, but nothing new is started on top of the old.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tcs_wire::{Declared, Event as RegistryEvent, Limit, Stop};

use super::deadline::{Deadlines, Timer};
use super::effect::{Effect, EndReason, StopReason};
use super::event::{Run, Word};
use super::policy::{Crashes, History};
use super::spec::{Readiness, ServiceId, Spec};
use super::{Phase, Snapshot};

mod reports;
mod requests;

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum State {
    /// Configured, and never asked to run.
    Declared,
    /// To be started as soon as order, a free place and what remains of its last run allow.
    Waiting {
        /// Which restart after a crash; 0 if it is none.
        attempt: u32,
    },
    /// The runner has been asked, and has not answered.
    Spawning { attempt: u32 },
    /// Started, not ready yet.
    Starting { live: Live, attempt: u32 },
    /// Up.
    Running { live: Live },
    /// Told to end; `live` is `None` while the runner has not even said that it runs.
    Stopping { live: Option<Live>, reason: StopReason },
    /// Crashed, and waiting for its restart.
    Backoff { attempt: u32 },
    /// Ended because somebody asked.
    Stopped,
    /// Ended by itself, its work done.
    Completed,
    /// Ended by itself, and left so.
    Failed,
}

/// What is known of a run that is going on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Live {
    pub(super) pid: Option<u32>,
    pub(super) since: Duration,
    word: Word,
    message: Option<String>,
}

/// A stop that is decided, and waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Later {
    /// For the service to be idle.
    WhenIdle(StopReason),
    /// For those that were started after it to be down: the launcher ends.
    InTurn,
}

/// How the last run ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Last {
    pub(super) code: Option<i32>,
    pub(super) error: Option<String>,
    /// It never ran: `error` says why.
    pub(super) not_started: bool,
    pub(super) core_dumped: bool,
}

impl Last {
    fn not_started(error: String) -> Self {
        Self { error: Some(error), not_started: true, ..Self::default() }
    }
}

/// Where effects go, and the time.
pub(super) struct Out<'a> {
    pub(super) now: Duration,
    pub(super) effects: &'a mut Vec<Effect>,
}

/// Who asked.
pub(super) type Requester<'a> = Option<&'a Arc<str>>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) spec: Spec,
    /// Place in the configuration: decides where level and `after` do not.
    pub(super) place: u64,
    pub(super) state: State,
    /// The latest run, going on or ended; 0 before the first.
    pub(super) run: Run,
    pub(super) wanted: bool,
    /// Down until somebody asks for a start, whatever the configuration says.
    #[serde(default)]
    pub(super) held: bool,
    /// Somebody asked for another run after the present one.
    again: bool,
    pub(super) later: Option<Later>,
    pub(super) remains: bool,
    /// No longer configured: to be forgotten once nothing of it is left.
    pub(super) leaving: bool,
    /// The present run, or what remains of it, has been sent SIGKILL.
    killed: bool,
    /// And is still there long after: it hangs in the kernel.
    unkillable: bool,
    /// To be killed as soon as it is there.
    hurried: bool,
    /// A reload has added or changed it: it starts only once all that the reload stops has ended.
    pub(super) held_by_reload: bool,
    /// It has run as it is configured now, so that a start that fails may succeed the next time.
    pub(super) has_run: bool,
    /// What its start waits for, as last published; empty: nothing.
    pub(super) waits_for: Vec<ServiceId>,
    pub(super) history: History,
    pub(super) crashes: Crashes,
    pub(super) deadlines: Deadlines,
    pub(super) asked_by: Option<Arc<str>>,
    pub(super) last: Last,
}

impl Service {
    pub(super) fn new(spec: Spec, place: u64) -> Self {
        Self {
            spec,
            place,
            state: State::Declared,
            run: Run(0),
            wanted: false,
            held: false,
            again: false,
            later: None,
            remains: false,
            leaving: false,
            killed: false,
            unkillable: false,
            hurried: false,
            held_by_reload: false,
            has_run: false,
            waits_for: Vec::new(),
            history: History::default(),
            crashes: Crashes::default(),
            deadlines: Deadlines::default(),
            asked_by: None,
            last: Last::default(),
        }
    }

    /// No run is going on, and none is on its way.
    pub(super) fn is_at_rest(&self) -> bool {
        match self.state {
            State::Declared | State::Stopped | State::Completed | State::Failed => true,
            State::Waiting { .. }
            | State::Spawning { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Backoff { .. } => false,
        }
    }

    /// SIGKILL has not helped.
    pub(super) fn is_unkillable(&self) -> bool {
        self.unkillable
    }

    /// At rest with nothing left of it, or nothing that we could end.
    pub(super) fn is_over(&self) -> bool {
        (self.is_at_rest() && !self.remains) || self.unkillable
    }

    /// Starting, and its `start_timeout` has passed: it holds nobody up, and nobody waits for it.
    pub(super) fn is_overdue(&self) -> bool {
        match self.state {
            State::Spawning { .. } => !self.deadlines.is_armed(Timer::StartTimeout),
            State::Starting { .. } => {
                self.spec.readiness == Readiness::Reported
                    && !self.deadlines.is_armed(Timer::StartTimeout)
            }
            State::Declared
            | State::Waiting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Completed
            | State::Failed => false,
        }
    }

    /// A reload stops it, and it has not ended yet.
    pub(super) fn ends_for_reload(&self) -> bool {
        let has_run = self.remains || matches!(self.state, State::Stopping { .. });
        !self.unkillable && ((self.leaving && !self.is_over()) || (self.held_by_reload && has_run))
    }

    /// Another run is to follow the present one, because somebody asked.
    pub(super) fn comes_again(&self) -> bool {
        self.again
    }

    /// Wanted, and down or coming back because it crashed or could not be started.
    pub(super) fn has_failed(&self) -> bool {
        self.wanted
            && match self.state {
                State::Failed | State::Backoff { .. } | State::Waiting { attempt: 1.. } => true,
                State::Declared
                | State::Waiting { attempt: 0 }
                | State::Spawning { .. }
                | State::Starting { .. }
                | State::Running { .. }
                | State::Stopping { .. }
                | State::Stopped
                | State::Completed => false,
            }
    }

    /// The run before the one that a start asked for now would lead to, or has led to.
    pub(super) fn run_before_next(&self) -> Run {
        match self.state {
            State::Spawning { .. } | State::Starting { .. } | State::Running { .. } => {
                Run(self.run.0 - 1)
            }
            State::Declared
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Completed
            | State::Failed => self.run,
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot<'_> {
        let (phase, live) = match &self.state {
            State::Declared => (Phase::Declared, None),
            State::Waiting { .. } => (Phase::Waiting, None),
            State::Spawning { .. } => (Phase::Starting, None),
            State::Starting { live, .. } => (Phase::Starting, Some(live)),
            State::Running { live } => (Phase::Running, Some(live)),
            State::Stopping { live, .. } => (Phase::Stopping, live.as_ref()),
            State::Backoff { .. } => (Phase::Backoff, None),
            State::Stopped => (Phase::Stopped, None),
            State::Completed => (Phase::Completed, None),
            State::Failed => (Phase::Failed, None),
        };
        Snapshot {
            spec: &self.spec,
            phase,
            pid: live.and_then(|live| live.pid),
            since: live.map(|live| live.since),
            restarts: self.history.count(),
            restart_at: self.deadlines.at(Timer::Restart),
            last_code: self.last.code,
            stop_pending: self.later.is_some(),
            comes_again: self.again,
            busy: live.is_some_and(|live| live.word == Word::Busy),
            wanted: self.wanted,
            leaving: self.leaving,
        }
    }

    fn limit(&self) -> Limit {
        self.spec.restart.limit.map_or(Limit::Unlimited, |limit| Limit::Times(limit.get()))
    }

    pub(super) fn declare(&self, out: &mut Out<'_>) {
        let event = RegistryEvent::Declared(Declared::default());
        let id = self.spec.id.clone();
        out.effects.push(Effect::Publish { id, event, restart: None, requested_by: None });
    }

    pub(super) fn publish(&self, event: RegistryEvent, out: &mut Out<'_>) {
        let (id, requested_by) = (self.spec.id.clone(), self.asked_by.clone());
        out.effects.push(Effect::Publish { id, event, restart: None, requested_by });
    }

    /// An end as it was intended; `code` and `uptime` of the run, where there was one to end.
    fn publish_stop(
        &self,
        reason: EndReason,
        code: Option<i32>,
        uptime: Option<Duration>,
        out: &mut Out<'_>,
    ) {
        let stop = Stop {
            reason: Some(reason.as_str().to_owned()),
            exit_code: code,
            uptime_seconds: uptime.map(|uptime| uptime.as_secs_f64()),
            planned: None,
        };
        self.publish(RegistryEvent::Stop(stop), out);
    }
}
