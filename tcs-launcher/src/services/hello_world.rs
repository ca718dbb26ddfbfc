//! `hello_world`: says hello from time to time.

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Seconds between two greetings.
    #[serde(default = "five")]
    interval: f64,
    /// What is said.
    #[serde(default = "hello")]
    message: String,
}

fn five() -> f64 {
    5.0
}

fn hello() -> String {
    "Hello, world!".to_owned()
}

/// The service.
#[derive(Debug)]
pub struct HelloWorld {
    config: Config,
}

impl BlockingService for HelloWorld {
    type Config = Config;

    fn new(config: Config) -> Self {
        Self { config }
    }

    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        while ctx.sleep_secs(self.config.interval).await {
            ctx.info(&self.config.message);
        }
        Ok(())
    }
}

tcs_core::service!(HelloWorld);
