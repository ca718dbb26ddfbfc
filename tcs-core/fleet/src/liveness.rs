//! What the heartbeats tell (`docs/spec/truth.md#liveness`).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::beats::Beat;
use super::record::Record;
use super::verdict::Liveness;

/// Whether messages can reach us at all (`docs/spec/truth.md#what-the-picture-says-of-itself`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Connected, with no outage to remember; or a picture of the past, or a recording.
    Steady,
    /// Connected again. Times are by the broker's clock.
    Back {
        /// When contact had broken.
        lost: DateTime<Utc>,
        /// Since when it is there again.
        since: DateTime<Utc>,
    },
    /// Not connected: liveness is frozen as it was then.
    Down {
        /// Since when, by the broker's clock as we knew it.
        since: DateTime<Utc>,
    },
}

/// Where a heartbeat interval comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalSource {
    /// The heartbeat says it.
    Said,
    /// The median gap of the beats held.
    Learned,
    /// Neither: 10 s.
    Assumed,
}

/// The interval that is taken where nothing tells it.
pub const DEFAULT_INTERVAL: TimeDelta = TimeDelta::seconds(10);
const MIN_INTERVAL: TimeDelta = TimeDelta::milliseconds(100);
const MAX_INTERVAL: TimeDelta = TimeDelta::hours(1);
/// Intervals of silence from which a service is late.
pub(super) const LATE: i32 = 3;
/// Intervals of silence from which it is lost.
const LOST: i32 = 12;
/// How long a start-up or a status without any heartbeat is believed.
pub(super) const PATIENCE: TimeDelta = TimeDelta::seconds(120);
/// After our own outage, on top of one interval.
const OUTAGE_GRACE: TimeDelta = TimeDelta::seconds(5);

/// The expected time from one beat to the next, and how we know. Gaps count inside one run only:
/// between two runs lies a restart. `began`: when the start of the present run was stored.
pub(super) fn interval(
    record: &Record,
    began: Option<DateTime<Utc>>,
) -> (TimeDelta, IntervalSource) {
    let said = record.last_beat().and_then(|beat| beat.interval_seconds).filter(|s| s.is_finite());
    if let Some(seconds) = said.filter(|seconds| *seconds > 0.0) {
        return (clamp(span(seconds)), IntervalSource::Said);
    }
    // by the sender's own clock: skew cancels out, and a burst after an outage does not fool it
    let is_past = |beat: &&Arc<Beat>| began.is_some_and(|at| beat.stamp.stored < at);
    let present = record.beats().skip_while(is_past);
    let mut gaps: Vec<TimeDelta> = present
        .clone()
        .zip(present.skip(1))
        .filter(|(first, second)| is_one_run(first, second))
        .filter_map(|(first, second)| Some(second.timestamp?.time() - first.timestamp?.time()))
        .filter(|gap| *gap > TimeDelta::zero())
        .collect();
    if gaps.len() < 2 {
        return (DEFAULT_INTERVAL, IntervalSource::Assumed);
    }
    gaps.sort_unstable();
    (clamp(gaps[(gaps.len() - 1) / 2]), IntervalSource::Learned)
}

/// Whether a heartbeat and the next one are of one run, as far as they tell.
fn is_one_run(first: &Beat, second: &Beat) -> bool {
    let ascends = |first: Option<f64>, second: Option<f64>| {
        first.zip(second).is_none_or(|(first, second)| second > first)
    };
    let count = |beat: &Beat| beat.sequence.map(|number| number as f64);
    first.sender == second.sender
        && first.by_launcher == second.by_launcher
        && ascends(count(first), count(second))
        && ascends(first.uptime_seconds, second.uptime_seconds)
}

fn clamp(interval: TimeDelta) -> TimeDelta {
    interval.clamp(MIN_INTERVAL, MAX_INTERVAL)
}

/// Seconds as a span; what does not fit is the longest we use.
pub(super) fn span(seconds: f64) -> TimeDelta {
    let micros = (seconds * 1e6).clamp(-3.2e15, 3.2e15);
    TimeDelta::microseconds(if micros.is_nan() { 0 } else { micros as i64 })
}

/// Until when messages could reach us: silence is counted up to that time.
pub(super) fn heard_until(now: DateTime<Utc>, link: Link) -> DateTime<Utc> {
    match link {
        Link::Down { since } => now.min(since),
        Link::Steady | Link::Back { .. } => now,
    }
}

/// Until when silence proves that a service is lost: while we have been connected again for a short
/// time only, that of our own outage proves nothing.
pub(super) fn proven_until(now: DateTime<Utc>, link: Link, interval: TimeDelta) -> DateTime<Utc> {
    match link {
        Link::Back { lost, since } if now < since + interval + OUTAGE_GRACE => now.min(lost),
        Link::Steady | Link::Back { .. } | Link::Down { .. } => heard_until(now, link),
    }
}

/// The liveness for a last sign of life of this age.
pub(super) fn judge(age: TimeDelta, interval: TimeDelta) -> Liveness {
    if age < interval * LATE {
        Liveness::Live
    } else if age < interval * LOST {
        Liveness::Late
    } else {
        Liveness::Lost
    }
}

/// From when on a service whose last sign of life was at `at` counts as late, and as lost.
pub(super) fn turns(at: DateTime<Utc>, interval: TimeDelta) -> (DateTime<Utc>, DateTime<Utc>) {
    (at + interval * LATE, at + interval * LOST)
}

/// A loop that lags more than this is blocked.
pub(super) fn blocked(lag: TimeDelta, interval: TimeDelta) -> bool {
    lag > interval * LATE
}

/// Two programs beating under one name: beats of senders A, B, A within 3 intervals, among beats
/// that are not yet history (12 intervals).
pub(super) fn doubles(
    record: &Record,
    interval: TimeDelta,
    now: DateTime<Utc>,
) -> Option<Vec<String>> {
    let recent: Vec<&Beat> = record
        .beats()
        .map(|beat| &**beat)
        .filter(|beat| !beat.by_launcher && now - beat.stamp.stored < interval * LOST)
        .collect();
    for (i, first) in recent.iter().enumerate() {
        let mut other: Option<&Beat> = None;
        for beat in &recent[i + 1..] {
            if beat.stamp.stored - first.stamp.stored > interval * LATE {
                break;
            }
            if beat.sender != first.sender {
                other = Some(beat);
            } else if let Some(other) = other {
                return Some(vec![first.sender.to_string(), other.sender.to_string()]);
            }
        }
    }
    None
}
