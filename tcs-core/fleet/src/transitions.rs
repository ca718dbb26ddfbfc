//! What happened: messages go in, transitions of services come out, each with its time, its cause,
//! and how long the previous state had lasted.
//!
//! A transition is a launcher's event, a changed status, or a verdict that changes because
//! heartbeats stop, resume, or report that the main loop is blocked. The verdict of each comes from
//! the fleet's own rules ([`Fleet::view_of`]), so that a list of the past and the picture of the
//! present never disagree.
//!
//! Messages are taken in the order in which they were stored. Silence sends no messages, so time is
//! an input too: [`Transitions::advance`] finds the moments at which silence changed a verdict.
//! Where heartbeats of the past are not stored, such changes are not reported.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::life::told_age;
use super::liveness::Link;
use super::liveness::{blocked, span};
use super::origin::RunTime;
use super::silence::{Silence, Silences};
use super::verdict::{Liveness, Phase, Verdict};
use super::view::ServiceView;
use super::{Fleet, MAX_NAMES, Stamp};
use tcs_wire::{
    Decoded, Event, HeartbeatMessage, Message, Meta, RegistryMessage, Status, StatusMessage,
};

pub(crate) mod boots;
mod grouping;
mod news;
mod profiles;
mod transition;
mod turn;
mod waking;

use news::{Pulse, reported, tells};

pub use grouping::{Group, MANY, grouped};
pub use transition::{Before, Cause, Transition};
pub use turn::Turn;

/// Two `stop` of one service closer than this are one: Python's process launcher sends it twice.
const TWICE: TimeDelta = TimeDelta::milliseconds(500);
/// A status that has been reported for so long is sent again.
const OLD: TimeDelta = TimeDelta::seconds(5);
/// A crash is part of the verdict for so long.
const CRASH_COUNTS: TimeDelta = TimeDelta::minutes(5);
/// After a period in which nothing could arrive, a service has one interval and this time to send
/// a heartbeat.
const GRACE: TimeDelta = TimeDelta::seconds(5);

/// What is known of one service.
#[derive(Debug, Clone, Default)]
struct Known {
    verdict: Option<Verdict>,
    /// Late with heartbeats: its main loop was blocked.
    blocked: bool,
    /// When the verdict began.
    since: Option<DateTime<Utc>>,
    /// The last reported status, and since when.
    status: Option<(Status, DateTime<Utc>)>,
    started: Option<DateTime<Utc>>,
    stopped: Option<DateTime<Utc>>,
    /// When time alone may change the verdict.
    wake: Option<DateTime<Utc>>,
    pulse: Option<Pulse>,
    /// Of a launcher: the boot of its host that it reports.
    boot: Option<Box<str>>,
    /// Of a launcher: the profile that it reports.
    profile: profiles::Known,
}

/// A period in which nothing could arrive: silence in it makes no service late or lost.
#[derive(Debug, Clone, Copy)]
struct Blind {
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
}

/// The message that is being taken.
struct Told<'a> {
    id: &'a Arc<str>,
    meta: &'a Meta,
    stored: DateTime<Utc>,
    /// When the event that it reports happened.
    at: DateTime<Utc>,
    link: Link,
    /// It is known: its stream was made anew, and it was sent again.
    is_repeated: bool,
}

/// Finds transitions in messages and in time that passes.
#[derive(Debug, Clone, Default)]
pub struct Transitions {
    known: HashMap<Arc<str>, Known>,
    wakes: BinaryHeap<Reverse<(DateTime<Utc>, Arc<str>)>>,
    blind: Option<Blind>,
    /// Times to come in which nothing could be heard: of a past that is read before it is taken.
    silences: VecDeque<Silence>,
    boots: boots::Boots,
    /// Finds them.
    ahead: Silences,
    /// Up to when the time has been taken.
    passed: Option<DateTime<Utc>>,
    /// Each change of a verdict; `None`: nobody wants them.
    turns: Option<Vec<Turn>>,
}

/// Whether its sender's loop is blocked.
fn lags(message: &HeartbeatMessage) -> bool {
    let interval = message.interval_seconds.unwrap_or_default();
    message.lag_seconds.is_some_and(|lag| blocked(span(lag), span(interval)))
}

impl Transitions {
    /// For a past whose heartbeats are known only since `from` (`None`: not at all): silence before
    /// that is not reported.
    pub fn heard_from(from: Option<DateTime<Utc>>) -> Self {
        let until = Some(from.unwrap_or(DateTime::<Utc>::MAX_UTC));
        let blind = Some(Blind { from: DateTime::<Utc>::MIN_UTC, until });
        Self { blind, ..Self::default() }
    }

    /// For a period that begins at `from`, of which heartbeats are known from `heard_from` on.
    pub fn of_period(from: DateTime<Utc>, heard_from: Option<DateTime<Utc>>) -> Self {
        match heard_from {
            Some(heard) if heard <= from => Self::default(),
            _ => Self::heard_from(heard_from),
        }
    }

    /// Keeps each change of a verdict, including unreported ones, for [`Self::take_turns`].
    #[must_use]
    pub fn keeping_turns(self) -> Self {
        Self { turns: Some(Vec::new()), ..self }
    }

    /// The changes of verdicts since this was asked last, in the order in which they became known.
    pub fn take_turns(&mut self) -> Vec<Turn> {
        self.turns.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Times in which no heartbeat of any service could be stored, of all that was looked through,
    /// oldest first.
    pub fn silences(&self) -> Vec<Silence> {
        self.ahead.found()
    }

    /// Takes the fleet as it is: what it shows at `now` is no news.
    pub fn begin(&mut self, fleet: &Fleet, now: DateTime<Utc>, link: Link) {
        for service in &fleet.view(now, link).services {
            let status = service.record.status().filter(|kept| !kept.message.by_launcher());
            let known = self.known.entry(Arc::clone(&service.id)).or_default();
            known.verdict = Some(service.verdict);
            known.since = service.since;
            known.status = status
                .map(|kept| (reported(&kept.message, service.is_launcher), kept.stamp.stored));
            known.started = service.started_at;
            self.know_boot(service);
            self.know_profile(service);
            if let Some(turns) = &mut self.turns {
                turns.push(Turn::of(service, service.since.unwrap_or(now)));
            }
            self.schedule(service, now);
        }
    }

    /// Forgets what is not settled in `fleet`: what came and went in a flood.
    pub fn retain_settled_in(&mut self, fleet: &Fleet) {
        self.known.retain(|id, _| fleet.is_settled(id));
        self.known.shrink_to_fit();
        self.wakes.retain(|Reverse((_, id))| self.known.contains_key(id));
        self.wakes.shrink_to_fit();
    }

    /// Looks through a past, in the order in which it was stored, before it is taken message by
    /// message: when its runs began, and when nobody's heartbeats could be stored. A long one is
    /// looked through in pieces, each before it is taken; what follows a silence has to be looked
    /// through before the silence is taken.
    pub fn look_ahead<'a>(
        &mut self,
        fleet: &mut Fleet,
        messages: impl IntoIterator<Item = (&'a Decoded, Stamp)>,
    ) {
        for (Decoded { message, meta, .. }, stamp) in messages {
            fleet.learn_origin(meta, stamp.stored);
            if let Message::Heartbeat(message) = message {
                self.ahead.note(meta, message, stamp.stored);
            }
        }
        let to_come = |it: &Silence| self.passed.is_none_or(|passed| it.until > passed);
        self.silences = self.ahead.found().into_iter().filter(to_come).collect();
    }

    /// Folds a message into `fleet`, and returns what happened until then and what the message
    /// reports. A message that the fleet has already, or an out-of-order one, gives no transition.
    pub fn take(
        &mut self,
        fleet: &mut Fleet,
        subject: &str,
        decoded: &Decoded,
        stamp: Stamp,
        link: Link,
    ) -> Vec<Transition> {
        // before it is folded in: the record says nothing of the time before afterwards
        let mut transitions = self.advance(fleet, stamp.stored, link);
        let is_repeated = fleet.is_repeated(&decoded.message);
        if !fleet.apply(subject, decoded, stamp) || self.is_as_before(decoded) {
            return transitions;
        }
        let Some(id) = decoded.message.name().and_then(|name| fleet.name(name)) else {
            return transitions;
        };
        if fleet.has_newer(&id, &decoded.message, &stamp) {
            return transitions;
        }
        if self.known.len() >= MAX_NAMES && !self.known.contains_key(&id) {
            self.known.clear();
            self.wakes.clear();
        }
        let happened = fleet.origins().happened(RunTime::of(&decoded.meta), stamp.stored);
        let (meta, stored) = (&decoded.meta, stamp.stored);
        let link = self.link_at(stored, link);
        let told = Told { id: &id, meta, stored, at: happened.at, link, is_repeated };
        if let Message::Heartbeat(message) = &decoded.message {
            transitions.extend(self.reboot(fleet, &told, message));
            transitions.extend(self.profile(fleet, &told, message));
        }
        let before = self.known.get(&id).and_then(|known| known.verdict);
        transitions.extend(match &decoded.message {
            Message::Registry(message) => self.event(fleet, &told, message),
            Message::Status(message) => self.status(fleet, &told, message),
            Message::Heartbeat(message) => self.heartbeat(fleet, &told, message),
            Message::Journal(_) => None,
        });
        if before.is_some_and(|before| {
            before.is_fault() && self.known.get(&id).is_some_and(|it| it.verdict != Some(before))
        }) {
            self.look_below(fleet, &id, stored);
        }
        transitions
    }

    /// Whether it is the usual heartbeat, which tells nothing: the service was live when it was looked
    /// at last, and says the same.
    fn is_as_before(&self, decoded: &Decoded) -> bool {
        let Message::Heartbeat(message) = &decoded.message else { return false };
        let tells = |name: &str| message.metrics.contains_key(name);
        !tells(boots::BOOT_ID)
            && !tells(profiles::PROFILE)
            && self.is_calm(&message.service_id, &decoded.meta, message)
    }

    fn is_calm(&self, id: &str, meta: &Meta, message: &HeartbeatMessage) -> bool {
        let pulse = || self.known.get(id)?.pulse.as_ref();
        !lags(message) && pulse().is_some_and(|pulse| pulse.is(meta, message))
    }

    /// Advances to `now`, and returns the transitions caused by silence. While nothing can arrive,
    /// time does not advance.
    pub fn advance(&mut self, fleet: &Fleet, now: DateTime<Utc>, link: Link) -> Vec<Transition> {
        let mut transitions = Vec::new();
        self.passed = self.passed.max(Some(now));
        while let Some(Silence { from, until }) = self.silences.front().copied()
            && from < now
        {
            let blind = Link::Down { since: from };
            transitions.extend(self.go_on(fleet, now.min(until), blind));
            if now < until {
                return transitions;
            }
            self.silences.pop_front();
        }
        transitions.extend(self.go_on(fleet, now, link));
        transitions
    }

    /// When time alone may next change a verdict, if messages can arrive.
    pub fn next_wake(&self) -> Option<DateTime<Utc>> {
        self.wakes.peek().map(|Reverse((at, _))| *at)
    }

    fn go_on(&mut self, fleet: &Fleet, now: DateTime<Utc>, link: Link) -> Vec<Transition> {
        let until = match link {
            Link::Down { since } => {
                if self.blind.is_none_or(|blind| blind.until.is_some()) {
                    self.blind = Some(Blind { from: since, until: None });
                }
                now.min(since)
            }
            Link::Steady | Link::Back { .. } => {
                if let Some(blind) = &mut self.blind {
                    blind.until.get_or_insert(now);
                }
                now
            }
        };
        let mut transitions = Vec::new();
        while self.wakes.peek().is_some_and(|Reverse((at, _))| *at <= until) {
            let Some(Reverse((at, id))) = self.wakes.pop() else { break };
            let is_current = self.known.get(&id).is_some_and(|known| known.wake == Some(at));
            if is_current {
                transitions.extend(self.wake(fleet, &id, at, link));
            }
        }
        transitions
    }

    /// The link as it was at `at`: launchers are not silent either while nothing can arrive.
    pub fn link_at(&self, at: DateTime<Utc>, link: Link) -> Link {
        match self.blind {
            Some(Blind { from, until: Some(until) }) if from <= at => {
                if at < until {
                    Link::Down { since: from }
                } else {
                    Link::Back { lost: from, since: until }
                }
            }
            Some(Blind { from, until: None }) if from < at => Link::Down { since: from },
            Some(_) | None => link,
        }
    }

    fn event(
        &mut self,
        fleet: &Fleet,
        told: &Told<'_>,
        message: &RegistryMessage,
    ) -> Option<Transition> {
        let known = self.known.entry(Arc::clone(told.id)).or_default();
        let ran = |said: Option<f64>, started: Option<DateTime<Utc>>| {
            said.map(span).or(started.map(|started| (told.at - started).max(TimeDelta::zero())))
        };
        let ran = match &message.event {
            Event::Start { .. } | Event::Restarting { .. } => {
                known.started = Some(told.at);
                known.stopped = None;
                None
            }
            Event::Stop(_) if known.stopped.is_some_and(|at| told.stored - at < TWICE) => {
                return None;
            }
            Event::Stop(stop) => {
                known.stopped = Some(told.stored);
                ran(stop.uptime_seconds, known.started.take())
            }
            Event::Crashed(crash) => ran(crash.uptime_seconds, known.started.take()),
            _ => None,
        };
        let service = fleet.view_of(told.id, told.stored, told.link)?;
        // a launcher declares at each of its starts all that its configuration lists
        let is_told = !matches!(message.event, Event::Declared(_)) && !told.is_repeated;
        let cause =
            Cause::Event { event: message.event.clone(), launcher: message.parent.clone(), ran };
        let mut transition =
            self.settle(&service, told.stored, told.at, |_| is_told.then_some(cause))?;
        transition.by.clone_from(&message.requested_by);
        Some(transition)
    }

    fn status(
        &mut self,
        fleet: &Fleet,
        told: &Told<'_>,
        message: &StatusMessage,
    ) -> Option<Transition> {
        // a launcher that reports for the service repeats what its event has told
        if message.by_launcher() {
            return None;
        }
        let service = fleet.view_of(told.id, told.stored, told.link)?;
        let to = reported(message, service.is_launcher);
        let known = self.known.entry(Arc::clone(told.id)).or_default();
        let before = known.status;
        // one that is sent again, and was reported before anything is known, is no news
        let age = told_age(message, RunTime::of(told.meta), false).filter(|_| before.is_none());
        let is_news =
            before.is_none_or(|(status, _)| status != to) && age.is_none_or(|age| age < OLD);
        if is_news || before.is_none() {
            // what its components made of it meanwhile is not in the age
            let age = age.filter(|_| message.details.own_status.is_none()).unwrap_or_default();
            known.status = Some((to, told.at - age));
        }
        let from = before.map(|(from, since)| (from, (told.at - since).max(TimeDelta::zero())));
        let cause = Cause::Status { from, to, message: message.message.clone() };
        self.settle(&service, told.stored, told.at, |_| is_news.then_some(cause))
    }

    fn heartbeat(
        &mut self,
        fleet: &Fleet,
        told: &Told<'_>,
        message: &HeartbeatMessage,
    ) -> Option<Transition> {
        if self.is_calm(told.id, told.meta, message) {
            return None;
        }
        let service = fleet.view_of(told.id, told.stored, told.link)?;
        // silence ends when it is heard, whenever it was sent
        let transition = self.settle(&service, told.stored, told.stored, |before| {
            tells(before, service.verdict).then_some(Cause::Heartbeat)
        });
        let calm = !lags(message)
            && service.phase.is_up()
            && service.liveness == Liveness::Live
            && !matches!(service.verdict, Verdict::Late | Verdict::Lost);
        if let Some(known) = self.known.get_mut(told.id) {
            known.pulse = calm.then(|| Pulse::of(told.meta, message));
        }
        transition
    }

    /// Compares a service, as it was at `looked`, with what is known of it. `cause` gives what made
    /// the change, if that is worth being told; it is given the verdict before.
    fn settle(
        &mut self,
        service: &ServiceView,
        looked: DateTime<Utc>,
        at: DateTime<Utc>,
        cause: impl FnOnce(Option<Verdict>) -> Option<Cause>,
    ) -> Option<Transition> {
        let silent = matches!(service.verdict, Verdict::Late | Verdict::Lost);
        let unheard =
            silent && service.liveness != Liveness::Live && self.is_grace(service, looked);
        let known = self.known.entry(Arc::clone(&service.id)).or_default();
        let old = known.verdict;
        let cause = cause(old);
        // that it is declared says nothing of how it is, where its start is not known
        if cause.is_none() && old.is_none() && service.phase == Phase::Declared {
            return None;
        }
        // its first heartbeat after a time in which nothing could be heard is still to come
        let kept = old.filter(|_| unheard && !matches!(cause, Some(Cause::Event { .. })));
        let verdict = kept.unwrap_or(service.verdict);
        let changed = old != Some(verdict);
        known.verdict = Some(verdict);
        let blocked = silent && service.liveness == Liveness::Live;
        let was_blocked = std::mem::replace(&mut known.blocked, blocked);
        let began = known.since;
        if changed {
            let first = service.since.filter(|since| old.is_none() && *since < at);
            let since = first.unwrap_or(at);
            known.since = Some(since);
            known.pulse = None;
            if let Some(turns) = &mut self.turns {
                let reason = service.reasons.first().filter(|_| kept.is_none()).cloned();
                turns.push(Turn { id: Arc::clone(&service.id), at: since, verdict, reason });
            }
        }
        self.schedule(service, looked);
        let cause = cause?;
        let before = old.filter(|_| changed).map(|verdict| Before {
            verdict,
            // what happened before that began, and was delivered after it, ended nothing of it
            lasted: began.map(|began| at - began).filter(|lasted| *lasted >= TimeDelta::zero()),
            blocked: was_blocked,
        });
        Some(Transition {
            at,
            delivered_late: (looked - at).max(TimeDelta::zero()),
            id: Arc::clone(&service.id),
            cause,
            by: None,
            before,
            verdict,
            reasons: if kept.is_some() { Vec::new() } else { service.reasons.clone() },
        })
    }

    /// Whether nothing could be heard until so shortly before that silence proves nothing.
    fn is_grace(&self, service: &ServiceView, at: DateTime<Utc>) -> bool {
        let Some(Blind { from, until }) = self.blind else { return false };
        let again = until.and_then(|until| until.checked_add_signed(service.interval + GRACE));
        from <= at && again.is_none_or(|again| at < again)
    }
}
