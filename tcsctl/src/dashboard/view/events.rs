//! What happened, newest last: a few lines below the table, or a page.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::dashboard::state::State;
use crate::dashboard::state::history::Entry;
use crate::dashboard::theme::{Role, of_verdict};
use crate::output::text;

/// The newest, as many as there is room for. That somebody works or rests would push out what is
/// worth a look, so it stands on the page alone.
pub(super) fn draw_newest(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let all = state.history.until(state.picture.now).iter();
    list(pen, state, area, all.rev().filter(|entry| !entry.is_routine()));
}

/// All of them, scrolled.
pub(super) fn draw_page(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let all = state.history.until(state.picture.now);
    let title = match state.scrolled {
        0 => format!("events: {}, newest last", all.len()),
        n => format!("events: {}, {n} newer below", all.len()),
    };
    pen.rule(Rect { height: 1, ..area }, &title, Role::Border);
    let below = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    list(pen, state, below, all.iter().rev().skip(state.scrolled));
}

/// As many as there is room for, of these, newest first.
fn list<'a>(pen: &mut Pen<'_>, state: &State, area: Rect, newest: impl Iterator<Item = &'a Entry>) {
    let now = state.picture.now;
    let mut shown: Vec<&Entry> = newest.take(usize::from(area.height)).collect();
    shown.reverse();
    if shown.is_empty() {
        pen.put(area.x + 1, area.y, area.width.saturating_sub(1), "nothing yet", Role::Dim);
    }
    let name = usize::from(area.width / 3).clamp(12, 40);
    for (i, entry) in shown.into_iter().enumerate() {
        let y = area.y + i as u16;
        let mut x = area.x + 1;
        x += pen.put(x, y, area.width, &pen.clock(entry.at, now), Role::Dim) + 2;
        let id = text::cut_middle(&text::shown(&entry.id), name, pen.glyphs.ellipsis);
        pen.put(x, y, area.right().saturating_sub(x), &id, Role::Text);
        x += name as u16 + 2;
        let room = area.right().saturating_sub(x + 1);
        pen.put(x, y, room, &entry.words(pen.glyphs.arrow), role(entry));
    }
}

/// What an entry looks like: loud only where something is wrong.
pub(super) fn role(entry: &Entry) -> Role {
    of_verdict(entry.weight())
}
