//! What services write, and where it goes: to the ring that `logs` reads, the launcher's own log,
//! files, and the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tcs_core::bus::publish::Publisher;
use tcs_core::clock;
use tcs_core::config::{Log, Secrets};
use tcs_core::wire::journal::Level;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Span, info_span};

use super::files;
use super::log_subscriptions::{Journal, LogSubscriptions};
use crate::log::Taps;
use crate::runner::output::{Line, Output, OutputEntry, Stream};
use tcs_supervisor::{Run, ServiceId};

/// The outputs of all services.
pub(super) struct Outputs {
    services: BTreeMap<ServiceId, Outlet>,
    /// Who reads along just now.
    pub(super) subscriptions: Arc<LogSubscriptions>,
    publisher: Option<Publisher>,
    taps: Taps,
    writers: TaskTracker,
    /// Nothing is handed on, until [`Outputs::go_on`].
    is_settled: bool,
}

/// The output of one service.
struct Outlet {
    output: Arc<Output>,
    log: Option<Log>,
    is_task: bool,
    /// Ends those who hand lines on, once they have handed on all that are there.
    stop: CancellationToken,
    /// The same of who writes files; it ends by itself with the output too, with all written.
    stop_files: CancellationToken,
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Outputs {
    pub(super) fn new(publisher: Option<Publisher>, taps: Taps) -> Self {
        let (services, subscriptions) = (BTreeMap::new(), Arc::default());
        let writers = TaskTracker::new();
        Self { services, subscriptions, publisher, taps, writers, is_settled: false }
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
            if let Some(before) = &before {
                before.stop_files.cancel();
            }
            let output = before.map(|before| Arc::clone(&before.output)).unwrap_or_default();
            let outlet = self.open(id, output, log, is_task, None);
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

    /// `goes_on`: the run of which the newest file is.
    fn open(
        &self,
        id: &ServiceId,
        output: Arc<Output>,
        log: Option<&Log>,
        is_task: bool,
        goes_on: Option<Run>,
    ) -> Outlet {
        let (stop, stop_files) = (CancellationToken::new(), CancellationToken::new());
        if !is_task {
            // a task's are in the launcher's own log already
            self.writers.spawn(own(id.clone(), output.follow(), stop.clone()));
        }
        if let Some(publisher) = self.publisher.clone() {
            let always = log.is_some_and(|log| log.journal);
            let (subscriptions, journal) =
                (Arc::clone(&self.subscriptions), Journal::new(id.clone(), publisher));
            let lines = (output.follow(), stop.clone());
            self.writers.spawn(publish(id.clone(), lines, always, subscriptions, journal));
        }
        if let Some((dir, log)) = log.and_then(|log| log.dir.clone().zip(Some(log.clone()))) {
            let lines = output.follow();
            let write = files::write(id.clone(), (log, dir), lines, stop_files.clone(), goes_on);
            self.writers.spawn(write);
        }
        Outlet { output, log: log.cloned(), is_task, stop, stop_files }
    }

    /// Hands on and writes all that has been read, and then no more until [`Outputs::go_on`]; false:
    /// not within `limit`.
    pub(super) async fn settle(&mut self, limit: Duration) -> bool {
        self.is_settled = true;
        for outlet in self.services.values() {
            outlet.stop.cancel();
            outlet.stop_files.cancel();
        }
        self.writers.close();
        let is_settled = tokio::time::timeout(limit, self.writers.wait()).await.is_ok();
        self.writers.reopen();
        is_settled
    }

    /// After [`Outputs::settle`]: what is read from now on goes where it went before. To be called
    /// before anything is.
    pub(super) fn go_on(&mut self) {
        if !std::mem::take(&mut self.is_settled) {
            return;
        }
        for (id, outlet) in std::mem::take(&mut self.services) {
            let output = Arc::clone(&outlet.output);
            let goes_on = output.run();
            let opened = self.open(&id, output, outlet.log.as_ref(), outlet.is_task, goes_on);
            self.services.insert(id, opened);
        }
    }

    /// All that is held of what services have written.
    pub(super) fn save(&self) -> BTreeMap<ServiceId, OutputEntry> {
        self.services.iter().map(|(id, outlet)| (id.clone(), outlet.output.save())).collect()
    }

    /// Goes on with what the program before held of a service's output.
    pub(super) fn resume(
        &mut self,
        id: &ServiceId,
        saved: OutputEntry,
        log: Option<&Log>,
        is_task: bool,
        secrets: Secrets,
    ) -> Arc<Output> {
        let output = Arc::new(Output::resumed(saved));
        let run = output.run();
        output.begin(run.unwrap_or(Run(0)), secrets);
        let outlet = self.open(id, Arc::clone(&output), log, is_task, run);
        self.services.insert(id.clone(), outlet);
        output
    }

    /// What is held of a service's output; `None`: it has not been started.
    pub(super) fn of(&self, id: &ServiceId) -> Option<&Output> {
        Some(&self.services.get(id)?.output)
    }

    /// The output of a service, for a task that adds lines to it.
    pub(super) fn shared(&self, id: &ServiceId) -> Option<Arc<Output>> {
        Some(Arc::clone(&self.services.get(id)?.output))
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
async fn own(id: ServiceId, mut lines: Receiver<Arc<Line>>, stop: CancellationToken) {
    // what it wrote, it chose to write
    let span = info_span!("service", id = %id, level = "debug");
    loop {
        match files::next(&mut lines, &stop).await {
            Ok(line) => span.in_scope(|| log(&id, &line)),
            Err(RecvError::Lagged(missed)) => skipped(&span, missed),
            Err(RecvError::Closed) => return,
        }
    }
}

fn log(id: &ServiceId, line: &Line) {
    let (text, stream) = (line.with_logger(id.as_str()), line.stream.as_str());
    match line.level.0 {
        40.. => tracing::error!(stream, "{text}"),
        30.. => tracing::warn!(stream, "{text}"),
        20.. => tracing::info!(stream, "{text}"),
        _ => tracing::debug!(stream, "{text}"),
    }
}

fn skipped(span: &Span, missed: u64) {
    span.in_scope(|| tracing::warn!("{}", not_shown(missed)));
}

fn not_shown(missed: u64) -> String {
    format!("{missed} lines are not shown here: they came too fast")
}

/// To those who read along, or always.
async fn publish(
    id: ServiceId,
    (mut lines, stop): (Receiver<Arc<Line>>, CancellationToken),
    always: bool,
    subscriptions: Arc<LogSubscriptions>,
    journal: Journal,
) {
    let mut run = Run(0);
    loop {
        let line = match files::next(&mut lines, &stop).await {
            Ok(line) => line,
            Err(RecvError::Lagged(missed)) => Arc::new(Line {
                time: clock::wall(),
                stream: Stream::Stderr,
                level: Level::WARNING,
                logger: None,
                text: not_shown(missed),
                run,
            }),
            Err(RecvError::Closed) => return,
        };
        run = line.run;
        if always || subscriptions.has(&id, clock::monotonic()) {
            journal.send(&line).await;
        }
    }
}
