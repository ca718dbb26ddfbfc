//! The three kinds of services. Authors write `async fn` for the methods; those with a default
//! may be left out.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::context::ServiceContext;
use crate::wire::Status;

/// A service with a main loop. **The one for most services.**
///
/// `on_start` sets up, `run` loops until [`ServiceContext::is_running`] says no, `on_stop` cleans
/// up, also after a loop that failed. An error of `on_start` makes the service `failed`, one of
/// `run` or `on_stop` makes it `error`; a panic counts as an error, with its place. If `run`
/// returns by itself, the service has completed.
///
/// When it is to stop, everything that waits in the context ([`ServiceContext::sleep`]) wakes up;
/// a loop that does not end then is ended at its next `.await`, half a stop time-out later.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no service",
    note = "implement BlockingService, OneShotService or PermanentService"
)]
pub trait BlockingService: Send + Sync + Sized + 'static {
    /// Settings: any type that serde can read, or `()`.
    type Config: DeserializeOwned + Send + 'static;

    /// Makes the service; nothing is connected yet. What can fail belongs into `on_start`.
    fn new(config: Self::Config) -> Self;

    /// Sets up: connects, initialises hardware.
    fn on_start(&self, ctx: &ServiceContext) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// The main loop. (`&self`: a health check runs beside it.)
    fn run(&self, ctx: &ServiceContext) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Cleans up.
    fn on_stop(&self, ctx: &ServiceContext) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// Asked every 30 s while it runs. `None`: no opinion, so what was said before stands.
    fn healthcheck(&self) -> impl Future<Output = Option<Status>> + Send {
        async { None }
    }
}

/// A service that runs once: an import, a migration. `Ok` is completed, `Err` a crash with exit
/// code 1, or the one that the error carries ([`ExitCode`](super::ExitCode)).
pub trait OneShotService: Send + Sync + Sized + 'static {
    /// Settings: any type that serde can read, or `()`.
    type Config: DeserializeOwned + Send + 'static;

    /// Makes the service.
    fn new(config: Self::Config) -> Self;

    /// Does the work.
    fn execute(&self, ctx: &ServiceContext) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Asked every 30 s while it runs.
    fn healthcheck(&self) -> impl Future<Output = Option<Status>> + Send {
        async { None }
    }
}

/// A service that manages its own tasks. Those spawned through [`ServiceContext::spawn`] are
/// tracked: the failure of one is the service's failure.
pub trait PermanentService: Send + Sync + Sized + 'static {
    /// Settings: any type that serde can read, or `()`.
    type Config: DeserializeOwned + Send + 'static;

    /// Makes the service.
    fn new(config: Self::Config) -> Self;

    /// Starts what is to go on, and returns.
    fn start(&self, ctx: &ServiceContext) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Ends it. Tasks that are left afterwards are ended at their next `.await`.
    fn stop(&self, ctx: &ServiceContext) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// Asked every 30 s while it runs.
    fn healthcheck(&self) -> impl Future<Output = Option<Status>> + Send {
        async { None }
    }
}

/// Any of the three kinds, for the host.
pub(crate) trait Running: Send + Sync {
    fn start<'a>(&'a self, ctx: &'a ServiceContext) -> BoxFuture<'a, anyhow::Result<()>>;
    fn run<'a>(&'a self, ctx: &'a ServiceContext) -> BoxFuture<'a, anyhow::Result<()>>;
    fn stop<'a>(&'a self, ctx: &'a ServiceContext) -> BoxFuture<'a, anyhow::Result<()>>;
    fn healthcheck(&self) -> BoxFuture<'_, Option<Status>>;
}

/// How a kind is run; `M` tells the kinds apart, so that a type says by its one trait what it is.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no service",
    note = "implement BlockingService, OneShotService or PermanentService for it"
)]
pub trait Kind<M>: Sized {
    type Config: DeserializeOwned + Send + 'static;
    const WORD: &'static str;
    fn make(config: Self::Config) -> Made;
}

/// A service that was made and does not run yet.
#[doc(hidden)]
pub struct Made(pub(crate) Arc<dyn Running>);

macro_rules! kind {
    ($mark:ident, $wrap:ident, $service:ident, $word:literal,
     start($s:ident, $sc:ident) $start:expr,
     run($r:ident, $rc:ident) $run:expr,
     stop($t:ident, $tc:ident) $stop:expr) => {
        #[doc(hidden)]
        #[derive(Debug)]
        pub enum $mark {}

        struct $wrap<S>(S);

        impl<S: $service> Kind<$mark> for S {
            type Config = S::Config;
            const WORD: &'static str = $word;
            fn make(config: S::Config) -> Made {
                Made(Arc::new($wrap(S::new(config))))
            }
        }

        impl<S: $service> Running for $wrap<S> {
            fn start<'a>(&'a self, $sc: &'a ServiceContext) -> BoxFuture<'a, anyhow::Result<()>> {
                let $s = &self.0;
                Box::pin(async move { $start })
            }
            fn run<'a>(&'a self, $rc: &'a ServiceContext) -> BoxFuture<'a, anyhow::Result<()>> {
                let $r = &self.0;
                Box::pin(async move { $run })
            }
            fn stop<'a>(&'a self, $tc: &'a ServiceContext) -> BoxFuture<'a, anyhow::Result<()>> {
                let $t = &self.0;
                Box::pin(async move { $stop })
            }
            fn healthcheck(&self) -> BoxFuture<'_, Option<Status>> {
                Box::pin(self.0.healthcheck())
            }
        }
    };
}

kind!(Blocking, BlockingRun, BlockingService, "blocking",
    start(s, ctx) s.on_start(ctx).await,
    run(s, ctx) s.run(ctx).await,
    stop(s, ctx) s.on_stop(ctx).await);
kind!(OneShot, OneShotRun, OneShotService, "one-shot",
    start(_s, _ctx) Ok(()),
    run(s, ctx) s.execute(ctx).await,
    stop(_s, _ctx) Ok(()));
kind!(Permanent, PermanentRun, PermanentService, "permanent",
    start(s, ctx) s.start(ctx).await,
    run(_s, ctx) { ctx.stopped().await; Ok(()) },
    stop(s, ctx) s.stop(ctx).await);
