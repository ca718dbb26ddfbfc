//! What is said of messages that were given up: a missing right concerns each of them, and a line
//! for each would bury everything else. Pure.

use std::time::{Duration, Instant};

/// The time between two lines.
const QUIET: Duration = Duration::from_secs(10);

/// One line at once, then one in [`QUIET`] at most.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    /// A message was given up. `Some`: say so, and of how many nothing was said since the last
    /// line.
    pub(super) fn next(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + QUIET) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_at_once_then_one_in_ten_seconds_with_the_number_of_the_others() {
        let begin = crate::clock::monotonic();
        let mut complaints = Complaints::default();
        let said: Vec<_> = (0..250)
            .filter_map(|n| {
                let after = Duration::from_millis(100 * n);
                complaints.next(begin + after).map(|unsaid| (after.as_secs(), unsaid))
            })
            .collect();
        assert_eq!(said, [(0, 0), (10, 99), (20, 99)]);
    }
}
