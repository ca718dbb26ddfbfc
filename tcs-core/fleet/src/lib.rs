//! All that is known of a fleet, and what follows from it: the pure model behind every command and
//! the dashboard (`docs/spec/truth.md`).
//!
//! [`Fleet::apply`] folds messages in any order, any number of times, with the same result: of each
//! service it keeps the newest message of each kind and the last heartbeats. A snapshot, a live feed
//! and a recording are the same fold over different messages. [`Fleet::view`] derives what people
//! see at one moment, in this order: each service by itself (`life`), what launchers and hosts add
//! (`relations`), the verdict with its evidence (`assess`, `crashes`), the tree and what is listed (`tree`).
//!
//! Times are the broker's (`docs/spec/truth.md#clocks`). No clock is read here: `now` is an
//! argument.

mod assess;
mod beats;
mod component;
mod crashes;
mod events;
pub mod filter;
mod gaps;
pub mod graph;
pub mod history;
mod life;
mod liveness;
mod metrics;
mod origin;
mod reason;
mod recent;
mod record;
mod relations;
mod room;
pub mod silence;
mod stamp;
mod streak;
pub mod transitions;
mod tree;
mod verdict;
mod view;
pub mod why;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

pub use beats::{Beat, MAX_BEATS};
pub use crashes::{Attempt, FLAPPING_WINDOW, LastEnd};
pub use filter::Filter;
pub use liveness::{DEFAULT_INTERVAL, IntervalSource, Link};
pub use metrics::Metrics;
pub use origin::{Happened, MAX_RUNS, Origins, RunTime};
pub use reason::{Reason, Silence};
pub use record::{MAX_CRASHES, Record};
pub use room::{ALL_BYTES, FOREIGN_BYTES, LARGE, MAX_NAMES, SHORT_BEYOND};
pub use stamp::{Kept, Order, Register, SLACK, Stamp};
pub use tcs_wire::{format_duration, format_seconds};
pub use verdict::{Liveness, Phase, Verdict};
pub use view::{Counts, FleetView, HostView, ServiceView, short_host};

use life::{Life, Moment};
use room::{Occupied, Room};
use tcs_wire::{
    DecodeError, Decoded, Event, Message, Meta, NotStored, OutboxReport, RegistryMessage,
    StatusMessage,
};

/// A report of what is not stored that is older than this, by the newest message, is history.
const RECENT_REPORT: TimeDelta = TimeDelta::minutes(2);
/// Malformed messages of which the subject and the reason are kept.
const MAX_MALFORMED: usize = 32;

/// What came in, beside the picture. Not part of the fold's law: a message that comes twice counts
/// twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Messages of all kinds, the malformed ones too.
    pub received: u64,
    /// Dropped whole, or with a field of a wrong type.
    pub malformed: u64,
    /// Cut by a bound.
    pub cut: u64,
    /// Services forgotten because there were more than [`MAX_NAMES`], or because those that no
    /// launcher declares had no room ([`ALL_BYTES`], [`FOREIGN_BYTES`]).
    pub evicted: u64,
    /// The last malformed ones, oldest first: subject and reason.
    pub last_malformed: VecDeque<(String, String)>,
}

impl Tally {
    fn note_malformed(&mut self, subject: &str, why: String) {
        self.malformed += 1;
        if self.last_malformed.len() == MAX_MALFORMED {
            self.last_malformed.pop_front();
        }
        self.last_malformed.push_back((subject.to_owned(), why));
    }
}

/// Everything known of a fleet: one record per service. Cheap to clone: what is kept is shared.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    records: BTreeMap<Arc<str>, Arc<Record>>,
    newest: Option<DateTime<Utc>>,
    /// Shared with the views made of it.
    origins: Arc<Origins>,
    gaps: Arc<gaps::Gaps>,
    tally: Tally,
    room: Room,
}

impl Fleet {
    /// Knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns from a message when its sender's run began, and nothing else: what is folded in
    /// afterwards is dated by all that is known of the run, also by what came later.
    pub fn learn_origin(&mut self, meta: &Meta, stored: DateTime<Utc>) {
        if let Some(time) = RunTime::of(meta) {
            Arc::make_mut(&mut self.origins).note(time, stored);
        }
    }

    /// Folds one message in. Returns whether it changed what is kept: `false` for an older one and
    /// for one that is there already. `subject` is for counting what is malformed; the service is
    /// the one that the message names.
    pub fn apply<'a>(
        &mut self,
        subject: &str,
        decoded: impl Into<Cow<'a, Decoded>>,
        stamp: Stamp,
    ) -> bool {
        let decoded = decoded.into();
        self.tally.received += 1;
        if !tcs_wire::is_clean_subject(subject) {
            let why = "the subject has white space, control characters or bytes that are not UTF-8";
            self.tally.note_malformed(subject, why.to_owned());
        } else if !decoded.notes.dropped.is_empty() {
            let why = format!("wrong type: {}", decoded.notes.dropped.join(", "));
            self.tally.note_malformed(subject, why);
        }
        self.tally.cut += u64::from(!decoded.notes.cut.is_empty());
        self.newest = self.newest.max(Some(stamp.stored));
        if !self.is_passing(&decoded.message) {
            self.learn_origin(&decoded.meta, stamp.stored);
        }
        if let Message::Registry(event) = &decoded.message
            && event.event_seq.is_some()
        {
            Arc::make_mut(&mut self.gaps).apply(event, &stamp);
        }
        let Some(name) = decoded.message.name() else { return false };
        if let Some(record) = self.records.get_mut(name) {
            let occupied = match decoded.message {
                Message::Heartbeat(_) => Occupied::by_beats,
                Message::Status(_) | Message::Registry(_) | Message::Journal(_) => Occupied::by,
            };
            let before = occupied(record);
            let changed = Arc::make_mut(record).apply(decoded, stamp);
            self.room.change(before, occupied(record));
            self.make_room();
            return changed;
        }
        let mut record = Record::default();
        let name: Arc<str> = name.into();
        record.apply(decoded, stamp);
        self.room.change(Occupied::default(), Occupied::by(&record));
        self.records.insert(name, Arc::new(record));
        self.make_room();
        true
    }

    /// How many events of each launcher are missing: those that it says it had to give up, or more
    /// if more are seen to be missing. (What somebody has acknowledged is to be taken off here.)
    pub fn missing_events(&self) -> BTreeMap<Arc<str>, u64> {
        let mut missing = self.gaps.missing();
        for (name, _, outbox) in self.outboxes() {
            if outbox.lost_events > 0 {
                let count = missing.entry(Arc::clone(name)).or_default();
                *count = (*count).max(outbox.lost_events);
            }
        }
        missing
    }

    /// The senders that report that messages of their program are not stored at present.
    pub fn not_stored(&self) -> impl Iterator<Item = (&Arc<str>, &NotStored)> {
        let since = self.newest.map(|newest| newest - RECENT_REPORT);
        self.outboxes()
            .filter(move |(_, stored, _)| since.is_some_and(|since| *stored > since))
            .flat_map(|(name, _, outbox)| outbox.refused.iter().map(move |it| (name, it)))
    }

    fn outboxes(&self) -> impl Iterator<Item = (&Arc<str>, DateTime<Utc>, &OutboxReport)> {
        self.records.iter().filter_map(|(name, record)| {
            let beat = record.last_beat()?;
            Some((name, beat.stamp.stored, beat.outbox.as_deref()?))
        })
    }

    /// Forgets services where there are too many, or those that no launcher declares occupy too
    /// much.
    fn make_room(&mut self) {
        let Some(now) = self.newest else { return };
        let was_flooded = self.is_flooded();
        if self.room.is_bulky() {
            self.room.shorten(&mut self.records);
        }
        if self.records.len() > MAX_NAMES || self.room.is_full() {
            self.tally.evicted += self.room.evict(&mut self.records, now);
            if !was_flooded {
                self.forget_origins();
            }
        }
        self.clear_up(now);
    }

    /// After a flood of services that nobody declares, forgets those that are silent at `now`.
    pub fn clear_up(&mut self, now: DateTime<Utc>) {
        let evicted = self.room.clear_up(&mut self.records, now);
        self.tally.evicted += evicted;
        if evicted > 0 {
            self.forget_origins();
        }
    }

    /// Forgets the runs of those whose services are forgotten.
    fn forget_origins(&mut self) {
        let stay = self.records.values().filter(|record| !room::is_passing(record));
        let senders = stay.flat_map(|record| record.senders()).collect();
        Arc::make_mut(&mut self.origins).retain(&senders);
    }

    /// Whether there were more services that nobody declares than there is room for, a short while
    /// ago: of those that come and go, not all are kept.
    pub fn is_flooded(&self) -> bool {
        self.room.is_flooded()
    }

    /// Whether, in such a flood, this message is not worth more than to be counted: it is of a
    /// service that nobody declares, and of which at most one message is held.
    pub fn is_passing(&self, message: &Message) -> bool {
        let declares = matches!(message, Message::Registry(message)
            if matches!(message.event, Event::Declared(_)));
        self.is_flooded() && !declares && message.name().is_some_and(|name| !self.is_settled(name))
    }

    /// Whether something is known of this service.
    pub fn holds(&self, name: &str) -> bool {
        self.records.contains_key(name)
    }

    /// Whether a launcher declares this service, or more than one message of it is held.
    pub fn is_settled(&self, name: &str) -> bool {
        self.records.get(name).is_some_and(|record| !room::is_passing(record))
    }

    /// Forgets all services that are not settled in `other`.
    pub fn retain_settled_in(&mut self, other: &Self) {
        self.records.retain(|name, _| other.is_settled(name));
        self.room = Room::of(&self.records);
        self.origins = Arc::clone(&other.origins);
    }

    /// Counts a message that could not be read at all.
    pub fn malformed(&mut self, subject: &str, error: &DecodeError) {
        self.tally.received += 1;
        self.tally.note_malformed(subject, error.to_string());
    }

    /// What came in.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// When the things happened that the messages tell of.
    pub fn origins(&self) -> &Arc<Origins> {
        &self.origins
    }

    /// Whether a service crashed within [`FLAPPING_WINDOW`] before `now` under a launcher that does
    /// not count crashes, so that only earlier messages tell how often.
    pub fn has_uncounted_crashes(&self, now: DateTime<Utc>) -> bool {
        self.records.values().any(|record| {
            record.crashed().is_some_and(|kept| {
                let counted = match &kept.message.event {
                    Event::Crashed(crash) => crash.recent_crashes.is_some(),
                    _ => true,
                };
                !counted && now - kept.stamp.stored < FLAPPING_WINDOW
            })
        })
    }

    /// The newest `declared` of each launcher about a service, newest first.
    pub fn declared(&self, name: &str) -> &[Arc<Kept<RegistryMessage>>] {
        self.records.get(name).map(|record| record.declared()).unwrap_or_default()
    }

    /// The newest status of a service.
    pub fn status_of(&self, name: &str) -> Option<&StatusMessage> {
        Some(&self.records.get(name)?.status()?.message)
    }

    /// When the newest status of a service was stored, where it does not say since when it has been
    /// reported.
    pub fn undated_status(&self, name: &str) -> Option<DateTime<Utc>> {
        let kept = self.records.get(name)?.status()?;
        let is_dated = life::told_age(&kept.message, kept.run, false).is_some();
        (!is_dated).then_some(kept.stamp.stored)
    }

    /// Whether something newer than this message, of the same kind, is known of the service.
    fn has_newer(&self, name: &str, message: &Message, stamp: &Stamp) -> bool {
        let record = || self.records.get(name);
        let newest = match message {
            Message::Registry(message) if matches!(message.event, Event::Crashed(_)) => {
                record().and_then(|record| Some(record.crashed()?.stamp))
            }
            Message::Status(_) => record().and_then(|record| Some(record.status()?.stamp)),
            _ => None,
        };
        newest.is_some_and(|newest| newest.is_newer(stamp))
    }

    /// Whether this is an event that is known already.
    fn is_repeated(&self, message: &Message) -> bool {
        match message {
            Message::Registry(message) => {
                self.records.get(&*message.service_id).is_some_and(|record| record.holds(message))
            }
            Message::Status(_) | Message::Heartbeat(_) | Message::Journal(_) => false,
        }
    }

    /// How many names are known.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Stored time of the newest message.
    pub fn newest(&self) -> Option<DateTime<Utc>> {
        self.newest
    }

    /// The names known, in order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.records.keys()
    }

    /// The services that `launcher` declares at present, each with the other live launchers that
    /// declare it too (`docs/spec/truth.md#launchers-and-hosts`). `own` are services that it is
    /// known to declare: where two did before anybody listened, the newest declaration of a subject
    /// hides the other.
    pub fn rivals(
        &self,
        launcher: &str,
        own: &BTreeSet<Arc<str>>,
        now: DateTime<Utc>,
        link: Link,
    ) -> BTreeMap<Arc<str>, Vec<String>> {
        let moment = Moment { now, link, origins: &self.origins };
        let launchers = relations::Launchers::read(self.records.values().map(|r| &**r));
        let is_live = |name: &str| {
            self.records.get(name).is_some_and(|record| {
                relations::is_live(&Life::read(record, true, launchers.sign(name), &moment))
            })
        };
        let records = self.records.iter().map(|(name, record)| (name, &**record));
        launchers.rivals(launcher, own, records, is_live)
    }

    /// The services that name this launcher as theirs.
    fn below(&self, launcher: &str) -> Vec<Arc<str>> {
        let names = |record: &Record| {
            record.registry().any(|kept| kept.message.parent.as_deref() == Some(launcher))
        };
        let below = self.records.iter().filter(|(_, record)| names(record));
        below.map(|(name, _)| Arc::clone(name)).filter(|name| **name != *launcher).collect()
    }

    /// A known name, shared.
    pub fn name(&self, name: &str) -> Option<Arc<str>> {
        self.records.get_key_value(name).map(|(name, _)| Arc::clone(name))
    }

    /// One service at `now`, with what its launchers add and without what other services do: that
    /// a host, or everything, is silent at once.
    pub fn view_of(&self, name: &str, now: DateTime<Utc>, link: Link) -> Option<ServiceView> {
        let record = self.records.get(name)?;
        let parents = record
            .registry()
            .filter_map(|kept| kept.message.parent.as_deref())
            .chain(record.status().and_then(|kept| kept.message.parent.as_deref()));
        let records = std::iter::once(name)
            .chain(parents)
            .filter_map(|name| self.records.get_key_value(name))
            .map(|(name, record)| (Arc::clone(name), Arc::clone(record)))
            .collect();
        let alone = Self { records, newest: self.newest, ..Self::default() };
        let mut view = alone.view(now, link);
        let mut service = view.services.swap_remove(view.position(name)?);
        service
            .reasons
            .retain(|reason| !matches!(reason, Reason::HeartbeatsMissing | Reason::HostSilent(_)));
        Some(service)
    }

    /// The picture at `now` (the broker's clock).
    pub fn view(&self, now: DateTime<Utc>, link: Link) -> FleetView {
        let launchers = relations::Launchers::read(self.records.values().map(|r| &**r));
        let moment = Moment { now, link, origins: &self.origins };
        let names: Vec<&Arc<str>> = self.records.keys().collect();
        let records: Vec<&Arc<Record>> = self.records.values().collect();
        let lives: Vec<Life<'_>> = self
            .records
            .iter()
            .map(|(name, record)| {
                let is_launcher = launchers.is_launcher(name);
                Life::read(record, is_launcher, launchers.sign(name), &moment)
            })
            .collect();
        let known = tree::Known { moment, names, records, lives, launchers };
        tree::assemble(&known, self.newest, Arc::clone(&self.origins))
    }
}

#[cfg(test)]
mod tests;
