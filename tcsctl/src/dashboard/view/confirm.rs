//! Whether it is meant: what would be done, and what it would touch.

use tcs_present::Role;

use super::pen::Pen;
use crate::dashboard::state::State;
use crate::dashboard::state::overlay::Question;

/// Draws it over the page.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, question: &Question) {
    let area = state.confirm_dialog(question);
    let inside = pen.frame(area, &question.title, Role::Warn);
    let seen = usize::from(inside.height).saturating_sub(2);
    let from = question.scrolled.min(question.lines.len().saturating_sub(seen));
    for (line, y) in question.lines.iter().skip(from).take(seen).zip(inside.y..) {
        pen.line(inside.x, y, inside.width, line);
    }
    let y = area.bottom().saturating_sub(2);
    let mut x = inside.x;
    if let Some(meant) = &question.meant {
        x += pen.put(x, y, 1, "y", Role::Key);
        x += pen.put(x, y, 20, &format!(" {meant}"), Role::Text) + 3;
    }
    let more = question.lines.len().saturating_sub(from + seen);
    if question.lines.len() > seen {
        let text = if more > 0 { format!("{more} more: j") } else { "k goes back".to_owned() };
        x += pen.put(x, y, 20, &text, Role::Key) + 3;
    }
    x += pen.put(x, y, inside.right().saturating_sub(x), "any other key", Role::Key);
    pen.put(x, y, inside.right().saturating_sub(x), " cancels", Role::Dim);
}
