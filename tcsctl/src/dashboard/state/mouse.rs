//! What clicks and the wheel do.

use super::{Page, State};
use crate::dashboard::event::{Action, Mouse, Spot};
use crate::dashboard::keymap::Command;

impl State {
    pub(super) fn mouse(&mut self, mouse: &Mouse) -> Vec<Action> {
        if self.overlay.is_some() {
            return match mouse {
                Mouse::Click(Spot::Choice(choice)) => self.pick(*choice),
                Mouse::Click(_) => {
                    self.close_overlay();
                    Vec::new()
                }
                Mouse::Wheel(_, by) => {
                    self.overlay_step(*by as isize);
                    Vec::new()
                }
            };
        }
        match mouse {
            Mouse::Click(Spot::Row(row)) => {
                let again = self.table.cursor == *row && !self.problems.has_keys();
                self.choose_row(*row);
                if again {
                    return self.command(Command::Open);
                }
                self.scrolled = 0;
            }
            Mouse::Click(Spot::Problem(row)) => {
                let is_chosen = self.problem(*row).as_ref() == self.table.chosen();
                if is_chosen && self.problems.has_keys() {
                    return self.command(Command::Open);
                }
                self.choose_problem(*row);
                self.scrolled = 0;
            }
            Mouse::Click(Spot::Alarm(row)) => {
                if self.alarms.cursor == *row {
                    return self.command(Command::Open);
                }
                self.alarms.select(*row);
            }
            Mouse::Click(Spot::Moment(row, column)) => {
                self.select_timeline_row(*row);
                return self.cursor_to_column(*column);
            }
            Mouse::Click(Spot::Title(column)) => self.sort_by(*column),
            Mouse::Click(Spot::Command(command)) => return self.command(*command),
            Mouse::Click(Spot::Lower) if self.page == Page::Fleet => {
                return self.command(Command::Events);
            }
            Mouse::Click(Spot::Detail | Spot::Lower | Spot::Choice(_) | Spot::Nothing) => {}
            Mouse::Wheel(Spot::Detail | Spot::Lower, by) => self.scroll(*by as isize),
            Mouse::Wheel(_, by) => self.go(*by as isize),
        }
        Vec::new()
    }
}
