//! All keys, and what the signs mean.

use ratatui::layout::Rect;
use tcs_core::fleet::Verdict;
use tcs_present::{Role, symbols};

use super::pen::Pen;
use crate::dashboard::keymap::{Group, TABLE};
use crate::dashboard::layout;
use crate::dashboard::state::State;

/// Draws it over the page.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, scrolled: usize) {
    let area = layout::dialog(state.size, 78, state.size.1);
    let inside = pen.frame(area, "help: any other key closes it", Role::Border);
    let lines = lines(state);
    let height = usize::from(inside.height);
    let from = scrolled.min(lines.len().saturating_sub(height));
    for (i, (left, text, role)) in lines.iter().skip(from).take(height).enumerate() {
        let y = inside.y + i as u16;
        let used = pen.put(inside.x, y, 16, left, *role);
        let x = if text.is_empty() { inside.x + used } else { inside.x + 17 };
        pen.put(x, y, inside.right().saturating_sub(x), text, Role::Text);
    }
    if from + height < lines.len() {
        let hint = Rect::new(area.x, area.bottom() - 1, area.width - 2, 1);
        pen.put_right(hint.x, hint.y, hint.width, " j for more ", Role::Strong);
    }
}

fn lines(state: &State) -> Vec<(String, String, Role)> {
    let mut out = Vec::new();
    for group in Group::ALL {
        if !out.is_empty() {
            out.push((String::new(), String::new(), Role::Text));
        }
        out.push((group.title().to_owned(), String::new(), Role::Title));
        for entry in TABLE.iter().filter(|entry| entry.group == group) {
            let keys = state.options.keymap.shown(entry.command);
            let keys = if keys.is_empty() { format!(":{}", entry.name) } else { keys };
            out.push((keys, entry.doc.to_owned(), Role::Key));
        }
    }
    out.push((String::new(), String::new(), Role::Text));
    out.push(("Signs".to_owned(), String::new(), Role::Title));
    for verdict in Verdict::ALL {
        let left = format!("{} {verdict}", symbols::symbol(verdict));
        out.push((left, symbols::meaning(verdict).to_owned(), Role::from(verdict)));
    }
    out
}
