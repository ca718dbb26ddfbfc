//! The launcher's own status: on the wire the worst of its own and of the services that should run
//! and do badly (`status`; its own is `details.own_status`). What starts, stops, works or idles
//! never enters, and at its own end the launcher speaks of itself alone.

use std::collections::BTreeMap;

use tcs_core::monitor::Monitor;
use tcs_core::wire::Status;

use super::Daemon;
use tcs_supervisor::{Phase, ServiceId};

/// The part of the launcher's status that its services are.
const PART: &str = "services";

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
}

impl OwnStatus {
    pub(super) fn new(monitor: Monitor) -> Self {
        Self { monitor, services: None, troubles: BTreeMap::new(), supervises: false, note: None }
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
        let note = self.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
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
    let more = match troubles.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some((*status, format!("{status}: {id}{why}{more}")))
}

impl Daemon<'_> {
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
