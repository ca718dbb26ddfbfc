//! How often a service ends by itself, how long its runs last, and what they use.

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::Event;
use tcs_wire::control::CrashFigures;

use super::{OwnEvent, WEEK};
use crate::liveness::span;
use crate::record::MAX_CRASHES;

/// From so many spans on it can be said whether they are alike.
const ENOUGH: usize = 3;
/// The last so many are compared.
const COMPARED: usize = 10;
/// They are alike where they deviate by less than this part of their mean.
const ALIKE: f64 = 0.15;
/// Runs before the last one with which that is compared.
const RUNS_BEFORE: usize = 5;

/// The crashes of a week.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Pattern {
    /// In the last hour.
    pub hour: usize,
    /// In the last day.
    pub day: usize,
    /// In the last 7 days.
    pub week: usize,
    /// There may be more that the stream holds no longer.
    pub at_least: bool,
    /// How long the runs lasted that ended so: the shortest, the median, the longest.
    pub runs: Option<[TimeDelta; 3]>,
    /// From one to the next, where that is regular.
    pub every: Option<TimeDelta>,
    /// How long each run lasted, where they are alike.
    pub each: Option<TimeDelta>,
    /// Whether there are enough of them to say so.
    pub is_judged: bool,
}

impl Pattern {
    /// Of these events, oldest first, at `now`.
    pub fn of(own: &[OwnEvent], now: DateTime<Utc>) -> Self {
        let crashes: Vec<_> = own
            .iter()
            .filter_map(|event| match &event.event {
                Event::Crashed(crash) if now - event.at <= WEEK => Some((event.at, crash)),
                _ => None,
            })
            .collect();
        let within = |span| crashes.iter().filter(|(at, _)| now - *at <= span).count();
        let mut runs: Vec<_> =
            crashes.iter().filter_map(|(_, crash)| crash.uptime_seconds).map(span).collect();
        let times: Vec<_> = crashes.iter().map(|(at, _)| *at).collect();
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (every, each) = (alike(&gaps), alike(&runs));
        runs.sort();
        Self {
            hour: within(TimeDelta::hours(1)),
            day: within(TimeDelta::days(1)),
            week: crashes.len(),
            at_least: crashes.len() >= MAX_CRASHES,
            runs: Some(())
                .filter(|()| !runs.is_empty())
                .map(|()| [runs[0], runs[runs.len() / 2], runs[runs.len() - 1]]),
            every,
            each,
            is_judged: gaps.len() >= ENOUGH,
        }
    }
}

/// The mean of the last ones, where they are alike.
fn alike(spans: &[TimeDelta]) -> Option<TimeDelta> {
    let last: Vec<f64> = spans.iter().rev().take(COMPARED).map(|it| it.as_seconds_f64()).collect();
    if last.len() < ENOUGH {
        return None;
    }
    let count = last.len() as f64;
    let mean = last.iter().sum::<f64>() / count;
    let variance = last.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / count;
    (mean > 0.0 && variance.sqrt() < ALIKE * mean).then(|| span(mean))
}

/// A figure of the run that crashed last, against those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Used<T> {
    /// Of the last run.
    pub last: T,
    /// The median of the runs before it, and how many they are.
    pub before: Option<(T, usize)>,
}

impl<T: PartialOrd + Copy> Used<T> {
    /// What `figure` finds in the crashes among these events, oldest first. `None`: the last crash
    /// does not say it.
    pub fn of(own: &[OwnEvent], figure: impl Fn(&CrashFigures) -> Option<T>) -> Option<Self> {
        let mut figures = own.iter().rev().filter_map(|event| match &event.event {
            Event::Crashed(crash) => Some(crash.resources.as_deref().and_then(&figure)),
            _ => None,
        });
        let last = figures.next()??;
        let mut before: Vec<T> = figures.flatten().take(RUNS_BEFORE).collect();
        before.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let median = before.get(before.len() / 2).copied();
        Some(Self { last, before: median.map(|median| (median, before.len())) })
    }
}
