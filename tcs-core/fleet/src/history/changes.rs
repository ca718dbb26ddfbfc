//! Changes in a period: reloaded configurations, moves to profiles, rebooted hosts, and operations
//! that people requested.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::{Decoded, Event, Message, RegistryMessage};

use super::TOGETHER;
use crate::transitions::{Cause, Transition};
use crate::{FleetView, MAX_NAMES};

/// A launcher declares all its services within this.
const BATCH: TimeDelta = TimeDelta::seconds(5);
/// Changes that are kept; beyond them the oldest are forgotten.
const MAX_CHANGES: usize = 10_000;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// A launcher reloaded its configuration: the services that it declares have changed.
    Reloaded {
        /// Its monitored name.
        launcher: Arc<str>,
        /// Services that it did not declare before.
        added: Vec<Arc<str>>,
        /// Services that it declares no longer.
        removed: Vec<Arc<str>>,
        /// Services of which the declaration has changed.
        changed: Vec<Arc<str>>,
    },
    /// A host was booted.
    Rebooted {
        /// Its name.
        host: Arc<str>,
    },
    /// A launcher moved to another profile.
    Profile {
        /// Its monitored name.
        launcher: Arc<str>,
        /// The profile; `None`: it left the one that it had.
        name: Option<String>,
        /// The one before.
        before: Option<String>,
        /// Who requested it, as they claim.
        by: Option<String>,
    },
    /// Somebody started a service.
    Started {
        /// Which.
        service: Arc<str>,
        /// Who, as they claim.
        by: String,
    },
    /// Somebody stopped a service.
    Stopped {
        /// Which.
        service: Arc<str>,
        /// Who, as they claim.
        by: String,
    },
    /// Somebody restarted a service.
    Restarted {
        /// Which.
        service: Arc<str>,
        /// Who, as they claim.
        by: String,
    },
}

impl Happening {
    /// The service that somebody has started or stopped, and who.
    pub fn request(&self) -> Option<(&Arc<str>, &str)> {
        match self {
            Self::Started { service, by }
            | Self::Stopped { service, by }
            | Self::Restarted { service, by } => Some((service, by)),
            Self::Reloaded { .. } | Self::Rebooted { .. } | Self::Profile { .. } => None,
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// When, by the broker's clock.
    pub at: DateTime<Utc>,
    /// What.
    pub what: Happening,
}

/// What a launcher has declared.
#[derive(Debug, Default)]
struct Declarations {
    /// Run and batch of what it declares.
    batch: Option<(Option<String>, u64)>,
    at: Option<DateTime<Utc>>,
    /// What it declares, and declared before: how each service is to be run.
    present: BTreeMap<Arc<str>, String>,
    before: Option<BTreeMap<Arc<str>, String>>,
}

/// A request that somebody made, while its events arrive.
#[derive(Debug)]
struct Request {
    service: Arc<str>,
    by: String,
    from: DateTime<Utc>,
    last: DateTime<Utc>,
    stopped: bool,
    started: bool,
}

/// Finds them in messages and transitions.
#[derive(Debug, Default)]
pub struct Changes {
    found: Vec<Change>,
    launchers: BTreeMap<Arc<str>, Declarations>,
    requests: Vec<Request>,
}

impl Changes {
    /// Starts from the state at the beginning of the period.
    pub fn begin(&mut self, view: &FleetView) {
        for service in &view.services {
            for kept in service.record.declared() {
                if let Some(launcher) = &kept.message.parent {
                    let known = self.launchers.entry(launcher.as_str().into()).or_default();
                    let before = known.before.get_or_insert_default();
                    before.insert(Arc::clone(&service.id), declaration(&kept.message));
                }
            }
        }
    }

    /// Processes a message; messages come in the order in which they were stored.
    pub fn message(&mut self, decoded: &Decoded, stored: DateTime<Utc>) {
        if let Message::Registry(message) = &decoded.message {
            self.declared(message, stored);
        }
    }

    fn declared(&mut self, message: &RegistryMessage, stored: DateTime<Utc>) {
        let Event::Declared(declared) = &message.event else { return };
        let (Some(launcher), Some(batch)) =
            (&message.parent, declared.declared.as_ref().and_then(|it| it.batch))
        else {
            return;
        };
        if self.launchers.len() >= MAX_NAMES && !self.launchers.contains_key(launcher.as_str()) {
            return;
        }
        let launcher: Arc<str> = launcher.as_str().into();
        let known = self.launchers.entry(Arc::clone(&launcher)).or_default();
        let batch = Some((message.launcher_run.clone(), batch));
        if known.batch != batch {
            let change = known.close(&launcher);
            (known.batch, known.at) = (batch, Some(stored));
            self.found.extend(change);
        }
        known.present.insert(message.service_id.as_str().into(), declaration(message));
    }

    /// Adds boots, moves to profiles, and operations that somebody requested.
    pub fn transition(&mut self, transition: &Transition) {
        if let Cause::Reboot { host } = &transition.cause {
            let what = Happening::Rebooted { host: Arc::clone(host) };
            self.found.push(Change { at: transition.at, what });
        }
        if let Cause::Profile { name, before } = &transition.cause {
            let launcher = Arc::clone(&transition.id);
            let (name, before, by) = (name.clone(), before.clone(), transition.by.clone());
            let what = Happening::Profile { launcher, name, before, by };
            self.found.push(Change { at: transition.at, what });
        }
        let (Some(by), Cause::Event { event, .. }) = (&transition.by, &transition.cause) else {
            return;
        };
        let (stopped, started) = match event {
            Event::Stop(_) | Event::Stopping { .. } => (true, false),
            Event::Start { .. } | Event::Restarting { .. } => (false, true),
            _ => return,
        };
        let at = transition.at;
        let same = |request: &&mut Request| {
            request.service == transition.id && request.by == *by && at - request.last <= TOGETHER
        };
        match self.requests.iter_mut().rev().find(same) {
            // started, and stopped later: that is another one
            Some(request) if !(request.started && stopped) => {
                request.last = request.last.max(at);
                request.stopped |= stopped;
                request.started |= started;
            }
            _ => {
                if self.requests.len() >= MAX_CHANGES {
                    self.requests.remove(0);
                }
                let (service, by) = (Arc::clone(&transition.id), by.clone());
                let request = Request { service, by, from: at, last: at, stopped, started };
                self.requests.push(request);
            }
        }
    }

    /// All of them, in the order of time. `view` is the fleet at the end of the period.
    pub fn finish(mut self, view: &FleetView) -> Vec<Change> {
        for (launcher, mut known) in std::mem::take(&mut self.launchers) {
            // not all of it may have come
            if known.at.is_some_and(|at| view.now - at >= BATCH) {
                self.found.extend(known.close(&launcher));
            }
        }
        self.found.extend(self.requests.into_iter().map(|request| {
            let Request { service, by, from, stopped, started, .. } = request;
            let what = match (stopped, started) {
                (true, true) => Happening::Restarted { service, by },
                (true, false) => Happening::Stopped { service, by },
                (false, _) => Happening::Started { service, by },
            };
            Change { at: from, what }
        }));
        self.found.sort_by_key(|change| change.at);
        let excess = self.found.len().saturating_sub(MAX_CHANGES);
        self.found.drain(..excess);
        self.found
    }
}

impl Declarations {
    /// The batch is complete: how it differs from the one before.
    fn close(&mut self, launcher: &Arc<str>) -> Option<Change> {
        let at = self.at.take()?;
        let present = std::mem::take(&mut self.present);
        let before = self.before.replace(present.clone())?;
        let missing_in = |from: &BTreeMap<Arc<str>, String>, of: &BTreeMap<Arc<str>, String>| {
            of.keys().filter(|id| !from.contains_key(*id)).cloned().collect::<Vec<_>>()
        };
        let is_other =
            |(id, how): &(&Arc<str>, &String)| before.get(*id).is_some_and(|before| before != *how);
        let changed = present.iter().filter(is_other).map(|(id, _)| Arc::clone(id)).collect();
        let (added, removed) = (missing_in(&before, &present), missing_in(&present, &before));
        let changed: Vec<Arc<str>> = changed;
        let is_same = added.is_empty() && removed.is_empty() && changed.is_empty();
        let launcher = Arc::clone(launcher);
        let what = Happening::Reloaded { launcher, added, removed, changed };
        (!is_same).then_some(Change { at, what })
    }
}

/// How a service is declared, for comparison.
fn declaration(message: &RegistryMessage) -> String {
    let Event::Declared(declared) = &message.event else { return String::new() };
    let (policy, max) = (&declared.restart_policy, &declared.restart_max);
    let (window, how) = (&declared.restart_window, declared.declared.as_ref());
    let how = how.map(|how| (&how.module, &how.kind, &how.enabled));
    format!("{policy:?} {max:?} {window:?} {how:?}")
}
