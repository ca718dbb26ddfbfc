//! Reading a piece of a stream's past, with a bound on how much.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use super::consumer::{Consumer, Fault, Pace, Start};
use super::gets::Gets;
use super::message::{RawMessage, Stored};
use crate::api::ApiError;
use crate::connect::Bus;
use crate::streams::StreamFacts;
use tcs_wire::Kind;

/// Faults (a lost link, a gap) after which a piece is not read on.
const TRIES: usize = 4;

/// Which messages to read, of one stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HistoryQuery {
    /// The stream's name.
    pub stream: String,
    /// What it holds.
    pub kind: Kind,
    /// Subjects, with wildcards.
    pub filter: String,
    /// Stored at or after this; `None`: from the stream's first on.
    pub from: Option<DateTime<Utc>>,
    /// Stored at or before this; `None`: up to the newest at the time of asking.
    pub until: Option<DateTime<Utc>>,
}

impl HistoryQuery {
    /// All that a stream holds of a filter.
    pub fn whole(stream: &str, kind: Kind, filter: &str) -> Self {
        let (stream, filter) = (stream.to_owned(), filter.to_owned());
        Self { stream, kind, filter, from: None, until: None }
    }
}

/// Consumers at a time, for all pieces that are read at once: a server may limit them.
const CONSUMERS: usize = 4;

/// How much may still be read, in bytes of payloads; shared by what is read at once.
#[derive(Debug)]
pub struct Budget {
    bytes: AtomicU64,
    consumers: Semaphore,
}

impl Budget {
    /// So many bytes.
    pub fn new(bytes: u64) -> Self {
        Self { bytes: AtomicU64::new(bytes), consumers: Semaphore::new(CONSUMERS) }
    }

    /// Whether there was enough.
    fn spend(&self, bytes: usize) -> bool {
        let spend = |left: u64| left.checked_sub(bytes as u64);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }
}

/// Whether all of a piece was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completeness {
    /// All that the stream holds of it.
    Whole,
    /// The budget was spent before.
    Cut,
}

/// The newest message of a piece when it was asked for: with it the piece ends. (By what a server
/// counts as pending it might not: that is off by one where messages are stored while the
/// consumer is made, seen with 2.9.10.)
#[derive(Debug, Clone, Copy)]
enum Newest {
    None,
    Known {
        seq: u64,
        at: DateTime<Utc>,
    },
    /// Not known: there is no right to ask for it.
    Unknown,
}

impl Bus {
    /// Reads a piece in order, giving each message to `take`: by gets where the server has batches
    /// or no consumer may be made, else with a consumer.
    pub async fn read_piece(
        &self,
        piece: &HistoryQuery,
        budget: &Budget,
        mut take: impl FnMut(RawMessage),
    ) -> Result<Completeness, ApiError> {
        let (facts, newest) = match self.newest_of(piece).await {
            Ok((facts, newest)) => (Some(facts), newest),
            Err(ApiError::Denied(_)) => (None, Newest::Unknown),
            Err(error) => return Err(error),
        };
        let (newest, is_empty) = match newest {
            Newest::None => (None, true),
            Newest::Known { seq, at } => (Some(seq), piece.from.is_some_and(|from| from > at)),
            Newest::Unknown => (None, false),
        };
        if is_empty {
            return Ok(Completeness::Whole);
        }
        let facts = match facts {
            Some(facts) if facts.allow_direct => {
                let gets = Gets::new(self, facts.clone(), piece.kind);
                // denied: consumers may be allowed
                match gets.try_batches().await {
                    Ok(true) => return self.get_piece(piece, facts, newest, budget, take).await,
                    Ok(false) | Err(ApiError::Denied(_)) => Some(facts),
                    Err(error) => return Err(error),
                }
            }
            facts => facts,
        };
        let Ok(_permit) = budget.consumers.acquire().await else { return Ok(Completeness::Cut) };
        match (self.consume(piece, facts.as_ref(), newest, budget, &mut take).await, facts) {
            (Err(ApiError::Denied(_)), Some(facts)) => {
                self.get_piece(piece, facts, newest, budget, take).await
            }
            (result, _) => result,
        }
    }

    async fn get_piece(
        &self,
        piece: &HistoryQuery,
        facts: StreamFacts,
        newest: Option<u64>,
        budget: &Budget,
        mut take: impl FnMut(RawMessage),
    ) -> Result<Completeness, ApiError> {
        let to = newest.unwrap_or(facts.last_seq);
        let mut from = facts.first_seq;
        let gets = Gets::new(self, facts, piece.kind);
        if let Some(time) = piece.from {
            from = gets.sequence_at(&piece.filter, time).await?;
        }
        let mut extent = Completeness::Whole;
        let read = gets.range(&piece.filter, from, to, |message| {
            let Stored::Stream { at, .. } = message.stored else { return true };
            if piece.until.is_some_and(|until| at > until) {
                return false;
            }
            // restored from a backup: older than the server says
            if piece.from.is_some_and(|from| at < from) {
                return true;
            }
            if !budget.spend(message.payload().len()) {
                extent = Completeness::Cut;
                return false;
            }
            if !message.is_tombstone() {
                take(message);
            }
            true
        });
        read.await?;
        Ok(extent)
    }

    async fn consume(
        &self,
        piece: &HistoryQuery,
        facts: Option<&StreamFacts>,
        newest_seq: Option<u64>,
        budget: &Budget,
        take: &mut impl FnMut(RawMessage),
    ) -> Result<Completeness, ApiError> {
        let created = facts.map_or(DateTime::UNIX_EPOCH, |facts| facts.created);
        let mut start = piece.from.map_or(Start::Sequence(1), Start::Time);
        let mut pace = Pace::Push;
        for _ in 0..TRIES {
            let (stream, filter) = (&piece.stream, &piece.filter);
            let mut consumer =
                Consumer::create(self, stream, facts, filter, start, pace, self.timeout()).await?;
            let mut batch = Vec::new();
            let is_none = newest_seq.is_none() && consumer.pending == 0;
            let mut end = is_none.then_some(Completeness::Whole);
            let mut fault = None;
            while end.is_none() && fault.is_none() {
                fault = consumer.read(&mut batch, None).await.err();
                if batch.is_empty() && consumer.is_idle() {
                    end = Some(Completeness::Whole);
                }
                for delivery in batch.drain(..) {
                    let at = delivery.place;
                    if piece.until.is_some_and(|until| at.stored > until) {
                        end = Some(Completeness::Whole);
                        break;
                    }
                    if !budget.spend(delivery.message.payload.len()) {
                        end = Some(Completeness::Cut);
                        break;
                    }
                    start = Start::Sequence(at.stream_seq + 1);
                    // one restored from a backup is older than the server says
                    let is_asked_for = piece.from.is_none_or(|from| at.stored >= from);
                    let message = RawMessage::delivered(piece.kind, created, at, delivery.message);
                    if is_asked_for && !message.is_tombstone() {
                        take(message);
                    }
                    if newest_seq.map_or(at.pending == 0, |newest| at.stream_seq >= newest) {
                        end = Some(Completeness::Whole);
                        break;
                    }
                }
            }
            consumer.delete().await;
            match (end, fault) {
                (Some(extent), _) => return Ok(extent),
                (None, Some(Fault::Denied(_))) if pace == Pace::Push => pace = Pace::Pull,
                (None, Some(Fault::Denied(denial))) => return Err(ApiError::Denied(denial)),
                (None, Some(Fault::LinkLost)) => return Err(ApiError::Disconnected),
                (None, _) => {}
            }
        }
        Err(ApiError::TimedOut { subject: piece.filter.clone(), after: self.timeout() })
    }

    /// The stream's facts, and the newest message of the piece's subjects in it.
    async fn newest_of(&self, piece: &HistoryQuery) -> Result<(StreamFacts, Newest), ApiError> {
        let facts = self.stream(&piece.stream).await?;
        let gets = Gets::new(self, facts.clone(), piece.kind);
        let newest = match gets.newest(&piece.filter).await {
            Ok(None) => Newest::None,
            Ok(Some(message)) => match message.stored {
                Stored::Stream { seq, at, .. } => Newest::Known { seq, at },
                Stored::Core { .. } => Newest::Unknown,
            },
            Err(ApiError::Denied(_)) => Newest::Unknown,
            Err(error) => return Err(error),
        };
        Ok((facts, newest))
    }
}
