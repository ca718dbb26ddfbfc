use tcs_core::prelude::*;

#[derive(Default)]
pub struct RecoveringService;

#[service]
impl BlockingService for RecoveringService {
    async fn on_start(&self, ctx: &Context) -> Result<()> {
        // Register recovery command handler
        ctx.command("recover", Self::recover);
        Ok(())
    }

    async fn run(&self, ctx: &Context) -> Result<()> {
        ctx.monitor().set_status(Status::Error, "no signal");
        ctx.stopped().await;
        Ok(())
    }
}

impl RecoveringService {
    async fn recover(&self, ctx: &Context) -> Result<()> {
        ctx.monitor().cancel_error_status(); // Revert to OK/IDLE/BUSY
        Ok(())
    }
}
