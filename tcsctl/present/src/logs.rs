//! Lines that services wrote: time, level, text.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_wire::Timestamp;
use tcs_wire::control::{LogLine, Stream};

use super::schema::{LevelWord, StreamWord};
use super::{Line, Role};

/// As JSON: `tcsctl.log.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "log",
    title = "What `tcsctl logs --json` prints, one object per line",
    description = "A line that a service wrote. Times are RFC 3339 in UTC; durations are in \
                   seconds. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.log.v1")
)]
pub struct Object<'a> {
    #[schemars(extend("const" = "tcsctl.log.v1"))]
    schema: &'static str,
    /// Which service.
    id: &'a str,
    /// When it was written; null: not known.
    at: Option<DateTime<Utc>>,
    #[schemars(with = "LevelWord")]
    level: &'static str,
    /// Which output it came from; null: its launcher does not say.
    #[schemars(with = "Option<StreamWord>")]
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
