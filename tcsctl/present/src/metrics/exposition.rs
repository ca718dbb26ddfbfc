//! The text format: families of samples, each with a line of help and its kind.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use chrono::{DateTime, Utc};
use tcs_wire::text::{escape, is_hidden};

/// What the values of a family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

/// The text, as far as it is written.
#[derive(Debug)]
pub(super) struct Exposition(String);

impl Exposition {
    pub(super) fn new() -> Self {
        Self(String::with_capacity(1 << 16))
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Begins a family. One without samples leaves nothing behind.
    pub(super) fn family<'a>(
        &'a mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
    ) -> Family<'a> {
        Family { text: &mut self.0, name, kind, help, is_begun: false }
    }
}

/// A family whose samples are being written.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
    kind: Kind,
    help: &'static str,
    is_begun: bool,
}

impl Family<'_> {
    /// One sample. `labels` are written as they are: `host="srv01"`, with [`label`] for each value.
    pub(super) fn add(&mut self, labels: impl Display, value: f64) {
        let Self { text, name, kind, help, is_begun } = self;
        if !std::mem::replace(is_begun, true) {
            let kind = match kind {
                Kind::Gauge => "gauge",
                Kind::Counter => "counter",
            };
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        }
        text.push_str(name);
        let open = text.len();
        let _ = write!(text, "{{{labels}");
        if text.len() == open + 1 {
            text.truncate(open);
        } else {
            text.push('}');
        }
        let _ = writeln!(text, " {}", Number(value));
    }

    /// One sample where there is a value.
    pub(super) fn add_some(&mut self, labels: impl Display, value: Option<f64>) {
        if let Some(value) = value {
            self.add(labels, value);
        }
    }
}

/// A number that is never hundreds of digits long.
struct Number(f64);

impl Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(value) = self;
        if value.is_nan() {
            f.write_str("NaN")
        } else if value.is_infinite() {
            f.write_str(if *value > 0.0 { "+Inf" } else { "-Inf" })
        } else if *value != 0.0 && !(1e-6..1e16).contains(&value.abs()) {
            write!(f, "{value:e}")
        } else {
            write!(f, "{value}")
        }
    }
}

/// A label's value in quotes. What acts on a terminal, or ends a parser's reading (NUL), is written
/// as text. A backslash is doubled before, so that two different names never become one series.
pub(super) fn label(value: &str) -> Cow<'_, str> {
    if !value.contains(|c| is_hidden(c) || matches!(c, '\\' | '"')) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() + 16);
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\\\\\"),
            '"' => out.push_str("\\\""),
            c if is_hidden(c) => {
                let mut text = String::new();
                escape(c, &mut text);
                out.push_str(&text.replace('\\', "\\\\"));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Seconds since 1970, to the millisecond.
pub(super) fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}
