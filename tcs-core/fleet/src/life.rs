//! One service by itself: its present run, its phase, its heartbeats (`docs/spec/truth.md#runs` to
//! `docs/spec/truth.md#liveness`). What its launcher and its host add comes after, in `relations`.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::beats::Beat;
use super::liveness::{self, IntervalSource, Link};
use super::origin::{Origins, RunTime};
use super::reason::Reason;
use super::record::Record;
use super::stamp::{Kept, SLACK};
use super::streak::Mark;
use super::verdict::{Liveness, Phase};
use super::{component, events};
use tcs_wire::{Event, RegistryMessage, Status, StatusMessage};

/// What a view rests on beside the messages about one service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    /// By the broker's clock.
    pub(super) now: DateTime<Utc>,
    pub(super) link: Link,
    pub(super) origins: &'a Origins,
}

impl Moment<'_> {
    /// When it happened that a message tells of: for what people see. What decides is in which
    /// order the broker stored the messages.
    pub(super) fn happened<T>(&self, kept: &Kept<T>) -> DateTime<Utc> {
        self.origins.happened(kept.run, kept.stamp.stored).at
    }
}

/// The present run, phase and heartbeats of one service.
#[derive(Debug)]
pub(super) struct Life<'a> {
    pub(super) record: &'a Record,
    /// Whether a launcher ever said anything of it.
    pub(super) managed: bool,
    /// Whether it starts other services: then its status is its own, not theirs.
    pub(super) is_launcher: bool,
    pub(super) phase: Phase,
    /// When the phase began.
    pub(super) since: Option<DateTime<Utc>>,
    /// Starting or waiting after a crash.
    pub(super) after_crash: bool,
    /// When the start of the present run was stored.
    pub(super) began: Option<DateTime<Utc>>,
    /// When the present run began.
    pub(super) started: Option<DateTime<Utc>>,
    /// The run's newest status: its own, or its launcher's for one that does not speak.
    pub(super) words: Option<&'a Arc<Kept<StatusMessage>>>,
    /// When it first reported that status.
    pub(super) reported_since: Option<DateTime<Utc>>,
    /// The run's newest heartbeat.
    pub(super) beat: Option<&'a Beat>,
    /// The last sign of life: the beat; at a launcher, also any event that it sent.
    pub(super) sign: Option<DateTime<Utc>>,
    pub(super) interval: TimeDelta,
    pub(super) interval_source: IntervalSource,
    pub(super) liveness: Liveness,
    /// Liveness would be lost, but we were not connected ourselves.
    pub(super) after_outage: bool,
    /// What the phase rests on, where it does not rest on an event.
    pub(super) reasons: Vec<Reason>,
}

/// A `start` that comes later than this after a `restarting` is not its effect.
const RESTART_TAKES: TimeDelta = TimeDelta::seconds(60);

/// What the registry says, before the service's own messages are read.
enum Said<'a> {
    /// Nothing that counts: the service's own messages newer than this decide.
    Nothing { newer_than: Option<DateTime<Utc>> },
    /// The newest event of the present launcher run.
    Event(&'a Arc<Kept<RegistryMessage>>),
}

impl<'a> Life<'a> {
    /// `sign` is the newest event that this object sent as a launcher.
    pub(super) fn read(
        record: &'a Record,
        is_launcher: bool,
        sign: Option<DateTime<Utc>>,
        moment: &Moment<'_>,
    ) -> Self {
        let mut life = Self {
            record,
            managed: record.registry().next().is_some(),
            is_launcher,
            phase: Phase::Running,
            since: None,
            after_crash: false,
            began: None,
            started: None,
            words: None,
            reported_since: None,
            beat: None,
            sign,
            interval: liveness::DEFAULT_INTERVAL,
            interval_source: IntervalSource::Assumed,
            liveness: Liveness::None,
            after_outage: false,
            reasons: Vec::new(),
        };
        match life.said() {
            Said::Nothing { newer_than } => life.by_own_messages(newer_than, moment),
            Said::Event(event) => life.by_event(event, moment),
        }
        if life.phase == Phase::Running {
            life.read_own_shutdown();
        }
        if life.managed && life.record.newest_event().is_none() && life.phase != Phase::Declared {
            life.reasons.push(Reason::NoStartEvent);
        }
        life
    }

    /// The event that sets the phase, unless a launcher has begun anew since
    /// (`docs/spec/truth.md#phase`).
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
    fn by_own_messages(&mut self, declared: Option<DateTime<Utc>>, moment: &Moment<'_>) {
        let counts = |stored: DateTime<Utc>, ends: bool| {
            declared.is_none_or(|at| if ends { stored - at > SLACK } else { stored > at })
        };
        let words = self.record.status().filter(|kept| {
            counts(kept.stamp.stored, kept.message.says_shutdown())
                && !(declared.is_some() && kept.message.by_launcher())
        });
        self.set_words(words, moment);
        self.beat = self.record.last_beat().filter(|beat| {
            counts(beat.stamp.stored, false) && !(declared.is_some() && beat.by_launcher)
        });
        self.read_heartbeats(moment);
        if let (Some(at), None, None) = (declared, self.words, self.beat) {
            self.phase = Phase::Declared;
            self.since = Some(at);
            return;
        }
        self.began = self.beat.and_then(|beat| {
            let uptime = beat.uptime_seconds.filter(|seconds| seconds.is_finite())?;
            Some(beat.stamp.stored - liveness::span(uptime))
        });
        self.started = self.began;
        self.since = self
            .reported_since
            .or_else(|| self.record.beats().next().map(|beat| beat.stamp.stored));
        self.phase = match self.words {
            Some(kept) if kept.message.says_shutdown() => {
                let at = kept.stamp.stored;
                if self.beat.is_some_and(|beat| beat.stamp.stored - at > SLACK) {
                    Phase::Running
                } else {
                    Phase::Stopped
                }
            }
            Some(kept) if kept.message.own_status() == Status::Startup => Phase::Starting,
            Some(_) | None => Phase::Running,
        };
    }

    /// The newest event sets the phase.
    fn by_event(&mut self, event: &'a Arc<Kept<RegistryMessage>>, moment: &Moment<'_>) {
        let at = event.stamp.stored;
        let start = self.record.start();
        let end = self.record.newest_end();
        self.since = Some(moment.happened(event));
        // a restart that is under way has no `start` yet
        let began = match &event.message.event {
            Event::Restarting { .. } => Some(event),
            _ => start,
        };
        self.began = began.map(|kept| kept.stamp.stored);
        self.started = began.map(|kept| moment.happened(kept));
        let words = self.record.status().filter(|kept| belongs(kept, start, end, at));
        let own = words.filter(|kept| !kept.message.by_launcher()).map(|it| &it.message);
        let beat = self
            .record
            .last_beat()
            .filter(|beat| self.began.is_none_or(|began| beat.stamp.stored > began));
        let is_up = own.is_some_and(|status| status.own_status() != Status::Startup)
            || beat.is_some_and(|beat| {
                !beat.by_launcher && beat.status.is_some_and(|status| status != Status::Startup)
            });
        let has_failed =
            own.is_some_and(|status| matches!(status.own_status(), Status::Failed | Status::Error));
        self.set_words(words, moment);
        self.phase = events::phase(&event.message.event, is_up, has_failed);
        if has_failed && matches!(event.message.event, Event::Stop(_)) {
            self.reasons.extend(self.reported(moment));
            self.reasons.push(Reason::EndedAfterFailed);
        }
        let ended = !self.phase.is_up();
        self.after_crash = match self.phase {
            Phase::Backoff => true,
            Phase::Starting => self.starts_after_crash(),
            _ => false,
        };
        self.beat = beat;
        self.read_heartbeats(moment);
        if ended {
            self.look_for_unmanaged(event, moment);
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
        restarts && again.is_newer(end) && began - again.stamp.stored < RESTART_TAKES
    }

    /// A service that sends heartbeats after its end, with no start between, runs outside its
    /// launcher's knowledge (`docs/spec/truth.md#phase`). So does a program for which another
    /// launcher sends them than the one that told its end: each knows its own process only.
    fn look_for_unmanaged(&mut self, end: &Kept<RegistryMessage>, moment: &Moment<'_>) {
        let ended = end.stamp.stored;
        let counts = |beat: &&Arc<Beat>| !beat.by_launcher || beat.sender != end.sender;
        let Some(beat) = self.record.beats().rev().find(counts) else { return };
        if beat.stamp.stored - ended <= SLACK {
            return;
        }
        let own = self
            .record
            .status()
            .filter(|kept| kept.stamp.stored > ended && !kept.message.by_launcher());
        let status = own.map(|kept| kept.message.own_status()).or(beat.status);
        if status == Some(Status::Startup) {
            return;
        }
        let ended_ago = Some(moment.now - self.since.unwrap_or(ended));
        self.phase = Phase::Running;
        self.after_crash = false;
        self.began = None;
        self.started = None;
        self.set_words(own, moment);
        self.since = Some(beat.stamp.stored);
        self.reasons = vec![Reason::Unmanaged { ended_ago }];
    }

    fn set_words(&mut self, words: Option<&'a Arc<Kept<StatusMessage>>>, moment: &Moment<'_>) {
        self.words = words;
        self.reported_since = words.map(|kept| fact_began(self, kept, moment));
    }

    /// What the run's heartbeats say of its life.
    fn read_heartbeats(&mut self, moment: &Moment<'_>) {
        let Moment { now, link, .. } = *moment;
        (self.interval, self.interval_source) = liveness::interval(self.record, self.began);
        self.sign = self.sign.max(self.beat.map(|beat| beat.stamp.stored));
        let Some(sign) = self.sign else { return };
        let judge = |until: DateTime<Utc>| liveness::judge(until - sign, self.interval);
        self.liveness = judge(liveness::heard_until(now, link));
        if self.liveness == Liveness::Lost
            && judge(liveness::proven_until(now, link, self.interval)) != Liveness::Lost
        {
            self.liveness = Liveness::Late;
            self.after_outage = true;
        }
    }

    /// Inside `running`: `shutdown` is stopping while heartbeats come, then stopped.
    fn read_own_shutdown(&mut self) {
        let Some(kept) = self.words else { return };
        if kept.message.by_launcher() || !kept.message.says_shutdown() {
            return;
        }
        self.since = self.reported_since;
        match self.liveness {
            Liveness::Live => self.phase = Phase::Stopping,
            Liveness::Late | Liveness::Lost | Liveness::None => {
                self.phase = Phase::Stopped;
                self.reasons.push(Reason::NoStopEvent);
            }
        }
    }

    /// What it reports, its components included: its status, or its heartbeat's where that says
    /// more.
    pub(super) fn status(&self) -> Option<Status> {
        self.or_heartbeat(self.words.map(|kept| kept.message.status))
    }

    /// Its own status, without its components'.
    pub(super) fn own_status(&self) -> Option<Status> {
        self.or_heartbeat(self.words.map(|kept| kept.message.own_status()))
    }

    /// The status that the verdict rests on. Trouble of a component is trouble of its service; that
    /// a component starts or ends is not. A launcher's services are judged by themselves.
    pub(super) fn judged_status(&self) -> Option<Status> {
        let in_trouble = self.words.map(|kept| kept.message.status);
        let in_trouble = in_trouble.filter(|all| *all >= Status::Degraded && !self.is_launcher);
        match (in_trouble, self.own_status()) {
            (Some(trouble), _) => Some(trouble),
            (None, Some(Status::Unknown) | None) => self.status(),
            (None, own) => own,
        }
    }

    fn or_heartbeat(&self, status: Option<Status>) -> Option<Status> {
        match status {
            Some(Status::Unknown) | None => {
                self.beat.and_then(|beat| beat.status).filter(|s| *s != Status::Unknown).or(status)
            }
            known => known,
        }
    }

    /// What it reports, as a reason.
    pub(super) fn reported(&self, moment: &Moment<'_>) -> Option<Reason> {
        let status = self.judged_status()?;
        let Some(kept) = self.words else {
            let ago = moment.now - self.beat?.stamp.stored;
            return Some(Reason::Reported { status, part: None, message: None, ago });
        };
        let ago = moment.now - self.reported_since.unwrap_or(kept.stamp.stored);
        let culprit = component::in_trouble(&kept.message).filter(|_| !self.is_launcher);
        let (part, message) = match culprit {
            Some((part, message)) => (Some(part), message.map(str::to_owned)),
            None => (None, kept.message.message.clone()),
        };
        let message = message.filter(|text| !text.trim().is_empty());
        Some(Reason::Reported { status, part, message, ago })
    }

    /// How long its main loop lags, where that is too much.
    pub(super) fn blocked_for(&self) -> Option<TimeDelta> {
        let lag = liveness::span(self.beat?.lag_seconds.filter(|lag| lag.is_finite())?);
        liveness::blocked(lag, self.interval).then_some(lag)
    }

    /// The senders of its status and of a later heartbeat of the same run, where they differ: two
    /// programs run under this name. A program sends a status before its first heartbeat.
    pub(super) fn two_senders(&self) -> Option<Vec<String>> {
        let (words, beat) = (self.words?, self.beat?);
        let spoken_for = beat.by_launcher || words.message.details.reported_by.is_some();
        let later = beat.stamp.stored - words.stamp.stored > SLACK;
        (later && !spoken_for && *words.sender != *beat.sender)
            .then(|| vec![words.sender.to_string(), beat.sender.to_string()])
    }
}

/// When a service began to report what its newest status says. The age that it gives is that of its
/// own status; else the first of the messages held that said the same.
fn fact_began(life: &Life<'_>, kept: &Kept<StatusMessage>, moment: &Moment<'_>) -> DateTime<Utc> {
    let happened = moment.happened(kept);
    let held = life.record.statuses();
    let newest = held.iter().rposition(|mark| mark.stamp == kept.stamp);
    let dated = |mark: &Mark| moment.origins.happened(mark.run, mark.stamp.stored).at;
    if let Some(age) = told_age(&kept.message, kept.run, life.is_launcher) {
        let began = happened - age;
        // the age of its own status: its components may have made another one of it meanwhile
        let before = newest.filter(|_| !life.is_launcher).unwrap_or_default();
        let other = held[..before].iter().rposition(|mark| mark.status != kept.message.status);
        return match other {
            Some(other) if dated(&held[other]) > began => dated(&held[other + 1]).max(began),
            _ => began,
        };
    }
    let Some(newest) = newest else { return happened };
    let same = held[..=newest].iter().rev().take_while(|mark| mark.is_same(&held[newest]));
    let whole = same.clone().count() == newest + 1;
    let older = life.record.older_statuses().filter(|older| whole && older.last.is_same(&held[0]));
    same.chain(older.map(|older| &older.first)).map(dated).min().unwrap_or(happened)
}

/// For how long a status has been reported, as the message says. The age is that of the own status,
/// and no status is older than the run that reports it. `None`: the message does not say.
pub(super) fn told_age(
    message: &StatusMessage,
    run: Option<RunTime>,
    is_launcher: bool,
) -> Option<TimeDelta> {
    let is_own = is_launcher || message.own_status() == message.status;
    let age = message.status_age_s.filter(|age| is_own && *age >= 0.0).map(liveness::span)?;
    Some(run.map_or(age, |run| age.min(run.run_age())))
}

/// Whether a status is of the present run (`docs/spec/truth.md#runs`).
fn belongs(
    kept: &Kept<StatusMessage>,
    start: Option<&Arc<Kept<RegistryMessage>>>,
    end: Option<&Arc<Kept<RegistryMessage>>>,
    newest: DateTime<Utc>,
) -> bool {
    let Some(start) = start else {
        // no start is held: a status belongs if no earlier run ended after it
        return end
            .is_none_or(|end| end.stamp.stored == newest || kept.stamp.stored > end.stamp.stored);
    };
    if kept.stamp.stored > start.stamp.stored {
        return true;
    }
    let Event::Start { hostname, pid, .. } = &start.message.event else { return false };
    // the end of an earlier run, not of this one
    let end = end.filter(|end| start.is_newer(end));
    pid.is_some()
        && *pid == kept.message.pid
        && *hostname == kept.message.hostname
        && end.is_none_or(|end| kept.stamp.stored > end.stamp.stored)
}
