//! What a service says of itself: `<prefix>.status.<name>`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::Timestamp;
use super::tolerant::{Field, Notes, Take, object_name, take_struct};

/// Components kept of one status, at all levels together (`docs/spec/truth.md#bounds`).
pub const MAX_COMPONENTS: usize = 4096;
/// Levels of components kept (`docs/spec/truth.md#bounds`).
pub const MAX_LEVELS: usize = 32;
/// Text kept of the components of one status, names and messages at all levels together, in bytes.
pub const MAX_COMPONENT_TEXT: usize = 64 * 1024;
/// The last status of Python's controller is `ok` with this message, after `shutdown`.
const PYTHON_STOPPED: &str = "Service stopped";

/// Metrics kept of one service, in bytes of JSON (`docs/spec/truth.md#bounds`).
pub const MAX_METRICS: usize = 64 * 1024;

/// A service's status. The order is that of severity: `Status::Unknown` is the least, and the
/// largest of several is their aggregate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nothing is known, or a word that is not in this list.
    #[default]
    Unknown,
    /// Running well.
    Ok,
    /// Running, with no task under way.
    Idle,
    /// Running, with tasks under way.
    Busy,
    /// Ending.
    Shutdown,
    /// Starting.
    Startup,
    /// Working, with something less than it should be.
    Degraded,
    /// Working, and something wants attention.
    Warning,
    /// Running, and something is broken.
    Error,
    /// Unusable.
    Failed,
}

impl Status {
    /// All ten, least severe first.
    pub const ALL: [Self; 10] = [
        Self::Unknown,
        Self::Ok,
        Self::Idle,
        Self::Busy,
        Self::Shutdown,
        Self::Startup,
        Self::Degraded,
        Self::Warning,
        Self::Error,
        Self::Failed,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Shutdown => "shutdown",
            Self::Startup => "startup",
            Self::Degraded => "degraded",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Failed => "failed",
        }
    }

    /// ok, idle, busy, degraded or warning.
    pub const fn is_healthy(self) -> bool {
        matches!(self, Self::Ok | Self::Idle | Self::Busy | Self::Degraded | Self::Warning)
    }

    /// Healthy, or starting.
    pub const fn is_operational(self) -> bool {
        self.is_healthy() || matches!(self, Self::Startup)
    }

    /// The worst of several; `Unknown` of none. With `ok` beside `unknown` it is `ok`.
    pub fn aggregate(statuses: impl IntoIterator<Item = Self>) -> Self {
        statuses.into_iter().max().unwrap_or_default()
    }
}

/// A word that is not one of the ten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a status: one of ok, idle, busy, degraded, warning, error, failed, startup, shutdown, unknown"
)]
pub struct NotAStatus(pub String);

impl FromStr for Status {
    type Err = NotAStatus;
    fn from_str(word: &str) -> Result<Self, NotAStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| NotAStatus(word.to_owned()))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A status word as somebody wrote it: one that is not in the list reads as `unknown`, and is kept.
#[derive(Debug)]
pub(super) enum Word {
    Known(Status),
    Other(String),
}

impl Take for Word {
    fn text(text: &str) -> Option<Self> {
        Some(text.parse().map_or_else(|_| Self::Other(text.to_owned()), Self::Known))
    }
}

impl Word {
    fn status(&self) -> Status {
        match self {
            Self::Known(status) => *status,
            Self::Other(_) => Status::Unknown,
        }
    }
}

/// Reads a status field: the status, and the raw word if it is none of the ten.
pub(super) fn read_word(
    field: Field<Word>,
    name: &'static str,
    notes: &mut Notes,
) -> (Option<Status>, Option<String>) {
    match notes.take(field, name) {
        None => (None, None),
        Some(Word::Known(status)) => (Some(status), None),
        Some(Word::Other(raw)) => (Some(Status::Unknown), notes.text(Field::Got(raw), name)),
    }
}

/// One status message.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StatusMessage {
    /// The monitored object. (Here, and only here, the wire says `name`, not `service_id`.)
    pub name: String,
    /// Own status and the components' together.
    pub status: Status,
    /// The word as it came, where it is none of the ten.
    #[serde(skip)]
    pub raw_status: Option<String>,
    /// When the sender wrote it, by its own clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// Seconds since the own status began, by the sender's monotonic clock. Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_age_s: Option<f64>,
    /// In words, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Own status, components, metrics. Shared by the copies of a message, since it may be large.
    #[serde(skip_serializing_if = "Details::is_empty")]
    pub details: Arc<Details>,
    /// The monitored object above this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Host name as the sender knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

impl StatusMessage {
    /// The service's own status, without its components'.
    pub fn own_status(&self) -> Status {
        self.details.own_status.unwrap_or(self.status)
    }

    /// Whether the service reports that it ends. Its components do not matter: one that failed
    /// stays failed while its service is stopped.
    pub fn says_shutdown(&self) -> bool {
        match self.own_status() {
            Status::Shutdown => true,
            Status::Ok => self.message.as_deref() == Some(PYTHON_STOPPED),
            Status::Unknown
            | Status::Idle
            | Status::Busy
            | Status::Startup
            | Status::Degraded
            | Status::Warning
            | Status::Error
            | Status::Failed => false,
        }
    }

    /// The same without metrics, if its details occupy more than `most` bytes, and without components
    /// if they do so alone; `None` if they do not.
    pub fn shortened(&self, most: usize) -> Option<Self> {
        if self.details.weight() <= most {
            return None;
        }
        let Details { own_status, components, metrics: _, reported_by, coalesced } = &*self.details;
        let fit = components_weight(components) <= most;
        let details = Arc::new(Details {
            own_status: *own_status,
            components: if fit { components.clone() } else { Vec::new() },
            metrics: Map::new(),
            reported_by: reported_by.clone(),
            coalesced: *coalesced,
        });
        Some(Self {
            name: self.name.clone(),
            raw_status: self.raw_status.clone(),
            message: self.message.clone(),
            details,
            parent: self.parent.clone(),
            hostname: self.hostname.clone(),
            ..*self
        })
    }

    /// Whether a launcher says this for a service that does not speak (any more).
    pub fn by_launcher(&self) -> bool {
        self.details.reported_by.as_deref() == Some("launcher")
    }
}

/// What an allocation costs beside its content, about, in bytes.
const OVERHEAD: usize = 48;

/// `details` of a status. Absent on the wire when there is nothing in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Details {
    /// The service's own status, where components are there too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_status: Option<Status>,
    /// Submonitors.
    #[serde(rename = "children", skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Name to any JSON.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metrics: Map<String, Value>,
    /// `launcher` when a launcher speaks for the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_by: Option<String>,
    /// How many status changes were merged into this message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coalesced: Option<u64>,
}

impl Details {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The approximate memory that components and metrics occupy, in bytes.
    pub fn weight(&self) -> usize {
        components_weight(&self.components) + metrics_weight(&self.metrics)
    }
}

fn components_weight(components: &[Component]) -> usize {
    let component = |it: &Component| {
        let message = it.message.as_ref().map_or(0, String::len);
        size_of::<Component>() + OVERHEAD + it.name.len() + message + it.details.weight()
    };
    components.iter().map(component).sum()
}

/// A part of a service that reports through it (a submonitor).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Component {
    /// Its name inside the service.
    pub name: String,
    /// Own status and that of its own components.
    pub status: Status,
    /// When the service wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// In words, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Own status, components, metrics.
    #[serde(skip_serializing_if = "Details::is_empty")]
    pub details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawStatus {
    name: Field<String>,
    status: Field<Word>,
    timestamp: Field<Timestamp>,
    status_age_s: Field<f64>,
    message: Field<String>,
    details: Field<RawDetails>,
    parent: Field<String>,
    pid: Field<u32>,
    hostname: Field<String>,
}
take_struct!(RawStatus);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawDetails {
    own_status: Field<Word>,
    children: Field<Vec<RawComponent>>,
    metrics: Field<Map<String, Value>>,
    reported_by: Field<String>,
    coalesced: Field<u64>,
}
take_struct!(RawDetails);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawComponent {
    name: Field<String>,
    status: Field<Word>,
    timestamp: Field<Timestamp>,
    message: Field<String>,
    details: Field<RawDetails>,
}
take_struct!(RawComponent);

/// How much of a status may still be kept.
struct Room {
    components: usize,
    text: usize,
    metrics: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { components: MAX_COMPONENTS, text: MAX_COMPONENT_TEXT, metrics: MAX_METRICS }
    }
}

impl RawStatus {
    /// `None` if it names nobody.
    pub(super) fn read(self, notes: &mut Notes) -> Option<StatusMessage> {
        let name = object_name(self.name)?;
        let (status, raw_status) = read_word(self.status, "status", notes);
        let mut room = Room::default();
        Some(StatusMessage {
            name,
            status: status.unwrap_or_default(),
            raw_status,
            timestamp: notes.take(self.timestamp, "timestamp"),
            status_age_s: notes.take(self.status_age_s, "status_age_s"),
            message: notes.text(self.message, "message"),
            details: Arc::new(self.details.read(notes, &mut room, 0)),
            parent: notes.text(self.parent, "parent"),
            pid: notes.take(self.pid, "pid"),
            hostname: notes.text(self.hostname, "hostname"),
        })
    }
}

impl Field<RawDetails> {
    fn read(self, notes: &mut Notes, room: &mut Room, level: usize) -> Details {
        let Some(raw) = notes.take(self, "details") else { return Details::default() };
        let mut metrics = notes.take(raw.metrics, "metrics").unwrap_or_default();
        cut_metrics(&mut metrics, &mut room.metrics, notes);
        let mut components = Vec::new();
        for child in notes.take(raw.children, "children").unwrap_or_default() {
            let name = notes.text(child.name, "children.name").unwrap_or_default();
            let message = notes.text(child.message, "children.message");
            let text = name.len() + message.as_ref().map_or(0, String::len);
            if room.components == 0 || room.text < text || level == MAX_LEVELS {
                notes.cut("children");
                break;
            }
            room.components -= 1;
            room.text -= text;
            components.push(Component {
                name,
                status: notes
                    .take(child.status, "children.status")
                    .map_or(Status::Unknown, |word| word.status()),
                timestamp: notes.take(child.timestamp, "children.timestamp"),
                message,
                details: child.details.read(notes, room, level + 1),
            });
        }
        components.shrink_to_fit();
        Details {
            own_status: notes.take(raw.own_status, "own_status").map(|word| word.status()),
            components,
            metrics,
            reported_by: notes.text(raw.reported_by, "reported_by"),
            coalesced: notes.take(raw.coalesced, "coalesced"),
        }
    }
}

/// Leaves out, from the end, what is beyond `room` bytes, which becomes what is left of it.
pub(super) fn cut_metrics(metrics: &mut Map<String, Value>, room: &mut usize, notes: &mut Notes) {
    let before = metrics.len();
    metrics.retain(|name, value| {
        let bytes = name.len() + weight(value);
        let fits = bytes <= *room;
        *room = if fits { *room - bytes } else { 0 };
        fits
    });
    if metrics.len() < before {
        notes.cut("metrics");
    }
}

/// The approximate memory that metrics occupy, in bytes.
pub(super) fn metrics_weight(metrics: &Map<String, Value>) -> usize {
    metrics.iter().map(|(name, value)| OVERHEAD + name.len() + weight(value)).sum()
}

/// The approximate size of a value in bytes.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(list) => list.iter().map(weight).sum::<usize>() + 2,
        Value::Object(map) => {
            map.iter().map(|(key, value)| key.len() + weight(value) + 4).sum::<usize>() + 2
        }
    }
}
