//! What rules would have raised over a past, and who would have been notified: a sentinel that is
//! given the messages of that time, and a stream that exists only here
//! (`docs/spec/alarms.md#commands`).

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::history::{Gap, GapKind, PastReader};
use tcs_fleet::silence::Silence;
use tcs_fleet::transitions::Transitions;
use tcs_fleet::{Fleet, FleetView, Link, Order, Stamp};
use tcs_wire::{Decoded, Message};

use crate::address::Address;
use crate::alarms::Alarms;
use crate::findings::Situation;
use crate::id::AlarmId;
use crate::intent::Intent;
use crate::notification::Notification;
use crate::record::{Condition, Record, StateRecord, Why};
use crate::rules::{RuleSet, RulesError};
use crate::sentinel::Sentinel;
use crate::severity::Severity;

/// How soon after an event, or after a record was stored, alarms are evaluated.
const SOON: TimeDelta = TimeDelta::milliseconds(50);
/// How often alarms are evaluated after something has happened,
const EVERY: TimeDelta = TimeDelta::seconds(1);
/// for so long;
const RESTLESS: TimeDelta = TimeDelta::seconds(150);
/// after that, while a condition holds or an alarm is open,
const CALM: TimeDelta = TimeDelta::seconds(10);
/// and otherwise: only what heartbeats tell beside that they come may change anything then.
const IDLE: TimeDelta = TimeDelta::seconds(60);
/// Raises that are kept; later ones are only counted.
const MAX_RAISES: usize = 20_000;

/// One raise of an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Raised {
    /// Of which alarm.
    pub alarm: AlarmId,
    /// When.
    pub at: DateTime<Utc>,
    /// When its condition was over; `None`: not in the period.
    pub ended: Option<DateTime<Utc>>,
    /// The highest severity.
    pub severity: Severity,
    /// In one line.
    pub message: Option<String>,
    /// The alarm that explains it.
    pub cause: Option<AlarmId>,
    /// It came and went, and was held active.
    pub chatter: bool,
    /// What would have been sent about it.
    pub told: Vec<Told>,
}

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Told {
    /// When.
    pub at: DateTime<Utc>,
    /// By which channel.
    pub channel: String,
    /// Why.
    pub why: Why,
    /// Which step of the escalation, from 0.
    pub step: u32,
}

/// One digest of a flood.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Digest {
    /// When.
    pub at: DateTime<Utc>,
    /// By which channel.
    pub channel: String,
    /// Alarms that were active.
    pub active: usize,
}

/// What rules would have done over a period.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Its beginning.
    pub from: DateTime<Utc>,
    /// Its end.
    pub to: DateTime<Utc>,
    /// In the order of time.
    pub raises: Vec<Raised>,
    /// Further raises, of which there was no room for more than their number.
    pub more: usize,
    /// In the order of time.
    pub digests: Vec<Digest>,
    /// Notifications by channel, digests too.
    pub sent: BTreeMap<String, usize>,
    /// Parts of the period of which the record lacks something.
    pub gaps: Vec<Gap>,
}

/// Takes in the messages of a period.
#[derive(Debug)]
pub struct Replay {
    fleet: Fleet,
    transitions: Transitions,
    heard_from: Option<DateTime<Utc>>,
    sentinel: Sentinel,
    alarms: Alarms,
    seq: u64,
    /// When it is evaluated next.
    due: DateTime<Utc>,
    restless_until: DateTime<Utc>,
    /// Up to when the time has been taken.
    looked: DateTime<Utc>,
    /// The newest raise of each alarm.
    newest: BTreeMap<AlarmId, usize>,
    replayed: Replayed,
}

impl Replay {
    /// A sentinel with these rules and with all the channels that they name, started at `from`.
    pub fn sentinel(rules: RuleSet, from: DateTime<Utc>) -> Result<Sentinel, RulesError> {
        let steps = rules.escalate.values().flatten();
        let mut channels: Vec<String> = steps.map(|step| step.channel.to_string()).collect();
        channels.sort();
        channels.dedup();
        Sentinel::new("replay", rules, channels, from)
    }

    /// `fleet` is what was known when the period began. Heartbeats are known from `heard_from` on;
    /// `None`: not at all. Nobody acknowledges or shelves anything, and all channels take what is sent.
    pub fn new(
        sentinel: Sentinel,
        fleet: Fleet,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        heard_from: Option<DateTime<Utc>>,
    ) -> Self {
        let mut transitions = Transitions::of_period(from, heard_from).keeping_turns();
        transitions.begin(&fleet, from, Link::Steady);
        transitions.take_turns();
        Self {
            fleet,
            transitions,
            heard_from,
            sentinel,
            alarms: Alarms::new(),
            seq: 0,
            due: from,
            restless_until: from + RESTLESS,
            looked: from,
            newest: BTreeMap::new(),
            replayed: Replayed {
                from,
                to,
                raises: Vec::new(),
                more: 0,
                digests: Vec::new(),
                sent: BTreeMap::new(),
                gaps: Vec::new(),
            },
        }
    }

    /// Goes on to the end of the period.
    pub fn finish(mut self) -> Replayed {
        self.run_to(self.replayed.to);
        for Silence { from, until } in self.transitions.silences() {
            self.replayed.gaps.push(Gap::new(GapKind::Outage, from, until));
        }
        self.replayed
    }

    /// Evaluates at each moment up to then at which something may have changed.
    fn run_to(&mut self, until: DateTime<Utc>) {
        loop {
            // a wake in the past: a service whose heartbeats are not known, which changes nothing
            let wake = self.transitions.next_wake().filter(|wake| *wake > self.looked);
            let next = wake.map_or(self.due, |wake| wake.min(self.due));
            if next > until {
                return;
            }
            self.looked = next;
            self.transitions.advance(&self.fleet, next, Link::Steady);
            if !self.transitions.take_turns().is_empty() {
                self.stir(next, TimeDelta::zero());
            }
            if next >= self.due {
                let has_acted = self.evaluate(next);
                let step = if has_acted {
                    SOON
                } else if next < self.restless_until {
                    EVERY
                } else if self.sentinel.is_idle() {
                    IDLE
                } else {
                    CALM
                };
                self.due = next + step;
            }
        }
    }

    /// Something has happened.
    fn stir(&mut self, at: DateTime<Utc>, soon: TimeDelta) {
        self.restless_until = at + RESTLESS;
        self.due = self.due.min(at + soon);
    }

    fn view(&self, now: DateTime<Utc>) -> FleetView {
        let link = self.transitions.link_at(now, Link::Steady);
        let mut view = self.fleet.view(now, link);
        if self.heard_from.is_none_or(|heard| now < heard) {
            // heartbeats are not held of this time, and so say nothing; events and statuses are
            view.link = Link::Steady;
        }
        view
    }

    /// Whether anything was to be done.
    fn evaluate(&mut self, now: DateTime<Utc>) -> bool {
        let (fleet, missing_events) = (self.view(now), self.fleet.missing_events());
        let stream = Some(self.replayed.from);
        let situation =
            Situation { fleet: &fleet, missing_events: &missing_events, stream, own: &[] };
        let intents = self.sentinel.evaluate(&situation, &self.alarms);
        let has_acted = !intents.is_empty();
        if has_acted {
            self.restless_until = now + RESTLESS;
        }
        for intent in intents {
            match intent {
                Intent::Write(write) => {
                    if let Record::State(record) = &write.record {
                        self.note_state(record, now);
                    }
                    self.store(&write.address, write.record, now);
                }
                Intent::Notify(claim) => {
                    self.note_sent(&claim.notification, now);
                    self.store(&claim.address(), claim.outcome(Ok(())), now);
                }
            }
        }
        has_acted
    }

    fn store(&mut self, address: &Address, record: Record, now: DateTime<Utc>) {
        self.seq += 1;
        let order = Order::Stream { created: self.replayed.from, seq: self.seq };
        self.alarms.apply(address, record, &Stamp { stored: now, order });
    }

    fn note_state(&mut self, record: &StateRecord, now: DateTime<Utc>) {
        let alarm = &record.episode.alarm;
        if record.state == Condition::Active && record.raised.is_none() {
            if self.replayed.raises.len() == MAX_RAISES {
                self.replayed.more += 1;
                self.newest.remove(alarm);
                return;
            }
            self.newest.insert(alarm.clone(), self.replayed.raises.len());
            self.replayed.raises.push(Raised {
                alarm: alarm.clone(),
                at: now,
                ended: None,
                severity: record.severity,
                message: record.message.clone(),
                cause: record.cause.clone(),
                chatter: record.chatter,
                told: Vec::new(),
            });
            return;
        }
        let Some(raised) = self.newest.get(alarm).map(|at| &mut self.replayed.raises[*at]) else {
            return;
        };
        match record.state {
            Condition::Active => {
                raised.severity = raised.severity.max(record.severity);
                raised.cause.clone_from(&record.cause);
                raised.chatter |= record.chatter;
            }
            Condition::Returned | Condition::Normal => {
                raised.ended.get_or_insert(now);
            }
        }
    }

    fn note_sent(&mut self, notification: &Notification, now: DateTime<Utc>) {
        let Notification { channel, why, step, .. } = notification;
        *self.replayed.sent.entry(channel.clone()).or_default() += 1;
        if let Some(active) = notification.active {
            let channel = channel.clone();
            self.replayed.digests.push(Digest { at: now, channel, active });
        } else if let Some(at) = self.newest.get(&notification.episode.alarm) {
            let told = Told { at: now, channel: channel.clone(), why: *why, step: *step };
            self.replayed.raises[*at].told.push(told);
        }
    }
}

impl PastReader for Replay {
    fn gap(&mut self, gap: Gap) {
        self.replayed.gaps.push(gap);
    }

    fn look_ahead<'a>(&mut self, messages: impl Iterator<Item = (&'a Decoded, Stamp)>) {
        self.transitions.look_ahead(&mut self.fleet, messages);
    }

    fn take(&mut self, subject: &str, decoded: &Decoded, stamp: Stamp) {
        self.run_to(stamp.stored);
        self.transitions.take(&mut self.fleet, subject, decoded, stamp, Link::Steady);
        let is_turned = !self.transitions.take_turns().is_empty();
        match &decoded.message {
            Message::Registry(_) => self.stir(stamp.stored, SOON),
            _ if is_turned => self.stir(stamp.stored, SOON),
            // it may have other metrics
            Message::Status(_) => self.due = self.due.min(stamp.stored + EVERY),
            Message::Heartbeat(_) | Message::Journal(_) => {}
        }
    }
}
