//! When the broker stored a message, and what is newest (`docs/spec/truth.md#one-fold`).

use std::cmp::Ordering;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::origin::RunTime;
use tcs_wire::{RegistryMessage, StatusMessage, Timestamp};

/// Two broker times of different streams that are closer than this decide nothing by themselves.
pub const SLACK: TimeDelta = TimeDelta::seconds(5);

/// A message's time and order, by the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The broker's clock when it stored the message; for a core message, when it came to us, by
    /// the broker's clock as we know it.
    pub stored: DateTime<Utc>,
    /// What decides between two messages of one kind.
    pub order: Order,
}

/// The order of messages of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Out of a JetStream stream: by the stream's creation, then by sequence, so that a broker that
    /// came back with an empty store does not freeze the picture.
    Stream {
        /// When the stream was created.
        created: DateTime<Utc>,
        /// Its sequence number of the message.
        seq: u64,
    },
    /// Plain NATS: by arrival, counted by the reader.
    Core {
        /// 1, 2, ... through the reader's life.
        arrival: u64,
    },
}

impl Stamp {
    /// Whether `self` is newer, where both are of one kind. A stream message and a core one are
    /// compared by broker time.
    pub fn is_newer(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Greater
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self.order, other.order) {
            (
                Order::Stream { created: mine, seq: my_seq },
                Order::Stream { created: theirs, seq: their_seq },
            ) => (mine, my_seq, self.stored).cmp(&(theirs, their_seq, other.stored)),
            (Order::Core { arrival: mine }, Order::Core { arrival: theirs }) => {
                (mine, self.stored).cmp(&(theirs, other.stored))
            }
            (Order::Stream { .. }, Order::Core { .. })
            | (Order::Core { .. }, Order::Stream { .. }) => self.stored.cmp(&other.stored),
        }
    }
}

/// A message as the fleet keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept<T> {
    /// When the broker stored it.
    pub stamp: Stamp,
    /// What it says.
    pub message: T,
    /// The messenger that sent it, as it names itself.
    pub sender: Arc<str>,
    /// When it was sent, by the sender's clock (`meta.ts`).
    pub sent: Option<Timestamp>,
    /// How far into its sender's run it was made, where it says so.
    pub run: Option<RunTime>,
    /// Whether something in it was cut or dropped in reading.
    pub partial: bool,
    /// About what it occupies, in bytes.
    pub(super) weight: usize,
}

/// A message that may be stored a second time, much later than the first: its sender sent it again,
/// because it never learned that it was stored.
pub trait Numbered {
    /// The sender's run, and the number of the message in it, where it has one.
    fn number(&self) -> Option<(&str, u64)>;
}

impl Numbered for RegistryMessage {
    fn number(&self) -> Option<(&str, u64)> {
        self.launcher_run.as_deref().zip(self.event_seq)
    }
}

impl Numbered for StatusMessage {
    fn number(&self) -> Option<(&str, u64)> {
        None
    }
}

impl<T: Numbered> Kept<T> {
    fn run_id(&self) -> Option<&str> {
        self.message.number().map(|(run, _)| run)
    }

    /// Which is newer: of one run the one with the higher number, wherever the stream has it, and
    /// of two copies the one that was stored first; of all others the one that was stored later.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self.message.number(), other.message.number()) {
            (Some((mine, number)), Some((theirs, their_number))) if mine == theirs => {
                number.cmp(&their_number).then_with(|| other.stamp.compare(&self.stamp))
            }
            _ => self.stamp.compare(&other.stamp),
        }
    }

    /// Whether it is newer than the other.
    pub(super) fn is_newer(&self, other: &Self) -> bool {
        self.compare(other).is_gt()
    }
}

/// The newest message of one kind: one register for what streams hold and one for plain NATS. A
/// join: in any order and any number of times, the same result, as long as no more than two runs
/// of senders alternate.
#[derive(Debug, Clone, PartialEq)]
pub struct Register<T> {
    stream: Option<Arc<Kept<T>>>,
    /// The newest of another run, older than `stream`.
    other_run: Option<Arc<Kept<T>>>,
    core: Option<Arc<Kept<T>>>,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self { stream: None, other_run: None, core: None }
    }
}

impl<T: Numbered> Register<T> {
    /// Takes the message if it is newer than the one held; says whether it was.
    pub(super) fn put(&mut self, kept: Kept<T>) -> bool {
        if matches!(kept.stamp.order, Order::Core { .. }) {
            let newer = self.core.as_ref().is_none_or(|held| kept.stamp.is_newer(&held.stamp));
            if newer {
                self.core = Some(Arc::new(kept));
            }
            return newer;
        }
        let is_of_run = |held: &Option<Arc<Kept<T>>>| {
            held.as_ref().is_some_and(|held| held.run_id() == kept.run_id())
        };
        let place = if is_of_run(&self.stream) || self.stream.is_none() {
            &mut self.stream
        } else {
            &mut self.other_run
        };
        let newer = match place {
            Some(held) if held.run_id() == kept.run_id() => kept.is_newer(held),
            Some(held) => kept.stamp.is_newer(&held.stamp),
            None => true,
        };
        if newer {
            *place = Some(Arc::new(kept));
            if let (Some(stream), Some(other)) = (&self.stream, &self.other_run)
                && other.stamp.is_newer(&stream.stamp)
            {
                std::mem::swap(&mut self.stream, &mut self.other_run);
            }
        }
        newer
    }
}

impl Register<StatusMessage> {
    /// Leaves out details that occupy more than `most` bytes.
    pub(super) fn shorten(&mut self, most: usize) {
        for kept in [&mut self.stream, &mut self.other_run, &mut self.core].into_iter().flatten() {
            let Some(message) = kept.message.shortened(most) else { continue };
            let less = kept.message.details.weight() - message.details.weight();
            *kept = Arc::new(Kept {
                message,
                sender: Arc::clone(&kept.sender),
                partial: true,
                weight: kept.weight.saturating_sub(less),
                ..**kept
            });
        }
    }
}

impl<T> Register<T> {
    /// About what they occupy, in bytes.
    pub(super) fn weight(&self) -> usize {
        [&self.stream, &self.other_run, &self.core]
            .into_iter()
            .flatten()
            .map(|kept| kept.weight)
            .sum()
    }

    /// Whichever register's message is later in broker time.
    pub fn newest(&self) -> Option<&Arc<Kept<T>>> {
        match (&self.stream, &self.core) {
            (Some(stream), Some(core)) if core.stamp.stored > stream.stamp.stored => Some(core),
            (Some(stream), _) => Some(stream),
            (None, core) => core.as_ref(),
        }
    }
}
