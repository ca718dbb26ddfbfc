//! What is only for a person at a terminal: a line that tells what is waited for, and a question.

use std::io::{self, IsTerminal, Write};

use tcs_present::{Line, Look, Role, text};

use super::Screen;
use super::paint;

/// Back to the beginning of the line, and nothing on it.
const CLEAR: &str = "\r\x1b[K";

impl Screen {
    /// Shows what is waited for, in place of what was shown so before; nothing unless standard
    /// error is a terminal. `None` takes it away.
    pub fn progress(&self, what: Option<&str>) {
        let mut err = io::stderr().lock();
        if !err.is_terminal() {
            return;
        }
        let width = self.err_look().width.unwrap_or(80);
        let line = Line::new().with(Role::Dim, what.unwrap_or_default());
        // a line that reaches the edge would be wrapped, and half of it stay
        let line = line.cut(width.saturating_sub(1));
        let shown = paint(&line, self.err_color, self.ascii);
        err.write_all(format!("{CLEAR}{shown}").as_bytes()).and_then(|()| err.flush()).ok();
    }

    /// Whether there is somebody to ask.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question that only `y` or `yes` agrees to. It blocks until there is an answer.
    pub fn agrees(&self, question: &str) -> bool {
        let prompt = format!("{} [y/N] ", text::shown(question));
        let mut err = io::stderr().lock();
        err.write_all(prompt.as_bytes()).and_then(|()| err.flush()).ok();
        drop(err);
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).ok();
        if !answer.ends_with('\n') {
            self.leave();
        }
        matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }

    /// Leaves the line of a question that was not answered.
    pub fn leave(&self) {
        io::stderr().lock().write_all(b"\n").ok();
    }

    /// How what [`Screen::show`] says is to look: standard output may go elsewhere.
    pub fn err_look(&self) -> Look {
        let width = terminal_size::terminal_size_of(io::stderr()).map(|(w, _)| usize::from(w.0));
        Look { width: width.filter(|width| *width > 0), ..self.look }
    }

    /// Says lines on standard error, as they are.
    pub fn show(&self, lines: &[Line]) {
        let lines = lines.iter().map(|line| paint(line, self.err_color, self.ascii) + "\n");
        io::stderr().lock().write_all(lines.collect::<String>().as_bytes()).ok();
    }
}
