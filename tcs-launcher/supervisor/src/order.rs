//! Who may start, and who may stop, now.
//!
//! A service starts when no service of a lower level, and none of those in its `after`, is *on its
//! way up for the first time*, and for no longer than that one's `start_timeout`. One that has
//! failed, crashed or was never asked to run holds nobody up: one bad service never keeps the others
//! from starting. What a reload starts waits for all that it stops: a new service may need the port
//! of an old one. The launcher's end goes the other way.

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
    let reload_stops = services.values().any(Service::ends_for_reload);
    let may_start = |service: &Service| {
        // after a crash: it was up before, and order is not asked again
        let is_first = matches!(service.state, State::Waiting { attempt: 0 });
        let comes_after = |id: &ServiceId| {
            *id != service.spec.id && services.get(id).is_some_and(holds_others_up)
        };
        let is_held = service.held_by_reload && reload_stops;
        let in_order = || {
            lowest.is_none_or(|lowest| lowest >= service.spec.level)
                && !service.spec.after.iter().any(comes_after)
        };
        !is_held && (!is_first || in_order())
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
    if start.is_empty() && free > 0 && nothing_comes && !reload_stops {
        start.extend(waiting.first().map(|service| service.spec.id.clone()));
    }
    start
}

/// Names in one list of what a service waits for, at most.
const NAMED: usize = 16;

/// What this service waits for, if its start does: those that are to be up before it, or that a
/// reload stops. At most 16 are named.
pub(super) fn waits_for(services: &Services, service: &Service) -> Vec<ServiceId> {
    if !is_waiting(service) {
        return Vec::new();
    }
    let blockers = services.values().filter(|other| is_awaited(other, service));
    blockers.take(NAMED).map(|other| other.spec.id.clone()).collect()
}

/// Services that wait for others than was published, with whom they wait for now.
pub(super) fn to_announce(services: &Services) -> Vec<(ServiceId, Vec<ServiceId>)> {
    let holding = services.values().filter(|service| holds_others_up(service));
    let lowest = holding.map(|service| service.spec.level).min();
    let reload_stops = services.values().any(Service::ends_for_reload);
    let may_wait = |service: &Service| {
        !service.spec.after.is_empty()
            || lowest.is_some_and(|lowest| lowest < service.spec.level)
            || (service.held_by_reload && reload_stops)
    };
    let is_news = |service: &&Service| {
        let awaited = |id: &ServiceId| services.get(id).is_some_and(|it| is_awaited(it, service));
        is_waiting(service) && may_wait(service) && !service.waits_for.iter().any(awaited)
    };
    let news = services.values().filter(is_news);
    let announce = news.map(|service| (service.spec.id.clone(), waits_for(services, service)));
    announce.filter(|(_, on)| !on.is_empty()).collect()
}

/// Those that were to be up before this service, and are not although their time has passed.
pub(super) fn missing(services: &Services, id: &ServiceId) -> Vec<ServiceId> {
    let Some(service) = services.get(id) else { return Vec::new() };
    let late = services.values().filter(|it| it.is_overdue() && comes_before(it, service));
    late.take(NAMED).map(|other| other.spec.id.clone()).collect()
}

/// Whether `other` is what keeps `service` from starting.
fn is_awaited(other: &Service, service: &Service) -> bool {
    // after a crash: it was up before, and order is not asked again
    let is_first = matches!(service.state, State::Waiting { attempt: 0 });
    other.spec.id != service.spec.id
        && ((is_first && comes_before(other, service) && holds_others_up(other))
            || (is_waiting(service) && service.held_by_reload && other.ends_for_reload()))
}

fn comes_before(other: &Service, service: &Service) -> bool {
    other.spec.level < service.spec.level || service.spec.after.contains(&other.spec.id)
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
        State::Spawning { .. } | State::Starting { .. } => service.deadlines.is_armed(Timer::Place),
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
        State::Spawning { attempt } => attempt == 0 && !service.is_overdue(),
        State::Starting { attempt, .. } => {
            attempt == 0 && service.spec.readiness != Readiness::AtOnce && !service.is_overdue()
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
