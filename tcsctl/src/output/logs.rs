//! Lines that services wrote: time, level, text.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tcs_core::observer::Observation;
use tcs_core::wire::{Level, Message, Timestamp};

use super::Look;
use super::span::{Line, Tone};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogLine {
    at: Option<DateTime<Utc>>,
    level: i64,
    text: String,
}

impl LogLine {
    /// As a launcher holds it: a journal's data, or bare text.
    pub fn held(value: &Value) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return Some(Self { at: None, level: Level::INFO.0, text: text.to_owned() });
        }
        let at = value.get("timestamp").and_then(Value::as_array).and_then(|elements| {
            let elements: Vec<i64> = elements.iter().filter_map(Value::as_i64).collect();
            Timestamp::from_elements(&elements).map(Timestamp::time)
        });
        Some(Self {
            at,
            level: value.get("level").and_then(Value::as_i64).unwrap_or(Level::INFO.0),
            text: value.get("message").or_else(|| value.get("text"))?.as_str()?.to_owned(),
        })
    }

    /// As it comes on the journal's subject.
    pub fn live(observation: &Observation, subject: &str) -> Option<Self> {
        let Observation::Message(observed) = observation else { return None };
        match &observed.decoded.message {
            Message::Journal(journal) if observed.subject == subject => Some(Self {
                at: Some(journal.timestamp.map_or(observed.stamp.stored, Timestamp::time)),
                level: journal.level.0,
                text: journal.message.clone(),
            }),
            Message::Journal(_)
            | Message::Registry(_)
            | Message::Status(_)
            | Message::Heartbeat(_) => None,
        }
    }
}

/// As JSON: `tcsctl.log.v1`.
#[derive(Debug, Serialize)]
pub struct Object<'a> {
    schema: &'static str,
    id: &'a str,
    at: Option<DateTime<Utc>>,
    level: &'static str,
    message: &'a str,
}

impl<'a> Object<'a> {
    /// Of a line of this service.
    pub fn new(id: &'a str, log: &'a LogLine) -> Self {
        let level = Level(log.level).name();
        Self { schema: "tcsctl.log.v1", id, at: log.at, level, message: &log.text }
    }
}

/// One line, never cut: its end may be what matters.
pub fn line(log: &LogLine, now: DateTime<Utc>, look: &Look) -> Line {
    let mut line = Line::new();
    if let Some(at) = log.at {
        line.push(Tone::Dim, &look.times.stamp(at, now)).push(Tone::Plain, "  ");
    }
    let level = Level(log.level);
    let tone = match level {
        level if level >= Level::ERROR => Tone::Bad,
        level if level >= Level::WARNING => Tone::Warn,
        level if level < Level::INFO => Tone::Dim,
        _ => Tone::Plain,
    };
    line.push(tone, &format!("{:<8}  {}", level.name(), log.text));
    line
}
