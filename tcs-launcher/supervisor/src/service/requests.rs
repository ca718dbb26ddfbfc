//! What people, the configuration and the launcher's own end do to a service.

use super::super::deadline::Timer;
use tcs_wire::Event as RegistryEvent;

use super::super::effect::{Effect, EndReason, StopReason};
use super::super::event::{Patience, Run, Word};
use super::super::policy::History;
use super::super::spec::ServiceId;
use super::super::{KILL_AGAIN, PLACE};
use super::reports::STARTING;
use super::{Later, Out, Requester, Service, State};

impl Service {
    /// Somebody, or the configuration, wants it up. Returns whether that changes anything.
    pub(crate) fn start(&mut self, by: Requester<'_>) -> bool {
        let was_wanted = std::mem::replace(&mut self.wanted, true);
        match self.state {
            State::Declared
            | State::Stopped
            | State::Completed
            | State::Failed
            | State::Backoff { .. } => {
                self.deadlines.cancel(Timer::Restart);
                self.wait_for_start(by);
                true
            }
            State::Waiting { .. } => {
                self.wait_for_start(by);
                false
            }
            State::Spawning { .. } | State::Starting { .. } | State::Running { .. } => {
                if !was_wanted {
                    self.asked_by = by.cloned();
                    self.drop_later();
                }
                !was_wanted
            }
            State::Stopping { .. } => {
                self.again = true;
                self.asked_by = by.cloned();
                !was_wanted
            }
        }
    }

    pub(crate) fn wait_for_start(&mut self, by: Requester<'_>) {
        self.history = History::default();
        self.asked_by = by.cloned();
        self.state = State::Waiting { attempt: 0 };
    }

    /// Somebody, or the configuration, wants it down. Returns whether that changes anything.
    pub(crate) fn stop(
        &mut self,
        reason: StopReason,
        patience: Patience,
        by: Requester<'_>,
        out: &mut Out<'_>,
    ) -> bool {
        let was_wanted = std::mem::replace(&mut self.wanted, false);
        self.again = false;
        match self.state {
            // its next run is called off
            State::Declared | State::Completed | State::Failed
                if self.spec.schedule.is_some() && reason == StopReason::Requested =>
            {
                self.rest(by, out);
                true
            }
            State::Declared | State::Stopped | State::Completed | State::Failed => false,
            State::Waiting { .. } | State::Backoff { .. } => {
                self.rest(by, out);
                true
            }
            State::Spawning { .. } | State::Starting { .. } | State::Running { .. } => {
                self.asked_by = by.cloned();
                self.end(reason, patience, out);
                was_wanted
            }
            State::Stopping { .. } => {
                self.asked_by = by.cloned();
                was_wanted
            }
        }
    }

    /// Somebody wants it down until somebody asks for a start. Returns whether that changes anything.
    pub(crate) fn hold(
        &mut self,
        patience: Patience,
        by: Requester<'_>,
        out: &mut Out<'_>,
    ) -> bool {
        let was_held = std::mem::replace(&mut self.held, true);
        if self.is_at_rest() {
            // said again, with the new reason for it
            self.wanted = false;
            self.rest(by, out);
            return !was_held;
        }
        self.stop(StopReason::Requested, patience, by, out) || !was_held
    }

    /// Stopped while nothing of it ran.
    fn rest(&mut self, by: Requester<'_>, out: &mut Out<'_>) {
        self.deadlines.cancel(Timer::Restart);
        self.asked_by = by.cloned();
        self.waits_for.clear();
        self.state = State::Stopped;
        self.publish_stop(EndReason::Terminated, None, None, out);
    }

    /// The present run is to end, and another one to begin.
    pub(crate) fn restart(
        &mut self,
        reason: StopReason,
        patience: Patience,
        by: Requester<'_>,
        out: &mut Out<'_>,
    ) {
        match self.state {
            State::Declared
            | State::Waiting { .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Completed
            | State::Failed
            | State::Stopping { .. } => {
                self.start(by);
            }
            State::Spawning { .. } | State::Starting { .. } | State::Running { .. } => {
                self.wanted = true;
                self.again = true;
                self.asked_by = by.cloned();
                self.end(reason, patience, out);
            }
        }
    }

    /// The launcher ends: stops what only waits, and lets the rest stop in its turn.
    pub(crate) fn shut_down(&mut self, out: &mut Out<'_>) {
        match self.state {
            State::Starting { .. } | State::Running { .. } => {
                self.wanted = false;
                self.again = false;
                self.asked_by = None;
                self.deadlines.cancel(Timer::Idle);
                self.later = Some(Later::InTurn);
            }
            State::Declared
            | State::Waiting { .. }
            | State::Spawning { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Completed
            | State::Failed => {
                self.stop(StopReason::Shutdown, Patience::Now, None, out);
            }
        }
    }

    /// The launcher ends at once.
    pub(crate) fn force(&mut self, out: &mut Out<'_>) {
        self.hurried = true;
        if matches!(self.state, State::Starting { .. } | State::Running { .. }) {
            self.end(StopReason::Shutdown, Patience::Now, out);
        }
        if self.remains || matches!(self.state, State::Stopping { .. }) {
            self.kill(out);
        }
    }

    /// What its start waits for now: said when it begins to wait, and when all of that is over and
    /// it waits for something else.
    pub(crate) fn wait_for(&mut self, on: Vec<ServiceId>, out: &mut Out<'_>) {
        self.publish_waiting(&on, false, out);
        self.waits_for = on;
    }

    fn publish_waiting(&self, on: &[ServiceId], timed_out: bool, out: &mut Out<'_>) {
        let waiting_for = on.iter().map(ToString::to_string).collect();
        self.publish(RegistryEvent::Waiting { waiting_for, timed_out }, out);
    }

    /// Its turn to start has come; `missing` are those of whom it waited for in vain.
    pub(crate) fn spawn(&mut self, missing: &[ServiceId], out: &mut Out<'_>) {
        let State::Waiting { attempt } = self.state else { return };
        if !std::mem::take(&mut self.waits_for).is_empty() && !missing.is_empty() {
            self.publish_waiting(missing, true, out);
        }
        if attempt > 0 {
            self.history.restarted(out.now);
            let restarting = RegistryEvent::Restarting {
                restart_attempt: Some(attempt),
                max_restarts: Some(self.limit()),
                recent_crashes: Some(self.crashes.recent(out.now)),
            };
            self.publish(restarting, out);
        }
        self.held_by_reload = false;
        self.run = Run(self.run.0 + 1);
        self.again = false;
        self.state = State::Spawning { attempt };
        self.deadlines.arm(Timer::Place, PLACE, out.now);
        self.deadlines.arm(Timer::StartTimeout, self.spec.start_timeout, out.now);
        out.effects.push(Effect::Spawn { id: self.spec.id.clone(), run: self.run });
    }

    /// Its turn to stop has come.
    pub(crate) fn stop_in_turn(&mut self, out: &mut Out<'_>) {
        self.end(StopReason::Shutdown, Patience::Now, out);
    }

    /// Ends the present run, now or when it is idle.
    pub(crate) fn end(&mut self, reason: StopReason, patience: Patience, out: &mut Out<'_>) {
        if reason.is_failure() {
            self.asked_by = None;
        }
        match &self.state {
            State::Spawning { .. } => {
                self.state = State::Stopping { live: None, reason };
                self.deadlines.cancel(Timer::Place);
                self.deadlines.cancel(Timer::StartTimeout);
                self.order_stop(out);
            }
            State::Starting { live, .. } | State::Running { live } => {
                if let Patience::WhenIdle(limit) = patience
                    && live.word == Word::Busy
                {
                    self.later = Some(Later::WhenIdle(reason));
                    self.deadlines.cancel(Timer::Idle);
                    if let Some(limit) = limit {
                        self.deadlines.arm(Timer::Idle, limit, out.now);
                    }
                    return;
                }
                let live = Some(live.clone());
                for timer in STARTING.into_iter().chain([Timer::Watchdog]) {
                    self.deadlines.cancel(timer);
                }
                self.drop_later();
                self.state = State::Stopping { live, reason };
                self.signal_stop(reason, out);
            }
            State::Declared
            | State::Waiting { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Completed
            | State::Failed => {}
        }
    }

    pub(crate) fn signal_stop(&mut self, reason: StopReason, out: &mut Out<'_>) {
        self.publish_stopping(reason, out);
        self.order_stop(out);
    }

    pub(super) fn publish_stopping(&self, reason: StopReason, out: &mut Out<'_>) {
        let reason = Some(reason.as_str().to_owned());
        self.publish(RegistryEvent::Stopping { reason }, out);
    }

    fn order_stop(&mut self, out: &mut Out<'_>) {
        out.effects.push(Effect::Stop { id: self.spec.id.clone(), run: self.run });
        self.deadlines.arm(Timer::Kill, self.spec.stop_timeout, out.now);
    }

    pub(crate) fn kill(&mut self, out: &mut Out<'_>) {
        self.killed = true;
        out.effects.push(Effect::Kill { id: self.spec.id.clone(), run: self.run });
        self.deadlines.arm(Timer::Kill, KILL_AGAIN, out.now);
    }

    pub(crate) fn drop_later(&mut self) {
        self.later = None;
        self.deadlines.cancel(Timer::Idle);
    }
}
