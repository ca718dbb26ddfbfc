//! Lines that services wrote: time, level, text. What a program coloured keeps its colour, as a role;
//! every other control sequence is text.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_fleet::format_duration;
use tcs_wire::control::{LogLine, LogRun, Stream};
use tcs_wire::{Timestamp, how_ended};

use super::schema::{LevelWord, StreamWord};
use super::symbols::{DOT, RULE};
use super::{Line, Role};

/// As JSON: `tcsctl.log.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "log",
    title = "What `tcsctl logs --json` prints, one object per line",
    description = "A line that a service wrote. Times are RFC 3339 in UTC; durations are in \
                   seconds. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.log.v1")
)]
pub struct Object<'a> {
    #[schemars(extend("const" = "tcsctl.log.v1"))]
    schema: &'static str,
    /// Which service.
    id: &'a str,
    /// When it was written; null: not known.
    at: Option<DateTime<Utc>>,
    #[schemars(with = "LevelWord")]
    level: &'static str,
    /// Which output it came from; null: its launcher does not say.
    #[schemars(with = "Option<StreamWord>")]
    stream: Option<Stream>,
    /// The run of the service, counted by its launcher; null: its launcher does not say.
    run: Option<u64>,
    message: &'a str,
}

impl<'a> Object<'a> {
    /// Of a line of this service.
    pub fn new(id: &'a str, log: &'a LogLine) -> Self {
        Self {
            schema: "tcsctl.log.v1",
            id,
            at: log.timestamp.map(Timestamp::time),
            level: log.level.name(),
            stream: log.stream,
            run: log.run,
            message: &log.message,
        }
    }
}

/// A text, and the roles that stand for the colours a program gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a> {
    /// Without the sequences that set colours.
    pub plain: Cow<'a, str>,
    /// From which byte on it has which role; [`Role::Text`] is the role of the line.
    pub roles: Vec<(usize, Role)>,
}

/// Changes of colour that are kept of one line.
const MOST_COLOURS: usize = 64;

/// Takes out the sequences that set colours (SGR), and what they say. All else stays text.
pub fn colours(message: &str) -> Text<'_> {
    let mut rest = message;
    let mut plain = String::new();
    let mut roles = Vec::new();
    let mut pen = Pen::default();
    while let Some(at) = rest.find("\x1b[") {
        let (before, sequence) = rest.split_at(at);
        plain.push_str(before);
        let after = &sequence[2..];
        let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';')).unwrap_or(after.len());
        if let Some(next) = after[end..].strip_prefix('m') {
            pen.set(&after[..end]);
            if roles.len() < MOST_COLOURS || pen == Pen::default() {
                roles.push((plain.len(), pen.role()));
            }
            rest = next;
        } else {
            plain.push_str(&sequence[..2]);
            rest = after;
        }
    }
    if plain.is_empty() && roles.is_empty() {
        return Text { plain: message.into(), roles };
    }
    plain.push_str(rest);
    roles.dedup_by(|b, a| a.1 == b.1);
    roles.truncate(MOST_COLOURS);
    Text { plain: plain.into(), roles }
}

/// How a program writes at present.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pen {
    colour: Option<Role>,
    bold: bool,
    faint: bool,
}

impl Pen {
    /// Takes the parameters of a sequence; colours of the background are left out.
    fn set(&mut self, parameters: &str) {
        let mut parameters = parameters.split(';').map(|it| it.parse().unwrap_or(0));
        while let Some(parameter) = parameters.next() {
            match parameter {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.faint = true,
                22 => (self.bold, self.faint) = (false, false),
                30..=37 => self.colour = basic(parameter - 30),
                90..=97 => self.colour = basic(parameter - 90),
                38 | 48 => {
                    let colour = match parameters.next() {
                        Some(5) => parameters.next().filter(|n| *n < 16).and_then(|n| basic(n % 8)),
                        Some(2) => {
                            parameters.by_ref().take(3).for_each(drop);
                            None
                        }
                        _ => None,
                    };
                    if parameter == 38 {
                        self.colour = colour;
                    }
                }
                39 => self.colour = None,
                _ => {}
            }
        }
    }

    fn role(&self) -> Role {
        match (self.colour, self.bold, self.faint) {
            (Some(role), ..) => role,
            (None, true, _) => Role::Strong,
            (None, false, true) => Role::Dim,
            (None, false, false) => Role::Text,
        }
    }
}

/// One of the eight colours as what has that colour in the themes.
fn basic(colour: u32) -> Option<Role> {
    match colour {
        1 => Some(Role::Bad),
        2 => Some(Role::Good),
        3 => Some(Role::Warn),
        5 => Some(Role::Accent),
        4 | 6 => Some(Role::Moving),
        _ => None,
    }
}

/// Appends a text in its colours; `role` is that of the line, `found` are the places that a search
/// has found, in ascending order.
pub fn write(line: &mut Line, text: &Text<'_>, role: Role, found: &[Range<usize>]) {
    let plain = &*text.plain;
    let mut places: Vec<usize> = text.roles.iter().map(|(at, _)| *at).collect();
    places.extend(found.iter().flat_map(|range| [range.start, range.end]));
    places.push(plain.len());
    places.sort_unstable();
    let mut from = 0;
    for to in places {
        let Some(piece) = plain.get(from..to).filter(|piece| !piece.is_empty()) else { continue };
        let coloured = text.roles.iter().rev().find(|(at, _)| *at <= from).map(|(_, role)| *role);
        let is_found = found.iter().any(|range| range.start <= from && from < range.end);
        line.push(
            match coloured {
                _ if is_found => Role::Match,
                Some(Role::Text) | None => role,
                Some(coloured) => coloured,
            },
            piece,
        );
        from = to;
    }
}

/// One line, never cut: its end may be what matters. `at` writes its time; `marked`: with its output
/// (`out`, `err`) and its level.
pub fn line(log: &LogLine, at: impl Fn(DateTime<Utc>) -> String, marked: bool) -> Line {
    let mut line = Line::new();
    if let Some(time) = log.timestamp.map(Timestamp::time) {
        line.push(Role::Dim, &at(time)).push(Role::Text, "  ");
    }
    if marked {
        line.push(Role::Dim, &format!("{}  ", stream(log.stream)));
        line.push(log.level.into(), &format!("{:<8}  ", log.level.name()));
    }
    write(&mut line, &colours(&log.message), log.level.into(), &[]);
    line
}

/// Which output, in three cells.
pub const fn stream(stream: Option<Stream>) -> &'static str {
    match stream {
        Some(Stream::Stdout) => "out",
        Some(Stream::Stderr) => "err",
        None => "   ",
    }
}

/// What stands below the last line of a run: `── run 12 · exit code 3 after 6 s · 02:13:04 ──`; of a
/// run of which the end is not known, that it has ended.
pub fn separator(run: u64, end: Option<&LogRun>, at: impl Fn(DateTime<Utc>) -> String) -> Line {
    let mut text = format!("{RULE}{RULE} run {run}");
    match end {
        None => text.push_str(" ended"),
        Some(end) => {
            let how = match (end.exit_code, end.crashed) {
                (None, true) => "not started".to_owned(),
                (None | Some(0), false) => "ended".to_owned(),
                (Some(code), _) => how_ended(code).replacen("exit code", "exit", 1),
            };
            let _ = write!(text, " {DOT} {how}");
            let uptime = end.uptime_s.filter(|s| s.is_finite() && (0.0..1e12).contains(s));
            if let Some(uptime) = uptime {
                let span = TimeDelta::milliseconds((uptime * 1000.0) as i64);
                let _ = write!(text, " after {}", format_duration(span));
            }
            if let Some(time) = end.ended_at.map(Timestamp::time) {
                let _ = write!(text, " {DOT} {}", at(time));
            }
        }
    }
    let _ = write!(text, " {RULE}{RULE}");
    let role = if end.is_some_and(|end| end.crashed) { Role::Warn } else { Role::Dim };
    Line::new().with(role, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_roles_and_nothing_else_acts() {
        let text = colours("a \x1b[31mred\x1b[0m \x1b[1;38;5;2mgreen\x1b[m end");
        assert_eq!(text.plain, "a red green end");
        assert_eq!(
            text.roles,
            [(2, Role::Bad), (5, Role::Text), (6, Role::Good), (11, Role::Text)]
        );
        for kept in ["\x1b[2J", "\x1b[31", "\x1b]0;t\x07", "\x1b[?25l", "\x1b"] {
            assert_eq!(colours(kept).plain, kept);
        }
        let mut line = Line::new();
        write(&mut line, &colours("\x1b[31mno\x1b[0m\x1b[2J"), Role::Warn, &[]);
        assert_eq!(line.marked(), "<bad|no><warn|\\u{1b}[2J>");
        let many = "\x1b[31mx\x1b[32my".repeat(1000);
        assert!(colours(&many).roles.len() <= MOST_COLOURS);
    }

    #[test]
    fn what_a_search_has_found_is_marked_across_colours() {
        let mut line = Line::new();
        let found = [3..7, 12..13];
        write(&mut line, &colours("slow \x1b[33mshutter\x1b[0m!"), Role::Text, &found);
        assert_eq!(line.marked(), "slo<match|w sh><warn|utter><match|!>");
    }

    #[test]
    fn a_run_ends_with_how_and_when() {
        let at = |_| "02:13:04".to_owned();
        let end = |exit_code, crashed| LogRun {
            run: 12,
            ended_at: Some(Timestamp::new(DateTime::UNIX_EPOCH)),
            exit_code,
            uptime_s: Some(6.0),
            crashed,
        };
        let text = |end: Option<LogRun>| separator(12, end.as_ref(), at).plain();
        assert_eq!(text(Some(end(Some(3), true))), "── run 12 · exit 3 after 6 s · 02:13:04 ──");
        assert_eq!(text(Some(end(Some(-9), true))), "── run 12 · SIGKILL after 6 s · 02:13:04 ──");
        assert_eq!(text(Some(end(Some(0), false))), "── run 12 · ended after 6 s · 02:13:04 ──");
        assert_eq!(text(None), "── run 12 ended ──");
    }
}
