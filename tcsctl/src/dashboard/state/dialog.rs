//! Keys while something stands in front: a menu, a dialog, the palette, a line that is typed.

use tcs_core::fleet::Filter;

use super::overlay::{MENU, Overlay};
use super::place::dialog_of;
use super::{Stale, State};
use crate::dashboard::event::Action;
use crate::dashboard::key::{Code, Key};
use crate::dashboard::keymap::Command;

impl State {
    pub(super) fn overlay_key(&mut self, key: Key) -> Vec<Action> {
        let command = self.options.keymap.command(self.page, key);
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
                    return self.settle_timeline();
                }
                Code::Up => self.go(-1),
                Code::Down => self.go(1),
                _ => {
                    if line.key(key) {
                        self.apply_typed_filter();
                    }
                }
            },
            Overlay::Search { line, before, bottom } => match key.code {
                Code::Enter => self.overlay = None,
                Code::Esc => {
                    self.logs.search = before.take();
                    self.logs.bottom = *bottom;
                    self.overlay = None;
                }
                Code::Up => self.next_match(false),
                Code::Down => self.next_match(true),
                _ => {
                    if line.key(key) {
                        self.apply_typed_search();
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
                Code::Down => self.overlay_step(1),
                Code::Tab => {
                    self.complete();
                    return self.ask_profiles();
                }
                _ => {
                    line.key(key);
                    *choice = 0;
                    return self.ask_profiles();
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
            Overlay::Confirm(question) => {
                let is_yes = matches!(key.code, Code::Char('y' | 'Y')) && !key.ctrl;
                if is_yes && question.meant.is_some() {
                    let question = question.clone();
                    self.overlay = None;
                    return self.agreed(question);
                }
                match command {
                    // what would be done is still being asked
                    _ if is_yes => {}
                    Some(Command::Up | Command::Down) if self.is_question_long() => {
                        self.overlay_step(if command == Some(Command::Up) { -1 } else { 1 });
                    }
                    _ => {
                        self.overlay = None;
                        self.tell("nothing was done", false);
                    }
                }
            }
            Overlay::Alarm(dialog) => match key.code {
                Code::Enter => return self.say_alarm(),
                Code::Esc => self.overlay = None,
                _ => {
                    dialog.line.key(key);
                    dialog.error = None;
                }
            },
            Overlay::Work(dialog) => match key.code {
                Code::Enter => self.work_typed(),
                Code::Esc => {
                    self.overlay = None;
                    self.tell("nothing was done", false);
                }
                _ => {
                    dialog.line.key(key);
                    dialog.error = None;
                }
            },
            Overlay::Help { .. } | Overlay::Results { .. } => match command {
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
            Some(Overlay::Palette { line, .. }) => {
                let typed = line.text().to_owned();
                let last = self.choices(&typed).len().saturating_sub(1);
                if let Some(Overlay::Palette { choice, .. }) = &mut self.overlay {
                    *choice = choice.saturating_add_signed(by).min(last);
                }
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
            Some(Overlay::Confirm(question)) => {
                let seen = usize::from(dialog_of(self.size, question).height.saturating_sub(4));
                let most = question.lines.len().saturating_sub(seen);
                question.scrolled = question.scrolled.saturating_add_signed(by).min(most);
            }
            Some(Overlay::Results { .. }) => {
                let seen = usize::from(self.results_dialog().height.saturating_sub(2));
                let all = self.batch.as_ref().map_or(0, |batch| batch.rows.len());
                if let Some(Overlay::Results { scrolled }) = &mut self.overlay {
                    let most = all.saturating_sub(seen);
                    *scrolled = scrolled.saturating_add_signed(by).min(most);
                }
            }
            Some(
                Overlay::Filter { .. }
                | Overlay::Search { .. }
                | Overlay::Alarm(_)
                | Overlay::Work(_),
            )
            | None => {}
        }
    }

    /// Takes a line of the palette or of the menu.
    pub(super) fn pick(&mut self, choice: usize) -> Vec<Action> {
        let command = match &self.overlay {
            Some(Overlay::Palette { .. }) => return self.pick_in_palette(choice),
            Some(Overlay::Menu { .. }) => MENU.get(choice).copied(),
            Some(
                Overlay::Filter { .. }
                | Overlay::Search { .. }
                | Overlay::Confirm(_)
                | Overlay::Results { .. }
                | Overlay::Help { .. }
                | Overlay::Alarm(_)
                | Overlay::Work(_),
            )
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

    pub(super) fn apply_typed_filter(&mut self) {
        if let Some(Overlay::Filter { line, error, .. }) = &mut self.overlay {
            match Filter::parse(line.text()) {
                Ok(filter) => {
                    self.table.filter = filter;
                    *error = None;
                    self.stale = Stale::Now;
                    self.settle_timeline();
                }
                Err(why) => *error = Some(why),
            }
        }
    }
}
