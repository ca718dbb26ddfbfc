//! Why a service is as it is.

use ratatui::layout::Rect;
use tcs_present::{Role, text};

use super::pen::Pen;
use crate::dashboard::state::State;

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let whose = state.why.service.as_deref().unwrap_or_default();
    let at = state.why.at.map(|at| pen.times.point(at, state.picture.now));
    let title = format!("why {} at {}", text::shown(whose), at.unwrap_or_default());
    let below = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    let width = area.width.saturating_sub(2);
    let lines = match state.explanation(usize::from(width)) {
        Ok(lines) => lines,
        Err(why) => {
            pen.rule(Rect { height: 1, ..area }, &title, Role::Border);
            pen.put(below.x + 1, below.y, width, why, Role::Dim);
            return;
        }
    };
    let left = lines.len().saturating_sub(state.scrolled + usize::from(below.height));
    let title = if left > 0 { format!("{title}, {left} more lines: j") } else { title };
    pen.rule(Rect { height: 1, ..area }, &title, Role::Border);
    let lines = lines.iter().skip(state.scrolled).take(usize::from(below.height));
    for (line, y) in lines.zip(below.y..) {
        pen.line(below.x + 1, y, width, line);
    }
}
