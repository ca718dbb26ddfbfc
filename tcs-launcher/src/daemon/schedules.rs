//! Starts scheduled services when their time has come (`docs/spec/supervision.md#schedules`).

use std::time::Duration;

use tcs_core::clock;

use super::Daemon;
use super::kept::Settled;
use tcs_core::wire::Event as Wire;
use tcs_supervisor::{
    Activity, Agenda, Command, Conclusion, Due, Event, Operation, Phase, ServiceId, Supervisor,
    Ticket,
};

/// The wall clock is looked at this often at least: it may be set.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Who starts a service whose time has come.
const SCHEDULE: &str = "schedule";

impl Daemon<'_> {
    /// The plans are new: their schedules count from now on, and those that were there before go on.
    pub(super) fn plan_schedules(&mut self) {
        let now = clock::machine_wall();
        let kept = self.kept.now().schedules;
        for (id, plan) in &mut self.plans {
            let spec = &plan.planned.spec;
            if let Some(schedule) = spec.schedule.as_ref().filter(|_| spec.enabled) {
                let before = kept.get(id.as_str()).filter(|it| it.rule == schedule.to_string());
                self.agenda.set(id, schedule, before.map_or(now, |it| it.until));
            }
        }
        let plans = &self.plans;
        self.agenda.retain(|id| {
            plans
                .get(id)
                .is_some_and(|it| it.planned.spec.schedule.is_some() && it.planned.spec.enabled)
        });
        for (id, plan) in &mut self.plans {
            plan.next_run = self.agenda.next(id);
        }
        self.keep_schedules();
    }

    /// The launcher ends: nothing is started any more.
    pub(super) fn end_schedules(&mut self) {
        self.agenda = Agenda::default();
    }

    /// When to look next; `None`: nothing is scheduled.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let now = clock::machine_wall();
        let due = self.agenda.due(now, |id| activity(&self.supervisor, id))?;
        Some(self.now() + (due - now).to_std().unwrap_or_default().min(LOOK_EVERY))
    }

    pub(super) fn look_at_schedules(&mut self) -> Option<Conclusion> {
        let Self { agenda, supervisor, .. } = self;
        let due = agenda.look(clock::machine_wall(), |id| activity(supervisor, id));
        if due.is_empty() {
            return None;
        }
        self.keep_schedules();
        let mut done = None;
        for due in due {
            match due {
                Due::Start { id, at } => {
                    tracing::info!("{id} is started: its run of {} is due", at.format("%F %T UTC"));
                    self.next_ticket += 1;
                    // nobody waits for the answer
                    let ticket = Ticket(self.next_ticket);
                    let message = format!("{id} {}", self.next_ticket).into();
                    let operation = Operation { sender: SCHEDULE.into(), message };
                    let command = Command::Start;
                    done = self.handle(Event::Request { ticket, operation, id, command }).or(done);
                }
                Due::Missed { id, missed } => self.publish(&id, Wire::Missed(missed), None, None),
                Due::Moved { id } => {
                    if let Some(plan) = self.plans.get_mut(&id) {
                        plan.next_run = self.agenda.next(&id);
                        self.publisher.declare(plan);
                    }
                }
            }
        }
        done
    }

    fn keep_schedules(&self) {
        let settled = self.agenda.settled().map(|(id, schedule, until)| {
            (id.to_string(), Settled { rule: schedule.to_string(), until })
        });
        let settled = settled.collect();
        self.kept.change(|kept| kept.schedules = settled);
    }
}

fn activity(supervisor: &Supervisor, id: &ServiceId) -> Activity {
    let Some(service) = supervisor.service(id) else { return Activity::Stopped };
    match service.phase {
        Phase::Declared | Phase::Completed | Phase::Failed => Activity::Free,
        Phase::Waiting | Phase::Starting | Phase::Running | Phase::Stopping | Phase::Backoff => {
            Activity::Running
        }
        Phase::Stopped => Activity::Stopped,
    }
}
