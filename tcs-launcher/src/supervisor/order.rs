//! Who may start, and who may stop, now.
//!
//! A service starts when no service of a lower level, and none of those in its `after`, is *on its
//! way up for the first time*. One that has failed, crashed or was never asked to run holds nobody
//! up: one bad service never keeps the others from starting. The launcher's end goes the other way.

use std::collections::BTreeMap;

use super::deadline::Timer;
use super::service::{Later, Service, State};
use super::spec::{Readiness, ServiceId};

type Services = BTreeMap<ServiceId, Service>;

/// Those to start now, at most so many that `places` are not exceeded.
pub(super) fn to_start(services: &Services, places: usize) -> Vec<ServiceId> {
    let mut waiting: Vec<&Service> =
        services.values().filter(|service| is_waiting(service)).collect();
    if waiting.is_empty() {
        return Vec::new();
    }
    waiting.sort_by_key(|service| (service.spec.level, service.place));
    let taken = services.values().filter(|service| takes_place(service)).count();
    let free = places.saturating_sub(taken);
    let lowest = services
        .values()
        .filter(|service| holds_others_up(service))
        .map(|service| service.spec.level)
        .min();
    let may_start = |service: &Service| {
        // after a crash: it was up before, and order is not asked again
        let is_first = matches!(service.state, State::Waiting { attempt: 0 });
        let comes_after = |id: &ServiceId| {
            *id != service.spec.id && services.get(id).is_some_and(holds_others_up)
        };
        !is_first
            || (lowest.is_none_or(|lowest| lowest >= service.spec.level)
                && !service.spec.after.iter().any(comes_after))
    };
    let mut start: Vec<ServiceId> = waiting
        .iter()
        .filter(|service| may_start(service))
        .take(free)
        .map(|service| service.spec.id.clone())
        .collect();
    // A circle of `after`, or one against the levels: each waits for another, and nothing comes
    // that could change it. The first in order breaks it.
    let nothing_comes =
        services.values().all(|service| !holds_others_up(service) || is_waiting(service));
    if start.is_empty() && free > 0 && nothing_comes {
        start.extend(waiting.first().map(|service| service.spec.id.clone()));
    }
    start
}

/// Those whose turn to stop has come.
pub(super) fn to_stop(services: &Services) -> Vec<ServiceId> {
    let mut waiting: Vec<&Service> =
        services.values().filter(|service| service.later == Some(Later::InTurn)).collect();
    if waiting.is_empty() {
        return Vec::new();
    }
    let up: Vec<&Service> = services.values().filter(|service| !service.is_over()).collect();
    let highest = up.iter().map(|service| service.spec.level).max();
    let needed: std::collections::BTreeSet<&ServiceId> = up
        .iter()
        .flat_map(|service| service.spec.after.iter().filter(|id| **id != service.spec.id))
        .collect();
    let stop: Vec<ServiceId> = waiting
        .iter()
        .filter(|service| {
            highest.is_none_or(|highest| highest <= service.spec.level)
                && !needed.contains(&service.spec.id)
        })
        .map(|service| service.spec.id.clone())
        .collect();
    let nothing_comes = up.iter().all(|service| service.later == Some(Later::InTurn));
    if stop.is_empty() && nothing_comes {
        waiting.sort_by_key(|service| (service.spec.level, service.place));
        return waiting.last().map(|service| service.spec.id.clone()).into_iter().collect();
    }
    stop
}

/// Waits for nothing but order and a place.
fn is_waiting(service: &Service) -> bool {
    matches!(service.state, State::Waiting { .. }) && !service.remains
}

/// Uses one of the places for services that start at the same time.
fn takes_place(service: &Service) -> bool {
    match service.state {
        State::Spawning { .. } | State::Starting { .. } => {
            service.deadlines.is_armed(Timer::Patience)
        }
        State::Declared
        | State::Waiting { .. }
        | State::Running { .. }
        | State::Stopping { .. }
        | State::Backoff { .. }
        | State::Stopped
        | State::Completed
        | State::Failed => false,
    }
}

/// On its way up, not after a crash.
fn holds_others_up(service: &Service) -> bool {
    match service.state {
        State::Waiting { attempt } => attempt == 0 && !service.is_unkillable(),
        State::Spawning { attempt } => attempt == 0 && service.deadlines.is_armed(Timer::Patience),
        State::Starting { attempt, .. } => {
            attempt == 0
                && match service.spec.readiness {
                    Readiness::AtOnce => false,
                    Readiness::Within(_) => true,
                    Readiness::Reported => service.deadlines.is_armed(Timer::Patience),
                }
        }
        State::Stopping { .. } => service.comes_again() && !service.is_unkillable(),
        State::Declared
        | State::Running { .. }
        | State::Backoff { .. }
        | State::Stopped
        | State::Completed
        | State::Failed => false,
    }
}
