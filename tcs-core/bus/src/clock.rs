//! The one place where clocks are read.
//!
//! Everything pure (`wire`, `fleet`, the supervisor, the dashboard's state) takes `now` as an
//! argument; the edges get it here. Lints forbid the clocks' own functions elsewhere.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// This machine's wall clock. It may be wrong, and it may jump: use it to stamp what is sent and
/// to show times, never to measure.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn wall() -> DateTime<Utc> {
    Utc::now()
}

/// This machine's monotonic clock, for timers, ages and windows; in a test that has paused tokio's
/// time, that one.
pub fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The same clock as a number that means something to other programs of this machine
/// (`CLOCK_MONOTONIC`; it stands still while the machine is suspended).
pub fn since_boot() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// Time since this machine was started, suspended time included (`CLOCK_BOOTTIME`). It never
/// jumps, so that two moments of one run of a program can be compared by anybody.
pub fn boottime() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}
