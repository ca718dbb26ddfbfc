//! Recordings: one message a line, as JSON (`wire.md`): when it came, its subject, its headers, and
//! the body as text. Pure.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::TimeDelta;
use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use tcs_core::wire::Timestamp;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When the broker stored it (or it came, where no stream holds it), in seconds since 1970.
    pub t: f64,
    /// Its whole subject.
    pub subject: String,
    /// Its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Its body, as it travelled.
    pub payload: String,
}

/// A line that is none.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is no recorded message: {source}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    source: serde_json::Error,
}

impl Entry {
    /// Reads line number `line`; `None` for an empty one.
    pub fn parse(line: usize, text: &str) -> Result<Option<Self>, LineError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(text).map(Some).map_err(|source| LineError { line, source })
    }
}

/// The wire's times: `"timestamp": [2026, 11, 23, 0, 18, 32, 620282]` and the other keys that hold
/// one. In the text of a string the quotes would be escaped, so that nothing else looks like this.
static TIMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let keys = "ts|timestamp|restart_at|next_heartbeat_expected";
    Regex::new(&format!(r#""({keys})"(\s*:\s*)\[([0-9,\s]+)\]"#)).ok()
});

/// `payload` with each of its times moved by `by`. All else, also what is no JSON in the strict
/// sense, stays as it is, to the byte.
pub fn shift(payload: &str, by: TimeDelta) -> String {
    let Some(times) = &*TIMES else { return payload.to_owned() };
    let moved = |found: &Captures<'_>| {
        let elements: Result<Vec<i64>, _> =
            found[3].split(',').map(|element| element.trim().parse()).collect();
        let time = elements.ok().and_then(|elements| Timestamp::from_elements(&elements));
        let moved = time.and_then(|time| time.time().checked_add_signed(by)).map(Timestamp::new);
        match moved.map(|time| serde_json::to_string(&time)) {
            Some(Ok(time)) => format!("\"{}\"{}{time}", &found[1], &found[2]),
            _ => found[0].to_owned(),
        }
    };
    times.replace_all(payload, moved).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_move_and_nothing_else_does() {
        let body = r#"{"data": {"timestamp": [2026, 11, 23, 0, 18, 32, 620282], "message": "\"ts\": [2026,1,1]", "m": NaN, "at": [2026, 1, 1],
            "children": [{"timestamp":[2026,11,23,23,59,59]}]}, "meta": {"ts": [2026, 13, 1], "tags": []}}"#;
        let moved = shift(body, TimeDelta::milliseconds(1_500));
        assert_eq!(
            moved,
            r#"{"data": {"timestamp": [2026,11,23,0,18,34,120282], "message": "\"ts\": [2026,1,1]", "m": NaN, "at": [2026, 1, 1],
            "children": [{"timestamp":[2026,11,24,0,0,0,500000]}]}, "meta": {"ts": [2026, 13, 1], "tags": []}}"#
        );
    }

    #[test]
    fn a_line_is_read_and_written() {
        let line =
            r#"{"t":1.5,"subject":"svc.status.a.b","headers":{"Nats-Msg-Id":"x"},"payload":"{}"}"#;
        let entry = Entry::parse(1, line).unwrap().unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), line);
        assert_eq!(Entry::parse(1, "  ").unwrap(), None);
        let error = Entry::parse(7, "{").unwrap_err().to_string();
        assert!(error.starts_with("line 7 is no recorded message: "), "{error}");
    }
}
