//! All messages of a subject, from the first that its stream holds: what is folded whole, and of
//! which the newest of each subject is not enough.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tcs_fleet::{Order, Stamp};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::consumer::{Consumer, Delivery, Fault, Pace, Start};
use super::gets::Gets;
use super::message::Stored;
use crate::api::ApiError;
use crate::connect::Bus;
use crate::link::{self, LinkState};
use crate::streams::StreamFacts;
use tcs_wire::Kind;

/// After a fault, or where there is no stream, it is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a stream is looked at that is read without a consumer.
const LOOK: Duration = Duration::from_secs(1);
/// A consumer is made within this, or asked for again.
const CREATE_TIMEOUT: Duration = Duration::from_secs(2);
/// What waits for a slow reader; then the stream waits.
const WAITING: usize = 1024;

/// What a [`Feed`] tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Fed {
    /// A message, in the order of the stream.
    Message {
        /// Its subject.
        subject: String,
        /// Its body.
        payload: Vec<u8>,
        /// Where it stands.
        stamp: Stamp,
    },
    /// Everything that a stream held when it was asked has been delivered.
    Current {
        /// When that stream was created.
        created: DateTime<Utc>,
    },
    /// Nothing can be read at present.
    Interrupted(Interruption),
}

/// Why nothing can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    /// No stream holds the subject.
    #[error("no stream holds it")]
    NoStream,
    /// The stream does not answer, or may not be read.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Reads until it is dropped.
#[derive(Debug)]
pub struct Feed {
    fed: mpsc::Receiver<Fed>,
    _cancel: DropGuard,
}

impl Bus {
    /// All messages of `filter`, then those that come.
    pub fn feed(&self, filter: &str) -> Feed {
        let (sender, fed) = mpsc::channel(WAITING);
        let cancel = CancellationToken::new();
        let (cancelled, filter) = (cancel.clone(), filter.to_owned());
        let feeder =
            Feeder { bus: self.clone(), filter, sender, created: None, next: 1, pace: Pace::Push };
        tokio::spawn(async move { cancelled.run_until_cancelled(feeder.run()).await });
        Feed { fed, _cancel: cancel.drop_guard() }
    }
}

impl Feed {
    /// The next; safe to drop while waiting. `None` does not come while all is well.
    pub async fn next(&mut self) -> Option<Fed> {
        self.fed.recv().await
    }
}

struct Feeder {
    bus: Bus,
    filter: String,
    sender: mpsc::Sender<Fed>,
    /// When the stream that is read was created.
    created: Option<DateTime<Utc>>,
    /// The sequence number to go on with.
    next: u64,
    pace: Pace,
}

/// Nobody reads any more.
struct Unread;

impl Feeder {
    async fn run(mut self) {
        loop {
            link::until(self.bus.link(), |state| matches!(state, LinkState::Connected { .. }))
                .await;
            let why = match self.session().await {
                Ok(Err(Unread)) => return,
                Ok(Ok(())) => Interruption::Api(ApiError::Disconnected),
                Err(why) => why,
            };
            if self.sender.send(Fed::Interrupted(why)).await.is_err() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// One consumer, from its making to its end.
    async fn session(&mut self) -> Result<Result<(), Unread>, Interruption> {
        let streams = self.bus.streams_capturing(&self.filter).await?;
        let stream = streams.into_iter().next().ok_or(Interruption::NoStream)?;
        let facts = self.bus.stream(&stream).await?;
        if self.created != Some(facts.created) {
            (self.created, self.next) = (Some(facts.created), 1);
        }
        let start = Start::Sequence(self.next);
        let (bus, filter, pace) = (&self.bus, &self.filter, self.pace);
        let consumer =
            Consumer::create(bus, &stream, Some(&facts), filter, start, pace, CREATE_TIMEOUT);
        let mut consumer = match consumer.await {
            Ok(consumer) => consumer,
            Err(ApiError::Denied(_)) => return self.by_gets(facts).await,
            Err(error) => return Err(error.into()),
        };
        let told = self.read(&mut consumer, facts.created).await;
        consumer.delete().await;
        Ok(told)
    }

    /// Where no consumer may be made: what the stream has stored since, once a second.
    async fn by_gets(
        &mut self,
        mut facts: StreamFacts,
    ) -> Result<Result<(), Unread>, Interruption> {
        let created = facts.created;
        let mut is_current = false;
        while facts.created == created {
            let mut found = Vec::new();
            // of which kind they are plays no part here
            let gets = Gets::new(&self.bus, facts.clone(), Kind::Registry);
            let range = gets.range(&self.filter, self.next, facts.last_seq, |message| {
                found.push(message);
                true
            });
            range.await?;
            for message in found {
                let Stored::Stream { created, seq, at } = message.stored else { continue };
                let stamp = Stamp { stored: at, order: Order::Stream { created, seq } };
                let (subject, payload) = (message.subject().to_owned(), message.payload().to_vec());
                if self.tell(Fed::Message { subject, payload, stamp }).await.is_err() {
                    return Ok(Err(Unread));
                }
            }
            self.next = self.next.max(facts.last_seq + 1);
            if !is_current && self.tell(Fed::Current { created }).await.is_err() {
                return Ok(Err(Unread));
            }
            is_current = true;
            tokio::time::sleep(LOOK).await;
            facts = self.bus.stream(&facts.name).await?;
        }
        Ok(Ok(()))
    }

    async fn read(
        &mut self,
        consumer: &mut Consumer,
        created: DateTime<Utc>,
    ) -> Result<(), Unread> {
        let mut left = Some(consumer.pending);
        let mut batch: Vec<Delivery> = Vec::new();
        loop {
            if left == Some(0) || consumer.is_idle() && left.is_some() {
                left = None;
                self.tell(Fed::Current { created }).await?;
            }
            let read = consumer.read(&mut batch, None).await;
            for Delivery { message, place } in batch.drain(..) {
                let order = Order::Stream { created, seq: place.stream_seq };
                let stamp = Stamp { stored: place.stored, order };
                let subject = message.subject.to_string();
                self.tell(Fed::Message { subject, payload: message.payload.to_vec(), stamp })
                    .await?;
                self.next = place.stream_seq + 1;
                left = left.map(|left| left.saturating_sub(1));
            }
            match read {
                Ok(()) => {}
                Err(fault) => {
                    if matches!(fault, Fault::Denied(_)) {
                        self.pace = Pace::Pull;
                    }
                    return Ok(());
                }
            }
        }
    }

    async fn tell(&self, fed: Fed) -> Result<(), Unread> {
        self.sender.send(fed).await.map_err(|_| Unread)
    }
}
