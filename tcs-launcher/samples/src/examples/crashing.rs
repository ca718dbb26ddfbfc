//! `examples.crashing`: works for a while, then its main loop fails. What becomes of it is the
//! restart policy's business.

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Config)]
pub struct Settings {
    /// Seconds from its start to its failure.
    #[default(20.0)]
    lasts: f64,
}

/// The service.
#[derive(Debug, Default)]
pub struct Crashing;

#[service]
impl BlockingService for Crashing {
    type Config = Settings;

    async fn run(&self, ctx: &Context) -> Result<()> {
        if ctx.sleep(secs(ctx.config().lasts)).await {
            bail!("the camera does not answer");
        }
        Ok(())
    }
}
