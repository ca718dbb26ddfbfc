//! The launcher at work: one loop owns the supervisor, and joins it to the runners, the broker,
//! signals and callers. Nothing in it waits for the broker.

mod beats;
mod files;
mod hearing;
mod home;
mod link;
mod log;
mod outputs;
mod plan;
mod readers;
mod reloads;
mod requests;
mod rivals;
mod runs;
mod signals;
mod systemd;
mod voice;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use tcs_core::bus::publish::hostname;
use tcs_core::bus::settings::{NatsSection, Settings, SettingsError};
use tcs_core::bus::{Bus, Outside};
use tcs_core::clock;
use tcs_core::config::{Config, Environment, How, Mode};
use tcs_core::id::LauncherId;
use tcs_core::monitor::{Monitor, Reporter};
use tcs_core::service::Registry;
use tcs_core::wire::Status;
use tcs_core::wire::{Event as Wire, Stop};
use tokio::sync::{mpsc, oneshot, watch};

use crate::control::{self, Ask};
use crate::log::Taps;
use crate::runner::{Handle, ProcessRunner, Tell, Told};
use crate::supervisor::{Answer, Effect, Event, Lifecycle, Run, ServiceId, Supervisor, Ticket};
use hearing::Last;
use home::Home;
use outputs::Outputs;
pub(crate) use plan::absolute;
pub use plan::known_types;
use plan::{Plan, Site};
use signals::{Signals, Wish};
use systemd::Systemd;
use voice::Voice;

/// Services that may be starting at the same time.
const PLACES: usize = 16;

/// How long the last words may take to be sent.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Signals within this time are one: `timeout` and others send it to us and to our group, too.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// Reports and requests that may wait for the loop.
const BACKLOG: usize = 1024;

/// What a launcher is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration file, as given.
    pub config: PathBuf,
    /// It was asked for by name: it must exist.
    pub explicit: bool,
    /// Where Rust services run that do not say.
    pub mode: Mode,
    /// Say first what is run.
    pub banner: bool,
    /// From asking something to stop to its kill, for services whose entry does not say, and for
    /// what an earlier launcher has left.
    pub grace: Duration,
    /// How it gets at what tasks write.
    pub taps: Taps,
}

/// Runs a launcher to its end. The environment is to carry its mark ([`runner::marked_run`]).
pub fn main(options: &Options, launcher_run: String) -> ExitCode {
    match with_threads(options, launcher_run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!("{error:#}");
            Systemd::from_environment().gives_up(&error);
            ExitCode::FAILURE
        }
    }
}

fn with_threads(options: &Options, launcher_run: String) -> anyhow::Result<bool> {
    let threads = |name: &str| {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        threads.enable_all().thread_name(name).build().context("starting threads")
    };
    // services that run as tasks have their own: one that blocks a thread blocks no supervision
    let (own, services) = (threads("tcs-launcher")?, threads("tcs-service")?);
    let result = own.block_on(launch(options, launcher_run, services.handle()));
    // nor does it keep the launcher from ending
    services.shutdown_background();
    own.shutdown_background();
    result
}

/// Whether all that was wanted ran.
async fn launch(
    options: &Options,
    launcher_run: String,
    services: &tokio::runtime::Handle,
) -> anyhow::Result<bool> {
    let mut signals = Signals::catch().context("catching signals")?;
    let here = std::env::current_dir().context("finding the working directory")?;
    let (environment, problems) = Environment::new(std::env::vars_os()).with_dotenv(&here);
    for problem in problems {
        tracing::warn!("{}", problem.message);
    }
    let registry = Registry::of_this_program()?;
    let config = Config::load(&options.config, options.explicit, &environment)?;
    if !config.warnings.is_empty() {
        tracing::warn!("{}", config.warnings);
    }
    let nats = broker(&config, &options.config, &environment)?;
    let is_required = config.nats.as_ref().is_some_and(|it| it.required == Some(true));
    let names_broker = config.nats.as_ref().is_some_and(|it| it.host.is_some());
    let given = options.config.display().to_string();
    let kind = match options.mode {
        Mode::Async => "async",
        Mode::Process => "process",
    };
    let id = LauncherId::derive(&given, &here.display().to_string(), &hostname(), kind)?;
    let name = id.object_name();
    let absolute = std::path::absolute(&options.config).context("finding the configuration")?;

    let home = Home::open(&absolute, &launcher_run, options).await?;
    let servers = nats.shown_servers();
    let reporter = Reporter::open(nats, name.as_str())?;
    if options.banner {
        let count = config.services.len();
        tracing::info!("tcsd {id}: {count} services of {given}, NATS {servers}");
    }
    let monitor = Monitor::of(&name)
        .about("launcher", env!("CARGO_PKG_VERSION"))
        .heartbeat(config.launch.heartbeat)
        .start(&reporter);
    let (asks, asked) = mpsc::channel(BACKLOG);
    control::serve(&monitor, name.as_str(), &asks);
    let (tell, told) = mpsc::channel(BACKLOG);
    let (last, lasts) = mpsc::channel(BACKLOG);
    let outputs = Outputs::new(reporter.publisher().cloned(), options.taps.clone());
    let voice = Voice::new(reporter, id.to_string(), name.to_string(), launcher_run);
    let mut daemon = Daemon {
        options,
        environment,
        registry,
        config: absolute,
        nats: if names_broker { None } else { address(&servers) },
        given: reloads::Given::of(&config),
        origin: clock::monotonic(),
        supervisor: Supervisor::new(PLACES),
        plans: BTreeMap::new(),
        outputs,
        handles: BTreeMap::new(),
        replies: HashMap::new(),
        next_ticket: 0,
        runner: Arc::clone(&home.runner),
        services: services.clone(),
        tell,
        ended: BTreeMap::new(),
        last,
        voice,
        systemd: Systemd::from_environment(),
    };
    daemon.voice.own(Wire::Start { hostname: Some(hostname()), pid: Some(std::process::id()) });
    let starting = ["Starting services"].into_iter().chain(home.before.as_deref());
    monitor.set_status(Status::Startup, starting.collect::<Vec<_>>().join("; "));
    let may_begin = match daemon.voice.reporter.bus().cloned() {
        Some(bus) if is_required => link::required(&bus, &mut signals, &mut daemon.systemd).await,
        Some(_) | None => true,
    };
    let well = may_begin && daemon.live(&config, &monitor, signals, told, lasts, asked).await;
    daemon.systemd.last(well);
    // no beat comes after the launcher's own stop
    monitor.finish(LAST_WORDS).await;
    daemon.voice.own(Wire::Stop(Stop {
        reason: Some("terminated".to_owned()),
        exit_code: Some(i32::from(!well)),
        uptime_seconds: Some(daemon.now().as_secs_f64()),
    }));
    let reporter = daemon.voice.reporter.clone();
    daemon.outputs.close(LAST_WORDS).await;
    drop(daemon);
    home.close().await;
    if reporter.bus().is_some_and(Bus::is_connected) {
        reporter.settled(LAST_WORDS).await;
    }
    // its end waits for its thread, which a worker of the runtime may do only so
    let _ = tokio::task::spawn_blocking(move || drop((monitor, reporter))).await;
    Ok(well)
}

/// Which broker a configuration means.
pub(crate) fn broker(
    config: &Config,
    path: &Path,
    environment: &Environment,
) -> Result<Settings, SettingsError> {
    let env = |name: &str| environment.get(name).map(str::to_owned);
    let read = |path: &Path| std::fs::read_to_string(path);
    let section = config.nats.as_ref().map(|section| (path, section));
    Settings::resolve(&NatsSection::default(), section, Outside { env: &env, read: &read })
}

/// Host and port of the first of the servers, for children that know no more than these.
fn address(servers: &str) -> Option<(String, String)> {
    let first = servers.split(", ").next()?;
    let (_, address) = first.split_once("://")?;
    let (host, port) = address.trim_end_matches('/').rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.to_owned()))
}

/// A run that is under way.
struct Spawned {
    run: Run,
    handle: Handle,
    /// By this host's clock: what was sent before is of an earlier run.
    at: DateTime<Utc>,
    /// When the launcher beats for it next; `None`: it speaks for itself.
    beat_at: Option<Duration>,
}

struct Daemon<'a> {
    options: &'a Options,
    environment: Environment,
    registry: Registry,
    /// Absolute.
    config: PathBuf,
    nats: Option<(String, String)>,
    /// What the file said at start, and only a start can change.
    given: reloads::Given,
    origin: Instant,
    supervisor: Supervisor,
    plans: BTreeMap<ServiceId, Plan>,
    outputs: Outputs,
    handles: BTreeMap<ServiceId, Spawned>,
    replies: HashMap<Ticket, oneshot::Sender<Answer>>,
    next_ticket: u64,
    runner: Arc<ProcessRunner>,
    /// Threads for tasks.
    services: tokio::runtime::Handle,
    tell: Tell,
    /// Reports that wait for the service's last word.
    ended: BTreeMap<ServiceId, Vec<Told>>,
    last: mpsc::Sender<Last>,
    voice: Voice,
    systemd: Systemd,
}

impl Daemon<'_> {
    async fn live(
        &mut self,
        config: &Config,
        monitor: &Monitor,
        mut signals: Signals,
        mut told: mpsc::Receiver<Told>,
        mut lasts: mpsc::Receiver<Last>,
        mut asked: mpsc::Receiver<Ask>,
    ) -> bool {
        let (links, mut linked) = mpsc::channel(1);
        let (heard, mut words) = mpsc::channel(BACKLOG);
        let (found, mut shared) = watch::channel(rivals::Shared::new());
        if let Some(bus) = self.voice.reporter.bus().cloned() {
            tokio::spawn(link::keep(bus.clone(), links));
            tokio::spawn(words::listen(bus, self.voice.name.clone(), heard, found));
        }
        let mut done = self.begin(config);
        monitor.set_status(Status::Ok, "Supervising");
        let mut stopping = None;
        while done.is_none() {
            // out of this loop and nowhere else: one that stands still is not fed
            self.systemd.look(&self.supervisor, self.now());
            done = tokio::select! {
                biased;
                wish = signals.next() => match wish {
                    Wish::Stop(signal) => {
                        let after = stopping.map(|since| self.now().saturating_sub(since));
                        stopping = stopping.or(Some(self.now()));
                        self.stop(signal, after, monitor)
                    }
                    Wish::Reload => {
                        self.read_again(None).ok();
                        None
                    }
                },
                // before an exit is judged: what it said counts
                Some(it) = words.recv() => self.heard(it),
                Some(last) = lasts.recv() => self.last_word(last),
                Some(it) = told.recv() => self.told(it),
                Some(ask) = asked.recv() => self.asked(ask),
                Some(lost) = linked.recv() => {
                    self.linked(lost);
                    None
                }
                Ok(()) = shared.changed() => {
                    self.shared(shared.borrow_and_update().clone());
                    None
                }
                () = until(self.origin, self.next_beat()) => {
                    self.beat();
                    None
                }
                () = until(self.origin, self.supervisor.deadline()) => self.handle(Event::Tick),
                () = until(self.origin, self.systemd.due()) => None,
            };
        }
        done.unwrap_or_default()
    }

    /// A signal to stop; one that is not the first comes so long `after` it.
    fn stop(&mut self, signal: Signal, after: Option<Duration>, monitor: &Monitor) -> Option<bool> {
        match after {
            None => {
                tracing::info!("{signal}: stopping all services; a second signal kills them");
                monitor.set_status(Status::Shutdown, "Stopping services");
                self.voice.own(Wire::Stopping { reason: Some("requested".to_owned()) });
                self.systemd.stopping();
            }
            Some(after) if after < SAME_SIGNAL => return None,
            Some(_) => tracing::warn!("{signal} again: what has not stopped yet is killed"),
        }
        self.handle(Event::Shutdown)
    }

    fn now(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.origin)
    }

    /// `Some` once all has ended: whether well.
    fn handle(&mut self, event: Event) -> Option<bool> {
        let now = self.now();
        let mut done = None;
        for effect in self.supervisor.handle(event, now) {
            done = self.act(effect).or(done);
        }
        done
    }

    fn act(&mut self, effect: Effect) -> Option<bool> {
        match effect {
            Effect::Spawn { id, run } => self.spawn(id, run),
            Effect::Stop { id, run } => {
                if let Some(spawned) = self.handles.get(&id).filter(|it| it.run == run) {
                    spawned.handle.stop();
                }
            }
            Effect::Kill { id, run } => {
                if let Some(spawned) = self.handles.get(&id).filter(|it| it.run == run) {
                    spawned.handle.kill();
                }
            }
            Effect::Publish { id, event, requested_by } => {
                self.publish(&id, &event, requested_by.as_deref());
            }
            Effect::Reply { ticket, answer } => {
                if let Some(back) = self.replies.remove(&ticket) {
                    let _ = back.send(answer); // a caller may have gone
                }
            }
            Effect::Forget { id } => {
                self.plans.remove(&id);
                self.outputs.forget(&id);
                self.voice.forget(&id);
            }
            Effect::Done { well } => return Some(well),
        }
        None
    }

    fn publish(&mut self, id: &ServiceId, event: &Lifecycle, requested_by: Option<&str>) {
        let Some(plan) = self.plans.get(id) else { return };
        log::event(id, event);
        self.voice.say(plan, event, requested_by);
        if matches!(plan.how, How::Program(_)) {
            let pid = self.supervisor.service(id).and_then(|it| it.pid);
            match event {
                Lifecycle::Start { pid } => {
                    self.voice.status(id, Status::Startup, Some("Started".to_owned()), *pid);
                }
                Lifecycle::Ready { .. } => {
                    self.voice.status(id, Status::Ok, Some("Running".to_owned()), pid);
                    self.voice.beat(id, Duration::ZERO, plan.entry.launch.heartbeat);
                }
                Lifecycle::Declared
                | Lifecycle::Stopping { .. }
                | Lifecycle::Stop { .. }
                | Lifecycle::Crashed { .. }
                | Lifecycle::Restarting { .. }
                | Lifecycle::Failed { .. } => {}
            }
        }
    }

    fn site(&self) -> Site<'_> {
        Site {
            registry: &self.registry,
            environment: &self.environment,
            mode: self.options.mode,
            grace: self.options.grace,
            config: &self.config,
            launcher: (&self.voice.launcher_id, &self.voice.name),
            nats: self.nats.clone(),
        }
    }

    fn linked(&mut self, lost: bool) {
        let first = self.voice.is_held();
        self.voice.open(lost && !first);
        if !first {
            self.declare_all();
        }
        if lost {
            self.voice.reporter.say_again();
        }
    }

    /// Says again what is configured: by that it shows what no longer is (`truth.md` 7).
    fn declare_all(&mut self) {
        let Self { plans, supervisor, voice, .. } = self;
        voice.next_batch();
        for (id, plan) in plans {
            if supervisor.service(id).is_some_and(|it| !it.leaving) {
                voice.say(plan, &Lifecycle::Declared, None);
            }
        }
    }
}

async fn until(origin: Instant, deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until((origin + deadline).into()).await,
        None => std::future::pending().await,
    }
}
