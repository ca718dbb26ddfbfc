//! The environment of a running service: its id, settings, stop signal, monitor, tasks and broker.

mod messages;

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::handler::Handler;
use super::kinds::Service;
use super::outcome::Failure;
use super::task::{Task, Tasks, Work};
use crate::bus::rpc::{Call, Command};
use crate::id::{ServiceId, ServiceType, Variant};
use crate::monitor::Monitor;
use tcs_bus::guard::guarded;

/// The environment of a running service. Cheap to clone: pass it to any code that the service
/// calls.
///
/// In an `impl` with `#[service]`, `Context` means `Context<Self>`, which knows the settings and
/// the service. Everywhere else `Context` is the context of any service, without settings (a
/// `&Context<Self>` converts to it): write `Context<Self>` in a function that needs the settings.
///
/// ```
/// use tcs_core::prelude::*;
///
/// #[derive(Config)]
/// struct Settings { #[default("info")] greeting: String }
///
/// #[derive(Default)]
/// struct Greeter { greeted: AtomicU32 }
///
/// # mod greeter { use super::*;
/// #[service]
/// impl BlockingService for Greeter {
///     type Config = Settings;
///     async fn run(&self, ctx: &Context) -> Result<()> {
///         let task = ctx.spawn("greet", Self::greet); // a method, with or without a context
///         ctx.spawn("once", async move { Ok(()) }); // or a future
///         ctx.command("reset", Self::reset); // for `tcsctl call greeter.dev reset`
///         ctx.metrics(|it: &Self| json!({"greeted": it.greeted.load(Relaxed)}));
///         ctx.sleep(secs(5.0)).await;
///         task.abort();
///         task.await?; // its result; an abort is no failure
///         ctx.complete(); // the work is done: the service ends
///         Ok(())
///     }
/// }
/// # }
///
/// impl Greeter {
///     async fn greet(&self, ctx: Context<Self>) -> Result<()> {
///         while ctx.sleep(secs(1.0)).await {
///             self.greeted.fetch_add(1, Relaxed);
///             say(&ctx, &ctx.config().greeting);
///         }
///         Ok(())
///     }
///     async fn reset(&self) -> Result<impl Serialize> {
///         Ok(json!({"greeted": self.greeted.swap(0, Relaxed)}))
///     }
/// }
///
/// fn say(ctx: &Context, greeting: &str) { // of any service
///     ctx.info(greeting);
///     ctx.monitor().set_status(Status::Ok, greeting);
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let mut rig = tcs_core::testing::Rig::with(Greeter::default()).await;
/// # rig.run_for(secs(2.5)).await;
/// # assert_eq!(rig.call("reset", json!({})).await.unwrap()["greeted"], 2);
/// # assert_eq!(rig.ended().await, tcs_core::service::Outcome::Completed);
/// # }
/// ```
pub struct Context<S: Owner = ()>(S::Own);

/// Whose a context is: a service's, or, for `()`, any service's.
#[doc(hidden)]
pub trait Owner {
    type Own: Clone + Send + Sync + 'static;
}

impl Owner for () {
    type Own = Arc<Inner>;
}

impl<S: Service> Owner for S {
    type Own = Own<S>;
}

/// The context of a service whose type is known.
#[doc(hidden)]
pub struct Own<S: Service> {
    base: Context,
    about: Arc<About<S>>,
}

struct About<S: Service> {
    config: S::Config,
    /// Weak: a service may keep its context.
    service: OnceLock<Weak<S>>,
}

impl<S: Service> Clone for Own<S> {
    fn clone(&self) -> Self {
        Self { base: self.base.clone(), about: Arc::clone(&self.about) }
    }
}

impl<S: Owner> Clone for Context<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("id", &self.0.id).finish_non_exhaustive()
    }
}

impl<S: Service> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.base.fmt(f)
    }
}

impl<S: Service> Deref for Context<S> {
    type Target = Context;
    fn deref(&self) -> &Context {
        &self.0.base
    }
}

/// What a method may take as its context: `Context` or `Context<Self>`.
#[doc(hidden)]
pub trait FromContext<S: Service>: Clone + Send + Sync + 'static {
    fn from_context(ctx: &Context<S>) -> &Self;
}

impl<S: Service> FromContext<S> for Context {
    fn from_context(ctx: &Context<S>) -> &Self {
        &ctx.0.base
    }
}

impl<S: Service> FromContext<S> for Context<S> {
    fn from_context(ctx: &Self) -> &Self {
        ctx
    }
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Inner {
    id: ServiceId,
    log_level: Option<String>,
    monitor: Monitor,
    stop: CancellationToken,
    clock: Clock,
    tasks: Arc<Tasks>,
    /// Why the service has completed.
    completed: watch::Sender<Option<&'static str>>,
    span: tracing::Span,
    conversation: String,
}

/// What a context is made of.
pub(super) struct Parts {
    pub(super) id: ServiceId,
    pub(super) log_level: Option<String>,
    pub(super) monitor: Monitor,
    pub(super) stop: CancellationToken,
    pub(super) clock: Clock,
    pub(super) span: tracing::Span,
}

/// A context that knows the settings: `Context<Self>`.
#[diagnostic::on_unimplemented(
    message = "a `Context` of any service does not know the settings",
    label = "needs `Context<Self>`",
    note = "in the function's parameters, write `&Context<Self>` in place of `&Context`"
)]
#[doc(hidden)]
pub trait KnowsSettings: Owner + Sized {
    type Settings;
    fn settings(ctx: &Context<Self>) -> &Self::Settings;
}

impl<S: Service> KnowsSettings for S {
    type Settings = S::Config;
    fn settings(ctx: &Context<S>) -> &S::Config {
        &ctx.0.about.config
    }
}

impl<S: Owner> Context<S> {
    /// The settings of the service (`type Config`). Only `Context<Self>` knows them.
    pub fn config<C>(&self) -> &C
    where
        S: KnowsSettings<Settings = C>,
    {
        S::settings(self)
    }
}

impl<S: Service> Context<S> {
    pub(super) fn of(base: Context, config: S::Config) -> Self {
        let about = Arc::new(About { config, service: OnceLock::new() });
        Self(Own { base, about })
    }

    /// Ties the context to its service, now that the service has been created.
    pub(super) fn serves(&self, service: &Arc<S>) {
        self.0.about.service.set(Arc::downgrade(service)).ok();
    }

    pub(super) fn try_service(&self) -> anyhow::Result<Arc<S>> {
        match self.0.about.service.get() {
            Some(service) => {
                service.upgrade().ok_or_else(|| anyhow::anyhow!("the service has ended"))
            }
            None => {
                anyhow::bail!(
                    "the service does not exist yet: call this in `on_start`, not in `new`"
                )
            }
        }
    }

    /// Spawns a task: a future, or a method of the service (`ctx.spawn("queue a", Self::queue_a)`).
    /// An error or a panic of the task fails the service; when the service has ended, the task is
    /// cancelled at its next `.await`.
    pub fn spawn<W, M>(&self, name: &str, work: W) -> Task
    where
        W: Work<S, M>,
    {
        self.0.base.spawn(name, work.begin(self))
    }

    /// Offers the command `name`, for `tcsctl call SERVICE NAME`: a method of the service, whose
    /// parameter is decoded from the request, and whose result is the reply. A repeated request is
    /// answered, not executed again.
    pub fn command<H, P>(&self, name: &str, handler: H)
    where
        H: for<'a> Handler<'a, S, P>,
    {
        let handler = Arc::new(handler);
        let ctx = self.clone();
        // on the service's own runtime: the reporter's thread is for what never blocks
        let home = tokio::runtime::Handle::try_current().ok();
        let command = Command::new(name, move |call: Call| {
            let (handler, ctx) = (Arc::clone(&handler), ctx.clone());
            let work = async move {
                let service = ctx.try_service().map_err(|error| error.to_string())?;
                handler.answer(call.data, &service, &ctx).await
            };
            let home = home.clone();
            async move {
                match home {
                    Some(home) => match home.spawn(guarded(work)).await {
                        Ok(Ok(reply)) => reply,
                        Ok(Err(panic)) => Err(panic.to_string()),
                        Err(_) => Err("the service is ending".to_owned()),
                    },
                    None => work.await,
                }
            }
        });
        let parameters = <H as Handler<'_, S, P>>::parameters();
        self.0.base.monitor().offer(command.acting(), &parameters.to_json());
    }

    /// Sets the metrics of the service, as a JSON object: called when a status is sent, and for
    /// each heartbeat.
    pub fn metrics<F, M>(&self, metrics: F)
    where
        F: Fn(&S) -> M + Send + Sync + 'static,
        M: Into<Value>,
    {
        let about = Arc::clone(&self.0.about);
        self.monitor().add_metrics(move || {
            let service = about.service.get().and_then(Weak::upgrade);
            service.map_or(Value::Null, |service| metrics(&service).into())
        });
    }
}

impl Context {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { id, log_level, monitor, stop, clock, span } = parts;
        let conversation = format!("journal{}", crate::bus::publish::random_id());
        Self(Arc::new(Inner {
            id,
            log_level,
            monitor,
            stop,
            clock,
            tasks: Tasks::new(),
            completed: watch::Sender::new(None),
            span,
            conversation,
        }))
    }

    /// `<service type>.<variant>`
    pub fn id(&self) -> &ServiceId {
        &self.0.id
    }

    /// The service type: the part of the id before its last dot.
    pub fn service_type(&self) -> ServiceType {
        self.0.id.service_type()
    }

    /// The variant: the part of the id after its last dot.
    pub fn variant(&self) -> Variant {
        self.0.id.variant()
    }

    /// The setting `log_level`, as given.
    pub fn log_level(&self) -> Option<&str> {
        self.0.log_level.as_deref()
    }

    /// The monitor of the service: status, metrics, components, tasks.
    pub fn monitor(&self) -> &Monitor {
        &self.0.monitor
    }

    /// Whether the service runs: `false` once a stop has been requested.
    pub fn is_running(&self) -> bool {
        !self.0.stop.is_cancelled()
    }

    /// Waits until a stop is requested.
    pub async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    /// The stop signal as a token, for code that needs one. Cancelling it wakes the service, but
    /// does not end it.
    pub fn cancellation(&self) -> CancellationToken {
        self.0.stop.child_token()
    }

    /// Waits for this time, or until a stop is requested. Returns whether the service continues to
    /// run, for loops: `while ctx.sleep(secs(1.0)).await { ... }`.
    pub async fn sleep(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.0.stop.cancelled() => {}
            () = self.0.clock.sleep(time) => {}
        }
        self.is_running()
    }

    /// Ends the service as completed: its work is done. Everything that waits in the context wakes
    /// up, as for a stop.
    pub fn complete(&self) {
        self.completed_because("Service has completed its work");
    }

    fn completed_because(&self, why: &'static str) {
        self.0.completed.send_if_modified(|known| known.replace(why).is_none());
    }

    /// Waits until the service has completed, and gives why.
    pub(super) async fn completed(&self) -> &'static str {
        let mut completed = self.0.completed.subscribe();
        let why = completed.wait_for(Option::is_some).await.ok().and_then(|why| *why);
        match why {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Waits until a service that consists of its tasks is to stop, or all tasks have ended.
    pub(super) async fn served(&self) {
        tokio::select! {
            () = self.stopped() => {}
            () = self.0.tasks.gone() => {
                self.completed_because("All tasks have ended");
                self.stopped().await;
            }
        }
    }

    /// The wall-clock time; in a test, the virtual time of the test.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// Spawns a future as a task. An error or a panic of the task fails the service; when the
    /// service has ended, the task is cancelled at its next `.await`.
    pub fn spawn<F>(&self, name: &str, task: F) -> Task
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        use tracing::Instrument as _;
        let (monitor, span) = (self.0.monitor.clone(), self.0.span.clone());
        self.0.tasks.spawn(name, task, |task| monitor.watched(task).instrument(span))
    }

    /// The first failure of a task.
    pub(super) async fn task_failure(&self) -> Failure {
        self.0.tasks.failure().await
    }

    pub(super) fn abort_tasks(&self) {
        self.0.tasks.abort_all();
    }

    pub(super) fn cancel(&self) {
        self.0.stop.cancel();
    }
}
