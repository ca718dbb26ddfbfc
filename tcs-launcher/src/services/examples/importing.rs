//! `examples.importing`: does one thing, and ends.

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Catalogues to read.
    catalogues: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { catalogues: 3 }
    }
}

/// The service.
#[derive(Debug)]
pub struct Importing {
    config: Config,
}

impl OneShotService for Importing {
    type Config = Config;

    fn new(config: Config) -> Self {
        Self { config }
    }

    async fn execute(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        for n in 1..=self.config.catalogues {
            ctx.info(format!("catalogue {n} of {}", self.config.catalogues));
            if !ctx.sleep_secs(0.2).await {
                anyhow::bail!("stopped before catalogue {n}");
            }
        }
        Ok(())
    }
}

tcs_core::service!(Importing);
