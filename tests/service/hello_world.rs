use tcs_core::prelude::*;

#[derive(Deserialize)]
struct Config { #[serde(default = "five")] interval: f64 }
fn five() -> f64 { 5.0 }

struct HelloWorld { config: Config }

impl BlockingService for HelloWorld {
    type Config = Config;
    fn new(config: Config) -> Self { Self { config } }
    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        while ctx.sleep_secs(self.config.interval).await { ctx.info("hello") }
        Ok(())
    }
}
tcs_core::service!(HelloWorld);      // its type is the file's name: hello_world
