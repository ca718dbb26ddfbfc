//~ a service type is names joined by single dots, without blanks, `*` and `>`
use tcs_core::prelude::*;

#[derive(Default)]
struct Guider;

#[service("my guider")]
impl OneShotService for Guider {
    async fn execute(&self) -> Result<()> {
        Ok(())
    }
}

fn main() {}
