//! The page of the past: a row for each service, and below it what happened at the cursor.

use chrono::TimeDelta;
use ratatui::layout::Rect;
use tcs_core::fleet::format_duration;
use tcs_core::fleet::history::Timeline;
use tcs_core::fleet::transitions::Transition;
use tcs_present::timeline::{behind, cells, gap_text, gaps, scale};
use tcs_present::{Line, Look, Role, events, symbols, text};

use super::pen::Pen;
use crate::dashboard::state::State;

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let page = &state.timeline;
    let (height, _) = state.timeline_rows();
    let seen = page.rows.iter().skip(page.offset).take(height).cloned().collect::<Vec<_>>();
    let drawn = state.timeline_of(&seen);
    let title = title(pen, state, drawn.as_ref());
    pen.rule(Rect { height: 1, ..area }, &title, Role::Border);
    let room = area.width.saturating_sub(2);
    let (x, mut y) = (area.x + 1, area.y + 1);
    let Some(drawn) = drawn else {
        let (told, role) = match &page.trouble {
            Some(why) => (format!("the past could not be read: {why}"), Role::Warn),
            None => ("reading events, statuses and heartbeats ...".to_owned(), Role::Dim),
        };
        pen.put(x, y, room, &told, role);
        return;
    };
    let look = Look { width: Some(usize::from(room)), times: pen.times };
    let (names, _) = state.timeline_widths();
    let top = behind(names, "", scale(&drawn, &look));
    pen.line(x, y, room, &top);
    // gaps have the line above where there are any
    if drawn.gaps.contains(&true) {
        let mut marks = behind(names, "record", gaps(&drawn));
        marks.pad_to(usize::from(room));
        overlay_gaps(pen, x, y, room, &marks);
    }
    y += 1;
    let rows_top = y;
    for id in &seen {
        if let Some(row) = drawn.row(id) {
            pen.line(x, y, room, &behind(names, id, cells(row)));
        }
        y += 1;
    }
    if seen.is_empty() {
        let none = if page.problems { "no problems in this period" } else { "no services" };
        pen.put(x, y, room, none, Role::Dim);
    }
    let column = state.cursor_column(&drawn);
    let at = x + (names + 1 + column) as u16;
    pen.wash(Rect::new(at, rows_top - 1, 1, height as u16 + 1), Role::SelectedDim);
    if !seen.is_empty() {
        let y = rows_top + (page.row - page.offset) as u16;
        pen.wash(Rect::new(area.x, y, names as u16 + 1, 1), Role::Selected);
        pen.wash(Rect::new(at, y, 1, 1), Role::Selected);
    }
    let top = rows_top + height as u16;
    let below = Rect::new(area.x, top, area.width, area.bottom().saturating_sub(top));
    draw_column(pen, state, &drawn, column, below);
}

/// Marks of gaps lie on the scale where no time stands.
fn overlay_gaps(pen: &mut Pen<'_>, x: u16, y: u16, room: u16, marks: &Line) {
    for (i, mark) in marks.plain().chars().enumerate() {
        let at = x + i as u16;
        if mark == '▒' && at < x + room && pen.buffer[(at, y)].symbol() == " " {
            pen.put(at, y, 1, "▒", Role::Warn);
        }
    }
}

/// `timeline: 1 h until 02:13:07 UTC, 14 services, columns of 36 s`
fn title(pen: &Pen<'_>, state: &State, drawn: Option<&Timeline>) -> String {
    let page = &state.timeline;
    let (from, to) = state.timeline_period();
    let mut parts = vec![format!(
        "timeline: {} until {}",
        format_duration(to - from),
        pen.times.point(to, state.now)
    )];
    if let Some(drawn) = drawn {
        let only = if page.problems { " with problems" } else { "" };
        parts.push(format!("{}{only}", text::count(page.rows.len(), "service")));
        let columns = i32::try_from(drawn.columns()).unwrap_or(i32::MAX);
        parts.push(format!("columns of {}", format_duration((to - from) / columns.max(1))));
    }
    if page.is_reading() && drawn.is_some() {
        parts.push("reading ...".to_owned());
    }
    if let Some(why) = page.trouble.as_ref().filter(|_| drawn.is_some()) {
        parts.push(format!("incomplete: {why}"));
    }
    parts.join(", ")
}

/// The verdict of the selected service at the cursor, and what happened in its column: to the
/// service first, then to others.
fn draw_column(pen: &mut Pen<'_>, state: &State, drawn: &Timeline, column: usize, area: Rect) {
    let page = &state.timeline;
    let (from, until) = (drawn.begins(column), drawn.begins(column + 1));
    let times = [from, until].map(|at| pen.times.wall(at).format("%H:%M:%S").to_string());
    let day = pen.times.wall(from).date();
    let date =
        if day == pen.times.wall(state.now).date() { String::new() } else { format!("{day} ") };
    let title = format!("{date}{} to {}{}", times[0], times[1], pen.times.zone());
    pen.rule(Rect { height: 1, ..area }, &title, Role::Border);
    let room = area.width.saturating_sub(2);
    let selected = page.selected();
    let happened = page.happened(from, until).iter().filter(|it| !it.is_routine());
    let is_own = |it: &&Transition| Some(&it.id) == selected;
    let (own, others): (Vec<_>, Vec<_>) = happened.partition(is_own);
    let mut lines = vec![verdict(pen, state, drawn, column)];
    let gaps = page.chronicle().map_or(&[][..], |read| &read.history.gaps);
    let look = Look { width: Some(usize::from(room)), times: pen.times };
    for gap in gaps.iter().filter(|gap| gap.from < until && gap.until > from) {
        lines.push(Line::new().with(Role::Warn, &gap_text(gap, state.now, &look)));
    }
    // the worst of what happened to others counts more than the first
    let (bad, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|it| it.severity().is_fault());
    let names = usize::from(area.width / 3).clamp(12, 40);
    lines.extend(own.into_iter().chain(bad).chain(rest).map(|it| told(pen, it, names)));
    let height = usize::from(area.height.saturating_sub(1));
    let more = lines.len().saturating_sub(height);
    if more > 0 && height > 1 {
        lines.truncate(height - 1);
        lines.push(Line::new().with(Role::Dim, &format!("{} more", more + 1)));
    }
    for (line, y) in lines.iter().zip(area.y + 1..area.bottom()) {
        pen.line(area.x + 1, y, room, line);
    }
}

/// `guider.jk15  × failed since 02:08:53 UTC: no index files`
fn verdict(pen: &Pen<'_>, state: &State, drawn: &Timeline, column: usize) -> Line {
    let mut line = Line::new();
    let Some(id) = state.timeline.selected() else { return line };
    line.push(Role::Strong, id).push(Role::Text, "  ");
    // a column means its end, unless the cursor stands at a moment in it
    let is_column = state.cursor() == drawn.begins(column) || state.cursor() == drawn.to;
    let last = drawn.begins(column + 1) - TimeDelta::nanoseconds(1);
    let Some(begun) = state.timeline.stage(if is_column { last } else { state.cursor() }) else {
        line.push(Role::Dim, "not known");
        return line;
    };
    let role = begun.verdict.into();
    line.push(role, &format!("{} {}", symbols::symbol(begun.verdict), begun.verdict));
    let since = pen.times.point(begun.from, state.now);
    line.push(Role::Dim, &format!(" since {since}"));
    if let Some(reason) = &begun.reason {
        line.push(Role::Text, &format!(": {}", reason.cause()));
    }
    line
}

fn told(pen: &Pen<'_>, transition: &Transition, names: usize) -> Line {
    let at = pen.times.wall(transition.at).format("%H:%M:%S").to_string();
    let mut line = Line::new().with(Role::Dim, &at);
    line.push(Role::Text, "  ");
    let id = text::cut_middle(&text::shown(&transition.id), names);
    line.push(Role::Text, &id).pad_to(at.len() + 2 + names + 2);
    line.extend(events::words(transition));
    line
}
