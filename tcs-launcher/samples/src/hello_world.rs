//! `hello_world`: says hello from time to time.

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Config)]
pub struct Settings {
    /// Seconds between two greetings.
    #[default(5.0)]
    interval: f64,
    /// What is said.
    #[default("Hello, world!")]
    message: String,
}

/// The service.
#[derive(Debug, Default)]
pub struct HelloWorld;

#[service]
impl BlockingService for HelloWorld {
    type Config = Settings;

    async fn run(&self, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(ctx.config().interval)).await {
            ctx.info(&ctx.config().message);
        }
        Ok(())
    }
}
