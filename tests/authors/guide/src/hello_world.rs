//! The name of a sample of `tcsd`: an author's own counts.

use tcs_core::prelude::*;

#[derive(Default)]
pub struct HelloWorld;

#[service]
impl BlockingService for HelloWorld {
    async fn run(&self, ctx: &Context) -> Result<()> {
        ctx.monitor().set_status(Status::Ok, "the author's own");
        ctx.stopped().await;
        Ok(())
    }
}
