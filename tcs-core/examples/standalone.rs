//! A service that runs by itself: `cargo run -p tcs-core --example standalone -- [CONFIG] [VARIANT]`.

use std::process::ExitCode;

use tcs_core::prelude::*;

struct Clock;

impl BlockingService for Clock {
    type Config = ();

    fn new((): ()) -> Self {
        Self
    }

    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        while ctx.sleep_secs(1.0).await {
            ctx.info(ctx.now().format("%H:%M:%S").to_string());
        }
        Ok(())
    }
}

tcs_core::service!(Clock); // `standalone`, as its file

fn main() -> ExitCode {
    tcs_core::main::<Clock>()
}
