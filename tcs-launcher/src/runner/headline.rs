//! Finds the one line of a dead program's output that says why it died.
//!
//! Whole reports are known by their first line and read to their end: a Python traceback, a Rust
//! panic, an error chain (`Error: ...`, `Caused by:`), and those of C++, Go, Java and Node. Failing
//! that it is the last line at level ERROR, then the last line at all. What has much output after
//! it was survived, and does not count.

use std::sync::{Arc, LazyLock};

use anstream::adapter::strip_str;
use regex::Regex;
use tcs_core::wire::journal::Level;

use super::output::{Line, Stream};

mod log_prefix;
mod reports;

pub(super) use reports::begins_report;

/// Characters of a headline, at most.
const MAX_HEADLINE: usize = 200;

/// Lines of output that are looked at, at most: a Java or Rust backtrace has its cause at its top.
pub(super) const MAX_LINES: usize = 300;

/// Lines after a report or an error that show that the program went on.
const SURVIVED: usize = 20;

/// How sure it is that a line tells the cause of death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The last line, whatever it says.
    Last,
    /// Logged as an error, with little after it.
    Error,
    /// A report, with little after it.
    Report,
}

/// One line without escapes and without what a log puts before its text.
#[derive(Debug, Clone)]
struct Text {
    level: Option<Level>,
    /// With its indentation.
    text: String,
}

impl Text {
    fn new(line: &Line) -> Self {
        let text = strip_str(&line.text).to_string();
        let (level, text) = log_prefix::split(&text);
        Self { level: line.logger.is_some().then_some(line.level).max(level), text }
    }

    fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// Why the program that wrote these lines died, as far as they tell: one line, bounded by
/// [`MAX_HEADLINE`]. `code` is how it ended (negative: a signal). Where that is the whole cause
/// (SIGKILL), or what it said of itself counts (exit code 0), its output explains nothing.
pub(super) fn headline_of_end(lines: &[Arc<Line>], code: i32) -> Option<String> {
    const SIGABRT: i32 = -6;
    const FAULTS: [i32; 5] = [-4, -5, -7, -8, -11];
    match code {
        1.. | SIGABRT => find(lines, Rank::Last),
        fault if FAULTS.contains(&fault) => find(lines, Rank::Report),
        _ => None,
    }
}

/// Of standard error; where that is empty, of standard output.
fn find(lines: &[Arc<Line>], least: Rank) -> Option<String> {
    let lines = &lines[lines.len().saturating_sub(MAX_LINES)..];
    [Stream::Stderr, Stream::Stdout].into_iter().find_map(|stream| {
        let of = lines.iter().filter(|line| line.stream == stream);
        let texts: Vec<Text> = of.map(|line| Text::new(line)).collect();
        if texts.iter().all(Text::is_blank) {
            return None;
        }
        Some(best(&texts).filter(|(rank, _)| *rank >= least).map(|(_, text)| bounded(&text)))
    })?
}

/// The last one of the highest rank.
fn best(texts: &[Text]) -> Option<(Rank, String)> {
    let is_something = |text: &&Text| !text.is_blank() && !is_noise(text);
    let is_survived = |at: usize| texts[at..].iter().filter(is_something).count() > SURVIVED;
    let mut found: Vec<(Rank, String)> = Vec::new();
    let mut at = 0;
    while at < texts.len() {
        let text = &texts[at];
        let (taken, candidate) =
            match reports::read(&texts[at..], at.checked_sub(1).map(|i| &texts[i])) {
                Some(report) => (report.lines, report.headline.map(|told| (Rank::Report, told))),
                None if is_something(&text) => {
                    let is_error = text.level.is_some_and(|level| level >= Level::ERROR);
                    let rank = if is_error { Rank::Error } else { Rank::Last };
                    (1, Some((rank, text.text.clone())))
                }
                None => (1, None),
            };
        at += taken;
        found.extend(candidate.filter(|(rank, _)| *rank == Rank::Last || !is_survived(at)));
    }
    // of equals, the last
    found.into_iter().max_by_key(|(rank, _)| *rank)
}

/// What runtimes and shells say after the cause.
fn is_noise(text: &Text) -> bool {
    static NOISE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"(?x)^\s*(?:
                [\W_]+ | note:\ .* | Node\.js\ v[\d.]+ | exit\ status\ \d+
                | (?:.*\d+\ )?(?:Aborted|Killed|Terminated|Segmentation\ fault)(?:\ .*)?
                | Stack\ backtrace: | goroutine\ \d+.*
            )$",
        )
        .ok()
    });
    NOISE.as_ref().is_some_and(|noise| noise.is_match(&text.text))
}

/// On one line, without control characters, cut between characters.
fn bounded(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    match text.char_indices().nth(MAX_HEADLINE) {
        None => text,
        Some(_) => text.chars().take(MAX_HEADLINE - 3).chain("...".chars()).collect(),
    }
}

#[cfg(test)]
mod tests;
