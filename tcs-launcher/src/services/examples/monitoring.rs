//! `examples.monitoring`: statuses, parts, metrics, tasks, a health check, and recovery.
//!
//! A made-up dome whose motor fails now and then. Its health check says so; the command `repair`
//! (`svc.rpc.<id>.v1.repair`) puts it right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Seconds between two moves.
    interval: f64,
    /// Every how many moves the motor fails; 0: never.
    fails_every: u32,
    /// Failures after which it is given up.
    gives_up_after: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: 2.0, fails_every: 5, gives_up_after: 3 }
    }
}

/// The service.
#[derive(Debug)]
pub struct Monitoring {
    config: Config,
    moves: Arc<AtomicU32>,
    failures: Arc<AtomicU32>,
}

impl BlockingService for Monitoring {
    type Config = Config;

    fn new(config: Config) -> Self {
        Self { config, moves: Arc::default(), failures: Arc::default() }
    }

    async fn on_start(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        let monitor = ctx.monitor();
        // a part of the service, with a status of its own: the service shows the worst of all
        monitor.submonitor("shutter").set_status(Status::Ok, "open");
        // numbers to show, read when a status is sent and for each heartbeat
        let (moves, failures) = (Arc::clone(&self.moves), Arc::clone(&self.failures));
        monitor.add_metrics(move || {
            serde_json::Map::from_iter([
                ("moves".to_owned(), moves.load(Ordering::Relaxed).into()),
                ("failures".to_owned(), failures.load(Ordering::Relaxed).into()),
            ])
        });
        // a command of its own
        let (failures, repaired) = (Arc::clone(&self.failures), monitor.clone());
        ctx.command("repair", move |_call| {
            let had = failures.swap(0, Ordering::Relaxed);
            repaired.cancel_error_status();
            async move { Ok(serde_json::Map::from_iter([("failures".to_owned(), had.into())])) }
        });
        Ok(())
    }

    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        while ctx.sleep_secs(self.config.interval).await {
            // busy until this is dropped, idle one second later
            let _task = ctx.monitor().track_task("move");
            if let Err(error) = self.rotate() {
                ctx.warning(format!("{error:#}"));
            }
        }
        Ok(())
    }

    /// Asked every 30 s. `None`: no opinion, what was said before stands.
    async fn healthcheck(&self) -> Option<Status> {
        match self.failures.load(Ordering::Relaxed) {
            0 => None,
            few if few < self.config.gives_up_after => Some(Status::Degraded),
            _ => Some(Status::Failed),
        }
    }
}

impl Monitoring {
    fn rotate(&self) -> anyhow::Result<()> {
        let n = self.moves.fetch_add(1, Ordering::Relaxed) + 1;
        if self.config.fails_every > 0 && n.is_multiple_of(self.config.fails_every) {
            self.failures.fetch_add(1, Ordering::Relaxed);
            anyhow::bail!("the dome's motor did not move ({n} moves)");
        }
        Ok(())
    }
}

tcs_core::service!(Monitoring);
