//! What all commands share: the options, the screen, the settings, and how they end.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tcs_core::bus::settings::Settings;
use tcs_core::bus::{BrokerClock, Bus, ClockQuality, ConnectError};
use tcs_core::clock;

use crate::cli::moment::{Moment, PointInTime};
use crate::cli::{Cli, ConnectionArgs};
use crate::exit::Exit;
use crate::output::{Screen, TimeFormat, Word};
use crate::settings::{self, DEFAULT_TIMEOUT, ResolveError, Resolved};

/// A signal's number on top of this is what a shell is told.
pub(crate) const SIGNALLED: u8 = 128;

/// A request gets this much time in any case.
pub(super) const LEAST: Duration = Duration::from_millis(200);

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Whoever read our output is gone.
    PipeClosed,
    /// It could not be done.
    Failed {
        /// The exit code.
        exit: Exit,
        /// One line, and `hint: ` lines.
        message: String,
    },
}

impl Ended {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::Failed { exit, message: message.into() }
    }

    /// This end, with `what` appended to the first line of the message.
    pub(crate) fn adding(mut self, what: &str) -> Self {
        if let Self::Failed { message, .. } = &mut self {
            let end = message.find('\n').unwrap_or(message.len());
            message.insert_str(end, &format!("; {what}"));
        }
        self
    }
}

/// Only standard output is written to with a bare `?`.
impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::PipeClosed;
        }
        Self::new(Exit::No, format!("cannot write to standard output: {error}"))
    }
}

impl From<ConnectError> for Ended {
    fn from(error: ConnectError) -> Self {
        Self::new(Exit::NoContact, error.to_string())
    }
}

impl From<ResolveError> for Ended {
    fn from(error: ResolveError) -> Self {
        let text = match &error {
            ResolveError::Config(errors) if errors.report.problems.len() == 1 => {
                errors.to_string().replacen(": error: ", ": ", 1)
            }
            ResolveError::Config(errors) => format!("the configuration cannot be used\n{errors}"),
            ResolveError::Settings(error) => error.to_string(),
        };
        Self::new(Exit::Usage, text)
    }
}

/// What all commands share: options, screen and settings.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: ConnectionArgs,
    pub(crate) screen: Screen,
    settings: Option<Settings>,
    verbose: bool,
    pub(crate) local_times: bool,
    /// Connections that were made.
    buses: Mutex<Vec<Bus>>,
    /// What connecting and reading have used up of the time-out, in milliseconds.
    spent: AtomicU64,
}

impl Session {
    pub(crate) fn new(cli: &Cli, screen: Screen) -> Self {
        Self {
            connection: cli.connection.clone(),
            screen,
            settings: None,
            verbose: cli.output.verbose,
            local_times: cli.output.time == TimeFormat::Local,
            buses: Mutex::default(),
            spent: AtomicU64::new(0),
        }
    }

    /// This session with other connection settings, whatever options and environment say.
    pub(crate) fn at(&self, settings: Settings) -> Self {
        let Self { screen, verbose, local_times, .. } = *self;
        let connection =
            ConnectionArgs { timeout: self.connection.timeout, ..ConnectionArgs::default() };
        let (settings, buses) = (Some(settings), Mutex::default());
        let spent = AtomicU64::new(0);
        Self { connection, screen, settings, verbose, local_times, buses, spent }
    }

    /// Runs a command on a runtime of its own. However it ends, nothing of it stays at the broker.
    pub(crate) fn block_on(
        &self,
        command: impl Future<Output = Result<ExitCode, Ended>>,
    ) -> Result<ExitCode, Ended> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| Ended::new(Exit::No, format!("cannot start: {error}")))?;
        let result = runtime.block_on(async {
            let result = command.await;
            self.release().await;
            result
        });
        // a name being looked up must not hold the program
        runtime.shutdown_timeout(Duration::from_millis(100));
        result
    }

    /// The same for a command that does not listen to signals itself: one ends it.
    pub(crate) fn block_until_signal(
        &self,
        command: impl Future<Output = Result<ExitCode, Ended>>,
    ) -> Result<ExitCode, Ended> {
        self.block_on(async {
            let signalled = signalled();
            tokio::select! {
                biased;
                result = command => result,
                number = signalled => Ok(ExitCode::from(SIGNALLED + number)),
            }
        })
    }

    async fn release(&self) {
        let buses = std::mem::take(&mut *self.buses.lock().unwrap_or_else(PoisonError::into_inner));
        for bus in buses {
            bus.release().await;
        }
    }

    /// Remembers a connection, so that nothing of it is left at the broker in the end.
    pub(crate) fn keep(&self, bus: Bus) -> Bus {
        self.buses.lock().unwrap_or_else(PoisonError::into_inner).push(bus.clone());
        bus
    }

    /// How long to wait for the broker.
    pub(crate) fn timeout(&self) -> Duration {
        self.connection.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// What is left of it for a request, after what was spent on connecting and reading. Time in
    /// which a person was asked is not spent.
    pub(crate) fn left(&self) -> Duration {
        let spent = Duration::from_millis(self.spent.load(Ordering::Relaxed));
        self.timeout().saturating_sub(spent).max(LEAST)
    }

    /// Counts `span` against the time-out.
    pub(crate) fn spend(&self, span: Duration) {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.spent.fetch_add(ms, Ordering::Relaxed);
    }

    /// The clock by which messages were stored. Where no stream tells it, it is this machine's.
    pub(crate) async fn broker_clock(&self, bus: &Bus) -> BrokerClock {
        let asked = tokio::time::timeout(self.left(), bus.broker_clock());
        let clock = asked.await.ok().flatten();
        if clock.is_some_and(|clock| clock.quality == ClockQuality::Local) {
            let text = "the broker's time is not known: past times use this machine's clock";
            self.note(text);
        }
        clock.unwrap_or_else(BrokerClock::local)
    }

    /// A moment of the past, as typed, by the broker's clock. Where a clock showed it twice, it is told
    /// which one is taken.
    pub(crate) fn past(&self, moment: Moment, clock: &BrokerClock) -> Result<DateTime<Utc>, Ended> {
        let point = moment.past(clock.now(), self.local_times);
        let PointInTime { at, note } = point.map_err(|why| Ended::new(Exit::Usage, why))?;
        if let Some(note) = note {
            self.screen.tell(Word::Note, &note);
        }
        Ok(at)
    }

    /// Settings, told about with `--verbose`.
    pub(crate) fn settings(&self) -> Result<Settings, Ended> {
        if let Some(settings) = &self.settings {
            return Ok(settings.clone());
        }
        let Resolved { settings, warnings } = settings::resolve(&self.connection)?;
        for warning in warnings {
            self.screen.tell(Word::Warning, &warning);
        }
        for (what, value, origin) in settings.decisions() {
            self.note(&format!("{what}: {value} ({origin})"));
        }
        Ok(settings)
    }

    /// Connects within the time-out.
    pub(crate) async fn connect(&self) -> Result<Bus, Ended> {
        let began = clock::monotonic();
        let bus = Bus::connect(&self.settings()?, client_name(), self.timeout()).await?;
        self.spend(began.elapsed());
        Ok(self.keep(bus))
    }

    /// Whether `--verbose` was given.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// By the way, with `--verbose`.
    pub(crate) fn note(&self, text: &str) {
        if self.verbose {
            self.screen.tell(Word::Note, text);
        }
    }
}

/// What the server's own tools show.
pub(crate) fn client_name() -> &'static str {
    concat!("tcsctl ", env!("CARGO_PKG_VERSION"))
}

/// From now on Ctrl-C, and being told to end otherwise, end this future and not the process. Gives
/// the signal's number.
fn signalled() -> impl Future<Output = u8> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let wait = async |kind: SignalKind, signal: std::io::Result<tokio::signal::unix::Signal>| {
        match signal {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
        u8::try_from(kind.as_raw_value()).unwrap_or_default()
    };
    let [int, term, hup] = listen.map(|kind| (kind, signal(kind)));
    async move {
        tokio::select! {
            number = wait(int.0, int.1) => number,
            number = wait(term.0, term.1) => number,
            number = wait(hup.0, hup.1) => number,
        }
    }
}

/// Like [`signalled`], for callers that do not need the signal's number.
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    let signalled = signalled();
    async move {
        signalled.await;
    }
}

/// Like [`interrupted`], but also ends when the reader of our output is gone.
pub(crate) fn finished() -> impl Future<Output = ()> {
    let interrupted = interrupted();
    let unread = async {
        let mut looks = tokio::time::interval(Duration::from_millis(250));
        while !crate::output::Screen::is_unread() {
            looks.tick().await;
        }
    };
    async move {
        tokio::select! {
            () = interrupted => {}
            () = unread => {}
        }
    }
}
