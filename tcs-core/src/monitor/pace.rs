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
        // a change never overtakes one that waits for the timer
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

    /// The number of changes held, permit or not: for the final report.
    pub(crate) fn flush(&mut self) -> Option<u64> {
        (self.held > 0).then(|| std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests;
