//! Publishing: a message that was composed once may be sent as often as it takes. JetStream drops
//! what it has seen already, by `Nats-Msg-Id`.

mod race;

use std::time::Duration;

use async_nats::Request;
use serde::Deserialize;
use tokio_util::bytes::Bytes;

use super::api::ApiError;
use super::connect::Bus;
use super::denial::{Action, Denial};
use super::link::{self, LinkState};
use super::outbox::effect::{Answer, Streams};
pub use super::outgoing::{
    HappenedAt, OutgoingMessage, continue_run, hostname, meta_of, new_meta, random_id, run_began,
    run_seconds,
};

/// How long a stream may take to acknowledge a message; then it is looked up.
const ACK_LIMIT: Duration = Duration::from_secs(3);
/// Within which it mostly comes; then it is asked whether one is to be expected.
const ACK_USUAL: Duration = Duration::from_millis(100);
/// JetStream's code for a message that is too large for its stream.
const TOO_LARGE: u64 = 10_054;

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
    /// The message was sent, but no stream holds its subject.
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
    /// Sending it again may succeed; it may even have arrived already.
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
