//! How long each service was well in a period, and sums over launchers and hosts.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{History, Track};
use crate::{FleetView, Verdict};

/// One service, or the sum of several.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Availability {
    /// Time in each verdict, by the place in [`Verdict::ALL`]. What is missing to the whole period
    /// is not known.
    pub times: [TimeDelta; Verdict::ALL.len()],
    /// The time for which it was known and meant to run.
    pub wanted: TimeDelta,
    /// How often it was started again.
    pub restarts: usize,
    /// The longest time for which it was meant to run and was neither ok nor degraded.
    pub longest: TimeDelta,
}

impl Availability {
    fn of(track: &Track, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let mut sum = Self::default();
        let spans: Vec<_> = track.spans(from, to).collect();
        let mut outage: Option<DateTime<Utc>> = None;
        let mut before = Means::Idle;
        for (i, (begins, ends, stage)) in spans.iter().enumerate() {
            sum.times[stage.verdict as usize] += *ends - *begins;
            let means = Means::of(stage.verdict).unwrap_or_else(|| {
                let later = spans[i..].iter().find_map(|(.., it)| Means::of(it.verdict));
                Means::on_the_way(before, later)
            });
            match means {
                Means::Idle => {}
                Means::Up | Means::Down => sum.wanted += *ends - *begins,
            }
            if means == Means::Down {
                let began = *outage.get_or_insert(*begins);
                sum.longest = sum.longest.max(*ends - began);
            } else {
                outage = None;
            }
            before = means;
        }
        sum.restarts = track.restarts.iter().filter(|at| from <= **at && **at < to).count();
        sum
    }

    /// Time in a verdict.
    pub fn time(&self, verdict: Verdict) -> TimeDelta {
        self.times[verdict as usize]
    }

    /// The part of the time that counts in which it was ok or degraded; `None`: it was never meant to
    /// run.
    pub fn share(&self) -> Option<f64> {
        let up = self.time(Verdict::Ok) + self.time(Verdict::Degraded);
        (self.wanted > TimeDelta::zero()).then(|| seconds(up) / seconds(self.wanted))
    }

    fn add(&mut self, other: &Self) {
        for (sum, time) in self.times.iter_mut().zip(&other.times) {
            *sum += *time;
        }
        self.wanted += other.wanted;
        self.restarts += other.restarts;
        self.longest = self.longest.max(other.longest);
    }
}

fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1000.0
}

/// What a verdict means for availability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// The service did its work.
    Up,
    /// The service should have worked, and did not.
    Down,
    /// The service was not meant to run, or its state is not known.
    Idle,
}

impl Means {
    /// `None`: it is on the way from one to another.
    const fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Ok | Verdict::Degraded => Some(Self::Up),
            Verdict::Stopped | Verdict::Unknown => Some(Self::Idle),
            Verdict::Starting | Verdict::Stopping => None,
            Verdict::Failed
            | Verdict::Lost
            | Verdict::Error
            | Verdict::Restarting
            | Verdict::Late => Some(Self::Down),
        }
    }

    /// The meaning of a start or stop. The first start, the last stop and a program that only runs
    /// once are as they are meant to be; a start that fails, or that comes after work or a fault,
    /// is not.
    const fn on_the_way(before: Self, later: Option<Self>) -> Self {
        match (before, later) {
            (_, Some(Self::Down)) | (Self::Down, _) | (Self::Up, Some(Self::Up)) => Self::Down,
            (Self::Idle, _) | (Self::Up, Some(Self::Idle) | None) => Self::Idle,
        }
    }
}

/// The availability of each service, in the order of their ids.
pub fn availability(history: &History) -> Vec<(Arc<str>, Availability)> {
    let of = |(id, track): (&Arc<str>, &Track)| {
        (Arc::clone(id), Availability::of(track, history.from, history.to))
    };
    history.services.iter().map(of).collect()
}

/// What the services of one launcher, or of one host, come to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sum {
    /// The launcher's monitored name, or the host's.
    pub name: Arc<str>,
    /// How many services: launchers do not count.
    pub services: usize,
    /// The sum of their times and restarts, and the longest of their outages.
    pub sum: Availability,
}

/// Sums of the services of each launcher, and of each host, by their names.
pub fn sums(all: &[(Arc<str>, Availability)], view: &FleetView) -> (Vec<Sum>, Vec<Sum>) {
    let mut launchers: BTreeMap<Arc<str>, Sum> = BTreeMap::new();
    let mut hosts: BTreeMap<Arc<str>, Sum> = BTreeMap::new();
    for (id, availability) in all {
        let Some(service) = view.get(id).filter(|service| !service.is_launcher) else { continue };
        let places = [(&mut launchers, &service.parent), (&mut hosts, &service.host)];
        for (sums, name) in places {
            let Some(name) = name else { continue };
            let empty = Sum { name: Arc::clone(name), services: 0, sum: Availability::default() };
            let sum = sums.entry(Arc::clone(name)).or_insert(empty);
            sum.services += 1;
            sum.sum.add(availability);
        }
    }
    (launchers.into_values().collect(), hosts.into_values().collect())
}
