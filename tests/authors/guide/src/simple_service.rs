use tcs_core::prelude::*;

#[derive(Default)]
pub struct SimpleService;

#[service]
impl BlockingService for SimpleService {
    async fn run(&self, ctx: &Context) -> Result<()> {
        ctx.info(format!("Service type: {}", ctx.service_type()));
        Ok(())
    }
}
