use tcs_core::prelude::*;

#[derive(Default)]
pub struct ManualService;

#[service]
impl BlockingService for ManualService {
    async fn run(&self, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(1.0)).await {
            match self.critical_operation().await {
                Ok(true) => ctx.monitor().set_status(Status::Ok, "Operation successful"),
                Ok(false) => ctx.monitor().set_status(Status::Error, "Operation failed"),
                Err(error) => ctx.monitor().set_status(Status::Error, error.to_string()),
            }
        }
        Ok(())
    }
}

// ---

pub static BROKEN: AtomicBool = AtomicBool::new(false);

impl ManualService {
    async fn critical_operation(&self) -> Result<bool> {
        Ok(!BROKEN.load(Relaxed))
    }
}
