//! `examples.basic`: settings with defaults, set-up and clean-up.

use std::sync::Mutex;

use tcs_core::prelude::*;

/// Settings: any type that serde can read. A key of the file that it does not know is a warning
/// with the nearest name, a value of a wrong type an error with its line.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Seconds between two measurements.
    interval: f64,
    /// Where they come from.
    instrument: String,
    /// How many are averaged.
    samples: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: 2.0, instrument: "thermometer".to_owned(), samples: 5 }
    }
}

/// The service.
#[derive(Debug)]
pub struct Basic {
    config: Config,
    /// What it works on. Its own state is behind a lock: a health check may look at it while the
    /// main loop runs.
    measured: Mutex<Vec<f64>>,
}

impl BlockingService for Basic {
    type Config = Config;

    fn new(config: Config) -> Self {
        Self { config, measured: Mutex::default() }
    }

    async fn on_start(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        // an error here makes the service `failed`
        anyhow::ensure!(self.config.samples > 0, "`samples` is 0: nothing to average");
        ctx.info(format!("{} uses the {}", ctx.id(), self.config.instrument));
        Ok(())
    }

    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        let mut count = 0;
        while ctx.is_running() {
            count += 1;
            let mean = self.measure(f64::from(count));
            ctx.info(format!("measurement {count}: mean {mean:.2}"));
            ctx.sleep_secs(self.config.interval).await;
        }
        Ok(())
    }

    async fn on_stop(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        ctx.info(format!("the {} is switched off", self.config.instrument));
        Ok(())
    }
}

impl Basic {
    /// Takes in one value, and gives the mean of the newest.
    fn measure(&self, value: f64) -> f64 {
        let mut measured = self.measured.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        measured.push(value);
        let old = measured.len().saturating_sub(self.config.samples);
        measured.drain(..old);
        measured.iter().sum::<f64>() / measured.len() as f64
    }
}

tcs_core::service!(Basic);
