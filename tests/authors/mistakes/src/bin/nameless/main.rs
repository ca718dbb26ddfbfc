//~ a service in main.rs or lib.rs needs a name: #[service("its_name")]
use tcs_core::prelude::*;

#[derive(Default)]
struct Guider;

#[service]
impl OneShotService for Guider {
    async fn execute(&self) -> Result<()> {
        Ok(())
    }
}

fn main() {}
