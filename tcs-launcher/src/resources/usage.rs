//! What one run of a service has used: adds up what was read of its processes. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use chrono::{DateTime, Utc};
use tcs_core::wire::Timestamp;
use tcs_core::wire::control::{CrashFigures, PastFigures, Scope, ServiceFigures};

use super::FRESH;

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

/// What only grows in a process's life: its own, and that of its descendants which have ended and
/// were waited for, as the kernel adds it up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counters {
    pub(super) cpu_seconds: f64,
    /// The part of `cpu_seconds` that ended descendants used.
    pub(super) waited_seconds: f64,
    /// `None`: it may not be read.
    pub(super) read_bytes: Option<u64>,
    pub(super) written_bytes: Option<u64>,
}

/// One process at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) key: Key,
    pub(super) parent: i32,
    pub(super) is_main: bool,
    /// Nobody has waited for it yet, or it went while it was read: only what it has used counts.
    pub(super) has_ended: bool,
    /// It is another user's, and its details may not be read.
    pub(super) is_denied: bool,
    pub(super) counters: Counters,
    pub(super) threads: Option<u32>,
    pub(super) rss_bytes: Option<u64>,
    pub(super) anon_bytes: Option<u64>,
    pub(super) swap_bytes: Option<u64>,
    pub(super) peak_rss_bytes: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) fd_limit: Option<u64>,
}

/// Of a process that was there at the last sample.
#[derive(Debug, Clone, Copy)]
struct Known {
    parent: i32,
    counters: Counters,
    /// What was added to `ended` at the last sample because nobody above it had it in its counters:
    /// whoever is read just before a child ends has that only at the next.
    owed: Counters,
}

/// A run, from its first sample on.
#[derive(Debug, Default)]
pub(super) struct Usage {
    there: BTreeMap<Key, Known>,
    /// Of processes that are gone, what no counter of those there has.
    ended: Counters,
    /// When the main process ended, and which it was.
    end: Option<(Instant, Key)>,
    last: Option<(Moment, ServiceFigures)>,
    rate: Option<Rate>,
    peak: Option<u64>,
    ring: VecDeque<PastFigures>,
}

/// How fast processor time was used, since when.
#[derive(Debug, Clone, Copy)]
struct Rate {
    at: Instant,
    cpu_seconds: f64,
    percent: Option<f64>,
}

impl Counters {
    /// Field by field; the one that is known where the other is not.
    fn with(self, other: Self, cpu: fn(f64, f64) -> f64, bytes: fn(u64, u64) -> u64) -> Self {
        let both = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(bytes(a, b)),
            (one, other) => one.or(other),
        };
        Self {
            cpu_seconds: cpu(self.cpu_seconds, other.cpu_seconds),
            waited_seconds: cpu(self.waited_seconds, other.waited_seconds),
            read_bytes: both(self.read_bytes, other.read_bytes),
            written_bytes: both(self.written_bytes, other.written_bytes),
        }
    }

    fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b, u64::saturating_add)
    }

    /// Two readings of one process: no counter falls.
    fn max(self, other: Self) -> Self {
        self.with(other, f64::max, u64::max)
    }

    /// What of it is more than `covered`; nothing where that is more.
    fn beyond(self, covered: Self) -> Self {
        let bytes = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_sub(b.unwrap_or(0)));
        Self {
            cpu_seconds: (self.cpu_seconds - covered.cpu_seconds).max(0.0),
            waited_seconds: (self.waited_seconds - covered.waited_seconds).max(0.0),
            read_bytes: bytes(self.read_bytes, covered.read_bytes),
            written_bytes: bytes(self.written_bytes, covered.written_bytes),
        }
    }

    /// What of the growth since `before` can be that of descendants.
    fn inherited_since(self, before: Self) -> Self {
        let grown = self.beyond(before);
        Self { cpu_seconds: grown.waited_seconds, ..grown }
    }
}

/// The sum of what is known; `None` where nothing is.
fn total(samples: &[&Sample], field: impl Fn(&Sample) -> Option<u64>) -> Option<u64> {
    samples.iter().filter_map(|it| field(it)).reduce(u64::saturating_add)
}

impl Usage {
    /// All processes of the run, as read from `now` on.
    pub(super) fn add(&mut self, now: Moment, samples: &[Sample]) {
        // it was read when the main process had not ended yet, which is counted already
        if self.end.is_some_and(|(at, _)| now.at <= at) {
            return;
        }
        let main = self.end.map(|(_, key)| key);
        let samples: Vec<&Sample> = samples.iter().filter(|it| Some(it.key) != main).collect();
        self.count(samples.iter().copied());
        let counters = self.counters();
        let cpu_percent = self.rate(now.at, counters.cpu_seconds);
        let samples: Vec<&Sample> = samples.into_iter().filter(|it| !it.has_ended).collect();
        let samples = samples.as_slice();
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
            partial: samples.iter().any(|it| it.is_denied),
            ..ServiceFigures::default()
        };
        if self.ring.len() == KEPT {
            self.ring.pop_front();
        }
        let sampled_at = Some(Timestamp::new(now.wall));
        self.ring.push_back(PastFigures { sampled_at, cpu_percent, rss_bytes });
        self.last = Some((now, figures));
    }

    /// Its main process has ended, and nobody has waited for it: it and those that are still there,
    /// as read at `now`.
    pub(super) fn ended(&mut self, now: Instant, main: Key, samples: &[Sample]) {
        self.count(samples);
        if let Some(known) = self.there.remove(&main) {
            self.ended = self.ended.plus(known.counters);
        }
        self.end = Some((now, main));
    }

    /// Counts what has been used up to a sample. Whoever is gone is in the counters of the nearest
    /// above it that is there, if that has waited; else its last values are kept here.
    fn count<'a>(&mut self, samples: impl IntoIterator<Item = &'a Sample>) {
        let before = std::mem::take(&mut self.there);
        let mut inherited: BTreeMap<Key, Counters> = BTreeMap::new();
        for Sample { key, parent, counters, .. } in samples {
            let mut now = Known { parent: *parent, counters: *counters, owed: Counters::default() };
            if let Some(known) = before.get(key) {
                now.counters = now.counters.max(known.counters);
                let grown = now.counters.inherited_since(known.counters);
                let late = known.owed.beyond(known.owed.beyond(grown));
                self.ended = self.ended.beyond(late);
                inherited.insert(*key, grown.beyond(late));
            }
            self.there.insert(*key, now);
        }
        for (heir, gone) in self.gone(&before) {
            let covered = heir.and_then(|key| inherited.get(&key)).copied().unwrap_or_default();
            let owed = gone.beyond(covered);
            self.ended = self.ended.plus(owed);
            if let Some(heir) = heir.and_then(|key| self.there.get_mut(&key)) {
                heir.owed = owed;
            }
        }
    }

    /// What those had used who are gone, for each process that may have inherited it.
    fn gone(&self, before: &BTreeMap<Key, Known>) -> BTreeMap<Option<Key>, Counters> {
        let keys: BTreeMap<i32, Key> = before.keys().map(|key| (key.0, *key)).collect();
        let heir = |known: &Known| {
            let mut parent = known.parent;
            // there are no more above it
            for _ in 0..before.len() {
                let key = keys.get(&parent)?;
                if self.there.contains_key(key) {
                    return Some(*key);
                }
                parent = before.get(key)?.parent;
            }
            None
        };
        let mut gone: BTreeMap<Option<Key>, Counters> = BTreeMap::new();
        for (_, known) in before.iter().filter(|(key, _)| !self.there.contains_key(key)) {
            let sum = gone.entry(heir(known)).or_default();
            *sum = sum.plus(known.counters);
        }
        gone
    }

    /// Percent of one core, over [`FRESH`] at least where there was a sample before.
    fn rate(&mut self, now: Instant, cpu_seconds: f64) -> Option<f64> {
        let Some(last) = self.rate else {
            self.rate = Some(Rate { at: now, cpu_seconds, percent: None });
            return None;
        };
        let passed = now.saturating_duration_since(last.at);
        if passed.is_zero() || (passed < FRESH && last.percent.is_some()) {
            return last.percent;
        }
        let percent = (cpu_seconds - last.cpu_seconds) / passed.as_secs_f64() * 100.0;
        let percent = Some((percent * 100.0).round() / 100.0);
        self.rate = Some(Rate { at: now, cpu_seconds, percent });
        percent
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

    /// Those that were there at the last sample.
    pub(super) fn pids(&self) -> impl Iterator<Item = i32> {
        self.there.keys().map(|(pid, _)| *pid)
    }

    fn counters(&self) -> Counters {
        self.there.values().fold(self.ended, |sum, one| sum.plus(one.counters))
    }
}
