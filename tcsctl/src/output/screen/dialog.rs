//! What is only for a person at a terminal: a line that tells what is waited for, and a question.

use std::io::{self, IsTerminal, Write};

use super::{Line, Screen, Tone, text};

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
        let width = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(w, _)| w.0);
        let line = Line::new().with(Tone::Dim, what.unwrap_or_default());
        // a line that reaches the edge would be wrapped, and half of it stay
        let line = line.cut(usize::from(width).saturating_sub(1), "…");
        let shown = line.render(self.err_color, self.ascii);
        err.write_all(format!("{CLEAR}{shown}").as_bytes()).and_then(|()| err.flush()).ok();
    }

    /// Whether there is somebody to ask.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question that only `y` or `yes` agrees to.
    pub fn agrees(&self, question: &str) -> bool {
        let prompt = format!("{} [y/N] ", text::shown(question));
        let mut err = io::stderr().lock();
        err.write_all(prompt.as_bytes()).and_then(|()| err.flush()).ok();
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).ok();
        matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}
