//! Reading a stream without a consumer, for where none may be made: single messages by direct get,
//! many at once on servers that have batches (from 2.11 on).
//!
//! Of a stream with several replicas any of them answers a direct get, and it may be behind. A
//! batch says how far its server was; without batches the leader is asked (`STREAM.MSG.GET`), and
//! so it is where a stream allows no direct gets.

mod headers;

use std::sync::Arc;

use async_nats::{HeaderValue, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::message::{RawMessage, Stored, stored_at};
use crate::api::ApiError;
use crate::connect::Bus;
use crate::streams::StreamFacts;
use tcs_wire::Kind;

/// Messages of one subject that are looked at, from the newest back, for one that can be read.
const STEPS: u32 = 16;
/// Single gets under way at a time.
const AT_ONCE: usize = 256;
/// Subjects whose newest messages are asked for in one batch; a server gives 1,024 at most.
const SUBJECTS: usize = 512;
/// Messages asked for in one batch.
const MESSAGES: u64 = 1000;
/// A range is read in so many pieces, each of this many sequences at least and at most.
const PIECES: u64 = 256;
const SMALLEST_PIECE: u64 = 4;
const LARGEST_PIECE: u64 = 1024;
/// JetStream's code for a message that is not there.
const NO_MESSAGE: u64 = 10037;

#[derive(Deserialize)]
struct Got {
    message: GotMessage,
}

#[derive(Deserialize)]
struct GotMessage {
    subject: String,
    seq: u64,
    #[serde(default)]
    data: String,
    /// The message's headers as they travel, in base64.
    #[serde(default)]
    hdrs: String,
    time: DateTime<Utc>,
}

impl Bus {
    /// The newest message of one subject that a stream holds and that can be read; `None`: there is
    /// none.
    pub async fn last_word(
        &self,
        kind: Kind,
        subject: &str,
    ) -> Result<Option<RawMessage>, ApiError> {
        let Some(stream) = self.streams_of(subject).await?.into_iter().next() else {
            return Ok(None);
        };
        let gets = Gets::new(self, self.stream(&stream).await?, kind);
        gets.readable(gets.newest(subject).await?).await
    }
}

/// Reads one stream by gets. Cheap to clone.
#[derive(Clone)]
pub(super) struct Gets {
    bus: Bus,
    stream: Arc<StreamFacts>,
    kind: Kind,
}

/// How a batch ended.
struct Batch {
    /// Messages behind the last one.
    pending: u64,
    /// The sequence up to which the server had the stream, where it says so.
    up_to: Option<u64>,
}

impl Gets {
    pub(super) fn new(bus: &Bus, stream: StreamFacts, kind: Kind) -> Self {
        Self { bus: bus.clone(), stream: Arc::new(stream), kind }
    }

    /// The newest message of `subject`; `None`: there is none any more.
    pub(super) async fn newest(&self, subject: &str) -> Result<Option<RawMessage>, ApiError> {
        self.get(&json!({ "last_by_subj": subject })).await
    }

    /// The first message of `filter` at or after a sequence.
    pub(super) async fn next(
        &self,
        filter: &str,
        seq: u64,
    ) -> Result<Option<RawMessage>, ApiError> {
        self.get(&json!({ "seq": seq, "next_by_subj": filter })).await
    }

    /// The newest message of `filter` before a sequence: mostly it is near, so each look that finds
    /// none reaches farther back.
    pub(super) async fn previous(
        &self,
        filter: &str,
        before: u64,
    ) -> Result<Option<RawMessage>, ApiError> {
        let (mut low, mut high, mut reach) = (self.stream.first_seq, before, 1_u64);
        let mut found = None;
        while low < high {
            let middle = match found {
                None => before.saturating_sub(reach).clamp(low, high - 1),
                Some(_) => low + (high - low) / 2,
            };
            reach = reach.saturating_mul(8);
            let next = self.next(filter, middle).await?;
            match next.as_ref().and_then(sequence) {
                Some(seq) if (middle..before).contains(&seq) => {
                    low = seq + 1;
                    found = next;
                }
                Some(_) | None => high = middle,
            }
        }
        Ok(found)
    }

    /// This message, or the newest before it that can be read.
    pub(super) async fn readable(
        &self,
        mut message: Option<RawMessage>,
    ) -> Result<Option<RawMessage>, ApiError> {
        for _ in 0..STEPS {
            let Some(newest) = message.filter(|it| !it.is_tombstone()) else { break };
            if newest.decode(self.bus.subjects()).is_ok() {
                return Ok(Some(newest));
            }
            let Some(seq) = sequence(&newest) else { break };
            message = self.previous(newest.subject(), seq).await?;
        }
        Ok(None)
    }

    /// The newest messages of these subjects, in any order. Gives the sequence up to which they
    /// are the newest, at most the newest one when the stream was asked; `None`: not known.
    pub(super) async fn newest_of_all(
        &self,
        subjects: Vec<String>,
        mut take: impl FnMut(RawMessage),
    ) -> Result<Option<u64>, ApiError> {
        let mut up_to = Some(self.stream.last_seq);
        let mut left = subjects.as_slice();
        while self.has_batches() && !left.is_empty() {
            let (now, rest) = left.split_at(left.len().min(SUBJECTS));
            let body = json!({ "multi_last": now, "batch": SUBJECTS });
            let Some(batch) = self.batch(&body, &mut take).await? else { break };
            up_to = up_to.min(batch.up_to);
            left = rest;
        }
        let mut gets = stream::iter(left.to_vec())
            .map(|subject| {
                let gets = self.clone();
                async move { gets.newest(&subject).await }
            })
            .buffer_unordered(AT_ONCE);
        while let Some(got) = gets.next().await {
            got?.into_iter().for_each(&mut take);
        }
        Ok(up_to)
    }

    /// All messages of `filter` from one sequence to another, in order, for as long as `take`
    /// wants more.
    pub(super) async fn range(
        &self,
        filter: &str,
        from: u64,
        to: u64,
        mut take: impl FnMut(RawMessage) -> bool,
    ) -> Result<(), ApiError> {
        let mut from = from.max(self.stream.first_seq);
        while self.has_batches() && from <= to {
            let body = json!({ "seq": from, "next_by_subj": filter, "batch": MESSAGES });
            let (mut last, mut enough) = (None, false);
            let batch = self.batch(&body, |message| {
                let Some(seq) = sequence(&message) else { return };
                enough |= seq > to;
                if !enough {
                    last = Some(seq);
                    enough = !take(message);
                }
            });
            let Some(batch) = batch.await? else { break };
            if enough {
                return Ok(());
            }
            from = last.map_or(from, |last| last + 1);
            if batch.pending == 0 || last.is_none() {
                if self.stream.replicas <= 1 {
                    return Ok(());
                }
                // the rest may not have come to that replica yet
                break;
            }
        }
        // often there is none
        match self.next(filter, from).await?.as_ref().and_then(sequence) {
            Some(seq) if seq <= to => from = seq,
            Some(_) | None => return Ok(()),
        }
        let size = ((to - from + 1) / PIECES).clamp(SMALLEST_PIECE, LARGEST_PIECE);
        let count = (to - from + 1).div_ceil(size);
        let mut pieces = stream::iter(0..count)
            .map(|n| {
                let (gets, filter) = (self.clone(), filter.to_owned());
                let first = from + n * size;
                async move { gets.piece(&filter, first, to.min(first + size - 1)).await }
            })
            .buffered(AT_ONCE);
        while let Some(piece) = pieces.next().await {
            for message in piece? {
                if !take(message) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn piece(&self, filter: &str, from: u64, to: u64) -> Result<Vec<RawMessage>, ApiError> {
        let (mut messages, mut at) = (Vec::new(), from);
        while at <= to {
            let Some(message) = self.next(filter, at).await? else { break };
            match sequence(&message) {
                Some(seq) if (at..=to).contains(&seq) => at = seq + 1,
                Some(_) | None => break,
            }
            messages.push(message);
        }
        Ok(messages)
    }

    /// The sequence of the first message of `filter` that was stored at or after a time, or the
    /// one behind the newest.
    pub(super) async fn sequence_at(
        &self,
        filter: &str,
        time: DateTime<Utc>,
    ) -> Result<u64, ApiError> {
        if self.has_batches() {
            let body = json!({ "start_time": time, "next_by_subj": filter, "batch": 1 });
            let mut found = None;
            if self.batch(&body, |message| found = sequence(&message)).await?.is_some() {
                return Ok(found.unwrap_or(self.stream.last_seq + 1));
            }
        }
        // stored times grow with the sequence
        let (mut low, mut high) = (self.stream.first_seq, self.stream.last_seq + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.next(filter, middle).await?.map(|message| message.stored) {
                Some(Stored::Stream { seq, at, .. }) if at < time => low = seq.max(middle) + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// Whether the server has batches; tried where that is not known yet.
    pub(super) async fn try_batches(&self) -> Result<bool, ApiError> {
        let abilities = self.bus.link_core().abilities();
        if self.has_batches() && !abilities.known_batches() {
            let body = json!({ "seq": 1, "next_by_subj": ">", "batch": 1 });
            self.batch(&body, |_| {}).await?;
        }
        Ok(self.has_batches())
    }

    fn has_batches(&self) -> bool {
        self.stream.allow_direct && self.bus.link_core().abilities().batches()
    }

    async fn get(&self, body: &Value) -> Result<Option<RawMessage>, ApiError> {
        if self.stream.allow_direct && self.stream.replicas <= 1 {
            self.direct_get(body).await
        } else {
            self.message_get(body).await
        }
    }

    async fn direct_get(&self, body: &Value) -> Result<Option<RawMessage>, ApiError> {
        let request = Request::new().payload(body.to_string().into());
        let message = self.bus.ask(&self.direct_subject(), request).await?;
        if message.status == Some(StatusCode::NOT_FOUND) {
            return Ok(None);
        }
        self.answer(message).map(Some)
    }

    /// Many messages for one request; `None`: the server knows no batches.
    async fn batch(
        &self,
        body: &Value,
        mut take: impl FnMut(RawMessage),
    ) -> Result<Option<Batch>, ApiError> {
        let subject = self.direct_subject();
        let mut answers = self.bus.ask_many(&subject, body.to_string().into()).await?;
        let mut before = None;
        loop {
            let message = answers.next().await?;
            let header = |name: &str| {
                let headers = message.headers.as_ref()?;
                headers.get_all(name).last()?.as_str().parse::<u64>().ok()
            };
            match message.status {
                None | Some(StatusCode::OK) => {}
                Some(status) if status == StatusCode::NOT_FOUND => {
                    // of several replicas one that is behind may not know a new subject
                    let up_to = (self.stream.replicas <= 1).then_some(self.stream.last_seq);
                    return Ok(Some(Batch { pending: 0, up_to }));
                }
                Some(status) if status.as_u16() == 204 => {
                    self.bus.link_core().abilities().set_batches(true);
                    let up_to = header("Nats-UpTo-Sequence");
                    return Ok(Some(Batch {
                        pending: header("Nats-Num-Pending").unwrap_or(0),
                        up_to,
                    }));
                }
                // "Empty Request": all of it is unknown there
                Some(StatusCode::TIMEOUT) => break,
                Some(status) => {
                    let why = message.description.clone().unwrap_or_default();
                    return Err(ApiError::Refused {
                        subject,
                        code: status.as_u16().into(),
                        description: why,
                    });
                }
            }
            // one message, not as a part of anything
            if header("Nats-Num-Pending").is_none() {
                break;
            }
            if before.is_some_and(|before| header("Nats-Last-Sequence") != Some(before)) {
                let why = "a message of a batch was lost".to_owned();
                return Err(ApiError::Unreadable { subject, why });
            }
            before = header("Nats-Sequence");
            take(self.answer(message)?);
        }
        self.bus.link_core().abilities().set_batches(false);
        Ok(None)
    }

    fn direct_subject(&self) -> String {
        self.bus.api_subject(&format!("DIRECT.GET.{}", self.stream.name))
    }

    /// A stored message out of an answer to a direct get.
    fn answer(&self, message: async_nats::Message) -> Result<RawMessage, ApiError> {
        let headers = message.headers.unwrap_or_default();
        // The answer's own are behind those of the message, should it have some of that name.
        let place = || -> Option<(String, u64, DateTime<Utc>)> {
            let get = |name: &str| headers.get_all(name).last().map(HeaderValue::as_str);
            let at = DateTime::parse_from_rfc3339(get("Nats-Time-Stamp")?).ok()?;
            Some((get("Nats-Subject")?.to_owned(), get("Nats-Sequence")?.parse().ok()?, at.into()))
        };
        let Some((subject, seq, at)) = place() else {
            let why = message.description.unwrap_or_else(|| "no sequence in it".to_owned());
            return Err(ApiError::Unreadable { subject: self.direct_subject(), why });
        };
        let headers = Some(headers::own(&headers));
        let at = stored_at(headers.as_ref(), at);
        let stored = Stored::Stream { created: self.stream.created, seq, at };
        Ok(RawMessage::of_parts(self.kind, stored, &subject, message.payload, headers))
    }

    async fn message_get(&self, body: &Value) -> Result<Option<RawMessage>, ApiError> {
        let what = format!("STREAM.MSG.GET.{}", self.stream.name);
        let GotMessage { subject, seq, data, hdrs, time } =
            match self.bus.look_up::<Got>(&what, body).await {
                Ok(answer) => answer.value.message,
                Err(ApiError::Refused { code: NO_MESSAGE, .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
        let decode = |text: String| {
            STANDARD.decode(text).map_err(|error| ApiError::Unreadable {
                subject: what.clone(),
                why: error.to_string(),
            })
        };
        let headers = Some(headers::parse(&decode(hdrs)?)).filter(|headers| !headers.is_empty());
        let at = stored_at(headers.as_ref(), time);
        let stored = Stored::Stream { created: self.stream.created, seq, at };
        let payload = decode(data)?.into();
        Ok(Some(RawMessage::of_parts(self.kind, stored, &subject, payload, headers)))
    }
}

fn sequence(message: &RawMessage) -> Option<u64> {
    match message.stored {
        Stored::Stream { seq, .. } => Some(seq),
        Stored::Core { .. } => None,
    }
}
