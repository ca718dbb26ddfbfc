//! A bounded, ordered queue of messages. Pure.

use std::collections::VecDeque;
use std::time::Instant;

use crate::bus::publish::Parcel;

/// Messages kept.
const MAX_LEN: usize = 20_000;
/// Bytes of bodies kept.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What may be given up first when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A life cycle event: the last to go.
    Event,
    /// A status: an older one goes when a newer one of the same subject is there.
    Status,
}

/// A message that waits.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) serial: u64,
    class: Class,
    pub(super) parcel: Parcel,
    /// The connection over which it was last sent in vain, by when that was made.
    pub(super) tried_on: Option<Instant>,
}

/// Numbers of an outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not sent yet.
    pub waiting: usize,
    /// Sent.
    pub sent: u64,
    /// Given up for want of room.
    pub dropped: u64,
    /// Given up because they could never arrive.
    pub refused: u64,
}

#[derive(Debug)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    next: u64,
    max_len: usize,
    max_bytes: usize,
    pub(super) sent: u64,
    pub(super) dropped: u64,
    pub(super) refused: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
            next: 0,
            max_len: MAX_LEN,
            max_bytes: MAX_BYTES,
            sent: 0,
            dropped: 0,
            refused: 0,
        }
    }
}

impl Queue {
    pub(super) fn push(&mut self, class: Class, parcel: Parcel) {
        self.bytes += parcel.body.len();
        self.items.push_back(Item { serial: self.next, class, parcel, tried_on: None });
        self.next += 1;
        while self.items.len() > 1
            && (self.items.len() > self.max_len || self.bytes > self.max_bytes)
        {
            let victim = self.superseded().unwrap_or(0);
            self.remove(victim);
            self.dropped += 1;
        }
    }

    /// The oldest status that is not the newest of its subject; else the oldest status.
    fn superseded(&self) -> Option<usize> {
        let statuses = || self.items.iter().enumerate().filter(|(_, i)| i.class == Class::Status);
        let mut newest = std::collections::HashMap::new();
        for (at, item) in statuses() {
            newest.insert(&item.parcel.subject, at);
        }
        statuses()
            .find(|(at, item)| newest.get(&item.parcel.subject) != Some(at))
            .or_else(|| statuses().next())
            .map(|(at, _)| at)
    }

    fn remove(&mut self, at: usize) {
        if let Some(item) = self.items.remove(at) {
            self.bytes -= item.parcel.body.len();
        }
    }

    /// The `n` oldest, which stay in the queue until [`Queue::done`].
    pub(super) fn oldest(&self, n: usize) -> Vec<Item> {
        self.items.iter().take(n).cloned().collect()
    }

    /// A message was sent over the connection made then, and no ack came.
    pub(super) fn tried(&mut self, serial: u64, on: Instant) {
        if let Some(item) = self.items.iter_mut().find(|item| item.serial == serial) {
            item.tried_on = Some(on);
        }
    }

    pub(super) fn done(&mut self, serial: u64) {
        if let Some(at) = self.items.iter().position(|item| item.serial == serial) {
            self.remove(at);
        }
    }

    /// One more than the serial of the newest message ever put in.
    pub(super) fn end(&self) -> u64 {
        self.next
    }

    /// The serial of the oldest message waiting; [`Queue::end`] if none is.
    pub(super) fn start(&self) -> u64 {
        self.items.front().map_or(self.next, |item| item.serial)
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            waiting: self.items.len(),
            sent: self.sent,
            dropped: self.dropped,
            refused: self.refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parcel(subject: &str, n: u32) -> Parcel {
        Parcel::new(subject.to_owned(), &json!({ "n": n })).unwrap()
    }

    fn numbers(queue: &Queue) -> Vec<String> {
        let read = |parcel: Parcel| -> serde_json::Value {
            serde_json::from_slice(parcel.body()).unwrap()
        };
        queue
            .oldest(usize::MAX)
            .into_iter()
            .map(|item| {
                format!("{}{}", item.parcel.subject.clone(), read(item.parcel)["data"]["n"])
            })
            .collect()
    }

    #[test]
    fn what_is_full_gives_up_what_matters_least_and_counts_it() {
        let mut queue = Queue { max_len: 4, ..Queue::default() };
        queue.push(Class::Event, parcel("e", 1));
        queue.push(Class::Status, parcel("a", 2));
        queue.push(Class::Status, parcel("b", 3));
        queue.push(Class::Status, parcel("a", 4));
        queue.push(Class::Event, parcel("e", 5));
        assert_eq!(numbers(&queue), ["e1", "b3", "a4", "e5"], "a2 is outdated by a4");
        queue.push(Class::Event, parcel("e", 6));
        queue.push(Class::Event, parcel("e", 7));
        assert_eq!(numbers(&queue), ["e1", "e5", "e6", "e7"]);
        queue.push(Class::Event, parcel("e", 8));
        assert_eq!(numbers(&queue), ["e5", "e6", "e7", "e8"]);
        assert_eq!(queue.counts().dropped, 4);
    }

    #[test]
    fn bytes_are_bounded_and_given_back() {
        let mut queue = Queue { max_bytes: 1000, ..Queue::default() };
        for n in 0..100 {
            queue.push(Class::Event, parcel("e", n));
        }
        assert!(queue.bytes <= 1000 && queue.counts().waiting > 2);
        for Item { serial, .. } in queue.oldest(100) {
            queue.done(serial);
            queue.done(serial); // twice does no harm
        }
        assert_eq!((queue.bytes, queue.counts().waiting), (0, 0));
        assert_eq!(queue.start(), queue.end());
    }
}
