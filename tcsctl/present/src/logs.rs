//! Lines that services wrote: time, level, text.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tcs_wire::Timestamp;
use tcs_wire::control::{LogLine, Stream};

use super::{Line, Role};

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
        Self {
            schema: "tcsctl.log.v1",
            id,
            at: log.timestamp.map(Timestamp::time),
            level: log.level.name(),
            stream: log.stream,
            message: &log.message,
        }
    }
}

/// One line, never cut: its end may be what matters. `at` writes its time; `marked`: with its output
/// (`out`, `err`) and its level.
pub fn line(log: &LogLine, at: impl Fn(DateTime<Utc>) -> String, marked: bool) -> Line {
    let mut line = Line::new();
    if let Some(time) = log.timestamp.map(Timestamp::time) {
        line.push(Role::Dim, &at(time)).push(Role::Text, "  ");
    }
    if marked {
        let stream = match log.stream {
            Some(Stream::Stdout) => "out",
            Some(Stream::Stderr) => "err",
            None => "   ",
        };
        line.push(Role::Dim, &format!("{stream}  "));
        line.push(log.level.into(), &format!("{:<8}  ", log.level.name()));
    }
    line.with(log.level.into(), &log.message)
}
