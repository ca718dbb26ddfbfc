//! Runs one service: does what its life cycle asks for, and returns how it ended. Works in any
//! tokio runtime; a launcher runs many services.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::clock::Clock;
use super::context::{Context, Parts};
use super::kinds::{Made, Running};
use super::lifecycle::{Effect, Event, LifeCycle, Limits, Phase};
use super::outcome::{Failure, Outcome};
use super::registry::Registration;
use crate::config::ServiceSettings;
use crate::monitor::{Monitor, Reporter};
use tcs_bus::guard::{catch, guarded};

/// How far a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Being made and started.
    Starting,
    /// Start-up has finished; it took this long.
    Running(Duration),
    /// On its way out.
    Stopping,
}

/// What a host needs besides the service.
#[derive(Debug)]
#[non_exhaustive]
pub struct HostOptions {
    /// Publishes for the service.
    pub reporter: Reporter,
    /// The launcher's monitored name.
    pub parent: Option<String>,
    /// How long its phases may take.
    pub limits: Limits,
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// Time between two rounds of health checks.
    pub healthcheck: Duration,
    /// How long a health check may take.
    pub healthcheck_limit: Duration,
    /// The clock that the service sleeps by.
    pub clock: Clock,
    /// Receives the progress of the service.
    pub progress: Option<watch::Sender<Progress>>,
}

impl HostOptions {
    /// The usual times, no parent.
    pub fn new(reporter: Reporter) -> Self {
        Self {
            reporter,
            parent: None,
            limits: Limits::default(),
            heartbeat: Duration::from_secs(10),
            healthcheck: Duration::from_secs(30),
            healthcheck_limit: Duration::from_secs(10),
            clock: Clock::system(),
            progress: None,
        }
    }
}

/// Runs the service of these settings until it ends, by itself or because `stop` is cancelled.
/// Dropping the future ends the service at its next `.await`.
pub async fn run(
    registration: &'static Registration,
    settings: &ServiceSettings,
    options: HostOptions,
    stop: CancellationToken,
) -> Outcome {
    let read = settings.clone();
    let make = move |ctx: Context| registration.make(&read, ctx);
    run_made(registration.kind(), settings, Box::new(make), options, stop).await
}

/// How a service is made, from the context that it gets.
pub(crate) type Make = Box<dyn FnOnce(Context) -> Result<Made, Failure> + Send>;

/// Like [`run`], for a service that `make` creates.
pub(crate) async fn run_made(
    kind: &str,
    settings: &ServiceSettings,
    make: Make,
    options: HostOptions,
    stop: CancellationToken,
) -> Outcome {
    let log_level = log_level(settings);
    let span = tracing::info_span!("service", id = %settings.id(), level = log_level);
    Host::new(kind, settings, make, log_level, options, span.clone())
        .live(stop)
        .instrument(span)
        .await
}

/// The field that every service has, whatever its own type of settings.
fn log_level(settings: &ServiceSettings) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Base {
        log_level: Option<String>,
    }
    settings.deserialize::<Base>().ok().and_then(|(base, _)| base.log_level)
}

/// Time limit for the last status to reach the outbox: metrics are read for it.
const LAST_WORD: Duration = Duration::from_secs(3);

/// The service's code under way: ended with the host.
struct Work {
    phase: Phase,
    task: JoinHandle<Result<(), Failure>>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Host {
    /// Until it is made.
    make: Option<Make>,
    monitor: Monitor,
    ctx: Context,
    limits: Limits,
    progress: Option<watch::Sender<Progress>>,
    begun: Instant,
    service: Option<Arc<dyn Running>>,
    work: Option<Work>,
    limit: Option<Instant>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.ctx.abort_tasks();
        self.monitor.close();
    }
}

impl Host {
    fn new(
        kind: &str,
        settings: &ServiceSettings,
        make: Make,
        log_level: Option<String>,
        options: HostOptions,
        span: tracing::Span,
    ) -> Self {
        let id = settings.id();
        let mut builder = Monitor::of(&id.clone().into())
            .heartbeat(options.heartbeat)
            .healthcheck(options.healthcheck, options.healthcheck_limit)
            .about(&format!("{kind} service"), env!("CARGO_PKG_VERSION"));
        if let Some(parent) = &options.parent {
            builder = builder.parent(parent);
        }
        let monitor = builder.start(&options.reporter);
        let ctx = Context::new(Parts {
            id,
            log_level,
            monitor: monitor.clone(),
            stop: CancellationToken::new(),
            clock: options.clock,
            span,
        });
        Self {
            make: Some(make),
            monitor,
            ctx,
            limits: options.limits,
            progress: options.progress,
            begun: Instant::now(),
            service: None,
            work: None,
            limit: None,
        }
    }

    async fn live(mut self, stop: CancellationToken) -> Outcome {
        let (mut life, mut effects) = LifeCycle::new(self.limits);
        let mut wanted = false;
        loop {
            for effect in effects {
                if let Some(outcome) = self.act(effect) {
                    self.monitor.finish(LAST_WORD).await;
                    return outcome;
                }
            }
            let event = tokio::select! {
                biased;
                () = stop.cancelled(), if !wanted => {
                    wanted = true;
                    self.tell(Progress::Stopping);
                    Event::StopWanted
                }
                event = done(&mut self.work) => {
                    self.work = None;
                    event
                }
                why = completed(&self.ctx), if is_running(self.work.as_ref()) => {
                    self.tell(Progress::Stopping);
                    Event::Completed(why)
                }
                () = at(self.limit) => {
                    self.limit = None;
                    Event::TimeUp
                }
            };
            effects = life.handle(event);
        }
    }

    fn act(&mut self, effect: Effect) -> Option<Outcome> {
        match effect {
            Effect::Say(status, text) => {
                if status.is_operational() || status == crate::wire::Status::Shutdown {
                    tracing::info!("{text}");
                } else {
                    tracing::error!("{text}");
                }
                self.monitor.announce(status, &text);
            }
            Effect::Begin(phase) => self.begin(phase),
            Effect::Cancel => {
                self.tell(Progress::Stopping);
                self.ctx.cancel();
            }
            Effect::Abort(phase) => {
                if let Some(work) = self.work.as_ref().filter(|work| work.phase == phase) {
                    work.task.abort();
                }
            }
            Effect::Limit(limit) => self.limit = limit.map(|limit| Instant::now() + limit),
            Effect::End(outcome) => return Some(outcome),
        }
        None
    }

    fn begin(&mut self, phase: Phase) {
        let ctx = self.ctx.clone();
        let task = match (phase, self.service.clone()) {
            (Phase::Create, _) => {
                let made = self.make.take().map(|make| catch(|| make(ctx)));
                let result = match made {
                    None => Ok(()),
                    Some(Ok(Ok(Made(service)))) => {
                        self.service = Some(Arc::clone(&service));
                        self.monitor.add_async_health_check("healthcheck", move || {
                            let service = Arc::clone(&service);
                            async move { service.healthcheck().await }
                        });
                        Ok(())
                    }
                    Some(Ok(Err(failure))) => Err(failure),
                    Some(Err(panic)) => Err(panic.into()),
                };
                self.spawn(async move { result })
            }
            (Phase::Start, Some(service)) => {
                self.spawn(async move { user(guarded(service.start()).await) })
            }
            (Phase::Run, Some(service)) => {
                self.tell(Progress::Running(self.begun.elapsed()));
                self.spawn(async move {
                    tokio::select! {
                        result = guarded(service.run()) => user(result),
                        failure = ctx.task_failure() => Err(failure),
                    }
                })
            }
            (Phase::Stop, Some(service)) => {
                self.spawn(async move { user(guarded(service.stop()).await) })
            }
            (Phase::Start | Phase::Run | Phase::Stop, None) => self.spawn(async { Ok(()) }),
        };
        self.work = Some(Work { phase, task });
    }

    fn spawn(
        &self,
        work: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) -> JoinHandle<Result<(), Failure>> {
        tokio::spawn(self.monitor.watched(work).in_current_span())
    }

    fn tell(&self, progress: Progress) {
        if let Some(tell) = &self.progress {
            tell.send_replace(progress);
        }
    }
}

fn user(result: Result<anyhow::Result<()>, tcs_bus::guard::Panic>) -> Result<(), Failure> {
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::from(&error)),
        Err(panic) => Err(panic.into()),
    }
}

/// The end of what is under way.
async fn done(work: &mut Option<Work>) -> Event {
    let Some(work) = work else { return pending().await };
    match (&mut work.task).await {
        Ok(result) => Event::Done(work.phase, result),
        Err(error) => aborted(work.phase, &error),
    }
}

fn aborted(phase: Phase, error: &JoinError) -> Event {
    tracing::debug!("{phase:?} was ended: {error}");
    Event::Aborted(phase)
}

/// Waits until the service says that it has completed, once.
async fn completed(ctx: &Context) -> &'static str {
    if ctx.is_running() { ctx.completed().await } else { pending().await }
}

fn is_running(work: Option<&Work>) -> bool {
    work.is_some_and(|work| work.phase == Phase::Run)
}

async fn at(limit: Option<Instant>) {
    match limit {
        Some(limit) => sleep_until(limit).await,
        None => pending().await,
    }
}
