//~ `State` is what `on_start` returns, and there is none
//~ add `async fn on_start(&self, ctx: &Context) -> Result<Link>`, or leave `type State` out
use tcs_core::prelude::*;

struct Link;

#[derive(Default)]
struct Guider;

#[service("guider")]
impl BlockingService for Guider {
    type State = Link;
    async fn run(&self, _: &mut Link, ctx: &Context) -> Result<()> {
        ctx.stopped().await;
        Ok(())
    }
}

fn main() {}
