//! The output of the chosen service: which is followed, and what the keys of its page do.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_present::logs::stream;
use tcs_present::text;

use super::logs::store::{Entry, Shown};
use super::overlay::{Line, Overlay};
use super::{Moment, Page, State, launcher_of};
use crate::dashboard::event::{Action, LinkFacts};

/// Lines asked for the page, and for the end of the detail.
const LINES: (u64, u64) = (1000, 50);
/// While the selection moves, the output of another service is asked for at most so often.
const EVERY: TimeDelta = TimeDelta::milliseconds(300);

impl State {
    /// Output that was written later is not shown: the picture is not of now.
    pub fn log_until(&self) -> Option<DateTime<Utc>> {
        match self.moment {
            Moment::Live => None,
            Moment::Paused { .. } | Moment::Past { .. } => Some(self.picture.now),
        }
    }

    /// Which lines the page shows.
    pub fn shown_log(&self) -> Shown {
        self.logs.shown(self.log_until())
    }

    /// Opens the page, or closes it.
    pub(super) fn open_logs(&mut self) -> Vec<Action> {
        if self.page == Page::Logs {
            self.page = Page::Fleet;
            return Vec::new();
        }
        let Some(service) = self.chosen() else { return Vec::new() };
        let (service, launcher) = (Arc::clone(&service.id), launcher_of(service));
        self.page = Page::Logs;
        self.scrolled = 0;
        self.logs.bottom = None;
        self.fetch_logs(service, launcher, LINES.0)
    }

    fn fetch_logs(
        &mut self,
        service: Arc<str>,
        launcher: Option<Arc<str>>,
        lines: u64,
    ) -> Vec<Action> {
        self.logs.open(Arc::clone(&service));
        self.logs.whom.clone_from(&launcher);
        self.logs.fetched = Some(self.now);
        vec![Action::FetchLogs { service, launcher, lines }]
    }

    /// Follows the output of what is chosen now where its end is shown beside it, and no other.
    pub(super) fn watch_log(&mut self) -> Vec<Action> {
        if let Some((service, launcher)) = self.new_launcher() {
            let lines = if self.page == Page::Logs { LINES.0 } else { LINES.1 };
            return self.fetch_logs(service, Some(launcher), lines);
        }
        if self.page == Page::Logs {
            return Vec::new();
        }
        self.logs.bottom = None;
        let chosen = self.chosen().filter(|_| self.log_tail().is_some());
        let Some(service) = chosen else {
            if self.logs.service.is_none() {
                return Vec::new();
            }
            self.logs.close();
            return vec![Action::DropLogs];
        };
        let is_soon = self.logs.fetched.is_some_and(|at| (self.now - at).abs() < EVERY);
        if self.logs.service.as_ref() == Some(&service.id) || is_soon {
            return Vec::new();
        }
        let (service, launcher) = (Arc::clone(&service.id), launcher_of(service));
        self.fetch_logs(service, launcher, LINES.1)
    }

    /// The service whose output is followed, and its launcher, if that was not known when the output
    /// was asked for: of a site that has just been connected to, statuses may come before events.
    fn new_launcher(&self) -> Option<(Arc<str>, Arc<str>)> {
        let service = self.logs.service.as_ref().filter(|_| self.logs.whom.is_none())?;
        let launcher = self.picture.get(service).and_then(launcher_of)?;
        Some((Arc::clone(service), launcher))
    }

    /// Whether there is a launcher to ask for output.
    pub(super) fn has_logs(&self) -> bool {
        !matches!(self.link, LinkFacts::Recording { .. })
            && self.chosen().is_some_and(|service| !service.is_launcher)
    }

    /// Begins to type what is searched.
    pub(super) fn type_search(&mut self) {
        let before = self.logs.search.take();
        let line = Line::default();
        self.overlay = Some(Overlay::Search { line, before, bottom: self.logs.bottom });
    }

    /// Searches what is typed, from where it was begun.
    pub(super) fn apply_typed_search(&mut self) {
        let Some(Overlay::Search { line, bottom, .. }) = &self.overlay else { return };
        let (text, bottom) = (line.text().to_owned(), *bottom);
        self.logs.bottom = bottom;
        self.logs.search_for(&text);
        let (shown, page) = (self.shown_log(), self.page_rows().max(1));
        self.logs.go_to_match(false, &shown, page);
    }

    /// Searches a slice of the log more, where it is not searched to its end. The loop calls it in its
    /// spare time.
    pub fn search_on(&mut self) {
        let (shown, page) = (self.shown_log(), self.page_rows().max(1));
        let is_typed = matches!(self.overlay, Some(Overlay::Search { .. }));
        if !self.logs.search_on(&shown, page) && !is_typed {
            self.tell("no match in the lines shown", false);
        }
    }

    pub(super) fn next_match(&mut self, later: bool) {
        let (shown, page) = (self.shown_log(), self.page_rows().max(1));
        if self.logs.search.is_none() {
            self.tell("no search yet: / starts one", false);
        } else if !self.logs.go_to_match(later, &shown, page) {
            self.tell("no match in the lines shown", false);
        }
    }

    /// The name of a file for the lines: `guider.jk15-20261123-021307.log`.
    pub(super) fn save_log(&mut self) -> Vec<Action> {
        let whose = self.logs.service.as_deref().unwrap_or("log");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name: String =
            whose.chars().map(|c| if is_plain(c) { c } else { '_' }).take(100).collect();
        let name = name.trim_start_matches('.');
        vec![Action::SaveLog(format!("{name}-{}.log", self.now.format("%Y%m%d-%H%M%S")))]
    }

    /// The lines shown, oldest first, as they are written into a file.
    pub fn log_lines(&self) -> impl Iterator<Item = String> + '_ {
        let shown = self.shown_log();
        let first = self.logs.store.after(None, &shown);
        let next = move |line: &u64| self.logs.store.after(Some(*line), &shown);
        std::iter::successors(first, next)
            .filter_map(|line| self.logs.store.get(line).as_ref().map(written))
    }
}

fn written(entry: &Entry<'_>) -> String {
    let at = entry.at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    let (at, level) = (at.unwrap_or_default(), entry.level.name());
    format!("{at} {} {level:<8} {}", stream(entry.stream), text::shown(&entry.text.plain))
}
