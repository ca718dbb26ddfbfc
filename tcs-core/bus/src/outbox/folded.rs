//! Log lines that repeat: one at once, then one in 10 s at most, with the number of the others.
//! A missing right or a full stream concerns each message, and a line for each would bury
//! everything else. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The time between two lines of one kind.
const QUIET: Duration = Duration::from_secs(10);

/// By kind of line: when the last one was written, and how many were left out since.
#[derive(Debug)]
pub(crate) struct Folded<K>(BTreeMap<K, (Instant, u64)>);

impl<K> Default for Folded<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Folded<K> {
    /// `Some`: write the line, and how many of its kind were left out since the last one.
    pub(crate) fn next(&mut self, kind: K, now: Instant) -> Option<u64> {
        match self.0.get_mut(&kind) {
            Some((last, left_out)) if now < *last + QUIET => {
                *left_out += 1;
                None
            }
            Some((last, left_out)) => {
                *last = now;
                Some(std::mem::take(left_out))
            }
            None => {
                self.0.insert(kind, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_at_once_then_one_in_ten_seconds_with_the_number_of_the_others() {
        let begin = crate::clock::monotonic();
        let mut folded = Folded::default();
        let said: Vec<_> = (0..250)
            .filter_map(|n| {
                let after = Duration::from_millis(100 * n);
                folded.next("full", begin + after).map(|left_out| (after.as_secs(), left_out))
            })
            .collect();
        assert_eq!(said, [(0, 0), (10, 99), (20, 99)]);
        assert_eq!(folded.next("denied", begin), Some(0), "another kind has its own time");
    }
}
