//! What services write, and where it goes: to the ring that `logs` reads, the launcher's own log,
//! files, and the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tcs_core::bus::publish::Publisher;
use tcs_core::clock;
use tcs_core::config::{Log, Secrets};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;
use tracing::{Span, info_span};

use super::files;
use super::log_subscriptions::{Journal, LogSubscriptions};
use crate::log::Taps;
use crate::runner::output::{Line, Output};
use tcs_supervisor::{Run, ServiceId};

/// Of all services.
pub(super) struct Outputs {
    services: BTreeMap<ServiceId, Outlet>,
    /// Who reads along just now.
    pub(super) subscriptions: Arc<LogSubscriptions>,
    publisher: Option<Publisher>,
    taps: Taps,
    writers: TaskTracker,
}

/// Of one.
struct Outlet {
    output: Arc<Output>,
    log: Option<Log>,
    is_task: bool,
    tasks: Vec<AbortHandle>,
    /// Ends by itself with the output, with all written.
    files: Option<AbortHandle>,
}

impl Drop for Outlet {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Outputs {
    pub(super) fn new(publisher: Option<Publisher>, taps: Taps) -> Self {
        let (services, subscriptions) = (BTreeMap::new(), Arc::default());
        Self { services, subscriptions, publisher, taps, writers: TaskTracker::new() }
    }

    /// The output of a run that begins; its lines go where `log` says.
    pub(super) fn begin(
        &mut self,
        id: &ServiceId,
        run: Run,
        log: Option<&Log>,
        is_task: bool,
        secrets: Secrets,
    ) -> Arc<Output> {
        let is_same = |it: &Outlet| it.log.as_ref() == log && it.is_task == is_task;
        if !self.services.get(id).is_some_and(is_same) {
            let before = self.services.remove(id);
            let outlet = self.open(id, before.as_ref(), log, is_task);
            if let Some(files) = before.as_ref().and_then(|before| before.files.as_ref()) {
                files.abort();
            }
            self.services.insert(id.clone(), outlet);
        }
        let output = Arc::clone(&self.services[id].output);
        output.begin(run, secrets);
        if is_task {
            self.taps.set(id, Arc::clone(&output));
        } else {
            self.taps.remove(id);
        }
        output
    }

    /// With the ring of the one before, if there was one.
    fn open(
        &self,
        id: &ServiceId,
        before: Option<&Outlet>,
        log: Option<&Log>,
        is_task: bool,
    ) -> Outlet {
        let output = before.map(|before| Arc::clone(&before.output)).unwrap_or_default();
        let mut tasks = Vec::new();
        if !is_task {
            // a task's are in the launcher's own log already
            tasks.push(tokio::spawn(own(id.clone(), output.follow())).abort_handle());
        }
        if let Some(publisher) = self.publisher.clone() {
            let always = log.is_some_and(|log| log.journal);
            let (subscriptions, journal) =
                (Arc::clone(&self.subscriptions), Journal::new(id.clone(), publisher));
            let publish = publish(id.clone(), output.follow(), always, subscriptions, journal);
            tasks.push(tokio::spawn(publish).abort_handle());
        }
        let files = log.and_then(|log| log.dir.clone().zip(Some(log))).map(|(dir, log)| {
            let write = files::write(id.clone(), log.clone(), dir, output.follow());
            self.writers.spawn(write).abort_handle()
        });
        Outlet { output, log: log.cloned(), is_task, tasks, files }
    }

    /// What is held of a service's output; `None`: it has not been started.
    pub(super) fn of(&self, id: &ServiceId) -> Option<&Output> {
        Some(&self.services.get(id)?.output)
    }

    pub(super) fn forget(&mut self, id: &ServiceId) {
        self.services.remove(id);
        self.taps.remove(id);
    }

    /// Waits until all is in the files, at most so long.
    pub(super) async fn close(&mut self, limit: Duration) {
        for id in std::mem::take(&mut self.services).into_keys() {
            self.taps.remove(&id);
        }
        self.writers.close();
        tokio::time::timeout(limit, self.writers.wait()).await.ok();
    }
}

/// To the launcher's own log, under the service's name.
async fn own(id: ServiceId, mut lines: Receiver<Arc<Line>>) {
    // what it wrote, it chose to write
    let span = info_span!("service", id = %id, level = "debug");
    loop {
        match lines.recv().await {
            Ok(line) => span.in_scope(|| log(&id, &line)),
            Err(RecvError::Lagged(missed)) => skipped(&span, missed),
            Err(RecvError::Closed) => return,
        }
    }
}

fn log(id: &ServiceId, line: &Line) {
    let own = |logger: &&String| logger.strip_prefix("svc|").is_none_or(|it| it != id.as_str());
    let logger = line.logger.as_ref().filter(own).map(|it| format!("{it}: ")).unwrap_or_default();
    let (text, stream) = (&line.text, line.stream.as_str());
    match line.level.0 {
        40.. => tracing::error!(stream, "{logger}{text}"),
        30.. => tracing::warn!(stream, "{logger}{text}"),
        20.. => tracing::info!(stream, "{logger}{text}"),
        _ => tracing::debug!(stream, "{logger}{text}"),
    }
}

fn skipped(span: &Span, missed: u64) {
    span.in_scope(|| tracing::warn!("{missed} lines are not shown here: they came too fast"));
}

/// To those who read along, or always.
async fn publish(
    id: ServiceId,
    mut lines: Receiver<Arc<Line>>,
    always: bool,
    subscriptions: Arc<LogSubscriptions>,
    journal: Journal,
) {
    loop {
        match lines.recv().await {
            Ok(line) => {
                if always || subscriptions.has(&id, clock::monotonic()) {
                    journal.send(&line).await;
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
