//! What a runner's words and the timers do to a service.

use std::time::Duration;

use tcs_wire::{Crashed, Event as RegistryEvent, RESTART_LIMIT_REACHED, signal_name};

use super::super::deadline::Timer;
use super::super::effect::{Delay, Effect, EndReason, StopReason};
use super::super::event::{Exit, Patience, Report, Watchdog, Word};
use super::super::policy::{End, Fault, RestartDecision};
use super::super::spec::Readiness;
use super::{Last, Later, Live, Out, Service, State};

const SIGKILL: i32 = 9;

/// The timers of a start-up.
pub(super) const STARTING: [Timer; 3] = [Timer::Ready, Timer::Place, Timer::StartTimeout];

impl Service {
    /// A runner's word on the latest run.
    pub(crate) fn report(&mut self, report: Report, out: &mut Out<'_>) {
        match report {
            Report::Spawned { pid } => self.spawned(pid, out),
            Report::NotSpawned { error, transient } => self.not_spawned(error, transient, out),
            Report::Ready => self.ready(out),
            Report::Said { word, message } => self.said(word, message, out),
            Report::Watchdog(watchdog) => self.watchdog(watchdog, out),
            Report::Exited(exit) => self.exited(&exit, out),
            Report::Cleared => self.cleared(),
        }
    }

    /// A timer's time has come.
    pub(crate) fn fired(&mut self, timer: Timer, out: &mut Out<'_>) {
        match timer {
            Timer::Ready => self.end(StopReason::NotReady, Patience::Now, out),
            Timer::Watchdog => self.end(StopReason::Watchdog, Patience::Now, out),
            // that they are no longer armed is what `order` looks at
            Timer::Place | Timer::StartTimeout => {}
            Timer::Idle => {
                if let Some(Later::WhenIdle(reason)) = self.later {
                    self.end(reason, Patience::Now, out);
                }
            }
            Timer::Kill => {
                self.unkillable = self.killed;
                self.kill(out);
            }
            Timer::Restart => {
                if let State::Backoff { attempt } = self.state {
                    self.state = State::Waiting { attempt };
                }
            }
        }
    }

    fn spawned(&mut self, pid: Option<u32>, out: &mut Out<'_>) {
        let live = Live { pid, since: out.now, word: Word::Other, message: None };
        match self.state {
            State::Spawning { attempt } => {
                self.state = State::Starting { live, attempt };
                self.started(pid, out);
                match self.spec.readiness {
                    Readiness::AtOnce => self.ready(out),
                    Readiness::Reported => {}
                    Readiness::Within(limit) => {
                        self.deadlines.arm(Timer::Ready, limit, out.now);
                    }
                }
            }
            State::Stopping { live: None, reason } => {
                self.state = State::Stopping { live: Some(live), reason };
                self.started(pid, out);
                // told to end while it was being started
                self.publish_stopping(reason, out);
                self.deadlines.arm(Timer::Kill, self.spec.stop_timeout, out.now);
                if self.hurried {
                    self.kill(out);
                }
            }
            State::Declared
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { live: Some(_), .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Completed
            | State::Failed => {}
        }
    }

    fn started(&mut self, pid: Option<u32>, out: &mut Out<'_>) {
        self.has_run = true;
        let recent_crashes = Some(self.crashes.recent(out.now));
        self.publish(RegistryEvent::Start { hostname: None, pid, recent_crashes }, out);
    }

    fn not_spawned(&mut self, error: String, transient: bool, out: &mut Out<'_>) {
        match self.state {
            State::Spawning { .. } => {
                self.deadlines.cancel(Timer::Place);
                self.deadlines.cancel(Timer::StartTimeout);
                let code = None;
                self.last = Last::not_started(error.clone());
                // a program that has run may be missing for a moment (a deploy, a remount)
                if transient || self.has_run {
                    let fault = if self.has_run { Fault::NotStarted } else { Fault::None };
                    let end = End::new(Some(1), fault);
                    self.crashed(end, code, Some(error), Duration::ZERO, out);
                } else {
                    self.asked_by = None;
                    self.state = State::Failed;
                    self.publish_failed(&error, None, out);
                }
            }
            State::Stopping { live: None, .. } => {
                self.deadlines.cancel(Timer::Kill);
                self.killed = false;
                self.unkillable = false;
                self.last = Last::not_started(error);
                self.publish_stop(EndReason::Terminated, None, None, out);
                self.settle();
            }
            State::Declared
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { live: Some(_), .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Completed
            | State::Failed => {}
        }
    }

    fn ready(&mut self, out: &mut Out<'_>) {
        if let State::Starting { live, .. } = &self.state {
            let live = live.clone();
            let took = out.now.saturating_sub(live.since);
            for timer in STARTING {
                self.deadlines.cancel(timer);
            }
            self.state = State::Running { live };
            let startup_duration_seconds = Some(took.as_secs_f64());
            self.publish(RegistryEvent::Ready { startup_duration_seconds }, out);
        }
    }

    fn said(&mut self, word: Word, message: Option<String>, out: &mut Out<'_>) {
        if let State::Starting { live, .. }
        | State::Running { live }
        | State::Stopping { live: Some(live), .. } = &mut self.state
        {
            live.word = word;
            live.message = message;
        }
        if let Some(Later::WhenIdle(reason)) = self.later
            && word != Word::Busy
        {
            self.end(reason, Patience::Now, out);
        }
    }

    fn watchdog(&mut self, watchdog: Watchdog, out: &mut Out<'_>) {
        if !matches!(self.state, State::Starting { .. } | State::Running { .. }) {
            return;
        }
        match watchdog {
            Watchdog::Every(Duration::ZERO) => self.deadlines.cancel(Timer::Watchdog),
            Watchdog::Every(length) => self.deadlines.arm(Timer::Watchdog, length, out.now),
            Watchdog::Alive => {
                if let Some(length) = self.deadlines.length(Timer::Watchdog) {
                    self.deadlines.arm(Timer::Watchdog, length, out.now);
                }
            }
            Watchdog::Trigger => self.end(StopReason::Watchdog, Patience::Now, out),
        }
    }

    fn exited(&mut self, exit: &Exit, out: &mut Out<'_>) {
        let (live, reason) = match &self.state {
            State::Starting { live, .. } | State::Running { live } => (Some(live.clone()), None),
            State::Spawning { .. } => (None, None),
            State::Stopping { live, reason } => (live.clone(), Some(*reason)),
            State::Declared
            | State::Waiting { .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Completed
            | State::Failed => return,
        };
        for timer in STARTING.into_iter().chain([Timer::Watchdog]) {
            self.deadlines.cancel(timer);
        }
        self.remains = true;
        if !self.deadlines.is_armed(Timer::Kill) {
            self.deadlines.arm(Timer::Kill, self.spec.stop_timeout, out.now);
        }
        let since = live.as_ref().map_or(out.now, |live| live.since);
        let uptime = out.now.saturating_sub(since);
        let code = exit.code;
        let (error, fault) = self.fault(exit, live, reason);
        let core_dumped = exit.core_dumped;
        self.last = Last { code, error: error.clone(), not_started: false, core_dumped };
        let end = End::new(exit.code, fault);
        let asked = match reason {
            Some(reason) => !reason.is_failure(),
            // a stop that waits for its time: a good end is the one that was asked for
            None => self.later.is_some() && !end.is_failure(),
        };
        self.drop_later();
        if asked {
            let killed = self.killed && exit.code == Some(-SIGKILL);
            let reason = if killed { EndReason::ForceKilled } else { EndReason::Terminated };
            self.publish_stop(reason, code, Some(uptime), out);
            self.settle();
        } else {
            self.crashed(end, code, error, uptime, out);
        }
    }

    /// What, beside its code, says that the run has failed.
    fn fault(
        &self,
        exit: &Exit,
        live: Option<Live>,
        reason: Option<StopReason>,
    ) -> (Option<String>, Fault) {
        match (reason, live) {
            (Some(StopReason::NotReady), _) => (Some(self.not_ready()), Fault::Ours),
            (Some(StopReason::Watchdog), _) => (Some("watchdog timeout".to_owned()), Fault::Ours),
            (None, Some(Live { word: Word::Failed, message, .. })) => {
                let error = exit.error.clone().or(message);
                (
                    Some(error.unwrap_or_else(|| "its last status reported a failure".to_owned())),
                    Fault::Said,
                )
            }
            (
                None
                | Some(
                    StopReason::Requested
                    | StopReason::Restart
                    | StopReason::Reload
                    | StopReason::Shutdown,
                ),
                _,
            ) => (exit.error.clone(), Fault::None),
        }
    }

    fn not_ready(&self) -> String {
        match self.spec.readiness {
            Readiness::Within(limit) => format!("not ready within {} s", limit.as_secs_f64()),
            Readiness::AtOnce | Readiness::Reported => "not ready in time".to_owned(),
        }
    }

    fn cleared(&mut self) {
        if self.remains {
            self.remains = false;
            self.killed = false;
            self.unkillable = false;
            self.deadlines.cancel(Timer::Kill);
        }
    }

    /// An end that nobody asked for, or a start that did not come off and may the next time.
    fn crashed(
        &mut self,
        end: End,
        code: Option<i32>,
        error: Option<String>,
        uptime: Duration,
        out: &mut Out<'_>,
    ) {
        self.asked_by = None;
        let verdict = if !self.wanted {
            RestartDecision::Leave
        } else if self.again {
            let attempt = self.history.count() + 1;
            RestartDecision::Restart { attempt, delay: Duration::ZERO, throttled: false }
        } else {
            self.history.judge(&self.spec.restart, end, uptime, out.now)
        };
        let (state, restart_attempt, delay) = match verdict {
            RestartDecision::Completed => {
                self.state = State::Completed;
                self.publish_stop(EndReason::Completed, code, Some(uptime), out);
                return;
            }
            RestartDecision::Restart { attempt, delay, throttled } => {
                self.deadlines.arm(Timer::Restart, delay, out.now);
                let delay = Delay { length: delay, throttled };
                (State::Backoff { attempt }, Some(attempt), Some(delay))
            }
            RestartDecision::GiveUp | RestartDecision::Leave => (State::Failed, None, None),
        };
        self.state = state;
        self.crashes.add(out.now);
        let signal = code.and_then(i32::checked_neg).and_then(signal_name);
        let crashed = Crashed {
            exit_code: code,
            restart_policy: Some(self.spec.restart.when.as_str().to_owned()),
            will_restart: restart_attempt.is_some(),
            signal: signal.map(str::to_owned),
            error,
            restart_attempt,
            max_restarts: Some(self.limit()),
            uptime_seconds: Some(uptime.as_secs_f64()),
            recent_crashes: Some(self.crashes.recent(out.now)),
            core_dumped: code.filter(|code| *code < 0).map(|_| self.last.core_dumped),
            ..Crashed::default()
        };
        out.effects.push(Effect::Publish {
            id: self.spec.id.clone(),
            event: RegistryEvent::Crashed(crashed),
            restart: delay,
            requested_by: None,
        });
        if verdict == RestartDecision::GiveUp {
            self.publish_failed(RESTART_LIMIT_REACHED, Some(self.spec.restart.window), out);
        }
    }

    /// Given up; `window`: in which the restarts were counted.
    fn publish_failed(&self, reason: &str, window: Option<Duration>, out: &mut Out<'_>) {
        let failed = RegistryEvent::Failed {
            reason: Some(reason.to_owned()),
            restart_count: Some(self.history.count()),
            restart_window: window.map(|window| window.as_secs_f64()),
        };
        self.publish(failed, out);
    }

    /// An end that was asked for: rest, or the next run.
    fn settle(&mut self) {
        if self.again {
            let by = self.asked_by.take();
            self.wait_for_start(by.as_ref());
        } else {
            self.state = State::Stopped;
        }
    }
}
