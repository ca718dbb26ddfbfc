//! What a process prints: always read, never kept without bound.
//!
//! A reader that stops blocks the writer, so nothing here waits for anybody: lines go to a ring of
//! the last ones and to whoever follows, and who does not keep up is told how much was missed.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tcs_core::config::Secrets;
use tcs_core::wire::journal::Level;
use tcs_core::wire::{MAX_LAST_BYTES, MAX_LAST_LINES};
use tokio::sync::broadcast;

use tcs_supervisor::Run;

mod lines;
mod pipe;

pub use lines::{MAX_LINE, PendingLine, Watch};
pub(crate) use pipe::{PipeParts, Reader};

/// Lines and bytes that the ring holds at most.
const RING_LINES: usize = 1000;
const RING_BYTES: usize = 512 * 1024;

/// Ends of runs that it holds.
const RING_ENDS: usize = 50;

/// Bytes of one line in a `crashed`, so that several have room.
const MAX_LAST_LINE: usize = 1024;

/// Lines that a follower may be behind.
const BACKLOG: usize = 1024;

pub use tcs_core::wire::control::{LogRun, Stream};

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was read.
    pub time: DateTime<Utc>,
    /// Where it came from.
    pub stream: Stream,
    /// As its prefix says, or as the line before; INFO before any prefix.
    pub level: Level,
    /// The logger that the prefix names.
    pub logger: Option<String>,
    /// The text without prefix and line end. Not UTF-8: replaced. Control characters are still in
    /// it: who prints it takes them out. Of what is too long, the end says how much is missing.
    pub text: String,
    /// The service's run.
    pub run: Run,
}

impl Line {
    /// The text, with the logger before it unless that is the service's own.
    pub fn with_logger(&self, id: &str) -> String {
        let is_other = |logger: &&String| logger.strip_prefix("svc|").is_none_or(|it| it != id);
        match self.logger.as_ref().filter(is_other) {
            Some(logger) => format!("{logger}: {}", self.text),
            None => self.text.clone(),
        }
    }
}

/// What is held of a service's output.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct OutputEntry {
    pub(crate) run: u64,
    pub(crate) lines: Vec<Line>,
    pub(crate) gone: u64,
    pub(crate) ends: Vec<LogRun>,
}

/// The output of one service, over all its runs.
#[derive(Debug)]
pub struct Output {
    ring: Mutex<Ring>,
    run: AtomicU64,
    secrets: Mutex<Secrets>,
    follow: broadcast::Sender<Arc<Line>>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Arc<Line>>,
    /// How the last runs ended.
    ends: VecDeque<LogRun>,
    bytes: usize,
    /// Lines that are no longer in it.
    gone: u64,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            ring: Mutex::default(),
            run: AtomicU64::new(0),
            secrets: Mutex::default(),
            follow: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Output {
    /// The last `count` lines held, oldest first, and how many are no longer held.
    pub fn last(&self, count: usize) -> (Vec<Arc<Line>>, u64) {
        let ring = self.ring();
        let skip = ring.lines.len().saturating_sub(count);
        (ring.lines.iter().skip(skip).cloned().collect(), ring.gone)
    }

    /// The last `count` lines held of one run: 0 the present one, -1 the one before; and its number.
    pub fn last_of(&self, back: i64, count: usize) -> (Vec<Arc<Line>>, Option<Run>) {
        let run = self.run.load(Ordering::Relaxed).checked_add_signed(back).filter(|run| *run > 0);
        let Some(run) = run.map(Run) else { return (Vec::new(), None) };
        let ring = self.ring();
        let lines: VecDeque<_> = ring.lines.iter().filter(|line| line.run == run).collect();
        let skip = lines.len().saturating_sub(count);
        (lines.into_iter().skip(skip).cloned().collect(), Some(run))
    }

    /// The present run; `None` before the first.
    pub fn run(&self) -> Option<Run> {
        Some(self.run.load(Ordering::Relaxed)).filter(|run| *run > 0).map(Run)
    }

    /// How the last runs ended, oldest first.
    pub fn ends(&self) -> Vec<LogRun> {
        self.ring().ends.iter().cloned().collect()
    }

    /// Notes how the present run ended.
    pub fn ended(&self, at: DateTime<Utc>, code: Option<i32>, uptime: Option<f64>, crashed: bool) {
        let run = self.run.load(Ordering::Relaxed);
        let end =
            LogRun { run, ended_at: Some(at.into()), exit_code: code, uptime_s: uptime, crashed };
        let mut ring = self.ring();
        ring.ends.retain(|end| end.run != run);
        ring.ends.push_back(end);
        if ring.ends.len() > RING_ENDS {
            ring.ends.pop_front();
        }
    }

    /// The lines held of the present run, the last `count` of them at most, oldest first.
    pub fn last_of_run(&self, count: usize) -> Vec<Arc<Line>> {
        let run = Run(self.run.load(Ordering::Relaxed));
        let ring = self.ring();
        let of_run = ring.lines.iter().rev().take_while(|line| line.run == run).take(count);
        let mut lines: Vec<_> = of_run.cloned().collect();
        lines.reverse();
        lines
    }

    /// The end of what the present run of this service wrote, as a `crashed` carries it: at most
    /// [`MAX_LAST_LINES`] and [`MAX_LAST_BYTES`].
    pub fn last_lines(&self, id: &str) -> Vec<String> {
        let mut left = MAX_LAST_BYTES;
        let mut lines = Vec::new();
        for line in self.last_of_run(MAX_LAST_LINES).iter().rev() {
            let mut text = line.with_logger(id);
            text.truncate(text.floor_char_boundary(MAX_LAST_LINE));
            let Some(rest) = left.checked_sub(text.len()) else { break };
            left = rest;
            lines.push(text);
        }
        lines.reverse();
        lines
    }

    /// All lines from now on. Who is too slow is told how many were missed (`Lagged`).
    pub fn follow(&self) -> broadcast::Receiver<Arc<Line>> {
        self.follow.subscribe()
    }

    /// What comes from now on is of this run, and held without these secrets.
    pub fn begin(&self, run: Run, secrets: Secrets) {
        self.run.store(run.0, Ordering::Relaxed);
        *self.secrets() = secrets;
    }

    /// A text without the secrets of the present run.
    pub fn masked(&self, text: &str) -> String {
        let secrets = self.secrets().clone();
        secrets.mask(text).into_owned()
    }

    /// Adds a line, to the present run.
    pub fn push(&self, mut line: Line) {
        if let Cow::Owned(masked) = self.secrets().mask(&line.text) {
            line.text = masked;
        }
        let line = Arc::new(Line { run: Run(self.run.load(Ordering::Relaxed)), ..line });
        {
            let mut ring = self.ring();
            ring.bytes += line.text.len();
            ring.lines.push_back(Arc::clone(&line));
            while ring.lines.len() > RING_LINES || ring.bytes > RING_BYTES {
                let Some(old) = ring.lines.pop_front() else { break };
                ring.bytes -= old.text.len();
                ring.gone += 1;
            }
        }
        // nobody follows: nobody misses it
        let _ = self.follow.send(line);
    }

    /// All that is held of it.
    pub(crate) fn save(&self) -> OutputEntry {
        let run = self.run.load(Ordering::Relaxed);
        let ring = self.ring();
        let lines = ring.lines.iter().map(|line| Line::clone(line)).collect();
        OutputEntry { run, lines, gone: ring.gone, ends: ring.ends.iter().cloned().collect() }
    }

    /// With what the program before held of it.
    pub(crate) fn resumed(saved: OutputEntry) -> Self {
        let OutputEntry { run, lines, gone, ends } = saved;
        let bytes = lines.iter().map(|line| line.text.len()).sum();
        let (lines, ends) = (lines.into_iter().map(Arc::new).collect(), ends.into());
        Self {
            ring: Mutex::new(Ring { lines, ends, bytes, gone }),
            run: AtomicU64::new(run),
            ..Self::default()
        }
    }

    fn secrets(&self) -> MutexGuard<'_, Secrets> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(super) mod tests;
