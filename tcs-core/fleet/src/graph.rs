//! What is started after what (`docs/spec/history.md#dependencies`), and which chain of starts took
//! longest.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::Event;

use super::liveness::span;
use super::view::{FleetView, ServiceView};

/// Who is started after whom. Services are indices into the picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// For each service: the services that it is started after.
    before: Vec<Vec<usize>>,
    /// For each service: the services that are started after it.
    after: Vec<Vec<usize>>,
}

impl Graph {
    /// Of all services of a picture.
    pub fn of(view: &FleetView) -> Self {
        let mut graph = Self {
            before: vec![Vec::new(); view.services.len()],
            after: vec![Vec::new(); view.services.len()],
        };
        for (later, service) in view.services.iter().enumerate() {
            let names = service.after().iter().filter_map(|id| view.position(id));
            let firsts: BTreeSet<usize> = names.filter(|first| *first != later).collect();
            for first in &firsts {
                graph.after[*first].push(later);
            }
            graph.before[later] = firsts.into_iter().collect();
        }
        graph
    }

    /// The services that a service is started after, directly.
    pub fn before(&self, service: usize) -> &[usize] {
        self.before.get(service).map_or(&[], Vec::as_slice)
    }

    /// Those that are started after a service, directly.
    pub fn after(&self, service: usize) -> &[usize] {
        self.after.get(service).map_or(&[], Vec::as_slice)
    }

    /// Those that are started after a service, directly or not.
    fn all_after(&self, service: usize) -> BTreeSet<usize> {
        reached(&[service], |at| self.after(at))
    }

    /// These services with all that they are started after, and all that is started after them,
    /// directly or not. Services without any order are not among them.
    pub fn around(&self, services: &[usize]) -> BTreeSet<usize> {
        let is_ordered = |at: &usize| !(self.before(*at).is_empty() && self.after(*at).is_empty());
        let mut all: BTreeSet<usize> = services.iter().copied().filter(is_ordered).collect();
        all.extend(reached(services, |at| self.before(at)));
        all.extend(reached(services, |at| self.after(at)));
        all
    }

    /// The chain of starts that was ready last among these services: each waited for the one before
    /// it. Empty if no start is known.
    pub fn critical_chain(&self, view: &FleetView, services: &BTreeSet<usize>) -> Vec<Start> {
        let latest = |among: &[usize], until: Option<DateTime<Utc>>| {
            let starts = among.iter().filter_map(|i| Start::of(view, *i));
            // one that was restarted since has not been waited for
            let starts = starts.filter(|start| until.is_none_or(|until| start.started <= until));
            starts.max_by_key(Start::ready)
        };
        let has_started = |at: &usize| services.contains(at) && Start::of(view, *at).is_some();
        let is_last = |at: &usize| !self.after(*at).iter().any(has_started);
        let ends: Vec<usize> = services.iter().copied().filter(is_last).collect();
        let mut chain: Vec<Start> = latest(&ends, None).into_iter().collect();
        while let Some(first) = chain.last().copied() {
            let before = self.before(first.service).iter().copied();
            let before: Vec<usize> = before.filter(|at| services.contains(at)).collect();
            match latest(&before, Some(first.started)) {
                // what is declared may go in a circle
                Some(it) if chain.iter().all(|known| known.service != it.service) => chain.push(it),
                Some(_) | None => break,
            }
        }
        chain.reverse();
        chain
    }
}

/// All that can be reached from some services, one step at least.
fn reached<'a>(from: &[usize], next: impl Fn(usize) -> &'a [usize]) -> BTreeSet<usize> {
    let (mut seen, mut left) = (BTreeSet::new(), from.to_vec());
    while let Some(at) = left.pop() {
        for other in next(at) {
            if seen.insert(*other) {
                left.push(*other);
            }
        }
    }
    seen
}

/// The last start of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Start {
    /// Index into the picture's services.
    pub service: usize,
    /// When it was started, by the broker's clock.
    pub started: DateTime<Utc>,
    /// How long its start-up took; `None`: not known, or not over.
    pub took: Option<TimeDelta>,
}

impl Start {
    /// The start of the present run.
    pub fn of(view: &FleetView, service: usize) -> Option<Self> {
        let one = &view.services[service];
        let started = one.started_at?;
        let took =
            one.record.events().into_iter().rev().find_map(|kept| match kept.message.event {
                Event::Ready { startup_duration_seconds } if view.happened(kept).at >= started => {
                    startup_duration_seconds
                }
                _ => None,
            });
        Some(Self { service, started, took: took.map(span) })
    }

    /// When it was ready, as far as that is known.
    pub fn ready(&self) -> DateTime<Utc> {
        self.started + self.took.unwrap_or_default()
    }
}

/// What other services a picture has of one that ends: those that run below it, and those that are
/// started after it and run, directly or not.
pub fn affected(
    view: &FleetView,
    graph: &Graph,
    service: &ServiceView,
) -> (Vec<usize>, Vec<usize>) {
    let runs = |at: &usize| view.services[*at].phase.is_up();
    let below = service.children.iter().copied().filter(runs).collect();
    let place = view.position(&service.id);
    let after = place.map(|at| graph.all_after(at)).unwrap_or_default();
    (below, after.into_iter().filter(|at| Some(*at) != place && runs(at)).collect())
}
