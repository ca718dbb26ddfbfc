//! `examples.hanging`: does what no service should, and waits without letting go of its thread.
//! Its heart goes on beating, and the beat says that the service does not get to work.

use std::time::Duration;

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Seconds of work between two hangs.
    works: f64,
    /// Seconds that a hang lasts.
    hangs: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { works: 2.0, hangs: 20.0 }
    }
}

/// The service.
#[derive(Debug)]
pub struct Hanging {
    config: Config,
}

impl BlockingService for Hanging {
    type Config = Config;

    fn new(config: Config) -> Self {
        Self { config }
    }

    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        let hangs = Duration::try_from_secs_f64(self.config.hangs)?;
        while ctx.sleep_secs(self.config.works).await {
            ctx.info("asks an instrument that does not answer");
            // `ctx.sleep` would let others work, and end when the service is told to stop
            std::thread::sleep(hangs);
        }
        Ok(())
    }
}

tcs_core::service!(Hanging);
