//! The lines of the help page.

use tcs_present::legend::{LABEL, legend};
use tcs_present::{Line, Role};

use super::State;
use crate::dashboard::keymap::{Entry, Group, TABLE};

/// Cells of the page.
pub const WIDTH: u16 = 74;

impl State {
    /// The keys that hold on this page, those of the page first, and what the signs mean.
    pub fn help(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut section = |title: &str, entries: Vec<&Entry>| {
            if entries.is_empty() {
                return;
            }
            lines.push(Line::new().with(Role::Title, title));
            lines.extend(entries.into_iter().map(|entry| self.help_line(entry)));
            lines.push(Line::new());
        };
        let here = TABLE.iter().filter(|entry| entry.on.contains(&self.page));
        section(&format!("On the {} page", self.page.name()), here.collect());
        for group in Group::ALL {
            let everywhere =
                TABLE.iter().filter(|entry| entry.group == group && entry.on.is_empty());
            section(group.title(), everywhere.collect());
        }
        let own = self.options.keymap.own();
        if !own.is_empty() {
            lines.push(Line::new().with(Role::Title, "Of console.yaml"));
            for own in own {
                let keys: Vec<_> = own.keys.iter().map(ToString::to_string).collect();
                let keys = if keys.is_empty() { format!(":{}", own.name) } else { keys.join(" ") };
                let mut line = Line::new().with(Role::Key, &keys);
                line.pad_to(LABEL.max(line.width() + 1)).push(Role::Text, &own.doc);
                lines.push(line);
            }
            lines.push(Line::new());
        }
        lines.extend(legend().into_iter().flat_map(|line| line.wrap(WIDTH.into(), LABEL, 2)));
        lines
    }

    fn help_line(&self, entry: &Entry) -> Line {
        let keys = self.options.keymap.shown(self.page, entry.command);
        let keys = if keys.is_empty() { format!(":{}", entry.name) } else { keys };
        let mut line = Line::new().with(Role::Key, &keys);
        line.pad_to(LABEL.max(line.width() + 1)).push(Role::Text, entry.doc);
        line
    }
}
