//! A sign of life: `<prefix>.heartbeat.<name>`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Timestamp;
use super::status::{MAX_METRICS, Status, Word, cut_metrics, read_word};
use super::tolerant::{Field, Notes, Take as _, object_name, take_struct};

/// One heartbeat. Python sends the first three fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HeartbeatMessage {
    /// The monitored object.
    pub service_id: String,
    /// When it was sent, by the sender's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// Its own status, without its components'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// From 1; starts again with the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Seconds since the service started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<f64>,
    /// Seconds between two beats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<f64>,
    /// When the next one is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_heartbeat_expected: Option<Timestamp>,
    /// How late the service's own loop is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<f64>,
    /// Number of submonitors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children_count: Option<u64>,
    /// Light metrics: name to any JSON.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metrics: Map<String, Value>,
    /// `launcher` when a launcher beats for a program that does not speak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_by: Option<String>,
    /// The messages of the sender's program that no stream has stored; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbox: Option<OutboxReport>,
}

/// Messages of a program that no stream has.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OutboxReport {
    /// Messages that wait to be stored.
    pub waiting: u64,
    /// Registry events that were lost, including those of earlier runs of the launcher.
    pub lost_events: u64,
    /// What is not stored at present.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<NotStored>,
}

/// A stream that takes nothing at present.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NotStored {
    /// `registry`, `status` or `heartbeat`: which messages.
    pub stream: String,
    /// Why not, in the server's words or ours.
    pub reason: String,
    /// For how many seconds.
    pub for_s: f64,
}

impl OutboxReport {
    /// Reads an object of any content.
    fn read(map: &Map<String, Value>, notes: &mut Notes) -> Self {
        let mut number = |name: &str| {
            notes.take(of_type(map.get(name), Value::as_u64), "outbox").unwrap_or_default()
        };
        let (waiting, lost_events) = (number("waiting"), number("lost_events"));
        let refused = of_type(map.get("refused"), Value::as_array);
        let refused = notes.take(refused, "outbox.refused").into_iter().flatten();
        let refused = refused.take(MAX_REFUSED).map(|one| {
            let text = |name| of_type(one.get(name), |it| it.as_str().map(str::to_owned));
            NotStored {
                stream: notes.text(text("stream"), "outbox.refused").unwrap_or_default(),
                reason: notes.text(text("reason"), "outbox.refused").unwrap_or_default(),
                for_s: notes
                    .take(
                        of_type(one.get("for_s"), |it| f64::float(it.as_f64()?)),
                        "outbox.refused",
                    )
                    .unwrap_or_default(),
            }
        });
        Self { waiting, lost_events, refused: refused.collect() }
    }
}

/// A value that is absent, or of a type, or of a wrong one.
fn of_type<'a, T>(value: Option<&'a Value>, read: impl Fn(&'a Value) -> Option<T>) -> Field<T> {
    match value {
        None | Some(Value::Null) => Field::Absent,
        Some(value) => read(value).map_or(Field::Wrong, Field::Got),
    }
}

/// Streams read of one report.
const MAX_REFUSED: usize = 3;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawHeartbeat {
    service_id: Field<String>,
    timestamp: Field<Timestamp>,
    status: Field<Word>,
    sequence: Field<u64>,
    uptime_seconds: Field<f64>,
    interval_seconds: Field<f64>,
    next_heartbeat_expected: Field<Timestamp>,
    lag_seconds: Field<f64>,
    children_count: Field<u64>,
    metrics: Field<Map<String, Value>>,
    reported_by: Field<String>,
    outbox: Field<Map<String, Value>>,
}
take_struct!(RawHeartbeat);

impl RawHeartbeat {
    /// `None` if it names nobody.
    pub(super) fn read(self, notes: &mut Notes) -> Option<HeartbeatMessage> {
        let service_id = object_name(self.service_id)?;
        let mut metrics = notes.take(self.metrics, "metrics").unwrap_or_default();
        let mut room = MAX_METRICS;
        cut_metrics(&mut metrics, &mut room, notes);
        Some(HeartbeatMessage {
            service_id,
            timestamp: notes.take(self.timestamp, "timestamp"),
            status: read_word(self.status, "status", notes).0,
            sequence: notes.take(self.sequence, "sequence"),
            uptime_seconds: notes.take(self.uptime_seconds, "uptime_seconds"),
            interval_seconds: notes.take(self.interval_seconds, "interval_seconds"),
            next_heartbeat_expected: notes
                .take(self.next_heartbeat_expected, "next_heartbeat_expected"),
            lag_seconds: notes.take(self.lag_seconds, "lag_seconds"),
            children_count: notes.take(self.children_count, "children_count"),
            metrics,
            reported_by: notes.text(self.reported_by, "reported_by"),
            outbox: notes.take(self.outbox, "outbox").map(|map| OutboxReport::read(&map, notes)),
        })
    }
}
