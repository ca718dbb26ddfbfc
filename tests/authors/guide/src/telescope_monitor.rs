use tcs_core::prelude::*;

#[derive(Default)]
pub struct TelescopeMonitor;

#[service]
impl BlockingService for TelescopeMonitor {
    async fn on_start(&self) -> Result<Telescope> {
        // Setup connections, initialize hardware
        Telescope::connect().await
    }

    async fn run(&self, telescope: &mut Telescope, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(1.0)).await {
            // Main monitoring loop
            let status = telescope.check_status().await?;
            self.process(status, ctx).await?;
        }
        Ok(())
    }

    async fn on_stop(&self, telescope: Telescope) -> Result<()> {
        // Cleanup
        telescope.disconnect().await
    }
}

// ---

pub struct Telescope {
    asked: u32,
}

impl Telescope {
    async fn connect() -> Result<Self> {
        Ok(Self { asked: 0 })
    }

    async fn check_status(&mut self) -> Result<u32> {
        self.asked += 1;
        Ok(self.asked)
    }

    async fn disconnect(self) -> Result<()> {
        ensure!(self.asked > 0, "stopped before it was asked");
        Ok(())
    }
}

impl TelescopeMonitor {
    async fn process(&self, status: u32, ctx: &Context) -> Result<()> {
        ctx.monitor().set_status(Status::Idle, format!("asked {status} times"));
        Ok(())
    }
}
