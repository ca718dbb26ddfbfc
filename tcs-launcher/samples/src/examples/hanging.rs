//! `examples.hanging`: does what no service should, and waits without letting go of its thread.
//! Its heartbeats go on, and say that the service does not get to work.

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Config)]
pub struct Settings {
    /// Seconds of work between two hangs.
    #[default(2.0)]
    works: f64,
    /// Seconds that a hang lasts.
    #[default(20.0)]
    hangs: f64,
}

/// The service.
#[derive(Debug, Default)]
pub struct Hanging;

#[service]
impl BlockingService for Hanging {
    type Config = Settings;

    async fn run(&self, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(ctx.config().works)).await {
            ctx.info("asks an instrument that does not answer");
            // `ctx.sleep` would let others work, and end when the service is told to stop
            std::thread::sleep(secs(ctx.config().hangs));
        }
        Ok(())
    }
}
