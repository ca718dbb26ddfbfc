//! The clock a service sleeps by: tokio's, which a test's runtime may move.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::clock;

/// A clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// The time shown at the start, and that instant; `None`: the system clock.
    begun: Option<(DateTime<Utc>, Instant)>,
}

impl Clock {
    /// The system clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that shows `start` now, and advances with tokio's time.
    pub fn starting_at(start: DateTime<Utc>) -> Self {
        Self { begun: Some((start, Instant::now())) }
    }

    /// The current time.
    pub fn now(&self) -> DateTime<Utc> {
        self.begun.map_or_else(clock::wall, |(start, begun)| start + begun.elapsed())
    }

    /// Waits until the clock has advanced by `time`.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
