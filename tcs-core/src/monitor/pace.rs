//! How often a monitor may speak: 20 messages at once, then 10 a second; what comes faster is
//! merged and counted, and the last one is always sent. Pure.

use std::time::{Duration, Instant};

/// Messages that may follow each other at once.
pub(crate) const BURST: u32 = 20;
/// Time after which one more is allowed.
pub(crate) const GAP: Duration = Duration::from_millis(100);

/// A bucket of [`BURST`] permits that gets a new one every [`GAP`].
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the bucket would be full again: each permit taken puts it off by one gap.
    full_at: Option<Instant>,
    /// Changes since the last message.
    held: u64,
}

impl Pace {
    /// Notes a change. `Some(n)`: send now, for `n` changes; `None`: wait until [`Pace::due`].
    pub(crate) fn change(&mut self, now: Instant) -> Option<u64> {
        self.held += 1;
        // who waits already keeps its turn: nobody overtakes the timer
        self.take(now)
    }

    /// When what is held may go; `None` if nothing is.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.held == 0 {
            return None;
        }
        self.full_at.map(|full| full.checked_sub(GAP * (BURST - 1)).unwrap_or(full))
    }

    /// The number of changes to send for now, if any are held and a permit is there.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u64> {
        if self.held == 0 || self.due().is_some_and(|due| due > now) {
            return None;
        }
        self.full_at = Some(self.full_at.map_or(now, |full| full.max(now)) + GAP);
        Some(std::mem::take(&mut self.held))
    }

    /// What is held, whether a permit is there or not: for the last word.
    pub(crate) fn flush(&mut self) -> Option<u64> {
        (self.held > 0).then(|| std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn twenty_at_once_then_ten_a_second_and_nothing_is_uncounted() {
        let start = clock::monotonic();
        let mut pace = Pace::default();
        let (mut sent, mut stands_for) = (0, 0);
        // 10,000 changes within one second
        for i in 0..10_000_u32 {
            let now = start + Duration::from_micros(100) * i;
            if let Some(n) = pace.change(now) {
                sent += 1;
                stands_for += n;
            }
        }
        assert!((29..=30).contains(&sent), "{sent}");
        let due = pace.due().expect("the last change is held");
        assert!(due > start + Duration::from_millis(900) && due < start + Duration::from_secs(2));
        assert_eq!(pace.take(start), None);
        stands_for += pace.take(due).expect("its turn has come");
        assert_eq!(stands_for, 10_000);
        assert_eq!((pace.due(), pace.flush()), (None, None));
    }

    #[test]
    fn a_rest_fills_the_bucket_again_but_no_more_than_that() {
        let start = clock::monotonic();
        let mut pace = Pace::default();
        let burst = |pace: &mut Pace, now| (0..100).filter(|_| pace.change(now).is_some()).count();
        assert_eq!(burst(&mut pace, start), 20);
        assert_eq!(pace.flush(), Some(80));
        assert_eq!(burst(&mut pace, start + Duration::from_hours(1)), 20);
    }
}
