//! Writes text into the buffer. The only way from a text to the screen: whatever it holds, nothing
//! in it acts on the terminal, and nothing reaches beyond its room.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tcs_present::{Line, Role, Times, symbols, text};
use unicode_width::UnicodeWidthChar;

use crate::dashboard::state::State;
use crate::dashboard::theme::Theme;

/// A buffer, and how things look in it.
pub(super) struct Pen<'a> {
    /// Where it is written.
    pub(super) buffer: &'a mut Buffer,
    /// How roles look.
    pub(super) theme: Theme,
    /// ASCII alone.
    pub(super) ascii: bool,
    /// How times are written.
    pub(super) times: Times,
}

/// Marks that sit on one character; more are left out.
const MOST_MARKS: usize = 4;

impl<'a> Pen<'a> {
    /// As the state wants things to look.
    pub(super) fn new(state: &State, buffer: &'a mut Buffer) -> Self {
        Self {
            buffer,
            theme: Theme { name: state.theme, colour: state.options.colour },
            ascii: state.options.ascii,
            times: state.options.times,
        }
    }

    /// Writes `text` from `x` on into at most `room` cells; what is cut ends in an ellipsis. Returns
    /// the cells used.
    pub(super) fn put(&mut self, x: u16, y: u16, room: u16, text: &str, role: Role) -> u16 {
        let area = self.buffer.area;
        if y >= area.bottom() || x >= area.right() || room == 0 {
            return 0;
        }
        let room = usize::from(room.min(area.right() - x));
        // four times the room holds any sane text; a megabyte is not looked at
        let text = head_bytes(text, room * 16 + 64);
        let shown = text::shown(text);
        let wide = text::width(&shown);
        let cut;
        let kept = if wide > room {
            cut = format!("{}{}", text::head(&shown, room - 1), symbols::ELLIPSIS);
            &*cut
        } else {
            &*shown
        };
        let kept = if self.ascii { text::ascii(kept) } else { Cow::Borrowed(kept) };
        let style = self.theme.style(role);
        let mut at = x;
        let mut marks = 0;
        let mut last = None;
        for c in kept.chars() {
            match c.width().unwrap_or(0) {
                0 => {
                    marks += 1;
                    if let Some(last) = last.filter(|_| marks <= MOST_MARKS) {
                        let cell = &mut self.buffer[(last, y)];
                        let symbol = format!("{}{c}", cell.symbol());
                        cell.set_symbol(&symbol);
                    }
                }
                wide => {
                    marks = 0;
                    self.buffer[(at, y)].set_char(c).set_style(style);
                    for hidden in 1..wide as u16 {
                        self.buffer[(at + hidden, y)].set_char(' ').set_style(style);
                    }
                    last = Some(at);
                    at += wide as u16;
                }
            }
        }
        at - x
    }

    /// [`Pen::put`] at the right end of the room.
    pub(super) fn put_right(&mut self, x: u16, y: u16, room: u16, text: &str, role: Role) -> u16 {
        let wide = text::width(&text::shown(head_bytes(text, 4096))).min(usize::from(room)) as u16;
        self.put(x + room - wide, y, wide, text, role)
    }

    /// Writes a line of several roles; returns the cells used.
    pub(super) fn line(&mut self, x: u16, y: u16, room: u16, line: &Line) -> u16 {
        let line = line.clone().cut(usize::from(room));
        line.spans().fold(0, |used, (text, role)| used + self.put(x + used, y, room, text, role))
    }

    /// Lays a style over an area.
    pub(super) fn wash(&mut self, area: Rect, role: Role) {
        let style = self.theme.style(role);
        self.buffer.set_style(area, style);
    }

    /// Empties an area.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        let ground = self.theme.ground();
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                let cell = &mut self.buffer[(x, y)];
                cell.reset();
                cell.set_style(ground);
            }
        }
    }

    /// A horizontal line with a title in it.
    pub(super) fn rule(&mut self, area: Rect, title: &str, role: Role) {
        for x in area.left()..area.right() {
            self.put(x, area.y, 1, symbols::RULE, role);
        }
        if !title.is_empty() {
            let title = format!(" {title} ");
            self.put(area.x + 1, area.y, area.width.saturating_sub(2), &title, Role::Title);
        }
    }

    /// A vertical line.
    pub(super) fn column(&mut self, area: Rect, role: Role) {
        for y in area.top()..area.bottom() {
            self.put(area.x, y, 1, symbols::BAR, role);
        }
    }

    /// An empty frame with a title; returns what is inside.
    pub(super) fn frame(&mut self, area: Rect, title: &str, role: Role) -> Rect {
        self.clear(area);
        let [top_left, top_right, bottom_left, bottom_right] = symbols::CORNERS;
        let (right, bottom) = (area.right().saturating_sub(1), area.bottom().saturating_sub(1));
        for x in area.left()..area.right() {
            self.put(x, area.y, 1, symbols::RULE, role);
            self.put(x, bottom, 1, symbols::RULE, role);
        }
        for y in area.top()..area.bottom() {
            self.put(area.x, y, 1, symbols::BAR, role);
            self.put(right, y, 1, symbols::BAR, role);
        }
        self.put(area.x, area.y, 1, top_left, role);
        self.put(right, area.y, 1, top_right, role);
        self.put(area.x, bottom, 1, bottom_left, role);
        self.put(right, bottom, 1, bottom_right, role);
        let title = format!(" {title} ");
        self.put(area.x + 2, area.y, area.width.saturating_sub(4), &title, Role::Strong);
        Rect::new(
            area.x + 2,
            area.y + 1,
            area.width.saturating_sub(4),
            area.height.saturating_sub(2),
        )
    }
}

/// The beginning of a text, at most so many bytes.
fn head_bytes(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
