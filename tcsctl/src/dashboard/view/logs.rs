//! The output of one service, newest last.

use ratatui::layout::Rect;
use tcs_present::{Role, text};

use super::pen::Pen;
use crate::dashboard::state::State;

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
    if let Some(trouble) = &logs.trouble {
        pen.put(area.x + 1, area.y, area.width.saturating_sub(2), trouble, Role::Warn);
        area = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    } else if logs.waiting {
        pen.put(
            area.x + 1,
            area.y,
            area.width.saturating_sub(2),
            "asking its launcher ...",
            Role::Dim,
        );
        return;
    } else if logs.lines.is_empty() {
        pen.put(
            area.x + 1,
            area.y,
            area.width.saturating_sub(2),
            "it has written nothing",
            Role::Dim,
        );
        return;
    }
    let mut bottom = area.bottom();
    for line in logs.lines.iter().rev().skip(state.scrolled) {
        let time = line.timestamp.map_or_else(String::new, |at| {
            pen.times.wall(at.time()).format("%H:%M:%S  ").to_string()
        });
        let role = Role::from(line.level);
        let x = area.x + 1 + time.len() as u16;
        let room = area.right().saturating_sub(x + 1);
        let shown = text::shown(&line.message);
        let pieces = if logs.wrap { broken(&shown, usize::from(room)) } else { vec![&*shown] };
        let height = pieces.len() as u16;
        let top = bottom.saturating_sub(height).max(area.y);
        let skip = usize::from(height.saturating_sub(bottom - top));
        for (i, piece) in pieces.iter().skip(skip).enumerate() {
            pen.put(x, top + i as u16, room, piece, role);
        }
        pen.put(area.x + 1, top, area.width, &time, Role::Dim);
        bottom = top;
        if bottom <= area.y {
            break;
        }
    }
}

/// A text in lines of `room` cells.
fn broken(text: &str, room: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && room > 1 {
        let piece = text::head(rest, room);
        if piece.is_empty() {
            break;
        }
        pieces.push(piece);
        rest = &rest[piece.len()..];
    }
    if pieces.is_empty() {
        pieces.push("");
    }
    pieces
}
