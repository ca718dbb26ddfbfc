//! A line for a terminal. The colours are the terminal's own sixteen, so that light and dark both
//! work.

use std::borrow::Cow;
use std::fmt::Write as _;

use owo_colors::{OwoColorize, Style};
use tcs_present::{Line, Role, text};

/// With escape sequences where `color`, in ASCII alone where `ascii`.
pub(super) fn paint(line: &Line, color: bool, ascii: bool) -> String {
    let mut out = String::new();
    for (text, role) in line.spans() {
        let text = if ascii { text::ascii(text) } else { Cow::Borrowed(text) };
        let _ = match style(role).filter(|_| color) {
            Some(style) => write!(out, "{}", text.style(style)),
            None => write!(out, "{text}"),
        };
    }
    out.truncate(out.trim_end_matches(' ').len());
    out
}

/// Of what stands in lines; the others are of the dashboard alone.
const fn style(role: Role) -> Option<Style> {
    let style = Style::new();
    Some(match role {
        Role::Dim | Role::Border => style.dimmed(),
        Role::Strong | Role::Title => style.bold(),
        Role::Good => style.green(),
        Role::Warn => style.yellow(),
        Role::Bad | Role::Alarm => style.red(),
        Role::Moving | Role::Key | Role::Accent | Role::Past | Role::Match => style.cyan(),
        Role::Text | Role::Selected | Role::SelectedDim | Role::Dialog => return None,
    })
}
