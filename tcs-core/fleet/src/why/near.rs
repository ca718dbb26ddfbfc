//! What else happened shortly before a service got into trouble, most related first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::{Event, Message};

use super::hosts::{Kills, Reboot, clock_steps, kills, reboots};
use super::{ClockStep, NEAR, Onset, Told};
use crate::Fleet;
use crate::liveness::Link;
use crate::silence::{Silence, Silences};
use crate::stamp::SLACK;
use crate::transitions::{Cause, Transition, Transitions};
use crate::verdict::Verdict;
use crate::view::{FleetView, ServiceView};

/// What a launcher declares so long after its own start, it declares because of a reload.
const STARTED: f64 = 5.0;
/// Services that one is after, directly or not, at most.
const MAX_AFTER: usize = 64;

/// What a service has to do with what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Relation {
    /// It happened to the service itself.
    Itself,
    /// To the launcher that runs it.
    Launcher,
    /// To a service that it is started after.
    After,
    /// To all: to the broker.
    Broker,
    /// To another service of its launcher.
    SameLauncher,
    /// On its host.
    SameHost,
    /// Somewhere else, within the same minute.
    Elsewhere,
}

impl Relation {
    /// The word, as in `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Itself => "itself",
            Self::Launcher => "launcher",
            Self::After => "after",
            Self::Broker => "broker",
            Self::SameLauncher => "same_launcher",
            Self::SameHost => "same_host",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Happening {
    /// To a service.
    Transition(Box<Transition>),
    /// A launcher has read its configuration again.
    Reload {
        /// The launcher.
        launcher: Arc<str>,
        /// The services that it declares otherwise, or stopped for it.
        services: BTreeSet<Arc<str>>,
        /// Who asked for it, where that is known.
        by: Option<String>,
    },
    /// The broker could not be reached, or stored nothing, until then.
    Outage {
        /// The first heartbeat after it.
        until: DateTime<Utc>,
    },
    /// A host was booted.
    Reboot {
        /// The host.
        host: Arc<str>,
        /// The launcher that tells of it.
        launcher: Arc<str>,
    },
    /// A clock was set.
    ClockStep(ClockStep),
    /// The kernel of a host killed processes because memory ran out.
    OutOfMemory {
        /// The host.
        host: Arc<str>,
        /// The launcher that tells of it.
        launcher: Arc<str>,
        /// How many.
        kills: u64,
    },
}

/// One thing that happened near the onset.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Nearby {
    /// When, by the broker's clock.
    pub at: DateTime<Utc>,
    /// What it has to do with the service.
    pub relation: Relation,
    /// What it was.
    pub what: Happening,
}

impl Nearby {
    /// The service whose messages tell of it; `None`: many.
    pub fn id(&self) -> Option<&str> {
        match &self.what {
            Happening::Transition(it) => Some(&it.id),
            Happening::Reload { launcher, .. }
            | Happening::OutOfMemory { launcher, .. }
            | Happening::Reboot { launcher, .. } => Some(launcher),
            Happening::Outage { .. } | Happening::ClockStep(_) => None,
        }
    }

    /// The lower, the more likely it is the cause: what takes services along comes before what
    /// merely happened beside them.
    fn rank(&self) -> u8 {
        match (&self.what, self.relation) {
            (Happening::Reboot { .. }, Relation::SameHost) => 0,
            (Happening::Reload { .. }, Relation::Itself) => 2,
            (Happening::Reload { .. }, Relation::Launcher) => 7,
            (Happening::OutOfMemory { .. }, Relation::SameHost) => 3,
            (_, Relation::Launcher) => 1,
            (_, Relation::After) => 4,
            (_, Relation::Broker) => 5,
            (Happening::ClockStep(_), Relation::SameHost) => 6,
            (_, Relation::Itself) => 8,
            (_, Relation::SameLauncher) => 9,
            (_, Relation::SameHost) => 10,
            (Happening::Transition(_), Relation::Elsewhere) => 11,
            (_, Relation::Elsewhere) => 12,
        }
    }
}

/// How others stand to the service.
struct Ties<'a> {
    view: &'a FleetView,
    service: &'a ServiceView,
    after: BTreeSet<&'a str>,
}

impl<'a> Ties<'a> {
    fn of(view: &'a FleetView, service: &'a ServiceView) -> Self {
        let mut after: BTreeSet<&str> = BTreeSet::new();
        let mut left: Vec<&ServiceView> = vec![service];
        while let Some(one) = left.pop() {
            for id in one.after() {
                if after.len() < MAX_AFTER && *id != *service.id && after.insert(id) {
                    left.extend(view.get(id));
                }
            }
        }
        Self { view, service, after }
    }

    fn is_host(&self, host: &str) -> bool {
        self.service.host.as_deref() == Some(host)
    }

    fn on_host(&self, host: &str) -> Relation {
        if self.is_host(host) { Relation::SameHost } else { Relation::Elsewhere }
    }

    fn to(&self, id: &str) -> Relation {
        let other = self.view.get(id);
        if *id == *self.service.id {
            Relation::Itself
        } else if self.service.parent.as_deref() == Some(id) {
            Relation::Launcher
        } else if self.after.contains(id) {
            Relation::After
        } else if let Some(parent) = other.and_then(|it| it.parent.as_ref())
            && self.service.parent.as_ref() == Some(parent)
        {
            Relation::SameLauncher
        } else {
            let host = other.and_then(|it| it.host.as_deref());
            host.map_or(Relation::Elsewhere, |host| self.on_host(host))
        }
    }
}

/// What happened within a minute before the onset, most related first, and of that the nearest
/// first. `messages` are all that were stored in [`Onset::window`], in that order.
pub fn nearby<'a>(
    view: &FleetView,
    service: &ServiceView,
    onset: Onset,
    messages: impl Iterator<Item = Told<'a>> + Clone,
) -> Vec<Nearby> {
    let ties = Ties::of(view, service);
    let transitions = transitions(&ties, onset, messages.clone());
    let outages = silences(messages.clone()).into_iter().map(|silence| Nearby {
        at: silence.from,
        relation: Relation::Broker,
        what: Happening::Outage { until: silence.until },
    });
    let steps = clock_steps(view, messages.clone()).into_iter().map(|step| Nearby {
        at: step.at,
        relation: ties.on_host(&step.host),
        what: Happening::ClockStep(step),
    });
    let booted = reboots(view, messages.clone()).into_iter().map(|reboot| {
        let Reboot { at, host, launcher } = reboot;
        Nearby { at, relation: ties.on_host(&host), what: Happening::Reboot { host, launcher } }
    });
    let out_of_memory = kills(view, messages.clone()).into_iter().map(|kills| {
        let Kills { at, host, launcher, count } = kills;
        let relation = ties.on_host(&host);
        Nearby { at, relation, what: Happening::OutOfMemory { host, launcher, kills: count } }
    });
    let reloads = reloads(&ties, messages);
    let mut all: Vec<_> = transitions
        .into_iter()
        .chain(outages)
        .chain(steps)
        .chain(booted)
        .chain(out_of_memory)
        .chain(reloads)
        .collect();
    all.retain(|near| is_near(near, onset));
    all.sort_by_key(|near| (near.rank(), (onset.at - near.at).abs()));
    all
}

/// An outage counts as long as it lasts.
fn is_near(near: &Nearby, onset: Onset) -> bool {
    let from = onset.at - NEAR;
    let until = match near.what {
        Happening::Outage { until } => until,
        _ => near.at,
    };
    // what heartbeats tell is known one interval later
    let told_late = matches!(near.what, Happening::ClockStep(_) | Happening::OutOfMemory { .. });
    let slack = match told_late {
        true => TimeDelta::seconds(15),
        // silence is known some intervals after it began, others' at about the same time
        false if onset.known > onset.at => SLACK,
        // no effect comes before its cause; messages of two launchers may
        false => TimeDelta::seconds(1),
    };
    from <= until && near.at <= onset.known + slack
}

/// Of each service the first thing that made it worse; of the service itself what it reported.
fn transitions<'a>(
    ties: &Ties<'_>,
    onset: Onset,
    messages: impl Iterator<Item = Told<'a>> + Clone,
) -> Vec<Nearby> {
    let from = messages.clone().map(|(_, _, stamp)| stamp.stored).next();
    let (mut fleet, mut transitions) = (Fleet::new(), Transitions::heard_from(from));
    transitions
        .look_ahead(&mut fleet, messages.clone().map(|(_, decoded, stamp)| (decoded, stamp)));
    let mut told = Vec::new();
    for (subject, decoded, stamp) in messages {
        told.extend(transitions.take(&mut fleet, subject, decoded, stamp, Link::Steady));
    }
    told.extend(transitions.advance(&fleet, onset.known + SLACK, Link::Steady));
    told.retain(|it| is_worth_telling(ties.view, it) && it.at >= onset.at - NEAR);
    told.sort_by_key(|it| it.at);
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for transition in told {
        let relation = ties.to(&transition.id);
        let is_itself = relation == Relation::Itself;
        let is_earlier_report = matches!(transition.cause, Cause::Status { .. })
            && transition.at + TimeDelta::seconds(1) < onset.at;
        let is_first = !is_itself && seen.insert(Arc::clone(&transition.id));
        if is_first || (is_itself && is_earlier_report) {
            let at = transition.at;
            all.push(Nearby { at, relation, what: Happening::Transition(Box::new(transition)) });
        }
    }
    all
}

/// Whether it may have harmed others: a fault, an end. Reboots are found in all heartbeats.
fn is_worth_telling(view: &FleetView, transition: &Transition) -> bool {
    let is_launcher = || view.get(&transition.id).is_some_and(|it| it.is_launcher);
    match &transition.cause {
        Cause::Event { event: Event::Stop(stop), .. } => {
            stop.reason.as_deref() != Some("completed") || stop.exit_code != Some(0)
        }
        Cause::Event { event, .. } => {
            matches!(event, Event::Crashed(_) | Event::Failed { .. } | Event::Stopping { .. })
        }
        Cause::Status { to, .. } => {
            transition.severity().is_fault() || (*to == tcs_wire::Status::Shutdown && is_launcher())
        }
        Cause::Heartbeat => matches!(transition.verdict, Verdict::Late | Verdict::Lost),
        Cause::Reboot { .. } | Cause::Profile { .. } => false,
    }
}

fn silences<'a>(messages: impl Iterator<Item = Told<'a>>) -> Vec<Silence> {
    let mut silences = Silences::default();
    for (_, decoded, stamp) in messages {
        if let Message::Heartbeat(beat) = &decoded.message {
            silences.note(&decoded.meta, beat, stamp.stored);
        }
    }
    silences.found()
}

/// Launchers that read their configuration again: they stopped services for it, or declare some
/// long after their own start.
fn reloads<'a>(ties: &Ties<'_>, messages: impl Iterator<Item = Told<'a>>) -> Vec<Nearby> {
    type Reload = (DateTime<Utc>, BTreeSet<Arc<str>>, Option<String>);
    let mut reloads: BTreeMap<String, Reload> = BTreeMap::new();
    for (_, decoded, stamp) in messages {
        let Message::Registry(message) = &decoded.message else { continue };
        let is_reload = match &message.event {
            Event::Declared(declared) => {
                declared.others.is_empty() && decoded.meta.run_s.is_some_and(|run| run > STARTED)
            }
            Event::Stopping { reason } => reason.as_deref() == Some("reload"),
            _ => false,
        };
        let Some(launcher) = message.parent.clone().filter(|_| is_reload) else { continue };
        let reload = reloads.entry(launcher).or_insert((stamp.stored, BTreeSet::new(), None));
        reload.1.insert(Arc::from(&*message.service_id));
        reload.2 = reload.2.take().or_else(|| message.requested_by.clone());
    }
    let told = |(launcher, (at, services, by)): (String, Reload)| {
        let relation = if services.contains(&ties.service.id) {
            Relation::Itself
        } else if ties.service.parent.as_deref() == Some(&*launcher) {
            Relation::Launcher
        } else {
            Relation::Elsewhere
        };
        let what = Happening::Reload { launcher: launcher.into(), services, by };
        Nearby { at, relation, what }
    };
    reloads.into_iter().map(told).collect()
}
