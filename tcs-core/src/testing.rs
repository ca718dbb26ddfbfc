//! For tests of services: no broker, virtual time, and a record of everything that the service
//! reports.
//!
//! ```
//! use tcs_core::prelude::*;
//! use tcs_core::service::Outcome;
//! use tcs_core::testing::{Rig, assert_registered};
//!
//! # mod watcher {
//! # use tcs_core::prelude::*;
//! #[derive(Default)]
//! pub struct Watcher { pub wind: AtomicU32 }
//!
//! #[service]
//! impl BlockingService for Watcher {
//!     async fn run(&self, ctx: &Context) -> Result<()> {
//!         let mut reports = ctx.subscribe("weather.*").await?;
//!         while let Some(report) = reports.next().await {
//!             self.wind.store(report.read::<Value>()?["wind"].as_u64().unwrap_or(0) as u32, Relaxed);
//!         }
//!         Ok(())
//!     }
//!     async fn healthcheck(&self, _: &Context) -> Health {
//!         match self.wind.load(Relaxed) {
//!             0..15 => Health::no_opinion(),
//!             wind => Health::warning(format!("wind {wind} m/s")),
//!         }
//!     }
//! }
//! # }
//! # use watcher::Watcher;
//!
//! # macro_rules! t { ($(#[$a:meta])* async fn $n:ident() $b:block) => { #[tokio::main(flavor = "current_thread")] async fn main() $b } }
//! # t! {
//! #[tokio::test]
//! async fn it_warns_of_wind() {
//!     assert_registered("watcher");
//!     let mut rig = Rig::with(Watcher::default()).await;
//!     rig.publish("weather.davis", json!({"wind": 20})).await;
//!     rig.run_for(secs(31.0)).await; // virtual time; health checks run every 30 s
//!     assert_eq!(rig.wait_for_status(Status::Warning).await, "wind 20 m/s");
//!     assert_eq!(rig.stop().await, Outcome::Cancelled);
//! }
//! # }
//! ```

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::rpc::{Call, Reply};
use crate::config::{Config, Environment, ServiceSettings};
use crate::id::{ServiceId, ServiceType, Variant};
use crate::monitor::{Recorded, Reporter};
use crate::service::{
    Clock, Context, HostOptions, Kind, Limits, Made, Make, Message, Outcome, Registry, Service,
    run_made,
};
use crate::wire::control::command;
use crate::wire::{Meta, Status};

/// How long a test waits for its service, in the test's own time.
const PATIENCE: Duration = Duration::from_mins(10);
/// What a test's clock shows at first, from 1970 on: 1 January 2030.
const EPOCH: Duration = Duration::from_hours(24 * 21_915);
/// A step of virtual time: it passes once all tasks wait.
const MOMENT: Duration = Duration::from_millis(1);

/// Asserts that this program has a service type of that name.
///
/// # Panics
/// It has none; the message says what to do.
#[track_caller]
pub fn assert_registered(service_type: &str) {
    if let Err(error) = Registry::of_this_program().and_then(|all| all.find(service_type)) {
        panic!("{error}");
    }
}

/// One service under test; its variant is `test`. Awaiting [`Rig::with`] or [`Rig::start`] starts
/// it.
///
/// Time is tokio's paused time (`tokio::time::pause`): when all tasks wait, it advances to the next
/// wake-up. Limits, health checks and heartbeats use the same time. It does not wait for a service
/// that waits for the outside world (a socket). This needs a single-threaded runtime, the default
/// of `#[tokio::test]`.
pub struct Rig<S> {
    service: Option<Arc<S>>,
    reporter: Reporter,
    stop: CancellationToken,
    life: Option<JoinHandle<Outcome>>,
    id: ServiceId,
    /// The virtual time reached so far.
    now: Instant,
}

impl<S> fmt::Debug for Rig<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rig").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A service to be started: await it.
#[must_use = "await it to start the service"]
pub struct Setup<S: Service> {
    create: Create<S>,
    config: Option<S::Config>,
    settings: Value,
    limits: Limits,
    running: fn(Arc<S>, Context<S>) -> Made,
}

type Create<S> = Box<dyn FnOnce(&Context<S>) -> anyhow::Result<S> + Send>;

impl<S: Service> fmt::Debug for Setup<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<S: Service> Setup<S> {
    fn new<M>(create: Create<S>, settings: Value) -> Self
    where
        S: Kind<M>,
    {
        Self { create, config: None, settings, limits: Limits::default(), running: S::running }
    }

    /// Sets the settings, which are then read from nowhere else.
    pub fn config(mut self, config: S::Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Sets the settings as an entry of the file would.
    pub fn settings(mut self, settings: Value) -> Self {
        self.settings = settings;
        self
    }

    /// Sets other time limits of start and stop.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    async fn begin(self) -> Rig<S> {
        pause();
        let registration = S::registration();
        #[expect(clippy::expect_used, reason = "in a test a panic is the report")]
        let (service_type, variant) = (
            registration.service_type().expect("a service type that NATS can carry"),
            "test".parse::<Variant>().expect("a variant"),
        );
        let settings = settings_of(self.settings, &service_type, &variant);
        let reporter = Reporter::recorder_here();
        let options = HostOptions {
            clock: Clock::starting_at(DateTime::UNIX_EPOCH + EPOCH),
            limits: self.limits,
            ..HostOptions::new(reporter.clone())
        };
        let (tell, mut told) = tokio::sync::oneshot::channel();
        let (create, config, running) = (self.create, self.config, self.running);
        let read = settings.clone();
        let make: Make = Box::new(move |ctx| {
            let config = match config {
                Some(config) => config,
                None => crate::service::read_config(&read)?,
            };
            let (service, made) = crate::service::create(ctx, config, create, running)?;
            tell.send(service).ok();
            Ok(made)
        });
        let stop = CancellationToken::new();
        let (token, kind) = (stop.clone(), registration.kind());
        let id = ServiceId::new(&service_type, &variant);
        let life =
            tokio::spawn(async move { run_made(kind, &settings, make, options, token).await });
        let now = Instant::now();
        let mut rig = Rig { service: None, reporter, stop, life: Some(life), id, now };
        rig.settle().await;
        rig.service = told.try_recv().ok();
        rig
    }
}

impl<S: Service> IntoFuture for Setup<S> {
    type Output = Rig<S>;
    type IntoFuture = BoxFuture<'static, Rig<S>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}

/// The settings of an entry with these fields. JSON is YAML too: they take the way of all settings.
fn settings_of(fields: Value, service_type: &ServiceType, variant: &Variant) -> ServiceSettings {
    let mut file = json!({ "services": [{}] });
    if let Value::Object(fields) = fields {
        file["services"][0] = fields.into();
    }
    file["services"][0]["type"] = service_type.as_str().into();
    file["services"][0]["variant"] = variant.as_str().into();
    let environment = Environment::default();
    let config = Config::parse("settings", file.to_string().as_bytes(), &environment);
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    config.settings_for(service_type, variant)
}

/// Pauses tokio's time: from now on it advances only when all tasks wait.
fn pause() {
    let one_thread = Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::CurrentThread);
    assert!(one_thread, "a Rig needs the runtime of `#[tokio::test]`, with one thread");
    // asking twice is refused, and asking whether it is paused is not possible
    let (paused_at, now) = (Instant::now(), std_now());
    while std_now() == now {}
    if Instant::now() != paused_at {
        tokio::time::pause();
    }
}

/// The real time, which is never paused.
#[expect(clippy::disallowed_methods, reason = "to tell it from tokio's")]
fn std_now() -> std::time::Instant {
    std::time::Instant::now()
}

impl<S: Service> Rig<S> {
    /// Tests this service, with the settings of [`Setup::config`] or [`Setup::settings`], else
    /// none.
    pub fn with<M>(service: S) -> Setup<S>
    where
        S: Kind<M>,
    {
        Setup::new(Box::new(move |_| Ok(service)), Value::Null)
    }

    /// Tests a service that is created by its `new` (or `Default`), with settings as in an entry of
    /// the file.
    pub fn start<M>(settings: Value) -> Setup<S>
    where
        S: Kind<M>,
    {
        Setup::new(Box::new(|ctx| S::create(ctx)), settings)
    }

    /// The service itself.
    ///
    /// # Panics
    /// It could not be created.
    #[track_caller]
    pub fn service(&self) -> &S {
        let Some(service) = &self.service else {
            panic!("the service was not created; its statuses: {:?}", self.statuses());
        };
        service
    }

    /// Lets this much virtual time pass.
    pub async fn run_for(&mut self, time: Duration) {
        self.now += time;
        tokio::time::sleep_until(self.now).await;
        self.settle().await;
    }

    /// Waits until all tasks wait for a later time.
    async fn settle(&self) {
        tokio::time::sleep(MOMENT).await;
    }

    /// The statuses that it has reported so far, with their messages, oldest first.
    pub fn statuses(&self) -> Vec<(Status, String)> {
        let subject = self.reporter.subjects().status(self.id.as_str());
        let recorded = self.reporter.recorded().into_iter().filter(|one| one.subject == subject);
        recorded
            .filter_map(|one| {
                let status = one.data["status"].as_str()?.parse().ok()?;
                Some((status, one.data["message"].as_str().unwrap_or_default().to_owned()))
            })
            .collect()
    }

    /// All messages that it would have sent, oldest first.
    pub fn sent(&self) -> Vec<Recorded> {
        self.reporter.recorded()
    }

    /// Waits until this is its last reported status, and returns the message.
    ///
    /// # Panics
    /// That does not happen within 10 min of virtual time.
    pub async fn wait_for_status(&mut self, status: Status) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.statuses();
            if let Some((last, words)) = said.last()
                && *last == status
            {
                return words.clone();
            }
            assert!(Instant::now() < until, "{status} did not come; the statuses were {said:?}");
            self.run_for(Duration::from_secs(1)).await;
        }
    }

    /// Calls a command of the service, or `health`, `stats` or `commands`.
    ///
    /// # Errors
    /// The error of the command, or that there is no such command.
    pub async fn call(&mut self, command: &str, parameters: impl Serialize) -> Reply {
        let name = self.id.as_str();
        let Some(found) = self.reporter.recorded_command(name, command) else {
            return Err(format!("`{name}` has no command `{command}`"));
        };
        let data = match serde_json::to_value(parameters) {
            Ok(Value::Object(data)) => data,
            Ok(Value::Null) => Map::new(),
            Ok(other) => return Err(format!("parameters must be an object, not {other}")),
            Err(error) => return Err(error.to_string()),
        };
        let reply = found.call(Call { data, meta: Meta::default(), rest: String::new() }).await;
        self.settle().await;
        reply
    }

    /// Runs the health checks now.
    pub async fn check_health(&mut self) {
        self.call(command::HEALTH, Value::Null).await.ok();
    }

    /// Publishes a message to the subscriptions of the service.
    ///
    /// # Panics
    /// The service has not subscribed to that subject, or the data cannot be serialized.
    pub async fn publish(&mut self, subject: &str, data: impl Serialize) {
        let payload = serde_json::to_vec(&data).unwrap_or_else(|error| panic!("{error}"));
        let message = Message { subject: subject.to_owned(), payload };
        assert!(self.reporter.deliver(&message) > 0, "nobody has subscribed to `{subject}`");
        self.settle().await;
    }

    /// Requests a stop, and returns the outcome.
    pub async fn stop(&mut self) -> Outcome {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until it has ended, and returns the outcome.
    ///
    /// # Panics
    /// It does not end within 10 min of virtual time, or this is called twice.
    pub async fn ended(&mut self) -> Outcome {
        #[expect(clippy::expect_used, reason = "in a test a panic is the report")]
        let life = self.life.take().expect("it has ended already");
        match tokio::time::timeout(PATIENCE, life).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => panic!("the host itself failed: {error}"),
            Err(late) => panic!("it did not end ({late}); its statuses: {:?}", self.statuses()),
        }
    }
}
