//! Reading a piece of a stream's past, with a bound on how much.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use super::api::ApiError;
use super::connect::Bus;
use super::consumer::{Consumer, Fault, Pace, Start};
use super::message::RawMessage;
use crate::wire::Kind;

/// Faults (a lost link, a gap) after which a piece is not read on.
const TRIES: usize = 4;

/// Which messages to read, of one stream.
#[derive(Debug, Clone)]
pub struct Piece {
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

/// How much may still be read, in bytes of payloads; shared by what is read at once.
#[derive(Debug)]
pub struct Budget(AtomicU64);

impl Budget {
    /// So many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(AtomicU64::new(bytes))
    }

    /// Whether there was enough.
    fn spend(&self, bytes: usize) -> bool {
        let spend = |left: u64| left.checked_sub(bytes as u64);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }
}

/// Whether all of a piece was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All that the stream holds of it.
    Whole,
    /// The budget was spent before.
    Cut,
}

impl Bus {
    /// Reads a piece in order, giving each message to `take`.
    pub async fn read_piece(
        &self,
        piece: &Piece,
        budget: &Budget,
        mut take: impl FnMut(RawMessage),
    ) -> Result<Extent, ApiError> {
        let created = match self.stream(&piece.stream).await {
            Ok(facts) => facts.created,
            Err(ApiError::Denied(_)) => DateTime::UNIX_EPOCH,
            Err(error) => return Err(error),
        };
        let mut start = piece.from.map_or(Start::Sequence(1), Start::Time);
        let mut pace = Pace::Push;
        for _ in 0..TRIES {
            let mut consumer =
                Consumer::create(self, &piece.stream, &piece.filter, start, pace).await?;
            let mut batch = Vec::new();
            let mut end = (consumer.pending == 0).then_some(Extent::Whole);
            let mut fault = None;
            while end.is_none() && fault.is_none() {
                fault = consumer.read(&mut batch, None).await.err();
                for delivery in batch.drain(..) {
                    let at = delivery.place;
                    if piece.until.is_some_and(|until| at.stored > until) {
                        end = Some(Extent::Whole);
                        break;
                    }
                    if !budget.spend(delivery.message.payload.len()) {
                        end = Some(Extent::Cut);
                        break;
                    }
                    start = Start::Sequence(at.stream_seq + 1);
                    take(RawMessage::delivered(piece.kind, created, at, delivery.message));
                    if at.pending == 0 {
                        end = Some(Extent::Whole);
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
}
