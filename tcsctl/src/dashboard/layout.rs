//! What stands where: the panes for a size, and what is under a place.

use ratatui::layout::Rect;
use tcs_present::columns::{Column, Width};

use super::event::Spot;
use super::keymap::{Group, TABLE};
use super::state::overlay::{MENU, Overlay, found};
use super::state::{Page, State};
use super::view::{self, footer};

/// Smaller terminals get a request to be made larger.
pub const LEAST: (u16, u16) = (40, 10);
/// From so many columns on the detail stands beside the table.
const WIDE: u16 = 120;

/// From so many cells of the table on the status that a service reports has room beside its
/// verdict.
const WITH_STATUS: u16 = 104;
/// `◐ degraded (warning)`
const VERDICT_AND_STATUS: u16 = 20;

/// What the table has use for before the detail beside it gets more than it needs.
const TABLE_WIDTH: u16 = 128;
const LEAST_PANE: u16 = 46;

/// The areas of one screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panes {
    /// One or two lines.
    pub header: Rect,
    /// A line that says that something is not as usual.
    pub banner: Option<Rect>,
    /// The columns' titles.
    pub titles: Rect,
    /// The table's rows.
    pub rows: Rect,
    /// A vertical line, and right of it the detail.
    pub detail: Option<(Rect, Rect)>,
    /// A horizontal line, and below it the newest events.
    pub lower: Option<(Rect, Rect)>,
    /// All between header and footer, for the pages without a table.
    pub page: Rect,
    /// The keys.
    pub footer: Rect,
}

/// Whether the detail stands beside the table.
pub fn is_wide(state: &State) -> bool {
    state.size.0 >= WIDE
}

/// The areas for the state's size.
pub fn panes(state: &State) -> Panes {
    let (width, height) = state.size;
    let line = |y: u16, lines: u16| Rect::new(0, y, width, lines.min(height.saturating_sub(y)));
    let header = line(0, if height >= 14 { 2 } else { 1 });
    let mut top = header.height;
    let banner = state.banner().map(|_| {
        top += 1;
        line(top - 1, 1)
    });
    let footer = line(height.saturating_sub(1), 1);
    let page = line(top, footer.y.saturating_sub(top));
    let events = match page.height {
        0..16 => 0,
        16..26 => 4,
        26..40 => 6,
        40.. => 10,
    };
    let lower = (events > 0).then(|| {
        let y = footer.y - events;
        (line(y - 1, 1), line(y, events))
    });
    let bottom = lower.map_or(footer.y, |(rule, _)| rule.y);
    let body = bottom.saturating_sub(top);
    // the pane gives way first
    let spare = width.saturating_sub(TABLE_WIDTH).clamp(LEAST_PANE, 80);
    let right = if is_wide(state) { (width / 3).clamp(LEAST_PANE, spare) } else { 0 };
    let left = width - right;
    let detail = (right > 0)
        .then(|| (Rect::new(left, top, 1, body), Rect::new(left + 1, top, right - 1, body)));
    Panes {
        header,
        banner,
        titles: Rect::new(0, top, left, 1.min(body)),
        rows: Rect::new(0, top + 1, left, body.saturating_sub(1)),
        detail,
        lower,
        page,
        footer,
    }
}

/// Rows of the table on the screen.
pub fn rows(state: &State) -> usize {
    usize::from(panes(state).rows.height)
}

/// Lines of a page on the screen, below its title.
pub fn page_rows(state: &State) -> usize {
    usize::from(panes(state).page.height.saturating_sub(1))
}

/// How far the detail can be scrolled: until its last line is seen.
pub fn detail_reach(state: &State) -> usize {
    let panes = panes(state);
    let area = panes.detail.map_or(panes.page, |(_, area)| area);
    view::detail::reach(view::detail::length(state, area), area)
}

/// Lines of the help page.
pub fn help_lines() -> usize {
    TABLE.len() + Group::ALL.len() * 2 + view::help::LEGEND
}

/// Which columns there is room for, with place and width.
pub fn columns(width: u16, longest: (u16, u16)) -> Vec<(Column, u16, u16)> {
    const GAP: u16 = 2;
    let shown: Vec<Column> =
        Column::ALL.into_iter().filter(|column| width >= column.from_width()).collect();
    let wanted = |column: Column| match column.width() {
        Width::Fixed(least) if column == Column::Verdict && width >= WITH_STATUS => {
            least.max(VERDICT_AND_STATUS)
        }
        Width::Fixed(width) => width,
        Width::Content(least, most) => {
            let content = if column == Column::Host { longest.1 } else { longest.0 };
            content.clamp(least, most)
        }
        Width::Rest => 0,
    };
    let gaps = GAP * (shown.len() as u16).saturating_sub(1) + 1;
    let fixed: u16 = shown.iter().filter(|c| **c != Column::Service).map(|c| wanted(*c)).sum();
    let free = width.saturating_sub(fixed + gaps);
    let has_message = shown.contains(&Column::Message);
    // the message has at least half of what is left, where it needs it
    let service =
        if has_message { wanted(Column::Service).min((free * 11 / 20).max(16)) } else { free };
    let mut x = 1;
    shown
        .into_iter()
        .map(|column| {
            let wide = match column {
                Column::Service => service,
                Column::Message => free.saturating_sub(service),
                column => wanted(column),
            };
            let place = (column, x, wide);
            x += wide + GAP;
            place
        })
        .collect()
}

/// A frame in the middle of the screen.
pub fn dialog(state: &State, width: u16, height: u16) -> Rect {
    let (w, h) = state.size;
    let (width, height) = (width.min(w.saturating_sub(2)), height.min(h.saturating_sub(2)));
    Rect::new((w - width) / 2, (h.saturating_sub(height)) / 3, width, height)
}

/// The frame of the list in front, if one is: palette or menu.
pub fn list_dialog(state: &State) -> Option<Rect> {
    match state.overlay.as_ref()? {
        Overlay::Palette { line, .. } => {
            Some(dialog(state, 76, found(line.text()).len().clamp(1, 12) as u16 + 4))
        }
        Overlay::Menu { .. } => Some(dialog(state, 62, MENU.len() as u16 + 2)),
        Overlay::Filter { .. } | Overlay::Confirm { .. } | Overlay::Help { .. } => None,
    }
}

/// First line shown of a list of which `choice` is to be seen.
pub fn list_offset(choice: usize, height: usize) -> usize {
    (choice + 1).saturating_sub(height)
}

/// What is at this place.
pub fn hit(state: &State, x: u16, y: u16) -> Spot {
    let inside = |area: Rect| area.contains((x, y).into());
    if state.overlay.is_some() {
        return match (list_dialog(state), &state.overlay) {
            (Some(frame), Some(Overlay::Palette { choice, .. })) if inside(frame) => {
                let rows = usize::from(frame.height.saturating_sub(4));
                match y.checked_sub(frame.y + 3) {
                    Some(row) if usize::from(row) < rows => {
                        Spot::Choice(usize::from(row) + list_offset(*choice, rows))
                    }
                    _ => Spot::Nothing,
                }
            }
            (Some(frame), Some(Overlay::Menu { .. })) if inside(frame) => {
                match y.checked_sub(frame.y + 1) {
                    Some(row) if usize::from(row) < MENU.len() => Spot::Choice(usize::from(row)),
                    _ => Spot::Nothing,
                }
            }
            _ => Spot::Nothing,
        };
    }
    let panes = panes(state);
    if inside(panes.footer) {
        let places = footer::places(state);
        let place = places.into_iter().find(|(from, to, _)| (*from..*to).contains(&x));
        return place.map_or(Spot::Nothing, |(_, _, command)| Spot::Command(command));
    }
    if inside(panes.page) && matches!(state.page, Page::Logs | Page::Events) {
        return Spot::Lower;
    }
    if panes.detail.is_some_and(|(_, area)| inside(area))
        || (state.page == Page::Detail && !is_wide(state) && inside(panes.page))
    {
        return Spot::Detail;
    }
    if inside(panes.titles) {
        return columns(panes.titles.width, state.table.longest)
            .into_iter()
            .find(|(_, from, wide)| (*from..from + wide).contains(&x))
            .map_or(Spot::Nothing, |(column, ..)| Spot::Title(column));
    }
    if inside(panes.rows) {
        let row = usize::from(y - panes.rows.y) + state.table.offset;
        return if row < state.table.rows.len() { Spot::Row(row) } else { Spot::Nothing };
    }
    if panes.lower.is_some_and(|(_, area)| inside(area)) {
        return Spot::Lower;
    }
    Spot::Nothing
}
