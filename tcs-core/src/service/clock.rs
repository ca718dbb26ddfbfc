//! The clock a service sleeps by: tokio's, which a test's runtime may move.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::clock;

/// A clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// What it showed, and when; `None`: it is the system's.
    begun: Option<(DateTime<Utc>, Instant)>,
}

impl Clock {
    /// The system's.
    pub fn system() -> Self {
        Self::default()
    }

    /// One that shows `start` now, and goes on as tokio's time does.
    pub fn starting_at(start: DateTime<Utc>) -> Self {
        Self { begun: Some((start, Instant::now())) }
    }

    /// What it shows.
    pub fn now(&self) -> DateTime<Utc> {
        self.begun.map_or_else(clock::wall, |(start, begun)| start + begun.elapsed())
    }

    /// Waits until it has gone on by `time`.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
