//! All that is known of the chosen service.

use ratatui::layout::Rect;
use tcs_present::Role;

use super::logs;
use super::pen::Pen;
use crate::dashboard::state::State;
use crate::dashboard::state::detail::reach;

/// Draws it. `focus`: the keys that move, move here.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect, focus: bool) {
    let (area, tail) = state.detail_areas(area);
    if let Some(tail) = tail {
        logs::draw_tail(pen, state, tail);
    }
    let lines = state.detail(area);
    if lines.is_empty() {
        pen.put(area.x + 1, area.y, area.width.saturating_sub(1), "no service selected", Role::Dim);
        return;
    }
    let reach = reach(lines.len(), area);
    let height = usize::from(area.height).saturating_sub(usize::from(reach > 0));
    let from = state.scrolled.min(reach);
    for (i, line) in lines.iter().skip(from).take(height).enumerate() {
        pen.line(area.x + 1, area.y + i as u16, area.width.saturating_sub(2), line);
    }
    if reach > 0 {
        let more = reach - from;
        let hint = match (more, focus) {
            (0, _) => "k goes back up".to_owned(),
            (more, true) => format!("{more} more lines: j"),
            (more, false) => format!("{more} more lines: Enter"),
        };
        pen.put(area.x + 1, area.bottom() - 1, area.width, &hint, Role::Dim);
    }
}
