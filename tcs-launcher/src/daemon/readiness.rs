//! Python modules that do not use the framework: they never publish a status, so they count as ready
//! when their `start_timeout` has passed without any.

use std::time::Duration;

use super::Daemon;
use super::inbound::ReadyBy;
use super::plan::Plan;
use crate::reload_text::duration;
use tcs_supervisor::{Conclusion, Event, Phase, Report};

impl Daemon<'_> {
    /// For what is started now; `None`: something else says that it is ready.
    pub(super) fn first_assumption(&self, plan: &Plan) -> Option<Duration> {
        match plan.ready_by() {
            ReadyBy::Status => Some(self.now() + plan.entry.launch.start_timeout),
            ReadyBy::Runner | ReadyBy::Heartbeat => None,
        }
    }

    pub(super) fn next_assumption(&self) -> Option<Duration> {
        self.handles.values().filter_map(|it| it.assume_at).min()
    }

    /// There is a broker again: who had none to publish at has its time from here on.
    pub(super) fn hears_again(&mut self) {
        let now = self.now();
        let Self { handles, plans, .. } = self;
        for (id, spawned) in handles.iter_mut().filter(|(_, it)| it.assume_at.is_some()) {
            let timeout = plans.get(id).map(|plan| plan.entry.launch.start_timeout);
            spawned.assume_at = timeout.map(|timeout| now + timeout);
        }
    }

    /// Takes those for ready whose time has come. What cannot be heard is not judged.
    pub(super) fn assume_ready(&mut self) -> Option<Conclusion> {
        let now = self.now();
        let is_deaf = self.publisher.reporter.bus().is_some_and(|bus| !bus.is_connected());
        let mut ready = Vec::new();
        let Self { handles, plans, supervisor, .. } = self;
        let starts = |id| supervisor.service(id).is_some_and(|it| it.phase == Phase::Starting);
        for (id, spawned) in handles {
            if spawned.assume_at.is_some_and(|at| at <= now) {
                let timeout = plans.get(id).map(|it| it.entry.launch.start_timeout);
                let timeout = timeout.unwrap_or_default();
                // once there is a broker again its time begins anew
                let again = timeout.max(Duration::from_secs(1));
                spawned.assume_at = is_deaf.then_some(now + again);
                if !is_deaf && starts(id) {
                    ready.push((id.clone(), spawned.run, timeout));
                }
            }
        }
        let mut done = None;
        for (id, run, timeout) in ready {
            tracing::warn!(
                "{id} has published no status for {}: assumed ready; if it does not use the \
                 framework, set `launch: {{ready: started}}`, or another `ready`",
                duration(timeout)
            );
            done = self.handle(Event::Report { id, run, report: Report::Ready }).or(done);
        }
        done
    }
}
