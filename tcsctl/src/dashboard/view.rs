//! Draws the state. Nothing here changes anything, and nothing here knows a colour: what a thing
//! is ([`Role`]) becomes a style in the theme.

mod alarms;
mod banner;
mod confirm;
mod detail;
mod difference;
mod events;
mod footer;
mod header;
mod help;
mod logs;
mod menu;
mod palette;
mod pen;
mod problems;
mod results;
mod table;
mod timeline;
mod why;
mod work;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tcs_present::{Role, symbols::TEE};

use super::layout::LEAST;
use super::state::overlay::Overlay;
use super::state::{Page, State};
use pen::Pen;

/// Draws all of it. `buffer` must have the state's size.
pub fn draw(state: &State, buffer: &mut Buffer) {
    let mut pen = Pen::new(state, buffer);
    pen.buffer.set_style(pen.buffer.area, pen.theme.ground());
    let (width, height) = state.size;
    if width < LEAST.0 || height < LEAST.1 {
        let text = format!("{width}x{height} is too small: {}x{} at least", LEAST.0, LEAST.1);
        pen.put(0, 0, width, &text, Role::Text);
        pen.put(0, 1, width, "(q quits)", Role::Dim);
        return;
    }
    let panes = state.panes();
    header::draw(&mut pen, state, panes.header);
    if let Some(area) = panes.banner {
        banner::draw(&mut pen, state, area);
    }
    match state.page {
        Page::Logs => logs::draw(&mut pen, state, panes.page),
        Page::Events => events::draw_page(&mut pen, state, panes.page),
        Page::Alarms => alarms::draw_page(&mut pen, state, panes.page),
        Page::Why => why::draw(&mut pen, state, panes.page),
        Page::Timeline => timeline::draw(&mut pen, state, panes.page),
        Page::Detail if panes.detail.is_none() => detail::draw(&mut pen, state, panes.page, true),
        Page::Fleet | Page::Detail => {
            if let Some(area) = panes.problems {
                problems::draw(&mut pen, state, area);
            }
            if let Some(area) = panes.hosts {
                table::draw_hosts(&mut pen, state, area);
            }
            table::draw(&mut pen, state, panes.titles, panes.rows);
            if let Some((line, area)) = panes.detail {
                pen.column(line, Role::Border);
                detail::draw(&mut pen, state, area, state.page == Page::Detail);
            }
            if let Some((rule, area)) = panes.lower {
                pen.rule(rule, "events", Role::Border);
                if let Some((line, _)) = panes.detail {
                    pen.put(line.x, rule.y, 1, TEE, Role::Border);
                }
                let is_narrow = panes.detail.is_none();
                let area =
                    if is_narrow { events::draw_usage(&mut pen, state, rule, area) } else { area };
                events::draw_newest(&mut pen, state, area);
            }
        }
    }
    difference::draw(&mut pen, state, &panes);
    notice(&mut pen, state, panes.footer);
    footer::draw(&mut pen, state, panes.footer);
    match &state.overlay {
        Some(Overlay::Filter { .. } | Overlay::Search { .. }) | None => {}
        Some(Overlay::Palette { line, choice }) => palette::draw(&mut pen, state, line, *choice),
        Some(Overlay::Menu { choice }) => menu::draw(&mut pen, state, *choice),
        Some(Overlay::Work(dialog)) => work::draw(&mut pen, state, dialog),
        Some(Overlay::Confirm(question)) => confirm::draw(&mut pen, state, question),
        Some(Overlay::Results { scrolled }) => results::draw(&mut pen, state, *scrolled),
        Some(Overlay::Alarm(dialog)) => alarms::draw_dialog(&mut pen, state, dialog),
        Some(Overlay::Help { scrolled }) => help::draw(&mut pen, state, *scrolled),
    }
}

/// The line for a few seconds, above the keys.
fn notice(pen: &mut Pen<'_>, state: &State, footer: Rect) {
    let Some(notice) = state.notice() else { return };
    let area = Rect::new(0, footer.y.saturating_sub(1), footer.width, 1);
    pen.clear(area);
    let role = if notice.bad { Role::Warn } else { Role::Accent };
    let mark = if notice.bad { "! " } else { "> " };
    let used = pen.put(1, area.y, 2, mark, role);
    pen.put(1 + used, area.y, area.width.saturating_sub(2 + used), &notice.text, role);
}
