//! One consumer on one stream, made, read and deleted by hand.
//!
//! The library's ordered consumer makes itself anew with other settings (all of the history) and
//! tells neither when it was made nor what is pending; ours ends at the first fault, and whoever
//! reads decides how to go on. Push with flow control, or pull where that right is missing.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::{FutureExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};
use tokio_util::bytes::Bytes;

use super::message::{Place, stored_at};
use crate::api::ApiError;
use crate::clock;
use crate::connect::Bus;
use crate::denial::{Action, Denial};
use crate::link::LinkState;
use crate::streams::StreamFacts;
use crate::time::Sample;

/// The server shows that the consumer lives this often when there is nothing to deliver.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// After this time without message or heartbeat, the consumer or the way to it is gone.
const SILENCE: Duration = Duration::from_secs(4);
/// Without anybody to deliver to the server keeps it no longer; so long a request for messages
/// stands.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// Messages asked for at a time when pulling.
const PULL: u64 = 1000;
/// Most messages handed over at once.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Where in the stream to begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Start {
    /// The newest message of each subject, then all that come.
    LastPerSubject,
    /// This sequence and all after it.
    Sequence(u64),
    /// What was stored at this time and all after it.
    Time(DateTime<Utc>),
    /// Only what is stored from now on.
    New,
}

/// Whether the server or the reader paces the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// The server, asking from time to time whether we keep up.
    Push,
    /// We, a batch at a time.
    Pull,
}

/// Why a consumer is no longer of use.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// Nothing was received for [`SILENCE`].
    Silent,
    /// Messages were lost on the way.
    Gap,
    /// The link went down.
    LinkLost,
    /// Flow control, or asking for more, is not allowed.
    Denied(Denial),
    /// The server, or the library, ended it.
    Ended,
}

/// One message as a stream delivers it.
pub(super) struct Delivery {
    pub(super) message: Message,
    pub(super) place: Place,
}

/// What the server says on creation.
#[derive(Deserialize)]
struct Created {
    created: DateTime<Utc>,
    #[serde(default)]
    num_pending: u64,
}

pub(super) struct Consumer {
    bus: Bus,
    stream: String,
    name: String,
    pace: Pace,
    inbox: String,
    subscriber: Subscriber,
    denials: broadcast::Receiver<Denial>,
    link: watch::Receiver<LinkState>,
    /// When it was made, or anything came from it last.
    pub(super) heard: Instant,
    /// Sequence of the last delivery.
    delivered: u64,
    /// When pulling: messages of the last request that are still to come.
    outstanding: u64,
    /// The server has said that it has nothing to deliver, and nothing has come since.
    idle: bool,
    /// Messages waiting when it was made.
    pub(super) pending: u64,
    /// The server's clock, by its creation.
    pub(super) sample: Sample,
}

impl Consumer {
    /// Makes one, or fails within `limit`. `facts` of the stream, if known, tell whether it can do
    /// without the filter: servers before 2.10 look for each message of a filter from the beginning
    /// of a block of the stream, of which one holds some 28,000 heartbeats.
    pub(super) async fn create(
        bus: &Bus,
        stream: &str,
        facts: Option<&StreamFacts>,
        filter: &str,
        start: Start,
        pace: Pace,
        limit: Duration,
    ) -> Result<Self, ApiError> {
        let begins_within = matches!(start, Start::Sequence(_) | Start::Time(_));
        if begins_within && bus.filters_slowly() && facts.is_some_and(|it| it.is_all_of(filter)) {
            match Self::make(bus, stream, None, start, pace, limit).await {
                // with the filter it may be allowed
                Err(ApiError::Denied(_)) => {}
                made => return made,
            }
        }
        let made = Self::make(bus, stream, Some(filter), start, pace, limit).await;
        if let Err(ApiError::Denied(denial)) = &made {
            bus.link_core().abilities().set_no_consumers(stream, denial.clone());
        }
        made
    }

    async fn make(
        bus: &Bus,
        stream: &str,
        filter: Option<&str>,
        start: Start,
        pace: Pace,
        limit: Duration,
    ) -> Result<Self, ApiError> {
        // While the link is down requests would queue up, and then block.
        if !bus.is_connected() {
            return Err(ApiError::Disconnected);
        }
        let abilities = bus.link_core().abilities();
        // It would be made, and deliver into the account that the API was imported from.
        if bus.settings().has_imported_api() {
            let subject = bus.api_subject(&format!("CONSUMER.CREATE.{stream}"));
            return Err(ApiError::Denied(Denial { action: Action::Publish, subject }));
        }
        if let Some(denial) = abilities.no_consumers(stream) {
            return Err(ApiError::Denied(denial));
        }
        let (denials, mut link) = (bus.denials(), bus.link());
        link.mark_unchanged();
        let inbox = bus.client().new_inbox();
        let subscriber =
            bus.client().subscribe(inbox.clone()).await.map_err(|_| ApiError::Disconnected)?;
        let unique = inbox.rsplit('.').next().unwrap_or_default();
        let name = format!("tcs-{unique}");
        let body = json!({
            "stream_name": stream,
            "config": config(&name, filter, start, pace, &inbox),
        });
        let what = match filter {
            Some(filter) => format!("CONSUMER.CREATE.{stream}.{name}.{filter}"),
            None => format!("CONSUMER.CREATE.{stream}.{name}"),
        };
        // known before it is asked for: whoever stops waiting for it can still delete it
        if !bus.hold_consumer(stream, &name) {
            return Err(ApiError::Disconnected);
        }
        let created = bus.api_within::<Created>(&what, &body, limit).await;
        if created.as_ref().is_err_and(|error| !error.is_transient()) {
            bus.forget_consumer(stream, &name);
        }
        let answer = match created {
            Ok(answer) => answer,
            // The stream was found, so there is JetStream: its streams can be read from here, and
            // nothing else.
            Err(ApiError::NoJetStream | ApiError::NoDomain { .. } | ApiError::NotEnabled) => {
                let denial = Denial { action: Action::Publish, subject: bus.api_subject(&what) };
                return Err(ApiError::Denied(denial));
            }
            Err(error @ ApiError::TimedOut { .. }) => {
                // it may still be made, and nobody will read it
                remove(bus, stream, &name).await;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            bus: bus.clone(),
            stream: stream.to_owned(),
            name,
            pace,
            inbox,
            subscriber,
            denials,
            link,
            heard: answer.received,
            delivered: 0,
            outstanding: 0,
            idle: false,
            pending: answer.value.num_pending,
            sample: Sample::new(answer.value.created, answer.sent, answer.received),
        })
    }

    /// Whether the server has reported that everything stored was delivered.
    pub(super) fn is_idle(&self) -> bool {
        self.idle
    }

    /// Waits for messages, until `until` at the latest, and appends all that are there, in order.
    /// Comes back without any when the server says for the first time that it has none.
    pub(super) async fn read(
        &mut self,
        batch: &mut Vec<Delivery>,
        until: Option<Instant>,
    ) -> Result<(), Fault> {
        let before = batch.len();
        let was_idle = self.idle;
        while batch.len() == before && self.idle == was_idle {
            self.ask_for_more().await;
            let silent = self.heard + SILENCE;
            let wake = until.map_or(silent, |until| until.min(silent));
            let message = tokio::select! {
                biased;
                message = self.subscriber.next() => message.ok_or(Fault::Ended)?,
                denial = self.denials.recv() => match denial {
                    Ok(denial) if self.concerns(&denial) => return Err(Fault::Denied(denial)),
                    Ok(_) | Err(_) => continue,
                },
                // Lost, or lost and back already.
                _ = self.link.changed() => return Err(Fault::LinkLost),
                () = tokio::time::sleep_until(wake.into()) => {
                    return if wake == silent { Err(Fault::Silent) } else { Ok(()) };
                }
            };
            self.heard = clock::monotonic();
            self.bus.link_core().note_heard(self.heard);
            self.accept(message, batch).await?;
            let mut bytes = 0;
            while batch.len() - before < BATCH && bytes < BATCH_BYTES {
                bytes += batch.last().map_or(0, |delivery| delivery.message.payload.len());
                let Some(message) = self.subscriber.next().now_or_never() else { break };
                self.accept(message.ok_or(Fault::Ended)?, batch).await?;
            }
        }
        Ok(())
    }

    async fn accept(&mut self, message: Message, batch: &mut Vec<Delivery>) -> Result<(), Fault> {
        // The server's own messages come to the inbox; a status line elsewhere is a publisher's.
        if let Some(status) = message.status
            && message.subject.as_str() == self.inbox
        {
            return self.control(status, &message).await;
        }
        let Some(mut place) = message.reply.as_deref().and_then(Place::parse) else {
            return Ok(());
        };
        place.stored = stored_at(message.headers.as_ref(), place.stored);
        if place.consumer_seq != self.delivered + 1 {
            return Err(Fault::Gap);
        }
        self.delivered = place.consumer_seq;
        self.idle = false;
        self.outstanding = self.outstanding.saturating_sub(1);
        batch.push(Delivery { message, place });
        Ok(())
    }

    /// Heartbeats, flow control, and the ends of pull requests.
    async fn control(&mut self, status: StatusCode, message: &Message) -> Result<(), Fault> {
        if status != StatusCode::IDLE_HEARTBEAT {
            self.outstanding = 0;
            // 409: "Consumer Deleted" and the like end it; a leadership change does not.
            let description = message.description.as_deref().unwrap_or_default();
            return if status == StatusCode::REQUEST_TERMINATED && description.contains("Deleted") {
                Err(Fault::Ended)
            } else {
                Ok(())
            };
        }
        let header = |name: &str| {
            let headers: Option<&HeaderMap> = message.headers.as_ref();
            headers.and_then(|headers| headers.get(name)).map(|value| value.as_str().to_owned())
        };
        let stalled = header("Nats-Consumer-Stalled");
        let asks_back = message.reply.as_ref().map(ToString::to_string).or(stalled);
        // it waits for us, and has more
        let waits = asks_back.is_some();
        if let Some(reply) = asks_back {
            self.bus.send(reply, None, Bytes::new()).await;
        }
        let last = header("Nats-Last-Consumer").and_then(|seq| seq.parse::<u64>().ok());
        if last.is_some_and(|last| last != self.delivered) {
            return Err(Fault::Gap);
        }
        self.idle |= last.is_some() && !waits;
        Ok(())
    }

    async fn ask_for_more(&mut self) {
        if self.pace == Pace::Push || self.outstanding != 0 {
            return;
        }
        self.outstanding = PULL;
        let body = json!({
            "batch": PULL,
            "expires": nanos(IDLE_LIMIT),
            "idle_heartbeat": nanos(HEARTBEAT),
        });
        let body = Bytes::from(body.to_string());
        self.bus.send(self.next_subject(), Some(self.inbox.clone()), body).await;
    }

    fn next_subject(&self) -> String {
        self.bus.api_subject(&format!("CONSUMER.MSG.NEXT.{}.{}", self.stream, self.name))
    }

    fn concerns(&self, denial: &Denial) -> bool {
        denial.action == Action::Publish
            && match self.pace {
                Pace::Push => denial.subject.starts_with("$JS.FC."),
                Pace::Pull => denial.subject == self.next_subject(),
            }
            || denial.action == Action::Subscribe && denial.subject == self.inbox
    }

    /// Takes it off the server, which would keep it for half a minute otherwise.
    pub(super) async fn delete(self) {
        remove(&self.bus, &self.stream, &self.name).await;
    }
}

async fn remove(bus: &Bus, stream: &str, name: &str) {
    let subject = bus.api_subject(&format!("CONSUMER.DELETE.{stream}.{name}"));
    bus.forget_consumer(stream, name);
    // Its answer is of no interest, and without that right there is none.
    let reply = Some(bus.client().new_inbox());
    if bus.is_connected() {
        bus.send(subject, reply, Bytes::new()).await;
    }
}

fn config(name: &str, filter: Option<&str>, start: Start, pace: Pace, inbox: &str) -> Value {
    let mut config = json!({
        "name": name,
        "ack_policy": "none",
        "replay_policy": "instant",
        "inactive_threshold": nanos(IDLE_LIMIT),
        "num_replicas": 1,
        "mem_storage": true,
    });
    if let Some(filter) = filter {
        config["filter_subject"] = filter.into();
    }
    match start {
        Start::LastPerSubject => config["deliver_policy"] = "last_per_subject".into(),
        Start::New => config["deliver_policy"] = "new".into(),
        Start::Sequence(seq) => {
            config["deliver_policy"] = "by_start_sequence".into();
            config["opt_start_seq"] = seq.into();
        }
        Start::Time(at) => {
            config["deliver_policy"] = "by_start_time".into();
            config["opt_start_time"] = at.to_rfc3339_opts(SecondsFormat::Nanos, true).into();
        }
    }
    if pace == Pace::Push {
        config["deliver_subject"] = inbox.into();
        config["max_deliver"] = 1.into();
        config["flow_control"] = true.into();
        config["idle_heartbeat"] = nanos(HEARTBEAT).into();
    }
    config
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
