//! Reading a stream without consumers: the newest message of each subject by gets, then, whenever
//! a message is received on the stream's subjects, what the stream has stored since.
//!
//! A received message only signals that there is something to read. Each message that is passed on
//! therefore has its place and time in the stream, and one that was not stored is never shown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::broadcast;

use super::{End, News, RESUME_AT_MOST, Reader};
use crate::api::{ApiError, STREAM_NOT_FOUND};
use crate::clock;
use crate::connect::Bus;
use crate::denial::{Action, Denial};
use crate::reading::coverage::ReadMode;
use crate::reading::gets::Gets;
use crate::reading::mailbox::Item;
use crate::reading::message::{RawMessage, Stored};
use crate::streams::StreamFacts;
use crate::time::{Arrivals, BrokerClock};
use tcs_wire::Kind;

/// The stream is read again after these pauses until it holds what was received: a message can be
/// received before it is stored. (A duplicate that the stream drops is never stored.)
const AGAIN: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1)];
/// Between two readings: what comes meanwhile is read at once.
const GAP: Duration = Duration::from_millis(20);
/// How often the stream is read even if nothing was received.
const LOOK: Duration = Duration::from_secs(10);
/// Bytes that are asked for at a time, and subjects.
const PIECE: usize = 4 * 1024 * 1024;
const FEWEST: usize = 8;
const MOST: usize = 4096;
/// Subjects remembered as received and not yet read.
const MOST_NOTICES: usize = 4096;

/// What is received on the subjects of a stream.
struct Notices {
    subscriber: Subscriber,
    denials: broadcast::Receiver<Denial>,
    filter: String,
    /// When a message was last received on each subject, until it is read.
    unread: HashMap<String, Instant>,
}

impl Notices {
    async fn open(bus: &Bus, filter: &str) -> Result<Self, ApiError> {
        let denials = bus.denials();
        let subscribing = bus.client().subscribe(filter.to_owned());
        let subscriber = subscribing.await.map_err(|_| ApiError::Disconnected)?;
        bus.flush().await;
        let (filter, unread) = (filter.to_owned(), HashMap::new());
        Ok(Self { subscriber, denials, filter, unread })
    }

    /// Waits for a message, no longer than `limit`; whether one was heard.
    async fn wait(&mut self, limit: Duration) -> Result<bool, ApiError> {
        let until = clock::monotonic() + limit;
        loop {
            let message = tokio::select! {
                biased;
                denial = self.denials.recv() => match denial {
                    Ok(denial)
                        if denial.action == Action::Subscribe && denial.subject == self.filter =>
                    {
                        return Err(ApiError::Denied(denial));
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => continue,
                    Err(broadcast::error::RecvError::Closed) => return Err(ApiError::Disconnected),
                },
                message = self.subscriber.next() => message,
                () = tokio::time::sleep_until(until.into()) => return Ok(false),
            };
            self.note(&message.ok_or(ApiError::Disconnected)?.subject);
            while let Some(message) = self.subscriber.next().now_or_never() {
                self.note(&message.ok_or(ApiError::Disconnected)?.subject);
            }
            return Ok(true);
        }
    }

    fn note(&mut self, subject: &str) {
        if self.unread.len() >= MOST_NOTICES {
            self.unread.clear();
        }
        self.unread.insert(subject.to_owned(), clock::monotonic());
    }
}

impl Reader {
    /// Reads until `done`, whose result it gives, or until it cannot go on.
    pub(super) async fn by_gets<T>(
        &mut self,
        means: ReadMode,
        done: impl Future<Output = T>,
    ) -> Result<T, End> {
        let (cancel, shared) = (self.cancel.clone(), Arc::clone(&self.shared));
        let meanwhile = matches!(means, ReadMode::Meanwhile(_));
        let work = async {
            tokio::select! {
                () = shared.lost() => Err(ApiError::Disconnected),
                end = self.read_by_gets(means) => end.map(|()| None),
                done = done => Ok(Some(done)),
            }
        };
        let result = cancel.run_until_cancelled(work).await;
        if self.kind == Kind::Heartbeat {
            self.shared.contact.read_by_leader(false);
        }
        match result {
            None => Err(End::Cancelled),
            Some(Ok(Some(done))) => Ok(done),
            Some(Err(ApiError::Disconnected)) => Err(End::LinkLost),
            // where there is no such stream, its reader is stopped soon
            Some(Ok(None) | Err(ApiError::Refused { code: STREAM_NOT_FOUND, .. })) => {
                Err(End::Again)
            }
            // a cluster that is not whole: what lasts is told where a consumer is asked for
            Some(Err(_)) if meanwhile && self.was_complete => Err(End::Again),
            Some(Err(error)) => Err(End::Failed(error)),
        }
    }

    /// Ends where the stream is to be read anew.
    async fn read_by_gets(&mut self, means: ReadMode) -> Result<(), ApiError> {
        let mut notices = Notices::open(&self.shared.bus, &self.filter).await?;
        // Without consumers and without facts there is no way; name what was wanted first.
        let facts = self.facts().await?.ok_or_else(|| match &means {
            ReadMode::Gets(denial) => ApiError::Denied(denial.clone()),
            ReadMode::Meanwhile(why) => why.clone(),
            ReadMode::Push | ReadMode::Pull(_) => ApiError::Disconnected,
        })?;
        self.remember(Some(&facts));
        let missed = facts.last_seq.saturating_sub(self.newest);
        let resumes = self.was_complete && self.kind != Kind::Heartbeat && missed <= RESUME_AT_MOST;
        let mut arrivals = Arrivals::new(BrokerClock::local());
        if resumes {
            self.read_on(facts, &mut notices, &mut arrivals).await?;
        } else {
            self.read_newest(facts).await?;
        }
        if self.kind == Kind::Heartbeat {
            self.shared.contact.read_by_leader(true);
        }
        self.completed(means);
        let mut again = AGAIN.len();
        loop {
            if notices.wait(AGAIN.get(again).copied().unwrap_or(LOOK)).await? {
                again = 0;
                tokio::time::sleep(GAP).await;
                notices.wait(Duration::ZERO).await?;
            } else {
                again = (again + 1).min(AGAIN.len());
            }
            let Some(facts) = self.facts().await? else { return Ok(()) };
            let missed = facts.last_seq.saturating_sub(self.newest);
            if facts.created != self.created || missed > RESUME_AT_MOST {
                return Ok(());
            }
            self.read_on(facts, &mut notices, &mut arrivals).await?;
            if notices.unread.is_empty() {
                again = AGAIN.len();
            } else if again == AGAIN.len() {
                notices.unread.clear();
            }
        }
    }

    /// The newest message of each subject, as the stream's leader has it.
    async fn read_newest(&mut self, facts: StreamFacts) -> Result<(), ApiError> {
        let shared = Arc::clone(&self.shared);
        let last = facts.last_seq;
        let subjects = shared.bus.subjects_in(&self.stream, &self.filter).await?;
        let gets = Gets::new(&shared.bus, facts, self.kind);
        let mut subjects: Vec<_> = subjects.into_keys().collect();
        let (mut up_to, mut count) = (Some(last), FEWEST);
        while !subjects.is_empty() {
            shared.mailbox.room().await;
            let some = subjects.split_off(subjects.len().saturating_sub(count));
            let (asked, mut bytes) = (some.len(), 1);
            let take = |message: RawMessage| {
                bytes += message.payload().len();
                self.hand_on_one(message);
            };
            up_to = up_to.min(gets.newest_of_all(some, take).await?);
            count = (PIECE * asked / bytes).clamp(FEWEST, MOST);
        }
        // Where a replica that answered does not say how far it is, all is read anew.
        let up_to = up_to.ok_or_else(|| ApiError::TimedOut {
            subject: self.filter.clone(),
            after: shared.bus.timeout(),
        })?;
        let filter = self.filter.clone();
        let take = |message| {
            self.hand_on_one(message);
            true
        };
        gets.range(&filter, up_to + 1, last, take).await?;
        self.newest = last;
        Ok(())
    }

    /// What was stored since.
    async fn read_on(
        &mut self,
        facts: StreamFacts,
        notices: &mut Notices,
        arrivals: &mut Arrivals,
    ) -> Result<(), ApiError> {
        let last = facts.last_seq;
        if last <= self.newest {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let gets = Gets::new(&shared.bus, facts, self.kind);
        let (filter, from) = (self.filter.clone(), self.newest + 1);
        let take = |message: RawMessage| {
            if let Stored::Stream { at, .. } = message.stored
                && let Some(heard) = notices.unread.remove(message.subject())
            {
                arrivals.note(heard, at);
            }
            self.hand_on_one(message);
            true
        };
        gets.range(&filter, from, last, take).await?;
        self.newest = last;
        // Servers before 2.10 do not tell their time: what was stored just now does.
        if let Some(clock) = arrivals.clock() {
            self.shared.estimated(clock);
        }
        Ok(())
    }

    fn hand_on_one(&mut self, mut message: RawMessage) {
        let Stored::Stream { seq, .. } = message.stored else { return };
        let subject = self.guard.hash(message.subject());
        if let Some(news) = self.guard.note(subject, seq) {
            message.is_of_new_subject = news == News::OfNewSubject;
            message.reader = self.number;
            self.shared.mailbox.push([Item::Message(message)]);
        }
    }
}
