//! `examples.minimal`: as little as there can be. No settings; the framework does the rest.

use tcs_core::prelude::*;

/// The service.
#[derive(Debug, Default)]
pub struct Minimal;

#[service]
impl BlockingService for Minimal {
    async fn run(&self, ctx: &Context) -> Result<()> {
        // `sleep` wakes up when the service is to stop, and says so
        while ctx.sleep(secs(1.0)).await {}
        Ok(())
    }
}
