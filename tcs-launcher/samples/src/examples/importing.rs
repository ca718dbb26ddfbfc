//! `examples.importing`: does one thing, and ends.

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Config)]
pub struct Settings {
    /// Catalogues to read.
    #[default(3)]
    catalogues: u32,
}

/// The service.
#[derive(Debug, Default)]
pub struct Importing;

#[service]
impl OneShotService for Importing {
    type Config = Settings;

    async fn execute(&self, ctx: &Context) -> Result<()> {
        let catalogues = ctx.config().catalogues;
        for n in 1..=catalogues {
            ctx.info(format!("catalogue {n} of {catalogues}"));
            ensure!(ctx.sleep(secs(0.2)).await, "stopped before catalogue {n}");
        }
        Ok(())
    }
}
