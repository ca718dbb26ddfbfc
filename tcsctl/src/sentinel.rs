//! The sentinel: a service that evaluates the rules of a site, stores the states of alarms, and
//! notifies people (`docs/spec/alarms.md#sentinels`). What it does at each moment is decided by
//! [`tcs_alarms::Sentinel`]; here are the network, the clock and the channels.

mod channel;
mod http;
mod watch;
mod writes;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tcs_alarms::settings::SentinelSettings;
use tcs_alarms::{CHANNELS, ChannelName, Doubt, Notification, RuleSet, WATCHES};
use tcs_core::clock;
use tcs_core::config::Entry;

use tcs_core::prelude::*;
use tcs_core::service::{Service as _, main_of};

use watch::Watching;

/// A built-in service type, which `tcsd` runs like any other.
#[derive(Default)]
struct Sentinel {
    /// It has read the fleet, and can store.
    watches: AtomicBool,
}

#[service]
impl BlockingService for Sentinel {
    type Config = SentinelSettings;

    async fn on_start(&self, ctx: &Context) -> Result<()> {
        if let Some(Doubt { message, hint }) = ctx.config().rules()?.doubt() {
            ctx.warning(format!("{message} ({hint})"));
        }
        let channels: Vec<String> = ctx.config().channels.keys().map(ToString::to_string).collect();
        ctx.metrics(move |it: &Self| {
            json!({(CHANNELS): channels, (WATCHES): it.watches.load(Ordering::Relaxed)})
        });
        ctx.command(TEST, Self::test);
        ctx.command(REPORT, Self::report);
        Ok(())
    }

    async fn run(&self, ctx: &Context) -> Result<()> {
        let bus = ctx.bus().context("the sentinel needs a broker")?.clone();
        Watching::new(ctx, &bus).run(ctx, &self.watches).await;
        Ok(())
    }
}

/// The command that tries a channel.
pub(crate) const TEST: &str = "test";

/// Its parameters.
#[derive(Serialize, Deserialize)]
pub(crate) struct TestRequest {
    /// The channel's name.
    pub(crate) channel: String,
}

/// The command that sends a report.
pub(crate) const REPORT: &str = "report";

/// Its parameters.
#[derive(Serialize, Deserialize)]
pub(crate) struct ReportRequest {
    /// The channel's name.
    pub(crate) channel: String,
    /// The service that has made it.
    pub(crate) service: String,
    /// In one line.
    pub(crate) title: String,
    /// All of it, as plain text.
    pub(crate) text: String,
}

impl Sentinel {
    /// Sends one notification, as it would send an alarm; nothing is stored.
    async fn test(&self, request: TestRequest, ctx: &Context<Self>) -> Result<()> {
        let name = request.channel;
        let notification = Notification::test(&name, ctx.id().as_str(), clock::wall());
        send(&name, notification, ctx).await
    }

    /// Sends the report of a shift; nothing is stored.
    async fn report(&self, request: ReportRequest, ctx: &Context<Self>) -> Result<()> {
        let ReportRequest { channel, service, title, text } = request;
        let now = clock::wall();
        let notification = Notification::report(&channel, &service, title, text, now);
        send(&channel, notification, ctx).await
    }
}

async fn send(
    name: &str,
    notification: Option<Notification>,
    ctx: &Context<Sentinel>,
) -> Result<()> {
    let channels = &ctx.config().channels;
    let Some((_, channel)) = channels.iter().find(|(known, _)| known.as_str() == name) else {
        let known: Vec<&str> = channels.keys().map(ChannelName::as_str).collect();
        bail!("no channel `{name}`; there are: {}", known.join(", "));
    };
    let notification = notification.context("no such channel")?;
    channel::send(channel, &notification).await.map_err(|error| anyhow!(error))
}

/// The rules that an entry `type: sentinel` of a services file makes; what is wrong with them.
pub(crate) fn rules_of(entry: &Entry) -> Result<RuleSet, String> {
    let settings = entry.settings.deserialize::<SentinelSettings>();
    let (settings, _) = settings.map_err(|errors| errors.to_string())?;
    settings.rules().map_err(|error| error.to_string())
}

/// Runs a sentinel with the arguments of any stand-alone service, until it is told to stop.
pub(crate) fn run(arguments: Vec<String>) -> ExitCode {
    main_of(Sentinel::registration(), arguments)
}
