//! The rhythm of heartbeats: the strip of the last ones, jitter, and how many were missed.

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::{Beat, ServiceView};

use super::{Line, Role, symbols};

/// What the held heartbeats say of their rhythm.
#[derive(Debug, Clone, PartialEq)]
pub struct Rhythm {
    /// Beats that came, and those that should have, oldest first; the last stands for now.
    pub marks: Vec<bool>,
    /// How far gaps are from the interval, on average; `None` with fewer than three beats.
    pub jitter: Option<TimeDelta>,
    /// Beats missed between those held, and since.
    pub missed: usize,
}

impl Rhythm {
    /// The last of the marks, as many as there is room for.
    pub fn strip(&self, room: usize) -> Line {
        let last = &self.marks[self.marks.len().saturating_sub(room)..];
        last.iter().fold(Line::new(), |line, came| {
            line.with(if *came { Role::Good } else { Role::Bad }, symbols::beat(*came))
        })
    }
}

/// More missed beats than these in one gap are not drawn one by one.
const MOST_MISSED: i64 = 16;

/// Reads the beats of the present run.
pub fn read(service: &ServiceView, now: DateTime<Utc>) -> Rhythm {
    let interval = service.interval.max(TimeDelta::milliseconds(100));
    let mut marks = Vec::new();
    let mut deviations = Vec::new();
    let mut missed = 0;
    let mut before: Option<&Beat> = None;
    let started = service.started_at.filter(|_| service.managed);
    for beat in service.beats() {
        if started.is_some_and(|start| beat.stamp.stored < start) {
            continue;
        }
        if let Some(before) = before {
            // one host's clock where there is one: what the network did to a beat is not its rhythm
            let gap = match (before.timestamp, beat.timestamp) {
                (Some(a), Some(b)) => b.time() - a.time(),
                _ => beat.stamp.stored - before.stamp.stored,
            };
            let lost = gaps(gap, interval);
            missed += lost as usize;
            marks.extend((0..lost.min(MOST_MISSED)).map(|_| false));
            if lost == 0 {
                deviations.push((gap - interval).abs());
            }
        }
        marks.push(true);
        before = Some(beat);
    }
    if let Some(last) = service.last_heartbeat.filter(|_| before.is_some()) {
        let lost = ((now - last).num_milliseconds() * 2 / interval.num_milliseconds() - 1) / 2;
        let lost = lost.max(0);
        missed += lost as usize;
        marks.extend((0..lost.min(MOST_MISSED)).map(|_| false));
    }
    let jitter = (deviations.len() >= 2).then(|| {
        deviations.iter().sum::<TimeDelta>() / i32::try_from(deviations.len()).unwrap_or(i32::MAX)
    });
    Rhythm { marks, jitter, missed }
}

/// Beats missing inside a gap: one and a half intervals are none, two and a half one.
fn gaps(gap: TimeDelta, interval: TimeDelta) -> i64 {
    let halves = gap.num_milliseconds() * 2 / interval.num_milliseconds().max(1);
    ((halves + 1) / 2 - 1).max(0)
}
