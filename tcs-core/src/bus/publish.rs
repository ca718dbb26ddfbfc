//! Publishing: a message is composed once, with its identity and its own time, and may then be
//! sent as often as it takes. JetStream drops what it has seen already, by `Nats-Msg-Id`.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Request};
use serde::{Deserialize, Serialize};
use tokio_util::bytes::Bytes;

use super::api::ApiError;
use super::connect::Bus;
use super::link::Denial;
use crate::clock;
use crate::wire::{Envelope, Meta};

/// How long "no stream holds this subject" is believed before it is asked again.
const PLAIN_FOR: Duration = Duration::from_mins(1);
/// JetStream's code for a message that is too large for its stream.
const TOO_LARGE: u64 = 10_054;

/// Who this process is on the wire: the sender's name, and a random id, so that no message id
/// ever repeats, across restarts too (`wire.md`, "Envelope").
struct Sender {
    name: String,
    uid: String,
    next: AtomicU64,
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
    // the keys are from the system's random source
    let random = || RandomState::new().hash_one((std::process::id(), clock::wall()));
    format!("{:016x}{:016x}", random(), random())
}

/// The `meta` of a new message: `msg`, `msg-2`, ... by this process, now.
pub fn new_meta() -> Meta {
    let id = match SENDER.next.fetch_add(1, Ordering::Relaxed) {
        1 => "msg".to_owned(),
        n => format!("msg-{n}"),
    };
    Meta::new(id, &SENDER.name, clock::wall().into())
}

/// A message ready to be sent, any number of times.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub(super) subject: String,
    pub(super) msg_id: String,
    pub(super) body: Bytes,
}

impl Parcel {
    /// Composes a message for `subject`. Numbers that JSON cannot hold are written as null.
    pub fn new(subject: String, data: &impl Serialize) -> Result<Self, serde_json::Error> {
        Self::with_meta(subject, data, new_meta())
    }

    /// As [`Parcel::new`], with a `meta` from [`new_meta`] that was added to.
    pub fn with_meta(
        subject: String,
        data: &impl Serialize,
        mut meta: Meta,
    ) -> Result<Self, serde_json::Error> {
        meta.timestamp = meta.ts; // the old console shows it as "Last Status"
        let body = Envelope { data: Some(data), meta: &meta }.to_body()?;
        Ok(Self { subject, msg_id: format!("{}:{}", SENDER.uid, meta.id), body: body.into() })
    }

    /// A message that is composed already (a recorded one), under an id of its own.
    pub fn composed(subject: String, body: Vec<u8>) -> Self {
        let n = SENDER.next.fetch_add(1, Ordering::Relaxed);
        Self { subject, msg_id: format!("{}:composed-{n}", SENDER.uid), body: body.into() }
    }

    /// Where it goes.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", self.msg_id.as_str());
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

#[derive(Deserialize)]
struct Ack {
    stream: Option<String>,
    #[serde(default)]
    seq: u64,
    error: Option<AckError>,
}

#[derive(Deserialize)]
struct AckError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Sends parcels. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    bus: Bus,
    /// Subjects that no stream holds, and since when that is known. Where somebody merely
    /// listens to such a subject, waiting for an ack would take its whole time-out each time.
    plain: Arc<Mutex<HashMap<String, Instant>>>,
    /// Subjects whose last message no stream took.
    unstored: Arc<Mutex<HashSet<String>>>,
}

impl Publisher {
    /// Over this connection.
    pub fn new(bus: Bus) -> Self {
        Self { bus, plain: Arc::default(), unstored: Arc::default() }
    }

    /// The connection.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Sends one message, and waits until a stream has it; where no stream holds the subject,
    /// until it is on its way.
    pub async fn send(&self, parcel: &Parcel) -> Result<Sent, PublishError> {
        let sent = self.try_send(parcel).await?;
        let mut unstored = self.unstored.lock().unwrap_or_else(PoisonError::into_inner);
        match sent {
            Sent::Stored { .. } => unstored.remove(&parcel.subject),
            Sent::Unstored => unstored.insert(parcel.subject.clone()),
        };
        Ok(sent)
    }

    /// Whether the last message on this subject went to no stream. Then the next one asks for one
    /// anew: for somebody who has seen that streams are there now, and says it again.
    pub fn take_unstored(&self, subject: &str) -> bool {
        let mut unstored = self.unstored.lock().unwrap_or_else(PoisonError::into_inner);
        let was = unstored.remove(subject);
        if was {
            self.plain.lock().unwrap_or_else(PoisonError::into_inner).remove(subject);
        }
        was
    }

    /// Asks anew, for each subject, whether a stream holds it.
    pub fn forget_streams(&self) {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.unstored.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Sends one message to whoever listens just now, and waits for nothing: for lines that are
    /// worth nothing later. Nothing is queued while there is no broker.
    pub async fn send_plain(&self, parcel: &Parcel) -> Result<Sent, PublishError> {
        let lost = || unsure(parcel, ApiError::Disconnected);
        if !self.bus.is_connected() {
            return Err(lost());
        }
        let (subject, body) = (parcel.subject.clone(), parcel.body.clone());
        let sent = self.bus.client().publish_with_headers(subject, parcel.headers(), body).await;
        sent.map(|()| Sent::Unstored).map_err(|_| lost())
    }

    async fn try_send(&self, parcel: &Parcel) -> Result<Sent, PublishError> {
        let limit = self.bus.client().server_info().max_payload;
        if limit > 0 && parcel.body.len() > limit {
            return Err(too_large(parcel));
        }
        if self.is_plain(&parcel.subject) {
            return self.send_plain(parcel).await;
        }
        let request = Request::new().headers(parcel.headers()).payload(parcel.body.clone());
        match self.bus.ask(&parcel.subject, request).await {
            Ok(reply) => acknowledged(parcel, &reply.payload),
            // the server says at once that nobody is there: no stream, and no listener either
            Err(ApiError::NoJetStream) => Ok(Sent::Unstored),
            Err(ApiError::Denied(denial)) => Err(PublishError::Denied(denial)),
            Err(error @ ApiError::TimedOut { .. }) => {
                // it has gone out; is there a stream that should have answered?
                match self.bus.streams_of(&parcel.subject).await {
                    Ok(streams) if streams.is_empty() => {
                        self.note_plain(&parcel.subject);
                        Ok(Sent::Unstored)
                    }
                    _ => Err(unsure(parcel, error)),
                }
            }
            Err(error) => Err(unsure(parcel, error)),
        }
    }

    fn is_plain(&self, subject: &str) -> bool {
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        let known = plain.get(subject).copied();
        let fresh = known.is_some_and(|since| clock::monotonic() < since + PLAIN_FOR);
        if known.is_some() && !fresh {
            plain.remove(subject);
        }
        fresh
    }

    fn note_plain(&self, subject: &str) {
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        plain.insert(subject.to_owned(), clock::monotonic());
    }
}

fn too_large(parcel: &Parcel) -> PublishError {
    PublishError::TooLarge { subject: parcel.subject.clone(), len: parcel.body.len() }
}

fn unsure(parcel: &Parcel, source: ApiError) -> PublishError {
    PublishError::Unsure { subject: parcel.subject.clone(), source }
}

fn acknowledged(parcel: &Parcel, reply: &[u8]) -> Result<Sent, PublishError> {
    match serde_json::from_slice(reply) {
        Ok(Ack { error: Some(AckError { err_code: TOO_LARGE, .. }), .. }) => Err(too_large(parcel)),
        Ok(Ack { error: Some(error), .. }) => Err(unsure(
            parcel,
            ApiError::Refused {
                subject: parcel.subject.clone(),
                code: error.err_code,
                description: error.description,
            },
        )),
        Ok(Ack { stream: Some(stream), seq, .. }) => Ok(Sent::Stored { stream, sequence: seq }),
        // somebody else answered in a stream's place: it did arrive
        Ok(Ack { stream: None, .. }) | Err(_) => Ok(Sent::Unstored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_repeat() {
        let parcel = || Parcel::new("svc.status.a".to_owned(), &serde_json::json!({})).unwrap();
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| parcel().msg_id).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn acks_are_read() {
        let parcel = Parcel::new("svc.status.a".to_owned(), &serde_json::json!({})).unwrap();
        let read = |text: &str| acknowledged(&parcel, text.as_bytes());
        assert_eq!(
            read(r#"{"stream":"svc_status","seq":7}"#),
            Ok(Sent::Stored { stream: "svc_status".to_owned(), sequence: 7 })
        );
        let full = read(r#"{"error":{"code":400,"err_code":10077,"description":"full"},"seq":0}"#);
        assert!(!full.unwrap_err().is_final());
        let large = read(r#"{"error":{"code":400,"err_code":10054,"description":"x"},"seq":0}"#);
        assert!(large.unwrap_err().is_final());
        assert_eq!(read("hello"), Ok(Sent::Unstored));
    }
}
