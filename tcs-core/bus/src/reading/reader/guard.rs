//! Which messages of a stream are news: of each subject the newest sequence that was handed on.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Subjects of which it is kept at least, and at most; between them twice as many as were held
/// when all had been read. Of one that is forgotten an old message may be handed on again, which
/// the fold ignores.
const AT_LEAST: usize = 16_384;
const AT_MOST: usize = 262_144;

/// Filters out messages that were already handed on, by subject and sequence.
#[derive(Debug)]
pub(super) struct Guard {
    /// By a subject's hash.
    newest: HashMap<u64, u64>,
    hasher: RandomState,
    limit: usize,
    is_complete: bool,
}

/// A message that is newer than what was handed on of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Something was handed on of it, or it was held already.
    Known,
    /// Nothing was.
    OfNewSubject,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            newest: HashMap::new(),
            hasher: RandomState::new(),
            limit: AT_MOST,
            is_complete: false,
        }
    }
}

impl Guard {
    pub(super) fn hash(&self, subject: &str) -> u64 {
        self.hasher.hash_one(subject)
    }

    /// `None`: it is no news.
    pub(super) fn note(&mut self, subject: u64, seq: u64) -> Option<News> {
        let known = self.newest.entry(subject).or_default();
        if seq <= *known {
            return None;
        }
        let is_new = *known == 0 && self.is_complete;
        *known = seq;
        if self.newest.len() > self.limit {
            self.forget();
        }
        Some(if is_new { News::OfNewSubject } else { News::Known })
    }

    /// All that was held has been handed on.
    pub(super) fn complete(&mut self) {
        self.is_complete = true;
        self.limit = (self.newest.len() * 2).clamp(AT_LEAST, AT_MOST);
    }

    /// Another stream of that name.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets the half of which nothing came for longest.
    fn forget(&mut self) {
        let mut all: Vec<u64> = self.newest.values().copied().collect();
        let middle = all.len() / 2;
        let (_, oldest, _) = all.select_nth_unstable(middle);
        let oldest = *oldest;
        self.newest.retain(|_, seq| *seq >= oldest);
        self.newest.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_knows_who_was_there() {
        let mut guard = Guard::default();
        assert_eq!(guard.note(7, 1), Some(News::Known));
        guard.complete();
        for n in 0..100_000 {
            assert_eq!(guard.note(1000 + n, 2 * n + 2), Some(News::OfNewSubject));
            // it goes on all the while
            if n % 1000 == 0 {
                assert_eq!(guard.note(7, 2 * n + 3), Some(News::Known), "{n}");
            }
        }
        assert!(guard.newest.capacity() <= AT_LEAST * 4, "{}", guard.newest.capacity());
        assert_eq!(guard.note(7, 5), None);
    }
}
