//! The launcher's own status: on the wire the worst of its own and of the services that should run
//! and do badly (`status`; its own is `details.own_status`). What starts, stops, works or idles
//! never enters, and at its own end the launcher speaks of itself alone.

use std::collections::BTreeMap;
use std::time::Duration;

use tcs_core::clock;
use tcs_core::monitor::Monitor;
use tcs_core::wire::Status;

use super::Daemon;
use super::plan::Plan;
use tcs_supervisor::{Phase, ServiceId, Snapshot};

/// The part of the launcher's status that its services are.
const PART: &str = "services";

/// Starts that take no longer are not worth a word; and how often what is waited for is looked at.
const A_MOMENT: Duration = Duration::from_secs(1);

/// What is wrong with a service: its status, and why.
type Trouble = (Status, String);

/// The launcher's own status, combined with the worst of its services.
pub(super) struct OwnStatus {
    monitor: Monitor,
    /// Present while a service is in trouble.
    services: Option<Monitor>,
    troubles: BTreeMap<ServiceId, Trouble>,
    supervises: bool,
    /// What people are to know besides.
    note: Option<String>,
    /// What services that are being started wait for.
    waiting: Option<String>,
}

impl OwnStatus {
    pub(super) fn new(monitor: Monitor) -> Self {
        Self {
            monitor,
            services: None,
            troubles: BTreeMap::new(),
            supervises: false,
            note: None,
            waiting: None,
        }
    }

    /// Services have been asked to start.
    pub(super) fn begin(&mut self) {
        self.supervises = true;
        self.say();
    }

    /// The launcher begins to stop.
    pub(super) fn end(&mut self) {
        self.supervises = false;
        self.monitor.set_status(Status::Shutdown, "Stopping services");
        if let Some(services) = self.services.take() {
            services.remove();
        }
    }

    /// What people are to know besides.
    pub(super) fn set_note(&mut self, note: Option<String>) {
        self.note = note;
        if self.supervises {
            self.say();
        }
    }

    /// What services that are being started wait for.
    fn set_waiting(&mut self, waiting: Option<String>) {
        let is_news = self.waiting != waiting;
        self.waiting = waiting;
        if is_news && self.supervises {
            self.say();
        }
    }

    /// What is wrong with a service now; `None`: nothing.
    pub(super) fn set(&mut self, id: &ServiceId, trouble: Option<Trouble>) {
        let is_news = match trouble {
            Some(trouble) => {
                let before = self.troubles.insert(id.clone(), trouble);
                before.as_ref() != self.troubles.get(id)
            }
            None => self.troubles.remove(id).is_some(),
        };
        if is_news && self.supervises {
            self.say();
        }
    }

    /// The words first: they go out with the change.
    fn say(&mut self) {
        let besides = |it: &Option<String>| it.as_ref().map(|it| format!("; {it}"));
        let [note, waiting] = [&self.note, &self.waiting].map(|it| besides(it).unwrap_or_default());
        let note = note + &waiting;
        let Some((status, text)) = worst(&self.troubles) else {
            self.monitor.set_status(Status::Ok, format!("Supervising{note}"));
            if let Some(services) = self.services.take() {
                services.remove();
            }
            return;
        };
        self.monitor.set_status(Status::Ok, format!("Supervising{note}; {text}"));
        let services = self.services.get_or_insert_with(|| self.monitor.submonitor(PART));
        services.set_status(status, text);
    }
}

/// `failed: dome.main (exit code 3) and 2 more`; of equals the first by name.
fn worst(troubles: &BTreeMap<ServiceId, Trouble>) -> Option<Trouble> {
    let (id, (status, why)) = troubles.iter().rev().max_by_key(|(_, (status, _))| *status)?;
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    Some((*status, format!("{status}: {id}{why}{}", and_more(troubles.len()))))
}

/// ` and 2 more`
fn and_more(count: usize) -> String {
    match count.saturating_sub(1) {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

impl Daemon<'_> {
    /// Sees to it that what services wait for is told, if they wait for more than a moment.
    pub(super) fn note_waits(&mut self) {
        let waits = |it: Snapshot<'_>| matches!(it.phase, Phase::Waiting | Phase::Starting);
        if self.supervisor.services().any(waits) || self.agenda.waits_for_clock(clock::wall()) {
            let at = self.now() + A_MOMENT;
            self.waits_told_at.get_or_insert(at);
        } else if self.waits_told_at.take().is_some() {
            self.publisher.own_status.set_waiting(None);
        }
    }

    /// Tells what services wait for.
    pub(super) fn tell_waits(&mut self) {
        let waits = self.waits();
        self.waits_told_at = waits.as_ref().map(|_| self.now() + A_MOMENT);
        self.publisher.own_status.set_waiting(waits);
    }

    /// `not ready: db.main (ready when db:4711 accepts connections); waiting: dome.main (for
    /// db.main) and 2 more`
    fn waits(&self) -> Option<String> {
        let of = |phase: Phase| -> Vec<&ServiceId> {
            let all = self.supervisor.services().filter(|it| it.phase == phase && !it.leaving);
            all.map(|it| &it.spec.id).collect()
        };
        let mut parts = Vec::new();
        if let (starting, Some(id)) = (of(Phase::Starting), of(Phase::Starting).first()) {
            let when = self.plans.get(*id).and_then(Plan::ready_when);
            let when = when.map(|when| format!(" (ready {when})")).unwrap_or_default();
            parts.push(format!("not ready: {id}{when}{}", and_more(starting.len())));
        }
        if let (waiting, Some(id)) = (of(Phase::Waiting), of(Phase::Waiting).first()) {
            let on = self.supervisor.waits_for(id);
            let on = match on.first() {
                Some(first) => format!("for {first}{}", and_more(on.len())),
                None => "for its turn".to_owned(),
            };
            parts.push(format!("waiting: {id} ({on}){}", and_more(waiting.len())));
        }
        let now = clock::wall();
        if self.agenda.waits_for_clock(now) {
            let now = now.format("%F %H:%M UTC");
            parts.push(format!("the clock of this host is not set ({now}): schedules wait"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// What is wrong with a service that should run.
    pub(super) fn trouble(&self, id: &ServiceId) -> Option<Trouble> {
        let service = self.supervisor.service(id).filter(|it| it.wanted && !it.leaving)?;
        match service.phase {
            Phase::Failed => Some((Status::Failed, self.supervisor.why_ended(id))),
            Phase::Backoff => Some((Status::Error, self.supervisor.why_ended(id))),
            Phase::Starting | Phase::Running => {
                let (status, message) = self.handles.get(id)?.said.clone()?;
                let counts = matches!(
                    status,
                    Status::Failed | Status::Error | Status::Warning | Status::Degraded
                );
                counts.then(|| (status, message.unwrap_or_default()))
            }
            Phase::Declared
            | Phase::Waiting
            | Phase::Stopping
            | Phase::Stopped
            | Phase::Completed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_leads_and_is_named() {
        let trouble = |id: &str, status, why: &str| (id.parse().unwrap(), (status, why.to_owned()));
        let mut troubles = BTreeMap::from([
            trouble("b.x", Status::Warning, "clouds"),
            trouble("c.x", Status::Failed, "exit code 3"),
            trouble("d.x", Status::Failed, ""),
        ]);
        let said = |troubles: &BTreeMap<_, _>| worst(troubles).map(|it| it.1);
        assert_eq!(said(&troubles).unwrap(), "failed: c.x (exit code 3) and 2 more");
        troubles.retain(|id: &ServiceId, _| id.as_str() == "b.x");
        assert_eq!(said(&troubles).unwrap(), "warning: b.x (clouds)");
        assert_eq!(worst(&BTreeMap::new()), None);
    }
}
