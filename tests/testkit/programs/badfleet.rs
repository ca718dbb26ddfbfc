//! A launcher with Rust services of its own, which misbehave: as somebody's own crate of services
//! makes one.

use tcs_core::prelude::*;
use tcs_samples as _;

fn main() -> std::process::ExitCode {
    tcs_launcher::main()
}

/// What each of them does.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    /// Seconds until it happens.
    after: f64,
    /// Its exit code, where there is one.
    code: Option<u8>,
    /// It is busy, or blocked, as long as this file is there.
    file: Option<std::path::PathBuf>,
}

/// Its main loop returns an error.
#[derive(Default)]
struct Raises;

#[service("bad.raises")]
impl BlockingService for Raises {
    type Config = Settings;
    async fn run(&self, ctx: &Context) -> Result<()> {
        ctx.sleep(secs(ctx.config().after)).await;
        anyhow::bail!("no guide star")
    }
}

/// Its main loop panics.
#[derive(Default)]
struct Panics;

#[service("bad.panics")]
impl BlockingService for Panics {
    type Config = Settings;
    async fn run(&self, ctx: &Context) -> Result<()> {
        ctx.sleep(secs(ctx.config().after)).await;
        panic!("the shutter is gone")
    }
}

/// Its start-up fails.
#[derive(Default)]
struct Unstartable;

#[service("bad.start")]
impl PermanentService for Unstartable {
    type Config = Settings;
    async fn start(&self, ctx: &Context) -> Result<()> {
        ctx.sleep(secs(ctx.config().after)).await;
        anyhow::bail!("no dome")
    }
}

/// Takes its time to start, and is well then.
#[derive(Default)]
struct Slow;

#[service("bad.slow")]
impl PermanentService for Slow {
    type Config = Settings;
    async fn start(&self, ctx: &Context) -> Result<()> {
        ctx.sleep(secs(ctx.config().after)).await;
        Ok(())
    }
}

/// Blocks the thread that it is polled on: for good, or while a file is there.
#[derive(Default)]
struct Blocks;

#[service("bad.blocks")]
impl BlockingService for Blocks {
    type Config = Settings;
    async fn run(&self, ctx: &Context) -> Result<()> {
        ctx.sleep(secs(ctx.config().after)).await;
        let Some(file) = &ctx.config().file else {
            std::thread::sleep(Duration::from_hours(1));
            return Ok(());
        };
        while ctx.sleep(secs(0.02)).await {
            while file.exists() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }
}

/// Starts a process by itself, which ends at once, and whose end it looks for later. That leaves
/// behind one that ends too, and one that stays.
#[derive(Default)]
struct Spawns;

#[service("bad.spawns")]
impl BlockingService for Spawns {
    type Config = Settings;
    async fn run(&self, ctx: &Context) -> Result<()> {
        let script = "setsid sleep 0.1 & echo $! >orphan; setsid sleep 1000 & exit 7";
        let mut own = std::process::Command::new("sh").args(["-c", script]).spawn()?;
        ctx.sleep(secs(ctx.config().after)).await;
        ctx.monitor().set_status(Status::Idle, format!("its own: {}", own.wait()?));
        while ctx.sleep(secs(60.0)).await {}
        Ok(())
    }
}

/// Busy as long as a file is there.
#[derive(Default)]
struct Busy;

#[service("bad.busy")]
impl BlockingService for Busy {
    type Config = Settings;
    async fn run(&self, ctx: &Context) -> Result<()> {
        let mut task = None;
        while ctx.sleep(secs(0.02)).await {
            let busy = ctx.config().file.as_ref().is_some_and(|file| file.exists());
            if busy && task.is_none() {
                task = Some(ctx.monitor().track_task("exposure"));
            } else if !busy {
                task = None;
            }
        }
        Ok(())
    }
}

/// Writes its own secret: in its span, and outside of it.
#[derive(Default)]
struct Tells;

/// What it must not show.
#[derive(Debug, Deserialize)]
struct Secret {
    password: String,
}

#[service("bad.tells")]
impl BlockingService for Tells {
    type Config = Secret;
    async fn run(&self, ctx: &Context) -> Result<()> {
        let password = ctx.config().password.clone();
        ctx.info(format!("logging in with {password}"));
        let aside = std::thread::spawn(move || tracing::info!(password, "aside"));
        aside.join().ok();
        anyhow::bail!("refused: {}", ctx.config().password)
    }
}

/// A one-shot.
#[derive(Default)]
struct Job;

#[service("bad.job")]
impl OneShotService for Job {
    type Config = Settings;
    async fn execute(&self, ctx: &Context) -> Result<()> {
        ctx.sleep(secs(ctx.config().after)).await;
        match ctx.config().code {
            None | Some(0) => Ok(()),
            Some(code) => Err(tcs_core::service::ExitCode(code).into()),
        }
    }
}
