//! When the next frame may be drawn: never more than 20 in any second, and a key's at once where
//! that leaves room. News of the fleet are drawn ten times a second, so that it mostly does.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Frames in any second.
const MOST: usize = 20;
/// With fewer than this in the last second, a key's frame need not wait.
const EASY: usize = 10;
/// Between two frames otherwise.
const GAP: Duration = Duration::from_millis(50);
/// Between two frames that only news ask for.
const NEWS_GAP: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

/// What a frame is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// The fleet, the link or the clock moved on.
    News,
    /// Somebody did something and waits to see it.
    Key,
}

/// The frames of the last second.
#[derive(Debug, Default)]
pub(super) struct Pace {
    frames: VecDeque<Instant>,
}

impl Pace {
    /// A frame was drawn.
    pub(super) fn drawn(&mut self, now: Instant) {
        if self.frames.len() == MOST {
            self.frames.pop_front();
        }
        self.frames.push_back(now);
    }

    /// The earliest time for the next frame; it may have passed.
    pub(super) fn next(&self, wanted: Wanted, now: Instant) -> Instant {
        let Some(last) = self.frames.back() else { return now };
        let recent = self.frames.iter().filter(|at| now.duration_since(**at) < SECOND).count();
        let gap = match wanted {
            Wanted::News => NEWS_GAP,
            Wanted::Key if recent < EASY => Duration::ZERO,
            Wanted::Key => GAP,
        };
        let room = match self.frames.front() {
            Some(first) if self.frames.len() == MOST => *first + SECOND,
            _ => now,
        };
        (*last + gap).max(room)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an origin to count from")]
mod tests {
    use super::*;

    /// Draws as often as it may for `millis`, a frame being wanted at each of them.
    fn frames(wanted: Wanted, millis: u64) -> Vec<u64> {
        let origin = Instant::now();
        let mut pace = Pace::default();
        let mut drawn = Vec::new();
        for ms in 0..millis {
            let now = origin + Duration::from_millis(ms);
            if pace.next(wanted, now) <= now {
                pace.drawn(now);
                drawn.push(ms);
            }
        }
        drawn
    }

    #[test]
    fn never_more_than_20_in_any_second() {
        for wanted in [Wanted::Key, Wanted::News] {
            let drawn = frames(wanted, 5000);
            for window in drawn.windows(MOST + 1) {
                assert!(window[MOST] - window[0] >= 1000, "{wanted:?}: {window:?}");
            }
        }
        assert_eq!(frames(Wanted::News, 1000).len(), 10);
    }

    #[test]
    fn a_key_among_news_is_drawn_at_once() {
        let origin = Instant::now();
        let mut pace = Pace::default();
        for i in 0..9 {
            pace.drawn(origin + NEWS_GAP * i);
        }
        let now = origin + NEWS_GAP * 8 + Duration::from_millis(1);
        assert!(pace.next(Wanted::Key, now) <= now);
        assert_eq!(pace.next(Wanted::News, now), origin + NEWS_GAP * 9);
    }
}
