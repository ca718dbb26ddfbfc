use tcs_core::prelude::*;

#[derive(Config)]
pub struct Settings {
    #[default(30)]
    pub timeout: u64,
    #[default(3)]
    pub max_retries: u32,
    #[default("https://api.example.com")]
    pub api_url: String,
}

#[derive(Default)]
pub struct AdvancedService;

#[service]
impl BlockingService for AdvancedService {
    type Config = Settings;
    async fn run(&self, ctx: &Context) -> Result<()> {
        // Access custom config
        let response = self.call_api(&ctx.config().api_url).await?;
        ctx.monitor().set_status(Status::Ok, response);
        Ok(())
    }
}

// ---

impl AdvancedService {
    async fn call_api(&self, url: &str) -> Result<String> {
        Ok(format!("{url} answered"))
    }
}
