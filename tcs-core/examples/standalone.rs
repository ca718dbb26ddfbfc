//! A service that runs by itself: `cargo run -p tcs-core --example standalone -- [CONFIG] [VARIANT]`.

use std::process::ExitCode;

use tcs_core::prelude::*;

#[derive(Default)]
struct Clock;

#[service] // `standalone`, as its file
impl BlockingService for Clock {
    async fn run(&self, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(1.0)).await {
            ctx.info(ctx.now().format("%H:%M:%S").to_string());
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    tcs_core::main::<Clock>()
}
