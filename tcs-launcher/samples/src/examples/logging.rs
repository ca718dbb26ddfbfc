//! `examples.logging`: log lines, and journal lines for people who read along.
//!
//! Log lines go to standard error under the service's name; the setting `log_level` chooses which.
//! Journal lines are published too, on `<prefix>.journal.<id>`.

use tcs_core::prelude::*;

/// The service.
#[derive(Debug, Default)]
pub struct Logging;

#[service]
impl BlockingService for Logging {
    async fn on_start(&self, ctx: &Context) -> Result<()> {
        let level = ctx.log_level().unwrap_or("info");
        ctx.info(format!("type {}, variant {}, level {level}", ctx.service_type(), ctx.variant()));
        Ok(())
    }

    async fn run(&self, ctx: &Context) -> Result<()> {
        let mut round = 0;
        while ctx.sleep(secs(3.0)).await {
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
