//! What can be done with the chosen service.

use ratatui::layout::Rect;
use tcs_present::Role;

use super::pen::Pen;
use crate::dashboard::state::State;
use crate::dashboard::state::overlay::MENU;

/// Draws it over the page.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, choice: usize) {
    let Some(area) = state.list_dialog() else { return };
    let title = match state.marks.len() {
        0 => state.table.chosen().map(ToString::to_string).unwrap_or_default(),
        n => format!("{n} marked"),
    };
    let inside = pen.frame(area, &title, Role::Border);
    for (i, command) in MENU.iter().enumerate() {
        let y = inside.y + i as u16;
        if y >= inside.bottom() {
            break;
        }
        let entry = command.entry();
        let role = if state.is_valid(*command) { Role::Text } else { Role::Dim };
        pen.put(inside.x, y, 13, entry.name, role);
        pen.put(inside.x + 14, y, inside.width.saturating_sub(17), entry.doc, Role::Dim);
        let key = state.options.keymap.shown(state.page, *command);
        pen.put_right(inside.x, y, inside.width, &key, Role::Key);
        if i == choice {
            pen.wash(Rect::new(inside.x - 1, y, inside.width + 2, 1), Role::Selected);
        }
    }
}
