//! One service by itself: its present run, its phase, its heart (`truth.md` 3 to 5). What its
//! launcher and its host add comes after, in `relations`.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::liveness;
use super::record::{Beat, Record};
use super::stamp::{Kept, SLACK};
use super::verdict::{Liveness, Phase, Reason};
use super::view::{IntervalSource, Link};
use crate::wire::{Event, RegistryMessage, Status, StatusMessage};

/// See the module.
#[derive(Debug)]
pub(super) struct Life<'a> {
    pub(super) record: &'a Record,
    /// Whether a launcher ever said anything of it.
    pub(super) managed: bool,
    pub(super) phase: Phase,
    /// Broker time of what made the phase.
    pub(super) since: Option<DateTime<Utc>>,
    /// Starting or waiting after a crash.
    pub(super) after_crash: bool,
    /// When the present run began.
    pub(super) began: Option<DateTime<Utc>>,
    /// The run's newest status: its own, or its launcher's for one that does not speak.
    pub(super) words: Option<&'a Arc<Kept<StatusMessage>>>,
    /// The run's newest heartbeat.
    pub(super) beat: Option<&'a Beat>,
    /// The last sign of life: the beat; at a launcher, also any event that it sent.
    pub(super) sign: Option<DateTime<Utc>>,
    pub(super) interval: TimeDelta,
    pub(super) interval_source: IntervalSource,
    pub(super) liveness: Liveness,
    /// Liveness would be lost, but we have been blind ourselves.
    pub(super) after_outage: bool,
    /// What the phase rests on, where it does not rest on an event.
    pub(super) reasons: Vec<Reason>,
}

/// How Python's controller ends: `ok` with this message (`truth.md` 4).
const PYTHON_STOPPED: &str = "Service stopped";

/// A `start` that comes later than this after a `restarting` is not its effect.
const RESTART_TAKES: TimeDelta = TimeDelta::seconds(60);

/// Whether the words say that the service ends.
pub(super) fn says_shutdown(status: &StatusMessage) -> bool {
    match status.status {
        Status::Shutdown => true,
        Status::Ok => status.message.as_deref() == Some(PYTHON_STOPPED),
        Status::Unknown
        | Status::Idle
        | Status::Busy
        | Status::Startup
        | Status::Degraded
        | Status::Warning
        | Status::Error
        | Status::Failed => false,
    }
}

/// What the registry says, before the service's own words are heard.
enum Said<'a> {
    /// Nothing that counts: the own words decide, those newer than this.
    Nothing { newer_than: Option<DateTime<Utc>> },
    /// The newest event of the present launcher run.
    Event(&'a Arc<Kept<RegistryMessage>>),
}

impl<'a> Life<'a> {
    /// `sign` is the newest event that this object sent as a launcher.
    pub(super) fn read(
        record: &'a Record,
        sign: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        link: Link,
    ) -> Self {
        let (interval, interval_source) = liveness::interval(record.beats());
        let mut life = Self {
            record,
            managed: record.registry().next().is_some(),
            phase: Phase::Running,
            since: None,
            after_crash: false,
            began: None,
            words: None,
            beat: None,
            sign,
            interval,
            interval_source,
            liveness: Liveness::None,
            after_outage: false,
            reasons: Vec::new(),
        };
        match life.said() {
            Said::Nothing { newer_than } => life.by_own_words(newer_than, now, link),
            Said::Event(event) => life.by_event(event, now, link),
        }
        if life.phase == Phase::Running {
            life.hear_own_words();
        }
        if life.managed && life.record.newest_event().is_none() && life.phase != Phase::Declared {
            life.reasons.push(Reason::NoStartEvent);
        }
        life
    }

    /// The event that sets the phase, unless a launcher has begun anew since (`truth.md` 4,
    /// `declared`).
    fn said(&self) -> Said<'a> {
        let Some(event) = self.record.newest_event() else {
            let newest = self.record.declared().first();
            return Said::Nothing { newer_than: newest.map(|kept| kept.stamp.stored) };
        };
        let redeclared = self.record.declared().iter().find(|declared| {
            declared.message.parent == event.message.parent
                && declared.stamp.is_newer(&event.stamp)
                && (declared.message.launcher_run.is_none()
                    || declared.message.launcher_run != event.message.launcher_run)
        });
        match redeclared {
            Some(declared) => Said::Nothing { newer_than: Some(declared.stamp.stored) },
            None => Said::Event(event),
        }
    }

    /// No event tells: the newest status and heartbeat do, as far as they are newer than the
    /// declaration.
    fn by_own_words(&mut self, declared: Option<DateTime<Utc>>, now: DateTime<Utc>, link: Link) {
        let counts = |stored: DateTime<Utc>, ends: bool| {
            declared.is_none_or(|at| if ends { stored - at > SLACK } else { stored > at })
        };
        self.words = self.record.status().filter(|kept| {
            counts(kept.stamp.stored, says_shutdown(&kept.message))
                && !(declared.is_some() && kept.message.by_launcher())
        });
        self.beat = self.record.last_beat().filter(|beat| {
            counts(beat.stamp.stored, false) && !(declared.is_some() && beat.by_launcher)
        });
        self.hear_heart(now, link);
        if let (Some(at), None, None) = (declared, self.words, self.beat) {
            self.phase = Phase::Declared;
            self.since = Some(at);
            return;
        }
        self.began = self.beat.and_then(|beat| {
            let uptime = beat.uptime_seconds.filter(|seconds| seconds.is_finite())?;
            Some(beat.stamp.stored - liveness::span(uptime))
        });
        self.since = self
            .words
            .map(|kept| kept.stamp.stored)
            .or_else(|| self.record.beats().first().map(|beat| beat.stamp.stored));
        self.phase = match self.words {
            Some(kept) if says_shutdown(&kept.message) => {
                let at = kept.stamp.stored;
                if self.beat.is_some_and(|beat| beat.stamp.stored - at > SLACK) {
                    Phase::Running
                } else {
                    Phase::Stopped
                }
            }
            Some(kept) if kept.message.status == Status::Startup => Phase::Starting,
            Some(_) | None => Phase::Running,
        };
    }

    /// The newest event sets the phase.
    fn by_event(&mut self, event: &'a Arc<Kept<RegistryMessage>>, now: DateTime<Utc>, link: Link) {
        let at = event.stamp.stored;
        let start = self.record.start();
        let end = self.record.newest_end();
        self.since = Some(at);
        // a restart that is under way has no `start` yet
        self.began = match &event.message.event {
            Event::Restarting { .. } => Some(at),
            _ => start.map(|kept| kept.stamp.stored),
        };
        let words = self.record.status().filter(|kept| belongs(kept, start, end, at));
        let own = words.filter(|kept| !kept.message.by_launcher());
        let beat = self
            .record
            .last_beat()
            .filter(|beat| self.began.is_none_or(|began| beat.stamp.stored > began));
        let speaks = || {
            own.is_some_and(|kept| kept.message.status != Status::Startup)
                || beat.is_some_and(|beat| {
                    !beat.by_launcher && beat.status.is_some_and(|status| status != Status::Startup)
                })
        };
        self.phase = match &event.message.event {
            Event::Start { .. } if speaks() => Phase::Running,
            Event::Start { .. } | Event::Restarting { .. } => Phase::Starting,
            Event::Ready { .. } => Phase::Running,
            Event::Stopping { .. } => Phase::Stopping,
            Event::Stop(stop) => {
                let failed = own
                    .filter(|kept| matches!(kept.message.status, Status::Failed | Status::Error));
                if let Some(kept) = failed {
                    self.reasons.push(reported(kept, now));
                    self.reasons.push(Reason::EndedAfterFailed);
                    Phase::Failed
                } else if stop.reason.as_deref() == Some("completed") && stop.exit_code == Some(0) {
                    Phase::Completed
                } else {
                    Phase::Stopped
                }
            }
            Event::Crashed(crashed) if crashed.will_restart => Phase::Backoff,
            Event::Crashed(_) | Event::Failed { .. } => Phase::Failed,
            // neither is ever the newest event (see Record::newest_event)
            Event::Declared(_) | Event::Waiting { .. } | Event::Other(_) => Phase::Declared,
        };
        let ended = !self.phase.is_up();
        self.after_crash = match self.phase {
            Phase::Backoff => true,
            Phase::Starting => self.starts_after_crash(),
            _ => false,
        };
        self.words = words;
        self.beat = beat;
        self.hear_heart(now, link);
        if ended {
            self.look_for_unmanaged(at, now);
        }
    }

    /// Whether the start under way is a restart: the last end was a crash, and the `restarting` that
    /// followed it belongs to this start, not to one of long ago.
    fn starts_after_crash(&self) -> bool {
        let (Some(end), Some(again)) = (self.record.newest_end(), self.record.restarting()) else {
            return false;
        };
        let restarts = matches!(&end.message.event, Event::Crashed(crash) if crash.will_restart);
        let began = self.began.unwrap_or(again.stamp.stored);
        restarts && again.stamp.is_newer(&end.stamp) && began - again.stamp.stored < RESTART_TAKES
    }

    /// A heart that goes on after the end, with no start between, beats outside the launcher's
    /// knowledge (`truth.md` 4).
    fn look_for_unmanaged(&mut self, ended: DateTime<Utc>, now: DateTime<Utc>) {
        let Some(beat) = self.record.beats().iter().rev().find(|beat| !beat.by_launcher) else {
            return;
        };
        if beat.stamp.stored - ended <= SLACK {
            return;
        }
        let own = self
            .record
            .status()
            .filter(|kept| kept.stamp.stored > ended && !kept.message.by_launcher());
        let status = own.map(|kept| kept.message.status).or(beat.status);
        if status == Some(Status::Startup) {
            return;
        }
        self.phase = Phase::Running;
        self.after_crash = false;
        self.began = None;
        self.words = own;
        self.since = Some(beat.stamp.stored);
        self.reasons = vec![Reason::Unmanaged { ended_ago: now - ended }];
    }

    /// What the run's heartbeats say of its life.
    fn hear_heart(&mut self, now: DateTime<Utc>, link: Link) {
        self.sign = self.sign.max(self.beat.map(|beat| beat.stamp.stored));
        let Some(sign) = self.sign else { return };
        self.liveness = liveness::judge(liveness::heard_until(now, link) - sign, self.interval);
        if self.liveness == Liveness::Lost && liveness::after_outage(now, link, self.interval) {
            self.liveness = Liveness::Late;
            self.after_outage = true;
        }
    }

    /// Inside `running`: `shutdown` is stopping while the heart is live, then stopped.
    fn hear_own_words(&mut self) {
        let Some(kept) = self.words else { return };
        if kept.message.by_launcher() || !says_shutdown(&kept.message) {
            return;
        }
        self.since = Some(kept.stamp.stored);
        match self.liveness {
            Liveness::Live => self.phase = Phase::Stopping,
            Liveness::Late | Liveness::Lost | Liveness::None => {
                self.phase = Phase::Stopped;
                self.reasons.push(Reason::NoStopEvent);
            }
        }
    }

    /// What it says of itself: its status, or its heartbeat's where that says more.
    pub(super) fn status(&self) -> Option<Status> {
        let said = self.words.map(|kept| kept.message.status);
        match said {
            Some(Status::Unknown) | None => {
                self.beat.and_then(|beat| beat.status).filter(|s| *s != Status::Unknown).or(said)
            }
            known => known,
        }
    }

    /// Seconds its loop lags, where that is too much.
    pub(super) fn blocked_for(&self) -> Option<TimeDelta> {
        let lag = liveness::span(self.beat?.lag_seconds.filter(|lag| lag.is_finite())?);
        liveness::blocked(lag, self.interval).then_some(lag)
    }
}

/// Whether a status is of the present run (`truth.md` 3).
fn belongs(
    kept: &Kept<StatusMessage>,
    start: Option<&Arc<Kept<RegistryMessage>>>,
    end: Option<&Arc<Kept<RegistryMessage>>>,
    newest: DateTime<Utc>,
) -> bool {
    let Some(start) = start else {
        // no start is held: a word belongs if no earlier run ended after it
        return end
            .is_none_or(|end| end.stamp.stored == newest || kept.stamp.stored > end.stamp.stored);
    };
    if kept.stamp.stored > start.stamp.stored {
        return true;
    }
    let Event::Start { hostname, pid, .. } = &start.message.event else { return false };
    // the end of an earlier run, not of this one
    let end = end.filter(|end| start.stamp.is_newer(&end.stamp));
    pid.is_some()
        && *pid == kept.message.pid
        && *hostname == kept.message.hostname
        && end.is_none_or(|end| kept.stamp.stored > end.stamp.stored)
}

/// A status as evidence.
pub(super) fn reported(kept: &Kept<StatusMessage>, now: DateTime<Utc>) -> Reason {
    Reason::Reported {
        status: kept.message.status,
        message: kept.message.message.clone(),
        ago: now - kept.stamp.stored,
    }
}
