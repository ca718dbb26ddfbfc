//! A period in columns: of each service the worst verdict in each.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{History, Track};
use crate::Verdict;

/// One column of one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cell {
    /// The worst of those that it had in it, however shortly; `None`: none is known.
    pub verdict: Option<Verdict>,
    /// How often it was started again.
    pub restarts: u32,
}

impl Cell {
    /// Of one verdict alone.
    pub const fn of(verdict: Verdict) -> Self {
        Self { verdict: Some(verdict), restarts: 0 }
    }
}

/// One service.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TimelineRow {
    /// Its name.
    pub id: Arc<str>,
    /// One for each column.
    pub cells: Vec<Cell>,
}

/// The verdicts of services in equally wide columns of time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Timeline {
    /// The beginning of the first column.
    pub from: DateTime<Utc>,
    /// The end of the last one.
    pub to: DateTime<Utc>,
    /// By id.
    pub rows: Vec<TimelineRow>,
    /// The columns in which the record has a gap.
    pub gaps: Vec<bool>,
}

/// A moment is in the column that begins at it or before it. Columns are equal to the nanosecond.
#[derive(Debug, Clone, Copy)]
struct Scale {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    columns: usize,
}

/// Nanoseconds; exact for all times that `chrono` can tell.
fn nanos(span: TimeDelta) -> i128 {
    i128::from(span.num_seconds()) * 1_000_000_000 + i128::from(span.subsec_nanos())
}

impl Scale {
    /// The column of a moment in the period.
    fn column(&self, at: DateTime<Utc>) -> usize {
        let (into, whole) = (nanos(at - self.from), nanos(self.to - self.from));
        let column = into * self.columns as i128 / whole.max(1);
        usize::try_from(column).unwrap_or(0).min(self.columns.saturating_sub(1))
    }

    /// The columns that hold something of `[from, until)`; a moment is in one.
    fn columns(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> std::ops::RangeInclusive<usize> {
        let last = until - TimeDelta::nanoseconds(1);
        self.column(from)..=self.column(last.max(from))
    }

    /// When a column begins; the one after the last when the period ends.
    fn begins(&self, column: usize) -> DateTime<Utc> {
        let (whole, columns) = (nanos(self.to - self.from), self.columns.max(1) as i128);
        // the first moment of the column: rounded up
        let into = (whole * column as i128 + columns - 1) / columns;
        let seconds = i64::try_from(into / 1_000_000_000).unwrap_or(i64::MAX);
        let rest = u32::try_from(into % 1_000_000_000).unwrap_or_default();
        let into = TimeDelta::new(seconds, rest).unwrap_or_default();
        self.from.checked_add_signed(into).unwrap_or(self.to).min(self.to)
    }
}

/// Draws a part of a history in `columns` columns.
///
/// A cell has the worst verdict of its column, also one that lasted for no time at all; a verdict
/// that begins or ends on a column's edge is only in the column that it was in.
pub fn timeline(
    history: &History,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    columns: usize,
) -> Timeline {
    timeline_of(history, history.services.keys(), from, to, columns)
}

/// The same of some services: of a large fleet only those that are seen are worth drawing.
pub fn timeline_of<'a>(
    history: &History,
    services: impl IntoIterator<Item = &'a Arc<str>>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    columns: usize,
) -> Timeline {
    let scale = Scale { from, to: to.max(from), columns };
    let mut gaps = vec![false; columns];
    for gap in history.gaps.iter().filter(|gap| gap.from < to && gap.until > from) {
        for column in scale.columns(gap.from.max(from), gap.until.min(to)) {
            if let Some(gap) = gaps.get_mut(column) {
                *gap = true;
            }
        }
    }
    let row = |id: &Arc<str>| {
        let track = history.services.get(id)?;
        Some(TimelineRow { id: Arc::clone(id), cells: cells(track, &scale, history) })
    };
    let mut rows: Vec<TimelineRow> = services.into_iter().filter_map(row).collect();
    rows.sort_by(|one, other| one.id.cmp(&other.id));
    Timeline { from, to: scale.to, rows, gaps }
}

fn cells(track: &Track, scale: &Scale, history: &History) -> Vec<Cell> {
    let mut cells = vec![Cell::default(); scale.columns];
    // nothing is known of the time outside of the history
    let (from, to) = (scale.from.max(history.from), scale.to.min(history.to));
    if from >= to {
        return cells;
    }
    for (begins, ends, stage) in track.spans(from, to) {
        for cell in &mut cells[scale.columns(begins, ends)] {
            let worst = cell.verdict.unwrap_or(stage.verdict);
            cell.verdict = Some(worst.min(stage.verdict));
        }
    }
    for at in track.restarts.iter().filter(|at| from <= **at && **at < to) {
        if let Some(cell) = cells.get_mut(scale.column(*at)) {
            cell.restarts += 1;
        }
    }
    cells
}

impl Timeline {
    /// The row of a service.
    pub fn row(&self, id: &str) -> Option<&TimelineRow> {
        let place = self.rows.binary_search_by(|row| (*row.id).cmp(id)).ok()?;
        self.rows.get(place)
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.gaps.len()
    }

    fn scale(&self) -> Scale {
        Scale { from: self.from, to: self.to, columns: self.columns() }
    }

    /// When a column begins.
    pub fn begins(&self, column: usize) -> DateTime<Utc> {
        self.scale().begins(column)
    }

    /// The column of a moment; the nearest one of a moment outside.
    pub fn column(&self, at: DateTime<Utc>) -> usize {
        self.scale().column(at.max(self.from))
    }
}
