//! What services and the host use (`docs/spec/wire.md#resource-figures`): sampled while they run,
//! read anew for who asks, and kept for a crash.
//!
//! `usage` adds up what was read, and is pure; `reading` reads `/proc`, `host` the host.

mod host;
mod reading;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tcs_core::clock;
use tcs_core::wire::Timestamp;
use tcs_core::wire::control::{
    CrashFigures, HostFigures, Oom, ResourcesReply, ResourcesRequest, Scope, ServiceFigures,
};
use tcs_supervisor::{Run, ServiceId};

use host::HostReader;
use reading::Reader;
use usage::{Moment, Usage};

/// Samples of a run soon after its start: one that ends early has figures too.
const EARLY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// A reading this old serves those who ask.
const FRESH: Duration = Duration::from_secs(2);
/// What is due so soon is read along.
const ALONG: Duration = Duration::from_millis(500);

/// The figures of one launcher's services. Shared by its runners and by who answers.
#[derive(Debug)]
pub struct Resources {
    table: Mutex<Table>,
    reader: Mutex<Reader>,
    host: Mutex<HostReader>,
    /// One reading at a time.
    reading: tokio::sync::Mutex<()>,
    /// A run has begun: what is due next may be due earlier.
    changed: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct Table {
    services: BTreeMap<ServiceId, Service>,
    last: Option<(Instant, DateTime<Utc>)>,
}

#[derive(Debug, Default)]
struct Service {
    run: Option<CurrentRun>,
    /// What its runs are made of.
    scope: Scope,
    starts: u64,
    crashes: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct CurrentRun {
    number: Run,
    began: (Instant, DateTime<Utc>),
    kind: Kind,
    /// Between samples; zero: none but for who asks.
    every: Duration,
    due: Option<Instant>,
    /// Early samples that were taken.
    early: usize,
}

#[derive(Debug)]
enum Kind {
    Processes { pid: i32, mark: u64, usage: Box<Usage>, oom_kills: Option<u64> },
    Task(Arc<AtomicU64>),
}

impl Resources {
    /// For a launcher whose file is `config`.
    pub fn new(config: &Path) -> Self {
        let folder = config.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
        Self {
            table: Mutex::default(),
            reader: Mutex::default(),
            host: Mutex::new(HostReader::new(folder)),
            reading: tokio::sync::Mutex::default(),
            changed: tokio::sync::Notify::new(),
        }
    }

    /// A run of a service has begun as a process whose descendants carry `mark`.
    pub fn process_started(&self, id: &ServiceId, run: Run, pid: i32, mark: u64, every: Duration) {
        let usage = Box::<Usage>::default();
        let kind = Kind::Processes { pid, mark, usage, oom_kills: host::oom_kills() };
        self.started(id, run, kind, every);
    }

    /// A run has begun as a task. What is returned takes the nanoseconds in which it computes.
    pub fn task_started(&self, id: &ServiceId, run: Run) -> Arc<AtomicU64> {
        let busy = Arc::new(AtomicU64::new(0));
        self.started(id, run, Kind::Task(Arc::clone(&busy)), Duration::ZERO);
        busy
    }

    fn started(&self, id: &ServiceId, number: Run, kind: Kind, every: Duration) {
        let began = (clock::monotonic(), clock::wall());
        let due = (!every.is_zero()).then(|| began.0 + EARLY[0].min(every));
        let mut table = self.lock();
        let service = table.services.entry(id.clone()).or_default();
        service.starts += 1;
        service.scope = match kind {
            Kind::Processes { .. } => Scope::Processes,
            Kind::Task(_) => Scope::Task,
        };
        service.run = Some(CurrentRun { number, began, kind, every, due, early: 0 });
        drop(table);
        self.changed.notify_one();
    }

    /// The main process of a run has ended and was not waited for: what the kernel still knows of
    /// it is read.
    pub fn process_ended(&self, id: &ServiceId, pid: i32) {
        let known = match self.lock().kind(id) {
            Some(Kind::Processes { usage, .. }) => usage.pids().collect::<BTreeSet<_>>(),
            Some(Kind::Task(_)) | None => return,
        };
        let samples = reading::used_by(known.into_iter().chain([pid]).collect::<BTreeSet<_>>());
        let main = samples.iter().find(|it| it.key.0 == pid).map(|it| it.key);
        if let (Some(main), Some(Kind::Processes { usage, .. })) = (main, self.lock().kind(id)) {
            usage.ended(clock::monotonic(), main, &samples);
        }
    }

    /// Nothing is left of the run.
    pub fn run_over(&self, id: &ServiceId, run: Run) {
        if let Some(service) = self.lock().services.get_mut(id) {
            service.run.take_if(|it| it.number == run);
        }
    }

    /// The service is no longer in the file.
    pub fn forget(&self, id: &ServiceId) {
        self.lock().services.remove(id);
    }

    /// Counts a crash, and says what its run had used.
    pub fn crashed(&self, id: &ServiceId, how: String, by_sigkill: bool) -> Option<CrashFigures> {
        let now = clock::monotonic();
        let mut table = self.lock();
        let service = table.services.get_mut(id)?;
        *service.crashes.entry(how).or_default() += 1;
        let Kind::Processes { usage, pid, oom_kills, .. } = &service.run.as_ref()?.kind else {
            return None;
        };
        let figures = usage.of_crash(now);
        let rose = || oom_kills.zip(host::oom_kills()).is_some_and(|(before, now)| now > before);
        let oom = (by_sigkill && rose()).then(|| {
            let pids: BTreeSet<i32> = usage.pids().chain([*pid]).collect();
            if host::log_names_killed(&pids) { Oom::Killed } else { Oom::Likely }
        });
        Some(CrashFigures { oom, ..figures })
    }

    /// Samples what is due, for as long as the launcher lives.
    pub async fn keep(self: Arc<Self>) {
        loop {
            let due = self.lock().next_due();
            let until = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = until => self.read(false).await,
                () = self.changed.notified() => {}
            }
        }
    }

    /// The reply to a request.
    pub async fn reply(self: &Arc<Self>, request: &ResourcesRequest) -> ResourcesReply {
        let asked = clock::monotonic();
        let is_fresh = |last: Instant| asked.saturating_duration_since(last) < FRESH;
        if !self.lock().last.is_some_and(|(at, _)| is_fresh(at)) {
            self.read(true).await;
        }
        let host = self.host();
        let mut reply = self.reply_of(request, host);
        if request.pss {
            self.add_pss(&mut reply.services).await;
        }
        reply
    }

    fn reply_of(&self, request: &ResourcesRequest, host: HostFigures) -> ResourcesReply {
        let table = self.lock();
        let wanted = |id: &ServiceId| {
            request.services.as_ref().is_none_or(|ids| ids.iter().any(|it| it == id.as_str()))
        };
        let services = table.services.iter().filter(|(id, _)| wanted(id));
        let figures = services.map(|(id, it)| (it.run.is_some(), it.figures(id, request.history)));
        let (running, others): (Vec<_>, Vec<_>) = figures.partition(|(is_running, _)| *is_running);
        let [services, not_running] =
            [running, others].map(|all| all.into_iter().map(|(_, figures)| figures).collect());
        let sampled_at = table.last.map(|(_, at)| Timestamp::new(at));
        ResourcesReply { sampled_at, host, services, not_running }
    }

    /// Adds the proportional share of memory. Whose it is stands still while it is read, so that nobody
    /// gets it unasked.
    async fn add_pss(&self, services: &mut [ServiceFigures]) {
        let pids: Vec<Vec<i32>> = {
            let table = self.lock();
            let pids = |figures: &ServiceFigures| {
                let id: ServiceId = figures.service_id.parse().ok()?;
                let run = table.services.get(&id)?.run.as_ref()?;
                match &run.kind {
                    Kind::Processes { usage, .. } => Some(usage.pids().collect()),
                    Kind::Task(_) => None,
                }
            };
            services.iter().map(|it| pids(it).unwrap_or_default()).collect()
        };
        let read = move || pids.iter().map(|pids| reading::pss_bytes(pids)).collect::<Vec<_>>();
        // it cannot panic, and a launcher that ends needs it no more
        let Ok(read) = tokio::task::spawn_blocking(read).await else { return };
        for (figures, pss) in services.iter_mut().zip(read) {
            figures.pss_bytes = pss;
        }
    }

    /// The host's figures, also for the launcher's heartbeat.
    pub fn host(&self) -> HostFigures {
        self.host.lock().unwrap_or_else(PoisonError::into_inner).read(clock::monotonic())
    }

    /// [`Self::host`] as metrics.
    pub fn host_metrics(&self) -> Map<String, Value> {
        match serde_json::to_value(self.host()) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// Reads what is due, or `all`; who comes while it is read shares the next reading.
    async fn read(self: &Arc<Self>, all: bool) {
        let asked = clock::monotonic();
        let _one = self.reading.lock().await;
        if all && self.lock().last.is_some_and(|(at, _)| at >= asked) {
            return;
        }
        let this = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || this.read_now(all));
        // it cannot panic, and a launcher that ends needs it no more
        let _ = work.await;
    }

    fn read_now(&self, all: bool) {
        let now = moment();
        let runs = self.lock().due(now.at, all);
        if runs.is_empty() && !all {
            return;
        }
        let read = self.reader.lock().unwrap_or_else(PoisonError::into_inner).read(&runs);
        let mut table = self.lock();
        for (id, samples) in read {
            // of the run that was looked at: a new one has another mark
            if let Some(Kind::Processes { mark, usage, .. }) = table.kind(&id)
                && runs.iter().any(|run| run.id == id && run.mark == *mark)
            {
                usage.add(now, &samples);
            }
        }
        if all {
            table.last = Some((now.at, now.wall));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moment() -> Moment {
    Moment { at: clock::monotonic(), wall: clock::wall() }
}

impl Table {
    fn kind(&mut self, id: &ServiceId) -> Option<&mut Kind> {
        Some(&mut self.services.get_mut(id)?.run.as_mut()?.kind)
    }

    fn next_due(&self) -> Option<Instant> {
        self.services.values().filter_map(|service| service.run.as_ref()?.due).min()
    }

    /// The runs to look at now, with their next time set.
    fn due(&mut self, now: Instant, all: bool) -> Vec<reading::Target> {
        let runs = self.services.iter_mut().filter_map(|(id, it)| Some((id, it.run.as_mut()?)));
        runs.filter_map(|(id, run)| {
            let is_due = run.due.is_some_and(|due| due <= now + ALONG);
            if !is_due && !all {
                return None;
            }
            if is_due {
                run.early += 1;
                let next = EARLY.get(run.early).map(|early| run.began.0 + *early);
                let next = next.filter(|next| *next > now && *next < now + run.every);
                run.due = Some(next.unwrap_or(now + run.every));
            }
            let Kind::Processes { pid, mark, .. } = run.kind else { return None };
            Some(reading::Target { id: id.clone(), pid, mark })
        })
        .collect()
    }
}

impl Service {
    /// What its present run uses, and what was counted of all of them.
    fn figures(&self, id: &ServiceId, history: bool) -> ServiceFigures {
        let figures = match self.run.as_ref().map(|run| &run.kind) {
            Some(Kind::Processes { usage, .. }) => usage.figures(history),
            Some(Kind::Task(busy)) => ServiceFigures {
                busy_seconds: Some(
                    Duration::from_nanos(busy.load(Ordering::Relaxed)).as_secs_f64(),
                ),
                ..ServiceFigures::default()
            },
            None => ServiceFigures::default(),
        };
        ServiceFigures {
            service_id: id.to_string(),
            scope: self.scope,
            started_at: self.run.as_ref().map(|run| Timestamp::new(run.began.1)),
            restarts_total: self.starts.saturating_sub(1),
            crashes_total: self.crashes.clone(),
            ..figures
        }
    }
}

#[cfg(test)]
mod tests;
