//~ this cannot handle a command
//~ give a method of the service: `async fn reset(&self, args: ResetArgs)
use tcs_core::prelude::*;

#[derive(Default)]
struct Guider;

struct ResetArgs;

#[service("guider")]
impl BlockingService for Guider {
    async fn run(&self, ctx: &Context) -> Result<()> {
        ctx.command("reset", Self::reset);
        Ok(())
    }
}

impl Guider {
    async fn reset(&self, _: ResetArgs) -> Result<()> {
        Ok(())
    }
}

fn main() {}
