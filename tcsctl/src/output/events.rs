//! What happened, a line each.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use tcs_core::fleet::{gave_up, how_ended, words};
use tcs_core::wire::{Event, Limit, Status};

use super::span::{Line, Tone};
use super::{Look, symbols, text};
use crate::timeline::{Happening, What};

/// The narrowest and the widest that the names' column gets on a terminal.
const NAMES: (usize, usize) = (24, 44);

/// How wide the column of names is, for these happenings and what may follow.
pub fn name_width<'a>(happenings: impl IntoIterator<Item = &'a Happening>, look: &Look) -> usize {
    let widest = happenings.into_iter().map(|h| text::width(&text::shown(&h.id))).max();
    let most = look.width.map_or(usize::MAX, |width| NAMES.1.min(width * 2 / 5));
    widest.unwrap_or(0).max(NAMES.0).min(most)
}

/// One line: when, who (in a column of `names` cells), what.
pub fn line(happening: &Happening, names: usize, now: DateTime<Utc>, look: &Look) -> Line {
    let mut line = Line::new().with(Tone::Dim, &look.times.stamp(happening.at, now));
    line.push(Tone::Plain, "  ");
    let name = text::shown(&happening.id);
    let name = match look.width {
        Some(_) => text::cut_middle(&name, names, "…"),
        None => name.into_owned(),
    };
    let end = line.width() + names.max(text::width(&name)) + 2;
    line.push(Tone::Plain, &name).pad_to(end);
    match &happening.what {
        What::Event { event, requested_by, lasted, .. } => {
            line.push(tone(event), &self::event(event));
            if let Some(lasted) = lasted {
                line.push(Tone::Plain, &format!(", after {}", words(*lasted)));
            }
            if let Some(by) = requested_by {
                line.push(Tone::Dim, &format!("  by {by}"));
            }
        }
        What::Status { from, to, message, lasted } => {
            if let Some(from) = from {
                line.push(Tone::Dim, &format!("{from} → "));
            } else {
                line.push(Tone::Dim, "says ");
            }
            line.push(symbols::status_tone(*to), to.as_str());
            if let Some(message) = message {
                line.push(Tone::Plain, &format!(": {message}"));
            }
            if let (Some(from), Some(lasted)) = (from, lasted) {
                line.push(Tone::Dim, &format!("  ({from} for {})", words(*lasted)));
            }
        }
    }
    match look.width {
        Some(width) => line.cut(width, "…"),
        None => line,
    }
}

/// A crash in words.
pub fn crashed(how: &str, will_restart: bool) -> String {
    let not = if will_restart { "" } else { "not " };
    format!("crashed: {how}, will {not}be restarted")
}

/// A life cycle event in words.
pub fn event(event: &Event) -> String {
    match event {
        Event::Declared(declared) => match &declared.restart_policy {
            Some(policy) => format!("declared, restart {policy}"),
            None => "declared".to_owned(),
        },
        Event::Start { hostname, pid, .. } => {
            let mut text = "started".to_owned();
            if let Some(pid) = pid {
                let _ = write!(text, ", pid {pid}");
            }
            if let Some(host) = hostname {
                let _ = write!(text, " on {host}");
            }
            text
        }
        Event::Waiting { waiting_for, timed_out } => {
            let others = waiting_for.join(", ");
            if *timed_out {
                format!("started without waiting longer for {others}")
            } else {
                format!("waiting for {others}")
            }
        }
        Event::Ready { startup_duration_seconds } => match startup_duration_seconds {
            Some(seconds) => format!("ready after {seconds:.1} s"),
            None => "ready".to_owned(),
        },
        Event::Stopping { reason } => with("stopping", reason.as_deref()),
        Event::Stop(stop) => {
            let mut text = with("stopped", stop.reason.as_deref());
            if let Some(code) = stop.exit_code.filter(|code| *code != 0) {
                let _ = write!(text, ", {}", how_ended(code));
            }
            text
        }
        Event::Crashed(crash) => crashed(&crash.headline(), crash.will_restart),
        Event::Restarting { restart_attempt, max_restarts, .. } => {
            let number = restart_attempt.map_or("?".to_owned(), |n| n.to_string());
            match max_restarts {
                Some(Limit::Times(limit)) => format!("restarting ({number}/{limit})"),
                Some(Limit::Unlimited) => format!("restarting ({number}/∞)"),
                None => format!("restarting ({number}/?)"),
            }
        }
        Event::Failed { reason, restart_count, restart_window } => {
            gave_up(reason.as_deref(), *restart_count, *restart_window)
        }
        Event::Other(name) => name.clone(),
    }
}

fn with(word: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| word.to_owned(), |reason| format!("{word}: {}", reason.replace('_', " ")))
}

const fn tone(event: &Event) -> Tone {
    match event {
        Event::Crashed(_) | Event::Failed { .. } => Tone::Bad,
        Event::Waiting { timed_out: true, .. } | Event::Restarting { .. } => Tone::Warn,
        Event::Waiting { .. } | Event::Start { .. } | Event::Stopping { .. } => Tone::Moving,
        Event::Ready { .. } => Tone::Good,
        Event::Stop(_) | Event::Declared(_) | Event::Other(_) => Tone::Plain,
    }
}

/// For `--json`: one object a line.
#[derive(Debug, Serialize)]
pub struct Object<'a> {
    schema: &'static str,
    at: DateTime<Utc>,
    id: &'a str,
    kind: &'static str,
    event: &'a str,
    text: String,
    from: Option<Status>,
    status: Option<Status>,
    message: Option<&'a str>,
    lasted_s: Option<f64>,
    launcher: Option<&'a str>,
    requested_by: Option<&'a str>,
    details: Value,
}

impl<'a> Object<'a> {
    /// Of one happening.
    pub fn new(happening: &'a Happening) -> Self {
        let mut object = Self {
            schema: "tcsctl.event.v1",
            at: happening.at,
            id: &happening.id,
            kind: "status",
            event: "status",
            text: String::new(),
            from: None,
            status: None,
            message: None,
            lasted_s: None,
            launcher: None,
            requested_by: None,
            details: Value::Null,
        };
        let seconds = |span: chrono::TimeDelta| span.num_milliseconds() as f64 / 1000.0;
        match &happening.what {
            What::Event { event, parent, requested_by, lasted } => {
                object.kind = "lifecycle";
                object.event = event.name();
                object.text = self::event(event);
                object.lasted_s = lasted.map(seconds);
                object.launcher = parent.as_deref();
                object.requested_by = requested_by.as_deref();
                object.details = details(event);
            }
            What::Status { from, to, message, lasted } => {
                object.text = to.to_string();
                object.from = *from;
                object.status = Some(*to);
                object.message = message.as_deref();
                object.lasted_s = lasted.map(seconds);
            }
        }
        object
    }
}

/// What is particular to one kind of event.
fn details(event: &Event) -> Value {
    match event {
        Event::Start { hostname, pid, .. } => json!({"host": hostname, "pid": pid}),
        Event::Waiting { waiting_for, timed_out } => {
            json!({"waiting_for": waiting_for, "timed_out": timed_out})
        }
        Event::Ready { startup_duration_seconds } => json!({"startup_s": startup_duration_seconds}),
        Event::Stopping { reason } => json!({"reason": reason}),
        Event::Stop(stop) => json!({"reason": stop.reason, "exit_code": stop.exit_code}),
        Event::Crashed(crash) => json!({
            "how": crash.headline(),
            "exit_code": crash.exit_code,
            "signal": crash.signal,
            "error": crash.error,
            "will_restart": crash.will_restart,
            "restart_attempt": crash.restart_attempt,
            "restart_at": crash.restart_at.map(tcs_core::wire::Timestamp::time),
            "recent_crashes": crash.recent_crashes,
            "core_dumped": crash.core_dumped,
            "last_lines": crash.last_lines,
        }),
        Event::Restarting { restart_attempt, .. } => json!({"restart_attempt": restart_attempt}),
        Event::Failed { reason, restart_count, .. } => {
            json!({"reason": reason, "restart_count": restart_count})
        }
        Event::Declared(_) | Event::Other(_) => Value::Null,
    }
}
