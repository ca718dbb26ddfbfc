//! Any command by its name.

use ratatui::layout::Rect;
use tcs_present::Role;

use super::footer::typed;
use super::pen::Pen;
use crate::dashboard::layout;
use crate::dashboard::state::State;
use crate::dashboard::state::overlay::{Line, found};

/// Draws it over the page.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, line: &Line, choice: usize) {
    let Some(area) = state.list_dialog() else { return };
    let inside = pen.frame(area, "command", Role::Border);
    typed(pen, Rect { height: 1, x: inside.x - 1, ..inside }, ":", line);
    let list = Rect::new(inside.x, inside.y + 2, inside.width, inside.height.saturating_sub(2));
    let found = found(line.text());
    if found.is_empty() {
        pen.put(list.x, list.y, list.width, "no command of this name", Role::Dim);
    }
    let height = usize::from(list.height);
    let from = layout::list_offset(choice, height);
    for (i, entry) in found.iter().enumerate().skip(from).take(height) {
        let y = list.y + (i - from) as u16;
        let valid = state.is_valid(entry.command);
        pen.put(list.x, y, 14, entry.name, if valid { Role::Text } else { Role::Dim });
        let keys = state.options.keymap.shown(entry.command);
        let keys_wide = tcs_present::text::width(&keys) as u16;
        let room = list.width.saturating_sub(16 + keys_wide + 1);
        pen.put(list.x + 15, y, room, entry.doc, Role::Dim);
        pen.put_right(list.x, y, list.width, &keys, Role::Key);
        if i == choice {
            pen.wash(Rect::new(list.x - 1, y, list.width + 2, 1), Role::Selected);
        }
    }
}
