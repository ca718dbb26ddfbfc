//! `examples.nonblocking`: a service that runs several tasks of its own, with a queue between
//! them. For most services one main loop is enough; see `examples.basic`.

use tcs_core::prelude::*;
use tokio::sync::{Mutex, mpsc};

/// Settings.
#[derive(Debug, Config)]
pub struct Settings {
    /// Tasks that work.
    #[default(3)]
    workers: usize,
    /// Seconds between two pieces of work.
    #[default(0.5)]
    interval: f64,
}

/// The service.
#[derive(Debug)]
pub struct Nonblocking {
    queue: mpsc::Sender<u64>,
    work: Mutex<mpsc::Receiver<u64>>,
    done: AtomicU64,
}

/// Pieces of work that may wait.
const QUEUE: usize = 16;

#[service]
impl PermanentService for Nonblocking {
    type Config = Settings;

    fn new(ctx: &Context) -> Result<Self> {
        ensure!(ctx.config().workers > 0, "`workers` is 0: nobody would work");
        let (queue, work) = mpsc::channel(QUEUE);
        Ok(Self { queue, work: Mutex::new(work), done: AtomicU64::new(0) })
    }

    async fn start(&self, ctx: &Context) -> Result<()> {
        // tasks that are spawned through the context are tracked: the failure of one is the
        // service's failure, and none outlives it
        for n in 1..=ctx.config().workers {
            ctx.spawn(&format!("worker {n}"), Self::worker);
        }
        ctx.spawn("producer", Self::produce);
        Ok(())
    }

    async fn stop(&self, ctx: &Context) -> Result<()> {
        ctx.info(format!("{} pieces of work done", self.done.load(Relaxed)));
        Ok(())
    }
}

impl Nonblocking {
    async fn worker(&self, ctx: &Context) -> Result<()> {
        while let Some(piece) = self.next().await {
            let _task = ctx.monitor().track_task("piece");
            ctx.debug(format!("piece {piece}"));
            self.done.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    async fn next(&self) -> Option<u64> {
        self.work.lock().await.recv().await
    }

    async fn produce(&self, ctx: &Context<Self>) -> Result<()> {
        let mut piece = 0;
        while ctx.sleep(secs(ctx.config().interval)).await {
            piece += 1;
            self.queue.send(piece).await?;
        }
        Ok(())
    }
}
