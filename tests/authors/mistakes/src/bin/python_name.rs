//~ in Rust this method is named `run`
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
