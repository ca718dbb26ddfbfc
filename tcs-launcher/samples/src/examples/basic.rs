//! `examples.basic`: settings with defaults, set-up and clean-up.

use tcs_core::prelude::*;

/// Settings: any type that serde can read. A key of the file that it does not know is a warning
/// with the nearest name, a value of a wrong type an error with its line.
#[derive(Debug, Config)]
pub struct Settings {
    /// Seconds between two measurements.
    #[default(2.0)]
    interval: f64,
    /// Where they come from.
    #[default("thermometer")]
    instrument: String,
    /// How many are averaged.
    #[default(5)]
    samples: usize,
}

/// The service.
#[derive(Debug, Default)]
pub struct Basic;

/// What the main loop works on, and nobody else.
#[derive(Debug, Default)]
pub struct Measured(Vec<f64>);

#[service]
impl BlockingService for Basic {
    type Config = Settings;
    type State = Measured;

    async fn on_start(&self, ctx: &Context) -> Result<Measured> {
        // an error here makes the service `failed`
        ensure!(ctx.config().samples > 0, "`samples` is 0: nothing to average");
        ctx.info(format!("{} uses the {}", ctx.id(), ctx.config().instrument));
        Ok(Measured::default())
    }

    async fn run(&self, measured: &mut Measured, ctx: &Context) -> Result<()> {
        let mut count = 0;
        while ctx.is_running() {
            count += 1;
            let mean = measured.add(f64::from(count), ctx.config().samples);
            ctx.info(format!("measurement {count}: mean {mean:.2}"));
            ctx.sleep(secs(ctx.config().interval)).await;
        }
        Ok(())
    }

    async fn on_stop(&self, measured: Measured, ctx: &Context) -> Result<()> {
        let Settings { instrument, .. } = ctx.config();
        ctx.info(format!("the {instrument} is switched off after {:?}", measured.0.last()));
        Ok(())
    }
}

impl Measured {
    /// Takes in one value, and gives the mean of the newest.
    fn add(&mut self, value: f64, samples: usize) -> f64 {
        self.0.push(value);
        let old = self.0.len().saturating_sub(samples);
        self.0.drain(..old);
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }
}
