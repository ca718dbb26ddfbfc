//! What services use: when their launchers are asked, and what is known of the chosen one.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::Verdict;
use tcs_core::wire::control::ServiceFigures;
use tcs_present::usage::{Usage, curves};
use tcs_present::{Line, Role, columns::Column};

use super::{Moment, Stale, State, launcher_of};
use crate::dashboard::event::{Action, UsageNews};
use crate::dashboard::page::Page;

/// A launcher reads no more often.
const EVERY: TimeDelta = TimeDelta::seconds(2);

/// When launchers are asked for resource figures, and what they answered.
#[derive(Debug, Clone, Default)]
pub struct UsagePoll {
    /// When it was asked last.
    asked: Option<DateTime<Utc>>,
    /// No answer has come yet.
    waiting: bool,
    /// The figures of one service, with those of the last minutes.
    history: Option<(Arc<str>, ServiceFigures)>,
    /// Launchers that gave no answer to the last question, and why.
    problems: Vec<(Arc<str>, String)>,
    /// Whether that was told.
    told: bool,
}

impl State {
    /// Shows what services use, or no longer.
    pub(super) fn toggle_usage(&mut self) -> Vec<Action> {
        let table = &mut self.table;
        table.shows_usage = !table.shows_usage;
        if !table.sort.is_shown(table.shows_usage) {
            (table.sort, table.reverse) = (Column::Verdict, false);
        }
        table.usage = Usage::default();
        self.usage = UsagePoll::default();
        if matches!(self.page, Page::Logs | Page::Events | Page::Timeline) {
            self.page = Page::Fleet;
        }
        self.stale = Stale::Now;
        if self.table.shows_usage && !matches!(self.moment, Moment::Live) {
            self.tell("resource usage is known only for the present", false);
        }
        self.ask_usage()
    }

    /// Asks, where it is shown and time.
    pub(super) fn ask_usage(&mut self) -> Vec<Action> {
        let is_seen = self.table.shows_usage
            && matches!(self.page, Page::Fleet | Page::Detail)
            && matches!(self.moment, Moment::Live);
        let is_due = self.usage.asked.is_none_or(|asked| self.now - asked >= EVERY);
        if !is_seen || !is_due || self.usage.waiting || !self.link.is_up() {
            return Vec::new();
        }
        let is_asked = |it: &&tcs_core::fleet::ServiceView| {
            it.is_launcher && it.phase.is_up() && it.verdict != Verdict::Lost
        };
        let launchers = self.picture.services.iter().filter(is_asked);
        let launchers: Vec<_> = launchers.map(|it| Arc::clone(&it.id)).collect();
        if launchers.is_empty() {
            return Vec::new();
        }
        let chosen = self.chosen().filter(|it| !it.is_launcher);
        let history = chosen.and_then(|it| Some((Arc::clone(&it.id), launcher_of(it)?)));
        let history = history.filter(|(_, launcher)| launchers.contains(launcher));
        (self.usage.waiting, self.usage.asked) = (true, Some(self.now));
        vec![Action::AskUsage { launchers, history }]
    }

    pub(super) fn take_usage(&mut self, mut news: UsageNews) {
        self.usage.waiting = false;
        if !self.table.shows_usage {
            return;
        }
        if news.answers.is_empty()
            && let Some((launcher, why)) = news.problems.first()
            && !std::mem::replace(&mut self.usage.told, true)
        {
            self.tell(format!("resource usage is not known: {launcher}: {why}"), true);
        }
        for answer in &mut news.answers {
            answer.keep_own(&self.picture);
        }
        self.table.usage.take(news.answers);
        self.usage.problems = news.problems;
        self.usage.history = news.history;
        self.stale = self.stale.max(Stale::Soon);
    }

    /// What the figures of another moment say is not shown; ends are those of the picture.
    pub(super) fn refresh_usage(&mut self) {
        if !self.table.shows_usage {
            return;
        }
        if !matches!(self.moment, Moment::Live) {
            self.table.usage.clear();
            self.usage.history = None;
        }
        self.table.usage.find_exits(&self.picture);
    }

    /// Processor time and memory of the chosen service over the last minutes, or why they are not
    /// known; empty where they are not shown.
    pub fn usage_lines(&self, width: usize) -> Vec<Line> {
        if !self.table.shows_usage {
            return Vec::new();
        }
        let Some(service) = self.chosen() else { return Vec::new() };
        let dim = |text: &str| vec![Line::new().with(Role::Dim, text).cut(width)];
        if !matches!(self.moment, Moment::Live) {
            return dim("known only for the present");
        }
        let lines = match &self.usage.history {
            Some((id, figures)) if *id == service.id => curves(figures, width),
            Some(_) | None => Vec::new(),
        };
        if !lines.is_empty() {
            return lines;
        }
        let launcher = launcher_of(service);
        let mut problems = self.usage.problems.iter();
        let problem = problems.find(|(id, _)| launcher.as_ref() == Some(id));
        match problem {
            Some((_, why)) => {
                vec![Line::new().with(Role::Warn, &format!("not known: {why}")).cut(width)]
            }
            None if service.is_launcher => dim("a launcher: see its host (o)"),
            None if !service.phase.is_up() => dim("it is not running"),
            None if launcher.is_none() => dim("not known: it has no launcher"),
            None if self.usage.waiting || self.usage.asked.is_none() => dim("asking ..."),
            None => dim("not reported by its launcher"),
        }
    }
}
