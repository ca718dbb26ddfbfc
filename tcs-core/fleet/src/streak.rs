//! The statuses of one service that are too old to be kept one by one: since when the last of them
//! have said the same.

use super::origin::RunTime;
use super::recent::{Stamped, key};
use super::stamp::Stamp;
use tcs_wire::Status;

/// When one of the last messages of a kind came, and what tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) stamp: Stamp,
    pub(super) run: Option<RunTime>,
    /// Of what it says; two that say the same have the same.
    pub(super) fact: u64,
    /// What a status message reports.
    pub(super) status: Status,
}

impl Stamped for Mark {
    fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    fn is_copy(&self, other: &Self) -> bool {
        self.run.is_some() && (self.run, self.fact) == (other.run, other.fact)
    }
}

impl Mark {
    /// Whether both messages tell of one fact in one run.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.fact == other.fact
            && self.run.zip(other.run).is_none_or(|(mine, theirs)| mine.is_same_run(&theirs))
    }
}

/// The last marks that tell of one fact. Exact in any order of arrival, except that of a streak into
/// which another fact is put later, from the past, only its end is known; reading that past in order
/// puts it right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Streak {
    /// The first of them.
    pub(super) first: Mark,
    /// The newest of all.
    pub(super) last: Mark,
    /// The newest that tells of another fact, before `first`.
    other: Option<Stamp>,
}

impl Streak {
    /// Takes a mark in; says whether it changed anything.
    pub(super) fn put(held: &mut Option<Box<Self>>, mark: Mark) -> bool {
        if let Some(streak) = held {
            return streak.add(mark);
        }
        *held = Some(Box::new(Self { first: mark, last: mark, other: None }));
        true
    }

    fn add(&mut self, mark: Mark) -> bool {
        let before = *self;
        let at = key(&mark.stamp);
        let is_after_other = self.other.is_none_or(|other| at > key(&other));
        if mark.is_same(&self.last) {
            if at > key(&self.last.stamp) {
                self.last = mark;
            } else if at < key(&self.first.stamp) && is_after_other {
                self.first = mark;
            }
        } else if at > key(&self.last.stamp) {
            *self = Self { first: mark, last: mark, other: Some(self.last.stamp) };
        } else if is_after_other {
            self.other = Some(mark.stamp);
            if at > key(&self.first.stamp) {
                self.first = self.last;
            }
        }
        *self != before
    }
}
