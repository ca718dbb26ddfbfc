//! What is searched in a log: in slices, so that a slow expression over much output holds nothing up.
//!
//! The newest lines are searched first. What is searched is always one range of lines, which grows
//! towards both ends.

use std::collections::VecDeque;
use std::ops::Range;

use regex::{Regex, RegexBuilder};

use super::store::LogStore;

/// Matches that are marked in one line.
const MOST_FOUND: usize = 50;
/// Slices searched at once when something is typed or comes: a small log is searched whole.
const AT_ONCE: usize = 4;

/// A text that is searched.
#[derive(Debug, Clone)]
pub struct Search {
    /// As typed.
    pub text: String,
    pattern: Regex,
    /// The numbers of the lines in which it stands, so far.
    pub matches: VecDeque<u64>,
    /// The lines that are searched.
    searched: Range<u64>,
    /// The match that was gone to.
    pub current: Option<u64>,
    /// The next match is to be gone to once it is found: towards newer lines, or older ones.
    pub(super) wanted: Option<bool>,
}

impl Search {
    /// Of a regular expression; what is none is searched as it is. Case does not matter.
    pub(super) fn new(text: &str, store: &LogStore) -> Option<Self> {
        let build = |pattern: &str| {
            let mut builder = RegexBuilder::new(pattern);
            builder.case_insensitive(true).multi_line(true).size_limit(1 << 20).build()
        };
        let pattern = build(text).or_else(|_| build(&regex::escape(text))).ok()?;
        let is_needed = !text.is_empty();
        is_needed.then(|| Self {
            text: text.to_owned(),
            pattern,
            matches: VecDeque::new(),
            searched: store.end()..store.end(),
            current: None,
            wanted: None,
        })
    }

    /// Where it stands in a line.
    pub fn found(&self, text: &str) -> Vec<Range<usize>> {
        let found = self.pattern.find_iter(text).map(|hit| hit.range());
        found.filter(|range| !range.is_empty()).take(MOST_FOUND).collect()
    }

    /// Forgets lines that are not held any more, and searches a part of what is left.
    pub(super) fn advance(&mut self, store: &LogStore) {
        let first = store.first();
        let gone = self.matches.partition_point(|line| *line < first);
        self.matches.drain(..gone);
        self.searched = self.searched.start.max(first)..self.searched.end.max(first);
        for _ in 0..AT_ONCE {
            self.step(store);
        }
    }

    /// Searches one more slice; returns the lines found in it.
    pub(super) fn step(&mut self, store: &LogStore) -> Vec<u64> {
        let mut found = Vec::new();
        if let Some(slice) = store.slice_from(self.searched.end) {
            self.searched.end = slice.end;
            found = store.search(&self.pattern, slice);
            self.matches.extend(&found);
        } else if let Some(slice) = store.slice_before(self.searched.start) {
            self.searched.start = slice.start;
            found = store.search(&self.pattern, slice);
            found.iter().rev().for_each(|line| self.matches.push_front(*line));
        }
        found
    }

    /// Whether lines are left to search.
    pub fn is_going_on(&self, store: &LogStore) -> bool {
        self.searched.start > store.first() || self.searched.end < store.end()
    }

    /// The match after a line, or before it, that is shown; round the ends. `Err`: what would tell is
    /// not searched yet.
    pub(super) fn nearest(
        &self,
        from: u64,
        later: bool,
        store: &LogStore,
        is_shown: impl Fn(u64) -> bool,
    ) -> Result<Option<u64>, StillSearching> {
        let place = self.matches.partition_point(|at| *at < from);
        // the one that was gone to is no next one
        let skip =
            usize::from(self.current == Some(from) && self.matches.get(place) == Some(&from));
        let shown =
            |range: Range<usize>| self.matches.range(range).copied().filter(|at| is_shown(*at));
        let all = 0..self.matches.len();
        let (found, is_certain) = if later {
            (shown(place + skip..all.end).next(), self.searched.start <= from)
        } else {
            // what is searched has no holes
            (shown(0..place).next_back(), true)
        };
        if let Some(found) = found.filter(|_| is_certain) {
            return Ok(Some(found));
        }
        if self.is_going_on(store) {
            return Err(StillSearching);
        }
        Ok(if later { shown(all).next() } else { shown(all).next_back() })
    }
}

/// More lines have to be searched first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StillSearching;
