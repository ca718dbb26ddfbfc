//! What came back when a service or a launcher was asked: a line each, more for what it holds.

use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;
use serde_json::{Map, Value};
use tcs_core::fleet::words;
use tcs_core::wire::Status;
use tcs_core::wire::how_ended;

use super::span::{Line, Tone};
use super::{symbols, text, time};
use crate::exit::Exit;

/// Lines that are shown of a failure, beyond its first.
const MOST_ROWS: usize = 20;

/// Why there is no answer that could be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It lives, and is of a kind that answers nobody.
    #[error("{0} has no remote control")]
    NoRemoteControl(String),
    /// Nobody answers, or no longer.
    #[error("{0}")]
    NotReachable(String),
    /// There, and silent.
    #[error("{0}")]
    TimedOut(String),
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// For scripts.
    const fn code(&self) -> &'static str {
        match self {
            Self::NoRemoteControl(_) => "no_remote_control",
            Self::NotReachable(_) => "not_reachable",
            Self::TimedOut(_) => "timed_out",
            Self::Refused(_) => "refused",
        }
    }

    /// What the shell is told.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NoRemoteControl(_) | Self::Refused(_) => Exit::No,
            Self::NotReachable(_) | Self::TimedOut(_) => Exit::NoContact,
        }
    }
}

/// One question, and what became of it.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The service (or launcher) it is about.
    pub id: String,
    /// What was asked for.
    pub command: &'static str,
    /// Who was asked: the service itself, or its launcher. `None`: nobody could be.
    pub asked: Option<String>,
    /// From question to answer.
    pub took: Duration,
    /// The answer.
    pub outcome: Result<Map<String, Value>, Failure>,
}

impl Reply {
    /// What the shell is told. A reload that some services did not follow has failed.
    pub fn exit(&self) -> Exit {
        match &self.outcome {
            Ok(data) if touched(data).any(|one| one.get("error").is_some()) => Exit::No,
            Ok(_) => Exit::Done,
            Err(failure) => failure.exit(),
        }
    }
}

/// As JSON: `tcsctl.reply.v1`.
#[derive(Debug, Serialize)]
pub struct Object<'a> {
    schema: &'static str,
    id: &'a str,
    command: &'static str,
    asked: Option<&'a str>,
    #[serde(rename = "took_s", serialize_with = "time::seconds")]
    took: Duration,
    ok: bool,
    data: Option<&'a Map<String, Value>>,
    error: Option<Trouble>,
}

#[derive(Debug, Serialize)]
struct Trouble {
    code: &'static str,
    message: String,
}

impl<'a> Object<'a> {
    /// Of one reply.
    pub fn new(reply: &'a Reply) -> Self {
        let trouble =
            |failure: &Failure| Trouble { code: failure.code(), message: failure.to_string() };
        Self {
            schema: "tcsctl.reply.v1",
            id: &reply.id,
            command: reply.command,
            asked: reply.asked.as_deref(),
            took: reply.took,
            ok: reply.exit() == Exit::Done,
            data: reply.outcome.as_ref().ok(),
            error: reply.outcome.as_ref().err().map(trouble),
        }
    }
}

/// A line that says what came of it, by whom and how long it took; below it what the answer holds.
/// `names`: cells for the name; `width`: the terminal's.
pub fn lines(reply: &Reply, names: usize, width: Option<usize>) -> Vec<Line> {
    let mut head = Line::new().with(Tone::Plain, &reply.id);
    head.pad_to(names).push(Tone::Plain, "  ");
    let mut below = Vec::new();
    match &reply.outcome {
        Err(failure) => {
            let text = failure.to_string();
            // the name stands before it
            let own = text.strip_prefix(&reply.id).and_then(|rest| rest.strip_prefix(' '));
            let mut rows = own.unwrap_or(&text).lines();
            head.push(Tone::Bad, rows.next().unwrap_or_default());
            // a mistake in a file has its place shown
            let more =
                rows.take(MOST_ROWS).map(|row| Line::new().with(Tone::Bad, &format!("  {row}")));
            below.extend(more);
        }
        Ok(data) => {
            let (tone, word) = word(data);
            head.push(tone, &word);
            if let Some(pid) = data.get("pid").and_then(Value::as_u64) {
                head.push(Tone::Plain, &format!(", pid {pid}"));
            }
            match data.get("exit_code").and_then(Value::as_i64) {
                Some(0) | None => {}
                Some(code) => {
                    let code = i32::try_from(code).unwrap_or(i32::MAX);
                    head.push(Tone::Plain, &format!(", {}", how_ended(code)));
                }
            }
            below.extend(notes(data));
            for one in touched(data) {
                below.push(touched_one(one));
            }
            for field in ["checks", "stats"] {
                if let Some(Value::Object(inner)) = data.get(field) {
                    figures(inner, "", &mut below);
                }
            }
        }
    }
    if let Some(asked) = &reply.asked {
        let took = match TimeDelta::from_std(reply.took).unwrap_or_default() {
            short if short < TimeDelta::seconds(1) => format!("{} ms", short.num_milliseconds()),
            long => words(long),
        };
        let by = if *asked == reply.id { "itself" } else { asked };
        let did = if reply.outcome.is_ok() { "answered by" } else { "asked" };
        // who was asked is in the list too; what came of it is nowhere else
        let told = [format!("  ({did} {by}, {took})"), format!("  ({took})")];
        let fits = |told: &&String| {
            width.is_none_or(|width| head.width() + text::width(&text::shown(told)) <= width)
        };
        if let Some(told) = told.iter().find(fits) {
            head.push(Tone::Dim, told);
        }
    }
    let mut lines = vec![head];
    lines.append(&mut below);
    lines
}

/// Cells for the names.
pub fn name_width<'a>(names: impl IntoIterator<Item = &'a str>) -> usize {
    names.into_iter().map(|name| text::width(&text::shown(name))).max().unwrap_or(0)
}

/// An aim that was so already is said to be.
fn word(data: &Map<String, Value>) -> (Tone, String) {
    let text = |field| data.get(field).and_then(Value::as_str);
    if let Some(status) = text("status") {
        let tone = status.parse::<Status>().map_or(Tone::Plain, symbols::status_tone);
        return (tone, status.to_owned());
    }
    if let Some(seconds) = data.get("uptime_seconds").and_then(Value::as_f64) {
        let up = TimeDelta::milliseconds((seconds * 1000.0) as i64);
        return (Tone::Plain, format!("up {}", words(up)));
    }
    let unchanged = data.get("changed") == Some(&Value::Bool(false));
    match text("result") {
        Some(result) if text("state") == Some("starting") => {
            (Tone::Moving, format!("{result}, not ready yet"))
        }
        Some(result) if unchanged => (Tone::Plain, format!("{result} already")),
        Some(result) => (Tone::Good, result.to_owned()),
        None if unchanged => (Tone::Plain, "nothing has changed".to_owned()),
        None if data.get("dry_run") == Some(&Value::Bool(true)) => {
            (Tone::Plain, "would change".to_owned())
        }
        None => (Tone::Good, "done".to_owned()),
    }
}

/// The services that a reload touched.
fn touched(data: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let services = data.get("services").and_then(Value::as_array);
    services.into_iter().flatten().filter_map(Value::as_object)
}

fn touched_one(one: &Map<String, Value>) -> Line {
    let text = |field| one.get(field).and_then(Value::as_str);
    let mut line = Line::new().with(Tone::Plain, "  ");
    if let Some(change) = text("change") {
        line.push(Tone::Dim, &format!("{change:<7}  "));
    }
    line.push(Tone::Plain, &format!("{}  ", text("service_id").unwrap_or("?")));
    match (text("error"), text("result"), text("then")) {
        (Some(error), ..) => line.push(Tone::Bad, error),
        (None, Some(result), _) if text("state") == Some("starting") => {
            line.push(Tone::Moving, &format!("{result}, not ready yet"))
        }
        (None, Some(result), _) => line.push(Tone::Good, result),
        (None, None, Some(then)) => {
            let is_busy = one.get("busy") == Some(&Value::Bool(true));
            let interrupts = is_busy && matches!(then, "restarts" | "stops");
            let tone = if interrupts { Tone::Warn } else { Tone::Plain };
            let busy = if interrupts { ", BUSY now" } else { "" };
            line.push(tone, &format!("{}{busy}", then.replace('_', " ")))
        }
        (None, None, None) => line.push(Tone::Good, "touched"),
    };
    let fields = one.get("fields").and_then(Value::as_array);
    let fields: Vec<&str> = fields.into_iter().flatten().filter_map(Value::as_str).collect();
    if fields.is_empty() {
        return line;
    }
    line.with(Tone::Dim, &format!("  ({})", fields.join(", ")))
}

/// What a reload cannot do.
fn notes(data: &Map<String, Value>) -> impl Iterator<Item = Line> {
    let notes = data.get("notes").and_then(Value::as_array);
    let texts = notes.into_iter().flatten().filter_map(Value::as_str);
    texts.map(|note| Line::new().with(Tone::Warn, &format!("  note: {note}")))
}

/// Figures within figures by their path: `outbox.waiting`.
fn figures(map: &Map<String, Value>, above: &str, lines: &mut Vec<Line>) {
    for (name, value) in map {
        let path = format!("{above}{name}");
        match value {
            Value::Object(inner) => figures(inner, &format!("{path}."), lines),
            Value::String(word) => {
                let tone = word.parse::<Status>().map_or(Tone::Plain, symbols::status_tone);
                lines.push(figure(&path).with(tone, word));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                lines.push(figure(&path).with(Tone::Plain, &value.to_string()));
            }
        }
    }
}

fn figure(path: &str) -> Line {
    Line::new().with(Tone::Dim, &format!("  {path}: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_nobody_twice_and_shows_the_place_of_a_mistake() {
        let failed = |why: Failure| {
            let reply = Reply {
                id: "a.b".to_owned(),
                command: "reload",
                asked: Some("a.b".to_owned()),
                took: Duration::from_millis(4),
                outcome: Err(why),
            };
            lines(&reply, 3, Some(80)).iter().map(Line::plain).collect::<Vec<_>>()
        };
        let unreachable = Failure::NotReachable("a.b is not reachable: it is lost".to_owned());
        assert_eq!(
            failed(unreachable),
            ["a.b  is not reachable: it is lost  (asked itself, 4 ms)"]
        );
        let mistake = "s.yaml:2:1: error: unknown key\n  2 | x\u{1b}[2J\n    | ^";
        assert_eq!(
            failed(Failure::Refused(mistake.to_owned())),
            [
                "a.b  s.yaml:2:1: error: unknown key  (asked itself, 4 ms)",
                "    2 | x\\u{1b}[2J",
                "      | ^"
            ]
        );
        let endless = "no\n".repeat(1000);
        assert!(failed(Failure::Refused(endless)).len() < 30);
    }
}
