use tcs_core::prelude::*;

#[derive(Default)]
pub struct TelescopeControl;

#[service]
impl BlockingService for TelescopeControl {
    async fn run(&self, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(1.0)).await {
            self.control_telescope().await?;
        }
        Ok(())
    }
}

// ---

pub static MOVES: AtomicU32 = AtomicU32::new(0);

impl TelescopeControl {
    async fn control_telescope(&self) -> Result<()> {
        MOVES.fetch_add(1, Relaxed);
        Ok(())
    }
}
