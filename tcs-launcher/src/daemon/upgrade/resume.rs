//! The new program goes on with what it was handed.

use tcs_core::clock;
use tcs_core::config::Config;

use super::parts::to_parts;
use crate::daemon::{Daemon, Spawned, profiles};
use crate::takeover::{RunEntry, Table, TakenOver};
use tcs_supervisor::{Conclusion, Event, Exit, Report, ServiceId};

impl Daemon<'_> {
    /// Goes on with what the program before has handed over.
    pub(in crate::daemon) fn resume(
        &mut self,
        config: &Config,
        taken: TakenOver,
    ) -> anyhow::Result<Option<Conclusion>> {
        let TakenOver { table, mut files } = taken;
        let Table { version, supervisor, published, runs, mut outputs, requested_by, .. } = table;
        let own = &self.publisher.launcher_id;
        anyhow::ensure!(table.launcher_id == *own, "{} is not {own}", table.launcher_id);
        let passed = clock::boottime().saturating_sub(table.now.1);
        let origin = clock::monotonic().checked_sub(table.now.0 + passed);
        self.origin = origin.ok_or_else(|| anyhow::anyhow!("the clock was set back"))?;
        self.supervisor = supervisor;
        self.publisher.resume(published);
        let mut config = config.clone();
        profiles::apply(&mut config, self.kept.now().profile.as_deref());
        for plan in self.site().plan(&config) {
            self.publisher.ours.add(plan.entry.id.as_str());
            self.plans.insert(plan.entry.id.clone(), plan);
        }
        self.plan_schedules();
        for id in &table.queued {
            self.agenda.queue(id);
        }
        let mut tasks = Vec::new();
        for (id, entry) in runs {
            let Some(plan) = self.plans.get(&id).cloned() else { continue };
            let RunEntry { run, at, beat_at, assume_at, speaks, said, process } = entry;
            let (Some(process), Some(launch)) = (process, self.site().launch(&plan)) else {
                tasks.push((id, run));
                continue;
            };
            let (log, secrets) =
                (plan.entry.launch.log.as_ref(), self.secrets.with_entry(&plan.entry));
            let saved = outputs.remove(&id).unwrap_or_default();
            let output = self.outputs.resume(&id, saved, log, false, secrets);
            let parts = to_parts(id.clone(), run, process, &mut files);
            let handle = self.runner.resume(parts, launch, output, self.tell.clone())?;
            let said = said.and_then(|(word, text)| Some((word.parse().ok()?, text)));
            let is_task = false;
            let spawned = Spawned { run, handle, is_task, at, beat_at, assume_at, speaks, said };
            self.handles.insert(id, spawned);
        }
        for (id, saved) in outputs {
            let Some(plan) = self.plans.get(&id).cloned() else { continue };
            let is_task = self.site().launch(&plan).is_none();
            let (log, secrets) =
                (plan.entry.launch.log.as_ref(), self.secrets.with_entry(&plan.entry));
            self.outputs.resume(&id, saved, log, is_task, secrets);
        }
        let ids: Vec<ServiceId> = self.plans.keys().cloned().collect();
        for id in ids {
            let trouble = self.trouble(&id);
            self.publisher.own_status.set(&id, trouble);
        }
        let count = self.handles.len();
        let text = format!("took over from tcsd {version}: {count} services keep running");
        tracing::info!("{text}, {} tasks are restarted", tasks.len());
        let mut done = None;
        for (id, run) in tasks {
            done = self.restart(&id, requested_by.as_deref()).or(done);
            for report in [Report::Exited(Exit::code(0)), Report::Cleared] {
                done = self.handle(Event::Report { id: id.clone(), run, report }).or(done);
            }
        }
        Ok(done)
    }
}
