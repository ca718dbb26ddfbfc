use tcs_core::prelude::*;

#[derive(Default)]
pub struct ComplexProcessor;

#[service]
impl PermanentService for ComplexProcessor {
    async fn start(&self, ctx: &Context) -> Result<()> {
        // Start multiple concurrent tasks; none outlives the service
        ctx.spawn("queue a", Self::process_queue_a);
        ctx.spawn("queue b", Self::process_queue_b);
        ctx.spawn("health", Self::monitor_health);
        Ok(())
    }
}

// ---

pub static PROCESSED: AtomicU32 = AtomicU32::new(0);

impl ComplexProcessor {
    async fn process_queue_a(&self, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(1.0)).await {
            PROCESSED.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    async fn process_queue_b(&self, ctx: Context<Self>) -> Result<()> {
        while ctx.sleep(secs(2.0)).await {
            PROCESSED.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    async fn monitor_health(&self) -> Result<()> {
        std::future::pending().await
    }
}
