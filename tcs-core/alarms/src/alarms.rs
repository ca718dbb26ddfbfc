//! All records of alarms, folded (`docs/spec/alarms.md#one-fold`): in any order, any number of
//! times, with the same result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::{Order, Stamp};
use tcs_wire::Timestamp;

use crate::address::Address;
use crate::id::AlarmId;
use crate::record::{
    AckOp, AckRecord, NoteRecord, Original, Place, Record, RulesRecord, SentRecord, ShelfRecord,
    StateRecord,
};
use crate::severity::Severity;

/// Episodes of an alarm of which acknowledgements are kept: those that were raised last.
const MAX_EPISODES: usize = 4;
/// Notes kept of one alarm: the newest.
const MAX_NOTES: usize = 16;
/// Shelves kept: the newest.
const MAX_SHELVES: usize = 1000;
/// The longest shelf.
pub const MAX_SHELF: TimeDelta = TimeDelta::days(7);

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held<T> {
    /// What it says.
    pub record: Arc<T>,
    /// Where it stands in the stream.
    pub place: Place,
    /// When it was stored.
    pub stored: DateTime<Utc>,
}

impl<T> Held<T> {
    fn new(record: T, place: Place, stored: DateTime<Utc>) -> Self {
        Self { record: Arc::new(record), place, stored }
    }

    /// Replaces an older one.
    fn put(self, slot: &mut Option<Self>, order: impl Fn(&Self) -> (Place, Place)) -> bool {
        let newer = slot.as_ref().is_none_or(|held| order(&self) > order(held));
        if newer {
            *slot = Some(self);
        }
        newer
    }

    /// For records that are never restored.
    fn by_place(&self) -> (Place, Place) {
        (self.place, self.place)
    }
}

impl Held<AckRecord> {
    /// Where and when the operator's message stood. A copy stands after it; what claims to be one
    /// of a later message is none.
    pub fn original(&self) -> Original {
        let own = Original { place: self.place, at: self.stored.into() };
        let is_before = |it: &Original| it.place < self.place && it.at.time() <= self.stored;
        self.record.original.filter(is_before).unwrap_or(own)
    }

    /// By the operator's message; of it and its copies the newest.
    fn by_original(&self) -> (Place, Place) {
        (self.original().place, self.place)
    }

    /// Whether it had ended when it was given: then it never counts.
    fn is_void(&self) -> bool {
        self.record.expires.is_some_and(|expires| expires <= self.original().at)
    }
}

impl Held<StateRecord> {
    /// The message that began the newest occurrence.
    pub(crate) fn raised(&self) -> Place {
        self.record.raised.unwrap_or(self.place)
    }
}

/// What operators said about one episode: the newest acknowledgement up to each severity, and the
/// newest that took one back. One up to a lower severity so never takes away what another covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Acks {
    up_to: [Option<Held<AckRecord>>; Severity::ALL.len()],
    unack: Option<Held<AckRecord>>,
}

impl Acks {
    fn put(&mut self, held: Held<AckRecord>) -> bool {
        let slot = match held.record.op {
            AckOp::Ack => &mut self.up_to[held.record.up_to as usize],
            AckOp::Unack => &mut self.unack,
        };
        held.put(slot, Held::by_original)
    }

    /// The newest `unack`.
    pub(crate) fn unack(&self) -> Option<&Held<AckRecord>> {
        self.unack.as_ref()
    }

    /// Those that cover `severity` of an occurrence that began at `raised`, expired or not.
    pub(crate) fn covering(
        &self,
        severity: Severity,
        raised: Place,
    ) -> impl Iterator<Item = &Held<AckRecord>> {
        let after = self.unack.as_ref().map(|unack| unack.original().place).max(Some(raised));
        let high = &self.up_to[severity as usize..];
        high.iter().flatten().filter(move |ack| Some(ack.original().place) > after)
    }
}

/// All that is kept of one alarm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) state: Option<Held<StateRecord>>,
    /// By the time of the episode's raise.
    pub(crate) acks: BTreeMap<Timestamp, Acks>,
    /// Of the newest message of their subject.
    last_ack: Option<Place>,
    pub(crate) notes: BTreeMap<Place, Held<NoteRecord>>,
    /// By channel.
    pub(crate) sent: BTreeMap<Arc<str>, Held<SentRecord>>,
}

/// One shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    /// The newest message of it.
    pub held: Held<ShelfRecord>,
    /// When an operator ended it: no later message opens it again.
    pub ended: Option<DateTime<Utc>>,
}

impl Shelf {
    /// When it ends or ended.
    pub fn end(&self) -> DateTime<Utc> {
        let until = self.held.record.until.time().min(self.held.stored + MAX_SHELF);
        self.ended.map_or(until, |ended| ended.min(until))
    }
}

/// All alarms, shelves and notifications, folded from stored messages. Cheap to clone: records are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarms {
    pub(crate) records: BTreeMap<AlarmId, Records>,
    shelves: BTreeMap<String, Shelf>,
    rules: Option<Held<RulesRecord>>,
    /// The newest message of each subject that could not be read.
    unread: BTreeMap<Address, Place>,
    /// Subjects of which the stream was found to hold nothing, with the newest message kept here.
    purged: BTreeMap<Address, Place>,
}

impl Alarms {
    /// Knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds one message in. Returns whether it changed what is kept. What no stream holds is not
    /// counted: alarms are what is stored.
    pub fn apply(&mut self, address: &Address, record: Record, stamp: &Stamp) -> bool {
        let Order::Stream { created, seq } = stamp.order else { return false };
        let stored = stamp.stored;
        let place = Place { created: created.into(), seq };
        match (address, record) {
            (Address::State(alarm), Record::State(state)) => {
                Held::new(state, place, stored).put(&mut self.of(alarm).state, Held::by_place)
            }
            (Address::Ack(alarm), Record::Ack(ack)) => {
                let (held, records) = (Held::new(ack, place, stored), self.of(alarm));
                let newer = records.last_ack < Some(place);
                records.last_ack = records.last_ack.max(Some(place));
                if held.is_void() {
                    return newer;
                }
                let (acks, raised) = (&mut records.acks, held.record.episode.raised);
                let changed = acks.entry(raised).or_default().put(held);
                keep_last(acks, MAX_EPISODES);
                newer || changed && acks.contains_key(&raised)
            }
            (Address::Note(alarm), Record::Note(note)) => {
                let notes = &mut self.of(alarm).notes;
                let changed = notes.insert(place, Held::new(note, place, stored)).is_none();
                keep_last(notes, MAX_NOTES);
                changed && notes.contains_key(&place)
            }
            (Address::Sent { channel, alarm }, Record::Sent(sent)) => {
                let sends = &mut self.of(alarm).sent;
                let mut newest = sends.remove(channel.as_str());
                let changed = Held::new(sent, place, stored).put(&mut newest, Held::by_place);
                sends.extend(newest.map(|held| (channel.as_str().into(), held)));
                changed
            }
            (Address::Shelf(id), Record::Shelf(record)) => {
                self.put_shelf(id, Held::new(record, place, stored))
            }
            (Address::Rules, Record::Rules(rules)) => {
                Held::new(rules, place, stored).put(&mut self.rules, Held::by_place)
            }
            (
                Address::State(_)
                | Address::Ack(_)
                | Address::Note(_)
                | Address::Sent { .. }
                | Address::Shelf(_)
                | Address::Rules,
                _,
            ) => false,
        }
    }

    /// Notes an unreadable message: the next writer to its subject has to name it as the last one.
    pub fn pass_over(&mut self, address: Address, stamp: &Stamp) {
        let Order::Stream { created, seq } = stamp.order else { return };
        let place = Place { created: created.into(), seq };
        let newest = self.unread.entry(address).or_insert(place);
        *newest = place.max(*newest);
    }

    /// The last sequence number of a subject in the stream made at `created`, where what was read
    /// of it ends at `seq`.
    pub fn last_seq(&self, address: &Address, created: Timestamp, seq: u64) -> u64 {
        let unread = self.unread.get(address).filter(|place| place.created == created);
        unread.map_or(seq, |place| place.seq.max(seq))
    }

    /// Notes what somebody has purged: `held` are the subjects of which the stream made at `created`
    /// holds messages, asked for when it had got to `last_seq`.
    pub fn note_held(&mut self, created: Timestamp, last_seq: u64, held: &BTreeSet<Address>) {
        let is_gone = |(address, place): &(Address, Place)| {
            place.created == created && place.seq <= last_seq && !held.contains(address)
        };
        self.purged = self.newest().filter(is_gone).collect();
    }

    /// Whether the stream holds no message of a subject any more, of which this is the newest here.
    pub(crate) fn is_purged(&self, address: &Address, place: Place) -> bool {
        self.purged.get(address) == Some(&place)
    }

    /// The newest message of each subject.
    fn newest(&self) -> impl Iterator<Item = (Address, Place)> {
        let of_alarm = |(id, records): (&AlarmId, &Records)| {
            let state = records.state.as_ref().map(|held| (Address::State(id.clone()), held.place));
            let ack = records.last_ack.map(|place| (Address::Ack(id.clone()), place));
            let sent = records.sent.iter().map(|(channel, held)| {
                (Address::Sent { channel: channel.to_string(), alarm: id.clone() }, held.place)
            });
            state.into_iter().chain(ack).chain(sent).collect::<Vec<_>>()
        };
        let shelves = self.shelves.iter();
        let shelves = shelves.map(|(id, shelf)| (Address::Shelf(id.clone()), shelf.held.place));
        let rules = self.rules.as_ref().map(|held| (Address::Rules, held.place));
        self.records.iter().flat_map(of_alarm).chain(shelves).chain(rules)
    }

    fn of(&mut self, alarm: &AlarmId) -> &mut Records {
        self.records.entry(alarm.clone()).or_default()
    }

    fn put_shelf(&mut self, id: &str, held: Held<ShelfRecord>) -> bool {
        let ended = held.record.ended.then_some(held.stored);
        let Some(known) = self.shelves.get_mut(id) else {
            self.shelves.insert(id.to_owned(), Shelf { held, ended });
            let oldest = self.shelves.iter().min_by_key(|(_, shelf)| shelf.held.place);
            let oldest = oldest.map(|(id, _)| id.clone());
            if self.shelves.len() > MAX_SHELVES {
                oldest.map(|id| self.shelves.remove(&id));
            }
            return true;
        };
        let before = known.clone();
        known.ended = match (known.ended, ended) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if held.place > known.held.place {
            known.held = held;
        }
        *known != before
    }

    /// All shelves, ended ones too, by id.
    pub fn shelves(&self) -> impl Iterator<Item = (&str, &Shelf)> {
        self.shelves.iter().map(|(id, shelf)| (id.as_str(), shelf))
    }

    /// The shelf of this id.
    pub fn shelf(&self, id: &str) -> Option<&Shelf> {
        self.shelves.get(id)
    }

    /// The rules that hold.
    pub fn rules(&self) -> Option<&Held<RulesRecord>> {
        self.rules.as_ref()
    }

    /// The newest state of an alarm.
    pub fn state(&self, alarm: &AlarmId) -> Option<&Held<StateRecord>> {
        self.records.get(alarm)?.state.as_ref()
    }

    /// What was last sent about an alarm by a channel.
    pub fn sent(&self, channel: &str, alarm: &AlarmId) -> Option<&Held<SentRecord>> {
        self.records.get(alarm)?.sent.get(channel)
    }

    /// Where the newest message about acknowledging an alarm is.
    pub(crate) fn last_ack(&self, alarm: &AlarmId) -> Option<Place> {
        self.records.get(alarm)?.last_ack
    }

    /// What was last sent about each alarm by each channel.
    pub(crate) fn all_sent(&self) -> impl Iterator<Item = (&str, &Held<SentRecord>)> {
        let all = self.records.values().flat_map(|records| &records.sent);
        all.map(|(channel, held)| (&**channel, held))
    }

    /// The newest notes on an alarm, oldest first.
    pub fn notes(&self, alarm: &AlarmId) -> impl Iterator<Item = &Held<NoteRecord>> {
        self.records.get(alarm).into_iter().flat_map(|records| records.notes.values())
    }

    /// The alarms of which a state is held, in order.
    pub fn ids(&self) -> impl Iterator<Item = &AlarmId> {
        let held = self.records.iter().filter(|(_, records)| records.state.is_some());
        held.map(|(id, _)| id)
    }
}

/// Forgets the smallest keys where there are more than `most`.
fn keep_last<K: Ord, V>(map: &mut BTreeMap<K, V>, most: usize) {
    while map.len() > most {
        map.pop_first();
    }
}
