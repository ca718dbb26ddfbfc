//! What comes in about the services: their own words by way of the broker, and what their runners
//! tell.

use tcs_core::bus::Bus;
use tcs_core::config::How;
use tcs_core::wire::Status;

use super::Daemon;
use super::inbound::{self, Heard};
use super::plan::not_linked;
use crate::runner::{RunnerEvent, What};
use tcs_supervisor::{Conclusion, Event, Report, ServiceId};

/// The last status of a service, which the broker was asked for, and what waits for it.
#[derive(Debug)]
pub(super) struct Last {
    id: ServiceId,
    word: Option<Heard>,
    then: Option<Event>,
}

impl Daemon<'_> {
    /// A service's own word, of its present run.
    pub(super) fn heard(&mut self, heard: Heard) -> Option<Conclusion> {
        let Heard { id, sent, what } = heard;
        let plan = self.plans.get(&id)?;
        let by = plan.ready_by();
        let spawned = self.handles.get_mut(&id).filter(|it| sent > it.at)?;
        spawned.beat_at = None;
        spawned.speaks = true;
        let (run, is_ready) = (spawned.run, what.is_ready(by));
        let mut done = None;
        if let inbound::What::Status(status, message) = what {
            spawned.assume_at = None;
            spawned.said = Some((status, message.clone()));
            let report = Report::Said { word: inbound::word(status), message };
            done = self.handle(Event::Report { id: id.clone(), run, report });
        }
        if is_ready {
            done = self.handle(Event::Report { id, run, report: Report::Ready }).or(done);
        }
        done
    }

    pub(super) fn told(&mut self, told: RunnerEvent) -> Option<Conclusion> {
        if let Some(waiting) = self.ended.get_mut(&told.id) {
            waiting.push(told);
            return None;
        }
        if self.may_have_failed(&told)
            && let Some(bus) =
                self.publisher.reporter.bus().filter(|bus| bus.is_connected()).cloned()
        {
            let id = told.id.clone();
            self.ended.insert(id.clone(), vec![told]);
            self.ask_last_word(bus, id, None);
            return None;
        }
        self.report(told)
    }

    /// A Python service that fails to start says so and exits with 0: its last word may still be
    /// on its way to us.
    fn may_have_failed(&self, told: &RunnerEvent) -> bool {
        matches!(&told.what, What::Report(Report::Exited(exit)) if exit.code == Some(0))
            && self.plans.get(&told.id).is_some_and(|it| matches!(it.how, How::Python { .. }))
    }

    pub(super) fn last_word(&mut self, last: Last) -> Option<Conclusion> {
        let Last { id, word, then } = last;
        let mut done = word.and_then(|word| self.heard(word));
        for told in self.ended.remove(&id).unwrap_or_default() {
            done = self.report(told).or(done);
        }
        then.and_then(|event| self.handle(event)).or(done)
    }

    /// Does something once the last word of a service is known, where it can be.
    pub(super) fn after_last_word(&mut self, id: &ServiceId, event: Event) -> Option<Conclusion> {
        let bus = self.publisher.reporter.bus().filter(|bus| bus.is_connected());
        let Some(bus) = bus.cloned() else { return self.handle(event) };
        self.ask_last_word(bus, id.clone(), Some(event));
        None
    }

    fn ask_last_word(&self, bus: Bus, id: ServiceId, then: Option<Event>) {
        let back = self.last.clone();
        tokio::spawn(async move {
            let word = inbound::last(bus, id.clone()).await;
            let _ = back.send(Last { id, word, then }).await; // the launcher may have ended
        });
    }

    fn report(&mut self, told: RunnerEvent) -> Option<Conclusion> {
        let RunnerEvent { id, run, what } = told;
        match what {
            What::Report(mut report) => {
                if let (Report::Exited(exit), Some(output)) = (&mut report, self.outputs.of(&id)) {
                    exit.error = exit.error.take().map(|error| output.masked(&error));
                }
                if let (Report::Exited(exit), Some(plan)) = (&mut report, self.plans.get(&id))
                    && let Some(error) = &mut exit.error
                    && error.contains("ModuleNotFoundError")
                    && let Some(missing) = not_linked(&plan.entry, &plan.how)
                {
                    *error = format!("{missing}; as Python: {error}");
                }
                if matches!(report, Report::Cleared | Report::NotSpawned { .. })
                    && self.handles.get(&id).is_some_and(|it| it.run == run)
                {
                    self.handles.remove(&id);
                }
                let is_over = report == Report::Cleared;
                let done = self.handle(Event::Report { id: id.clone(), run, report });
                if is_over {
                    self.runner.resources().run_over(&id, run);
                }
                done
            }
            What::Status(text) => {
                if self.plans.get(&id).is_some_and(|plan| matches!(plan.how, How::Program(_))) {
                    let pid = self.supervisor.service(&id).and_then(|it| it.pid);
                    self.publisher.status(&id, Status::Ok, Some(text), pid);
                }
                None
            }
        }
    }
}
