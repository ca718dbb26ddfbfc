//! All keys, and what the signs mean.

use ratatui::layout::Rect;
use tcs_present::Role;

use super::pen::Pen;
use crate::dashboard::layout;
use crate::dashboard::state::State;
use crate::dashboard::state::help::WIDTH;

/// Draws it over the page.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, scrolled: usize) {
    let area = layout::dialog(state.size, WIDTH + 4, state.size.1);
    let inside = pen.frame(area, "help: any other key closes it", Role::Border);
    let lines = state.help();
    let height = usize::from(inside.height);
    let from = scrolled.min(lines.len().saturating_sub(height));
    for (line, y) in lines.iter().skip(from).zip(inside.y..inside.bottom()) {
        pen.line(inside.x, y, inside.width, line);
    }
    if from + height < lines.len() {
        let hint = Rect::new(area.x, area.bottom() - 1, area.width - 2, 1);
        pen.put_right(hint.x, hint.y, hint.width, " j for more ", Role::Strong);
    }
}
