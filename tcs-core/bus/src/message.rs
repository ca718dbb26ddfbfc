//! A message as it came, not yet decoded, and the queue that it waits in.
//!
//! Subscriptions are drained into a [`Mailbox`] without ever waiting for whoever reads: past a
//! bound it keeps of each subject the newest message only, so that a slow reader sees late, but
//! never wrongly.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_nats::{HeaderMap, Message, Subject};
use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio_util::bytes::Bytes;

use super::consumer::Place;
use tcs_wire::{DecodeError, Decoded, Kind, Subjects};

/// Where a message stands among others of its subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stored {
    /// In a stream.
    Stream {
        /// When the stream was made.
        created: DateTime<Utc>,
        /// Its sequence there.
        seq: u64,
        /// When the broker stored it, by the broker's clock.
        at: DateTime<Utc>,
    },
    /// In none, or heard beside it.
    Core {
        /// When it came, by our monotonic clock.
        arrived: Instant,
        /// Counts up through all messages of this connection that came this way.
        number: u64,
    },
}

/// One received message.
#[derive(Debug, Clone)]
pub struct RawMessage {
    /// What it carries, by its subject.
    pub kind: Kind,
    /// Its order and time.
    pub stored: Stored,
    /// Whether nothing of its subject came before, since all that was held has been read.
    pub(super) is_of_new_subject: bool,
    subject: Subject,
    payload: Bytes,
    headers: Option<HeaderMap>,
}

impl RawMessage {
    pub(super) fn new(kind: Kind, stored: Stored, message: Message) -> Self {
        let Message { subject, payload, headers, .. } = message;
        Self { kind, stored, is_of_new_subject: false, subject, payload, headers }
    }

    pub(super) fn delivered(
        kind: Kind,
        created: DateTime<Utc>,
        place: Place,
        message: Message,
    ) -> Self {
        let stored = Stored::Stream { created, seq: place.stream_seq, at: place.stored };
        Self::new(kind, stored, message)
    }

    pub(super) fn of_parts(
        kind: Kind,
        stored: Stored,
        subject: &str,
        payload: Bytes,
        headers: Option<HeaderMap>,
    ) -> Self {
        let subject = subject.into();
        Self { kind, stored, is_of_new_subject: false, subject, payload, headers }
    }

    /// The whole subject.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The body.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Names and values of all headers.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.headers.iter().flat_map(HeaderMap::iter);
        all.flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        })
    }

    /// Whether it is an answer of JetStream that was stored again, or delivered where a message
    /// is expected: somebody asked with this subject as the reply subject. Nobody has sent it.
    pub fn is_copy(&self) -> bool {
        self.headers.as_ref().is_some_and(is_copy)
    }

    /// What it says, or why that cannot be read.
    pub fn decode(&self, subjects: &Subjects) -> Result<Decoded, DecodeError> {
        match subjects.parse(self.subject()) {
            Some(_) if self.is_copy() => Err(DecodeError::Copy),
            Some(subject) => tcs_wire::decode(subject, self.payload()),
            None => Err(DecodeError::NoName { field: "subject" }),
        }
    }

    /// Whether it only marks that a subject's messages were deleted: no body, or the headers of a
    /// key-value store or of a server that puts markers where messages expire.
    pub(super) fn is_tombstone(&self) -> bool {
        const MARKERS: [&str; 2] = ["KV-Operation", "Nats-Marker-Reason"];
        let marked = |headers: &HeaderMap| MARKERS.iter().any(|it| headers.get(*it).is_some());
        self.payload.is_empty() || self.headers.as_ref().is_some_and(marked)
    }

    /// About what it occupies while it waits.
    fn weight(&self) -> usize {
        self.payload.len() + self.subject.len() + 256
    }

    /// In which order messages are thrown away where there are too many: first those of subjects
    /// that nobody has heard of, last what a launcher says only once.
    fn is_expendable(&self, step: Expendable) -> bool {
        match step {
            Expendable::NewSubject => self.is_of_new_subject && self.kind != Kind::Registry,
            Expendable::Repeated => self.kind != Kind::Registry,
            Expendable::All => true,
        }
    }

    /// Lets go of what was received together with it.
    fn detach(&mut self) {
        if self.payload.len() < SHARED_BYTES {
            self.payload = Bytes::copy_from_slice(&self.payload);
            self.subject = self.subject.as_str().to_owned().into();
        }
    }
}

/// A smaller body shares its buffer with what was received before and after it.
const SHARED_BYTES: usize = 64 * 1024;

/// See [`RawMessage::is_expendable`].
#[derive(Debug, Clone, Copy)]
enum Expendable {
    NewSubject,
    Repeated,
    All,
}

/// Headers that JetStream puts on a message that it hands out, and that no sender writes.
pub(super) const OF_JETSTREAM: [&str; 3] = ["Nats-Stream", "Nats-Subject", "Nats-Sequence"];

/// Whether these headers are those of a message that JetStream has handed out.
pub(super) fn is_copy(headers: &HeaderMap) -> bool {
    OF_JETSTREAM.iter().any(|name| headers.get(*name).is_some())
}

/// What waits: messages, and remarks at their place among them.
#[derive(Debug)]
pub enum Item<N> {
    /// A message.
    Message(RawMessage),
    /// A remark.
    Note(N),
}

/// Counters of what was not handed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Passed over for a newer message of the same subject.
    pub coalesced: u64,
    /// Thrown away, because even so there was too much.
    pub dropped: u64,
}

/// More than this waiting: keep the newest of each subject only.
const SOFT_MESSAGES: usize = 32_768;
/// And more than this: drop some.
const HARD_BYTES: usize = 24 * 1024 * 1024;
/// What is taken at once.
const TAKEN_BYTES: usize = 4 * 1024 * 1024;
/// Places that an empty queue keeps.
const RESERVED: usize = 1024;

struct Queue<N> {
    items: VecDeque<Item<N>>,
    bytes: usize,
    /// Length at which to coalesce next; grows while there is little to gain.
    soft: usize,
    cut: Cut,
}

/// The queue between the tasks that drain subscriptions and the one that decodes.
pub(super) struct Mailbox<N> {
    queue: Mutex<Queue<N>>,
    more: Notify,
    less: Notify,
    hasher: RandomState,
    hard: usize,
}

impl<N> Mailbox<N> {
    pub(super) fn new() -> Self {
        Self::bounded(SOFT_MESSAGES, HARD_BYTES)
    }

    fn bounded(soft: usize, hard: usize) -> Self {
        let queue = Queue { items: VecDeque::new(), bytes: 0, soft, cut: Cut::default() };
        let (more, less) = (Notify::new(), Notify::new());
        Self { queue: Mutex::new(queue), more, less, hasher: RandomState::new(), hard }
    }

    pub(super) fn push(&self, items: impl IntoIterator<Item = Item<N>>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        for item in items {
            if let Item::Message(message) = &item {
                // it says nothing, and is no fault of anybody's
                if message.is_tombstone() {
                    continue;
                }
                queue.bytes += message.weight();
            }
            queue.items.push_back(item);
        }
        if queue.items.len() > queue.soft || queue.bytes > self.hard {
            let before = queue.items.len();
            queue.coalesce(&self.hasher);
            queue.shed(self.hard);
            if queue.items.len() < before / 2 {
                queue.detach();
            }
            queue.soft = (queue.items.len() * 2).max(SOFT_MESSAGES);
        }
        drop(queue);
        self.more.notify_one();
    }

    pub(super) fn note(&self, note: N) {
        self.push([Item::Note(note)]);
    }

    /// Waits until there is room: for those that can let their sender wait.
    pub(super) async fn room(&self) {
        loop {
            let mut less = std::pin::pin!(self.less.notified());
            less.as_mut().enable();
            if self.queue.lock().unwrap_or_else(PoisonError::into_inner).bytes < self.hard / 2 {
                return;
            }
            less.await;
        }
    }

    /// Waits until there is something, and takes at most `limit` of it.
    pub(super) async fn take(&self, limit: usize) -> Vec<Item<N>> {
        loop {
            let taken = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                queue.take(limit)
            };
            self.less.notify_waiters();
            if !taken.is_empty() {
                return taken;
            }
            self.more.notified().await;
        }
    }

    pub(super) fn cut(&self) -> Cut {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).cut
    }
}

impl<N> Item<N> {
    fn weight(&self) -> usize {
        if let Self::Message(message) = self { message.weight() } else { 0 }
    }
}

impl<N> Queue<N> {
    /// The oldest, `limit` of them or [`TAKEN_BYTES`], but one in any case.
    fn take(&mut self, limit: usize) -> Vec<Item<N>> {
        let mut bytes = 0;
        let fits = |item: &&Item<N>| {
            let fits = bytes < TAKEN_BYTES;
            bytes += item.weight();
            fits
        };
        let count = self.items.iter().take(limit).take_while(fits).count();
        let taken: Vec<_> = self.items.drain(..count).collect();
        if self.items.is_empty() {
            self.bytes = 0;
            // A queue that was long once need not stay big.
            if self.items.capacity() > SOFT_MESSAGES {
                self.items.shrink_to(RESERVED);
            }
        } else {
            self.bytes = self.bytes.saturating_sub(taken.iter().map(Item::weight).sum());
        }
        taken
    }

    /// Few are left of many that were received together.
    fn detach(&mut self) {
        for item in &mut self.items {
            if let Item::Message(message) = item {
                message.detach();
            }
        }
    }

    /// Keeps of each subject the last message, and all notes, in their order.
    fn coalesce(&mut self, hasher: &RandomState) {
        let mut seen = HashSet::with_capacity(self.items.len());
        let mut kept = VecDeque::with_capacity(self.items.len());
        let before = self.items.len();
        while let Some(item) = self.items.pop_back() {
            let keep = match &item {
                // The same subject can come from two streams, or from a stream and beside it.
                Item::Message(m) => {
                    let from = match m.stored {
                        Stored::Stream { created, .. } => created.timestamp_nanos_opt(),
                        Stored::Core { .. } => None,
                    };
                    seen.insert(hasher.hash_one((m.subject(), from)))
                }
                Item::Note(_) => true,
            };
            if keep {
                kept.push_front(item);
            } else if let Item::Message(m) = &item {
                self.bytes = self.bytes.saturating_sub(m.weight());
            }
        }
        self.cut.coalesced += (before - kept.len()) as u64;
        self.items = kept;
    }

    /// Throws away the oldest of what is the least loss, down to three quarters: not again with
    /// the next message.
    fn shed(&mut self, hard: usize) {
        if self.bytes <= hard {
            return;
        }
        let (before, mut bytes) = (self.items.len(), self.bytes);
        for step in [Expendable::NewSubject, Expendable::Repeated, Expendable::All] {
            self.items.retain(|item| match item {
                Item::Message(message) if bytes > hard / 4 * 3 && message.is_expendable(step) => {
                    bytes = bytes.saturating_sub(message.weight());
                    false
                }
                Item::Message(_) | Item::Note(_) => true,
            });
        }
        self.bytes = bytes;
        self.cut.dropped += (before - self.items.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tombstone_is_not_handed_on() {
        let stored = Stored::Core { arrived: crate::clock::monotonic(), number: 0 };
        let parts = |body: &'static [u8], headers| {
            let body = Bytes::from_static(body);
            RawMessage::of_parts(Kind::Status, stored, "s", body, Some(headers))
        };
        let mut deleted = HeaderMap::new();
        deleted.insert("KV-Operation", "DEL");
        let mut expired = HeaderMap::new();
        expired.insert("Nats-Marker-Reason", "MaxAge");
        let mailbox: Mailbox<()> = Mailbox::new();
        let all = [(&b""[..], HeaderMap::new()), (b"{}", deleted), (b"{}", expired)];
        let last = parts(b"{}", HeaderMap::new());
        let all = all.into_iter().map(|(body, headers)| parts(body, headers)).chain([last]);
        mailbox.push(all.map(Item::Message));
        assert_eq!(mailbox.take(9).await.len(), 1);
    }

    fn message(subject: &str, seq: u64, size: usize) -> Item<&'static str> {
        let stored =
            Stored::Stream { created: DateTime::UNIX_EPOCH, seq, at: DateTime::UNIX_EPOCH };
        let body = Bytes::from(vec![0; size]);
        Item::Message(RawMessage::of_parts(Kind::Heartbeat, stored, subject, body, None))
    }

    fn shown(items: &[Item<&'static str>]) -> Vec<String> {
        let show = |item: &Item<&str>| match item {
            Item::Message(RawMessage { subject, stored: Stored::Stream { seq, .. }, .. }) => {
                format!("{subject}{seq}")
            }
            Item::Message(_) => "core".to_owned(),
            Item::Note(note) => (*note).to_owned(),
        };
        items.iter().map(show).collect()
    }

    #[tokio::test]
    async fn a_slow_reader_gets_the_last_of_each_subject_and_all_notes() {
        let mailbox = Mailbox::bounded(4, 1 << 20);
        mailbox.push([message("a", 1, 9), message("b", 2, 9), Item::Note("done")]);
        mailbox.push([message("a", 3, 9)]);
        assert_eq!(mailbox.cut(), Cut::default());
        mailbox.push([message("a", 4, 9)]);
        assert_eq!(shown(&mailbox.take(9).await), ["b2", "done", "a4"]);
        assert_eq!(mailbox.cut(), Cut { coalesced: 2, dropped: 0 });
    }

    #[tokio::test]
    async fn too_much_of_different_subjects_drops_the_oldest_and_counts() {
        let mailbox = Mailbox::bounded(100, 3000);
        for seq in 1..=9 {
            mailbox.push([message(&format!("s{seq}-"), seq, 744)]);
        }
        let left = shown(&mailbox.take(2).await);
        assert!(left.len() == 2 && left != ["s1-1", "s2-2"], "{left:?}");
        assert!(mailbox.cut().dropped > 0);
    }

    #[tokio::test]
    async fn what_nobody_has_heard_of_goes_before_what_is_known() {
        let mailbox = Mailbox::bounded(100, 3500);
        let message = |subject: &str, seq, kind, is_new| {
            let Item::Message(mut message) = message(subject, seq, 744) else { unreachable!() };
            (message.kind, message.is_of_new_subject) = (kind, is_new);
            Item::Message(message)
        };
        let known = |seq| message("known", seq, Kind::Heartbeat, false);
        let foreign = |seq| message("foreign", seq, Kind::Heartbeat, true);
        mailbox.push([known(1), foreign(2)]);
        mailbox.push([Item::Note("done"), message("f", 3, Kind::Status, true)]);
        mailbox.push([message("k", 4, Kind::Status, false)]);
        assert_eq!(shown(&mailbox.take(9).await), ["known1", "done", "k4"]);
        mailbox.push([message("event", 5, Kind::Registry, true), known(6)]);
        mailbox.push([message("b", 7, Kind::Status, false), message("c", 8, Kind::Status, false)]);
        assert_eq!(shown(&mailbox.take(9).await), ["event5", "c8"]);
        assert_eq!(mailbox.cut(), Cut { coalesced: 0, dropped: 4 });
    }

    #[tokio::test]
    async fn who_can_wait_waits_for_room() {
        let mailbox = Mailbox::bounded(100, 3000);
        mailbox.push([message("a", 1, 744), message("b", 2, 744)]);
        let room = mailbox.room();
        tokio::pin!(room);
        assert!(futures_util::poll!(&mut room).is_pending());
        mailbox.take(1).await;
        room.await;
    }

    #[tokio::test]
    async fn it_hands_over_in_pieces() {
        let mailbox = Mailbox::new();
        mailbox.push((1..=5).map(|seq| message("a", seq, 1)));
        assert_eq!(shown(&mailbox.take(3).await), ["a1", "a2", "a3"]);
        assert_eq!(shown(&mailbox.take(3).await), ["a4", "a5"]);
    }
}
