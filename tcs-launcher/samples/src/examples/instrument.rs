//! `examples.instrument`: a spectrograph with parts, and parts of these, each with a status of its
//! own, and figures to draw.

use std::f64::consts::TAU;

use tcs_core::prelude::*;

/// Settings.
#[derive(Debug, Clone, Config)]
pub struct Settings {
    /// Seconds between two readings.
    #[default(1.0)]
    interval: f64,
    /// Kelvin at which the cryostat is held.
    #[default(120.0)]
    kelvin: f64,
}

/// Readings in which the temperature goes once up and down.
const SWING: f64 = 40.0;

/// The service.
#[derive(Debug, Default)]
pub struct Instrument {
    readings: AtomicU32,
}

#[service]
impl BlockingService for Instrument {
    type Config = Settings;

    async fn on_start(&self, ctx: &Context) -> Result<()> {
        let monitor = ctx.monitor();
        monitor.submonitor("shutter").set_status(Status::Ok, "closed");
        monitor.submonitor("detector").submonitor("readout").set_status(Status::Idle, "");
        let kelvin = ctx.config().kelvin;
        ctx.metrics(move |it: &Self| {
            let readings = it.readings.load(Relaxed);
            let swing = (f64::from(readings) * TAU / SWING).sin();
            json!({"readings": readings, "kelvin": kelvin + swing})
        });
        Ok(())
    }

    async fn run(&self, ctx: &Context) -> Result<()> {
        let cryostat = ctx.monitor().submonitor("cryostat");
        cryostat.set_status(Status::Ok, format!("at {:.0} K", ctx.config().kelvin));
        while ctx.sleep(secs(ctx.config().interval)).await {
            self.readings.fetch_add(1, Relaxed);
        }
        Ok(())
    }
}
