//! `examples.nonblocking`: a service that runs several tasks of its own, with a queue between
//! them. For most services one main loop is enough; see `examples.basic`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tcs_core::prelude::*;
use tokio::sync::{Mutex, mpsc};

/// Settings.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Tasks that work.
    workers: usize,
    /// Seconds between two pieces of work.
    interval: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { workers: 3, interval: 0.5 }
    }
}

/// The service.
#[derive(Debug)]
pub struct Nonblocking {
    config: Config,
    done: Arc<AtomicU64>,
}

/// Pieces of work that may wait.
const QUEUE: usize = 16;

impl PermanentService for Nonblocking {
    type Config = Config;

    fn new(config: Config) -> Self {
        Self { config, done: Arc::default() }
    }

    async fn start(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        anyhow::ensure!(self.config.workers > 0, "`workers` is 0: nobody would work");
        let (queue, work) = mpsc::channel(QUEUE);
        let work = Arc::new(Mutex::new(work));
        for n in 1..=self.config.workers {
            let (ctx, work, done) = (ctx.clone(), Arc::clone(&work), Arc::clone(&self.done));
            // tasks that are spawned through the context are tracked: the failure of one is the
            // service's failure, and none outlives it
            ctx.clone().spawn(&format!("worker {n}"), async move {
                while let Some(piece) = next(&work).await {
                    let _task = ctx.monitor().track_task("piece");
                    ctx.debug(format!("worker {n} does piece {piece}"));
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        let (ctx, interval) = (ctx.clone(), self.config.interval);
        ctx.clone().spawn("producer", async move {
            let mut piece: u64 = 0;
            while ctx.sleep_secs(interval).await {
                piece += 1;
                queue.send(piece).await?;
            }
            Ok(()) // the queue ends, and with it the workers
        });
        Ok(())
    }

    async fn stop(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        ctx.info(format!("{} pieces of work done", self.done.load(Ordering::Relaxed)));
        Ok(())
    }
}

async fn next(work: &Mutex<mpsc::Receiver<u64>>) -> Option<u64> {
    work.lock().await.recv().await
}

tcs_core::service!(Nonblocking);
