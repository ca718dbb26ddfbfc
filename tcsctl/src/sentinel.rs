//! The sentinel: a service that evaluates the rules of a site, stores the states of alarms, and
//! notifies people (`docs/spec/alarms.md#sentinels`). What it does at each moment is decided by
//! [`tcs_alarms::Sentinel`]; here are the network, the clock and the channels.

mod channel;
mod http;
mod settings;
mod watch;
mod writes;

use std::process::ExitCode;

use tcs_core::prelude::*;
use tcs_core::service::{Service as _, main_of};

use settings::SentinelSettings;
use watch::Watching;

/// A built-in service type, which `tcsd` runs like any other.
#[derive(Default)]
struct Sentinel;

#[service]
impl BlockingService for Sentinel {
    type Config = SentinelSettings;

    async fn on_start(&self, ctx: &Context) -> Result<()> {
        ctx.config().rules()?;
        Ok(())
    }

    async fn run(&self, ctx: &Context) -> Result<()> {
        let bus = ctx.bus().context("the sentinel needs a broker")?.clone();
        Watching::new(ctx, &bus).run(ctx).await;
        Ok(())
    }
}

/// Runs a sentinel with the arguments of any stand-alone service, until it is told to stop.
pub(crate) fn run(arguments: Vec<String>) -> ExitCode {
    main_of(Sentinel::registration(), arguments)
}
