//! `examples.monitoring`: statuses, parts, metrics, tasks, a health check, and recovery.
//!
//! A made-up dome whose motor fails now and then. Its health check says so; the command `repair`
//! (`tcsctl call examples.monitoring.tutorial repair`) puts it right.

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Config)]
pub struct Settings {
    /// Seconds between two moves.
    #[default(2.0)]
    interval: f64,
    /// Every how many moves the motor fails; 0: never.
    #[default(5)]
    fails_every: u32,
    /// Failures after which it is given up.
    #[default(3)]
    gives_up_after: u32,
}

/// The service.
#[derive(Debug, Default)]
pub struct Monitoring {
    moves: AtomicU32,
    failures: AtomicU32,
}

#[service]
impl BlockingService for Monitoring {
    type Config = Settings;

    async fn on_start(&self, ctx: &Context) -> Result<()> {
        // a part of the service, with a status of its own: the service shows the worst of all
        ctx.monitor().submonitor("shutter").set_status(Status::Ok, "open");
        // numbers to show, read when a status is sent and for each heartbeat
        ctx.metrics(|it: &Self| {
            json!({"moves": it.moves.load(Relaxed), "failures": it.failures.load(Relaxed)})
        });
        // a command of its own
        ctx.command("repair", Self::repair);
        Ok(())
    }

    async fn run(&self, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(ctx.config().interval)).await {
            // busy until this is dropped, idle one second later
            let _task = ctx.monitor().track_task("move");
            if let Err(error) = self.rotate(ctx.config().fails_every) {
                ctx.warning(format!("{error:#}"));
            }
        }
        Ok(())
    }

    /// Asked every 30 s. No opinion: what was said before stands.
    async fn healthcheck(&self, ctx: &Context) -> Health {
        match self.failures.load(Relaxed) {
            0 => Health::no_opinion(),
            n if n < ctx.config().gives_up_after => Health::degraded(format!("{n} failures")),
            n => Health::failed(format!("{n} failures")),
        }
    }
}

impl Monitoring {
    fn rotate(&self, fails_every: u32) -> Result<()> {
        let n = self.moves.fetch_add(1, Relaxed) + 1;
        if fails_every > 0 && n.is_multiple_of(fails_every) {
            self.failures.fetch_add(1, Relaxed);
            bail!("the dome's motor did not move ({n} moves)");
        }
        Ok(())
    }

    #[expect(clippy::unused_async, reason = "a command may take its time; this one does not")]
    async fn repair(&self, _: Repair, ctx: &Context) -> Result<impl Serialize> {
        let failures = self.failures.swap(0, Relaxed);
        ctx.monitor().cancel_error_status();
        Ok(json!({ "failures": failures }))
    }
}

/// What `repair` may be told.
#[derive(Debug, Deserialize)]
pub struct Repair {
    /// Why it is done: for the log.
    #[serde(default)]
    #[expect(dead_code, reason = "shows a parameter")]
    reason: String,
}
