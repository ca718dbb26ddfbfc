//! Keys and commands: what each does to the state.

use std::sync::Arc;

use tcs_core::fleet::Filter;

use super::history::Shown;
use super::overlay::{Line, MENU, Overlay, found};
use super::{Page, Stale, State, launcher_of};
use crate::dashboard::event::{Action, Operation};
use crate::dashboard::key::{Code, Key};
use crate::dashboard::keymap::{Command, When};
use crate::dashboard::state::Moment;
use chrono::TimeDelta;
use tcs_present::columns::Column;

impl State {
    pub(super) fn key(&mut self, key: Key) -> Vec<Action> {
        // Esc and a quick key after it come as one over a slow link
        if key.alt && self.options.keymap.command(key).is_none() {
            let mut actions = self.key(Key::plain(Code::Esc));
            // the second is for what the first one has shown
            self.settle(self.now);
            actions.extend(self.key(Key { alt: false, ..key }));
            return actions;
        }
        if self.overlay.is_some() {
            return self.overlay_key(key);
        }
        match self.options.keymap.command(key) {
            Some(command) => self.command(command),
            None => Vec::new(),
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        match &mut self.overlay {
            Some(Overlay::Filter { line, .. } | Overlay::Palette { line, .. }) => {
                line.insert(text);
                self.apply_typed_filter();
            }
            Some(Overlay::Menu { .. } | Overlay::Confirm { .. } | Overlay::Help { .. }) | None => {}
        }
    }

    /// Does a command, or says why it cannot be done here.
    pub(super) fn command(&mut self, command: Command) -> Vec<Action> {
        if !self.is_valid(command) {
            let why = match command.entry().when {
                When::Operate if self.options.read_only => {
                    "read-only: start, stop and restart are disabled"
                }
                When::Operate if !matches!(self.moment, Moment::Live) => {
                    "the past is shown: Esc returns to the present"
                }
                When::Operate | When::Chosen => "no service selected",
                When::Logs => "only on the logs page",
                When::Always => return Vec::new(),
            };
            self.tell(why, true);
            return Vec::new();
        }
        if matches!(command.entry().when, When::Chosen | When::Operate) {
            self.table.pin();
        }
        match command {
            Command::Up => self.go(-1),
            Command::Down => self.go(1),
            Command::PageUp => self.go(-(self.page_step().cast_signed())),
            Command::PageDown => self.go(self.page_step().cast_signed()),
            Command::Top => self.go(isize::MIN + 1),
            Command::Bottom => self.go(isize::MAX),
            Command::NextFault => {
                self.next_problem();
                self.scrolled = 0;
            }
            Command::Problems => self.fold_problems(),
            Command::Open if self.page == Page::Fleet && self.problems.has_keys() => {
                self.enter_table();
            }
            Command::Open => self.open(Page::Detail),
            Command::Back => return self.back(),
            Command::Fold => self.table.fold(&self.picture, self.rows()),
            Command::Unfold => self.table.unfold(&self.picture, self.rows()),
            Command::FoldAll => self.table.fold_all(&self.picture, self.rows()),
            Command::Filter => {
                self.overlay = Some(Overlay::Filter {
                    line: Line::new(self.table.filter.text()),
                    before: self.table.filter.clone(),
                    error: None,
                });
                self.leave_page();
            }
            Command::Faults if self.page == Page::Events => {
                self.shown_events.toggle(Shown::Problems);
                self.scrolled = 0;
            }
            Command::All if self.page == Page::Events => {
                self.shown_events.toggle(Shown::All);
                self.scrolled = 0;
            }
            Command::Faults => {
                self.table.faults = !self.table.faults;
                self.leave_page();
            }
            Command::All => {
                self.table.all = !self.table.all;
                self.leave_page();
            }
            Command::Sort => {
                let mut after = Column::ALL.into_iter().cycle();
                after.find(|column| *column == self.table.sort);
                let next = after.find(|column| column.layout().sorts);
                self.table.reverse = false;
                self.sort_by(next.unwrap_or(Column::Verdict));
            }
            Command::Reverse => self.sort_by(self.table.sort),
            Command::Logs => return self.open_logs(),
            Command::Events => self.open(Page::Events),
            Command::Wrap => self.logs.wrap = !self.logs.wrap,
            Command::Restart => self.ask(Operation::Restart),
            Command::Stop => self.ask(Operation::Stop),
            Command::Start => self.ask(Operation::Start),
            Command::Actions => self.overlay = Some(Overlay::Menu { choice: 0 }),
            Command::Pause => self.pause(),
            Command::Earlier => return self.travel(TimeDelta::seconds(-10)),
            Command::Later => return self.travel(TimeDelta::seconds(10)),
            Command::EarlierEvent => return self.travel_to_event(true),
            Command::LaterEvent => return self.travel_to_event(false),
            Command::Copy => return self.copy(),
            Command::CopyCommand => {
                let line = self.command_line();
                self.tell(format!("copied: {line}"), false);
                return vec![Action::Copy(line)];
            }
            Command::Theme => {
                self.theme = self.theme.next();
                self.tell(format!("theme {}", self.theme.as_str()), false);
            }
            Command::Mouse => {
                self.mouse = !self.mouse;
                let text = if self.mouse { "mouse support is on" } else { "mouse support is off" };
                self.tell(text, false);
                return vec![Action::Mouse(self.mouse)];
            }
            Command::Dump => match crate::output::json_text(self) {
                Ok(text) => return vec![Action::Save(text)],
                Err(error) => self.tell(format!("not written: {error}"), true),
            },
            Command::Redraw => return vec![Action::Redraw],
            Command::Palette => {
                self.overlay = Some(Overlay::Palette { line: Line::default(), choice: 0 });
            }
            Command::Help => self.overlay = Some(Overlay::Help { scrolled: 0 }),
            Command::Suspend => return vec![Action::Suspend],
            Command::Quit => return vec![Action::Quit],
        }
        Vec::new()
    }

    /// Moves in whatever has the keys.
    pub(super) fn go(&mut self, by: isize) {
        match self.page {
            Page::Fleet => {
                self.step(by);
                self.scrolled = 0;
            }
            Page::Detail => self.scroll(by),
            // newest at the bottom: up is back in time
            Page::Logs | Page::Events => self.scroll(by.saturating_neg()),
        }
    }

    pub(super) fn scroll(&mut self, by: isize) {
        let page = self.page_step();
        let most = match self.page {
            Page::Fleet | Page::Detail => self.detail_reach(),
            Page::Logs => self.logs.lines.len().saturating_sub(page),
            Page::Events => self.events().count().saturating_sub(page),
        };
        // what is shown may have become shorter since
        self.scrolled = self.scrolled.min(most).saturating_add_signed(by).min(most);
    }

    fn page_step(&self) -> usize {
        match self.page {
            Page::Fleet => self.rows().saturating_sub(1).max(1),
            Page::Detail | Page::Logs | Page::Events => self.page_rows().max(1),
        }
    }

    fn open(&mut self, page: Page) {
        self.page = if self.page == page { Page::Fleet } else { page };
        self.scrolled = 0;
    }

    fn leave_page(&mut self) {
        if matches!(self.page, Page::Logs | Page::Events) || !self.is_wide() {
            self.page = Page::Fleet;
        }
        self.problems.focus = false;
        self.stale = Stale::Now;
    }

    fn open_logs(&mut self) -> Vec<Action> {
        if self.page == Page::Logs {
            return self.back();
        }
        let Some(service) = self.chosen() else { return Vec::new() };
        let (id, launcher) = (Arc::clone(&service.id), launcher_of(service));
        self.page = Page::Logs;
        self.scrolled = 0;
        self.logs.open(Arc::clone(&id));
        vec![Action::FetchLogs { service: id, launcher }]
    }

    /// Closes whatever is most in front; at last returns to the present, to all, and stays there.
    fn back(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.page == Page::Logs {
            self.logs.close();
            actions.push(Action::DropLogs);
        }
        if self.notice.take().is_some_and(|notice| notice.bad) {
        } else if self.page != Page::Fleet {
            self.page = Page::Fleet;
            self.scrolled = 0;
        } else if !matches!(self.moment, Moment::Live) {
            self.live();
        } else if !self.table.filter.is_empty() || self.table.faults {
            self.table.filter = Filter::default();
            self.table.faults = false;
            self.stale = Stale::Now;
        }
        actions
    }

    pub(super) fn sort_by(&mut self, column: Column) {
        if !column.layout().sorts {
            return;
        }
        self.table.reverse = self.table.sort == column && !self.table.reverse;
        self.table.sort = column;
        self.leave_page();
    }

    fn overlay_key(&mut self, key: Key) -> Vec<Action> {
        let command = self.options.keymap.command(key);
        // ends it from anywhere, like in the shell
        if key == Key::ctrl('c') && command == Some(Command::Quit) {
            return vec![Action::Quit];
        }
        if command == Some(Command::Suspend) && key.ctrl {
            return vec![Action::Suspend];
        }
        let Some(overlay) = &mut self.overlay else { return Vec::new() };
        match overlay {
            Overlay::Filter { line, before, .. } => match key.code {
                Code::Enter => self.overlay = None,
                Code::Esc => {
                    self.table.filter = before.clone();
                    self.overlay = None;
                    self.stale = Stale::Now;
                }
                Code::Up => self.go(-1),
                Code::Down => self.go(1),
                _ => {
                    if line.key(key) {
                        self.apply_typed_filter();
                    }
                }
            },
            Overlay::Palette { line, choice } => match key.code {
                Code::Esc => self.overlay = None,
                Code::Enter => {
                    let choice = *choice;
                    return self.pick(choice);
                }
                Code::Up => self.overlay_step(-1),
                Code::Down | Code::Tab => self.overlay_step(1),
                _ => {
                    line.key(key);
                    *choice = 0;
                }
            },
            Overlay::Menu { choice } => {
                let wanted = MENU.iter().position(|c| Some(*c) == command);
                match (key.code, command) {
                    (Code::Enter, _) => {
                        let choice = *choice;
                        return self.pick(choice);
                    }
                    (_, Some(Command::Up)) => self.overlay_step(-1),
                    (_, Some(Command::Down)) => self.overlay_step(1),
                    _ => match wanted {
                        Some(choice) => return self.pick(choice),
                        None => self.overlay = None,
                    },
                }
            }
            Overlay::Confirm { request, .. } => {
                let request = request.clone();
                self.overlay = None;
                if matches!(key.code, Code::Char('y' | 'Y')) && !key.ctrl {
                    return self.send(request);
                }
                self.tell("nothing was done", false);
            }
            Overlay::Help { .. } => match command {
                Some(Command::Up) => self.overlay_step(-1),
                Some(Command::Down) => self.overlay_step(1),
                Some(Command::PageUp) => self.overlay_step(-10),
                Some(Command::PageDown) => self.overlay_step(10),
                _ => self.overlay = None,
            },
        }
        Vec::new()
    }

    pub(super) fn overlay_step(&mut self, by: isize) {
        match &mut self.overlay {
            Some(Overlay::Palette { line, choice }) => {
                let last = found(line.text()).len().saturating_sub(1);
                *choice = choice.saturating_add_signed(by).min(last);
            }
            Some(Overlay::Menu { choice }) => {
                *choice = choice.saturating_add_signed(by).min(MENU.len() - 1);
            }
            Some(Overlay::Help { .. }) => {
                let most = self.help().len().saturating_sub(self.page_rows());
                if let Some(Overlay::Help { scrolled }) = &mut self.overlay {
                    *scrolled = scrolled.saturating_add_signed(by).min(most);
                }
            }
            Some(Overlay::Filter { .. } | Overlay::Confirm { .. }) | None => {}
        }
    }

    /// Takes a line of the palette or of the menu.
    pub(super) fn pick(&mut self, choice: usize) -> Vec<Action> {
        let command = match &self.overlay {
            Some(Overlay::Palette { line, .. }) => {
                found(line.text()).get(choice).map(|entry| entry.command)
            }
            Some(Overlay::Menu { .. }) => MENU.get(choice).copied(),
            Some(Overlay::Filter { .. } | Overlay::Confirm { .. } | Overlay::Help { .. })
            | None => None,
        };
        match command {
            Some(command) => {
                self.overlay = None;
                self.command(command)
            }
            None => Vec::new(),
        }
    }

    pub(super) fn close_overlay(&mut self) {
        // a click beside the question is no
        self.overlay = None;
    }

    fn apply_typed_filter(&mut self) {
        if let Some(Overlay::Filter { line, error, .. }) = &mut self.overlay {
            match Filter::parse(line.text()) {
                Ok(filter) => {
                    self.table.filter = filter;
                    *error = None;
                    self.stale = Stale::Now;
                }
                Err(why) => *error = Some(why),
            }
        }
    }
}
