//! The bounded queue of one class of messages. Pure.
//!
//! Events are kept in order, one after the other. Of statuses and heartbeats that cannot be sent
//! only the newest of each subject is kept; a message that may already be in a stream is never
//! replaced, because it could still arrive behind the newer one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::outgoing::OutgoingMessage;

/// Messages kept in one lane.
pub(super) const MAX_LEN: usize = 20_000;
/// Bytes of bodies kept in one lane.
pub(super) const MAX_BYTES: usize = 32 * 1024 * 1024;
/// A heartbeat that is older says nothing about the present: it is not sent any more.
const HEARTBEAT_EXPIRES: Duration = Duration::from_secs(5);
/// A status that has waited so long is outdated by a newer one. (What is said while a program
/// connects for the first time is not.)
const OUTDATED: Duration = Duration::from_secs(1);
/// Messages of different subjects under way at once. Events go one by one: one that is refused
/// must not be overtaken by the next.
const WIDTH: usize = 16;

/// How a message is treated. Each class has a lane of its own: a stream that refuses statuses
/// delays no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A registry event: sent in order, kept until it is stored, given up for want of room only.
    Event,
    /// A status: while it cannot be sent only the newest of each subject is kept, without a time
    /// limit.
    Status,
    /// A heartbeat: the same, for 5 s.
    Heartbeat,
}

impl Class {
    /// All of them, in the order of their lanes.
    pub const ALL: [Self; 3] = [Self::Event, Self::Status, Self::Heartbeat];

    /// The name shown to readers: the kind of subject.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "registry",
            Self::Status => "status",
            Self::Heartbeat => "heartbeat",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Waits to be sent, or sent again.
    Idle,
    /// Sent, and not answered yet.
    Sent,
    /// May be stored: to be looked up before it is sent again.
    Doubtful,
    /// Being looked up.
    LookedUp,
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) parcel: OutgoingMessage,
    pub(super) event_seq: Option<u64>,
    pub(super) state: State,
    /// How often it was sent or looked up: an answer to an earlier attempt decides nothing.
    pub(super) attempt: u32,
    /// The connection over which it was last sent.
    pub(super) link: u64,
    made: Instant,
}

impl Item {
    fn is_under_way(&self) -> bool {
        matches!(self.state, State::Sent | State::LookedUp)
    }
}

#[derive(Debug)]
pub(super) struct Lane {
    class: Class,
    /// By serial number: in the order in which they came.
    items: BTreeMap<u64, Item>,
    /// Serial numbers by subject, where the subject's order is to be kept and not the lane's.
    subjects: HashMap<String, VecDeque<u64>>,
    bytes: usize,
    /// Sent or being looked up.
    under_way: usize,
    /// Where the search for something to send begins, so that one refused subject does not hold
    /// up the others.
    cursor: u64,
    max_len: usize,
    max_bytes: usize,
    /// Events given up for want of room.
    pub(super) dropped: u64,
    /// Numbered events that no stream will ever hold.
    pub(super) lost: u64,
}

impl Lane {
    pub(super) fn new(class: Class, max_len: usize, max_bytes: usize) -> Self {
        Self {
            class,
            items: BTreeMap::new(),
            subjects: HashMap::new(),
            bytes: 0,
            under_way: 0,
            cursor: 0,
            max_len,
            max_bytes,
            dropped: 0,
            lost: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether the bounds are exceeded; for tests.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The serial number of the oldest message.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.items.first_key_value().map(|(serial, _)| *serial)
    }

    /// The oldest message.
    pub(super) fn first_parcel(&self) -> Option<&OutgoingMessage> {
        self.items.first_key_value().map(|(_, item)| &item.parcel)
    }

    /// A subject of what waits, to ask for the stream that holds it.
    pub(super) fn a_subject(&self) -> Option<&str> {
        self.first_parcel().map(OutgoingMessage::subject)
    }

    pub(super) fn get(&self, serial: u64) -> Option<&Item> {
        self.items.get(&serial)
    }

    /// Whether this attempt is the one under way: an answer to an earlier one decides nothing.
    pub(super) fn is_current(&self, serial: u64, attempt: u32, state: State) -> bool {
        self.get(serial).is_some_and(|it| it.attempt == attempt && it.state == state)
    }

    pub(super) fn set_state(&mut self, serial: u64, state: State) {
        if let Some(item) = self.items.get_mut(&serial) {
            self.under_way -= usize::from(item.is_under_way());
            item.state = state;
            self.under_way += usize::from(item.is_under_way());
        }
    }

    /// It is sent, or looked up, over this connection; which attempt that is.
    pub(super) fn begin(&mut self, serial: u64, state: State, link: u64) -> u32 {
        self.set_state(serial, state);
        let Some(item) = self.items.get_mut(&serial) else { return 0 };
        item.attempt += 1;
        if state == State::Sent {
            item.link = link;
        }
        item.attempt
    }

    /// Takes a message in.
    pub(super) fn push(
        &mut self,
        serial: u64,
        parcel: OutgoingMessage,
        event_seq: Option<u64>,
        now: Instant,
    ) {
        if self.class != Class::Event {
            let queue = self.subjects.entry(parcel.subject().to_owned()).or_default();
            queue.push_back(serial);
        }
        self.bytes += parcel.body().len();
        let item = Item { parcel, event_seq, state: State::Idle, attempt: 0, link: 0, made: now };
        self.items.insert(serial, item);
        while self.items.len() > 1
            && (self.items.len() > self.max_len || self.bytes > self.max_bytes)
        {
            // what is under way may be stored already: it is not the one to be given up
            let idle = self.items.iter().find(|(_, item)| item.state == State::Idle);
            let Some(victim) = idle.map(|(serial, _)| *serial) else { break };
            if let Some(item) = self.remove(victim) {
                self.dropped += 1;
                self.lost += u64::from(item.event_seq.is_some());
            }
        }
    }

    /// Messages of this subject cannot be sent at present: of those that wait longer than
    /// [`OUTDATED`] only the newest is kept, and stands for the others.
    pub(super) fn coalesce(&mut self, subject: &str, now: Instant) {
        let Some(queue) = self.subjects.get(subject) else { return };
        let Some(newest) = queue.back().copied() else { return };
        let outdated = |serial: &u64| {
            self.items.get(serial).is_some_and(|it| {
                it.state == State::Idle && it.attempt == 0 && now >= it.made + OUTDATED
            })
        };
        let before = queue.iter().filter(|serial| **serial != newest && outdated(serial));
        for serial in before.copied().collect::<Vec<_>>() {
            let old = self.remove(serial);
            if self.class == Class::Status
                && let (Some(old), Some(newest)) = (old, self.items.get_mut(&newest))
            {
                self.bytes -= newest.parcel.body().len();
                newest.parcel.stand_for(&old.parcel);
                self.bytes += newest.parcel.body().len();
            }
        }
    }

    /// Coalesces the messages of all subjects: the outage is over.
    pub(super) fn coalesce_all(&mut self, now: Instant) {
        let several = self.subjects.iter().filter(|(_, queue)| queue.len() > 1);
        for subject in several.map(|(subject, _)| subject.clone()).collect::<Vec<_>>() {
            self.coalesce(&subject, now);
        }
    }

    pub(super) fn remove(&mut self, serial: u64) -> Option<Item> {
        let item = self.items.remove(&serial)?;
        self.bytes -= item.parcel.body().len();
        self.under_way -= usize::from(item.is_under_way());
        if let Some(queue) = self.subjects.get_mut(item.parcel.subject()) {
            queue.retain(|other| *other != serial);
            if queue.is_empty() {
                self.subjects.remove(item.parcel.subject());
            }
        }
        Some(item)
    }

    /// Forgets heartbeats that have become too old.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.class == Class::Heartbeat {
            let old = |item: &Item| now >= item.made + HEARTBEAT_EXPIRES;
            let expired = self.items.iter().take_while(|(_, item)| old(item));
            let expired = expired.filter(|(_, item)| item.state == State::Idle);
            for serial in expired.map(|(serial, _)| *serial).collect::<Vec<_>>() {
                self.remove(serial);
            }
        }
    }

    /// What may be sent or looked up now, in this order; `careful`: one at a time.
    pub(super) fn ready(&self, careful: bool) -> Vec<u64> {
        let waits = |item: &Item| !item.is_under_way();
        if self.class == Class::Event {
            let first = self.items.first_key_value().filter(|(_, item)| waits(item));
            return first.map(|(serial, _)| *serial).into_iter().collect();
        }
        let width = if careful { 1 } else { WIDTH };
        let is_first = |serial: &u64, item: &Item| {
            let queue = self.subjects.get(item.parcel.subject());
            queue.and_then(|queue| queue.front()) == Some(serial)
        };
        self.items
            .range(self.cursor..)
            .chain(self.items.range(..self.cursor))
            .filter(|(serial, item)| waits(item) && is_first(serial, item))
            .map(|(serial, _)| *serial)
            .take(width.saturating_sub(self.under_way))
            .collect()
    }

    /// The next search begins behind this one.
    pub(super) fn pass_over(&mut self, serial: u64) {
        self.cursor = serial + 1;
    }

    /// The connection is lost: what was under way may be stored or not. A heartbeat is not worth
    /// the question.
    pub(super) fn link_lost(&mut self) {
        let under_way = self.items.iter().filter(|(_, item)| item.is_under_way());
        for serial in under_way.map(|(serial, _)| *serial).collect::<Vec<_>>() {
            if self.class == Class::Heartbeat {
                self.remove(serial);
            } else {
                self.set_state(serial, State::Doubtful);
            }
        }
    }

    /// Takes out all that was not sent over this connection yet, oldest first.
    pub(super) fn take_unsent(&mut self, link: u64) -> Vec<Item> {
        let sent = |item: &Item| item.state == State::Sent && item.link == link;
        let unsent = self.items.iter().filter(|(_, item)| !sent(item));
        let unsent: Vec<_> = unsent.map(|(serial, _)| *serial).collect();
        unsent.into_iter().filter_map(|serial| self.remove(serial)).collect()
    }

    /// Takes out what was sent over this connection without an answer: where no stream holds the
    /// subject, it has reached whoever listens.
    pub(super) fn take_unanswered(&mut self, link: u64) -> u64 {
        let unanswered = |item: &Item| item.state == State::Doubtful && item.link == link;
        let found = self.items.iter().filter(|(_, item)| unanswered(item));
        let found: Vec<_> = found.map(|(serial, _)| *serial).collect();
        for serial in &found {
            self.remove(*serial);
        }
        found.len() as u64
    }
}
