//! What travels on NATS, and nothing else. The rules are those of the existing Python fleet.
//!
//! **Tolerant reading**: unknown fields are ignored, unknown events kept as [`Event::Other`], a
//! missing field is absent, a field of a wrong type is dropped and noted. Only a body that is not
//! JSON, or that names no service, is dropped whole. **Strict writing**: the old console ends its
//! reading of a stream at a status that is not one of the ten, at `data: null`, at a time that is
//! not seven integers; our types cannot say such things.

pub mod control;
mod duration;
mod end;
mod envelope;
mod error;
mod heartbeat;
pub mod id;
pub mod journal;
pub mod policy;
mod registry;
pub mod rpc;
mod status;
mod subject;
pub mod text;
mod timestamp;
mod tolerant;

pub use duration::{format_duration, format_seconds};
pub use end::{gave_up, how_ended, signal_name};
pub use envelope::{Envelope, Meta, TRACE_LEVEL};
pub use error::DecodeError;
pub use heartbeat::{HeartbeatMessage, NotStored, OutboxReport};
pub use journal::{JournalMessage, Level};
pub use registry::{
    Crashed, Declaration, Declared, DeclaredSchedule, Event, Limit, MAX_LAST_BYTES, MAX_LAST_LINES,
    Missed, Planned, RESTART_LIMIT_REACHED, RegistryMessage, Stop,
};
pub use status::{
    Component, Details, MAX_COMPONENT_TEXT, MAX_COMPONENTS, MAX_LEVELS, MAX_METRICS, NotAStatus,
    Status, StatusMessage,
};
pub use subject::{DEFAULT_PREFIX, Kind, Subject, Subjects, is_clean_subject};
pub use timestamp::Timestamp;
pub use tolerant::{MAX_NAME, MAX_SECONDS, MAX_TEXT, Notes};

use std::borrow::Cow;

use heartbeat::RawHeartbeat;
use journal::RawJournal;
use registry::RawRegistry;
use status::RawStatus;
use tolerant::{Field, Take, object_name};

/// A message, decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// From a launcher, about a service.
    Registry(RegistryMessage),
    /// From a service, about itself.
    Status(StatusMessage),
    /// A sign of life.
    Heartbeat(HeartbeatMessage),
    /// A log line.
    Journal(JournalMessage),
}

impl Message {
    /// The approximate memory that it occupies, in bytes.
    pub fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>()
            + match self {
                Self::Registry(it) => match &it.event {
                    Event::Crashed(crash) => crash.last_lines.iter().map(String::len).sum(),
                    _ => 0,
                },
                Self::Status(it) => text(&it.message) + it.details.weight(),
                Self::Heartbeat(it) => status::metrics_weight(&it.metrics),
                Self::Journal(it) => it.message.len() + text(&it.explanation),
            }
    }

    /// The monitored object it is about, as the body names it; a journal line names none.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Registry(message) => Some(&message.service_id),
            Self::Status(message) => Some(&message.name),
            Self::Heartbeat(message) => Some(&message.service_id),
            Self::Journal(_) => None,
        }
    }
}

/// A message with what came around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// What it says.
    pub message: Message,
    /// Who sent it, and when.
    pub meta: Meta,
    /// What had to be left out of it. Not empty `dropped`: count it as malformed.
    pub notes: Notes,
}

impl From<Decoded> for Cow<'_, Decoded> {
    fn from(decoded: Decoded) -> Self {
        Cow::Owned(decoded)
    }
}

impl<'a> From<&'a Decoded> for Cow<'a, Decoded> {
    fn from(decoded: &'a Decoded) -> Self {
        Cow::Borrowed(decoded)
    }
}

impl Decoded {
    /// The same without the metrics of a status or a heartbeat, where they occupy more than `most`
    /// bytes; `None` if they do not. What is left out is noted as cut.
    pub fn shortened(&self, most: usize) -> Option<Self> {
        let message = match &self.message {
            Message::Status(it) => Message::Status(it.shortened(most)?),
            Message::Heartbeat(it) if status::metrics_weight(&it.metrics) > most => {
                let mut short = it.clone();
                short.metrics.clear();
                Message::Heartbeat(short)
            }
            Message::Heartbeat(_) | Message::Registry(_) | Message::Journal(_) => return None,
        };
        let mut notes = self.notes.clone();
        notes.cut("metrics");
        Some(Self { message, meta: self.meta.clone(), notes })
    }

    /// The log line that this is. A reply to a request that names a journal's subject for replies
    /// has a `message` too, but not the type that every sender of log lines writes.
    pub fn log_line(&self) -> Option<&JournalMessage> {
        match &self.message {
            Message::Journal(line) if self.meta.message_type.starts_with("journal") => Some(line),
            Message::Journal(_)
            | Message::Registry(_)
            | Message::Status(_)
            | Message::Heartbeat(_) => None,
        }
    }
}

/// Reads the body of a message that came on `subject`.
pub fn decode(subject: Subject<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let decoded = read_kind(subject, body)?;
    let other = |what, body: &str| {
        let body = body.chars().take(MAX_SHOWN).collect();
        Err(DecodeError::OtherSubject { what, body })
    };
    if let Some(name) = decoded.message.name().filter(|name| *name != subject.name) {
        return other("service", name);
    }
    if let (Message::Registry(message), Some(event)) = (&decoded.message, subject.event)
        && message.event.name() != event
    {
        return other("event", message.event.name());
    }
    Ok(decoded)
}

/// Characters of a name that an error shows.
const MAX_SHOWN: usize = 80;

fn read_kind(subject: Subject<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    match subject.kind {
        Kind::Registry => read(body, "service_id", |raw: RawRegistry, notes| {
            raw.read(subject.event, notes).map(Message::Registry)
        }),
        Kind::Status => {
            read(body, "name", |raw: RawStatus, notes| raw.read(notes).map(Message::Status))
        }
        Kind::Heartbeat => read(body, "service_id", |raw: RawHeartbeat, notes| {
            raw.read(notes).map(Message::Heartbeat)
        }),
        Kind::Journal => {
            read(body, "message", |raw: RawJournal, notes| Some(Message::Journal(raw.read(notes))))
        }
    }
}

fn read<T: Take>(
    body: &[u8],
    field: &'static str,
    message: impl FnOnce(T, &mut Notes) -> Option<Message>,
) -> Result<Decoded, DecodeError> {
    let raw = envelope::open::<T>(body)?;
    let Field::Got(data) = raw.data else { return Err(DecodeError::NoData) };
    let mut notes = Notes::default();
    let message = message(data, &mut notes).ok_or(DecodeError::NoName { field })?;
    let meta = notes.take(raw.meta, "meta").map(|meta| meta.read(&mut notes)).unwrap_or_default();
    Ok(Decoded { message, meta, notes })
}

#[cfg(test)]
mod tests;
