//! The queue that messages wait in, between those that receive them and the one that decodes.
//!
//! Subscriptions are drained into a [`Mailbox`] without ever waiting for whoever reads: past a
//! bound it keeps of each subject the newest message only, so that a slow reader sees late, but
//! never wrongly. What it has to throw away its reader reads again once there is calm.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::clock;
use crate::reading::message::{Expendable, RawMessage, Stored};

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
    /// Thrown away, because even so there was too much, and not read again yet.
    pub dropped: u64,
}

/// What was thrown away of what a reader handed on.
struct Loss {
    messages: u64,
    /// How many of them are being read again.
    under_way: u64,
    /// When it was.
    last: Instant,
    /// How long nothing more must be lost before the stream is read again.
    calm: Duration,
}

/// See [`Loss::calm`]; it doubles while what is read again is lost again.
const CALM: Duration = Duration::from_secs(3);
const CALM_AT_MOST: Duration = Duration::from_mins(10);

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
    /// By reader.
    lost: BTreeMap<u32, Loss>,
}

/// The queue between the tasks that drain subscriptions and the one that decodes.
pub(super) struct Mailbox<N> {
    queue: Mutex<Queue<N>>,
    more: Notify,
    less: Notify,
    thrown: Notify,
    hasher: RandomState,
    hard: usize,
}

impl<N> Mailbox<N> {
    pub(super) fn new() -> Self {
        Self::bounded(SOFT_MESSAGES, HARD_BYTES)
    }

    fn bounded(soft: usize, hard: usize) -> Self {
        let queue = Queue {
            items: VecDeque::new(),
            bytes: 0,
            soft,
            cut: Cut::default(),
            lost: BTreeMap::new(),
        };
        Self {
            queue: Mutex::new(queue),
            more: Notify::new(),
            less: Notify::new(),
            thrown: Notify::new(),
            hasher: RandomState::new(),
            hard,
        }
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
            if queue.shed(self.hard) {
                self.thrown.notify_waiters();
            }
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
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = queue.lost.values().map(|loss| loss.messages).sum::<u64>();
        Cut { dropped: queue.cut.dropped + lost, ..queue.cut }
    }

    /// Waits until some of what a reader handed on was thrown away, and nothing more for a while: it is
    /// to be read again.
    pub(super) async fn calm(&self, reader: u32) {
        loop {
            let mut thrown = std::pin::pin!(self.thrown.notified());
            thrown.as_mut().enable();
            let due = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let loss = queue.lost.get_mut(&reader).filter(|loss| loss.under_way == 0);
                let due = loss.as_ref().map(|loss| loss.last + loss.calm);
                if let Some(loss) = loss
                    && due.is_some_and(|due| due <= clock::monotonic())
                {
                    loss.under_way = loss.messages;
                    return;
                }
                due
            };
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => thrown.await,
            }
        }
    }

    /// The reader has ended.
    pub(super) fn forget(&self, reader: u32) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).lost.remove(&reader);
    }

    /// All that a reader's stream holds has been handed on once more, if that was under way.
    pub(super) fn read_again(&self, reader: u32) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(loss) = queue.lost.get_mut(&reader) else { return };
        loss.messages -= std::mem::take(&mut loss.under_way);
        loss.calm = (loss.calm * 2).min(CALM_AT_MOST);
        if loss.messages == 0 {
            queue.lost.remove(&reader);
        }
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
    /// the next message. Whether it did.
    fn shed(&mut self, hard: usize) -> bool {
        if self.bytes <= hard {
            return false;
        }
        let mut bytes = self.bytes;
        let (cut, lost, now) = (&mut self.cut, &mut self.lost, clock::monotonic());
        for step in [Expendable::NewSubject, Expendable::Repeated, Expendable::All] {
            self.items.retain(|item| match item {
                Item::Message(message) if bytes > hard / 4 * 3 && message.is_expendable(step) => {
                    bytes = bytes.saturating_sub(message.weight());
                    if message.reader == 0 {
                        cut.dropped += 1;
                    } else {
                        let none = Loss { messages: 0, under_way: 0, last: now, calm: CALM };
                        let of_reader = lost.entry(message.reader).or_insert(none);
                        of_reader.messages += 1;
                        of_reader.last = now;
                    }
                    false
                }
                Item::Message(_) | Item::Note(_) => true,
            });
        }
        self.bytes = bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use chrono::DateTime;
    use tcs_wire::Kind;
    use tokio_util::bytes::Bytes;

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
            Item::Message(message) => match message.stored {
                Stored::Stream { seq, .. } => format!("{}{seq}", message.subject()),
                Stored::Core { .. } => "core".to_owned(),
            },
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

    #[tokio::test(start_paused = true)]
    async fn what_was_dropped_is_read_again_once_there_is_calm() {
        let mailbox: Mailbox<&str> = Mailbox::bounded(100, 3000);
        let message = |seq: u64| {
            let Item::Message(mut message) = message(&format!("s{seq}"), seq, 744) else {
                unreachable!()
            };
            message.reader = 7;
            Item::Message(message)
        };
        let calm = mailbox.calm(7);
        tokio::pin!(calm);
        mailbox.push((1..=3).map(message));
        assert!(futures_util::poll!(&mut calm).is_pending());
        mailbox.push((4..=5).map(message));
        let lost = mailbox.cut().dropped;
        assert!(lost > 0);
        calm.await;
        // it is read again only once at a time
        assert!(futures_util::poll!(std::pin::pin!(mailbox.calm(7))).is_pending());
        assert_eq!(mailbox.cut().dropped, lost);
        mailbox.read_again(7);
        assert_eq!(mailbox.cut().dropped, 0);
        assert!(futures_util::poll!(std::pin::pin!(mailbox.calm(7))).is_pending());
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
