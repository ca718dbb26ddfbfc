//! Lines that services wrote: time, level, text.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tcs_wire::Timestamp;
use tcs_wire::control::{LogLine, Stream};

use super::Look;
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

/// One line, never cut: its end may be what matters. `out` marks standard output, `err` standard
/// error.
pub fn line(log: &LogLine, now: DateTime<Utc>, look: &Look) -> Line {
    let mut line = Line::new();
    if let Some(at) = log.timestamp.map(Timestamp::time) {
        line.push(Role::Dim, &look.times.stamp(at, now)).push(Role::Text, "  ");
    }
    let stream = match log.stream {
        Some(Stream::Stdout) => "out",
        Some(Stream::Stderr) => "err",
        None => "   ",
    };
    line.push(Role::Dim, &format!("{stream}  "));
    line.push(Role::from(log.level), &format!("{:<8}  {}", log.level.name(), log.message));
    line
}
