//! The output of one service, newest last: a page, or the end of the detail.

use std::fmt::Write as _;

use ratatui::layout::Rect;
use tcs_core::wire::Level;
use tcs_core::wire::control::Stream;
use tcs_present::list::short_name;
use tcs_present::logs::{separator, write};
use tcs_present::{Line, Role, text};

use super::pen::Pen;
use crate::dashboard::keymap::Command;
use crate::dashboard::state::State;
use crate::dashboard::state::logs::{Logs, Row, store::Shown};

/// Cells of the time before a line.
const TIME: usize = 10;
/// Lines on which one line goes on.
const MOST_PIECES: usize = 200;
/// Narrower pages do not say which lines are of the error output.
const WITH_STREAM: u16 = 60;

/// Draws the page.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let shown = state.shown_log();
    pen.rule(Rect { height: 1, ..area }, &title(&state.logs, &shown, area.width), Role::Border);
    let below = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    lines(pen, state, below, &shown);
}

/// Draws the newest lines below the detail, under a rule.
pub(super) fn draw_tail(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let rule = Rect { height: 1, ..area };
    let key = state.options.keymap.shown(state.page, Command::Logs);
    pen.rule(rule, &format!("log ({key})"), Role::Border);
    let below = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    if state.logs.service.as_ref() == state.table.chosen() {
        let shown = Shown { until: state.log_until(), ..Shown::default() };
        lines(pen, state, below, &shown);
    }
}

/// `log of guider.jk15: 812 lines, WARNING and above, 12 newer below, match 3 of 17 for /slow`
fn title(logs: &Logs, shown: &Shown, width: u16) -> String {
    let whose = text::shown(logs.service.as_deref().unwrap_or(""));
    // what is searched and left out has room beside it
    let whose = short_name(&whose, usize::from(width / 3));
    let mut title = format!("log of {whose}: {} lines", logs.store.len());
    if shown.level > Level(i64::MIN) {
        let _ = write!(title, ", {} and above", shown.level.name());
    }
    match shown.stream {
        None => {}
        Some(Stream::Stdout) => title.push_str(", standard output"),
        Some(Stream::Stderr) => title.push_str(", standard error"),
    }
    let newer = logs.newer(shown);
    if newer > 0 {
        let _ = write!(title, ", {newer} newer below");
    }
    if let (Some(search), Some((place, all))) = (&logs.search, logs.place_of_match(shown)) {
        if logs.is_searching() {
            let _ = write!(title, ", searching /{}: {all} so far", search.text);
            return title;
        }
        let _ = match (place, all) {
            (_, 0) => write!(title, ", no match for /{}", search.text),
            (0, all) => write!(title, ", {all} matches for /{}", search.text),
            (place, all) => write!(title, ", match {place} of {all} for /{}", search.text),
        };
    }
    title
}

/// Why there is nothing, or nothing more.
fn told<'a>(logs: &'a Logs, shown: &Shown, is_empty: bool) -> Option<(&'a str, Role)> {
    match &logs.trouble {
        Some(trouble) => Some((&**trouble, Role::Warn)),
        None if logs.waiting => Some(("asking its launcher ...", Role::Dim)),
        None if logs.store.is_empty() => Some(("no output", Role::Dim)),
        None if is_empty && shown.until.is_some() => {
            Some(("output from that time is no longer held", Role::Dim))
        }
        None if is_empty => Some(("no line of this level and output", Role::Dim)),
        None => None,
    }
}

fn lines(pen: &mut Pen<'_>, state: &State, mut area: Rect, shown: &Shown) {
    let logs = &state.logs;
    let rows = logs.rows(shown, usize::from(area.height));
    if let Some((text, role)) = told(logs, shown, rows.is_empty()) {
        pen.put(area.x + 1, area.y, area.width.saturating_sub(2), text, role);
        area = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    }
    let width = usize::from(area.width.saturating_sub(2));
    let most = if logs.wrap { MOST_PIECES } else { 1 };
    let indent = if area.width < WITH_STREAM { TIME } else { TIME + 5 };
    let pieces = rows.into_iter().flat_map(|row| {
        let line = row_line(pen, logs, row, area.width >= WITH_STREAM);
        line.wrap(width, indent, most).into_iter().rev()
    });
    let pieces: Vec<_> = pieces.take(usize::from(area.height)).collect();
    for (line, y) in pieces.iter().zip((area.y..area.bottom()).rev()) {
        pen.line(area.x + 1, y, width as u16, line);
    }
}

fn row_line(pen: &Pen<'_>, logs: &Logs, row: Row, with_stream: bool) -> Line {
    let at = |time| pen.times.wall(time).format("%H:%M:%S").to_string();
    let number = match row {
        Row::End(run) => return separator(run, logs.end_of(run), at),
        Row::Line(number) => number,
    };
    let mut line = Line::new();
    let Some(entry) = logs.store.get(number) else { return line };
    line.push(Role::Dim, &entry.at.map(at).unwrap_or_default()).pad_to(TIME);
    if with_stream {
        match entry.stream {
            Some(Stream::Stderr) => line.push(Role::Dim, "err"),
            Some(Stream::Stdout) | None => &mut line,
        };
        line.pad_to(TIME + 5);
    }
    let search = logs.search.as_ref();
    let found = search.map(|search| search.found(&entry.text.plain)).unwrap_or_default();
    write(&mut line, &entry.text, entry.level.into(), &found);
    line
}
