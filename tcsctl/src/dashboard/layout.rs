//! What stands where on a screen of a size.

use ratatui::layout::Rect;
use tcs_present::columns::{Column, Width};
use tcs_present::problems::third;

/// Smaller terminals get a request to be made larger.
pub const LEAST: (u16, u16) = (40, 10);
/// From this width on, in columns, the detail stands beside the table.
const WIDE: u16 = 120;

/// From this width of the table on, in cells, the reported status has room beside the verdict.
const WITH_STATUS: u16 = 104;
/// From this width of the table on, in cells, a message has room beside the resource usage.
const WITH_MESSAGE: u16 = 96;
/// The least width of that message.
const LEAST_MESSAGE: u16 = 12;
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
    /// What is wrong, a line each.
    pub problems: Option<Rect>,
    /// Hosts side by side, a line each below their titles.
    pub hosts: Option<Rect>,
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
pub const fn is_wide((width, _): (u16, u16)) -> bool {
    width >= WIDE
}

/// The areas for a size, with or without a banner, with so many problems and hosts.
pub fn panes(size: (u16, u16), has_banner: bool, problems: usize, hosts: usize) -> Panes {
    let (width, height) = size;
    let line = |y: u16, lines: u16| Rect::new(0, y, width, lines.min(height.saturating_sub(y)));
    let header = line(0, if height >= 14 { 2 } else { 1 });
    let mut top = header.height;
    let banner = has_banner.then(|| {
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
    let right = if is_wide(size) { (width / 3).clamp(LEAST_PANE, spare) } else { 0 };
    let left = width - right;
    let block = problems.min(third(usize::from(body))) as u16;
    let problems = (block > 0).then(|| Rect::new(0, top, left, block));
    let compared = if hosts > 0 { (hosts + 1).min(third(usize::from(body))) as u16 } else { 0 };
    let hosts = (compared > 0).then(|| Rect::new(0, top + block, left, compared));
    let above = block + compared;
    let table = top + above;
    let detail = (right > 0)
        .then(|| (Rect::new(left, top, 1, body), Rect::new(left + 1, top, right - 1, body)));
    Panes {
        header,
        banner,
        problems,
        hosts,
        titles: Rect::new(0, table, left, 1.min(body)),
        rows: Rect::new(0, table + 1, left, body.saturating_sub(above + 1)),
        detail,
        lower,
        page,
        footer,
    }
}

/// Which columns there is room for, with place and width: those of what services use, or the others.
pub fn columns(width: u16, longest: (u16, u16), usage: bool) -> Vec<(Column, u16, u16)> {
    const GAP: u16 = 2;
    let has_room = |column: &Column| {
        let from = column.layout().from_width;
        // figures have fixed widths, the message what is left
        let from = if usage && *column == Column::Message { WITH_MESSAGE } else { from };
        column.is_shown(usage) && width >= from
    };
    let shown: Vec<Column> = Column::ALL.into_iter().filter(has_room).collect();
    let wanted = |column: Column| match column.layout().width {
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
    // the message has at least half of what is left, where it needs it; beside figures it is the
    // name that counts
    let most = if usage { free.saturating_sub(LEAST_MESSAGE) } else { free * 11 / 20 };
    let service = if has_message { wanted(Column::Service).min(most.max(16)) } else { free };
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
pub fn dialog((w, h): (u16, u16), width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(w.saturating_sub(2)), height.min(h.saturating_sub(2)));
    Rect::new((w - width) / 2, (h.saturating_sub(height)) / 3, width, height)
}

/// First line shown of a list of which `choice` is to be seen.
pub fn list_offset(choice: usize, height: usize) -> usize {
    (choice + 1).saturating_sub(height)
}
