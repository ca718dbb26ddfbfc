//! What one run of a service has used: adds up what was read of its processes. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use chrono::{DateTime, Utc};
use tcs_core::wire::Timestamp;
use tcs_core::wire::control::{CrashFigures, PastFigures, Scope, ServiceFigures};

/// Samples kept of a run: ten minutes of them by default.
const KEPT: usize = 60;

/// When something was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    pub(super) wall: DateTime<Utc>,
}

/// Which process: ids are used again, with another start.
pub(super) type Key = (i32, u64);

/// What only grows in a process's life.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counters {
    pub(super) cpu_seconds: f64,
    /// `None`: it may not be read.
    pub(super) read_bytes: Option<u64>,
    pub(super) written_bytes: Option<u64>,
}

/// One process at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) key: Key,
    pub(super) is_main: bool,
    pub(super) counters: Counters,
    pub(super) threads: Option<u32>,
    pub(super) rss_bytes: Option<u64>,
    pub(super) anon_bytes: Option<u64>,
    pub(super) swap_bytes: Option<u64>,
    pub(super) peak_rss_bytes: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) fd_limit: Option<u64>,
}

/// A run, from its first sample on.
#[derive(Debug, Default)]
pub(super) struct Usage {
    living: BTreeMap<Key, Counters>,
    /// Of processes that have ended: their last values.
    ended: Counters,
    last: Option<(Moment, ServiceFigures)>,
    peak: Option<u64>,
    ring: VecDeque<PastFigures>,
}

impl Counters {
    fn plus(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (one, other) => one.or(other),
        };
        Self {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            read_bytes: sum(self.read_bytes, other.read_bytes),
            written_bytes: sum(self.written_bytes, other.written_bytes),
        }
    }

    /// Two readings of one process: neither counter falls.
    fn max(self, other: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds.max(other.cpu_seconds),
            read_bytes: self.read_bytes.max(other.read_bytes),
            written_bytes: self.written_bytes.max(other.written_bytes),
        }
    }
}

/// The sum of what is known; `None` where nothing is.
fn total(samples: &[Sample], field: impl Fn(&Sample) -> Option<u64>) -> Option<u64> {
    samples.iter().filter_map(field).reduce(u64::saturating_add)
}

impl Usage {
    /// All processes of the run, as read at `now`.
    pub(super) fn add(&mut self, now: Moment, samples: &[Sample]) {
        let before = std::mem::take(&mut self.living);
        for sample in samples {
            let earlier = before.get(&sample.key).copied().unwrap_or_default();
            self.living.insert(sample.key, sample.counters.max(earlier));
        }
        for (key, counters) in before {
            if !self.living.contains_key(&key) {
                self.ended = self.ended.plus(counters);
            }
        }
        let counters = self.counters();
        let earlier = self.last.as_ref().map(|(at, figures)| (at.at, figures.cpu_seconds));
        let cpu_percent = earlier.and_then(|(at, seconds)| {
            let passed = now.at.saturating_duration_since(at).as_secs_f64();
            let used = counters.cpu_seconds - seconds.unwrap_or(0.0);
            (passed > 0.0).then(|| (used / passed * 10_000.0).round() / 100.0)
        });
        let rss_bytes = total(samples, |it| it.rss_bytes);
        let largest = samples.iter().filter_map(|it| it.peak_rss_bytes).max();
        self.peak = self.peak.max(rss_bytes).max(largest);
        let main = samples.iter().find(|it| it.is_main);
        let figures = ServiceFigures {
            scope: Scope::Processes,
            processes: Some(u32::try_from(samples.len()).unwrap_or(u32::MAX)),
            threads: samples.iter().filter_map(|it| it.threads).reduce(u32::saturating_add),
            cpu_percent,
            cpu_seconds: Some(counters.cpu_seconds),
            rss_bytes,
            anon_bytes: total(samples, |it| it.anon_bytes),
            swap_bytes: total(samples, |it| it.swap_bytes),
            peak_rss_bytes: self.peak,
            open_fds: total(samples, |it| it.open_fds),
            fd_limit: main.and_then(|it| it.fd_limit),
            read_bytes: counters.read_bytes,
            written_bytes: counters.written_bytes,
            partial: samples.iter().any(|it| it.open_fds.is_none()),
            ..ServiceFigures::default()
        };
        if self.ring.len() == KEPT {
            self.ring.pop_front();
        }
        let sampled_at = Some(Timestamp::new(now.wall));
        self.ring.push_back(PastFigures { sampled_at, cpu_percent, rss_bytes });
        self.last = Some((now, figures));
    }

    /// Its main process has ended, with these last counters.
    pub(super) fn ended(&mut self, (key, counters): (Key, Counters)) {
        let earlier = self.living.remove(&key).unwrap_or_default();
        self.ended = self.ended.plus(counters.max(earlier));
    }

    /// As of the last sample.
    pub(super) fn figures(&self, history: bool) -> ServiceFigures {
        let figures = self.last.as_ref().map(|(_, figures)| figures.clone()).unwrap_or_default();
        let history = if history { self.ring.iter().cloned().collect() } else { Vec::new() };
        ServiceFigures { scope: Scope::Processes, history, ..figures }
    }

    /// What a crash says. Nothing that was not sampled.
    pub(super) fn of_crash(&self, now: Instant) -> CrashFigures {
        let counters = self.counters();
        let known = self.last.is_some() || counters != Counters::default();
        let last = self.last.as_ref();
        CrashFigures {
            rss_bytes: last.and_then(|(_, it)| it.rss_bytes),
            peak_rss_bytes: self.peak,
            sample_age_s: last.map(|(at, _)| now.saturating_duration_since(at.at).as_secs_f64()),
            cpu_seconds: known.then_some(counters.cpu_seconds),
            read_bytes: counters.read_bytes,
            written_bytes: counters.written_bytes,
            open_fds: last.and_then(|(_, it)| it.open_fds),
            oom: None,
        }
    }

    /// Those that lived at the last sample.
    pub(super) fn pids(&self) -> impl Iterator<Item = i32> {
        self.living.keys().map(|(pid, _)| *pid)
    }

    fn counters(&self) -> Counters {
        self.living.values().fold(self.ended, |sum, one| sum.plus(*one))
    }
}
