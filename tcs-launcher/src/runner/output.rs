//! What a process prints: always read, never kept without bound.
//!
//! A reader that stops blocks the writer, so nothing here waits for anybody: lines go to a ring of
//! the last ones and to whoever follows, and who does not keep up is told how much was missed.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use regex::Regex;
use tcs_core::clock;
use tcs_core::wire::journal::Level;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Notify, broadcast};

use crate::supervisor::Run;

/// Bytes of a line that are kept; the rest of it is counted.
pub const MAX_LINE: usize = 8192;

/// Lines and bytes that the ring holds at most.
const RING_LINES: usize = 1000;
const RING_BYTES: usize = 512 * 1024;

/// Lines that a follower may be behind.
const BACKLOG: usize = 1024;

/// Which output a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error, where Python's log lines are.
    Stderr,
}

impl Stream {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The output of one service, over all its runs.
#[derive(Debug)]
pub struct Output {
    ring: Mutex<Ring>,
    run: AtomicU64,
    follow: broadcast::Sender<Arc<Line>>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    /// Lines that are no longer in it.
    gone: u64,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            ring: Mutex::default(),
            run: AtomicU64::new(0),
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

    /// All lines from now on. Who is too slow is told how many were missed (`Lagged`).
    pub fn follow(&self) -> broadcast::Receiver<Arc<Line>> {
        self.follow.subscribe()
    }

    /// What comes from now on is of this run.
    pub fn begin(&self, run: Run) {
        self.run.store(run.0, Ordering::Relaxed);
    }

    /// Adds a line, to the present run.
    pub fn push(&self, line: Line) {
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

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line that says that a service is ready.
#[derive(Debug, Clone)]
pub struct Watch {
    pub(crate) pattern: Regex,
    pub(crate) seen: Arc<Notify>,
}

/// Reads `from` to its end.
pub async fn read(
    mut from: impl AsyncRead + Unpin,
    stream: Stream,
    output: Arc<Output>,
    watch: Option<Watch>,
) {
    let mut splitter = Splitter::default();
    let mut level = Level::INFO;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let time = clock::wall();
        splitter.feed(&buffer[..count], |raw, cut| {
            let line = parse(raw, cut, stream, time, &mut level);
            notice(watch.as_ref(), &line);
            output.push(line);
        });
        // a flood is not to keep the others from running
        tokio::task::yield_now().await;
    }
    let time = clock::wall();
    splitter.finish(|raw, cut| {
        let line = parse(raw, cut, stream, time, &mut level);
        notice(watch.as_ref(), &line);
        output.push(line);
    });
}

fn notice(watch: Option<&Watch>, line: &Line) {
    if let Some(watch) = watch.filter(|watch| watch.pattern.is_match(&line.text)) {
        watch.seen.notify_one();
    }
}

/// Cuts a stream of bytes into lines of at most [`MAX_LINE`] bytes.
#[derive(Debug, Default)]
struct Splitter {
    line: Vec<u8>,
    cut: u64,
}

impl Splitter {
    fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8], u64)) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.add(&bytes[..end]);
            each(&self.line, self.cut);
            self.line.clear();
            self.cut = 0;
            bytes = &bytes[end + 1..];
        }
        self.add(bytes);
    }

    fn finish(self, mut each: impl FnMut(&[u8], u64)) {
        if !self.line.is_empty() || self.cut > 0 {
            each(&self.line, self.cut);
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(MAX_LINE - self.line.len());
        self.line.extend_from_slice(&bytes[..kept]);
        self.cut += (bytes.len() - kept) as u64;
    }
}

/// Reads Python's prefix, `[LEVEL ] logger: text`; a line without one continues the one before
/// (`python-compat.md` 2).
fn parse(
    raw: &[u8],
    cut: u64,
    stream: Stream,
    time: DateTime<Utc>,
    level_before: &mut Level,
) -> Line {
    let text = String::from_utf8_lossy(raw);
    let text = text.strip_suffix('\r').unwrap_or(&text);
    let (logger, text) = match prefix(text) {
        Some((level, logger, rest)) => {
            *level_before = level;
            (Some(logger.to_owned()), rest)
        }
        None => (None, text),
    };
    let mut text = text.to_owned();
    if cut > 0 {
        let _ = write!(text, " ... and {cut} bytes more");
    }
    Line { time, stream, level: *level_before, logger, text, run: Run(0) }
}

fn prefix(text: &str) -> Option<(Level, &str, &str)> {
    let (name, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let level = Level::from_name(name.trim_end())?;
    let (logger, text) = rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, "")))?;
    let logger = logger.trim_end();
    (!logger.contains(char::is_whitespace)).then_some((level, logger, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8]) -> Vec<Line> {
        let output = Arc::new(Output::default());
        read(bytes, Stream::Stderr, Arc::clone(&output), None).await;
        output.last(usize::MAX).0.iter().map(|line| (**line).clone()).collect()
    }

    #[tokio::test]
    async fn python_lines_have_a_level_and_hand_it_on_to_their_continuations() {
        let text =
            b"before\n[INFO ] svc|guider.jk15: hello: you\n[ERROR] ctl|guider   : it broke\n\
            Traceback (most recent call last):\n  File \"x.py\"\n[no level] x: y\n[DEBUG] mon: \n";
        let seen: Vec<_> = lines(text)
            .await
            .into_iter()
            .map(|line| (line.level.name(), line.logger.unwrap_or_default(), line.text))
            .collect();
        let expected = [
            ("INFO", "", "before"),
            ("INFO", "svc|guider.jk15", "hello: you"),
            ("ERROR", "ctl|guider", "it broke"),
            ("ERROR", "", "Traceback (most recent call last):"),
            ("ERROR", "", "  File \"x.py\""),
            ("ERROR", "", "[no level] x: y"),
            ("DEBUG", "mon", ""),
        ];
        assert_eq!(seen, expected.map(|(level, name, text)| (level, name.into(), text.into())));
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_counted_and_the_next_one_is_whole() {
        let mut text = vec![b'x'; 100_000];
        text.extend(b"\nnext\nlast, without an end");
        let seen = lines(&text).await;
        assert_eq!(seen[0].text, format!("{} ... and 91808 bytes more", "x".repeat(MAX_LINE)));
        assert_eq!(seen[1].text, "next");
        assert_eq!(seen[2].text, "last, without an end");
    }

    #[tokio::test]
    async fn anything_may_be_printed() {
        let seen = lines(b"\xff\xfe\x00[\n\n]\r\n\xe2\x82").await;
        let texts: Vec<_> = seen.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["\u{fffd}\u{fffd}\0[", "", "]", "\u{fffd}"]);
    }

    #[tokio::test]
    async fn the_ring_is_bounded_and_counts_what_it_lost() {
        let short: Vec<u8> = (0..3000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        let output = Arc::new(Output::default());
        read(&short[..], Stream::Stdout, Arc::clone(&output), None).await;
        let (held, gone) = output.last(2);
        assert_eq!(held[1].text, "2999");
        assert_eq!((output.last(9999).0.len(), gone), (RING_LINES, 2000));

        let long = [vec![b'x'; MAX_LINE], vec![b'\n']].concat().repeat(200);
        read(&long[..], Stream::Stdout, Arc::clone(&output), None).await;
        let bytes: usize = output.last(9999).0.iter().map(|line| line.text.len()).sum();
        assert!(bytes <= RING_BYTES);
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_what_it_missed() {
        let output = Arc::new(Output::default());
        let mut follower = output.follow();
        let text = b"line\n".repeat(BACKLOG + 10);
        read(&text[..], Stream::Stdout, Arc::clone(&output), None).await;
        assert_eq!(follower.recv().await, Err(broadcast::error::RecvError::Lagged(10)));
        assert_eq!(follower.recv().await.map(|line| line.text.clone()), Ok("line".to_owned()));
    }
}
