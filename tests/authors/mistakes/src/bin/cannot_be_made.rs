//~ `Guider` cannot be created: it has neither `Default` nor `new`
//~ derive `Default`, or write `fn new(ctx: &Context) -> Result<Self>`
use tcs_core::prelude::*;

struct Guider;

#[service("guider")]
impl BlockingService for Guider {
    async fn run(&self, ctx: &Context) -> Result<()> {
        ctx.stopped().await;
        Ok(())
    }
}

fn main() {}
