//! Whole streams, out of a broker and into another one, for backup and restore: which ones a site has,
//! and many messages stored in order.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::{HeaderMap, HeaderName, HeaderValue, Subscriber};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tcs_wire::Kind;
use tokio::sync::broadcast;
use tokio_util::bytes::Bytes;

use super::gets::Gets;
use super::message::{FIRST_STORED, Stored};
use crate::api::ApiError;
use crate::connect::Bus;
use crate::denial::{Action, Denial};
use crate::publish::{Ack, AckError};
use crate::streams::StreamFacts;

/// Messages that may be under way at a time.
const WINDOW: usize = 256;
/// For the acknowledgement of one message. A cluster may elect a leader meanwhile.
const ACK_LIMIT: Duration = Duration::from_secs(10);
/// What belongs to a broker and not to a stream, or would store messages otherwise than they were.
const LEFT_OUT: [&str; 8] = [
    "mirror",
    "sources",
    "placement",
    "metadata",
    "republish",
    "sealed",
    "subject_transform",
    "first_seq",
];
/// More replicas than servers, and replicas without a cluster.
const NO_REPLICAS: [u64; 2] = [10005, 10074];

/// A message that is stored again.
#[derive(Debug, Clone, Copy)]
pub struct OldMessage<'a> {
    /// Its subject.
    pub subject: &'a str,
    /// Its headers.
    pub headers: &'a [(String, String)],
    /// Its body.
    pub body: &'a [u8],
    /// When it was stored first.
    pub stored: DateTime<Utc>,
}

/// Why messages could not be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The broker refused one, or did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Another program writes into the stream.
    #[error("another program writes to stream {0}")]
    NotAlone(String),
    /// The server takes no message of this size.
    #[error(
        "a message of {len} bytes for `{subject}` is larger than the server's max_payload, {limit}"
    )]
    TooLarge {
        /// Where it was to go.
        subject: String,
        /// Its size, headers included.
        len: usize,
        /// What the server takes.
        limit: usize,
    },
}

#[derive(Deserialize)]
struct Info {
    config: Map<String, Value>,
}

impl Bus {
    /// What a site keeps: a name for it (`registry`), its subjects, and the stream that holds them.
    pub async fn site_streams(&self) -> Result<Vec<(String, String, String)>, ApiError> {
        let mut found = Vec::new();
        for (kind, filter) in self.subjects().stored() {
            for (n, stream) in self.streams_of(&filter).await?.into_iter().enumerate() {
                let name = if n == 0 { kind.to_owned() } else { format!("{kind}-{}", n + 1) };
                found.push((name, filter.clone(), stream));
            }
        }
        Ok(found)
    }

    /// The configuration of a stream, as the server has it.
    pub async fn stream_config(&self, name: &str) -> Result<Map<String, Value>, ApiError> {
        Ok(self.look_up::<Info>(&format!("STREAM.INFO.{name}"), &json!({})).await?.value.config)
    }

    /// Creates a stream for `filter` with a configuration of another broker: with as many replicas
    /// as the settings say, else three where there are as many servers.
    pub async fn create_stream_like(
        &self,
        name: &str,
        filter: &str,
        config: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        let mut config = config.clone();
        for key in LEFT_OUT {
            config.remove(key);
        }
        config.insert("name".to_owned(), name.into());
        if config.get("subjects").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            config.insert("subjects".to_owned(), json!([filter]));
        }
        let wanted = self.settings().replicas.map_or(3, u64::from);
        let is_cluster = self.client().server_info().cluster.is_some();
        let is_set = self.settings().replicas.is_some();
        config.insert("num_replicas".to_owned(), if is_cluster { wanted } else { 1 }.into());
        let what = format!("STREAM.CREATE.{name}");
        match self.api::<Info>(&what, &config).await {
            Err(ApiError::Refused { code, .. }) if NO_REPLICAS.contains(&code) && !is_set => {
                config.insert("num_replicas".to_owned(), 1.into());
                self.api::<Info>(&what, &config).await.map(drop)
            }
            made => made.map(drop),
        }
    }

    /// From when on a stream holds what was sent, counting messages that were restored into it.
    pub(super) async fn holds_from(&self, facts: StreamFacts) -> DateTime<Utc> {
        let (from, first) = (facts.holds_from, facts.first_seq);
        // of which kind they are plays no part here
        let gets = Gets::new(self, facts, Kind::Registry);
        match gets.next(">", first).await.ok().flatten().map(|message| message.stored) {
            Some(Stored::Stream { at, .. }) => from.min(at),
            Some(Stored::Core { .. }) | None => from,
        }
    }

    /// To store many messages in this stream, in order.
    pub async fn store_into(&self, stream: &str) -> Result<Storing, ApiError> {
        let denials = self.denials();
        let inbox = self.client().new_inbox();
        let acks = self.client().subscribe(format!("{inbox}.*")).await;
        let acks = acks.map_err(|_| ApiError::Disconnected)?;
        let (bus, stream) = (self.clone(), stream.to_owned());
        let (waiting, places) = (VecDeque::new(), Vec::new());
        Ok(Storing { bus, stream, inbox, acks, denials, waiting, places })
    }
}

/// Stores messages one after the other, without waiting for each.
pub struct Storing {
    bus: Bus,
    stream: String,
    inbox: String,
    acks: Subscriber,
    denials: broadcast::Receiver<Denial>,
    /// Subjects of the messages under way.
    waiting: VecDeque<String>,
    /// The sequence numbers of those that are stored.
    places: Vec<u64>,
}

impl Storing {
    /// Sends one, once there is room for it.
    pub async fn store(&mut self, message: OldMessage<'_>) -> Result<(), StoreError> {
        while self.waiting.len() >= WINDOW {
            self.acknowledged().await?;
        }
        let headers = headers_of(&message);
        let len = message.body.len() + headers_len(&headers);
        let limit = self.bus.client().server_info().max_payload;
        if limit > 0 && len > limit {
            let subject = message.subject.to_owned();
            return Err(StoreError::TooLarge { subject, len, limit });
        }
        let number = self.places.len() + self.waiting.len();
        let reply = format!("{}.{number}", self.inbox);
        let (subject, body) = (message.subject.to_owned(), Bytes::copy_from_slice(message.body));
        self.waiting.push_back(subject.clone());
        let sent = self.bus.client().publish_with_reply_and_headers(subject, reply, headers, body);
        sent.await.map_err(|_| ApiError::Disconnected)?;
        Ok(())
    }

    /// Waits until all that were sent are stored; their sequence numbers, in order.
    pub async fn settled(&mut self) -> Result<&[u64], StoreError> {
        while !self.waiting.is_empty() {
            self.acknowledged().await?;
        }
        Ok(&self.places)
    }

    /// Waits until all are stored; their sequence numbers, in order. `alone`: there must be no gap
    /// between them, as of others that write meanwhile.
    pub async fn finish(mut self, alone: bool) -> Result<Vec<u64>, StoreError> {
        self.settled().await?;
        if alone && !self.places.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            return Err(StoreError::NotAlone(self.stream));
        }
        Ok(self.places)
    }

    async fn acknowledged(&mut self) -> Result<(), StoreError> {
        let subject = self.waiting.front().cloned().unwrap_or_default();
        let denied = async {
            loop {
                match self.denials.recv().await {
                    Ok(denial)
                        if denial.action == Action::Subscribe
                            || self.waiting.contains(&denial.subject) =>
                    {
                        return denial;
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let message = tokio::select! {
            biased;
            message = self.acks.next() => message.ok_or(ApiError::Disconnected)?,
            denial = denied => return Err(ApiError::Denied(denial).into()),
            () = tokio::time::sleep(ACK_LIMIT) => {
                return Err(ApiError::TimedOut { subject, after: ACK_LIMIT }.into());
            }
        };
        if message.status == Some(async_nats::StatusCode::NO_RESPONDERS) {
            return Err(ApiError::NoJetStream.into());
        }
        let unreadable = |why: String| ApiError::Unreadable { subject: subject.clone(), why };
        let ack: Ack = serde_json::from_slice(&message.payload)
            .map_err(|error| unreadable(error.to_string()))?;
        if let Some(AckError { err_code: code, description }) = ack.error {
            return Err(ApiError::Refused { subject, code, description }.into());
        }
        let number = message.subject.rsplit('.').next().and_then(|text| text.parse().ok());
        if ack.stream.as_ref() != Some(&self.stream) || number != Some(self.places.len()) {
            let why = format!("not the next acknowledgement of stream {}", self.stream);
            return Err(unreadable(why).into());
        }
        self.waiting.pop_front();
        self.places.push(ack.seq);
        Ok(())
    }
}

/// Those of the message, and the time at which it was stored first. Without all `Nats-` headers: they
/// are orders to the server, which were carried out when it was stored first. Again, `Nats-Rollup` would
/// delete what is there, `Nats-Expected-...` fail, and `Nats-Msg-Id` be refused for two minutes after a
/// restore that failed.
fn headers_of(message: &OldMessage<'_>) -> HeaderMap {
    let is_order = |name: &str| {
        name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("Nats-"))
            || name.eq_ignore_ascii_case(FIRST_STORED)
    };
    let mut headers = HeaderMap::new();
    for (name, value) in message.headers {
        let is_left_out = is_order(name);
        let (name, value) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
        if let (false, Ok(name), Ok(value)) = (is_left_out, name, value) {
            headers.append(name, value);
        }
    }
    let stored = message.stored.to_rfc3339_opts(SecondsFormat::Nanos, true);
    headers.insert(FIRST_STORED, stored);
    headers
}

/// About what they take on the way.
fn headers_len(headers: &HeaderMap) -> usize {
    let of = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
        let name: &str = name.as_ref();
        values.iter().map(|value| name.len() + value.as_str().len() + 4).sum::<usize>()
    };
    headers.iter().map(of).sum::<usize>() + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_to_the_server_are_not_given_again() {
        let names = [
            "Nats-Msg-Id",
            "Nats-Rollup",
            "nats-rollup",
            "Nats-Expected-Last-Sequence",
            "Nats-TTL",
            "Nats-Sequence",
            "tcs-stored",
            "Traceparent",
        ];
        let headers = names.map(|name| (name.to_owned(), "all".to_owned()));
        let stored = DateTime::UNIX_EPOCH;
        let message =
            OldMessage { subject: "svc.status.a.b", headers: &headers, body: b"", stored };
        let headers = headers_of(&message);
        let mut left: Vec<&str> = headers.iter().map(|(name, _)| name.as_ref()).collect();
        left.sort_unstable();
        assert_eq!(left, [FIRST_STORED, "Traceparent"]);
    }
}
