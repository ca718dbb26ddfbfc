//! What happened, newest last: a few lines below the table, or a page.

use chrono::{DateTime, Utc};
use ratatui::layout::Rect;
use tcs_present::{Line, Role, events as output, list, newest::newest, text};

use super::pen::Pen;
use crate::dashboard::state::State;
use crate::dashboard::state::detail::USAGE;
use crate::dashboard::state::history::Shown as Choice;

/// One line: when, to whom it happened, what.
type Shown = (DateTime<Utc>, String, Line);

/// The newest that are worth a look, as many as there is room for.
pub(super) fn draw_newest(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let newest = newest(state.happened(), usize::from(area.height));
    let lines =
        newest.iter().map(|told| (told.group.first().at, output::name(&told.group), told.words()));
    draw_lines(pen, state, area, lines.collect());
}

/// What the chosen service uses, where the detail is not beside the table; returns what is left for
/// the events.
pub(super) fn draw_usage(pen: &mut Pen<'_>, state: &State, rule: Rect, area: Rect) -> Rect {
    let lines = state.usage_lines(usize::from(area.width.saturating_sub(2)));
    let Some(service) = state.chosen().filter(|_| !lines.is_empty()) else { return area };
    let title = format!("{}: {}", service.id, USAGE.to_lowercase());
    pen.rule(rule, &title, Role::Border);
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        pen.line(area.x + 1, y, area.width.saturating_sub(2), line);
    }
    let used = (lines.len() as u16).min(area.height);
    Rect { y: area.y + used, height: area.height - used, ..area }
}

/// Those that are asked for, scrolled.
pub(super) fn draw_page(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let all: Vec<_> = state.events().collect();
    let what = match state.shown_events {
        Choice::Changes => "events",
        Choice::Problems => "events, problems only",
        Choice::All => "events, busy and idle too",
    };
    let title = match state.scrolled {
        0 => format!("{what}: {}, newest last", all.len()),
        n => format!("{what}: {}, {n} newer below", all.len()),
    };
    pen.rule(Rect { height: 1, ..area }, &title, Role::Border);
    let below = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    let newest = all.into_iter().rev().skip(state.scrolled).take(usize::from(below.height));
    let lines = newest.map(|entry| (entry.at, entry.id.to_string(), output::words(entry)));
    let lines = lines.collect();
    draw_lines(pen, state, below, lines);
}

/// These, newest first, in their words.
fn draw_lines(pen: &mut Pen<'_>, state: &State, area: Rect, shown: Vec<Shown>) {
    let now = state.picture.now;
    if shown.is_empty() {
        pen.put(area.x + 1, area.y, area.width.saturating_sub(1), "nothing yet", Role::Dim);
    }
    let name = usize::from(area.width / 3).clamp(12, 40);
    for (i, (at, id, words)) in shown.into_iter().rev().enumerate() {
        let y = area.y + i as u16;
        let mut x = area.x + 1;
        x += pen.put(x, y, area.width, &pen.times.short(at, now), Role::Dim) + 2;
        let id = list::short_name(&text::shown(&id), name);
        pen.put(x, y, area.right().saturating_sub(x), &id, Role::Text);
        x += name as u16 + 2;
        let room = area.right().saturating_sub(x + 1);
        pen.line(x, y, room, &words);
    }
}
