//! The output of one service, newest last.

use ratatui::layout::Rect;
use tcs_present::{Role, logs::line};

use super::pen::Pen;
use crate::dashboard::state::State;

/// Cells of the time before a line.
const TIME: usize = 10;
/// Lines on which one line goes on.
const MOST_PIECES: usize = 200;

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let logs = &state.logs;
    let whose = logs.service.as_deref().unwrap_or("");
    let more = if state.scrolled > 0 {
        format!(", {} newer below", state.scrolled)
    } else {
        String::new()
    };
    let title = format!("log of {whose}: {} lines{more}", logs.lines.len());
    pen.rule(Rect { height: 1, ..area }, &title, Role::Border);
    let mut area = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    let told = match &logs.trouble {
        Some(trouble) => Some((&**trouble, Role::Warn)),
        None if logs.waiting => Some(("asking its launcher ...", Role::Dim)),
        None if logs.lines.is_empty() => Some(("no output", Role::Dim)),
        None => None,
    };
    if let Some((text, role)) = told {
        pen.put(area.x + 1, area.y, area.width.saturating_sub(2), text, role);
        area = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    }
    let width = usize::from(area.width.saturating_sub(2));
    let most = if logs.wrap { MOST_PIECES } else { 1 };
    let lines = logs.lines.iter().rev().skip(state.scrolled).flat_map(|log| {
        let line = line(log, |at| pen.times.wall(at).format("%H:%M:%S").to_string(), false);
        line.wrap(width, TIME, most).into_iter().rev()
    });
    let lines: Vec<_> = lines.take(usize::from(area.height)).collect();
    for (line, y) in lines.iter().zip((area.y..area.bottom()).rev()) {
        pen.line(area.x + 1, y, width as u16, line);
    }
}
