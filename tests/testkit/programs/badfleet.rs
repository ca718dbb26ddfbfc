//! A launcher with Rust services of its own, which misbehave: as somebody's own crate of services
//! makes one.

use std::time::Duration;

use tcs_core::prelude::*;

fn main() -> std::process::ExitCode {
    tcs_launcher::main()
}

/// What each of them does.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    /// Seconds until it happens.
    after: f64,
    /// Its exit code, where there is one.
    code: Option<u8>,
    /// It is busy, or blocked, as long as this file is there.
    file: Option<std::path::PathBuf>,
}

/// Its main loop returns an error.
struct Raises(Config);

impl BlockingService for Raises {
    type Config = Config;
    fn new(config: Config) -> Self {
        Self(config)
    }
    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        ctx.sleep_secs(self.0.after).await;
        anyhow::bail!("no guide star")
    }
}
tcs_core::service!(Raises, "bad.raises");

/// Its main loop panics.
struct Panics(Config);

impl BlockingService for Panics {
    type Config = Config;
    fn new(config: Config) -> Self {
        Self(config)
    }
    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        ctx.sleep_secs(self.0.after).await;
        panic!("the shutter is gone")
    }
}
tcs_core::service!(Panics, "bad.panics");

/// Its start-up fails.
struct Unstartable(Config);

impl PermanentService for Unstartable {
    type Config = Config;
    fn new(config: Config) -> Self {
        Self(config)
    }
    async fn start(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        ctx.sleep_secs(self.0.after).await;
        anyhow::bail!("no dome")
    }
}
tcs_core::service!(Unstartable, "bad.start");

/// Takes its time to start, and is well then.
struct Slow(Config);

impl PermanentService for Slow {
    type Config = Config;
    fn new(config: Config) -> Self {
        Self(config)
    }
    async fn start(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        ctx.sleep_secs(self.0.after).await;
        Ok(())
    }
}
tcs_core::service!(Slow, "bad.slow");

/// Blocks the thread that it is polled on: for good, or while a file is there.
struct Blocks(Config);

impl BlockingService for Blocks {
    type Config = Config;
    fn new(config: Config) -> Self {
        Self(config)
    }
    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        ctx.sleep_secs(self.0.after).await;
        let Some(file) = &self.0.file else {
            std::thread::sleep(Duration::from_hours(1));
            return Ok(());
        };
        while ctx.sleep_secs(0.02).await {
            while file.exists() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }
}
tcs_core::service!(Blocks, "bad.blocks");

/// Starts a process by itself, which ends at once, and whose end it looks for later. That leaves
/// behind one that ends too, and one that stays.
struct Spawns(Config);

impl BlockingService for Spawns {
    type Config = Config;
    fn new(config: Config) -> Self {
        Self(config)
    }
    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        let script = "setsid sleep 0.1 & echo $! >orphan; setsid sleep 1000 & exit 7";
        let mut own = std::process::Command::new("sh").args(["-c", script]).spawn()?;
        ctx.sleep_secs(self.0.after).await;
        ctx.monitor().set_status(Status::Idle, format!("its own: {}", own.wait()?));
        while ctx.sleep_secs(60.0).await {}
        Ok(())
    }
}
tcs_core::service!(Spawns, "bad.spawns");

/// Busy as long as a file is there.
struct Busy(Config);

impl BlockingService for Busy {
    type Config = Config;
    fn new(config: Config) -> Self {
        Self(config)
    }
    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        let mut task = None;
        while ctx.sleep_secs(0.02).await {
            let busy = self.0.file.as_ref().is_some_and(|file| file.exists());
            if busy && task.is_none() {
                task = Some(ctx.monitor().track_task("exposure"));
            } else if !busy {
                task = None;
            }
        }
        Ok(())
    }
}
tcs_core::service!(Busy, "bad.busy");

/// Writes its own secret: in its span, and outside of it.
struct Tells(Secret);

/// What it must not show.
#[derive(Debug, Deserialize)]
struct Secret {
    password: String,
}

impl BlockingService for Tells {
    type Config = Secret;
    fn new(config: Secret) -> Self {
        Self(config)
    }
    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        let password = self.0.password.clone();
        ctx.info(format!("logging in with {password}"));
        let aside = std::thread::spawn(move || tracing::info!(password, "aside"));
        aside.join().ok();
        anyhow::bail!("refused: {}", self.0.password)
    }
}
tcs_core::service!(Tells, "bad.tells");

/// A one-shot.
struct Job(Config);

impl OneShotService for Job {
    type Config = Config;
    fn new(config: Config) -> Self {
        Self(config)
    }
    async fn execute(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        ctx.sleep_secs(self.0.after).await;
        match self.0.code {
            None | Some(0) => Ok(()),
            Some(code) => Err(tcs_core::service::ExitCode(code).into()),
        }
    }
}
tcs_core::service!(Job, "bad.job");
