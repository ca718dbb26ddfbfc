//! For tests of services: no broker, a clock that the test moves, and everything the service says
//! kept to be looked at.
//!
//! ```
//! # use tcs_core::prelude::*;
//! # struct Watcher;
//! # impl BlockingService for Watcher {
//! #     type Config = ();
//! #     fn new((): ()) -> Self { Self }
//! #     async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
//! #         while ctx.sleep_secs(60.0).await { ctx.monitor().set_status(Status::Warning, "wind"); }
//! #         Ok(())
//! #     }
//! # }
//! # mod m { tcs_core::service!(super::Watcher, "watcher"); }
//! # fn main() {
//! use std::time::Duration;
//! use tcs_core::testing::{Rig, assert_registered};
//!
//! assert_registered("watcher");
//! let mut rig = Rig::start::<Watcher>(serde_json::json!({}));
//! rig.run_for(Duration::from_secs(61));
//! rig.wait_for_status(Status::Warning);
//! rig.stop();
//! # }
//! ```

use std::time::Duration;

use chrono::DateTime;
use serde_json::{Map, Value};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bus::rpc::{Call, Reply};
use crate::clock;
use crate::config::{Config, Environment};
use crate::id::{ServiceId, Variant};
use crate::monitor::{Recorded, Reporter};
use crate::service::{Clock, HostOptions, Outcome, Registry, Service, run};
use crate::wire::{Meta, Status};

/// How long a test waits before it gives up; generous, because test machines are busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a test's clock shows at first, from 1970 on: 1 January 2030.
const EPOCH: Duration = Duration::from_hours(24 * 21_915);
/// How long a service that was woken may take before it sleeps again; it may have other things
/// to wait for, and then the clock goes on all the same.
const AWAKE: Duration = Duration::from_secs(1);

/// Tests that this program has a service type of that name.
///
/// # Panics
/// It has not; the text says what to do.
#[track_caller]
pub fn assert_registered(service_type: &str) {
    if let Err(error) = Registry::of_this_program().and_then(|all| all.find(service_type)) {
        panic!("{error}");
    }
}

/// One service under test, with its own runtime; its variant is `test`.
#[derive(Debug)]
pub struct Rig {
    runtime: Runtime,
    reporter: Reporter,
    clock: Clock,
    stop: CancellationToken,
    life: Option<JoinHandle<Outcome>>,
    id: ServiceId,
}

impl Rig {
    /// Starts a service with these settings. Its clock stands still at 1 January 2030.
    ///
    /// # Panics
    /// When it has no name that NATS can carry, or the system gives no threads.
    #[track_caller]
    pub fn start<S: Service>(settings: Value) -> Self {
        #[expect(clippy::expect_used, reason = "in a test a panic is the report")]
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let registration = S::registration();
        #[expect(clippy::expect_used, reason = "in a test a panic is the report")]
        let (service_type, variant) = (
            registration.service_type().expect("a service type that NATS can carry"),
            "test".parse::<Variant>().expect("a variant"),
        );
        let reporter = Reporter::recorder();
        let clock = Clock::manual(DateTime::UNIX_EPOCH + EPOCH);
        let options = HostOptions { clock: clock.clone(), ..HostOptions::new(reporter.clone()) };
        let stop = CancellationToken::new();
        let id = ServiceId::new(&service_type, &variant);
        // JSON is YAML too: the settings take the way of all settings
        let mut file = serde_json::json!({ "services": [{}] });
        if let Value::Object(fields) = settings {
            file["services"][0] = fields.into();
        }
        file["services"][0]["type"] = service_type.as_str().into();
        file["services"][0]["variant"] = variant.as_str().into();
        let environment = Environment::default();
        let config = Config::parse("settings", file.to_string().as_bytes(), &environment);
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        let settings = config.settings_for(&service_type, &variant);
        let token = stop.clone();
        let life = runtime.spawn(async move { run(registration, &settings, options, token).await });
        Self { runtime, reporter, clock, stop, life: Some(life), id }
    }

    /// Lets this much time pass for the service, waking it each time that it has slept enough.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.clock.passed() + time;
        loop {
            self.settle();
            match self.clock.next_wake().filter(|wake| *wake <= until) {
                Some(wake) if wake > self.clock.passed() => {
                    self.clock.advance(wake.saturating_sub(self.clock.passed()));
                }
                _ => break,
            }
        }
        self.clock.advance(until.saturating_sub(self.clock.passed()));
        self.settle();
    }

    /// Waits until the service sleeps, or seems to wait for something else.
    fn settle(&self) {
        let ended = self.life.as_ref().is_none_or(JoinHandle::is_finished);
        if !ended {
            let asleep = self.clock.somebody_sleeps();
            self.runtime.block_on(async { tokio::time::timeout(AWAKE, asleep).await }).ok();
        }
    }

    /// What it has said so far: status and words, oldest first.
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

    /// All that was to be sent, oldest first.
    pub fn sent(&self) -> Vec<Recorded> {
        self.reporter.recorded()
    }

    /// Waits until this is the last thing it said, and gives the words.
    ///
    /// # Panics
    /// When that does not come to pass within 30 s.
    #[track_caller]
    pub fn wait_for_status(&self, status: Status) -> String {
        let start = clock::monotonic();
        loop {
            let said = self.statuses();
            if let Some((last, words)) = said.last()
                && *last == status
            {
                return words.clone();
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain for {status}; said was {said:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it for a command of its own, or for `health` or `stats`. `health` also has the health
    /// checks called.
    ///
    /// # Errors
    /// The error that the command answers with, or that there is no such command.
    pub fn call(&self, command: &str, data: Map<String, Value>) -> Reply {
        let name = self.id.as_str();
        let Some(found) = self.reporter.recorded_command(name, command) else {
            return Err(format!("`{name}` has no command `{command}`"));
        };
        self.runtime.block_on(found.call(Call { data, meta: Meta::default(), rest: String::new() }))
    }

    /// Has the health checks called, and what they say taken in.
    pub fn check_health(&self) {
        self.call("health", Map::new()).ok();
    }

    /// Asks it to stop, and gives how it ended.
    pub fn stop(&mut self) -> Outcome {
        self.stop.cancel();
        self.ended()
    }

    /// Waits until it has ended, and gives how.
    ///
    /// # Panics
    /// When it does not end within 30 s, or was asked twice.
    #[track_caller]
    pub fn ended(&mut self) -> Outcome {
        #[expect(clippy::expect_used, reason = "in a test a panic is the report")]
        let life = self.life.take().expect("it has ended already");
        let end = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, life).await });
        match end {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => panic!("the host itself failed: {error}"),
            Err(late) => panic!("it does not end ({late}); said was {:?}", self.statuses()),
        }
    }
}
