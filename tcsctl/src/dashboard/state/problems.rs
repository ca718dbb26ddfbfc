//! What is wrong, in a block of its own above the table. Block and table are one sequence of rows
//! to the keys that move, and one service is chosen in both.

use std::sync::Arc;

use tcs_core::fleet::FleetView;
use tcs_present::problems::in_trouble;

use super::State;

/// The block.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    /// Indices into the picture's services, the worst first.
    pub rows: Vec<usize>,
    /// First row on the screen.
    pub offset: usize,
    /// One line instead of a block.
    pub folded: bool,
    /// Whether the keys that move are in the block, not in the table.
    pub focus: bool,
    /// Where the chosen service stands in it.
    cursor: usize,
    /// The chosen service is well again, and stands here all the same.
    keeps: bool,
}

impl Problems {
    /// An empty one.
    pub(super) fn new(focus: bool) -> Self {
        Self { focus, ..Self::default() }
    }

    /// Lines that it would take.
    pub fn wanted(&self) -> usize {
        if self.folded { self.rows.len().min(1) } else { self.rows.len() }
    }

    /// How many of its rows are seen on so many lines: where not all are, one line counts the others.
    pub fn seen(&self, lines: usize) -> usize {
        if self.rows.len() > lines { lines.saturating_sub(1) } else { self.rows.len() }
    }

    /// Whether the keys that move are here.
    pub fn has_keys(&self) -> bool {
        self.focus && !self.folded && !self.rows.is_empty()
    }

    /// Makes the rows anew. A service that is `kept` stays where it was though it is well again.
    pub(super) fn rebuild(&mut self, picture: &FleetView, kept: Option<&Arc<str>>) {
        let services = &picture.services;
        self.rows = in_trouble(picture, 0..services.len());
        self.keeps = false;
        let kept = kept.filter(|_| self.focus).and_then(|id| picture.position(id));
        let Some(kept) = kept else { return };
        let line = self.cursor.saturating_sub(self.offset);
        self.cursor = self.rows.iter().position(|row| *row == kept).unwrap_or_else(|| {
            let at = self.cursor.min(self.rows.len());
            self.rows.insert(at, kept);
            self.keeps = true;
            at
        });
        self.offset = self.cursor.saturating_sub(line);
    }

    /// Keeps the chosen row on the screen, and the block full.
    pub(super) fn scroll(&mut self, lines: usize) {
        let seen = self.seen(lines).max(1);
        self.offset = self.offset.min(self.cursor).max((self.cursor + 1).saturating_sub(seen));
        self.offset = self.offset.min(self.rows.len().saturating_sub(seen));
    }
}

impl State {
    /// Makes block and table anew for the picture, and settles which service is chosen.
    pub(super) fn rebuild(&mut self) {
        self.refresh_usage();
        let kept = self.table.chosen().filter(|_| self.table.is_moved()).cloned();
        self.problems.rebuild(&self.picture, kept.as_ref());
        if self.problems.has_keys() && kept.is_none() {
            // until somebody chooses, it is the worst
            self.problems.cursor = 0;
            self.table.propose(self.problem(0));
        }
        self.table.rebuild(&self.picture, self.rows());
        // the hosts above it are known only now
        let height = self.rows();
        self.table.scroll(height);
        // in the table it may be folded away
        if let Some(id) = kept.filter(|_| self.problems.has_keys()) {
            self.table.choose_service(id, &self.picture, height);
        }
        self.problems.scroll(self.problem_lines());
    }

    /// Lines of the block on the screen.
    pub fn problem_lines(&self) -> usize {
        self.panes().problems.map_or(0, |area| usize::from(area.height))
    }

    /// The service in a row of the block.
    pub fn problem(&self, row: usize) -> Option<Arc<str>> {
        let service = self.problems.rows.get(row)?;
        Some(Arc::clone(&self.picture.services[*service].id))
    }

    /// Moves through block and table as one.
    pub(super) fn step(&mut self, by: isize) {
        let above = if self.problems.folded { 0 } else { self.problems.rows.len() };
        let (place, count) = self.table.place();
        let in_table = above + place;
        let here = if self.problems.has_keys() { self.problems.cursor } else { in_table };
        let last = (above + count).saturating_sub(1);
        match here.saturating_add_signed(by).min(last) {
            to if to < above => self.choose_problem(to),
            to => self.choose_row(self.table.nth(to - above)),
        }
    }

    /// Chooses a row of the block.
    pub(super) fn choose_problem(&mut self, row: usize) {
        let Some(id) = self.problem(row) else { return };
        self.problems.focus = true;
        self.problems.cursor = row;
        let height = self.rows();
        let is_shown = self.table.choose_service(id, &self.picture, height);
        self.problems.scroll(self.problem_lines());
        self.leave_kept(!is_shown);
    }

    /// What stood there only because it was chosen goes.
    fn leave_kept(&mut self, is_needed: bool) {
        if is_needed || self.problems.keeps || self.table.keeps() {
            self.rebuild();
        }
    }

    /// Chooses a row of the table.
    pub(super) fn choose_row(&mut self, row: usize) {
        self.problems.focus = false;
        self.table.choose(row, &self.picture, self.rows());
        self.leave_kept(false);
    }

    /// Goes from the block to the chosen service in the table, which shows it whatever is folded or
    /// filtered.
    pub(super) fn enter_table(&mut self) {
        let Some(id) = self.table.chosen().cloned() else { return };
        self.problems.focus = false;
        self.table.reveal(&id, &self.picture);
        self.table.pin();
        self.rebuild();
    }

    /// The next problem, going round: of the block, or of the table.
    pub(super) fn next_problem(&mut self) {
        self.scrolled = 0;
        if self.problems.has_keys() {
            return self.choose_problem((self.problems.cursor + 1) % self.problems.rows.len());
        }
        match self.table.next_fault(&self.picture) {
            Some(row) => self.choose_row(row),
            None => self.tell("no problems in what is shown", false),
        }
    }

    pub(super) fn fold_problems(&mut self) {
        self.problems.folded = !self.problems.folded;
        self.problems.focus = false;
        self.rebuild();
    }
}
