//! Whether it is meant: what would be done, and what it would touch.

use tcs_present::Role;

use super::pen::Pen;
use crate::dashboard::event::Request;
use crate::dashboard::layout;
use crate::dashboard::state::State;

/// Draws it over the page.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, request: &Request, touched: &[String]) {
    let area = layout::dialog(state.size, 64, touched.len() as u16 + 6);
    let inside = pen.frame(area, &format!("{}?", request.operation.as_str()), Role::Warn);
    pen.put(inside.x, inside.y, inside.width, &request.service, Role::Strong);
    for (i, line) in touched.iter().enumerate() {
        let y = inside.y + 1 + i as u16;
        if y + 2 < area.bottom() {
            pen.put(inside.x + 2, y, inside.width.saturating_sub(2), line, Role::Text);
        }
    }
    let y = area.bottom().saturating_sub(2);
    let mut x = inside.x;
    x += pen.put(x, y, 1, "y", Role::Key);
    x += pen.put(x, y, 20, &format!(" {} it", request.operation.as_str()), Role::Text) + 3;
    x += pen.put(x, y, 13, "any other key", Role::Key);
    pen.put(x, y, 20, " cancels", Role::Dim);
}
