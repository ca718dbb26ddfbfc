//! The line that is typed before something is done for planned work.

use ratatui::layout::Rect;
use tcs_present::Role;

use super::footer::typed;
use super::pen::Pen;
use crate::dashboard::layout;
use crate::dashboard::state::State;
use crate::dashboard::state::work::WorkDialog;

/// Draws it over the page.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, dialog: &WorkDialog) {
    let area = layout::dialog(state.size, 72, 7);
    let inside = pen.frame(area, &dialog.title(), Role::Border);
    let line = Rect::new(inside.x.saturating_sub(1), inside.y, inside.width + 1, 1);
    let end = typed(pen, line, ">", &dialog.line);
    if dialog.line.text().is_empty() {
        let room = inside.right().saturating_sub(end + 2);
        pen.put(end + 2, inside.y, room, dialog.hint(), Role::Dim);
    }
    if let Some(error) = &dialog.error {
        pen.put(inside.x, inside.y + 1, inside.width, error, Role::Bad);
    }
    let y = area.bottom().saturating_sub(2);
    let mut x = inside.x;
    x += pen.put(x, y, 5, "Enter", Role::Key);
    x += pen.put(x, y, 24, " shows what would stop", Role::Text) + 3;
    x += pen.put(x, y, 3, "Esc", Role::Key);
    pen.put(x, y, 20, " cancels", Role::Dim);
}
