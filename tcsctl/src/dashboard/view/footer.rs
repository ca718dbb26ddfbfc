//! The keys that do something here and now; while a filter is typed, its line.

use ratatui::layout::Rect;
use tcs_present::{Role, text};

use super::pen::Pen;
use crate::dashboard::state::State;
use crate::dashboard::state::overlay::{Line, Overlay};

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect) {
    if let Some(Overlay::Filter { line, error, .. }) = &state.overlay {
        let mut x = typed(pen, area, "/", line);
        if let Some(error) = error {
            x += 2;
            pen.put(x, area.y, area.right().saturating_sub(x), &error.to_string(), Role::Bad);
        } else if line.text().is_empty() {
            let hint = "text  /regex/  host:  status:  verdict:  launcher:  is:fault  !not";
            pen.put(x + 2, area.y, area.right().saturating_sub(x + 2), hint, Role::Dim);
        }
        return;
    }
    if let Some(Overlay::Search { line, .. }) = &state.overlay {
        let x = typed(pen, area, "/", line) + 2;
        let hint = match line.text() {
            "" => "text or regular expression; Up and Down go to other matches",
            _ => "",
        };
        pen.put(x, area.y, area.right().saturating_sub(x), hint, Role::Dim);
        return;
    }
    for (from, _, command) in state.footer() {
        let (key, short) = state.footer_words(command);
        let used = pen.put(from, area.y, area.width, &key, Role::Key);
        pen.put(from + used + 1, area.y, area.width, short, Role::Dim);
    }
}

/// A line that is typed, with its cursor; returns the column after it.
pub(super) fn typed(pen: &mut Pen<'_>, area: Rect, prompt: &str, line: &Line) -> u16 {
    let mut x = area.x + 1;
    x += pen.put(x, area.y, 1, prompt, Role::Accent);
    let room = area.right().saturating_sub(x + 2);
    // the end of what stands before the cursor is always seen
    let before = text::tail(line.before_cursor(), usize::from(room));
    x += pen.put(x, area.y, room, before, Role::Strong);
    let cursor = x;
    let after = &line.text()[line.before_cursor().len()..];
    let used = pen.put(x, area.y, area.right().saturating_sub(x + 1), after, Role::Strong);
    pen.wash(Rect::new(cursor, area.y, 1, 1), Role::Selected);
    x + used.max(1)
}
