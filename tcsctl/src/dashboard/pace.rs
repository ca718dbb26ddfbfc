//! When the next frame may be drawn: never more than 20 in any second, and a key's at once.
//!
//! A bucket of five frames that fills at 15 a second: so there are never more than 20 in a second,
//! somebody who types finds every key drawn at once, and a key that is held down goes on evenly.
//! News of the fleet leave some of it for keys, and are drawn at most ten times a second; heartbeats,
//! of which each service sends one every few seconds, every 0.8 s.

use std::time::{Duration, Instant};

/// Frames that may follow each other at once.
const BURST: f64 = 5.0;
/// Frames a second after that.
const RATE: f64 = 15.0;
/// What news leave for keys.
const RESERVE: f64 = 2.0;
/// Between two frames that only news ask for.
const NEWS_GAP: Duration = Duration::from_millis(100);

/// After a frame that left none of them, before one that only heartbeats ask for: they too are shown
/// within a second.
const BEAT_GAP: Duration = Duration::from_millis(800);

/// What a frame is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// Services are alive as before.
    Beat,
    /// The fleet, the link or the clock moved on.
    News,
    /// Somebody did something and waits to see it.
    Key,
}

/// Limits the frames that are drawn per second.
#[derive(Debug)]
pub(super) struct Pace {
    /// Frames in the bucket at `last`.
    left: f64,
    last: Option<Instant>,
    /// The last after which nothing waited. What it left behind is not put off by each frame anew.
    whole: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { left: BURST, last: None, whole: None }
    }
}

impl Pace {
    /// A frame was made; `written`: it differed from what was shown; `wanted`: for what another one
    /// is, although nothing came meanwhile.
    pub(super) fn drawn(&mut self, now: Instant, written: bool, wanted: Option<Wanted>) {
        self.left = self.left_at(now) - f64::from(u8::from(written));
        self.last = Some(now);
        if wanted.is_none() || self.whole.is_none() {
            self.whole = Some(now);
        }
    }

    /// The earliest time for the next frame; it may have passed.
    pub(super) fn next(&self, wanted: Wanted, now: Instant) -> Instant {
        let Some(last) = self.last else { return now };
        let (needed, from) = match wanted {
            Wanted::Key => (1.0, last),
            Wanted::News => (1.0 + RESERVE, last + NEWS_GAP),
            Wanted::Beat => {
                (1.0 + RESERVE, (self.whole.unwrap_or(last) + BEAT_GAP).max(last + NEWS_GAP))
            }
        };
        let missing = (needed - self.left_at(now)).max(0.0);
        from.max(now + Duration::from_secs_f64(missing / RATE))
    }

    fn left_at(&self, now: Instant) -> f64 {
        let passed = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        (self.left + passed.as_secs_f64() * RATE).min(BURST)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an origin to count from")]
mod tests {
    use super::*;

    /// The milliseconds at which frames are drawn, when `always` is wanted without end and keys every
    /// `key` ms; with how long each key delays for its frame.
    fn frames_of(always: Wanted, key: Option<u64>, millis: u64) -> (Vec<u64>, Vec<u64>) {
        let origin = Instant::now();
        let mut pace = Pace::default();
        let (mut drawn, mut delays) = (Vec::new(), Vec::new());
        let mut pressed = None;
        for ms in 0..millis {
            let now = origin + Duration::from_millis(ms);
            if key.is_some_and(|key| ms % key == key / 2) {
                pressed = pressed.or(Some(ms));
            }
            let wanted = if pressed.is_some() { Wanted::Key } else { always };
            if pace.next(wanted, now) <= now {
                pace.drawn(now, true, None);
                drawn.push(ms);
                delays.extend(pressed.take().map(|pressed| ms - pressed));
            }
        }
        (drawn, delays)
    }

    fn frames(key: Option<u64>, millis: u64) -> (Vec<u64>, Vec<u64>) {
        frames_of(Wanted::News, key, millis)
    }

    #[test]
    fn never_more_than_20_in_any_second() {
        for key in [None, Some(3), Some(33), Some(130), Some(501)] {
            let (drawn, _) = frames(key, 5000);
            for window in drawn.windows(21) {
                assert!(window[20] - window[0] >= 1000, "{key:?}: {window:?}");
            }
        }
    }

    #[test]
    fn who_types_never_waits_and_a_key_held_down_goes_on_evenly() {
        let (drawn, delays) = frames(Some(130), 10_000);
        assert_eq!(delays.iter().max(), Some(&0), "{delays:?}");
        assert!(drawn.len() > 100, "and news are drawn between them");
        let (drawn, _) = frames(Some(33), 10_000);
        let longest = drawn.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(longest <= Some(70), "{longest:?}");
    }

    #[test]
    fn news_are_drawn_ten_times_a_second_beats_seldom_and_what_is_not_written_costs_nothing() {
        assert_eq!(frames(None, 1000).0.len(), 10);
        assert_eq!(frames_of(Wanted::Beat, None, 8000).0.len(), 10);
        let now = Instant::now();
        let mut pace = Pace::default();
        (0..100).for_each(|_| pace.drawn(now, false, None));
        assert!(pace.next(Wanted::Key, now) <= now);
    }
}
