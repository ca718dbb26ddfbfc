//! Decides what runs: one state machine a service, without I/O, clock or async.
//!
//! The launcher tells it what happened ([`Event`]) and when, and does what it answers
//! ([`Effect`]), in order; it comes back with [`Event::Tick`] at [`Supervisor::deadline`]. Times
//! are monotonic, since an arbitrary origin. All of supervision is in here: who may start and stop
//! in which order (`order`), what follows an end (`policy`), what each event does to a service
//! (`service`), and who is owed an answer (`operations`).
//!
//! ```text
//!  declared ──start──> waiting ──its turn──> spawning ──> starting ──ready──> running
//!                        ^                      │             │                  │
//!                        │ delay over           └──────── stopping <──stop───────┤
//!                        │                                    │                  │ ends by itself
//!                     backoff <───────── policy ──────────────┼──────────────────┤
//!                                                             v                  v
//!                                                          stopped      completed, failed
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use tcs_wire::control::ServicePhase as Phase;
use tcs_wire::how_ended;

mod agenda;
mod deadline;
mod effect;
mod event;
mod operations;
mod order;
mod policy;
pub mod reload;
mod schedule;
mod service;
mod spec;
#[cfg(test)]
mod tests;

pub use agenda::{Activity, Agenda, Due, MOST_MISSED};
pub use effect::{Answer, Conclusion, Delay, Effect, Reached, Refusal, StopReason, Success};
pub use event::{
    Command, Diff, Event, Exit, Operation, Patience, Report, Run, Ticket, Watchdog, Word,
};
pub use schedule::{Schedule, ScheduleError};
pub use spec::{Backoff, Readiness, RestartPolicy, RestartWhen, ServiceId, Spec};

use operations::{Aim, Known, Operations, Part};
use service::{Out, Requester, Service, State};

/// How long a start that is not finished takes one of the places for starts.
pub const PLACE: Duration = Duration::from_secs(10);

/// From one SIGKILL to the next; what survives that long cannot be killed.
pub const KILL_AGAIN: Duration = Duration::from_secs(5);

/// The launcher's own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Ending {
    /// Not yet.
    No,
    /// Under way; `success` if no wanted service had failed when it began, and nothing was forced.
    Going { success: bool },
    /// All has ended.
    Done,
}

/// The supervisor of one launcher.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Supervisor {
    services: BTreeMap<ServiceId, Service>,
    /// Not handed over: only this process can answer those who wait.
    #[serde(skip)]
    operations: Operations,
    /// How many may be starting at the same time.
    places: usize,
    next_place: u64,
    ending: Ending,
}

/// What is so of one service.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Snapshot<'a> {
    /// Its configuration.
    pub spec: &'a Spec,
    /// Where it is.
    pub phase: Phase,
    /// Its process, where one runs.
    pub pid: Option<u32>,
    /// Since when the run goes on.
    pub since: Option<Duration>,
    /// Restarts inside the window.
    pub restarts: u32,
    /// When it will be started again.
    pub restart_at: Option<Duration>,
    /// How its last run ended: negative for a signal.
    pub last_code: Option<i32>,
    /// A stop is decided, and waits for it to be idle or for its turn.
    pub stop_pending: bool,
    /// Another run is to follow the present one, because somebody asked.
    pub comes_again: bool,
    /// It says that it is busy.
    pub busy: bool,
    /// People, or the configuration, want it up.
    pub wanted: bool,
    /// No longer configured: forgotten once nothing of it is left.
    pub leaving: bool,
}

impl Supervisor {
    /// A supervisor of nothing; at most `places` services (at least one) start at the same time.
    pub fn new(places: usize) -> Self {
        Self {
            services: BTreeMap::new(),
            operations: Operations::default(),
            places: places.max(1),
            next_place: 0,
            ending: Ending::No,
        }
    }

    /// What follows from `event` at `now`, to be done in order.
    pub fn handle(&mut self, event: Event, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut out = Out { now, effects: &mut effects };
        match event {
            Event::Apply { diff, request } => self.apply(diff, request, &mut out),
            Event::Request { ticket, operation, id, command } => {
                self.request(ticket, operation, id, command, &mut out);
            }
            Event::Report { id, run, report } => {
                if let Some(service) = self.services.get_mut(&id).filter(|it| it.run == run) {
                    service.report(report, &mut out);
                }
            }
            Event::Tick => {
                for service in self.services.values_mut() {
                    while let Some(timer) = service.deadlines.take_due(now) {
                        service.fired(timer, &mut out);
                    }
                }
            }
            Event::Shutdown => self.shut_down(&mut out),
        }
        self.advance(&mut out);
        effects
    }

    /// Whether its own end has begun.
    pub fn is_ending(&self) -> bool {
        self.ending != Ending::No
    }

    /// Whether nobody waits for an answer.
    pub fn owes_no_answer(&self) -> bool {
        self.operations.is_empty()
    }

    /// When [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        self.services.values().filter_map(|service| service.deadlines.next()).min()
    }

    /// All services, by id.
    pub fn services(&self) -> impl Iterator<Item = Snapshot<'_>> {
        self.services.values().map(Service::snapshot)
    }

    /// One service.
    pub fn service(&self, id: &ServiceId) -> Option<Snapshot<'_>> {
        self.services.get(id).map(Service::snapshot)
    }

    /// What keeps a service from being started, where others do: at most 16 are named.
    pub fn waits_for(&self, id: &ServiceId) -> Vec<ServiceId> {
        self.services.get(id).map(|it| order::waits_for(&self.services, it)).unwrap_or_default()
    }

    /// Why the last run of a service ended, in words; empty if it has not.
    pub fn why_ended(&self, id: &ServiceId) -> String {
        let Some(last) = self.services.get(id).map(|service| &service.last) else {
            return String::new();
        };
        last.error.clone().or(last.code.map(how_ended)).unwrap_or_default()
    }

    /// Does what has become possible.
    fn advance(&mut self, out: &mut Out<'_>) {
        loop {
            let start = order::to_start(&self.services, self.places);
            let stop = order::to_stop(&self.services);
            if start.is_empty() && stop.is_empty() {
                break;
            }
            for id in start {
                let missing = order::missing(&self.services, &id);
                if let Some(service) = self.services.get_mut(&id) {
                    service.spawn(&missing, out);
                }
            }
            for id in stop {
                if let Some(service) = self.services.get_mut(&id) {
                    service.stop_in_turn(out);
                }
            }
        }
        for (id, on) in order::to_announce(&self.services) {
            if let Some(service) = self.services.get_mut(&id) {
                service.wait_for(on, out);
            }
        }
        self.operations.settle(&self.services, out);
        self.services.retain(|id, service| {
            let gone = service.leaving && service.is_at_rest() && !service.remains;
            if gone {
                out.effects.push(Effect::Forget { id: id.clone() });
            }
            !gone
        });
        if let Ending::Going { success } = self.ending
            && self.services.values().all(Service::is_over)
        {
            let success = success && !self.services.values().any(Service::is_unkillable);
            let conclusion = if success { Conclusion::Success } else { Conclusion::Failure };
            self.ending = Ending::Done;
            out.effects.push(Effect::Done(conclusion));
        }
    }

    fn request(
        &mut self,
        ticket: Ticket,
        operation: Operation,
        id: ServiceId,
        command: Command,
        out: &mut Out<'_>,
    ) {
        if self.operations.is_known(&operation, ticket, out) == Known::Yes {
            return;
        }
        let Some(service) = self.services.get_mut(&id).filter(|service| !service.leaving) else {
            self.operations.refuse(operation, ticket, Refusal::UnknownService(id), out);
            return;
        };
        let by = Some(&operation.sender);
        let part = match command {
            Command::Start | Command::Restart(_) if self.ending != Ending::No => {
                self.operations.refuse(operation, ticket, Refusal::ShuttingDown, out);
                return;
            }
            Command::Start => {
                service.held = false;
                let aim = Aim::Up(service.run_before_next());
                Part::new(id, aim, service.start(by))
            }
            // all stop already, each in its turn
            Command::Stop(_) | Command::Hold(_) if self.ending != Ending::No => {
                Part::new(id, Aim::Down(service.run), false)
            }
            Command::Stop(patience) => {
                let aim = Aim::Down(service.run);
                Part::new(id, aim, service.stop(StopReason::Requested, patience, by, out))
            }
            Command::Hold(patience) => {
                let aim = Aim::Down(service.run);
                Part::new(id, aim, service.hold(patience, by, out))
            }
            Command::Restart(patience) => {
                service.held = false;
                let aim = Aim::Up(service.run);
                service.restart(StopReason::Restart, patience, by, out);
                Part::new(id, aim, true)
            }
        };
        self.operations.wait(operation, ticket, vec![part], false);
    }

    fn apply(&mut self, diff: Diff, request: Option<(Ticket, Operation)>, out: &mut Out<'_>) {
        if let Some((ticket, operation)) = &request {
            if self.operations.is_known(operation, *ticket, out) == Known::Yes {
                return;
            }
            if self.ending != Ending::No {
                let refusal = Refusal::ShuttingDown;
                self.operations.refuse(operation.clone(), *ticket, refusal, out);
                return;
            }
        }
        if self.ending != Ending::No {
            return;
        }
        let by = request.as_ref().map(|(_, operation)| &operation.sender);
        let mut parts = Vec::new();
        for id in diff.removed {
            if let Some(service) = self.services.get_mut(&id) {
                let aim = Aim::Down(service.run);
                let changed = service.stop(StopReason::Reload, Patience::Now, by, out);
                service.leaving = true;
                parts.push(Part::new(id, aim, changed));
            }
        }
        for spec in diff.updated {
            if let Some(service) = self.services.get_mut(&spec.id) {
                parts.push(Part::new(spec.id.clone(), Aim::Nothing, true));
                service.spec = spec;
                service.declare(out);
            }
        }
        for spec in diff.restarted {
            parts.push(self.replace(spec, by, out));
        }
        for spec in diff.added {
            let id = spec.id.clone();
            parts.push(self.add(spec, by, out));
            if let Some(service) = self.services.get_mut(&id).filter(|_| diff.held.contains(&id)) {
                service.hold(Patience::Now, None, out);
            }
        }
        for id in diff.down {
            if let Some(service) = self.services.get_mut(&id) {
                let aim = Aim::Down(service.run);
                let changed = service.stop(StopReason::Reload, Patience::Now, by, out);
                // what is to be up waits for its end
                service.held_by_reload = true;
                parts.push(Part::new(id, aim, changed));
            }
        }
        for id in diff.up {
            if let Some(service) = self.services.get_mut(&id).filter(|it| !it.held) {
                service.held_by_reload = true;
                let aim = Aim::Up(service.run_before_next());
                parts.push(Part::new(id, aim, service.start(by)));
            }
        }
        if let Some((ticket, operation)) = request {
            self.operations.wait(operation, ticket, parts, true);
        }
    }

    fn add(&mut self, spec: Spec, by: Requester<'_>, out: &mut Out<'_>) -> Part {
        if self.services.contains_key(&spec.id) {
            return self.replace(spec, by, out);
        }
        let id = spec.id.clone();
        let mut service = Service::new(spec, self.next_place);
        self.next_place += 1;
        service.held_by_reload = true;
        service.declare(out);
        let starts = service.spec.starts_by_itself();
        let aim = if starts { Aim::Up(service.run) } else { Aim::Nothing };
        if starts {
            service.start(by);
        }
        self.services.insert(id.clone(), service);
        Part::new(id, aim, true)
    }

    /// Gives a service its new definition, and what runs of the old one's place to it.
    fn replace(&mut self, spec: Spec, by: Requester<'_>, out: &mut Out<'_>) -> Part {
        let id = spec.id.clone();
        let Some(service) = self.services.get_mut(&id) else { return self.add(spec, by, out) };
        let comes_back =
            std::mem::replace(&mut service.leaving, false) || !service.spec.starts_by_itself();
        // a run of a schedule does its work to the end, as it was begun
        let was_scheduled = service.spec.schedule.is_some();
        let runs_on = was_scheduled && spec.schedule.is_some() && spec.enabled;
        service.spec = spec;
        if runs_on {
            service.declare(out);
            return Part::new(id, Aim::Nothing, true);
        }
        service.has_run = false;
        service.held_by_reload = true;
        service.declare(out);
        let before = service.run;
        let is_down = !service.wanted || (was_scheduled && service.is_at_rest());
        if comes_back && service.spec.starts_by_itself() && is_down && !service.held {
            service.start(by);
            return Part::new(id, Aim::Up(before), true);
        }
        let aim = match service.state {
            // stopped by somebody, or done: that a definition has changed is no reason to start it
            State::Declared | State::Stopped | State::Completed => Aim::Nothing,
            State::Waiting { .. }
            | State::Spawning { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Failed => {
                if !service.spec.starts_by_itself() {
                    service.stop(StopReason::Reload, Patience::Now, by, out);
                    Aim::Down(before)
                } else if !service.wanted {
                    // somebody asked for a stop, and has it
                    Aim::Down(before)
                } else {
                    service.restart(StopReason::Reload, Patience::Now, by, out);
                    Aim::Up(before)
                }
            }
        };
        Part::new(id, aim, true)
    }

    fn shut_down(&mut self, out: &mut Out<'_>) {
        match self.ending {
            Ending::No => {
                let success = !self.services.values().any(Service::has_failed);
                self.ending = Ending::Going { success };
                for service in self.services.values_mut() {
                    service.shut_down(out);
                }
            }
            Ending::Going { .. } => {
                // what is killed in the middle of its work has not done it
                self.ending = Ending::Going { success: false };
                for service in self.services.values_mut() {
                    service.force(out);
                }
            }
            Ending::Done => {}
        }
    }
}
