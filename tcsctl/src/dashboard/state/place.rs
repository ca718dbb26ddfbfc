//! What stands where in a state, and what is under a place.

use ratatui::layout::Rect;
use tcs_present::text;

use super::overlay::{MENU, Overlay, Question};
use super::{Moment, Page, State};
use crate::dashboard::event::Spot;
use crate::dashboard::keymap::{Command, TABLE};
use crate::dashboard::layout::{self, Panes};

/// The frame of a question: its lines, a blank one, and the keys.
pub(super) fn dialog_of(size: (u16, u16), question: &Question) -> Rect {
    let lines = question.lines.len().min(usize::from(u16::MAX) - 5) as u16;
    layout::dialog(size, question.width, lines + 5)
}

impl State {
    /// The areas of the screen.
    pub fn panes(&self) -> Panes {
        let hosts = self.table.hosts.len();
        layout::panes(self.size, self.banner().is_some(), self.problems.wanted(), hosts)
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
                self.choices(line.text()).len().clamp(1, 12) as u16 + 4,
            )),
            Overlay::Menu { .. } => Some(layout::dialog(self.size, 62, MENU.len() as u16 + 2)),
            Overlay::Filter { .. }
            | Overlay::Search { .. }
            | Overlay::Confirm(_)
            | Overlay::Results { .. }
            | Overlay::Alarm(_)
            | Overlay::Work(_)
            | Overlay::Help { .. } => None,
        }
    }

    /// The frame of a question.
    pub fn confirm_dialog(&self, question: &Question) -> Rect {
        dialog_of(self.size, question)
    }

    /// Whether not all of the question's lines are seen at once.
    pub(super) fn is_question_long(&self) -> bool {
        matches!(&self.overlay, Some(Overlay::Confirm(question))
            if question.lines.len() + 4 > usize::from(dialog_of(self.size, question).height))
    }

    /// The frame of the results of an operation on several services.
    pub fn results_dialog(&self) -> Rect {
        let rows = self.batch.as_ref().map_or(0, |batch| batch.rows.len());
        layout::dialog(self.size, 110, (rows + 2).min(usize::from(u16::MAX)) as u16)
    }

    /// The key and the word of a command in the footer.
    pub fn footer_words(&self, command: Command) -> (String, &'static str) {
        let keymap = &self.options.keymap;
        let first = |command| keymap.keys_on(self.page, command).next().map(|key| key.to_string());
        let key = match command {
            // two keys that belong together
            Command::Earlier | Command::ZoomIn => {
                let other =
                    if command == Command::ZoomIn { Command::ZoomOut } else { Command::Later };
                let keys: Vec<_> = [command, other].into_iter().filter_map(first).collect();
                keys.join(" ")
            }
            command => first(command).unwrap_or_default(),
        };
        let short = match (command, self.page) {
            (Command::Open, Page::Fleet) if self.problems.has_keys() => "go to",
            (Command::Back, Page::Fleet) => "live",
            (Command::Open, Page::Timeline) => "go there",
            (Command::Back, _) => "back",
            (command, _) => command.entry().short,
        };
        (key, short)
    }

    /// Which commands stand in the footer: first and past-the-end column, and the command.
    pub fn footer(&self) -> Vec<(u16, u16, Command)> {
        let width = self.size.0;
        let back = self.page != Page::Fleet || matches!(self.moment, Moment::Past { .. });
        let first = back.then_some(Command::Back);
        let first =
            first.into_iter().chain((self.page == Page::Alarms).then_some(Command::Acknowledge));
        // those of the page come first
        let in_footer = TABLE.iter().filter(|entry| !entry.short.is_empty());
        let (own, others): (Vec<_>, Vec<_>) =
            in_footer.partition(|entry| entry.on.contains(&self.page));
        let wanted = own.into_iter().chain(others).map(|entry| entry.command);
        let has_key = |command| self.options.keymap.keys_on(self.page, command).next().is_some();
        // help and quit stay when there is no room for all
        let last = [Command::Help, Command::Quit];
        let cells = |command: Command| {
            let (key, short) = self.footer_words(command);
            (text::width(&key) + 1 + short.len()) as u16
        };
        let kept: u16 = last.iter().map(|command| cells(*command) + 2).sum();
        let mut x = 1;
        let mut out: Vec<(u16, u16, Command)> = Vec::new();
        for command in first.chain(wanted.filter(|command| !last.contains(command))) {
            let wide = cells(command);
            let there = command == Command::Open && self.page == Page::Detail
                || command == Command::Logs && matches!(self.page, Page::Logs | Page::Alarms)
                || command == Command::Events && self.page == Page::Events
                || command == Command::Timeline && self.page == Page::Timeline;
            let is_twice = out.iter().any(|(_, _, before)| *before == command);
            if there || is_twice || !self.is_valid(command) || !has_key(command) {
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
            if has_key(command) && x + wide <= width {
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
        if inside(panes.page) && self.page == Page::Alarms {
            let line = usize::from(y - panes.page.y);
            let row = line.max(1) - 1 + self.alarms.offset;
            let is_row = (1..=self.alarm_rows()).contains(&line) && row < self.alarms.views.len();
            return if is_row { Spot::Alarm(row) } else { Spot::Nothing };
        }
        if inside(panes.page) && self.page == Page::Timeline {
            return self.timeline_hit(x, y - panes.page.y);
        }
        if inside(panes.page) && matches!(self.page, Page::Logs | Page::Events | Page::Why) {
            return Spot::Lower;
        }
        if panes.detail.is_some_and(|(_, area)| inside(area))
            || (self.page == Page::Detail && !self.is_wide() && inside(panes.page))
        {
            return Spot::Detail;
        }
        if inside(panes.titles) {
            return layout::columns(panes.titles.width, self.table.longest, self.table.shows_usage)
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
            let is_service = self.table.rows.get(row).is_some_and(|row| row.heading.is_none());
            return if is_service { Spot::Row(row) } else { Spot::Nothing };
        }
        if panes.lower.is_some_and(|(_, area)| inside(area)) {
            return Spot::Lower;
        }
        Spot::Nothing
    }
}
