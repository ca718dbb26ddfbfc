//! The output of one service: what is held of it, which part of it is seen, and what is searched.

pub mod search;
pub mod store;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tcs_core::wire::control::{LogRun, Stream};
use tcs_core::wire::{Level, Timestamp};

use crate::dashboard::event::LogNews;
use search::Search;
use store::{LogStore, Shown};

/// The levels that can be asked for, from all on.
const LEVELS: [Level; 5] =
    [Level(i64::MIN), Level::INFO, Level::WARNING, Level::ERROR, Level::CRITICAL];

/// The output of one service, and the part of it that is shown.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// Whose.
    pub service: Option<Arc<str>>,
    /// Its lines.
    pub store: LogStore,
    /// How its runs have ended, as far as its launcher says.
    pub runs: Vec<LogRun>,
    /// Asked for, and nothing has come yet.
    pub waiting: bool,
    /// Why there is nothing, or nothing more.
    pub trouble: Option<String>,
    /// Long lines go on below, rather than being cut.
    pub wrap: bool,
    /// Which lines are shown.
    pub shown: Shown,
    /// The lowest line seen; `None`: always the newest.
    pub bottom: Option<u64>,
    /// What is searched.
    pub search: Option<Search>,
    /// The launcher that was asked for its lines, if one was known.
    pub(in crate::dashboard) whom: Option<Arc<str>>,
    /// When its lines were asked for.
    pub(super) fetched: Option<DateTime<Utc>>,
}

/// What stands on a row of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// The line of this number.
    Line(u64),
    /// The end of this run.
    End(u64),
}

impl Logs {
    /// Begins with another service.
    pub(super) fn open(&mut self, service: Arc<str>) {
        if self.service.as_ref() != Some(&service) {
            self.close();
            (self.service, self.waiting) = (Some(service), true);
        }
    }

    /// Follows it no longer.
    pub(super) fn close(&mut self) {
        *self = Self { wrap: self.wrap, shown: self.shown, ..Self::default() };
    }

    pub(super) fn take(&mut self, news: LogNews) {
        if self.service.as_ref() != Some(&news.service) {
            return;
        }
        self.waiting = false;
        if !news.runs.is_empty() {
            self.runs = news.runs;
        }
        match news.outcome {
            Ok(lines) => {
                self.trouble = None;
                if news.whole {
                    self.store.clear();
                    self.bottom = None;
                }
                for line in &lines {
                    self.store.push(line);
                }
                if let Some(search) = &mut self.search {
                    search.advance(&self.store);
                }
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    /// Which lines are shown, of those written until then.
    pub fn shown(&self, until: Option<DateTime<Utc>>) -> Shown {
        Shown { until, ..self.shown }
    }

    /// The lowest line that is seen.
    pub fn lowest(&self, shown: &Shown) -> Option<u64> {
        let anchor = self.bottom.map(|bottom| bottom.max(self.store.first()) + 1);
        self.store
            .before(anchor.unwrap_or(u64::MAX), shown)
            .or_else(|| self.store.after(None, shown).filter(|_| anchor.is_some()))
    }

    /// What is seen on so many rows, the lowest first. Between runs stands how the earlier one ended.
    pub fn rows(&self, shown: &Shown, height: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut next = self.lowest(shown);
        if let Some(lowest) = next
            && self.store.after(Some(lowest), shown).is_none()
            && let Some(run) = self.run_of(lowest).filter(|run| self.has_ended(*run, shown))
        {
            rows.push(Row::End(run));
        }
        while let Some(line) = next.filter(|_| rows.len() < height) {
            rows.push(Row::Line(line));
            next = self.store.before(line, shown);
            let runs = (next.and_then(|before| self.run_of(before)), self.run_of(line));
            if let (Some(before), Some(here)) = runs
                && before != here
            {
                rows.push(Row::End(before));
            }
        }
        rows
    }

    fn run_of(&self, line: u64) -> Option<u64> {
        self.store.get(line)?.run
    }

    /// How a run has ended.
    pub fn end_of(&self, run: u64) -> Option<&LogRun> {
        self.runs.iter().find(|end| end.run == run)
    }

    fn has_ended(&self, run: u64, shown: &Shown) -> bool {
        let ended = self.end_of(run).and_then(|end| end.ended_at.map(Timestamp::time));
        ended.is_some_and(|ended| shown.until.is_none_or(|until| ended <= until))
    }

    /// Moves by so many lines, up if negative; past the newest it follows again.
    pub(super) fn scroll(&mut self, by: isize, shown: &Shown, page: usize) {
        let Some(mut at) = self.lowest(shown) else { return };
        if by.unsigned_abs() > self.store.len() {
            self.bottom = None;
            if by < 0
                && let Some(first) = self.store.after(None, shown)
            {
                self.anchor(first, shown, page);
            }
            return;
        }
        for _ in 0..by.unsigned_abs() {
            let next = if by < 0 {
                self.store.before(at, shown)
            } else {
                self.store.after(Some(at), shown)
            };
            match next {
                Some(next) => at = next,
                None if by > 0 => return self.bottom = None,
                None => break,
            }
        }
        self.anchor(at, shown, page);
    }

    /// Makes a line the lowest, or the lowest of the first page.
    fn anchor(&mut self, line: u64, shown: &Shown, page: usize) {
        let mut at = line;
        let mut above = 1;
        let mut top = line;
        while above < page
            && let Some(before) = self.store.before(top, shown)
        {
            top = before;
            above += 1;
        }
        while above < page
            && let Some(after) = self.store.after(Some(at), shown)
        {
            at = after;
            above += 1;
        }
        self.bottom = Some(at);
        // ends of runs take rows too
        while at > line && !self.rows(shown, page).contains(&Row::Line(top)) {
            let Some(before) = self.store.before(at, shown) else { break };
            at = before;
            self.bottom = Some(at);
        }
        self.bottom = self.store.after(Some(at), shown).map(|_| at);
    }

    /// Lines shown that are newer than the lowest seen.
    pub fn newer(&self, shown: &Shown) -> usize {
        let lowest = self.bottom.and_then(|_| self.lowest(shown));
        lowest.map_or(0, |line| self.store.count_after(line, shown))
    }

    /// Shows lines from the next level on.
    pub(super) fn next_level(&mut self) {
        let at = LEVELS.iter().position(|level| *level == self.shown.level).unwrap_or_default();
        self.shown.level = LEVELS[(at + 1) % LEVELS.len()];
    }

    /// Shows one output, the other, or both.
    pub(super) fn next_stream(&mut self) {
        self.shown.stream = match self.shown.stream {
            None => Some(Stream::Stderr),
            Some(Stream::Stderr) => Some(Stream::Stdout),
            Some(Stream::Stdout) => None,
        };
    }

    /// Searches a text; an empty one ends the search.
    pub(super) fn search_for(&mut self, text: &str) {
        self.search = Search::new(text, &self.store);
        if let Some(search) = &mut self.search {
            search.advance(&self.store);
        }
    }

    /// Whether lines are left to search.
    pub fn is_searching(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.is_going_on(&self.store))
    }

    /// Searches a little more, and goes to a match that was waited for. `false`: there is none.
    pub(super) fn search_on(&mut self, shown: &Shown, page: usize) -> bool {
        let Some(search) = &mut self.search else { return true };
        let found = search.step(&self.store);
        let is_worth = !search.is_going_on(&self.store)
            || found.iter().any(|line| self.store.is_shown(*line, shown));
        match search.wanted {
            Some(later) if is_worth => self.go_to_match(later, shown, page),
            Some(_) | None => true,
        }
    }

    /// Goes to the match after the present one, or before it; round the ends. It is waited for if it
    /// is not found yet. `false`: there is none.
    pub(super) fn go_to_match(&mut self, later: bool, shown: &Shown, page: usize) -> bool {
        let lowest = self.lowest(shown);
        let Some(search) = &mut self.search else { return false };
        let store = &self.store;
        // the first one is the nearest to what is seen
        let from = search.current.or_else(|| lowest.map(|line| line + u64::from(!later)));
        let is_shown = |line| store.is_shown(line, shown);
        let found = search.nearest(from.unwrap_or_default(), later, store, is_shown);
        search.wanted = found.is_err().then_some(later);
        match found {
            Ok(Some(found)) => {
                search.current = Some(found);
                self.show(found, shown, page);
                true
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Moves so that a line is seen, in the middle if it is not seen already.
    fn show(&mut self, line: u64, shown: &Shown, page: usize) {
        if self.rows(shown, page).contains(&Row::Line(line)) {
            return;
        }
        let mut at = line;
        for _ in 0..page / 2 {
            match self.store.after(Some(at), shown) {
                Some(after) => at = after,
                None => break,
            }
        }
        self.anchor(at, shown, page);
    }

    /// Which of the shown matches the present one is, from 1, and how many there are.
    pub fn place_of_match(&self, shown: &Shown) -> Option<(usize, usize)> {
        let search = self.search.as_ref()?;
        if *shown == Shown::default() {
            let place = search.current.map(|it| search.matches.partition_point(|at| *at <= it));
            return Some((place.unwrap_or_default(), search.matches.len()));
        }
        let shown = search.matches.iter().filter(|line| self.store.is_shown(**line, shown));
        let (mut place, mut all) = (0, 0);
        for line in shown {
            all += 1;
            if search.current.is_some_and(|current| *line <= current) {
                place = all;
            }
        }
        Some((place, all))
    }
}
