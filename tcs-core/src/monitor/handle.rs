//! [`Monitor`]: the handle that a program uses to report its status.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::Either;
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::callbacks::{Callback, Check, Metrics};
use super::core::{Effect, NodeId};
use super::health::Health;
use super::lag::{Lag, Watched};
use super::remote::Remote;
use super::reporter::{Reporter, WeakReporter};
use super::shared::{Shared, Times};
use super::speak::speak;
use crate::bus::publish::hostname;
use crate::bus::rpc::Command;
use crate::bus::settings::{NatsSection, Settings};
use crate::id::{IdError, ObjectName};
use crate::wire::{Status, StatusMessage};

/// A handle to a monitored object, or to a part of one. Cheap to clone; every method may be
/// called from any thread, and none waits for the network.
///
/// When the last handle is dropped, the object reports `shutdown`, or `failed` if the thread
/// panics.
#[derive(Clone)]
pub struct Monitor {
    owner: Arc<Owner>,
    node: NodeId,
}

struct Owner {
    shared: Arc<Shared>,
    reporter: Reporter,
    remote: Arc<Remote>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let (status, message) = if std::thread::panicking() {
            (Status::Failed, "Ended by a panic")
        } else {
            (Status::Shutdown, "Ended")
        };
        self.shared.change(|core, now| match core.status(NodeId::ROOT) {
            // has reported its end or trouble already, or never set a status
            Status::Shutdown | Status::Failed | Status::Error | Status::Unknown => Effect::None,
            Status::Ok
            | Status::Idle
            | Status::Busy
            | Status::Startup
            | Status::Degraded
            | Status::Warning => core.announce(status, message, now),
        });
        self.remote.close();
        self.shared.close();
    }
}

/// The options of a monitor; see [`Monitor::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    template: StatusMessage,
    times: Times,
    remote: bool,
    description: String,
    version: String,
}

impl Builder {
    /// The monitored object above this one.
    #[must_use]
    pub fn parent(mut self, parent: &str) -> Self {
        self.template.parent = (parent != self.template.name).then(|| parent.to_owned());
        self
    }

    /// Time between two heartbeats; 10 s. The old console calls a program dead after 30 s.
    #[must_use]
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.times.heartbeat = every.max(Duration::from_millis(10));
        self
    }

    /// Time between two rounds of health checks (default 30 s), and time limit of each check
    /// (default 10 s).
    #[must_use]
    pub fn healthcheck(mut self, every: Duration, limit: Duration) -> Self {
        self.times.check = every.max(Duration::from_millis(10));
        self.times.check_limit = limit;
        self
    }

    /// Do not answer `health` and `stats`.
    #[must_use]
    pub fn without_rpc(mut self) -> Self {
        self.remote = false;
        self
    }

    /// Description and version (like `1.2.3`) that `nats micro ls` shows.
    #[must_use]
    pub fn about(mut self, description: &str, version: &str) -> Self {
        description.clone_into(&mut self.description);
        version.clone_into(&mut self.version);
        self
    }

    /// Starts the heartbeats, with the status `unknown` until one is set.
    pub fn start(self, reporter: &Reporter) -> Monitor {
        let lag = Handle::try_current().ok().map(Lag::new);
        let shared = Arc::new(Shared::new(self.template, self.times, lag));
        reporter.spawn(speak(Arc::clone(&shared), reporter.outlet().clone()));
        let remote = Arc::new(Remote::new());
        if self.remote {
            remote.answer(&shared, reporter, self.description, self.version);
        }
        let owner = Owner { shared, reporter: reporter.clone(), remote };
        Monitor { owner: Arc::new(owner), node: NodeId::ROOT }
    }
}

impl Monitor {
    /// Builds a monitored object with this name: free-form, dotted, unique in the fleet.
    ///
    /// # Errors
    /// A name that NATS cannot carry.
    pub fn builder(name: &str) -> Result<Builder, IdError> {
        Ok(Self::of(&name.parse()?))
    }

    /// Like [`Monitor::builder`], for a name that is already valid.
    pub fn of(name: &ObjectName) -> Builder {
        Builder {
            template: StatusMessage {
                name: name.to_string(),
                pid: Some(std::process::id()),
                hostname: Some(hostname()),
                ..StatusMessage::default()
            },
            times: Times::default(),
            remote: true,
            description: "monitored object".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The monitored object's name.
    pub fn name(&self) -> &str {
        &self.shared().name
    }

    /// Sets the own status, with a message for people (may be empty).
    pub fn set_status(&self, status: Status, message: impl Into<String>) {
        let message = Some(message.into()).filter(|message| !message.is_empty());
        self.shared().change(|core, now| core.set_status(self.node, status, message, now));
    }

    /// Sets the status of the whole object, and sends it even if only the message is new.
    pub(crate) fn announce(&self, status: Status, message: &str) {
        self.shared().change(|core, now| core.announce(status, message, now));
    }

    /// Ends the status `error`, `failed` or `degraded`: the next one is `ok`, or `idle` or `busy`
    /// if tasks are tracked. Does nothing in any other status.
    pub fn cancel_error_status(&self) {
        self.shared().change(|core, now| core.cancel_error(self.node, now));
    }

    /// The own status.
    pub fn status(&self) -> Status {
        self.shared().read(|core| core.status(self.node))
    }

    /// The message of the own status.
    pub fn message(&self) -> Option<String> {
        self.shared().read(|core| core.message(self.node).map(str::to_owned))
    }

    /// The aggregate status: the worst of the own status and those of all components.
    pub fn aggregate(&self) -> Status {
        self.shared().read(super::core::Core::aggregate)
    }

    /// The component with that name, created at the first call. Components may have components. A
    /// component in trouble is published at once, other changes with the next message.
    #[must_use]
    pub fn submonitor(&self, name: &str) -> Self {
        let node = self.shared().child(self.node, name);
        Self { owner: Arc::clone(&self.owner), node }
    }

    /// Removes this component, with all components below it. Do not use other handles to it
    /// afterwards. Does nothing on the object itself.
    pub fn remove(self) {
        if self.node != NodeId::ROOT {
            let gone = self.shared().read(|core| core.below(self.node));
            self.shared().forget(&gone);
            self.shared().change(|core, now| core.remove(self.node, now));
        }
    }

    /// Busy at once, and idle one second after the last of several guards is dropped.
    #[must_use = "the task lasts until the guard is dropped"]
    pub fn track_task(&self, name: &str) -> TaskGuard {
        tracing::trace!("task `{name}` begins");
        self.shared().change(|core, now| core.task_started(self.node, now));
        TaskGuard(self.clone())
    }

    /// Adds a health check: a function that is called every 30 s, on a thread that may block. If it
    /// hangs or panics, the status becomes `error` with that reason.
    ///
    /// ```
    /// # use tcs_core::prelude::*;
    /// # fn with(monitor: &Monitor) {
    /// monitor.add_health_check("camera", || Health::degraded("2 of 5 cameras"));
    /// # }
    /// ```
    pub fn add_health_check<F, O>(&self, name: &str, check: F)
    where
        F: Fn() -> O + Send + Sync + 'static,
        O: Into<Health>,
    {
        let check = Callback::Plain(Arc::new(move || check().into().0));
        let check = Check::new(self.node, name, check, Handle::try_current().ok());
        self.shared().add_check(check);
    }

    /// The same with an async function.
    pub fn add_async_health_check<F, R, O>(&self, name: &str, check: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = O> + Send + 'static,
        O: Into<Health>,
    {
        let check = Callback::Async(Arc::new(move || {
            let answer = check();
            Box::pin(async move { answer.await.into().0 })
        }));
        let check = Check::new(self.node, name, check, Handle::try_current().ok());
        self.shared().add_check(check);
    }

    /// Adds metrics: a function that returns a JSON object, called when a status is sent, and for
    /// each heartbeat.
    ///
    /// ```
    /// # use tcs_core::prelude::*;
    /// # fn with(monitor: &Monitor) {
    /// let moves = Arc::new(AtomicU32::new(0));
    /// let shown = Arc::clone(&moves);
    /// monitor.add_metrics(move || json!({"moves": shown.load(Relaxed)}));
    /// # }
    /// ```
    pub fn add_metrics<F, M>(&self, metrics: F)
    where
        F: Fn() -> M + Send + Sync + 'static,
        M: Into<Value>,
    {
        let metrics = Callback::Plain(Arc::new(move || object(metrics().into())));
        let metrics = Metrics::new(self.node, "metrics", metrics, Handle::try_current().ok());
        self.shared().add_metrics(metrics);
    }

    /// The same with an async function.
    pub fn add_async_metrics<F, R, M>(&self, metrics: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = M> + Send + 'static,
        M: Into<Value>,
    {
        let metrics = Callback::Async(Arc::new(move || {
            let values = metrics();
            Box::pin(async move { object(values.await.into()) })
        }));
        let metrics = Metrics::new(self.node, "metrics", metrics, Handle::try_current().ok());
        self.shared().add_metrics(metrics);
    }

    /// Serves a command on `<prefix>.rpc.<name>.v1.<command>`, once there is a broker.
    pub fn serve(&self, command: Command) {
        self.owner.reporter.note_command(self.name(), &command);
        self.owner.remote.add(command, self.owner.reporter.handle());
    }

    /// Like [`Monitor::serve`]; `commands` lists `parameters`, a JSON Schema.
    pub(crate) fn offer(&self, command: Command, parameters: &Value) {
        self.owner.remote.note(command.name(), parameters);
        self.serve(command);
    }

    /// Closes the monitor: once everything so far is sent, it sends and answers nothing more. Other
    /// handles then do nothing.
    pub fn close(&self) {
        self.owner.remote.close();
        self.owner.shared.close();
    }

    /// Closes the monitor, and waits at most `limit` until its last message is in the outbox:
    /// messages posted afterwards are sent after it.
    pub async fn finish(&self, limit: Duration) {
        self.close();
        let mut ended = self.shared().ended.subscribe();
        tokio::time::timeout(limit, ended.wait_for(|ended| *ended)).await.ok();
    }

    /// The reporter that sends its messages.
    pub fn reporter(&self) -> &Reporter {
        &self.owner.reporter
    }

    /// The future, watched: a heartbeat says how long it has been running without a break.
    pub(crate) fn watched<F: Future>(&self, future: F) -> Either<Watched<F>, F> {
        match &self.shared().lag {
            Some(lag) => Either::Left(lag.watch(future)),
            None => Either::Right(future),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }
}

/// The fields of a JSON object; none for any other value.
fn object(values: Value) -> Map<String, Value> {
    match values {
        Value::Object(values) => values,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// A task under way; see [`Monitor::track_task`].
#[derive(Debug)]
pub struct TaskGuard(Monitor);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let monitor = &self.0;
        monitor.shared().change(|core, now| core.task_finished(monitor.node, now));
    }
}

/// A monitor for any program, in one call: it connects in the background to the broker that the
/// environment names (`NATS_URL`, `NATS_HOST`, the selected `nats` context, else
/// `localhost:4222`). Without a broker it works and does nothing. Several monitors of one program
/// share a connection; it ends with the last of them, once its last words are sent (2 s at most).
///
/// An invalid name is corrected (`a b` becomes `a_b`), with a warning: monitoring never stops a
/// program from running. [`Monitor::builder`] refuses it instead.
#[expect(clippy::missing_panics_doc, reason = "the name was put right")]
pub fn create_monitor(name: &str) -> Monitor {
    static SHARED: Mutex<WeakReporter> = Mutex::new(WeakReporter::new());
    let fixed = fix(name);
    if fixed != name {
        tracing::warn!(
            "`{}` is not a valid NATS name: monitored as `{fixed}`",
            name.escape_debug()
        );
    }
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let reporter = shared.upgrade().unwrap_or_else(|| {
        let reporter = from_environment().unwrap_or_else(Reporter::silent);
        *shared = reporter.downgrade();
        reporter
    });
    drop(shared);
    #[expect(clippy::expect_used, reason = "the name was put right")]
    Monitor::builder(&fixed).expect("a name without what NATS refuses").start(&reporter)
}

fn from_environment() -> Option<Reporter> {
    let warn = |error: &dyn std::fmt::Display| tracing::warn!("no monitoring: {error}");
    let settings = Settings::from_process(&NatsSection::default(), None)
        .inspect_err(|error| warn(error))
        .ok()?;
    Reporter::open(settings, "tcs monitor").inspect_err(|error| warn(error)).ok()
}

fn fix(name: &str) -> String {
    let allowed = |c: char| !(c.is_whitespace() || c.is_control() || matches!(c, '*' | '>'));
    let clean: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).take(200).collect();
    let parts: Vec<_> = clean.split('.').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "unnamed".to_owned() } else { parts.join(".") }
}
