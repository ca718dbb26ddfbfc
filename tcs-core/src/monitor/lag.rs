//! How late a service's own code is: the time a probe waits for its turn on the service's
//! runtime, or the time one of its tasks has been running without a break, whichever is longer.
//! A task that blocks its thread shows at once, on a runtime of several threads too.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::clock;

/// How long a beat waits for its probe before it goes out with "this late, and counting".
const PATIENCE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Lag {
    runtime: Handle,
    probe: Arc<Probe>,
    polls: Mutex<Vec<Weak<Mutex<Option<Instant>>>>>,
}

#[derive(Debug, Default)]
struct Probe {
    sent: Mutex<Option<Instant>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lag {
    /// Measures the code that runs on this runtime.
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { runtime, probe: Arc::default(), polls: Mutex::default() }
    }

    /// The same future, watched while it runs.
    pub(crate) fn watch<F: Future>(&self, future: F) -> Watched<F> {
        let since = Arc::default();
        let mut polls = lock(&self.polls);
        polls.retain(|poll| poll.strong_count() > 0);
        polls.push(Arc::downgrade(&since));
        Watched { since, future: Box::pin(future) }
    }

    pub(crate) async fn measure(&self) -> Duration {
        let sent = *lock(&self.probe.sent);
        if sent.is_none() {
            let now = clock::monotonic();
            *lock(&self.probe.sent) = Some(now);
            let probe = Arc::clone(&self.probe);
            let turn = self.runtime.spawn(async move {
                lock(&probe.sent).take().map(|sent| clock::monotonic() - sent)
            });
            if let Ok(Ok(Some(waited))) = tokio::time::timeout(PATIENCE, turn).await {
                return waited.max(self.longest_poll());
            }
        }
        let outstanding = lock(&self.probe.sent).map(|sent| clock::monotonic() - sent);
        outstanding.unwrap_or_default().max(self.longest_poll())
    }

    fn longest_poll(&self) -> Duration {
        let now = clock::monotonic();
        let polls = lock(&self.polls);
        let running = polls.iter().filter_map(Weak::upgrade).filter_map(|since| *lock(&since));
        running.map(|since| now.saturating_duration_since(since)).max().unwrap_or_default()
    }
}

/// A future whose time at work can be seen from outside.
#[derive(Debug)]
pub(crate) struct Watched<F> {
    since: Arc<Mutex<Option<Instant>>>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        *lock(&self.since) = Some(clock::monotonic());
        let result = self.future.as_mut().poll(cx);
        *lock(&self.since) = None;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_task_is_seen_from_another_thread_and_forgotten_when_it_goes_on() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let lag = Lag::new(runtime.handle().clone());
        let (go_on, blocked) = std::sync::mpsc::channel::<()>();
        let task = runtime.spawn(lag.watch(async move { blocked.recv().unwrap() }));
        let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        here.block_on(async {
            let mut seen = Duration::ZERO;
            while seen < Duration::from_millis(50) {
                seen = lag.measure().await;
            }
            go_on.send(()).unwrap();
            task.await.unwrap();
        });
        assert_eq!(lag.longest_poll(), Duration::ZERO);
        runtime.shutdown_background();
    }
}
