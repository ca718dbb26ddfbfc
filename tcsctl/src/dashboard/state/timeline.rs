//! The page of the past as a picture: a row for each service, a column for each part of a period, and
//! a cursor in it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::Verdict;
use tcs_core::fleet::history::{Chronicle, Stage, Timeline, timeline_of};
use tcs_core::fleet::transitions::Transition;
use tcs_present::timeline::{Shown, widths};

use super::{Moment, Page, State, stops};
use crate::dashboard::event::{Action, PeriodRead, Span, Spot};

/// Periods to zoom through.
const SPANS: [TimeDelta; 9] = [
    TimeDelta::minutes(10),
    TimeDelta::minutes(30),
    TimeDelta::hours(1),
    TimeDelta::hours(3),
    TimeDelta::hours(8),
    TimeDelta::hours(12),
    TimeDelta::days(1),
    TimeDelta::days(3),
    TimeDelta::days(7),
];
/// A half of the period shown, at most so much, is read before and after it, so that one moves in it
/// without waiting.
const MARGIN: TimeDelta = TimeDelta::hours(1);
/// While the newest is shown it is read again after this, after a column, and after ten times as long
/// as it took the last time, whichever is longest.
const AGAIN: TimeDelta = TimeDelta::seconds(10);
/// What was read is forgotten so long after the page was left.
const KEPT: TimeDelta = TimeDelta::minutes(10);

/// What is shown of the past, and what was read for it.
#[derive(Debug, Clone)]
pub struct TimelinePage {
    /// The services shown, in the order of the tree.
    pub rows: Vec<Arc<str>>,
    /// The selected one of them.
    pub row: usize,
    /// The first one on the screen.
    pub offset: usize,
    /// Only those with a problem in the period shown.
    pub problems: bool,
    /// What could not be read, or why nothing.
    pub trouble: Option<String>,
    /// How long the period shown is.
    span: TimeDelta,
    /// Its end; `None`: the newest that was read.
    end: Option<DateTime<Utc>>,
    /// Where the cursor is; `None`: at the newest.
    cursor: Option<DateTime<Utc>>,
    read: Option<Arc<Chronicle>>,
    reading: Option<Span>,
    asked: Option<DateTime<Utc>>,
    took: TimeDelta,
}

impl Default for TimelinePage {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            row: 0,
            offset: 0,
            problems: false,
            trouble: None,
            span: TimeDelta::hours(1),
            end: None,
            cursor: None,
            read: None,
            reading: None,
            asked: None,
            took: TimeDelta::zero(),
        }
    }
}

impl TimelinePage {
    /// The selected service.
    pub fn selected(&self) -> Option<&Arc<str>> {
        self.rows.get(self.row)
    }

    /// Whether something is on its way.
    pub fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// What was read, once something was.
    pub fn chronicle(&self) -> Option<&Chronicle> {
        self.read.as_deref()
    }

    /// The verdict of the selected service at a moment.
    pub fn stage(&self, at: DateTime<Utc>) -> Option<&Stage> {
        self.chronicle()?.history.services.get(self.selected()?)?.at(at)
    }

    /// Whether what was read begins early enough.
    fn covers(&self, from: DateTime<Utc>) -> bool {
        self.read.as_ref().is_some_and(|read| read.history.from <= from)
    }

    /// What happened from one moment until another, oldest first.
    pub fn happened(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> &[Transition] {
        let all = self.chronicle().map_or(&[][..], |read| &read.transitions);
        let place = |at| all.partition_point(|it| it.at < at);
        all.get(place(from)..place(until)).unwrap_or_default()
    }
}

impl State {
    /// Opens the page at the moment that is shown, or leaves it.
    pub(super) fn open_timeline(&mut self) -> Vec<Action> {
        if self.page == Page::Timeline {
            self.page = Page::Fleet;
            return Vec::new();
        }
        self.page = Page::Timeline;
        self.scrolled = 0;
        self.timeline.rows.clear();
        (self.timeline.end, self.timeline.cursor) = (None, None);
        if !matches!(self.moment, Moment::Live) {
            self.put_cursor(self.picture.now);
        }
        self.settle_timeline()
    }

    /// The period shown.
    pub fn timeline_period(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let to = self.timeline.end.unwrap_or_else(|| self.newest_read());
        (to - self.timeline.span, to)
    }

    /// The end of what is shown where the newest is.
    fn newest_read(&self) -> DateTime<Utc> {
        let read = self.timeline.chronicle().map(|read| read.history.to);
        // what was read long ago is not the newest any more
        read.filter(|to| self.now - *to < AGAIN.max(self.column() * 3)).unwrap_or(self.now)
    }

    /// How long a column is.
    fn column(&self) -> TimeDelta {
        let columns = i32::try_from(self.timeline_widths().1).unwrap_or(i32::MAX);
        self.timeline.span / columns.max(1)
    }

    /// Cells of the names, and columns of time.
    pub fn timeline_widths(&self) -> (usize, usize) {
        let rows = self.timeline.rows.iter().map(|id| &**id);
        widths(rows, usize::from(self.size.0.saturating_sub(2)))
    }

    /// Rows of services on the screen, and lines below them that tell what happened at the cursor.
    pub fn timeline_rows(&self) -> (usize, usize) {
        // below the title and the scale
        let height = self.page_rows().saturating_sub(1);
        let below = (height / 4).clamp(2, 9);
        (height.saturating_sub(below + 1), below)
    }

    /// These services in the period shown; `None`: nothing was read yet.
    pub fn timeline_of(&self, ids: &[Arc<str>]) -> Option<Timeline> {
        let history = &self.timeline.chronicle()?.history;
        let (from, to) = self.timeline_period();
        Some(timeline_of(history, ids, from, to, self.timeline_widths().1))
    }

    /// Where the cursor is.
    pub fn cursor(&self) -> DateTime<Utc> {
        self.timeline.cursor.unwrap_or_else(|| self.timeline_period().1)
    }

    /// The column of the cursor.
    pub fn cursor_column(&self, drawn: &Timeline) -> usize {
        drawn.column(self.cursor())
    }

    /// Moves the cursor to a moment, and the period with it if it is not in it.
    pub(super) fn put_cursor(&mut self, at: DateTime<Utc>) {
        if at >= self.newest_read() {
            (self.timeline.cursor, self.timeline.end) = (None, None);
            return;
        }
        let (from, to) = self.timeline_period();
        if at < from || at > to {
            self.end_at(at + self.timeline.span / 2);
        }
        self.timeline.cursor = Some(at);
    }

    fn end_at(&mut self, end: DateTime<Utc>) {
        self.timeline.end = Some(end).filter(|end| *end < self.newest_read());
    }

    /// Moves it by so many columns; over the edge, the period moves by a half.
    pub(super) fn step_cursor(&mut self, by: isize) -> Vec<Action> {
        let Some(drawn) = self.timeline_of(&[]) else { return Vec::new() };
        let column = self.cursor_column(&drawn).saturating_add_signed(by);
        let is_left = by < 0 && self.cursor_column(&drawn) < by.unsigned_abs();
        if is_left || column >= drawn.columns() {
            let by = if is_left { -self.column() } else { self.column() };
            let at = self.cursor() + by;
            let half = self.timeline.span / 2;
            self.end_at(if is_left { drawn.to - half } else { drawn.to + half });
            self.put_cursor(at);
        } else {
            let is_newest = self.timeline.end.is_none() && column + 1 == drawn.columns();
            self.timeline.cursor = Some(drawn.begins(column)).filter(|_| !is_newest);
        }
        self.settle_timeline()
    }

    /// Moves it to a column.
    pub(super) fn cursor_to_column(&mut self, column: usize) -> Vec<Action> {
        let here = self.timeline_of(&[]).map_or(0, |drawn| self.cursor_column(&drawn));
        self.step_cursor(column.cast_signed() - here.cast_signed())
    }

    /// What is at this place of the page.
    pub(super) fn timeline_hit(&self, x: u16, line: u16) -> Spot {
        let (names, columns) = self.timeline_widths();
        let row = usize::from(line).checked_sub(2).map(|row| row + self.timeline.offset);
        let row = row.filter(|row| *row < self.timeline.rows.len());
        let column = usize::from(x).checked_sub(names + 2).filter(|column| *column < columns);
        match (row, column) {
            (Some(row), Some(column)) if usize::from(line) < self.timeline_rows().0 + 2 => {
                Spot::Moment(row, column)
            }
            _ => Spot::Nothing,
        }
    }

    /// Moves it by a time.
    pub(super) fn move_cursor(&mut self, by: TimeDelta) -> Vec<Action> {
        self.go_to_cursor(self.cursor() + by)
    }

    /// Moves it to a moment.
    pub(super) fn go_to_cursor(&mut self, at: DateTime<Utc>) -> Vec<Action> {
        self.put_cursor(at);
        self.settle_timeline()
    }

    /// Moves it to where a problem began, of the selected service or of the fleet.
    pub(super) fn cursor_to_problem(&mut self, earlier: bool, own: bool) -> Vec<Action> {
        let Some(read) = self.timeline.chronicle() else { return Vec::new() };
        let of = self.timeline.selected().filter(|_| own);
        let stops = stops::of(&read.transitions, of.map(|id| &**id));
        let shown = self.cursor();
        let found = if earlier {
            stops.into_iter().rfind(|at| *at < shown)
        } else {
            stops.into_iter().find(|at| *at > shown)
        };
        if let Some(at) = found {
            return self.go_to_cursor(at);
        }
        let side = if earlier { "earlier" } else { "later" };
        self.tell(format!("no {side} problem in what was read: - shows more"), false);
        Vec::new()
    }

    /// Shows a shorter or a longer period; what is under the cursor stays where it is.
    pub(super) fn zoom(&mut self, closer: bool) -> Vec<Action> {
        let span = self.timeline.span;
        let next = if closer {
            SPANS.into_iter().rfind(|it| *it < span)
        } else {
            SPANS.into_iter().find(|it| *it > span)
        };
        let Some(next) = next else {
            let end = if closer { "10 min is the shortest" } else { "7 days is the longest" };
            self.tell(format!("{end} period"), false);
            return Vec::new();
        };
        let (_, to) = self.timeline_period();
        let behind = (to - self.cursor()).num_milliseconds().max(0);
        let scaled = behind.saturating_mul(next.num_milliseconds()) / span.num_milliseconds();
        let cursor = self.timeline.cursor;
        self.timeline.span = next;
        match cursor {
            Some(at) => self.end_at(at + TimeDelta::milliseconds(scaled)),
            None => self.timeline.end = None,
        }
        self.settle_timeline()
    }

    /// Moves to another row; the table selects the same service.
    pub(super) fn select_timeline_row(&mut self, row: usize) {
        self.timeline.row = row.min(self.timeline.rows.len().saturating_sub(1));
        if let Some(id) = self.timeline.selected().cloned()
            && self.picture.get(&id).is_some()
        {
            self.problems.focus = false;
            self.table.choose_service(id, &self.picture, self.rows());
        }
        self.scroll_timeline();
    }

    fn scroll_timeline(&mut self) {
        let height = self.timeline_rows().0.max(1);
        let page = &mut self.timeline;
        page.offset = page.offset.min(page.row).max((page.row + 1).saturating_sub(height));
        page.offset = page.offset.min(page.rows.len().saturating_sub(height));
    }

    /// Finds the rows for the period shown, and has read what is missing of it.
    pub(super) fn settle_timeline(&mut self) -> Vec<Action> {
        if self.page != Page::Timeline {
            return Vec::new();
        }
        self.find_timeline_rows();
        let (from, to) = self.timeline_period();
        // the newest is read again as time passes
        let to = self.timeline.end.map_or(self.now, |_| to.min(self.now));
        let lag = self.column().max(AGAIN);
        let holds = |since: DateTime<Utc>, until: DateTime<Utc>| since <= from && until + lag >= to;
        let page = &mut self.timeline;
        let is_held = page.read.as_ref().is_some_and(|it| holds(it.history.from, it.history.to));
        let is_coming = page.reading.is_some_and(|it| holds(it.since, it.until.unwrap_or(to)));
        let is_soon = page.asked.is_some_and(|at| self.now - at < (page.took * 10).max(AGAIN));
        let has_failed = page.reading.is_none() && page.trouble.is_some();
        let is_enough = has_failed || page.end.is_none() && page.covers(from);
        if is_held || is_coming || is_soon && is_enough {
            return Vec::new();
        }
        let margin = MARGIN.min(page.span / 2);
        let span = Span { since: from - margin, until: Some((to + margin).min(self.now)) };
        (page.reading, page.asked) = (Some(span), Some(self.now));
        vec![Action::ReadTimeline(span)]
    }

    fn find_timeline_rows(&mut self) {
        let Some(read) = self.timeline.read.clone() else { return };
        let selected = self.timeline.selected().or(self.table.chosen()).cloned();
        let shown = Shown {
            filter: self.table.filter.clone(),
            problems: self.timeline.problems,
            period: Some(self.timeline_period()),
        };
        let rows = shown.services(&read).into_iter().map(|service| Arc::clone(&service.id));
        self.timeline.rows = rows.collect();
        let place = self.timeline.rows.iter().position(|id| Some(id) == selected.as_ref());
        let last = self.timeline.rows.len().saturating_sub(1);
        self.timeline.row = place.unwrap_or(self.timeline.row.min(last));
        self.scroll_timeline();
    }

    /// Takes what was read.
    pub(super) fn timeline_read(
        &mut self,
        span: Span,
        outcome: Result<PeriodRead, String>,
    ) -> Vec<Action> {
        if self.timeline.reading != Some(span) {
            return Vec::new();
        }
        let page = &mut self.timeline;
        page.reading = None;
        page.took = page.asked.map_or(TimeDelta::zero(), |at| self.now - at);
        match outcome {
            Ok(PeriodRead { chronicle, problems }) => {
                page.read = Some(chronicle);
                page.trouble = (!problems.is_empty()).then(|| problems.join("; "));
            }
            Err(why) => {
                page.trouble = Some(why);
                return Vec::new();
            }
        }
        self.settle_timeline()
    }

    /// A second has passed.
    pub(super) fn tick_timeline(&mut self) -> Vec<Action> {
        let is_old = self.timeline.asked.is_some_and(|at| self.now - at > KEPT);
        if is_old && !matches!(self.page, Page::Timeline | Page::Why) {
            (self.timeline.read, self.timeline.asked) = (None, None);
        }
        self.settle_timeline()
    }

    /// Which moment is meant by the cursor: where it stands, or in a column what was worst of the
    /// selected service. `None`: the present.
    fn moment_of_cursor(&self) -> Option<DateTime<Utc>> {
        let at = self.timeline.cursor?;
        let drawn = self.timeline_of(&[])?;
        let column = self.cursor_column(&drawn);
        if at != drawn.begins(column) {
            return Some(at);
        }
        let history = &self.timeline.chronicle()?.history;
        let track = self.timeline.selected().and_then(|id| history.services.get(id));
        let spans = track.into_iter().flat_map(|it| it.spans(at, drawn.begins(column + 1)));
        let worst = spans.min_by_key(|(_, _, stage)| stage.verdict);
        let begins = worst.filter(|(.., stage)| stage.verdict != Verdict::Ok).map(|(at, ..)| at);
        Some(begins.unwrap_or(at))
    }

    /// Opens the fleet at the moment of the cursor, with the selected service.
    pub(super) fn open_moment_of_cursor(&mut self) -> Vec<Action> {
        let at = self.moment_of_cursor();
        self.page = Page::Fleet;
        if let Some(id) = self.timeline.selected().cloned() {
            self.table.reveal(&id, &self.picture);
            self.table.choose_service(id, &self.picture, self.rows());
        }
        self.travel_to(at.unwrap_or(self.now))
    }

    /// Explains the selected service at the moment of the cursor, once that is shown.
    pub(super) fn explain_at_cursor(&mut self) -> Vec<Action> {
        let mut actions = self.open_moment_of_cursor();
        self.why.waits = true;
        actions.extend(self.explain_when_there());
        actions
    }
}
