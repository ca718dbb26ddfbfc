//! The services, a row each.

use ratatui::layout::Rect;
use tcs_present::columns::{Cell, Column};
use tcs_present::{Line, Look, Role, by_host, symbols};

use super::pen::Pen;
use crate::dashboard::layout;
use crate::dashboard::state::table::{MAX_INDENT, Row, prefix_width};
use crate::dashboard::state::{Page, State};

/// Draws titles and rows.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, titles: Rect, rows: Rect) {
    let columns = layout::columns(rows.width, state.table.longest, state.table.shows_usage);
    for (column, x, wide) in &columns {
        let sorted = *column == state.table.sort;
        let role = if sorted { Role::Strong } else { Role::Title };
        let mut title = column.layout().title.to_owned();
        if sorted && usize::from(*wide) > title.len() + 1 {
            title.push(' ');
            title.push_str(symbols::SORTED[usize::from(state.table.reverse)]);
        }
        if column.layout().right {
            pen.put_right(*x, titles.y, *wide, &title, role);
        } else {
            pen.put(*x, titles.y, *wide, &title, role);
        }
    }
    let shown = state.table.rows.iter().enumerate().skip(state.table.offset);
    for (line, (i, row)) in shown.take(usize::from(rows.height)).enumerate() {
        let y = rows.y + line as u16;
        if let Some(host) = row.heading {
            let area = Rect::new(rows.x, y, rows.width, 1);
            pen.rule(area, state.table.hosts[host].name(), Role::Border);
            continue;
        }
        let service = &state.picture.services[row.service];
        let (hidden, context) = (row.hidden, row.context);
        let usage = &state.table.usage;
        let told = Cell { view: &state.picture, service, hidden, context, usage };
        for (column, x, wide) in &columns {
            let in_tree = *column == Column::Service && state.table.in_tree();
            let before = if in_tree { prefix_width(row) } else { 0 };
            if in_tree {
                tree(pen, row, *x, y);
            }
            let room = wide.saturating_sub(before);
            let line = column.cell(&told, usize::from(room));
            let right =
                if column.layout().right { room - (line.width() as u16).min(room) } else { 0 };
            pen.line(x + before + right, y, room, &line);
        }
        if let Some(mark) = state.alarms.mark(&service.id) {
            pen.put(rows.x, y, 1, mark.sign, mark.role);
        }
        if state.marks.contains(&service.id) {
            pen.put(rows.x, y, 1, symbols::MARK, Role::Accent);
        }
        if i == state.table.cursor {
            let focus = matches!(state.page, Page::Fleet) && !state.problems.has_keys();
            let area = Rect::new(rows.x, y, rows.width, 1);
            pen.wash(area, if focus { Role::Selected } else { Role::SelectedDim });
        }
    }
    if state.table.rows.is_empty() {
        empty(pen, state, rows);
    }
}

/// Draws the hosts side by side; where there is no room for all, the last line counts the rest.
pub(super) fn draw_hosts(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let room = area.width.saturating_sub(2);
    let look = Look { width: Some(usize::from(room)), times: pen.times };
    let mut lines = by_host::comparison(&state.picture, &state.table.hosts, &look);
    let height = usize::from(area.height);
    if lines.len() > height {
        let more = lines.len() + 1 - height;
        lines.truncate(height.saturating_sub(1));
        lines.push(Line::new().with(Role::Dim, &format!("and {more} more hosts")));
    }
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        pen.line(area.x + 1, y, room, line);
    }
}

/// What stands before a name in the tree.
fn tree(pen: &mut Pen<'_>, row: &Row, mut x: u16, y: u16) {
    let [fork, last, pass] = symbols::TREE;
    let depth = row.depth.min(MAX_INDENT);
    for level in 1..=depth {
        let more = row.more >> level.min(63) & 1 == 1;
        let (sign, foot) = match (level == depth, more) {
            (true, true) => (fork, symbols::RULE),
            (true, false) => (last, symbols::RULE),
            (false, true) => (pass, " "),
            (false, false) => (" ", " "),
        };
        x += pen.put(x, y, 1, sign, Role::Border);
        x += pen.put(x, y, 1, foot, Role::Border);
    }
    if row.parent {
        pen.put(x, y, 1, symbols::FOLD[usize::from(row.hidden == 0)], Role::Text);
    }
}

fn empty(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let table = &state.table;
    let known = state.picture.services.len();
    let lines: Vec<String> = if known == 0 && state.link.is_up() {
        vec!["No services are known yet.".to_owned()]
    } else if known == 0 {
        vec!["Not connected, and no services are known yet.".to_owned()]
    } else if !table.filter.is_empty() || table.faults {
        let what = if table.faults { "No problems" } else { "No service matches" };
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
