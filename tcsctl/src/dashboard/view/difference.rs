//! What has changed since the moment of the past that was shown: in the place of the newest events,
//! for a while.

use ratatui::layout::Rect;
use tcs_present::Role;

use super::pen::Pen;
use crate::dashboard::layout::Panes;
use crate::dashboard::state::State;

/// Draws it, if there is anything to tell.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, panes: &Panes) {
    let Some(left) = &state.past.difference else { return };
    let room = panes.lower.map_or(0, |(_, area)| area.height);
    // the line for a few seconds stays readable
    let notice = u16::from(state.notice().is_some());
    let lines = left.difference.lines(usize::from(room.saturating_sub(notice)));
    let height = lines.len() as u16 + 1;
    let y = panes.footer.y.saturating_sub(height + notice);
    let area = Rect::new(0, y, panes.footer.width, height);
    pen.clear(area);
    pen.rule(Rect { height: 1, ..area }, "", Role::Border);
    let room = area.width.saturating_sub(4);
    let mut summary = left.difference.summary(pen.times);
    summary.push(Role::Dim, "  (Esc closes)");
    pen.put(1, y, 1, " ", Role::Text);
    let used = pen.line(2, y, room, &summary);
    pen.put(2 + used, y, 1, " ", Role::Text);
    for (line, y) in lines.iter().zip(area.y + 1..area.bottom()) {
        pen.line(area.x + 2, y, room, line);
    }
}
