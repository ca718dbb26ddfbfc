//! What stands where in a state, and what is under a place.

use ratatui::layout::Rect;
use tcs_present::text;

use super::overlay::{MENU, Overlay, found};
use super::{Moment, Page, State};
use crate::dashboard::event::Spot;
use crate::dashboard::keymap::{Command, TABLE};
use crate::dashboard::layout::{self, Panes};

impl State {
    /// The areas of the screen.
    pub fn panes(&self) -> Panes {
        layout::panes(self.size, self.banner().is_some(), self.problems.wanted())
    }

    /// Whether the detail stands beside the table.
    pub fn is_wide(&self) -> bool {
        layout::is_wide(self.size)
    }

    /// Rows of the table on the screen.
    pub fn rows(&self) -> usize {
        usize::from(self.panes().rows.height)
    }

    /// Lines of a page on the screen, below its title.
    pub fn page_rows(&self) -> usize {
        usize::from(self.panes().page.height.saturating_sub(1))
    }

    /// The frame of the list in front, if one is: palette or menu.
    pub fn list_dialog(&self) -> Option<Rect> {
        match self.overlay.as_ref()? {
            Overlay::Palette { line, .. } => Some(layout::dialog(
                self.size,
                76,
                found(line.text()).len().clamp(1, 12) as u16 + 4,
            )),
            Overlay::Menu { .. } => Some(layout::dialog(self.size, 62, MENU.len() as u16 + 2)),
            Overlay::Filter { .. } | Overlay::Confirm { .. } | Overlay::Help { .. } => None,
        }
    }

    /// The key and the word of a command in the footer.
    pub fn footer_words(&self, command: Command) -> (String, &'static str) {
        let key = match command {
            // two keys that belong together
            Command::Earlier => [Command::Earlier, Command::Later]
                .map(|command| self.options.keymap.keys(command).first().map(ToString::to_string))
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" "),
            command => self
                .options
                .keymap
                .keys(command)
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
        };
        let short = match (command, self.page) {
            (Command::Open, Page::Fleet) if self.problems.has_keys() => "go to",
            (Command::Back, Page::Fleet) => "live",
            (Command::Back, Page::Detail | Page::Logs | Page::Events) => "back",
            (command, _) => command.entry().short,
        };
        (key, short)
    }

    /// Which commands stand in the footer: first and past-the-end column, and the command.
    pub fn footer(&self) -> Vec<(u16, u16, Command)> {
        let width = self.size.0;
        let back = self.page != Page::Fleet || matches!(self.moment, Moment::Past { .. });
        let first = back.then_some(Command::Back);
        let wanted =
            TABLE.iter().filter(|entry| !entry.short.is_empty()).map(|entry| entry.command);
        // help and quit stay when there is no room for all
        let last = [Command::Help, Command::Quit];
        let cells = |command: Command| {
            let (key, short) = self.footer_words(command);
            (text::width(&key) + 1 + short.len()) as u16
        };
        let kept: u16 = last.iter().map(|command| cells(*command) + 2).sum();
        let mut x = 1;
        let mut out = Vec::new();
        for command in first.into_iter().chain(wanted.filter(|command| !last.contains(command))) {
            let wide = cells(command);
            let there = command == Command::Open && self.page == Page::Detail
                || command == Command::Logs && self.page == Page::Logs
                || command == Command::Events && self.page == Page::Events;
            if there || !self.is_valid(command) || self.options.keymap.keys(command).is_empty() {
                continue;
            }
            if x + wide + 2 + kept > width {
                break;
            }
            out.push((x, x + wide, command));
            x += wide + 2;
        }
        for command in last {
            let wide = cells(command);
            if !self.options.keymap.keys(command).is_empty() && x + wide <= width {
                out.push((x, x + wide, command));
                x += wide + 2;
            }
        }
        out
    }

    /// What is at this place.
    pub fn hit(&self, x: u16, y: u16) -> Spot {
        let inside = |area: Rect| area.contains((x, y).into());
        if self.overlay.is_some() {
            return match (self.list_dialog(), &self.overlay) {
                (Some(frame), Some(Overlay::Palette { choice, .. })) if inside(frame) => {
                    let rows = usize::from(frame.height.saturating_sub(4));
                    match y.checked_sub(frame.y + 3) {
                        Some(row) if usize::from(row) < rows => {
                            Spot::Choice(usize::from(row) + layout::list_offset(*choice, rows))
                        }
                        _ => Spot::Nothing,
                    }
                }
                (Some(frame), Some(Overlay::Menu { .. })) if inside(frame) => {
                    match y.checked_sub(frame.y + 1) {
                        Some(row) if usize::from(row) < MENU.len() => {
                            Spot::Choice(usize::from(row))
                        }
                        _ => Spot::Nothing,
                    }
                }
                _ => Spot::Nothing,
            };
        }
        let panes = self.panes();
        if inside(panes.footer) {
            let places = self.footer();
            let place = places.into_iter().find(|(from, to, _)| (*from..*to).contains(&x));
            return place.map_or(Spot::Nothing, |(_, _, command)| Spot::Command(command));
        }
        if inside(panes.page) && matches!(self.page, Page::Logs | Page::Events) {
            return Spot::Lower;
        }
        if panes.detail.is_some_and(|(_, area)| inside(area))
            || (self.page == Page::Detail && !self.is_wide() && inside(panes.page))
        {
            return Spot::Detail;
        }
        if inside(panes.titles) {
            return layout::columns(panes.titles.width, self.table.longest)
                .into_iter()
                .find(|(_, from, wide)| (*from..from + wide).contains(&x))
                .map_or(Spot::Nothing, |(column, ..)| Spot::Title(column));
        }
        if let Some(area) = panes.problems.filter(|area| inside(*area)) {
            if self.problems.folded {
                return Spot::Command(Command::Problems);
            }
            let line = usize::from(y - area.y);
            let is_row = line < self.problems.seen(usize::from(area.height));
            let spot = Spot::Problem(line + self.problems.offset);
            return if is_row { spot } else { Spot::Nothing };
        }
        if inside(panes.rows) {
            let row = usize::from(y - panes.rows.y) + self.table.offset;
            return if row < self.table.rows.len() { Spot::Row(row) } else { Spot::Nothing };
        }
        if panes.lower.is_some_and(|(_, area)| inside(area)) {
            return Spot::Lower;
        }
        Spot::Nothing
    }
}
