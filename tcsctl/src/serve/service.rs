//! `type: serve`: the server as a service, which `tcsd` runs like any other.

use std::process::ExitCode;
use std::sync::Mutex;

use tcs_core::config::ServeSettings;
use tcs_core::observer::Observer;
use tcs_core::prelude::*;
use tcs_core::service::{Service as _, main_of};
use tokio::net::TcpListener;

use super::access::Token;
use super::{Settings, run};

/// A built-in service type.
#[derive(Default)]
struct Serve {
    /// Bound at the start, so that an address that is taken fails it.
    listening: Mutex<Option<(Settings, TcpListener)>>,
}

#[service("serve")]
impl BlockingService for Serve {
    type Config = ServeSettings;

    async fn on_start(&self, ctx: &Context) -> Result<()> {
        let config = ctx.config();
        let (listen, filter) = config.check().map_err(|(key, why)| anyhow!("{key}: {why}"))?;
        let token = match &config.token_file {
            Some(path) => Some(Token::read(path).map_err(|why| anyhow!("token_file: {why}"))?),
            None => None,
        };
        let (allowed_hosts, title) = (config.allow_hosts.clone(), config.title.clone());
        let settings = Settings { listen, allowed_hosts, token, title, filter };
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {listen}"))?;
        *self.listening.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some((settings, listener));
        Ok(())
    }

    async fn run(&self, ctx: &Context) -> Result<()> {
        let bus = ctx.bus().context("it needs a broker")?.clone();
        let listening =
            self.listening.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let (settings, listener) = listening.context("it was not started")?;
        let address = listener.local_addr()?;
        ctx.monitor().set_status(Status::Ok, format!("listening on http://{address}/"));
        run(Observer::new(bus), settings, listener, ctx.cancellation()).await?;
        Ok(())
    }
}

/// Runs it with the arguments of any stand-alone service, until it is told to stop.
pub(crate) fn main(arguments: Vec<String>) -> ExitCode {
    main_of(Serve::registration(), arguments)
}
