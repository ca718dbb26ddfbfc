//! Lines that services wrote: time, level, text.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tcs_core::observer::Observation;
use tcs_core::wire::{Level, Timestamp};

use super::Look;
use super::span::{Line, Tone};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogLine {
    at: Option<DateTime<Utc>>,
    level: i64,
    stream: Option<Stream>,
    text: String,
}

/// Which output of the service a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// From its name on the wire.
    fn of(name: &str) -> Option<Self> {
        match name {
            "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}

impl LogLine {
    /// As a launcher holds it: a journal's data, or bare text.
    pub fn held(value: &Value) -> Option<Self> {
        if let Some(text) = value.as_str() {
            let (level, text) = (Level::INFO.0, text.to_owned());
            return Some(Self { at: None, level, stream: None, text });
        }
        let at = value.get("timestamp").and_then(Value::as_array).and_then(|elements| {
            let elements: Vec<i64> = elements.iter().filter_map(Value::as_i64).collect();
            Timestamp::from_elements(&elements).map(Timestamp::time)
        });
        Some(Self {
            at,
            level: value.get("level").and_then(Value::as_i64).unwrap_or(Level::INFO.0),
            stream: value.get("stream").and_then(Value::as_str).and_then(Stream::of),
            text: value.get("message").or_else(|| value.get("text"))?.as_str()?.to_owned(),
        })
    }

    /// As it comes on the journal's subject.
    pub fn live(observation: &Observation, subject: &str) -> Option<Self> {
        let Observation::Message(observed) = observation else { return None };
        let line = observed.decoded.log_line().filter(|_| observed.subject == subject)?;
        Some(Self {
            at: Some(line.timestamp.map_or(observed.stamp.stored, Timestamp::time)),
            level: line.level.0,
            stream: observed.decoded.meta.stream.as_deref().and_then(Stream::of),
            text: line.message.clone(),
        })
    }
}

/// As JSON: `tcsctl.log.v1`.
#[derive(Debug, Serialize)]
pub struct Object<'a> {
    schema: &'static str,
    id: &'a str,
    at: Option<DateTime<Utc>>,
    level: &'static str,
    stream: Option<Stream>,
    message: &'a str,
}

impl<'a> Object<'a> {
    /// Of a line of this service.
    pub fn new(id: &'a str, log: &'a LogLine) -> Self {
        let level = Level(log.level).name();
        let schema = "tcsctl.log.v1";
        Self { schema, id, at: log.at, level, stream: log.stream, message: &log.text }
    }
}

/// One line, never cut: its end may be what matters. `out` marks standard output, `err` standard
/// error.
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
    let stream = match log.stream {
        Some(Stream::Stdout) => "out",
        Some(Stream::Stderr) => "err",
        None => "   ",
    };
    line.push(Tone::Dim, &format!("{stream}  "));
    line.push(tone, &format!("{:<8}  {}", level.name(), log.text));
    line
}
