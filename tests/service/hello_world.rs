use tcs_core::prelude::*;

#[derive(Config)]
struct Settings { #[default(5.0)] interval: f64 }

#[derive(Default)]
struct HelloWorld;

#[service]                           // the service type is the file's name: hello_world
impl BlockingService for HelloWorld {
    type Config = Settings;
    async fn run(&self, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(ctx.config().interval)).await { ctx.info("hello"); }
        Ok(())
    }
}
