use tcs_core::prelude::*;

#[derive(Default)]
pub struct FailingService {
    pub error_count: AtomicU32,
}

const MAX_ERRORS: u32 = 3;

#[service]
impl BlockingService for FailingService {
    async fn run(&self, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(1.0)).await {
            if let Err(error) = self.do_work().await {
                self.error_count.fetch_add(1, Relaxed);
                ctx.error(format!("Error: {error}"));
            } else {
                self.error_count.store(0, Relaxed); // Reset on success
            }
        }
        Ok(())
    }

    /// Called periodically (default every 30s) to update status.
    async fn healthcheck(&self) -> Health {
        match self.error_count.load(Relaxed) {
            0 => Health::no_opinion(), // Healthy, keep current status
            n @ 1..MAX_ERRORS => Health::degraded(format!("{n} errors")), // still trying
            n => Health::failed(format!("{n} errors")), // Too many errors, give up
        }
    }
}

// ---

pub static BROKEN: AtomicBool = AtomicBool::new(false);

impl FailingService {
    async fn do_work(&self) -> Result<()> {
        ensure!(!BROKEN.load(Relaxed), "no answer");
        Ok(())
    }
}
