//! Health checks and metrics: code of the program's author, called from time to time. It runs on
//! the author's own runtime (plain functions on its pool for blocking work), never on the thread
//! that beats; it has a time limit, and what hangs is not called again before it comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::core::NodeId;
use super::health::Opinion;
use crate::wire::Status;
use tcs_bus::guard::{self, Panic};

/// A callback, plain or async.
pub(crate) enum Callback<T> {
    Plain(Arc<dyn Fn() -> T + Send + Sync>),
    Async(Arc<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>),
}

impl<T> Clone for Callback<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Plain(f) => Self::Plain(Arc::clone(f)),
            Self::Async(f) => Self::Async(Arc::clone(f)),
        }
    }
}

/// One registered callback.
pub(crate) struct Registered<T> {
    pub(crate) node: NodeId,
    pub(crate) name: Arc<str>,
    callback: Callback<T>,
    /// Where it runs; `None`: on a thread of its own, as the program has no runtime.
    home: Option<Handle>,
    under_way: Arc<AtomicBool>,
}

impl<T> Clone for Registered<T> {
    fn clone(&self) -> Self {
        Self {
            node: self.node,
            name: Arc::clone(&self.name),
            callback: self.callback.clone(),
            home: self.home.clone(),
            under_way: Arc::clone(&self.under_way),
        }
    }
}

pub(crate) type Check = Registered<Option<Opinion>>;
pub(crate) type Metrics = Registered<Map<String, Value>>;

/// Why a callback returned nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    Panicked(Panic),
    Hangs,
    /// Its runtime is ending.
    Gone,
}

/// Notes that a callback is no longer under way, however it ended.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<T: Send + 'static> Registered<T> {
    pub(crate) fn new(
        node: NodeId,
        name: &str,
        callback: Callback<T>,
        home: Option<Handle>,
    ) -> Self {
        Self { node, name: name.into(), callback, home, under_way: Arc::default() }
    }

    /// Calls it, waiting `limit` at most.
    async fn call(&self, limit: Duration) -> Result<T, Trouble> {
        if self.under_way.swap(true, Ordering::AcqRel) {
            return Err(Trouble::Hangs);
        }
        let running = Running(Arc::clone(&self.under_way));
        let (done, result) = oneshot::channel();
        let here = Handle::current();
        match (self.callback.clone(), &self.home) {
            (Callback::Plain(f), home) => {
                let run = move || {
                    let result = guard::catch(|| f());
                    drop(running);
                    done.send(result).ok();
                };
                match home {
                    Some(home) => drop(home.spawn_blocking(run)),
                    None => drop(std::thread::spawn(run)),
                }
            }
            (Callback::Async(f), home) => {
                let run = async move {
                    let result = guard::guarded(async move { f().await }).await;
                    drop(running);
                    done.send(result).ok();
                };
                match home {
                    Some(home) => {
                        let task = home.spawn(run);
                        let Ok(result) = tokio::time::timeout(limit, result).await else {
                            task.abort();
                            return Err(Trouble::Hangs);
                        };
                        return match result {
                            Ok(result) => result.map_err(Trouble::Panicked),
                            Err(_) => Err(Trouble::Gone),
                        };
                    }
                    None => drop(std::thread::spawn(move || here.block_on(run))),
                }
            }
        }
        match tokio::time::timeout(limit, result).await {
            Ok(Ok(result)) => result.map_err(Trouble::Panicked),
            Ok(Err(_)) => Err(Trouble::Gone),
            Err(_) => Err(Trouble::Hangs),
        }
    }
}

/// The result of one check in one round.
#[derive(Debug)]
pub(crate) struct HealthOpinion {
    pub(crate) node: NodeId,
    pub(crate) name: Arc<str>,
    pub(crate) opinion: Option<Opinion>,
}

/// Calls all checks at once. One that panics or hangs is an error, and says so (`issue 3`: it is
/// itself reported).
pub(crate) async fn check_all(checks: Vec<Check>, limit: Duration) -> Vec<HealthOpinion> {
    join_all(checks.into_iter().map(async |check| {
        let opinion = match check.call(limit).await {
            Ok(opinion) => opinion.map(|opinion| with_words(opinion, &check.name)),
            Err(Trouble::Panicked(panic)) => {
                let text = format!("health check `{}` {panic}", check.name);
                Some(Opinion::from((Status::Error, text)))
            }
            Err(Trouble::Hangs) => {
                let text = format!(
                    "health check `{}` has not answered for {} s",
                    check.name,
                    limit.as_secs_f64()
                );
                Some(Opinion::from((Status::Error, text)))
            }
            Err(Trouble::Gone) => None,
        };
        HealthOpinion { node: check.node, name: check.name, opinion }
    }))
    .await
}

/// If an opinion that something is wrong has no message, the message names the check.
fn with_words(opinion: Opinion, name: &str) -> Opinion {
    let Opinion { status, message } = opinion;
    let is_trouble = status >= Status::Degraded;
    let words = || is_trouble.then(|| format!("health check `{name}` reports {status}"));
    Opinion { status, message: message.or_else(words) }
}

/// Calls all metric callbacks at once; those that fail bring nothing. Several of one node are
/// joined, later ones win.
pub(crate) async fn sample_all(
    metrics: Vec<Metrics>,
    limit: Duration,
) -> Vec<(NodeId, Map<String, Value>)> {
    let samples = join_all(metrics.iter().map(|metric| metric.call(limit))).await;
    let mut all: Vec<(NodeId, Map<String, Value>)> = Vec::new();
    for (metric, sample) in metrics.iter().zip(samples) {
        let values = match sample {
            Ok(values) => values,
            Err(trouble) => {
                tracing::debug!("metrics `{}`: {trouble:?}", metric.name);
                continue;
            }
        };
        match all.iter_mut().find(|(node, _)| *node == metric.node) {
            Some((_, known)) => known.extend(values),
            None => all.push((metric.node, values)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    fn plain(f: impl Fn() -> Option<Opinion> + Send + Sync + 'static) -> Callback<Option<Opinion>> {
        Callback::Plain(Arc::new(f))
    }

    #[tokio::test]
    async fn a_check_that_hangs_or_panics_is_an_error_and_the_others_are_heard() {
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let home = Some(Handle::current());
        let check = |name, callback| Check::new(NodeId::ROOT, name, callback, home.clone());
        let checks = vec![
            check("fine", plain(|| None)),
            check("bad", plain(|| Some(Status::Degraded.into()))),
            check("panics", plain(|| panic!("no camera"))),
            check(
                "hangs",
                plain(move || {
                    gate.lock().unwrap().recv().ok();
                    None
                }),
            ),
            check("never", Callback::Async(Arc::new(|| Box::pin(std::future::pending())))),
        ];
        let (mut limit, mut heard) = (LIMIT, 0);
        while heard < 2 {
            let said: Vec<_> = check_all(checks.clone(), limit)
                .await
                .into_iter()
                .map(|verdict| verdict.opinion.map(|o| (o.status, o.message.unwrap_or_default())))
                .collect();
            let late = format!("has not answered for {} s", limit.as_secs_f64());
            assert!(said[3].clone().unwrap().1.contains(&format!("`hangs` {late}")));
            assert!(said[4].clone().unwrap().1.contains(&format!("`never` {late}")));
            if said[..3].iter().flatten().any(|(_, text)| text.contains(&late)) {
                // a busy machine takes longer to call them
                limit *= 2;
                assert!(limit < Duration::from_mins(1), "{said:?}");
                continue;
            }
            heard += 1;
            assert_eq!(said[0], None);
            let words = "health check `bad` reports degraded".to_owned();
            assert_eq!(said[1], Some((Status::Degraded, words)));
            let (status, text) = said[2].clone().unwrap();
            assert!(status == Status::Error && text.contains("no camera") && text.contains(".rs:"));
        }
        drop(release);
    }

    #[test]
    fn a_program_without_a_runtime_is_asked_on_a_thread_of_its_own() {
        let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sample = |name: &str| Map::from_iter([(name.to_owned(), Value::from(f64::NAN))]);
        let one = sample("one");
        let two = sample("two");
        let plain = Callback::Plain(Arc::new(move || one.clone()));
        let slow = Callback::Async(Arc::new(move || {
            let two = two.clone();
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                two
            })
        }));
        let metrics = vec![
            Metrics::new(NodeId::ROOT, "a", plain, None),
            Metrics::new(NodeId::ROOT, "b", slow, None),
        ];
        let all = ours.block_on(sample_all(metrics, Duration::from_secs(20)));
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].1.keys().collect::<Vec<_>>(), ["one", "two"]);
        assert!(all[0].1.values().all(Value::is_null), "a NaN is null");
    }
}
