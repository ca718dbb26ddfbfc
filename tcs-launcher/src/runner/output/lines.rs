//! From bytes to lines, with their levels.
//!
//! `\n`, `\r\n` and a lone `\r` end a line. What a lone `\r` ends is shown only if nothing is
//! written over it, as a terminal would show it: of a progress bar the last state. A line that waits
//! for its end, such as a prompt, is shown after a moment, once; the rest of it is a line of its
//! own.

use std::fmt::Write as _;
use std::sync::Arc;

use anstream::adapter::strip_str;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tcs_core::config::LinePattern;
use tcs_core::wire::journal::Level;
use tokio::sync::Notify;

use super::super::headline::begins_report;
use super::{Line, Output, Stream};
use tcs_supervisor::Run;

/// Bytes of a line that are kept; the rest of it is counted.
pub const MAX_LINE: usize = 8192;

/// A line that says that a service is ready.
#[derive(Debug, Clone)]
pub struct Watch {
    pub(crate) pattern: LinePattern,
    pub(crate) seen: Arc<Notify>,
}

/// What one stream of a run has written, in lines for an [`Output`].
#[derive(Debug)]
pub(super) struct Lines {
    stream: Stream,
    output: Arc<Output>,
    /// Until it was seen.
    watch: Option<Watch>,
    pending: PendingLine,
}

/// The state of a stream between two readings: what has come of a line, and how the lines before it
/// are to be read on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingLine {
    line: Vec<u8>,
    /// Bytes of the line that were not kept.
    cut: u64,
    /// Bytes of the line that have been shown before its end.
    shown: usize,
    /// Something of this line has been shown before its end.
    was_shown: bool,
    /// The line was ended by `\r`, unless `\n` follows.
    after_cr: bool,
    level: Level,
    report: Trace,
}

impl Default for PendingLine {
    fn default() -> Self {
        Self {
            line: Vec::new(),
            cut: 0,
            shown: 0,
            was_shown: false,
            after_cr: false,
            level: Level::INFO,
            report: Trace::Outside,
        }
    }
}

/// Where the lines are in a report of a death, which has no level of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Trace {
    Outside,
    /// In its frames, which are indented.
    Frames,
    /// After the line that names the error: what is indented still belongs to it.
    After,
}

impl Lines {
    pub(super) fn new(
        stream: Stream,
        output: Arc<Output>,
        watch: Option<Watch>,
        pending: PendingLine,
    ) -> Self {
        Self { stream, output, watch, pending }
    }

    /// To go on from in another program.
    pub(super) fn pending(&self) -> (Stream, PendingLine) {
        (self.stream, self.pending.clone())
    }

    /// Takes what was read at `time`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], time: DateTime<Utc>) {
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.add(&bytes[..at]);
            if bytes[at] == b'\r' {
                self.look_for_ready();
                self.pending.after_cr = true;
            } else {
                self.end(time);
            }
            bytes = &bytes[at + 1..];
        }
        self.add(bytes);
    }

    /// Whether something waits for the end of its line, and has not been shown.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.line.is_empty() && !self.pending.was_shown
    }

    /// Nothing was written for a moment: shows what waits for the end of its line.
    pub(super) fn moment(&mut self, time: DateTime<Utc>) {
        if self.is_waiting() {
            self.look_for_ready();
            self.show(time);
            self.pending.was_shown = true;
        }
    }

    /// Nothing more will be written for some time, or ever: shows all that is there.
    pub(super) fn flush(&mut self, time: DateTime<Utc>) {
        if self.pending.line.len() > self.pending.shown || self.pending.cut > 0 {
            self.look_for_ready();
            self.show(time);
            self.pending.was_shown = true;
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.pending.after_cr) {
            self.pending.line.clear();
            (self.pending.cut, self.pending.shown) = (0, 0);
        }
        let kept = bytes.len().min(MAX_LINE - self.pending.line.len());
        self.pending.line.extend_from_slice(&bytes[..kept]);
        self.pending.cut += (bytes.len() - kept) as u64;
    }

    fn end(&mut self, time: DateTime<Utc>) {
        self.look_for_ready();
        if !self.pending.was_shown
            || self.pending.line.len() > self.pending.shown
            || self.pending.cut > 0
        {
            self.show(time);
        }
        self.pending.line.clear();
        (self.pending.cut, self.pending.shown) = (0, 0);
        (self.pending.was_shown, self.pending.after_cr) = (false, false);
    }

    /// Hands on what of the line has not been shown.
    fn show(&mut self, time: DateTime<Utc>) {
        let mut raw =
            String::from_utf8_lossy(&self.pending.line[self.pending.shown..]).into_owned();
        let is_begin = self.pending.shown == 0;
        self.pending.shown = self.pending.line.len();
        let mut logger = None;
        if let Some((level, name, rest)) = prefix(&raw).filter(|_| is_begin) {
            self.pending.level = level;
            self.pending.report = Trace::Outside;
            logger = Some(name.to_owned());
            let from = raw.len() - rest.len();
            raw.drain(..from);
        }
        let mut text = raw;
        let level = if logger.is_none() && is_begin && self.is_of_report(&text) {
            self.pending.level.max(Level::ERROR)
        } else {
            self.pending.level
        };
        if self.pending.cut > 0 {
            let _ = write!(text, " ... and {} bytes more", std::mem::take(&mut self.pending.cut));
        }
        let stream = self.stream;
        self.output.push(Line { time, stream, level, logger, text, run: Run(0) });
    }

    /// Whether a line without a level belongs to a traceback or the like.
    fn is_of_report(&mut self, text: &str) -> bool {
        let is_indented = text.is_empty() || text.starts_with([' ', '\t']);
        self.pending.report = if begins_report(text) {
            Trace::Frames
        } else {
            match self.pending.report {
                Trace::Frames if !is_indented => Trace::After,
                Trace::After if !is_indented && !joins_reports(text) => Trace::Outside,
                same => same,
            }
        };
        self.pending.report != Trace::Outside
    }

    fn look_for_ready(&mut self) {
        let Some(watch) = &self.watch else { return };
        let text = String::from_utf8_lossy(&self.pending.line);
        let text = strip_str(&text).to_string();
        let text = prefix(&text).map_or(text.as_str(), |(_, _, rest)| rest);
        if watch.pattern.is_match(text) {
            watch.seen.notify_one();
            self.watch = None;
        }
    }
}

/// Between two chained exceptions of Python, and after a panic of Rust.
fn joins_reports(text: &str) -> bool {
    text.ends_with("another exception occurred:")
        || text.ends_with("direct cause of the following exception:")
        || text.starts_with("note: ")
        || text.starts_with("stack backtrace:")
        || text.starts_with("Caused by: ")
}

/// Python's prefix, `[LEVEL ] logger: text` (`docs/spec/supervision.md#output`). A line without one
/// continues the one before.
fn prefix(text: &str) -> Option<(Level, &str, &str)> {
    let (name, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let level = Level::from_name(name.trim_end())?;
    let (logger, text) = rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, "")))?;
    let logger = logger.trim_end();
    (!logger.contains(char::is_whitespace)).then_some((level, logger, text))
}
