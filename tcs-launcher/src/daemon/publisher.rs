//! What the launcher says on the wire: registry events, and the status of who cannot speak.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tcs_core::bus::publish::{HappenedAt, hostname, new_meta};
use tcs_core::clock;
use tcs_core::monitor::Reporter;
use tcs_core::wire::{
    Declared, Details, Envelope, Event, HeartbeatMessage, Message, RegistryMessage, Status,
    StatusMessage, decode,
};

use super::conflicts::{Ours, Shared};
use super::lifecycle;
use super::own_status::OwnStatus;
use super::plan::Plan;
use crate::takeover::{LastEvent, Published};
use tcs_supervisor::{Delay, ServiceId};

/// Speaks for the launcher.
pub(super) struct StatusPublisher {
    /// Its own status, and the worst of its services.
    pub(super) own_status: OwnStatus,
    pub(super) reporter: Reporter,
    pub(super) launcher_id: String,
    /// The monitored name.
    pub(super) name: String,
    pub(super) launcher_run: String,
    seq: u64,
    /// How often all services have been declared, the first time included.
    batch: u64,
    /// Whether there was a connection before.
    linked: bool,
    /// The last word of each life, to be said again to a broker that lost its streams.
    last: BTreeMap<String, (RegistryMessage, HappenedAt)>,
    /// What was last said to be the status of a service that does not speak, and since when.
    statuses: BTreeMap<String, (Status, Instant)>,
    /// Other launchers that declare our services, by service.
    pub(super) others: Shared,
    /// What has been declared.
    pub(super) ours: Ours,
}

impl StatusPublisher {
    pub(super) fn new(
        reporter: Reporter,
        own_status: OwnStatus,
        id: String,
        name: String,
        run: String,
    ) -> Self {
        reporter.gate();
        Self {
            own_status,
            reporter,
            launcher_id: id,
            name,
            launcher_run: run,
            seq: 0,
            batch: 1,
            linked: false,
            last: BTreeMap::new(),
            statuses: BTreeMap::new(),
            others: Shared::new(),
            ours: Ours::default(),
        }
    }

    /// How far its messages have come, for a program that goes on with them.
    pub(super) fn save(&self) -> Published {
        let last = self.last.values().filter_map(|(message, happened)| {
            let subjects = self.reporter.subjects();
            let subject = subjects.registry(message.event.name(), &message.service_id);
            let body = Envelope { data: Some(message), meta: &new_meta() }.to_body().ok()?;
            let body = String::from_utf8(body).ok()?;
            Some(LastEvent { subject, body, happened: *happened })
        });
        Published { seq: self.seq, batch: self.batch, last: last.collect() }
    }

    /// Goes on with the messages of the program before.
    pub(super) fn resume(&mut self, published: Published) {
        (self.seq, self.batch) = (published.seq, published.batch);
        for LastEvent { subject, body, happened } in published.last {
            let Some(subject) = self.reporter.subjects().parse(&subject) else { continue };
            let Ok(decoded) = decode(subject, body.as_bytes()) else { continue };
            if let Message::Registry(message) = decoded.message {
                self.last.insert(message.service_id.clone(), (message, happened));
            }
        }
    }

    /// A connection is there, and its streams are, or cannot be made: sends what waits, and to a
    /// broker that had lost its streams the present state. Whether it is the first connection.
    pub(super) fn open(&mut self, lost: bool) -> bool {
        let first = !std::mem::replace(&mut self.linked, true);
        if lost && !first {
            for (message, happened) in self.last.clone().into_values() {
                self.post(message, happened);
            }
        }
        self.reporter.release();
        first
    }

    /// All services are about to be declared again: what is not among them no longer is.
    pub(super) fn next_batch(&mut self) {
        self.batch += 1;
    }

    /// Of the launcher itself.
    pub(super) fn own(&mut self, event: Event) {
        let message = RegistryMessage {
            service_id: self.name.clone(),
            timestamp: Some(clock::wall().into()),
            parent: None,
            runner_id: Some(self.launcher_id.clone()),
            launcher_run: Some(self.launcher_run.clone()),
            event_seq: None,
            requested_by: None,
            event,
        };
        let now = HappenedAt::now();
        self.last.insert(message.service_id.clone(), (message.clone(), now));
        self.post(message, now);
    }

    /// Publishes that a service is configured.
    pub(super) fn declare(&mut self, plan: &Plan) {
        self.say(plan, Event::Declared(Declared::default()), None, None);
    }

    /// Publishes an event of a service, and the status of a dead one.
    pub(super) fn say(
        &mut self,
        plan: &Plan,
        mut event: Event,
        restart: Option<Delay>,
        requested_by: Option<&str>,
    ) {
        let id = &plan.planned.spec.id;
        if matches!(event, Event::Declared(_)) {
            self.ours.add(id.as_str());
        }
        let others = self.others.get(id.as_str()).map(|it| &it.names);
        lifecycle::complete(&mut event, plan, restart, self.batch, others);
        let last = match (&event, self.last.get(id.as_str()).map(|(last, _)| &last.event)) {
            (Event::Crashed(crash), _) | (_, Some(Event::Crashed(crash))) => Some(crash.headline()),
            _ => None,
        };
        let is_last_word = lifecycle::is_last_word(&event);
        let final_status = lifecycle::final_status(&event, last);
        let message = RegistryMessage {
            service_id: id.to_string(),
            timestamp: Some(clock::wall().into()),
            parent: Some(self.name.clone()),
            runner_id: Some(format!("{}.{}", self.launcher_id, plan.entry.service_type)),
            launcher_run: Some(self.launcher_run.clone()),
            event_seq: None,
            requested_by: requested_by.map(str::to_owned),
            event,
        };
        let now = HappenedAt::now();
        if is_last_word {
            self.last.insert(message.service_id.clone(), (message.clone(), now));
        }
        self.post(message, now);
        if let Some((status, text)) = final_status {
            self.status(id, status, Some(text), None);
        }
    }

    /// A status in the launcher's words.
    pub(super) fn status(
        &mut self,
        id: &ServiceId,
        status: Status,
        message: Option<String>,
        pid: Option<u32>,
    ) {
        let details = Details { reported_by: Some("launcher".to_owned()), ..Details::default() };
        let now = clock::monotonic();
        let (said, since) = self.statuses.entry(id.to_string()).or_insert((status, now));
        if *said != status {
            (*said, *since) = (status, now);
        }
        let age = now.saturating_duration_since(*since).as_secs_f64();
        let message = StatusMessage {
            name: id.to_string(),
            status,
            timestamp: Some(clock::wall().into()),
            message,
            details: details.into(),
            parent: Some(self.name.clone()),
            pid,
            hostname: Some(hostname()),
            status_age_s: Some((age * 1000.0).round() / 1000.0),
            ..StatusMessage::default()
        };
        self.reporter.post(self.reporter.subjects().status(&message.name), &message);
    }

    /// A heartbeat for a program that does not speak; dropped while there is no broker.
    pub(super) fn beat(
        &self,
        id: &ServiceId,
        status: Status,
        uptime: Duration,
        interval: Duration,
    ) {
        let message = HeartbeatMessage {
            service_id: id.to_string(),
            timestamp: Some(clock::wall().into()),
            status: Some(status),
            uptime_seconds: Some(uptime.as_secs_f64()),
            interval_seconds: Some(interval.as_secs_f64()),
            reported_by: Some("launcher".to_owned()),
            ..HeartbeatMessage::default()
        };
        if self.reporter.bus().is_some_and(tcs_core::bus::Bus::is_connected) {
            self.reporter.post(self.reporter.subjects().heartbeat(&message.service_id), &message);
        }
    }

    pub(super) fn forget(&mut self, id: &ServiceId) {
        self.ours.remove(id.as_str());
        self.last.remove(id.as_str());
        self.statuses.remove(id.as_str());
    }

    fn post(&mut self, mut message: RegistryMessage, happened: HappenedAt) {
        self.seq += 1;
        message.event_seq = Some(self.seq);
        let subject = self.reporter.subjects().registry(message.event.name(), &message.service_id);
        self.reporter.post_event(subject, &message, self.seq, happened);
    }
}
