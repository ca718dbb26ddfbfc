//! The three kinds of services. `#[service]` before the `impl` registers the type and adds what was
//! left out; authors write the methods as `async fn`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::context::Context;
use super::registry::Registration;
use crate::monitor::Health;

/// A registered service type of one of the three kinds; `#[service]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service",
    label = "not registered",
    note = "put `#[service]` before `impl BlockingService for {Self}` (or OneShotService, \
            PermanentService)"
)]
pub trait Service: Send + Sync + Sized + 'static {
    /// Settings: any type that serde can read; `()` if `type Config` is left out.
    type Config: DeserializeOwned + Send + Sync + 'static;

    /// How it is registered.
    fn registration() -> &'static Registration;
}

/// A service with a main loop. **Use it for most services.**
///
/// ```
/// use tcs_core::prelude::*;
///
/// #[derive(Config)]
/// struct Settings { host: String, #[default(1.0)] interval: f64 }
///
/// struct Link(String);
///
/// #[derive(Default)]
/// struct Guider { errors: AtomicU32 }
///
/// # mod guider { use super::*;
/// #[service] // the service type is the name of the module: `guider`
/// impl BlockingService for Guider {
///     type Config = Settings; // may be left out: ()
///     type State = Link; // may be left out: what `on_start` returns
///     async fn on_start(&self, ctx: &Context) -> Result<Link> {
///         Ok(Link(ctx.config().host.clone()))
///     }
///     async fn run(&self, link: &mut Link, ctx: &Context) -> Result<()> {
///         while ctx.sleep(secs(ctx.config().interval)).await {
///             ctx.info(format!("guiding over {}", link.0));
///         }
///         Ok(())
///     }
///     async fn healthcheck(&self, _: &Context) -> Health {
///         match self.errors.load(Relaxed) {
///             0 => Health::no_opinion(),
///             n => Health::degraded(format!("{n} errors")),
///         }
///     }
///     async fn on_stop(&self, link: Link, ctx: &Context) -> Result<()> {
///         ctx.info(format!("{} is closed", link.0));
///         Ok(())
///     }
/// }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let settings = Settings { host: "mount".into(), interval: 1.0 };
/// let mut rig = tcs_core::testing::Rig::with(Guider::default()).config(settings).await;
/// rig.run_for(secs(10.0)).await;
/// assert_eq!(rig.stop().await, tcs_core::service::Outcome::Cancelled);
/// # }
/// ```
///
/// An error of `new` or `on_start` sets the status `failed`, an error of `run` or `on_stop` sets
/// `error`; a panic counts as an error. If `run` returns `Ok` without a stop request, the service
/// has completed. `on_stop` is also called after a failed `run`.
///
/// When a stop is requested, everything that waits in the context ([`Context::sleep`]) wakes up. A
/// loop that does not end then is cancelled at its next `.await`, after half of the stop time-out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking service",
    note = "`#[service] impl BlockingService for {Self}` makes it one"
)]
pub trait BlockingService: Service {
    /// The state that `on_start` returns. `run` has exclusive access to it.
    type State: Send + 'static;

    /// Makes the service; nothing is connected yet. Left out: `Default`.
    ///
    /// # Errors
    /// It cannot be made of these settings: the service is `failed`.
    fn new(ctx: &Context<Self>) -> anyhow::Result<Self>;

    /// Sets up: connects, initialises hardware. May be left out; then the state is `()`.
    fn on_start(
        &self,
        ctx: &Context<Self>,
    ) -> impl Future<Output = anyhow::Result<Self::State>> + Send {
        let _ = ctx;
        async { nothing::<Self::State>() }
    }

    /// The main loop. It takes `&self` because health checks run concurrently.
    fn run(
        &self,
        state: &mut Self::State,
        ctx: &Context<Self>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Cleans up.
    fn on_stop(
        &self,
        state: Self::State,
        ctx: &Context<Self>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = ctx;
        drop(state);
        async { Ok(()) }
    }

    /// Called every 30 s while the service runs (`launch.healthcheck`), and for each `health`
    /// request.
    fn healthcheck(&self, ctx: &Context<Self>) -> impl Future<Output = Health> + Send {
        let _ = ctx;
        async { Health::no_opinion() }
    }
}

/// A service that runs once: an import, a migration. `Ok` is completed, `Err` a crash with exit
/// code 1, or the one that the error carries ([`ExitCode`](super::ExitCode)).
///
/// ```
/// use tcs_core::prelude::*;
///
/// #[derive(Default)]
/// struct DataImporter;
///
/// # mod data_importer { use super::*;
/// #[service]
/// impl OneShotService for DataImporter {
///     async fn execute(&self, ctx: &Context) -> Result<()> {
///         ctx.info("import completed");
///         Ok(())
///     }
/// }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut rig = tcs_core::testing::Rig::with(DataImporter).await;
/// assert_eq!(rig.ended().await, tcs_core::service::Outcome::Completed);
/// # }
/// ```
pub trait OneShotService: Service {
    /// Makes the service. Left out: `Default`.
    ///
    /// # Errors
    /// It cannot be made of these settings: the service is `failed`.
    fn new(ctx: &Context<Self>) -> anyhow::Result<Self>;

    /// Does the work.
    fn execute(&self, ctx: &Context<Self>) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Asked every 30 s while it runs.
    fn healthcheck(&self, ctx: &Context<Self>) -> impl Future<Output = Health> + Send {
        let _ = ctx;
        async { Health::no_opinion() }
    }
}

/// A service that runs several tasks, and manages them itself. Tasks that are spawned with
/// [`Context::spawn`] belong to the service: the failure of one fails the service, and when all
/// have ended the service has completed.
///
/// ```
/// use tcs_core::prelude::*;
///
/// #[derive(Default)]
/// struct Processor { done: AtomicU32 }
///
/// # mod processor { use super::*;
/// #[service]
/// impl PermanentService for Processor {
///     async fn start(&self, ctx: &Context) -> Result<()> {
///         ctx.spawn("queue a", Self::queue);
///         ctx.spawn("queue b", Self::queue);
///         Ok(())
///     }
/// }
/// # }
/// impl Processor {
///     async fn queue(&self, ctx: &Context) -> Result<()> {
///         while ctx.sleep(secs(1.0)).await {
///             self.done.fetch_add(1, Relaxed);
///         }
///         Ok(())
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut rig = tcs_core::testing::Rig::with(Processor::default()).await;
/// rig.run_for(secs(5.5)).await;
/// assert_eq!(rig.service().done.load(Relaxed), 10);
/// # }
/// ```
pub trait PermanentService: Service {
    /// The state that `start` returns and `stop` gets.
    type State: Send + 'static;

    /// Makes the service. Left out: `Default`.
    ///
    /// # Errors
    /// It cannot be made of these settings: the service is `failed`.
    fn new(ctx: &Context<Self>) -> anyhow::Result<Self>;

    /// Starts the tasks, and returns the state.
    fn start(
        &self,
        ctx: &Context<Self>,
    ) -> impl Future<Output = anyhow::Result<Self::State>> + Send;

    /// Cleans up. Tasks that still run afterwards are cancelled at their next `.await`.
    fn stop(
        &self,
        state: Self::State,
        ctx: &Context<Self>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = ctx;
        drop(state);
        async { Ok(()) }
    }

    /// Asked every 30 s while it runs.
    fn healthcheck(&self, ctx: &Context<Self>) -> impl Future<Output = Health> + Send {
        let _ = ctx;
        async { Health::no_opinion() }
    }
}

/// The state of a service that has none.
fn nothing<T: 'static>() -> anyhow::Result<T> {
    let nothing: Box<dyn std::any::Any> = Box::new(());
    match nothing.downcast() {
        Ok(nothing) => Ok(*nothing),
        Err(_) => anyhow::bail!("`on_start` is missing, which returns the state"),
    }
}

/// A service that was made: any of the three kinds, for the host.
pub(crate) trait Running: Send + Sync {
    fn start(&self) -> BoxFuture<'_, anyhow::Result<()>>;
    fn run(&self) -> BoxFuture<'_, anyhow::Result<()>>;
    fn stop(&self) -> BoxFuture<'_, anyhow::Result<()>>;
    fn healthcheck(&self) -> BoxFuture<'_, Health>;
}

/// How a kind is run; the marker `M` lets each of the three traits implement this one.
#[doc(hidden)]
pub trait Kind<M>: Service {
    const WORD: &'static str;
    fn create(ctx: &Context<Self>) -> anyhow::Result<Self>;
    fn running(service: Arc<Self>, ctx: Context<Self>) -> Made;
}

/// A service that was made and does not run yet.
#[doc(hidden)]
pub struct Made(pub(crate) Arc<dyn Running>);

/// One life of a service: with its state, which is gone when it has stopped.
struct Life<S: Service, T> {
    service: Arc<S>,
    ctx: Context<S>,
    state: Mutex<Option<T>>,
}

macro_rules! kind {
    ($mark:ident, $running:ident, $service:ident, $state:ty, $word:literal,
     start($this:ident) $start:expr, run($that:ident) $run:expr, stop($last:ident) $stop:expr) => {
        #[doc(hidden)]
        #[derive(Debug)]
        pub enum $mark {}

        struct $running<S: $service>(Life<S, $state>);

        impl<S: $service> Kind<$mark> for S {
            const WORD: &'static str = $word;
            fn create(ctx: &Context<S>) -> anyhow::Result<S> {
                S::new(ctx)
            }
            fn running(service: Arc<S>, ctx: Context<S>) -> Made {
                Made(Arc::new($running(Life { service, ctx, state: Mutex::new(None) })))
            }
        }

        impl<S: $service> Running for $running<S> {
            fn start(&self) -> BoxFuture<'_, anyhow::Result<()>> {
                let $this = &self.0;
                Box::pin(async move { $start })
            }
            fn run(&self) -> BoxFuture<'_, anyhow::Result<()>> {
                let $that = &self.0;
                Box::pin(async move { $run })
            }
            fn stop(&self) -> BoxFuture<'_, anyhow::Result<()>> {
                let $last = &self.0;
                Box::pin(async move { $stop })
            }
            fn healthcheck(&self) -> BoxFuture<'_, Health> {
                Box::pin(self.0.service.healthcheck(&self.0.ctx))
            }
        }
    };
}

kind!(Blocking, BlockingRun, BlockingService, S::State, "blocking",
start(it) {
    let state = it.service.on_start(&it.ctx).await?;
    it.state.lock().await.replace(state);
    Ok(())
},
run(it) match it.state.lock().await.as_mut() {
    Some(state) => it.service.run(state, &it.ctx).await,
    None => Ok(()), // it never started
},
stop(it) match it.state.lock().await.take() {
    Some(state) => it.service.on_stop(state, &it.ctx).await,
    None => Ok(()),
});
kind!(OneShot, OneShotRun, OneShotService, (), "one-shot",
    start(_it) Ok(()),
    run(it) it.service.execute(&it.ctx).await,
    stop(_it) Ok(()));
kind!(Permanent, PermanentRun, PermanentService, S::State, "permanent",
start(it) {
    let state = it.service.start(&it.ctx).await?;
    it.state.lock().await.replace(state);
    Ok(())
},
run(it) {
    it.ctx.served().await;
    Ok(())
},
stop(it) match it.state.lock().await.take() {
    Some(state) => it.service.stop(state, &it.ctx).await,
    None => Ok(()),
});

/// How `#[service]` creates a service that has no `new`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be created: it has neither `Default` nor `new`",
    label = "no `Default`",
    note = "derive `Default`, or write `fn new(ctx: &Context) -> Result<Self>` in this impl"
)]
pub trait MadeByDefault {
    fn made() -> Self;
}

impl<T: Default> MadeByDefault for T {
    fn made() -> Self {
        T::default()
    }
}

#[doc(hidden)]
pub fn made_by_default<T: MadeByDefault>() -> T {
    T::made()
}
