//! When things happened, however late they were delivered.
//!
//! A message of ours says how far into its sender's run it was made (`meta.run_s`). The run began,
//! at the latest, that long before the broker stored the message; of many messages the earliest
//! such beginning is the best, since some of them came through without delay. Beginning plus
//! `run_s` is when the thing happened, by the broker's clock, whatever the hosts' clocks say. A
//! message without `run_s` happened when it was stored.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use chrono::{DateTime, TimeDelta, Utc};

use tcs_wire::Meta;

/// Runs of which the beginning is kept; beyond it those heard of least recently are forgotten, and
/// what they sent happened when it was stored.
pub const MAX_RUNS: usize = 50_000;
/// Beginnings kept of one run: the best of each of its newest hours. A clock that was set, or that
/// drifts, is so followed within hours.
const HOURS: usize = 4;
/// A host's clock may be this much faster or slower than the broker's: one part in 5,000.
const DRIFT: i32 = 5_000;
/// No run is longer, in seconds.
const LONGEST_RUN: f64 = 1e9;

/// How far into which run a message was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunTime {
    /// Hash of the sender's name.
    sender: u64,
    /// Second in which the run began, by the sender's own clock: a name with a process id in it
    /// comes again, in containers at once.
    began: i64,
    /// Since the run began.
    into: TimeDelta,
}

impl RunTime {
    /// `None` where the message does not say it.
    pub fn of(meta: &Meta) -> Option<Self> {
        let seconds = meta.run_s.filter(|seconds| (0.0..=LONGEST_RUN).contains(seconds))?;
        let into = TimeDelta::microseconds((seconds * 1e6) as i64);
        let began = meta.ts.map_or(0, |ts| (ts.time() - into).timestamp());
        Some(Self { sender: sender_hash(&meta.sender), began, into })
    }

    /// How far into the run it was made.
    pub(super) const fn run_age(&self) -> TimeDelta {
        self.into
    }

    /// Whether both were made in one run. The second in which a run began is known to one second.
    pub(super) fn is_same_run(&self, other: &Self) -> bool {
        self.sender == other.sender && (self.began - other.began).abs() <= 1
    }

    fn run(&self) -> Run {
        (self.sender, self.began)
    }
}

/// By which a sender is known.
pub(super) fn sender_hash(sender: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    sender.hash(&mut hasher);
    hasher.finish()
}

/// Sender and second of its beginning by its own clock.
type Run = (u64, i64);

/// When a thing happened, and how long after that the broker stored the message that tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Happened {
    /// By the broker's clock; never after the message was stored.
    pub at: DateTime<Utc>,
    /// From there to when the message was stored: network and queues, an outage of the broker.
    pub late: TimeDelta,
}

/// When a run began, as one message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    began: DateTime<Utc>,
    into: TimeDelta,
}

impl Sample {
    fn hour(&self) -> i64 {
        self.into.num_hours()
    }

    fn stored(&self) -> DateTime<Utc> {
        self.began + self.into
    }
}

/// The beginnings of the senders' runs. A join: in any order and any number of times, the same
/// result, as long as there are no more than [`MAX_RUNS`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// The newest hour first.
    runs: HashMap<Run, [Option<Sample>; HOURS]>,
}

impl Origins {
    /// Whether no run is known.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Learns from a message that was stored at `stored`.
    pub fn note(&mut self, time: RunTime, stored: DateTime<Utc>) {
        if self.runs.len() >= MAX_RUNS && !self.runs.contains_key(&time.run()) {
            self.evict();
        }
        let held = self.runs.entry(time.run()).or_default();
        let sample = Sample { began: stored - time.into, into: time.into };
        let place = held.iter().position(|s| s.is_none_or(|s| s.hour() <= sample.hour()));
        let Some(place) = place else { return };
        match &mut held[place] {
            Some(same) if same.hour() == sample.hour() => {
                if (sample.began, sample.into) < (same.began, same.into) {
                    *same = sample;
                }
            }
            _ => {
                held[place..].rotate_right(1);
                held[place] = Some(sample);
            }
        }
    }

    /// When it happened that a message tells of which was stored at `stored`.
    pub fn happened(&self, time: Option<RunTime>, stored: DateTime<Utc>) -> Happened {
        let at = time.and_then(|time| {
            let near = [time.began - 1, time.began, time.began + 1];
            near.into_iter()
                .filter_map(|second| self.runs.get(&(time.sender, second)))
                .flat_map(|held| held.iter().flatten())
                .map(|sample| {
                    let apart = (sample.into - time.into).abs();
                    sample.began + time.into + apart / DRIFT
                })
                .min()
        });
        let at = at.map_or(stored, |at| at.min(stored));
        Happened { at, late: stored - at }
    }

    /// Forgets the runs of all senders but these, by [`sender_hash`].
    pub(super) fn retain(&mut self, senders: &HashSet<u64>) {
        self.runs.retain(|(sender, _), _| senders.contains(sender));
        self.runs.shrink_to_fit();
    }

    /// Forgets the half of the runs whose last message is oldest.
    fn evict(&mut self) {
        let last = |held: &[Option<Sample>; HOURS]| held.iter().flatten().map(Sample::stored).max();
        let mut heard: Vec<_> = self.runs.iter().map(|(run, held)| (last(held), *run)).collect();
        let half = heard.len() / 2;
        heard.select_nth_unstable(half);
        for (_, run) in &heard[..half] {
            self.runs.remove(run);
        }
    }
}
