//! Where lines go: standard output and standard error, each rendered for what it is.

mod dialog;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd as _;

use clap::ValueEnum;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tcs_present::{Line, Look, Role, Times, text};

use super::harmless;
use super::paint::paint;

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always, also into a pipe
    Always,
    /// Never
    Never,
}

/// How to write times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TimeFormat {
    /// `02:13:05 UTC`
    #[default]
    Utc,
    /// `03:13:05`, by this machine's zone
    Local,
    /// `4 min 12 s ago`
    Relative,
}

impl From<TimeFormat> for Times {
    fn from(format: TimeFormat) -> Self {
        match format {
            TimeFormat::Utc => Self::Utc,
            TimeFormat::Local => Self::Local(|at| at.with_timezone(&chrono::Local).naive_local()),
            TimeFormat::Relative => Self::Relative,
        }
    }
}

/// Standard output and standard error, and how things are to look there.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// For what makes lines.
    pub look: Look,
    /// Lines of the terminal; `None`: standard output is none.
    pub height: Option<usize>,
    out_color: bool,
    err_color: bool,
    ascii: bool,
}

impl Screen {
    /// For messages where there are no options.
    pub fn plain() -> Self {
        Self::new(Color::Auto, false, TimeFormat::Utc)
    }

    /// As this process's terminal, environment and options want it.
    pub fn new(color: Color, ascii: bool, times: TimeFormat) -> Self {
        let var = |name: &str| std::env::var(name).ok();
        let out = io::stdout().is_terminal();
        let err = io::stderr().is_terminal();
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal
                    && var("NO_COLOR").is_none_or(|value| value.is_empty())
                    && var("TERM").is_none_or(|term| term != "dumb")
            }
        };
        let size = out.then(|| terminal_size::terminal_size_of(io::stdout())).flatten();
        let width = size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0);
        let height = size.map(|(_, height)| usize::from(height.0)).filter(|height| *height > 0);
        Self {
            look: Look { width, times: times.into() },
            height,
            out_color: wanted(out),
            err_color: wanted(err),
            // into a pipe goes what was said, whatever the locale
            ascii: ascii || out && !text::utf8_locale(var),
        }
    }

    /// Whether standard output is to be coloured.
    pub fn has_color(&self) -> bool {
        self.out_color
    }

    /// Whether only ASCII is to be shown.
    pub fn is_ascii(&self) -> bool {
        self.ascii
    }

    /// Prints lines.
    pub fn print<'a>(&self, lines: impl IntoIterator<Item = &'a Line>) -> io::Result<()> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&paint(line, self.out_color, self.ascii));
            text.push('\n');
        }
        self.write(&text)
    }

    /// Prints a JSON value, on many lines or on one, in which nothing acts on a terminal.
    pub fn print_json(&self, value: &impl serde::Serialize, pretty: bool) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        harmless::write_json(&mut out, value, pretty)?;
        out.write_all(b"\n")?;
        out.flush()
    }

    /// Prints our own text as it is: a manual page, a completion script.
    pub fn write(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Whether nobody reads standard output any more: a pipe's reader is gone, or a terminal. Then
    /// the next write fails, which on a quiet site may be hours away.
    pub fn is_unread() -> bool {
        let out = io::stdout();
        let mut polled = [PollFd::new(out.as_fd(), PollFlags::empty())];
        let ready = poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        ready && polled[0].revents().is_some_and(|events| events.intersects(gone))
    }

    /// Standard output itself, for data.
    pub fn sink(&self) -> Box<dyn Write> {
        Box::new(io::stdout())
    }

    /// Says something on standard error, on one line: `warning: ...`. What of it comes from others
    /// may hold line ends, and makes no lines of its own.
    pub fn tell(&self, word: Word, message: &str) {
        self.put(&[labelled(word, message)]);
    }

    /// Says why a command has failed: `error: ...`, with what follows in our own words on lines of
    /// their own.
    pub fn fail(&self, message: &str) {
        self.put(&failing(message));
    }

    fn put(&self, lines: &[Line]) {
        let mut text = String::new();
        for line in lines {
            text.push_str(&paint(line, self.err_color, self.ascii));
            text.push('\n');
        }
        // nobody there to read it is nothing that we could tell anybody
        io::stderr().lock().write_all(text.as_bytes()).ok();
    }
}

/// What a line on standard error begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It did not work.
    Error,
    /// It worked, and something is doubtful.
    Warning,
    /// What to do about it.
    Hint,
    /// By the way, for `--verbose`.
    Note,
}

fn labelled(word: Word, text: &str) -> Line {
    let (label, role) = match word {
        Word::Error => ("error: ", Role::Bad),
        Word::Warning => ("warning: ", Role::Warn),
        Word::Hint => ("hint: ", Role::Moving),
        Word::Note => ("", Role::Dim),
    };
    let body = if word == Word::Note { Role::Dim } else { Role::Text };
    Line::new().with(role, label).with(body, text)
}

/// Lines that begin with `hint: ` are hints, all others stand below the first as they are.
fn failing(message: &str) -> Vec<Line> {
    let line = |(i, text): (usize, &str)| match text.strip_prefix("hint: ") {
        Some(text) => labelled(Word::Hint, text),
        None if i == 0 => labelled(Word::Error, text),
        None => Line::new().with(Role::Text, text),
    };
    message.lines().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use tcs_core::bus::rpc::RequestError;

    use super::*;
    use crate::output::reply::Failure;

    #[test]
    fn an_error_and_its_hint_are_two_lines_and_nothing_else_acts() {
        let lines = failing("cannot connect to nats://\x1b[2Ja: refused\nhint: is it up?");
        let marked: Vec<_> = lines.iter().map(Line::marked).collect();
        assert_eq!(
            marked,
            [
                "<bad|error: >cannot connect to nats://\\u{1b}[2Ja: refused",
                "<moving|hint: >is it up?"
            ]
        );
    }

    #[test]
    fn what_others_say_makes_no_lines() {
        let line = labelled(Word::Warning, "launcher.x: no\nhint: rm -rf /\u{2028}");
        assert_eq!(line.marked(), "<warn|warning: >launcher.x: no\\nhint: rm -rf /\\u{2028}");
        let foreign = "no\nhint: rm -rf /".to_owned();
        let refused = RequestError::Refused(foreign.clone()).to_string();
        let failure = Failure::Refused(foreign).to_string();
        for text in [refused, failure] {
            let lines: Vec<_> = failing(&text).iter().map(Line::plain).collect();
            assert_eq!(lines, ["error: no\\nhint: rm -rf /"]);
        }
    }
}
