//! `examples.crashing`: works for a while, then its main loop fails. What becomes of it is the
//! restart policy's business.

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Seconds from its start to its failure.
    lasts: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { lasts: 20.0 }
    }
}

/// The service.
#[derive(Debug)]
pub struct Crashing {
    config: Config,
}

impl BlockingService for Crashing {
    type Config = Config;

    fn new(config: Config) -> Self {
        Self { config }
    }

    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        if ctx.sleep_secs(self.config.lasts).await {
            anyhow::bail!("the camera does not answer");
        }
        Ok(())
    }
}

tcs_core::service!(Crashing);
