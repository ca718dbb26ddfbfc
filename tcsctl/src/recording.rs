//! Recordings: one message a line, as JSON (`docs/spec/wire.md#recordings`): when it was stored,
//! its subject, its headers, and the body as text. Pure.
//!
//! A recording begins with what the streams held at that moment, the newest message of each
//! subject and all records of alarms, each marked with [`Entry::held_at`]; what came after it follows.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use tcs_alarms::Place;
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
    /// Of what was stored before the recording began: when it began, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_at: Option<f64>,
    /// Of a record of an alarm: its place in the stream, which other records name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A line that holds no message.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is not a recorded message{}: {why}", if *.cut { " (cut off)" } else { "" })]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// It is the last line and has no end: the writing was interrupted.
    cut: bool,
    /// What is wrong.
    why: String,
}

impl Entry {
    /// Reads line number `line`; `None` for an empty one.
    fn parse(line: usize, text: &[u8]) -> Result<Option<Self>, LineError> {
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        let failed = |why| LineError { line, cut: false, why };
        let entry: Self =
            serde_json::from_slice(text).map_err(|error| failed(error.to_string()))?;
        match entry.stored() {
            Some(_) => Ok(Some(entry)),
            None => Err(failed(format!("`t` is not a time: {:?}", entry.t))),
        }
    }

    /// When the broker stored it; `None` for a number that is no time.
    pub fn stored(&self) -> Option<DateTime<Utc>> {
        time(self.t)
    }

    /// Of what was held when the recording began: when that was.
    pub fn held_at(&self) -> Option<DateTime<Utc>> {
        self.held_at.and_then(time)
    }
}

/// A time from seconds since 1970.
pub fn time(seconds: f64) -> Option<DateTime<Utc>> {
    let micros = (seconds * 1e6).round();
    // beyond is no time of ours
    (micros.abs() < 9e15).then(|| DateTime::from_timestamp_micros(micros as i64))?
}

/// A recording's messages, and the lines that hold none.
#[derive(Debug, Default)]
pub struct Recorded {
    /// What could be read, in the order of the file.
    pub entries: Vec<Entry>,
    /// How many lines could not.
    pub broken: usize,
    /// The first of those.
    first_broken: Vec<LineError>,
}

/// Broken lines that are told one by one.
const MAX_BROKEN: usize = 3;

impl Recorded {
    /// Reads a file's content. What is whole counts, whatever stands around it.
    pub fn parse(content: &[u8]) -> Self {
        let mut recorded = Self::default();
        for (i, line) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
            match Entry::parse(i + 1, line) {
                Ok(entry) => recorded.entries.extend(entry),
                Err(error) => {
                    recorded.broken += 1;
                    if recorded.first_broken.len() < MAX_BROKEN {
                        let cut = !line.ends_with(b"\n");
                        recorded.first_broken.push(LineError { cut, ..error });
                    }
                }
            }
        }
        recorded
    }

    /// What to tell of the lines that could not be read; empty when all could.
    pub fn warnings(&self) -> Vec<String> {
        let told = self.first_broken.len();
        let mut warnings: Vec<String> =
            self.first_broken.iter().map(|error| format!("skipped: {error}")).collect();
        if self.broken > told {
            warnings.push(format!("skipped: {} more lines like these", self.broken - told));
        }
        warnings
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

/// Replaces what places a message in the run that sent it: a replay is a run of its own.
static RUN_SECONDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const NUMBER: &str = r"-?[0-9][0-9.eE+-]*";
    let field = format!(r#""run_s"\s*:\s*{NUMBER}"#);
    Regex::new(&format!(r"\s*,\s*{field}|{field}\s*,?\s*")).ok()
});
static LAUNCHER_RUN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"("launcher_run"\s*:\s*"[^"\\]*)""#).ok());

/// `payload` as a message of the replay `id`: without `run_s`, which counts from the beginning of a
/// run that is over, and with a `launcher_run` of its own, so that its numbered events are not taken
/// for copies of the recorded ones.
pub fn renew(payload: &str, id: &str) -> String {
    let (Some(run_seconds), Some(launcher_run)) = (&*RUN_SECONDS, &*LAUNCHER_RUN) else {
        return payload.to_owned();
    };
    let payload = run_seconds.replace_all(payload, "");
    let renewed = |found: &Captures<'_>| format!("{}.replay-{id}\"", &found[1]);
    launcher_run.replace_all(&payload, renewed).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_a_run_of_its_own() {
        let body = |run_s: &str, run: &str| {
            format!(
                r#"{{"data": {{"launcher_run": "{run}", "m": "\"run_s\": 2, \"launcher_run\": \"x\""}}, "meta": {{"ts": [2026, 1, 2]{run_s}, "id": "x"}}}}"#
            )
        };
        let renewed = |run_s: &str| renew(&body(run_s, "r"), "k");
        assert_eq!(renewed(r#", "run_s": 12.5"#), body("", "r.replay-k"));
        assert_eq!(renewed(r#","run_s":1.5e-3"#), body("", "r.replay-k"));
        assert_eq!(renew(r#"{"run_s": 4, "id": "x"}"#, "k"), r#"{"id": "x"}"#);
        assert_eq!(renew(r#"{"run_s":0.25}"#, "k"), "{}");
        assert_eq!(renew(r#"{"a": [1], "run_s": null}"#, "k"), r#"{"a": [1], "run_s": null}"#);
    }

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

    const LINE: &str =
        r#"{"t":1.5,"subject":"svc.status.a.b","headers":{"Nats-Msg-Id":"x"},"payload":"{}"}"#;

    #[test]
    fn a_line_is_read_and_written() {
        let entry = Entry::parse(1, LINE.as_bytes()).unwrap().unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), LINE);
        assert_eq!(Entry::parse(1, b"  ").unwrap(), None);
    }

    #[test]
    fn what_is_whole_is_read_and_what_is_not_is_told_with_its_line() {
        let text = format!(
            "{LINE}\n\n{{\n{LINE}\n{}\n{LINE}\n{}",
            LINE.replace("1.5", "1e300"),
            &LINE[..40]
        );
        let mut content = text.into_bytes();
        content.splice(0..0, *b"\xff\xfe\n");
        let recorded = Recorded::parse(&content);
        assert_eq!((recorded.entries.len(), recorded.broken), (3, 4));
        let warnings = recorded.warnings();
        assert!(
            warnings[0].starts_with("skipped: line 1 is not a recorded message: "),
            "{warnings:?}"
        );
        assert!(warnings[1].starts_with("skipped: line 4 is not a recorded message: "));
        assert!(warnings[2].contains("line 6 is not a recorded message: `t` is not a time: 1"));
        assert_eq!(warnings[3], "skipped: 1 more lines like these");
        let cut = Recorded::parse(&content[content.len() - 40..]).warnings();
        assert!(
            cut[0].starts_with("skipped: line 1 is not a recorded message (cut off): "),
            "{cut:?}"
        );
        assert!(Recorded::parse(LINE.as_bytes()).warnings().is_empty());
    }
}
