//! Publishing: a message is composed once, with its identity and its own time, and may then be
//! sent as often as it takes. JetStream drops what it has seen already, by `Nats-Msg-Id`.

mod race;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use async_nats::{HeaderMap, Request};
use serde::{Deserialize, Serialize};
use tokio_util::bytes::Bytes;

use super::api::ApiError;
use super::connect::Bus;
use super::denial::{Action, Denial};
use super::link::{self, LinkState};
use super::outbox::{Answer, Streams};
use crate::clock;
use tcs_wire::{Envelope, Meta, Timestamp};

/// The header by which JetStream and we recognise a message.
pub(super) const MSG_ID: &str = "Nats-Msg-Id";
/// The header by which a stream takes a message only after the one that is expected.
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
/// How long a stream may take to acknowledge a message; then it is looked up.
const ACK_LIMIT: Duration = Duration::from_secs(3);
/// Within which it mostly comes; then it is asked whether one is to be expected.
const ACK_USUAL: Duration = Duration::from_millis(100);
/// JetStream's code for a message that is too large for its stream.
const TOO_LARGE: u64 = 10_054;

/// Who this process is on the wire: the sender's name, and a random id, so that no message id
/// ever repeats, across restarts too (`docs/spec/wire.md#envelope`).
struct Sender {
    name: String,
    uid: String,
    /// When this run began, on `CLOCK_BOOTTIME`.
    began: Duration,
    next: AtomicU64,
}

/// Of a run that another program has begun in this process.
static BEGAN: OnceLock<Duration> = OnceLock::new();

/// This program goes on with the run of the program that was in this process before, which began then
/// (on `CLOCK_BOOTTIME`). To be called before any message is made.
pub fn continue_run(began: Duration) {
    let _ = BEGAN.set(began);
}

/// When this run began, on `CLOCK_BOOTTIME`.
pub fn run_began() -> Duration {
    SENDER.began
}

static SENDER: LazyLock<Sender> = LazyLock::new(|| {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(std::path::Path::file_name);
    let program = program.map_or_else(|| "tcs".into(), |name| name.to_string_lossy());
    let user = std::env::var("USER").unwrap_or_else(|_| nix::unistd::getuid().to_string());
    let name = format!("{program}:{user}@{}:{}", hostname(), std::process::id());
    Sender {
        name: name.chars().filter(|c| !c.is_control()).collect(),
        uid: format!("mi{}", random_id()),
        began: BEGAN.get().copied().unwrap_or_else(clock::boottime),
        next: AtomicU64::new(1),
    }
});

/// This host's name as the system has it, not shortened.
pub fn hostname() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// 32 random hexadecimal digits, never the same again: for a run, an instance.
pub fn random_id() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // no source: the time and the process are not the same again either
        let nanoseconds = clock::boottime().as_nanos() ^ (u128::from(std::process::id()) << 96);
        bytes = nanoseconds.to_be_bytes();
    }
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// When a thing happened that a message tells of, by this host's clock and in this run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HappenedAt {
    ts: Timestamp,
    run_s: f64,
}

impl HappenedAt {
    /// It happens now.
    pub fn now() -> Self {
        Self { ts: clock::wall().into(), run_s: run_seconds() }
    }
}

/// The `meta` of a new message: `msg`, `msg-2`, ... by this process, now.
pub fn new_meta() -> Meta {
    meta_of(HappenedAt::now())
}

/// The same for what happened earlier: a message that is sent once more, to streams that have lost
/// it, tells of then.
pub fn meta_of(happened: HappenedAt) -> Meta {
    let id = match SENDER.next.fetch_add(1, Ordering::Relaxed) {
        1 => "msg".to_owned(),
        n => format!("msg-{n}"),
    };
    let mut meta = Meta::new(id, &SENDER.name, happened.ts);
    meta.run_s = Some(happened.run_s);
    meta
}

/// Seconds since this run of the program began, suspended time included, to the millisecond.
pub fn run_seconds() -> f64 {
    let ran = clock::boottime().saturating_sub(SENDER.began);
    (ran.as_secs_f64() * 1000.0).round() / 1000.0
}

/// A message ready to be sent, any number of times.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    pub(super) subject: String,
    pub(super) msg_id: String,
    pub(super) body: Bytes,
    /// The last sequence number that its subject is to have.
    expected: Option<u64>,
}

impl OutgoingMessage {
    /// Composes a message for `subject`. Numbers that JSON cannot hold are written as null.
    pub fn new(subject: String, data: &impl Serialize) -> Result<Self, serde_json::Error> {
        Self::with_meta(subject, data, new_meta())
    }

    /// As [`OutgoingMessage::new`], with a `meta` from [`new_meta`] that was added to.
    pub fn with_meta(
        subject: String,
        data: &impl Serialize,
        mut meta: Meta,
    ) -> Result<Self, serde_json::Error> {
        meta.timestamp = meta.ts; // the old console shows it as "Last Status"
        let body = Envelope { data: Some(data), meta: &meta }.to_body()?;
        Ok(Self::of_body(subject, &meta.id, body))
    }

    /// A message that is composed already (a recorded one), under an id of its own.
    pub fn composed(subject: String, body: Vec<u8>) -> Self {
        let n = SENDER.next.fetch_add(1, Ordering::Relaxed);
        Self::of_body(subject, &format!("composed-{n}"), body)
    }

    /// Of a body that was made with a `meta` from [`new_meta`], whose id it has.
    pub fn of_body(subject: String, id: &str, body: Vec<u8>) -> Self {
        let msg_id = format!("{}:{id}", SENDER.uid);
        Self { subject, msg_id, body: body.into(), expected: None }
    }

    /// To be stored only if this is the sequence number of the last message of its subject; 0: if
    /// there is none. See [`PublishError::is_overtaken`].
    #[must_use]
    pub fn expecting(self, last: u64) -> Self {
        Self { expected: Some(last), ..self }
    }

    /// Where it goes.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Its identity, which never repeats: what `Nats-Msg-Id` says.
    pub fn msg_id(&self) -> &str {
        &self.msg_id
    }

    /// It is sent in the place of an older status of its subject: `details.coalesced` counts both.
    pub(super) fn stand_for(&mut self, older: &Self) {
        let read = |parcel: &Self| serde_json::from_slice::<serde_json::Value>(&parcel.body).ok();
        let coalesced =
            |body: &serde_json::Value| body["data"]["details"]["coalesced"].as_u64().unwrap_or(1);
        let (Some(mut body), Some(older)) = (read(self), read(older)) else { return };
        let count = coalesced(&body).saturating_add(coalesced(&older));
        body["data"]["details"]["coalesced"] = count.into();
        if let Ok(body) = serde_json::to_vec(&body) {
            self.body = body.into();
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(MSG_ID, self.msg_id.as_str());
        if let Some(expected) = self.expected {
            headers.insert(EXPECTED, expected.to_string());
        }
        headers
    }

    /// The whole message as it travels.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A stream has it.
    Stored {
        /// Which.
        stream: String,
        /// Its place in that stream.
        sequence: u64,
    },
    /// It went out, and no stream holds its subject.
    Unstored,
}

/// Why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// It can never arrive.
    #[error("{0}")]
    Denied(Denial),
    /// It can never arrive.
    #[error("message for `{subject}` is too large ({len} bytes)")]
    TooLarge {
        /// Where it was to go.
        subject: String,
        /// Its size.
        len: usize,
    },
    /// It may arrive another time; it may even have arrived.
    #[error("`{subject}`: {source}")]
    Unsure {
        /// Where it was to go.
        subject: String,
        /// What happened.
        source: ApiError,
    },
}

impl PublishError {
    /// Whether sending it again makes no sense.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Denied(_) | Self::TooLarge { .. } => true,
            Self::Unsure { .. } => false,
        }
    }
}

/// A server's answer to what is to be stored.
#[derive(Deserialize)]
pub(super) struct Ack {
    pub(super) stream: Option<String>,
    #[serde(default)]
    pub(super) seq: u64,
    pub(super) error: Option<AckError>,
}

#[derive(Deserialize)]
pub(super) struct AckError {
    #[serde(default)]
    pub(super) err_code: u64,
    #[serde(default)]
    pub(super) description: String,
}

/// Sends parcels. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    bus: Bus,
}

impl Publisher {
    /// Over this connection.
    pub fn new(bus: Bus) -> Self {
        Self { bus }
    }

    /// The connection.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Sends one message, and waits until a stream has it; where no stream holds the subject,
    /// until it is on its way. Where there is no connection yet, it waits 3 s for one.
    ///
    /// # Errors
    /// It did not arrive, or may not have. What must arrive belongs into an
    /// [`Outbox`](super::outbox::Outbox).
    pub async fn send(&self, parcel: &OutgoingMessage) -> Result<Sent, PublishError> {
        let connected = link::until(self.bus.link(), LinkState::is_connected);
        tokio::time::timeout(ACK_LIMIT, connected).await.ok();
        let stored = async {
            match parcel.expected {
                Some(expected) => self.send_after(parcel, expected).await,
                None => self.acknowledged(parcel).await,
            }
        };
        let error = tokio::select! {
            biased;
            sent = stored => match sent {
                Err(error) => error,
                sent => return sent,
            },
            () = self.unheld(&parcel.subject) => return Ok(Sent::Unstored),
        };
        match &error {
            PublishError::Unsure { source, .. }
                if !matches!(source, ApiError::Disconnected | ApiError::Refused { .. }) => {}
            _ => return Err(error),
        }
        // it has gone out: is there a stream that should have answered?
        match self.streams(&parcel.subject).await {
            Streams::None(_) | Streams::Denied(_) => Ok(Sent::Unstored),
            Streams::Held | Streams::Unknown => Err(error),
        }
    }

    async fn acknowledged(&self, parcel: &OutgoingMessage) -> Result<Sent, PublishError> {
        let reply = self.request(parcel).await?;
        acknowledged(parcel, &reply)?.ok_or_else(|| PublishError::Unsure {
            subject: parcel.subject.clone(),
            source: not_an_acknowledgement(parcel),
        })
    }

    /// Ends once it is known that no stream will answer: plain listeners do not.
    async fn unheld(&self, subject: &str) {
        tokio::time::sleep(ACK_USUAL).await;
        if !matches!(self.streams(subject).await, Streams::None(_)) {
            std::future::pending::<()>().await;
        }
    }

    /// Sends one message to whoever listens just now, and waits for nothing: for lines that are
    /// worth nothing later. Nothing is queued while there is no broker.
    pub async fn send_plain(&self, parcel: &OutgoingMessage) -> Result<Sent, PublishError> {
        let lost = || PublishError::Unsure {
            subject: parcel.subject.clone(),
            source: ApiError::Disconnected,
        };
        if !self.bus.is_connected() {
            return Err(lost());
        }
        let (subject, body) = (parcel.subject.clone(), parcel.body.clone());
        let sent = self.bus.client().publish_with_headers(subject, parcel.headers(), body).await;
        sent.map(|()| Sent::Unstored).map_err(|_| lost())
    }

    /// Sends one message and waits for a stream's answer.
    pub(super) async fn ask(&self, parcel: &OutgoingMessage) -> Answer {
        let error = match self.request(parcel).await {
            Ok(reply) => match acknowledged(parcel, &reply) {
                Ok(Some(Sent::Stored { stream, sequence })) => {
                    return Answer::Stored { stream, sequence };
                }
                Ok(Some(Sent::Unstored) | None) => return Answer::Unanswered,
                Err(error) => error,
            },
            Err(error) => error,
        };
        match error {
            PublishError::Denied(denial) if denial.action == Action::Subscribe => {
                Answer::Deaf(denial.to_string())
            }
            PublishError::Denied(_) | PublishError::TooLarge { .. } => {
                Answer::Never(error.to_string())
            }
            PublishError::Unsure { source, .. } => match source {
                ApiError::NoJetStream => Answer::NoResponders,
                ApiError::Refused { code, description, .. } => {
                    Answer::Refused(format!("{description} ({code})"))
                }
                _ => Answer::Unanswered,
            },
        }
    }

    /// Sends one message without waiting for an answer.
    pub(super) async fn tell(&self, parcel: &OutgoingMessage) -> Answer {
        match self.send_plain(parcel).await {
            Ok(_) => Answer::Told,
            Err(_) => Answer::Unanswered,
        }
    }

    /// What the server says of streams that hold a subject.
    pub(super) async fn streams(&self, subject: &str) -> Streams {
        match self.bus.streams_capturing(subject).await {
            Ok(streams) if streams.is_empty() => {
                Streams::None("there is no stream; a launcher (tcsd) creates it".to_owned())
            }
            Ok(_) => Streams::Held,
            Err(error @ ApiError::NotEnabled) => Streams::None(error.to_string()),
            Err(error @ ApiError::NoJetStream) if !self.bus.client().server_info().jetstream => {
                Streams::None(error.to_string())
            }
            Err(error @ ApiError::Denied(_)) => Streams::Denied(error.to_string()),
            Err(_) => Streams::Unknown,
        }
    }

    async fn request(&self, parcel: &OutgoingMessage) -> Result<Bytes, PublishError> {
        let limit = self.bus.client().server_info().max_payload;
        if limit > 0 && parcel.body.len() > limit {
            return Err(too_large(parcel));
        }
        let request = Request::new().headers(parcel.headers()).payload(parcel.body.clone());
        match self.bus.ask_within(&parcel.subject, request, ACK_LIMIT).await {
            Ok(reply) => Ok(reply.payload),
            Err(ApiError::Denied(denial)) => Err(PublishError::Denied(denial)),
            Err(source) => Err(PublishError::Unsure { subject: parcel.subject.clone(), source }),
        }
    }
}

fn too_large(parcel: &OutgoingMessage) -> PublishError {
    PublishError::TooLarge { subject: parcel.subject.clone(), len: parcel.body.len() }
}

fn not_an_acknowledgement(parcel: &OutgoingMessage) -> ApiError {
    let why = "it is not the acknowledgement of a stream".to_owned();
    ApiError::Unreadable { subject: parcel.subject.clone(), why }
}

/// What a stream answered; `None`: somebody else answered in its place.
fn acknowledged(parcel: &OutgoingMessage, reply: &[u8]) -> Result<Option<Sent>, PublishError> {
    match serde_json::from_slice(reply) {
        Ok(Ack { error: Some(AckError { err_code: TOO_LARGE, .. }), .. }) => Err(too_large(parcel)),
        Ok(Ack { error: Some(error), .. }) => Err(PublishError::Unsure {
            subject: parcel.subject.clone(),
            source: ApiError::Refused {
                subject: parcel.subject.clone(),
                code: error.err_code,
                description: error.description,
            },
        }),
        Ok(Ack { stream: Some(stream), seq, .. }) => {
            Ok(Some(Sent::Stored { stream, sequence: seq }))
        }
        Ok(Ack { stream: None, .. }) | Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_repeat() {
        let parcel =
            || OutgoingMessage::new("svc.status.a".to_owned(), &serde_json::json!({})).unwrap();
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| parcel().msg_id).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn a_status_stands_for_those_it_replaces() {
        let status = |details: serde_json::Value| {
            let data = serde_json::json!({"name": "a.b", "status": "ok", "details": details});
            OutgoingMessage::new("svc.status.a.b".to_owned(), &data).unwrap()
        };
        let mut newer = status(serde_json::json!({"own_status": "ok"}));
        newer.stand_for(&status(serde_json::json!({"coalesced": 3})));
        newer.stand_for(&status(serde_json::json!(null)));
        let body: serde_json::Value = serde_json::from_slice(newer.body()).unwrap();
        assert_eq!(body["data"]["details"]["coalesced"], 5);
        assert_eq!(body["data"]["details"]["own_status"], "ok");
        assert_eq!(body["meta"]["id"], newer.msg_id().split_once(':').unwrap().1);
    }

    #[test]
    fn acks_are_read() {
        let parcel =
            OutgoingMessage::new("svc.status.a".to_owned(), &serde_json::json!({})).unwrap();
        let read = |text: &str| acknowledged(&parcel, text.as_bytes());
        assert_eq!(
            read(r#"{"stream":"svc_status","seq":7}"#),
            Ok(Some(Sent::Stored { stream: "svc_status".to_owned(), sequence: 7 }))
        );
        let full = read(r#"{"error":{"code":400,"err_code":10077,"description":"full"},"seq":0}"#);
        assert!(!full.unwrap_err().is_final());
        let large = read(r#"{"error":{"code":400,"err_code":10054,"description":"x"},"seq":0}"#);
        assert!(large.unwrap_err().is_final());
        assert_eq!(read("hello"), Ok(None));
    }
}
