//! Starts what the supervisor wants started, as a process or as a task.

use tcs_core::clock;
use tcs_core::service::{HostOptions, Progress, run};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::plan::Plan;
use super::{Daemon, Spawned};
use crate::runner::{EventSender, Handle, RunnerEvent, What, task};
use tcs_supervisor::{Exit, Report, Run, ServiceId};

impl Daemon<'_> {
    pub(super) fn spawn(&mut self, id: ServiceId, run: Run) {
        let Some(plan) = self.plans.get(&id).cloned() else { return };
        let tell = self.tell.clone();
        let at = clock::machine_wall();
        let launch = self.site().launch(&plan);
        let log = plan.entry.launch.log.as_ref();
        let secrets = self.secrets.with_entry(&plan.entry);
        let is_task = launch.is_none();
        let handle = if let Some(launch) = launch {
            let output = self.outputs.begin(&id, run, log, false, secrets);
            self.runner.start(id.clone(), run, launch, output, tell)
        } else {
            self.outputs.begin(&id, run, log, true, secrets);
            self.start_task(&plan, run, tell)
        };
        // from its start on
        let (beat_at, assume_at) = (None, None);
        let (speaks, said) = (false, None);
        let spawned = Spawned { run, handle, is_task, at, beat_at, assume_at, speaks, said };
        self.handles.insert(id, spawned);
    }

    fn start_task(&self, plan: &Plan, run_number: Run, tell: EventSender) -> Handle {
        let id = plan.entry.id.clone();
        let registration = self.registry.find(plan.entry.service_type.as_str());
        let mut options = HostOptions::new(self.publisher.reporter.clone());
        options.parent = Some(self.publisher.name.clone());
        options.heartbeat = plan.entry.launch.heartbeat;
        options.healthcheck = plan.entry.launch.healthcheck;
        let (progress, mut seen) = watch::channel(Progress::Starting);
        options.progress = Some(progress);
        let (service, ready) = (id.clone(), tell.clone());
        tokio::spawn(async move {
            let up = |it: &Progress| matches!(it, Progress::Running(_));
            if seen.wait_for(up).await.is_ok() {
                let what = What::Report(Report::Ready);
                let _ = ready.send(RunnerEvent { id: service, run: run_number, what }).await;
            }
        });
        let settings = plan.entry.settings.clone();
        let busy = self.runner.resources().task_started(&id, run_number);
        task::start(
            &self.services,
            id,
            run_number,
            tell,
            busy,
            move |stop: CancellationToken| async move {
                match registration {
                    Ok(registration) => {
                        let outcome = run(registration, &settings, options, stop).await;
                        let error = outcome.failure().map(ToString::to_string);
                        Exit { error, ..Exit::code(outcome.exit_code()) }
                    }
                    Err(error) => Exit::failed(1, error.to_string()),
                }
            },
        )
    }
}
