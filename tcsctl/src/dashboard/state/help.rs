//! The lines of the help page.

use tcs_present::legend::{LABEL, legend};
use tcs_present::{Line, Role};

use super::State;
use crate::dashboard::keymap::{Group, TABLE};

/// Cells of the page.
pub const WIDTH: u16 = 74;

impl State {
    /// All keys, and what the signs mean.
    pub fn help(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for group in Group::ALL {
            lines.push(Line::new().with(Role::Title, group.title()));
            for entry in TABLE.iter().filter(|entry| entry.group == group) {
                let keys = self.options.keymap.shown(entry.command);
                let keys = if keys.is_empty() { format!(":{}", entry.name) } else { keys };
                let mut line = Line::new().with(Role::Key, &keys);
                line.pad_to(LABEL.max(line.width() + 1)).push(Role::Text, entry.doc);
                lines.push(line);
            }
            lines.push(Line::new());
        }
        lines.extend(legend().into_iter().flat_map(|line| line.wrap(WIDTH.into(), LABEL, 2)));
        lines
    }
}
