//! How much is kept, and who goes first. What is on the network decides how many services there
//! seem to be: what no launcher declares must not push out what one does, nor fill the memory.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::record::Record;

/// Names kept (`docs/spec/truth.md#bounds`).
pub const MAX_NAMES: usize = 100_000;
/// How many go at once when there are more.
const EVICTED_AT_ONCE: usize = MAX_NAMES / 100;
/// What all services may occupy together before those that no launcher ever declared have to go,
/// in bytes.
pub const ALL_BYTES: usize = 32 * 1024 * 1024;
/// What those may occupy however many are declared, in bytes.
pub const FOREIGN_BYTES: usize = ALL_BYTES / 4;
/// Beyond this they keep no metrics of more than [`LARGE`] bytes a message.
pub const SHORT_BEYOND: usize = 2 * 1024 * 1024;
/// See [`SHORT_BEYOND`].
pub const LARGE: usize = 16 * 1024;

/// After such a flood, what nobody declares is forgotten once it was silent for so long: what sent
/// a single message, and the others. With the longer one the flood is over.
const PASSING_SILENCE: TimeDelta = TimeDelta::seconds(20);
const SILENCE: TimeDelta = TimeDelta::minutes(2);
/// How often that is looked at.
const LOOK: TimeDelta = TimeDelta::seconds(5);

/// What is kept by name.
type Records = BTreeMap<Arc<str>, Arc<Record>>;

/// What services occupy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    occupied: Occupied,
    /// Beyond this large metrics of undeclared ones go.
    short_at: usize,
    /// Up to this none of them goes: some have just gone.
    idle_to: usize,
    flood: Option<Flood>,
}

/// About how many bytes: of services that a launcher declared, and of the others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Occupied {
    declared: usize,
    foreign: usize,
}

impl Occupied {
    pub(super) fn by(record: &Record) -> Self {
        Self::of(record, record.weight())
    }

    /// By its heartbeats alone.
    pub(super) fn by_beats(record: &Record) -> Self {
        Self::of(record, record.beats_weight())
    }

    fn of(record: &Record, bytes: usize) -> Self {
        if record.declared().is_empty() {
            Self { declared: 0, foreign: bytes }
        } else {
            Self { declared: bytes, foreign: 0 }
        }
    }
}

/// There were more than there is room for.
#[derive(Debug, Clone, Copy)]
struct Flood {
    /// When some of them last had to go.
    last: DateTime<Utc>,
    /// When the silent ones are looked for next.
    look_at: DateTime<Utc>,
}

impl Default for Room {
    fn default() -> Self {
        Self { occupied: Occupied::default(), short_at: SHORT_BEYOND, idle_to: 0, flood: None }
    }
}

impl Room {
    /// As these occupy it.
    pub(super) fn of(records: &Records) -> Self {
        let mut room = Self::default();
        for record in records.values() {
            room.change(Occupied::default(), Occupied::by(record));
        }
        room
    }

    /// A record occupied `before`, and occupies `after`.
    pub(super) fn change(&mut self, before: Occupied, after: Occupied) {
        let Occupied { declared, foreign } = &mut self.occupied;
        *declared = declared.saturating_sub(before.declared) + after.declared;
        *foreign = foreign.saturating_sub(before.foreign) + after.foreign;
    }

    /// What undeclared services may occupy beside those that are declared.
    fn allowed(&self) -> usize {
        ALL_BYTES.saturating_sub(self.occupied.declared).max(FOREIGN_BYTES)
    }

    pub(super) fn is_bulky(&self) -> bool {
        self.occupied.foreign > self.short_at
    }

    /// Leaves out what is large in the messages of services that no launcher declares.
    pub(super) fn shorten(&mut self, records: &mut Records) {
        let bulky =
            |record: &&mut Arc<Record>| record.declared().is_empty() && record.is_bulky(LARGE);
        for record in records.values_mut().filter(bulky) {
            let before = Occupied::by(record);
            Arc::make_mut(record).shorten(LARGE);
            self.change(before, Occupied::by(record));
        }
        // what is left may all be small: it is not looked through at each message
        self.short_at = SHORT_BEYOND.max(self.occupied.foreign / 4 * 5);
    }

    pub(super) fn is_full(&self) -> bool {
        // while it lasts, few are kept of those that come and go
        let allowed = if self.is_flooded() { self.allowed() / 2 } else { self.allowed() };
        self.occupied.foreign > allowed.max(self.idle_to)
    }

    /// Whether some had to go a short while ago.
    pub(super) fn is_flooded(&self) -> bool {
        self.flood.is_some()
    }

    /// Forgets a part of them at `now`; returns how many. Undeclared services go first, of these
    /// the ones that sent a single message; then those that have ended; inside each the ones that
    /// sent nothing for longest. Launchers stay as long as what they declare.
    pub(super) fn evict(&mut self, records: &mut Records, now: DateTime<Utc>) -> u64 {
        let mut order: Vec<_> = {
            let classes = Classes::of(records);
            let ranked = |(name, record): (&Arc<str>, &Arc<Record>)| {
                (classes.class(name, record), record.last_heard(), Arc::clone(name))
            };
            records.iter().map(ranked).collect()
        };
        order.sort_unstable();
        let too_many = if records.len() > MAX_NAMES { EVICTED_AT_ONCE } else { 0 };
        let keep = if self.is_flooded() { self.allowed() / 4 } else { self.allowed() / 4 * 3 };
        let (mut evicted, mut is_flood) = (0, false);
        for (class, _, name) in order {
            let foreign = class <= Class::Undeclared;
            if evicted as usize >= too_many && (self.occupied.foreign <= keep || !foreign) {
                break;
            }
            is_flood |= foreign;
            evicted += self.forget(records, &name);
        }
        // what is left may all be launchers: it is not looked through at each message
        self.idle_to = self.occupied.foreign / 4 * 5;
        if is_flood {
            let look_at = self.flood.map_or(now + LOOK, |flood| flood.look_at);
            self.flood = Some(Flood { last: now, look_at });
        }
        evicted
    }

    /// After a flood: forgets at `now` what it left behind; returns how many.
    pub(super) fn clear_up(&mut self, records: &mut Records, now: DateTime<Utc>) -> u64 {
        let Some(flood) = self.flood.filter(|flood| flood.look_at <= now) else { return 0 };
        let silent: Vec<_> = {
            let classes = Classes::of(records);
            let is_silent = |(name, record): &(&Arc<str>, &Arc<Record>)| {
                let silence = match classes.class(name, record) {
                    Class::Passing => PASSING_SILENCE,
                    Class::Undeclared => SILENCE,
                    Class::Ended | Class::Current => return false,
                };
                record.last_heard().is_none_or(|heard| now - heard >= silence)
            };
            let silent = records.iter().filter(is_silent);
            silent.map(|(name, _)| Arc::clone(name)).collect()
        };
        let evicted = silent.iter().map(|name| self.forget(records, name)).sum();
        self.flood = (now - flood.last < SILENCE).then_some(Flood { look_at: now + LOOK, ..flood });
        if self.flood.is_none() {
            self.idle_to = self.occupied.foreign / 4 * 5;
            self.short_at = SHORT_BEYOND.max(self.occupied.foreign / 4 * 5);
        }
        evicted
    }

    fn forget(&mut self, records: &mut Records, name: &str) -> u64 {
        let Some(record) = records.remove(name) else { return 0 };
        self.change(Occupied::by(&record), Occupied::default());
        1
    }
}

/// Whether nobody declares it, and a single message of it is held.
pub(super) fn is_passing(record: &Record) -> bool {
    record.declared().is_empty() && !record.is_established()
}

/// What is needed to decide which services are forgotten first.
struct Classes<'a> {
    /// The launchers that declare something.
    parents: HashSet<&'a str>,
}

impl<'a> Classes<'a> {
    fn of(records: &'a Records) -> Self {
        let declared = records.values().flat_map(|record| record.declared());
        Self { parents: declared.filter_map(|kept| kept.message.parent.as_deref()).collect() }
    }

    fn class(&self, name: &str, record: &Record) -> Class {
        match record.declared().is_empty() {
            true if self.parents.contains(name) => Class::Current,
            true if record.is_established() => Class::Undeclared,
            true => Class::Passing,
            false if has_ended(record) => Class::Ended,
            false => Class::Current,
        }
    }
}

/// In the order in which they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Undeclared, and a single message of it is held.
    Passing,
    Undeclared,
    Ended,
    Current,
}

fn has_ended(record: &Record) -> bool {
    record.newest_end().is_some_and(|end| record.start().is_none_or(|start| !start.is_newer(end)))
}
