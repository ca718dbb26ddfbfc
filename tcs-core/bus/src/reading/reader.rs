//! Reads one stream for as long as it is there: one consumer after the other, each from where the
//! last one ended. While none can be made (a cluster has no leader, or gives it to a node that is
//! down) the stream is read by gets, which any of its replicas answers.
//!
//! The order of a subject's messages is guarded here: of what was already handed on, and of what
//! is older, nothing is handed on again, whatever consumer it came through.

mod gets;
mod guard;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::consumer::{Consumer, Delivery, Fault, Pace, Start};
use super::coverage::{Completion, Progress, ReadMode};
use super::mailbox::Item;
use super::message::RawMessage;
use super::shared::{LINK_CHECK, Shared};
use crate::api::{ApiError, STREAM_NOT_FOUND};
use crate::clock;
use crate::connect::Bus;
use crate::denial::Denial;
use crate::streams::StreamFacts;
use guard::{Guard, News};
use tcs_wire::Kind;

/// After an outage no more than this is read message by message: beyond it the newest of each
/// subject will do.
const RESUME_AT_MOST: u64 = 20_000;
const SHORTEST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A stream that was read before, and delivers no more: its leader is asked so often whether it is
/// there, and each answer is waited for so long.
const LEADER_EVERY: Duration = Duration::from_millis(500);
const RESUME_TIMEOUT: Duration = Duration::from_secs(2);
/// A consumer that is not made within this is asked for again: a cluster of 2.9 may give it to a
/// node that is down, which never answers. Three attempts fit into the usual time limit.
const CREATE_TIMEOUT: Duration = Duration::from_millis(1500);
/// How often a consumer is asked for while the stream is read without one.
const CREATE_EVERY: Duration = Duration::from_secs(1);
/// How often it is noted that the heartbeats' consumer is alive.
const NOTE_EVERY: Duration = Duration::from_millis(500);

struct Reader {
    shared: Arc<Shared>,
    /// Tells its messages from others', for [`super::mailbox::Mailbox::calm`].
    number: u32,
    kind: Kind,
    filter: String,
    stream: String,
    cancel: CancellationToken,
    means: ReadMode,
    /// When the stream was made; the beginning of time where that may not be asked.
    created: DateTime<Utc>,
    may_not_ask: bool,
    guard: Guard,
    newest: u64,
    was_complete: bool,
}

/// What a stream can be read by.
enum Opened {
    /// A consumer, and the stream's newest sequence before it, where that may be asked.
    Consumer(Box<Consumer>, Option<u64>),
    /// Gets: no consumer may be made.
    Gets(Denial),
    /// Gets for now: no consumer can be made.
    GetsFor(ApiError, Start),
}

/// How one consumer's life ended.
enum End {
    Cancelled,
    /// Try again, at once if the link was lost, else a little later.
    Again,
    LinkLost,
    /// Cannot be done; try again much later.
    Failed(ApiError),
}

/// Whether it goes by itself: nobody answers, or a cluster has no leader or no node to spare.
fn is_passing(error: &ApiError) -> bool {
    error.is_transient() || error.is_of_cluster()
}

async fn make(
    bus: &Bus,
    means: &ReadMode,
    stream: &str,
    facts: Option<&StreamFacts>,
    filter: &str,
    start: Start,
) -> Result<Consumer, ApiError> {
    let pace = match means {
        ReadMode::Push => Pace::Push,
        ReadMode::Pull(_) | ReadMode::Gets(_) | ReadMode::Meanwhile(_) => Pace::Pull,
    };
    let limit = bus.timeout().min(CREATE_TIMEOUT);
    Consumer::create(bus, stream, facts, filter, start, pace, limit).await
}

/// Reads `stream` until cancelled.
pub(super) async fn follow_stream(
    shared: Arc<Shared>,
    kind: Kind,
    filter: String,
    stream: String,
    cancel: CancellationToken,
) {
    let number = shared.number();
    read_stream(&shared, number, kind, filter, stream, cancel).await;
    // nobody can read it again
    shared.mailbox.forget(number);
}

async fn read_stream(
    shared: &Arc<Shared>,
    number: u32,
    kind: Kind,
    filter: String,
    stream: String,
    cancel: CancellationToken,
) {
    let mut reader = Reader {
        shared: Arc::clone(shared),
        number,
        kind,
        filter,
        stream,
        cancel: cancel.child_token(),
        means: ReadMode::Push,
        created: DateTime::UNIX_EPOCH,
        may_not_ask: false,
        guard: Guard::default(),
        newest: 0,
        was_complete: false,
    };
    let mut wait = SHORTEST_WAIT;
    loop {
        if cancel.run_until_cancelled(shared.connected()).await.is_none() {
            return;
        }
        let began = clock::monotonic();
        let session = reader.cancel.clone();
        let calm = async {
            shared.mailbox.calm(number).await;
            session.cancel();
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            end = reader.session() => end,
            () = calm => return,
        };
        let pause = match end {
            End::Cancelled if cancel.is_cancelled() => return,
            End::Cancelled => {
                reader.read_again(cancel.child_token());
                continue;
            }
            End::LinkLost => {
                // Rights may be others next time.
                (reader.means, reader.may_not_ask) = (ReadMode::Push, false);
                wait = SHORTEST_WAIT;
                LINK_CHECK
            }
            End::Again => {
                let lasted = began.elapsed() > LONGEST_WAIT;
                wait = if lasted { SHORTEST_WAIT } else { (wait * 2).min(LONGEST_WAIT) };
                wait
            }
            End::Failed(error) => {
                reader.tell(Progress::Failed(error));
                LONGEST_WAIT
            }
        };
        if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

impl Reader {
    /// Messages were thrown away before anybody got them: the newest of each subject is handed on once
    /// more.
    fn read_again(&mut self, cancel: CancellationToken) {
        tracing::debug!(stream = self.stream, "messages were thrown away: reading a stream again");
        (self.cancel, self.was_complete) = (cancel, false);
        self.guard.clear();
    }

    /// All that the stream held has been handed on.
    fn completed(&mut self, means: ReadMode) {
        self.was_complete = true;
        self.guard.complete();
        self.shared.mailbox.read_again(self.number);
        self.tell(Progress::Complete(means));
    }

    fn tell(&self, progress: Progress) {
        self.shared.progress(self.kind, &self.stream, progress);
    }

    /// One consumer, from its making to its end.
    async fn session(&mut self) -> End {
        let cancel = self.cancel.clone();
        if self.was_complete && cancel.run_until_cancelled(self.leader()).await.is_none() {
            return End::Cancelled;
        }
        let Some(opened) = cancel.run_until_cancelled(self.open()).await else {
            return End::Cancelled;
        };
        let (consumer, newest) = match opened {
            Ok(Opened::Consumer(consumer, newest)) => (*consumer, newest),
            Ok(Opened::Gets(denial)) => {
                let reading = self.by_gets(ReadMode::Gets(denial), std::future::pending());
                return match Box::pin(reading).await {
                    Ok(()) => End::Again,
                    Err(end) => end,
                };
            }
            Ok(Opened::GetsFor(why, start)) => match self.bridge(why, start).await {
                Ok(consumer) => (consumer, None),
                Err(end) => return end,
            },
            Err(ApiError::Disconnected) => return End::LinkLost,
            Err(error) if self.was_complete && is_passing(&error) => return End::Again,
            Err(error) => return End::Failed(error),
        };
        self.by_consumer(consumer, newest).await
    }

    /// Hands on what a consumer delivers, until its end.
    async fn by_consumer(&mut self, mut consumer: Consumer, newest: Option<u64>) -> End {
        let cancel = self.cancel.clone();
        self.shared.sampled(consumer.sample);
        let mut batch: Vec<Delivery> = Vec::new();
        let mut completion = Some(Completion::new(consumer.pending, newest));
        loop {
            if self.kind == Kind::Heartbeat {
                self.shared.contact.consumer_alive(consumer.heard);
            }
            if completion
                .as_ref()
                .is_some_and(|it| consumer.is_idle() || it.is_complete(clock::monotonic()))
            {
                completion = None;
                // the server has just made the consumer and delivered all that it has
                if self.kind == Kind::Heartbeat {
                    self.shared.contact.hear(clock::monotonic());
                }
                self.completed(self.means.clone());
            }
            let mut until = completion.as_ref().and_then(Completion::deadline);
            if self.kind == Kind::Heartbeat {
                let note = clock::monotonic() + NOTE_EVERY;
                until = Some(until.map_or(note, |until| until.min(note)));
            }
            let waits = completion.is_some();
            let shared = Arc::clone(&self.shared);
            let reading = async {
                // the server waits with what it holds until we ask it to go on
                if waits {
                    shared.mailbox.room().await;
                }
                consumer.read(&mut batch, until).await
            };
            let Some(read) = cancel.run_until_cancelled(reading).await else {
                consumer.delete().await;
                return End::Cancelled;
            };
            self.hand_on(&mut batch, completion.as_mut());
            if let Err(fault) = read {
                tracing::debug!(stream = self.stream, ?fault, "reading a stream anew");
                let end = if fault == Fault::LinkLost { End::LinkLost } else { End::Again };
                self.adapt(fault);
                consumer.delete().await;
                return end;
            }
        }
    }

    /// Waits until the stream's leader answers, or it cannot be known whether it does: before that
    /// no consumer can be made, and asking for one would only be waited for.
    async fn leader(&self) {
        loop {
            let asked = self.shared.bus.stream_and_clock(&self.stream, RESUME_TIMEOUT).await;
            match asked {
                Ok((facts, _)) if facts.has_leader => return,
                Err(
                    ApiError::Disconnected
                    | ApiError::Denied(_)
                    | ApiError::Refused { code: STREAM_NOT_FOUND, .. },
                ) => return,
                Ok(_) | Err(_) => tokio::time::sleep(LEADER_EVERY).await,
            }
        }
    }

    /// A right that turned out to be missing is not tried again.
    fn adapt(&mut self, fault: Fault) {
        if let Fault::Denied(denial) = fault {
            self.means = match self.means {
                ReadMode::Push => ReadMode::Pull(denial),
                ReadMode::Pull(_) | ReadMode::Gets(_) | ReadMode::Meanwhile(_) => {
                    ReadMode::Gets(denial)
                }
            };
        }
    }

    /// A consumer on the stream, or what there is instead.
    async fn open(&mut self) -> Result<Opened, ApiError> {
        if let ReadMode::Gets(denial) = &self.means {
            return Ok(Opened::Gets(denial.clone()));
        }
        let mut newest = None;
        let (start, facts, made) = if self.was_complete && self.kind != Kind::Heartbeat {
            let facts = self.facts().await?;
            self.remember(facts.as_ref());
            newest = facts.as_ref().map(|facts| facts.last_seq);
            let missed = facts.as_ref().map(|facts| facts.last_seq.saturating_sub(self.newest));
            // After a wiped store nothing is complete any more.
            let start = match missed {
                Some(missed) if self.was_complete && missed <= RESUME_AT_MOST => {
                    Start::Sequence(self.newest + 1)
                }
                _ => Start::LastPerSubject,
            };
            (start, Ok(None), self.make(facts.as_ref(), start).await)
        } else {
            let start = Start::LastPerSubject;
            let (facts, made) = tokio::join!(self.facts(), self.make(None, start));
            (start, facts, made)
        };
        let (facts, made) = match (facts, made) {
            (Err(error), Ok(consumer)) => {
                consumer.delete().await;
                return Err(error);
            }
            (Err(error), Err(_)) => return Err(error),
            (Ok(facts), made) => (facts, made),
        };
        self.remember(facts.as_ref());
        let newest = newest.or(facts.map(|facts| facts.last_seq));
        self.tell(Progress::Reading);
        match made {
            Ok(consumer) => Ok(Opened::Consumer(Box::new(consumer), newest)),
            Err(ApiError::Denied(denial)) => {
                self.means = ReadMode::Gets(denial.clone());
                Ok(Opened::Gets(denial))
            }
            // the stream has a leader, who told its facts
            Err(why) if newest.is_some() && why != ApiError::Disconnected && is_passing(&why) => {
                Ok(Opened::GetsFor(why, start))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads by gets until a consumer is made, which begins where the last one ended: what was read
    /// meanwhile it delivers again, and that is no news.
    async fn bridge(&mut self, why: ApiError, start: Start) -> Result<Consumer, End> {
        tracing::debug!(stream = self.stream, %why, "no consumer can be made: reading without one");
        let (bus, means) = (self.shared.bus.clone(), self.means.clone());
        let (stream, filter) = (self.stream.clone(), self.filter.clone());
        let making = async {
            loop {
                tokio::time::sleep(CREATE_EVERY).await;
                let made = make(&bus, &means, &stream, None, &filter, start).await;
                match made {
                    Err(error) if is_passing(&error) => {}
                    made => return made,
                }
            }
        };
        match Box::pin(self.by_gets(ReadMode::Meanwhile(why), making)).await? {
            Ok(consumer) => Ok(consumer),
            // whatever it is, it is met again, and told, where a consumer is opened
            Err(_) => Err(End::Again),
        }
    }

    async fn make(&self, facts: Option<&StreamFacts>, start: Start) -> Result<Consumer, ApiError> {
        let (stream, filter) = (&self.stream, &self.filter);
        make(&self.shared.bus, &self.means, stream, facts, filter, start).await
    }

    /// `None`: that may not be asked.
    async fn facts(&self) -> Result<Option<StreamFacts>, ApiError> {
        if self.may_not_ask {
            return Ok(None);
        }
        let patience = self.shared.bus.timeout();
        // a leader that went away is not waited for: another one is asked
        let limit = if self.was_complete { patience.min(RESUME_TIMEOUT) } else { patience };
        match self.shared.bus.stream_and_clock(&self.stream, limit).await {
            Ok((facts, sample)) => {
                if let Some(sample) = sample {
                    self.shared.sampled(sample);
                }
                Ok(Some(facts))
            }
            Err(ApiError::Denied(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn remember(&mut self, facts: Option<&StreamFacts>) {
        match facts {
            Some(facts) if facts.created != self.created => {
                self.created = facts.created;
                self.guard.clear();
                self.newest = 0;
                self.was_complete = false;
            }
            Some(_) => {}
            None => self.may_not_ask = self.created == DateTime::UNIX_EPOCH,
        }
    }

    /// Into the mailbox, without what is not newer than what is there.
    fn hand_on(&mut self, batch: &mut Vec<Delivery>, completion: Option<&mut Completion>) {
        if batch.is_empty() {
            return;
        }
        let now = clock::monotonic();
        if self.kind == Kind::Heartbeat && self.was_complete {
            self.shared.contact.hear(now);
        }
        let (kind, created, reader) = (self.kind, self.created, self.number);
        let (guard, newest) = (&mut self.guard, &mut self.newest);
        let mut completion = completion;
        self.shared.mailbox.push(batch.drain(..).filter_map(|Delivery { message, place }| {
            let subject = guard.hash(&message.subject);
            if let Some(completion) = completion.as_mut() {
                completion.note(subject, place.stream_seq, place.pending, now);
            }
            *newest = (*newest).max(place.stream_seq);
            let news = guard.note(subject, place.stream_seq)?;
            let mut message = RawMessage::delivered(kind, created, place, message);
            message.is_of_new_subject = news == News::OfNewSubject;
            message.reader = reader;
            Some(Item::Message(message))
        }));
    }
}
