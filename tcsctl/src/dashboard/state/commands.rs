//! Keys and commands: what each does to the state.

use std::borrow::Cow;
use std::sync::Arc;

use super::history::Shown;
use super::overlay::{Line, Overlay};
use super::{Page, State};
use crate::dashboard::event::{Action, AlarmAct, Operation};
use crate::dashboard::key::{Code, Key};
use crate::dashboard::keymap::{Command, When};
use crate::dashboard::state::Moment;
use chrono::TimeDelta;

impl State {
    pub(super) fn key(&mut self, key: Key) -> Vec<Action> {
        // Esc and a quick key after it come as one over a slow link
        let keymap = &self.options.keymap;
        if key.alt && keymap.command(self.page, key).is_none() && keymap.own_of(key).is_none() {
            let mut actions = self.key(Key::plain(Code::Esc));
            // the second is for what the first one has shown
            self.settle_here();
            actions.extend(self.key(Key { alt: false, ..key }));
            return actions;
        }
        if self.overlay.is_some() {
            return self.overlay_key(key);
        }
        match self.options.keymap.command(self.page, key) {
            Some(command) => self.command(command),
            None => match self.options.keymap.own_of(key) {
                Some(number) => self.run_own(number),
                None => Vec::new(),
            },
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        match &mut self.overlay {
            Some(
                Overlay::Filter { line, .. }
                | Overlay::Palette { line, .. }
                | Overlay::Search { line, .. },
            ) => {
                line.insert(text);
                self.apply_typed_filter();
                self.apply_typed_search();
            }
            Some(Overlay::Alarm(dialog)) => dialog.line.insert(text),
            Some(Overlay::Work(dialog)) => dialog.line.insert(text),
            Some(
                Overlay::Menu { .. }
                | Overlay::Confirm(_)
                | Overlay::Results { .. }
                | Overlay::Help { .. },
            )
            | None => {}
        }
    }

    /// Whether a command does something here and now.
    pub fn is_valid(&self, command: Command) -> bool {
        self.refusal(command).is_none()
    }

    /// Why a command does nothing here and now.
    fn refusal(&self, command: Command) -> Option<Cow<'static, str>> {
        self.refusal_of(command, self.table.chosen())
    }

    /// The same if this service was chosen.
    pub(super) fn refusal_of(
        &self,
        command: Command,
        chosen: Option<&Arc<str>>,
    ) -> Option<Cow<'static, str>> {
        let entry = command.entry();
        if let Some(page) = entry.on.first().filter(|_| !entry.on.contains(&self.page)) {
            return Some(format!("only on the {} page", page.name()).into());
        }
        let is_live = matches!(self.moment, Moment::Live);
        let why = match entry.when {
            When::Operate | When::Allowed if self.options.read_only => {
                "read-only: start, stop and restart are disabled"
            }
            When::Alarm if self.options.read_only => "read-only: alarms cannot be changed",
            When::Operate | When::Allowed | When::Alarm if !is_live => {
                "the past is shown: Esc returns to the present"
            }
            When::Chosen | When::Operate if chosen.is_none() => "no service selected",
            When::Alarm if self.alarm_targets().is_empty() => "no open alarm selected",
            When::Always | When::Chosen | When::Operate | When::Allowed | When::Alarm => {
                return None;
            }
        };
        Some(why.into())
    }

    /// Does a command, or says why it cannot be done here.
    pub(super) fn command(&mut self, command: Command) -> Vec<Action> {
        if let Some(why) = self.refusal(command) {
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
            Command::NextFault => self.next_problem(),
            Command::Problems => self.fold_problems(),
            Command::Open if self.page == Page::Fleet && self.problems.has_keys() => {
                self.enter_table();
            }
            Command::Open if self.page == Page::Timeline => return self.open_moment_of_cursor(),
            Command::Open if self.page == Page::Alarms => self.open_service_of_alarm(),
            Command::Open => self.open(Page::Detail),
            Command::Back => self.back(),
            Command::Fold => self.table.fold(&self.picture, self.rows()),
            Command::Unfold => self.table.unfold(&self.picture, self.rows()),
            Command::FoldAll => self.table.fold_all(&self.picture, self.rows()),
            Command::Filter => self.type_filter(),
            Command::Faults if self.page == Page::Events => self.toggle_events(Shown::Problems),
            Command::All if self.page == Page::Events => self.toggle_events(Shown::All),
            Command::Faults if self.page == Page::Timeline => {
                self.timeline.problems = !self.timeline.problems;
                return self.settle_timeline();
            }
            Command::Faults => self.toggle_faults(),
            Command::All => self.toggle_all(),
            Command::View => self.next_view(),
            Command::Usage => return self.toggle_usage(),
            Command::Sort => self.sort_by_next(),
            Command::Reverse => self.sort_by(self.table.sort),
            Command::Logs => return self.open_logs(),
            Command::Why if self.page == Page::Timeline => return self.explain_at_cursor(),
            Command::Why => return self.explain(),
            Command::Events => self.open(Page::Events),
            Command::Alarms => self.open(Page::Alarms),
            Command::Acknowledge => self.ask_alarm(AlarmAct::Acknowledge),
            Command::AlarmNote => self.ask_alarm(AlarmAct::Note),
            Command::Shelve => self.ask_alarm(AlarmAct::Shelve),
            Command::Wrap => self.logs.wrap = !self.logs.wrap,
            Command::Search => self.type_search(),
            Command::NextMatch => self.next_match(true),
            Command::PreviousMatch => self.next_match(false),
            Command::LogLevel => self.logs.next_level(),
            Command::LogStream => self.logs.next_stream(),
            Command::PageLog => return vec![Action::PageLog],
            Command::SaveLog => return self.save_log(),
            Command::Restart => self.ask(Operation::Restart),
            Command::Stop => self.ask(Operation::Stop),
            Command::Start => self.ask(Operation::Start),
            Command::StopForWork => self.ask_for_work(),
            Command::Maintenance => self.ask_for_maintenance(None),
            Command::EndMaintenance => self.open_palette("end-maintenance "),
            Command::Profile => {
                self.open_palette("profile ");
                return self.ask_profiles();
            }
            Command::Mark => self.mark(),
            Command::MarkShown => self.mark_shown(),
            Command::MarkFailed => self.mark_failed(),
            Command::UnmarkAll => self.unmark_all(),
            Command::Results => self.show_results(),
            Command::Actions => self.overlay = Some(Overlay::Menu { choice: 0 }),
            Command::Pause => self.pause(),
            Command::Earlier => return self.travel(TimeDelta::seconds(-10)),
            Command::Later => return self.travel(TimeDelta::seconds(10)),
            Command::EarlierMinute => return self.travel(TimeDelta::minutes(-1)),
            Command::LaterMinute => return self.travel(TimeDelta::minutes(1)),
            Command::EarlierTenMinutes => return self.travel(TimeDelta::minutes(-10)),
            Command::LaterTenMinutes => return self.travel(TimeDelta::minutes(10)),
            Command::EarlierHour => return self.travel(TimeDelta::hours(-1)),
            Command::LaterHour => return self.travel(TimeDelta::hours(1)),
            Command::EarlierProblem => return self.travel_to_problem(true, false),
            Command::LaterProblem => return self.travel_to_problem(false, false),
            Command::EarlierOwnProblem => return self.travel_to_problem(true, true),
            Command::LaterOwnProblem => return self.travel_to_problem(false, true),
            Command::At => self.open_palette(&format!("{} ", command.entry().name)),
            Command::Timeline => return self.open_timeline(),
            Command::CursorLeft => return self.step_cursor(-1),
            Command::CursorRight => return self.step_cursor(1),
            Command::ZoomIn => return self.zoom(true),
            Command::ZoomOut => return self.zoom(false),
            Command::Copy => return self.copy(),
            Command::CopyCommand => return self.copy_command(),
            Command::Theme => self.next_theme(),
            Command::Mouse => return self.toggle_mouse(),
            Command::Dump => return self.dump(),
            Command::Redraw => return vec![Action::Redraw],
            Command::Palette => self.open_palette(""),
            Command::Help => self.overlay = Some(Overlay::Help { scrolled: 0 }),
            Command::Suspend => return vec![Action::Suspend],
            Command::Quit => return vec![Action::Quit],
        }
        Vec::new()
    }
    fn type_filter(&mut self) {
        self.overlay = Some(Overlay::Filter {
            line: Line::new(self.table.filter.text()),
            before: self.table.filter.clone(),
            error: None,
        });
        // the timeline has the same filter
        if self.page != Page::Timeline {
            self.leave_page();
        }
    }

    /// Opens the palette with the beginning of a command.
    fn open_palette(&mut self, typed: &str) {
        self.profiles.forget();
        self.overlay = Some(Overlay::Palette { line: Line::new(typed), choice: 0 });
    }

    fn toggle_events(&mut self, shown: Shown) {
        self.shown_events.toggle(shown);
        self.scrolled = 0;
    }

    fn toggle_faults(&mut self) {
        self.table.faults = !self.table.faults;
        self.leave_page();
    }

    fn toggle_all(&mut self) {
        self.table.all = !self.table.all;
        self.leave_page();
    }

    fn next_theme(&mut self) {
        self.theme = self.theme.next();
        self.tell(format!("theme {}", self.theme.as_str()), false);
    }

    fn toggle_mouse(&mut self) -> Vec<Action> {
        self.mouse = !self.mouse;
        let text = if self.mouse { "mouse support is on" } else { "mouse support is off" };
        self.tell(text, false);
        vec![Action::Mouse(self.mouse)]
    }
}
