//! A launcher's life: what is set up before the loop, and what is said after it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tcs_core::bus::publish::{self, hostname};
use tcs_core::bus::settings::{NatsSection, Settings, SettingsError};
use tcs_core::bus::{Bus, Env};
use tcs_core::clock;
use tcs_core::config::{Config, Environment, How, Mode, Secrets};
use tcs_core::id::LauncherId;
use tcs_core::monitor::{Monitor, Reporter};
use tcs_core::service::{Registry, signals};
use tcs_core::wire::{Event as Wire, Status, Stop};
use tokio::sync::mpsc;

use super::event_record::EventRecord;
use super::instance_lock::InstanceLock;
use super::outputs::Outputs;
use super::own_status::OwnStatus;
use super::publisher::StatusPublisher;
use super::runtime_dir::RuntimeDir;
use super::signals::Signals;
use super::systemd::Systemd;
use super::{BACKLOG, Daemon, Inputs, known_types, link, reloads};
use crate::control;
use crate::log::{Taps, stamp};
use crate::runner::spawner::{OWN_PROGRAM, Spawner};
use crate::schedules;
use crate::takeover::{Table, TakenOver};
use tcs_supervisor::{Agenda, Supervisor};

/// Services that may be starting at the same time.
const PLACES: usize = 16;

/// How long the last words may take to be sent.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a launcher is started with.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The configuration file, as given.
    pub(crate) config: PathBuf,
    /// It was asked for by name: it must exist.
    pub(crate) explicit: bool,
    /// Where Rust services run that do not say.
    pub(crate) mode: Mode,
    /// Say first what is run.
    pub(crate) banner: bool,
    /// From asking something to stop to its kill, for services whose entry does not say, and for
    /// what an earlier launcher has left.
    pub(crate) grace: Duration,
    /// A reload may find a file without `services`, and then stops all.
    pub(crate) allow_empty: bool,
    /// How it gets at what tasks write.
    pub(crate) taps: Taps,
}

/// Runs a launcher to its end. The environment is to carry its mark ([`marked_run`](crate::runner::marked_run)).
/// `taken_over`: it goes on with what another program has begun in this process.
pub(crate) fn main(
    options: &Options,
    launcher_run: String,
    taken_over: Option<TakenOver>,
) -> ExitCode {
    if let Some(TakenOver { table, .. }) = &taken_over {
        publish::continue_run(table.began);
    }
    match with_threads(options, launcher_run, taken_over) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!("{error:#}");
            Systemd::from_environment().gives_up(&error);
            ExitCode::FAILURE
        }
    }
}

/// The first thread starts the processes: see [`Spawner::apart`].
fn with_threads(
    options: &Options,
    launcher_run: String,
    taken_over: Option<TakenOver>,
) -> anyhow::Result<bool> {
    let threads = |name: &str| {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        threads.enable_all().thread_name(name);
        threads
    };
    let (own, signals) = signals::runtime(threads("tcs-launcher"), Signals::catch)
        .context("starting threads and catching signals")?;
    // services that run as tasks have their own: one that blocks a thread blocks no supervision
    let services = threads("tcs-service").build().context("starting threads")?;
    let (spawner, starting) = Spawner::apart(OWN_PROGRAM, own.handle().clone());
    let before = Before { launcher_run, spawner: Arc::clone(&spawner), taken_over };
    let result = std::thread::scope(|scope| {
        let launcher = std::thread::Builder::new().name("tcs-main".to_owned());
        let launcher = launcher.spawn_scoped(scope, || {
            let _ended = EndsSpawner(&spawner);
            own.block_on(launch(options, before, signals, services.handle()))
        });
        let launcher = launcher.context("starting threads")?;
        starting.run();
        launcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    // nor does it keep the launcher from ending
    services.shutdown_background();
    own.shutdown_background();
    result
}

/// The first thread has no more to do, however the launcher ends.
struct EndsSpawner<'a>(&'a Spawner);

impl Drop for EndsSpawner<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What is there before the launcher begins.
struct Before {
    launcher_run: String,
    spawner: Arc<Spawner>,
    taken_over: Option<TakenOver>,
}

/// What the command line, the file, and the environment say.
struct Given {
    environment: Environment,
    config: Config,
    nats: Settings,
    id: LauncherId,
    /// The configuration file.
    file: PathBuf,
}

impl Given {
    fn read(options: &Options) -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("finding the working directory")?;
        let environment = Environment::of_process(&here)?;
        let config = schedules::load(&options.config, options.explicit, &environment)?;
        if !config.warnings.is_empty() {
            tracing::warn!("{}", config.warnings);
        }
        let nats = broker(&config, &options.config, &environment)?;
        let kind = match options.mode {
            Mode::Async => "async",
            Mode::Process => "process",
        };
        let named = options.config.display().to_string();
        let id = LauncherId::derive(&named, &here.display().to_string(), &hostname(), kind)?;
        let file = std::path::absolute(&options.config).context("finding the configuration")?;
        Ok(Self { environment, config, nats, id, file })
    }

    fn needs_broker(&self) -> bool {
        self.config.nats.as_ref().is_some_and(|it| it.required == Some(true))
    }

    /// For services that know no more than a host and a port, where the file does not name them.
    fn address(&self) -> Option<(String, String)> {
        let is_named = self.config.nats.as_ref().is_some_and(NatsSection::names_one_host);
        if is_named { None } else { address(&self.nats.shown_servers()) }
    }

    fn secrets(&self) -> Secrets {
        let in_file = self.config.nats.iter().flat_map(NatsSection::secrets);
        let in_environment = Secrets::of_environment(&self.environment);
        Secrets::new(self.nats.secrets().into_iter().chain(in_environment).chain(in_file))
    }
}

/// Makes sure that nobody else runs this file, and that what an earlier launcher left is gone.
async fn occupy(
    given: &Given,
    launcher_run: &str,
    options: &Options,
    spawner: Arc<Spawner>,
    taken_over: Option<&mut TakenOver>,
) -> anyhow::Result<(InstanceLock, RuntimeDir)> {
    shows_own_processes(std::fs::read_link("/proc/self"), std::process::id())?;
    let (mut lock, runtime_dir) = if let Some(taken) = taken_over {
        let locks = taken.table.locks.clone().into_iter().map(|lock| taken.files.take(lock));
        let lock = InstanceLock::resume(locks.collect::<Result<_, _>>()?)?;
        (lock, RuntimeDir::resume(&given.file, launcher_run, spawner, taken)?)
    } else {
        let lock = InstanceLock::take(&given.file)?;
        (lock, RuntimeDir::open(&given.file, launcher_run, options, spawner).await?)
    };
    lock.answer(&format!(
        "launcher {}, pid {}, since {}, runtime directory {}",
        given.id,
        std::process::id(),
        stamp(clock::wall()),
        runtime_dir.dir.display()
    ))?;
    Ok((lock, runtime_dir))
}

/// Whether all that was wanted ran.
async fn launch(
    options: &Options,
    before: Before,
    mut signals: Signals,
    services: &tokio::runtime::Handle,
) -> anyhow::Result<bool> {
    let Before { launcher_run, spawner, mut taken_over } = before;
    let registry = Registry::of_this_program()?;
    let given = Given::read(options)?;
    let (lock, runtime_dir) =
        occupy(&given, &launcher_run, options, spawner, taken_over.as_mut()).await?;
    let (id, name) = (given.id.to_string(), given.id.object_name());
    let reporter = Reporter::open(given.nats.clone(), name.as_str())?;
    if options.banner {
        let count = given.config.services.len();
        let (file, servers) = (options.config.display(), given.nats.shown_servers());
        let s = if count == 1 { "" } else { "s" };
        tracing::info!("launcher {id}: {count} service{s} of {file}, NATS {servers}");
    }
    let monitor = Monitor::of(&name)
        .about("launcher", env!("CARGO_PKG_VERSION"))
        .heartbeat(given.config.launch.heartbeat)
        .start(&reporter);
    let (asks, asked) = mpsc::channel(BACKLOG);
    control::serve(&monitor, name.as_str(), &asks);
    let sampling = sample(&monitor, name.as_str(), &runtime_dir);
    tokio::spawn(crate::log::tell_dropped());
    let (tell, told) = mpsc::channel(BACKLOG);
    let (last, lasts) = mpsc::channel(BACKLOG);
    let outputs = Outputs::new(reporter.publisher().cloned(), options.taps.clone());
    let own_status = OwnStatus::new(monitor.clone());
    let publisher = StatusPublisher::new(reporter, own_status, id, name.to_string(), launcher_run);
    keep_marks(&publisher.reporter, &runtime_dir.events);
    let systemd = Systemd::from_environment();
    let upgrades = taken_over.as_ref().map_or(0, |it| it.table.upgrades);
    let mut daemon = Daemon {
        options,
        lock,
        upgrades,
        upgrade: None,
        drill: None,
        credentials: given.config.nats_variables.clone(),
        secrets: given.secrets(),
        nats: given.address(),
        given: reloads::StartupConfig::of(&given.config),
        environment: given.environment.clone(),
        registry,
        config: given.file.clone(),
        origin: clock::monotonic(),
        supervisor: Supervisor::new(PLACES),
        waits_told_at: None,
        agenda: Agenda::default(),
        kept: Arc::clone(&runtime_dir.kept),
        plans: BTreeMap::new(),
        outputs,
        handles: BTreeMap::new(),
        replies: HashMap::new(),
        next_ticket: 0,
        runner: Arc::clone(&runtime_dir.runner),
        services: services.clone(),
        tell,
        ended: BTreeMap::new(),
        last,
        events: Arc::clone(&runtime_dir.events),
        publisher,
        systemd: if taken_over.is_some() { systemd.resumed() } else { systemd },
    };
    let inputs = Inputs { told, lasts, asked };
    let success = if let Some(taken) = taken_over {
        let done = daemon.resume(&given.config, taken)?;
        daemon.live(done, signals, inputs, &runtime_dir).await
    } else {
        let (hostname, pid) = (Some(hostname()), Some(std::process::id()));
        daemon.publisher.own(Wire::Start { hostname, pid, recent_crashes: None });
        let starting = ["Starting services"].into_iter().chain(runtime_dir.before.as_deref());
        monitor.set_status(Status::Startup, starting.collect::<Vec<_>>().join("; "));
        let may_begin = match daemon.publisher.reporter.bus().cloned() {
            Some(bus) if given.needs_broker() => {
                link::required(&bus, &mut signals, &mut daemon.systemd).await
            }
            Some(_) | None => true,
        };
        if may_begin {
            let done = daemon.begin(&given.config);
            daemon.live(done, signals, inputs, &runtime_dir).await
        } else {
            false
        }
    };
    sampling.abort();
    end(daemon, monitor, runtime_dir, success).await;
    Ok(success)
}

/// What the services and the host use is looked at, and told to who asks.
fn sample(monitor: &Monitor, name: &str, runtime_dir: &RuntimeDir) -> tokio::task::JoinHandle<()> {
    let resources = Arc::clone(runtime_dir.runner.resources());
    control::serve_resources(monitor, name, &resources);
    let of_host = Arc::clone(&resources);
    monitor.add_metrics(move || of_host.host_metrics());
    let kept = Arc::clone(&runtime_dir.kept);
    monitor.add_metrics(move || kept.now().metrics());
    tokio::spawn(resources.keep())
}

/// How many events wait for the broker is known after a crash of the host too.
fn keep_marks(reporter: &Reporter, events: &Arc<EventRecord>) {
    let Some(outbox) = reporter.outbox() else { return };
    let noted = Arc::clone(events);
    outbox.keep_marks(move |marks| noted.note(marks));
    tokio::spawn(Arc::clone(events).keep_on_disk());
}

/// The last words, while there is somebody to say them to.
async fn end(mut daemon: Daemon<'_>, monitor: Monitor, runtime_dir: RuntimeDir, success: bool) {
    daemon.systemd.last(success);
    // no beat comes after the launcher's own stop
    monitor.finish(LAST_WORDS).await;
    daemon.publisher.own(Wire::Stop(Stop {
        reason: Some("terminated".to_owned()),
        exit_code: Some(i32::from(!success)),
        uptime_seconds: Some(daemon.now().as_secs_f64()),
        planned: None,
    }));
    let reporter = daemon.publisher.reporter.clone();
    daemon.outputs.close(LAST_WORDS).await;
    drop(daemon);
    runtime_dir.close().await;
    if reporter.bus().is_some_and(Bus::is_connected) {
        reporter.settled(LAST_WORDS).await;
    }
    // its end waits for its thread, which a worker of the runtime may do only so
    let _ = tokio::task::spawn_blocking(move || drop((monitor, reporter))).await;
}

/// What a program leaves behind is found in `/proc`, and signals go to the pids that stand there:
/// that of another PID namespace would show other processes under these numbers.
fn shows_own_processes(itself: std::io::Result<PathBuf>, pid: u32) -> anyhow::Result<()> {
    let shown =
        itself.context("reading /proc, in which tcsd finds the processes of its services")?;
    if shown == Path::new(&pid.to_string()) {
        return Ok(());
    }
    anyhow::bail!(
        "/proc belongs to another PID namespace: it shows tcsd as process {}, not as {pid}\n\
         hint: mount one for this namespace: mount -t proc proc /proc (or unshare --mount-proc)",
        shown.display()
    );
}

/// Whether this program could go on with what a tcsd of these options has; the error says why not.
pub(crate) fn could_take_over(options: &Options, table: &Table) -> anyhow::Result<()> {
    let registry = Registry::of_this_program()?;
    let given = Given::read(options)?;
    let (own, before) = (given.id.to_string(), &table.launcher_id);
    anyhow::ensure!(
        own == *before,
        "it would be launcher {own}, and not {before} (has the name of the host changed?); restart \
         tcsd instead"
    );
    let types = known_types(&registry);
    for entry in given.config.services.iter().filter(|it| table.rust.contains(&it.id)) {
        let how = How::of(entry, &types, &given.environment);
        let (name, id) = (&entry.service_type, &entry.id);
        let is_known = matches!(how, How::Rust(_));
        anyhow::ensure!(is_known, "it has no Rust service `{name}` (is its crate linked?): {id}");
    }
    Ok(())
}

/// Which broker a configuration means.
pub(crate) fn broker(
    config: &Config,
    path: &Path,
    environment: &Environment,
) -> Result<Settings, SettingsError> {
    let environment = environment.clone();
    let section = config.nats.clone().map(|section| (path.to_owned(), section));
    Settings::resolve_by(move || {
        let env = |name: &str| environment.get(name).map(str::to_owned);
        let read = |path: &Path| std::fs::read_to_string(path);
        let section = section.as_ref().map(|(path, section)| (path.as_path(), section));
        Settings::resolve(&NatsSection::default(), section, Env { env: &env, read: &read })
    })
}

/// Host and port of the first of the servers, for children that know no more than these.
fn address(servers: &str) -> Option<(String, String)> {
    let first = servers.split(", ").next()?;
    let (_, address) = first.split_once("://")?;
    let (host, port) = address.trim_end_matches('/').rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_launcher_with_the_same_services_takes_over() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("services.yaml");
        std::fs::write(&config, "services: [{type: dome, variant: a}]").unwrap();
        let options = Options {
            config,
            explicit: true,
            mode: Mode::Process,
            banner: false,
            grace: Duration::ZERO,
            allow_empty: false,
            taps: Taps::default(),
        };
        let mut table = Table::empty();
        let error = |table: &Table| could_take_over(&options, table).unwrap_err().to_string();
        assert!(error(&table).contains(", and not x (has the name of the host changed?)"));
        table.launcher_id = Given::read(&options).unwrap().id.to_string();
        could_take_over(&options, &table).unwrap();
        table.rust.insert("dome.a".parse().unwrap());
        let missing = "it has no Rust service `dome` (is its crate linked?): dome.a";
        assert_eq!(error(&table), missing);
    }
}
