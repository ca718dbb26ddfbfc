//! The tasks of a service: what is spawned beside its main loop.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};

use futures_util::future::BoxFuture;
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::context::{Context, FromContext};
use super::kinds::Service;
use super::outcome::Failure;
use tcs_bus::guard::guarded;

/// A task of a service; see [`Context::spawn`]. Awaiting it returns its result, `Ok` also if it was
/// aborted. Dropping it changes nothing.
#[derive(Debug)]
pub struct Task {
    abort: AbortHandle,
    ended: oneshot::Receiver<Result<(), String>>,
}

impl Task {
    /// Cancels it at its next `.await`. That is no failure.
    pub fn abort(&self) {
        self.abort.abort();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.abort.is_finished()
    }
}

impl Future for Task {
    type Output = anyhow::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.ended).poll(cx)) {
            Ok(Err(text)) => Err(anyhow::Error::msg(text)),
            Ok(Ok(())) | Err(_) => Ok(()),
        })
    }
}

/// All tasks of a service, and the first failure among them.
#[derive(Debug)]
pub(super) struct Tasks {
    running: Mutex<JoinSet<()>>,
    failed: watch::Sender<Option<Failure>>,
    /// How many tasks run; `None`: none was ever spawned.
    alive: watch::Sender<Option<usize>>,
}

/// Counts a task while it is there, however it ends.
struct Alive(Arc<Tasks>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.send_modify(|alive| *alive = alive.map(|alive| alive.saturating_sub(1)));
    }
}

impl Tasks {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            running: Mutex::default(),
            failed: watch::Sender::new(None),
            alive: watch::Sender::new(None),
        })
    }

    /// Runs a task; `around` puts around it what belongs to the service.
    pub(super) fn spawn<F, W>(
        self: &Arc<Self>,
        name: &str,
        task: F,
        around: impl FnOnce(BoxFuture<'static, ()>) -> W,
    ) -> Task
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let name = name.to_owned();
        let (tell, ended) = oneshot::channel();
        self.alive.send_modify(|alive| *alive = Some(alive.unwrap_or(0) + 1));
        let alive = Alive(Arc::clone(self));
        let work = around(Box::pin(async move {
            let failure = match guarded(task).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(Failure::from(&error)),
                Err(panic) => Some(Failure::from(panic)),
            };
            let result = match failure {
                Some(failure) => Err(alive.0.fail(&name, failure)),
                None => Ok(()),
            };
            tell.send(result).ok();
            drop(alive);
        }));
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        Task { abort: running.spawn(work), ended }
    }

    fn fail(&self, name: &str, failure: Failure) -> String {
        let text = format!("task `{name}`: {}", failure.text);
        tracing::error!("{text}");
        let failure = Failure { text: text.clone(), ..failure };
        self.failed.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(failure);
            is_first
        });
        text
    }

    /// The first failure of a task.
    pub(super) async fn failure(&self) -> Failure {
        let mut failed = self.failed.subscribe();
        let failure = failed.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
        match failure {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Waits until there were tasks, and none is left.
    pub(super) async fn gone(&self) {
        self.alive.subscribe().wait_for(|alive| *alive == Some(0)).await.ok();
    }

    pub(super) fn abort_all(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

/// What can be spawned: a future, or a method of the service. `M` tells them apart.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this cannot be spawned",
    note = "give a future (`async move {{ ... Ok(()) }}`), or a method of the service that returns \
            `Result<()>`: `async fn queue_a(&self, ctx: &Context) -> Result<()>`"
)]
pub trait Work<S: Service, M> {
    fn begin(self, ctx: &Context<S>) -> BoxFuture<'static, anyhow::Result<()>>;
}

/// Marks a future.
#[doc(hidden)]
#[derive(Debug)]
pub enum IsFuture {}

impl<S: Service, F> Work<S, IsFuture> for F
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    fn begin(self, _: &Context<S>) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(self)
    }
}

/// Marks a method with these parameters.
#[doc(hidden)]
#[derive(Debug)]
pub struct IsMethod<P>(std::marker::PhantomData<P>);

/// A method of the service, borrowed for as long as it runs.
#[doc(hidden)]
pub trait Method<'a, S: Service, P>: Send + 'static {
    type Running: Future<Output = anyhow::Result<()>> + Send + 'a;
    fn call(self, service: &'a S, ctx: &'a Context<S>) -> Self::Running;
}

impl<S, F, P> Work<S, IsMethod<P>> for F
where
    S: Service,
    F: for<'a> Method<'a, S, P>,
{
    fn begin(self, ctx: &Context<S>) -> BoxFuture<'static, anyhow::Result<()>> {
        let (service, ctx) = (ctx.try_service(), ctx.clone());
        Box::pin(async move { self.call(&*service?, &ctx).await })
    }
}

impl<'a, S, F, R> Method<'a, S, ()> for F
where
    S: Service,
    F: FnOnce(&'a S) -> R + Send + 'static,
    R: Future<Output = anyhow::Result<()>> + Send + 'a,
{
    type Running = R;
    fn call(self, service: &'a S, _: &'a Context<S>) -> R {
        self(service)
    }
}

impl<'a, S, F, C, R> Method<'a, S, (C,)> for F
where
    S: Service,
    C: FromContext<S>,
    F: FnOnce(&'a S, C) -> R + Send + 'static,
    R: Future<Output = anyhow::Result<()>> + Send + 'a,
{
    type Running = R;
    fn call(self, service: &'a S, ctx: &'a Context<S>) -> R {
        self(service, C::from_context(ctx).clone())
    }
}

impl<'a, S, F, C, R> Method<'a, S, &'static C> for F
where
    S: Service,
    C: FromContext<S>,
    F: FnOnce(&'a S, &'a C) -> R + Send + 'static,
    R: Future<Output = anyhow::Result<()>> + Send + 'a,
{
    type Running = R;
    fn call(self, service: &'a S, ctx: &'a Context<S>) -> R {
        self(service, C::from_context(ctx))
    }
}
