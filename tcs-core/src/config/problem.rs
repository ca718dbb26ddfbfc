//! An error or warning about a file: what, where, and the text for people.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::secret_names;
use crate::wire::text::is_hidden;

/// Columns of what is drawn; the rest of a line is cut.
const SHOWN: usize = 120;

/// A file as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    /// Decodes a file: UTF-8, with or without a byte order mark, its lines ended in any of the three
    /// ways. What cannot be decoded is a problem with a place.
    pub(super) fn decode(name: &str, bytes: &[u8]) -> (Self, Option<Problem>) {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let text = unix_lines(&String::from_utf8_lossy(bytes));
        let problem = std::str::from_utf8(bytes).err().map(|error| {
            let good = unix_lines(&String::from_utf8_lossy(&bytes[..error.valid_up_to()]));
            let line = good.matches('\n').count() + 1;
            let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Problem::error(Place::new(line, column, 1), "not UTF-8 text")
        });
        (Self { name: name.to_owned(), text }, problem)
    }

    /// The file's name, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// One line, from 1, without its end.
    pub fn line(&self, number: u32) -> Option<&str> {
        self.text.split('\n').nth((number as usize).checked_sub(1)?)
    }
}

/// YAML and Python end a line at a lone carriage return too.
fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

impl fmt::Debug for Source {
    /// Without the text, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.name).finish()
    }
}

/// A place in a file, and how far it reaches on its line. Lines and columns count from 1, in
/// characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Characters, at least 1.
    pub width: u32,
}

impl Place {
    pub(super) fn new(line: usize, column: usize, width: usize) -> Self {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).max(1);
        Self { line: small(line), column: small(column), width: small(width) }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It cannot be read as meant: nothing is run. From [`check()`](super::check()) also: this
    /// service cannot be started.
    Error,
    /// It is probably not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// Where; `None`: in the file as a whole, or outside it (then the message says where).
    pub at: Option<Place>,
    /// What, as a fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A mistake that keeps something from running.
    pub fn error(at: impl Into<Option<Place>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, at: at.into(), message: message.into(), hint: None }
    }

    /// What is probably not meant.
    pub fn warning(at: impl Into<Option<Place>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(at, message) }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With the nearest known name as its hint, where one is near.
    pub(super) fn suggest(self, name: Option<&str>) -> Self {
        match name {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// The list that every step adds to.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    #[cfg(test)]
    pub(super) fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(super) fn into_report(self, source: Arc<Source>) -> Report {
        Report::new(source, self.0)
    }
}

/// The problems of one file, in the order of its lines. `Display` renders them for a person:
/// place, what is wrong, the line itself, the spot, and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The file.
    pub source: Arc<Source>,
    /// By place; those without one come last.
    pub problems: Vec<Problem>,
}

impl Report {
    pub(super) fn new(source: Arc<Source>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.at.is_none(), problem.at));
        // one value may be read many times: through aliases, or as a default of many entries
        let mut told: Vec<Problem> = Vec::with_capacity(problems.len());
        for problem in problems {
            let mut here = told.iter().rev().take_while(|earlier| earlier.at == problem.at);
            if here.all(|earlier| *earlier != problem) {
                told.push(problem);
            }
        }
        Self { source, problems: told }
    }

    pub(super) fn empty(name: &str) -> Self {
        Self {
            source: Arc::new(Source { name: name.to_owned(), text: String::new() }),
            problems: Vec::new(),
        }
    }

    /// With more of them.
    #[must_use]
    pub fn with(self, more: impl IntoIterator<Item = Problem>) -> Self {
        Self::new(self.source, self.problems.into_iter().chain(more).collect())
    }

    /// Whether there is more than warnings.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// One problem, as several lines without a line end after the last.
    pub fn render(&self, problem: &Problem) -> String {
        let Problem { severity, at, message, hint } = problem;
        let name = printable(self.source.name());
        let spot = match at {
            Some(Place { line, column, .. }) => format!("{name}:{line}:{column}"),
            None => name,
        };
        let line = at.and_then(|at| Some((at, self.source.line(at.line)?)));
        let hidden = line.map(|(_, line)| secret_names::on_line(line)).unwrap_or_default();
        let mut message = printable(message);
        for secret in hidden.iter().filter(|secret| secret.len() > 2) {
            message = message.replace(&printable(secret), "***");
        }
        let mut group = Group::with_level(Level::ERROR);
        if let Some((place, line)) = line {
            let line = printable(&without(line, &hidden));
            let spot = AnnotationKind::Primary.span(span(&line, place));
            let shown = Snippet::source(line).line_start(place.line as usize);
            group = group.element(shown.annotation(spot));
        }
        if let Some(hint) = hint {
            group = group.element(Level::HELP.with_name("hint").message(printable(hint)));
        }
        let drawn = Renderer::plain().term_width(SHOWN).render(&[group]);
        format!("{spot}: {severity}: {message}\n{drawn}").trim_end().to_owned()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.render(problem))?;
        }
        Ok(())
    }
}

/// The line with its secrets covered, as wide as before.
fn without(line: &str, secrets: &[&str]) -> String {
    let mut line = line.to_owned();
    for secret in secrets {
        line = line.replace(secret, &"*".repeat(secret.chars().count()));
    }
    line
}

/// The bytes of a line that a place stands for.
fn span(line: &str, place: Place) -> Range<usize> {
    let byte =
        |column: u32| line.char_indices().nth(column as usize).map_or(line.len(), |(at, _)| at);
    let start = place.column - 1;
    byte(start)..byte(start.saturating_add(place.width))
}

/// Nothing from a file reaches a terminal as an escape sequence or turns the text around, and
/// every character stays one.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        c if is_hidden(c) => '\u{fffd}',
        c => c,
    }
}

fn printable(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Why a configuration is not used: every error of the file, and its warnings too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{report}")]
#[non_exhaustive]
pub struct ConfigErrors {
    /// All there is to say.
    pub report: Report,
}

impl ConfigErrors {
    pub(super) fn new(report: Report) -> Self {
        Self { report }
    }

    pub(super) fn whole_file(name: &str, message: String) -> Self {
        let problems = vec![Problem::error(None, message)];
        Self { report: Report { problems, ..Report::empty(name) } }
    }
}
