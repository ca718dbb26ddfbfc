//~ this method is called `run` here
use tcs_core::prelude::*;

#[derive(Default)]
struct Guider;

#[service("guider")]
impl BlockingService for Guider {
    async fn run_service(&self) -> Result<()> {
        Ok(())
    }
}

fn main() {}
