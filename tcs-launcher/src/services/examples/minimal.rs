//! `examples.minimal`: as little as there can be. No settings; the framework does the rest.

use tcs_core::prelude::*;

/// The service.
#[derive(Debug)]
pub struct Minimal;

impl BlockingService for Minimal {
    type Config = ();

    fn new((): ()) -> Self {
        Self
    }

    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        // `sleep` wakes up when the service is to stop, and says so
        while ctx.sleep_secs(1.0).await {}
        Ok(())
    }
}

tcs_core::service!(Minimal);
