//! `examples.logging`: log lines, and journal lines for people who read along.
//!
//! Log lines go to standard error under the service's name; the setting `log_level` chooses which.
//! Journal lines are published too, on `<prefix>.journal.<id>`.

use tcs_core::prelude::*;
use tcs_core::wire::Level;

/// The service.
#[derive(Debug)]
pub struct Logging;

impl BlockingService for Logging {
    type Config = ();

    fn new((): ()) -> Self {
        Self
    }

    async fn on_start(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        let level = ctx.log_level().unwrap_or("info");
        ctx.info(format!("type {}, variant {}, level {level}", ctx.service_type(), ctx.variant()));
        Ok(())
    }

    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        let mut round = 0;
        while ctx.sleep_secs(3.0).await {
            round += 1;
            ctx.debug(format!("round {round} begins"));
            match round % 4 {
                1 => ctx.info("all is well"),
                2 => ctx.warning("humidity is rising"),
                3 => ctx.error("no answer from the humidity sensor"),
                _ => ctx.journal(Level::NOTICE, format!("four rounds done, {round} in all")),
            }
        }
        Ok(())
    }
}

tcs_core::service!(Logging);
