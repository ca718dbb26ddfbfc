//! `examples.instrument`: a spectrograph with parts, and parts of these, each with a status of its
//! own, and figures to draw.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Seconds between two readings.
    interval: f64,
    /// Kelvin at which the cryostat is held.
    kelvin: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: 1.0, kelvin: 120.0 }
    }
}

/// Readings in which the temperature goes once up and down.
const SWING: f64 = 40.0;

/// The service.
#[derive(Debug)]
pub struct Instrument {
    config: Config,
    readings: Arc<AtomicU32>,
}

impl BlockingService for Instrument {
    type Config = Config;

    fn new(config: Config) -> Self {
        Self { config, readings: Arc::default() }
    }

    async fn on_start(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        let monitor = ctx.monitor();
        monitor.submonitor("shutter").set_status(Status::Ok, "closed");
        monitor.submonitor("detector").submonitor("readout").set_status(Status::Idle, "");
        let (readings, kelvin) = (Arc::clone(&self.readings), self.config.kelvin);
        monitor.add_metrics(move || {
            let readings = readings.load(Ordering::Relaxed);
            let swing = (f64::from(readings) * TAU / SWING).sin();
            serde_json::Map::from_iter([
                ("readings".to_owned(), readings.into()),
                ("kelvin".to_owned(), (kelvin + swing).into()),
            ])
        });
        Ok(())
    }

    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        let cryostat = ctx.monitor().submonitor("cryostat");
        cryostat.set_status(Status::Ok, format!("at {:.0} K", self.config.kelvin));
        while ctx.sleep_secs(self.config.interval).await {
            self.readings.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

tcs_core::service!(Instrument);
