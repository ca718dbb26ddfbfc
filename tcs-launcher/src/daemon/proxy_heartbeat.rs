//! Heartbeats for processes that do not speak: the beat stops when the process does.

use std::time::Duration;

use tcs_core::config::How;
use tcs_core::wire::Status;

use super::Daemon;
use super::plan::Plan;
use crate::runner::group::Process;

/// A Python service speaks once it has started, by an interval of its own.
const PYTHON: Duration = Duration::from_secs(10);

impl Daemon<'_> {
    /// When to beat first for what is started now; `None`: never.
    pub(super) fn first_beat(&self, plan: &Plan) -> Option<Duration> {
        let interval = plan.entry.launch.heartbeat;
        match plan.how {
            How::Program(_) => Some(self.now() + interval),
            How::Python { .. } => Some(self.now() + interval.max(PYTHON)),
            How::Rust(_) | How::BuiltIn(_) => None,
        }
    }

    pub(super) fn next_beat(&self) -> Option<Duration> {
        self.handles.values().filter_map(|it| it.beat_at).min()
    }

    /// Beats for those whose time has come, and live: neither stopped nor a zombie.
    pub(super) fn beat(&mut self) {
        let now = self.now();
        let Self { supervisor, handles, plans, publisher, .. } = self;
        for (id, spawned) in handles.iter_mut() {
            let (Some(due), Some(plan)) = (spawned.beat_at, plans.get(id)) else { continue };
            if due > now {
                continue;
            }
            let interval = plan.entry.launch.heartbeat;
            // none are made up for a time in which nobody looked
            spawned.beat_at = Some(now + interval);
            let Some(service) = supervisor.service(id) else { continue };
            let process = service.pid.and_then(|pid| Process::of(pid.cast_signed()));
            if process.is_some_and(|it| !it.is_zombie() && !matches!(it.state, b'T' | b't')) {
                let uptime = now.saturating_sub(service.since.unwrap_or(now));
                publisher.beat(id, Status::Ok, uptime, interval);
            }
        }
    }
}
