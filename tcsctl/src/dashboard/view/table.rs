//! The services, a row each.

use ratatui::layout::Rect;
use tcs_core::fleet::{Reason, ServiceView, Verdict};
use tcs_present::{Line, Role, columns::Column, list, rhythm, symbols, text};

use super::pen::Pen;
use crate::dashboard::layout;
use crate::dashboard::state::table::{MAX_INDENT, Row};
use crate::dashboard::state::{Page, State};

/// Draws titles and rows.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, titles: Rect, rows: Rect) {
    let columns = layout::columns(rows.width, state.table.longest);
    for (column, x, wide) in &columns {
        let sorted = *column == state.table.sort;
        let role = if sorted { Role::Strong } else { Role::Title };
        let mut title = column.title().to_owned();
        if sorted && usize::from(*wide) > title.len() + 1 {
            title.push(' ');
            title.push_str(symbols::SORTED[usize::from(state.table.reverse)]);
        }
        if column.right() {
            pen.put_right(*x, titles.y, *wide, &title, role);
        } else {
            pen.put(*x, titles.y, *wide, &title, role);
        }
    }
    let shown = state.table.rows.iter().enumerate().skip(state.table.offset);
    for (line, (i, row)) in shown.take(usize::from(rows.height)).enumerate() {
        let y = rows.y + line as u16;
        let service = &state.picture.services[row.service];
        for (column, x, wide) in &columns {
            cell(pen, state, (row, service), *column, Rect::new(*x, y, *wide, 1));
        }
        if i == state.table.cursor {
            let focus = matches!(state.page, Page::Fleet);
            let area = Rect::new(rows.x, y, rows.width, 1);
            pen.wash(area, if focus { Role::Selected } else { Role::SelectedDim });
        }
    }
    if state.table.rows.is_empty() {
        empty(pen, state, rows);
    }
}

fn cell(pen: &mut Pen<'_>, state: &State, row: (&Row, &ServiceView), column: Column, area: Rect) {
    let (row, service) = row;
    let now = state.picture.now;
    let quiet = row.context || is_consequence(service);
    let verdict = service.verdict;
    let loud = verdict.is_fault() && !quiet;
    let role = match column {
        Column::Verdict => Role::from(verdict),
        Column::Service if loud => Role::Strong,
        Column::Message if loud => Role::from(verdict),
        Column::Service | Column::Message if row.context || verdict == Verdict::Stopped => {
            Role::Dim
        }
        Column::Message if quiet => Role::Dim,
        Column::Service | Column::Message => Role::Text,
        Column::Restarts => Role::Moving,
        Column::Heard if matches!(verdict, Verdict::Lost | Verdict::Late) => Role::from(verdict),
        Column::Heard | Column::Host | Column::Uptime | Column::Beats => Role::Dim,
    };
    match column {
        Column::Verdict => {
            let mut line = Line::new().with(role, &format!("{} ", symbols::symbol(verdict)));
            line.extend(list::verdict(service, usize::from(area.width).saturating_sub(2)));
            pen.line(area.x, area.y, area.width, &line);
        }
        Column::Service => name(pen, state, row, service, area, role),
        Column::Beats => {
            if service.phase.is_up() {
                let strip = rhythm::read(service, now).strip(usize::from(area.width));
                pen.line(area.x, area.y, area.width, &strip);
            }
        }
        Column::Message => {
            let text = message(state, row, service, usize::from(area.width));
            pen.put(area.x, area.y, area.width, &text, role);
        }
        Column::Host | Column::Heard | Column::Restarts | Column::Uptime => {
            let text = column.text(service, now);
            if column.right() {
                pen.put_right(area.x, area.y, area.width, &text, role);
            } else {
                pen.put(area.x, area.y, area.width, &text, role);
            }
        }
    }
}

/// It is down because of what stands above it, where the cause is told.
fn is_consequence(service: &ServiceView) -> bool {
    service.verdict == Verdict::Lost
        && service.reasons.iter().any(|reason| matches!(reason, Reason::LauncherLost(_)))
}

fn message(state: &State, row: &Row, service: &ServiceView, room: usize) -> String {
    if is_consequence(service) {
        return "lost with its launcher".to_owned();
    }
    if row.hidden > 0 {
        let worst = service.worst_below.filter(|worst| worst.is_fault());
        let below = match worst {
            Some(worst) => format!("{} below, worst {worst}", row.hidden),
            None => format!("{} below", row.hidden),
        };
        let own = service.headline();
        return if own.is_empty() { below } else { format!("{below}; {own}") };
    }
    list::headline_text(&state.picture, service, room)
}

fn name(
    pen: &mut Pen<'_>,
    state: &State,
    row: &Row,
    service: &ServiceView,
    area: Rect,
    role: Role,
) {
    let mut x = area.x;
    if state.table.sort.in_tree() {
        let [fork, last, pass] = symbols::TREE;
        let branch = symbols::RULE;
        let depth = row.depth.min(MAX_INDENT);
        for level in 1..=depth {
            let more = row.more >> level.min(63) & 1 == 1;
            let (sign, foot) = match (level == depth, more) {
                (true, true) => (fork, branch),
                (true, false) => (last, branch),
                (false, true) => (pass, " "),
                (false, false) => (" ", " "),
            };
            x += pen.put(x, area.y, 1, sign, Role::Border);
            x += pen.put(x, area.y, 1, foot, Role::Border);
        }
        match (row.parent, row.depth) {
            (true, _) => {
                let sign = symbols::FOLD[usize::from(row.hidden == 0)];
                pen.put(x, area.y, 1, sign, Role::Text);
                x += 2;
            }
            (false, 0) => x += 2,
            (false, _) => x += 1,
        }
    }
    let room = area.right().saturating_sub(x);
    let cut = list::short_name(&text::shown(&service.id), usize::from(room));
    pen.put(x, area.y, room, &cut, role);
}

fn empty(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let table = &state.table;
    let known = state.picture.services.len();
    let lines: Vec<String> = if known == 0 && state.link.is_up() {
        vec!["Nothing has been heard of any service yet.".to_owned()]
    } else if known == 0 {
        vec!["Not connected, and nothing heard before.".to_owned()]
    } else if !table.filter.is_empty() || table.faults {
        let what = if table.faults { "Nothing is wrong" } else { "No service matches" };
        let with = if table.faults && !table.filter.is_empty() {
            format!(" with /{}", table.filter.text())
        } else if table.faults {
            String::new()
        } else {
            format!(" /{}", table.filter.text())
        };
        vec![format!("{what}{with}."), format!("{known} known; Esc shows them.")]
    } else {
        vec!["Nothing runs.".to_owned(), format!("{known} known; A shows them.")]
    };
    for (i, line) in lines.iter().enumerate() {
        let y = area.y + 1 + i as u16;
        if y < area.bottom() {
            pen.put(area.x + 3, y, area.width.saturating_sub(4), line, Role::Dim);
        }
    }
}
