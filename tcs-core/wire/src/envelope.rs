//! The envelope around every message: `{"data": {...}, "meta": {...}}`.

use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::error::DecodeError;
use super::tolerant::{Field, Notes, Take, from_body, take_struct};

/// Python's `DEBUG`, which serverish writes on every message.
pub const TRACE_LEVEL: i64 = 10;

/// Who sent a message, and when.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Meta {
    /// Unique for one sender in its life: `msg`, `msg-2`, ...
    pub id: String,
    /// The messenger's name.
    pub sender: String,
    /// When it was sent, by the sender's clock.
    pub ts: Option<Timestamp>,
    /// Seconds on `CLOCK_BOOTTIME` since the sender's run began, taken when the thing happened and
    /// not when it was sent. Ours; absent from Python.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_s: Option<f64>,
    /// A Python logging level.
    pub trace_level: i64,
    /// May be empty; `journal.publish` for journals.
    pub message_type: String,
    /// Any.
    pub tags: Vec<String>,
    /// `error` in the reply to a request that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What went wrong, in the reply to a request that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// As `ts`: the old console shows it as "Last Status".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// Journal: the service that the line is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// Journal: `stdout` or `stderr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Journal: the run of the service, counted by its launcher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// Journal: the process that wrote the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

impl Meta {
    /// What we write: the six keys that serverish demands.
    pub fn new(id: String, sender: &str, ts: Timestamp) -> Self {
        Self {
            id,
            sender: sender.to_owned(),
            ts: Some(ts),
            trace_level: TRACE_LEVEL,
            ..Self::default()
        }
    }
}

/// An envelope ready to be written. An RPC error has no `data`.
#[derive(Debug, Serialize)]
pub struct Envelope<'a, T> {
    /// The message itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a T>,
    /// Who sends it, and when.
    pub meta: &'a Meta,
}

impl<T: Serialize> Envelope<'_, T> {
    /// The body to publish. Numbers that JSON cannot hold are written as null.
    pub fn to_body(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawMeta {
    id: Field<String>,
    sender: Field<String>,
    ts: Field<Timestamp>,
    run_s: Field<f64>,
    trace_level: Field<i64>,
    message_type: Field<String>,
    tags: Field<Vec<String>>,
    status: Field<String>,
    error: Field<String>,
    timestamp: Field<Timestamp>,
    service_id: Field<String>,
    stream: Field<String>,
    run: Field<u64>,
    pid: Field<u32>,
}
take_struct!(RawMeta);

/// Tags kept of one message.
const MAX_TAGS: usize = 64;

impl RawMeta {
    pub(super) fn read(self, notes: &mut Notes) -> Meta {
        Meta {
            id: notes.text(self.id, "meta.id").unwrap_or_default(),
            sender: notes.text(self.sender, "meta.sender").unwrap_or_default(),
            ts: notes.take(self.ts, "meta.ts"),
            run_s: notes.take(self.run_s, "meta.run_s"),
            trace_level: notes.take(self.trace_level, "meta.trace_level").unwrap_or(TRACE_LEVEL),
            message_type: notes.text(self.message_type, "meta.message_type").unwrap_or_default(),
            tags: notes
                .take(self.tags, "meta.tags")
                .unwrap_or_default()
                .into_iter()
                .take(MAX_TAGS)
                .filter_map(|tag| notes.text(Field::Got(tag), "meta.tags"))
                .collect(),
            status: notes.text(self.status, "meta.status"),
            error: notes.text(self.error, "meta.error"),
            timestamp: notes.take(self.timestamp, "meta.timestamp"),
            service_id: notes.text(self.service_id, "meta.service_id"),
            stream: notes.text(self.stream, "meta.stream"),
            run: notes.take(self.run, "meta.run"),
            pid: notes.take(self.pid, "meta.pid"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "T: Take"))]
pub(super) struct RawEnvelope<T> {
    #[serde(default = "absent")]
    pub(super) data: Field<T>,
    #[serde(default = "absent")]
    pub(super) meta: Field<RawMeta>,
}

impl<T: Take> Take for RawEnvelope<T> {
    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }
}

/// Opens an envelope, tolerantly: an error only if the body is no JSON, or no object.
pub(super) fn open<T: Take>(body: &[u8]) -> Result<RawEnvelope<T>, DecodeError> {
    match from_body(body) {
        Ok(Field::Got(envelope)) => Ok(envelope),
        Ok(Field::Absent | Field::Wrong) => Err(DecodeError::NoData),
        Err(error) => Err(DecodeError::NotJson(error.to_string())),
    }
}

fn absent<T>() -> Field<T> {
    Field::Absent
}
