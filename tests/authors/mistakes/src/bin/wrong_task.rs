//~ this cannot be spawned
//~ a method of the service that returns `Result<()>`
use tcs_core::prelude::*;

#[derive(Default)]
struct Guider;

#[service("guider")]
impl BlockingService for Guider {
    async fn run(&self, ctx: &Context) -> Result<()> {
        ctx.spawn("queue", Self::queue);
        Ok(())
    }
}

impl Guider {
    async fn queue(&self) {}
}

fn main() {}
