//! The one place where clocks are read.
//!
//! Everything pure (`wire`, `fleet`, the supervisor, the dashboard's state) takes `now` as an
//! argument; the edges get it here. Lints forbid the clocks' own functions elsewhere.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// By how many seconds this program's wall clock is ahead of the machine's: in a drill.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// This machine's wall clock. It may be wrong, and it may jump: use it to stamp what is sent and
/// to show times, never to measure.
pub fn wall() -> DateTime<Utc> {
    machine_wall() + TimeDelta::seconds(AHEAD.load(Ordering::Relaxed))
}

/// The wall clock, without the offset that a drill adds.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn machine_wall() -> DateTime<Utc> {
    Utc::now()
}

/// Sets this program's wall clock ahead of the machine's by so many seconds, or right again with 0: to
/// see in a drill whether a wrong clock is noticed.
pub fn set_ahead(seconds: u32) {
    AHEAD.store(seconds.into(), Ordering::Relaxed);
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
    #[cfg(target_os = "linux")]
    let clock = ClockId::CLOCK_BOOTTIME;
    // elsewhere suspended time is in it
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::CLOCK_MONOTONIC;
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}
