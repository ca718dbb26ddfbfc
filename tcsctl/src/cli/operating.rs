//! What the commands take that operate services and launchers.

use std::time::Duration;

use clap::Args;
use tcs_alarms::Span;

use super::moment::span;

/// Of `start`, and in part of `stop` and `restart`.
#[derive(Debug, Args)]
pub struct OperateArgs {
    /// Full names, or filters (asks first if one matches several services)
    #[arg(value_name = "SERVICE", required = true)]
    pub services: Vec<String>,
    /// Skip confirmation
    #[arg(long, short)]
    pub yes: bool,
    /// Print one JSON object per line (schema tcsctl.reply.v1)
    #[arg(long)]
    pub json: bool,
}

/// Whether a service is left to finish first.
#[derive(Debug, Args)]
pub struct PatienceArgs {
    /// Wait until a busy service is idle
    #[arg(long)]
    pub when_idle: bool,
    /// Maximum time to wait
    #[arg(long, value_name = "DURATION", value_parser = span, requires = "when_idle")]
    pub max_wait: Option<Duration>,
}

/// Of `stop` and `restart`.
#[derive(Debug, Args)]
pub struct EndArgs {
    /// Which.
    #[command(flatten)]
    pub operate: OperateArgs,
    /// When.
    #[command(flatten)]
    pub patience: PatienceArgs,
}

/// Of `stop`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Which, and when.
    #[command(flatten)]
    pub end: EndArgs,
    /// Reason for planned work: it is shown, and the service stays stopped until it is started
    #[arg(long, short, value_name = "REASON")]
    pub message: Option<String>,
}

/// Of `profile`.
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// The profile to move to [default: list them]
    #[arg(value_name = "PROFILE")]
    pub name: Option<String>,
    /// Leave the profile: run what the services file says without one
    #[arg(long, conflicts_with = "name")]
    pub clear: bool,
    /// Only launchers that match this filter [default: all running launchers]
    #[arg(long, value_name = "FILTER")]
    pub launcher: Option<String>,
    /// Skip confirmation
    #[arg(long, short)]
    pub yes: bool,
    /// Print one JSON object per line (schema tcsctl.reply.v1)
    #[arg(long)]
    pub json: bool,
}

/// Of `maintenance`.
#[derive(Debug, Args)]
pub struct MaintenanceArgs {
    /// Which services: host:srv02, or any filter
    #[arg(value_name = "FILTER")]
    pub filter: String,
    /// How long it may take: 30m, 2h; alarms are shelved for that time
    #[arg(long = "for", value_name = "DURATION", required_unless_present = "end")]
    pub span: Option<Span>,
    /// Reason: what is done
    #[arg(long, short, value_name = "REASON", required_unless_present = "end")]
    pub message: Option<String>,
    /// Maximum time to wait for busy services [default: until they are idle]
    #[arg(long, value_name = "DURATION", value_parser = span)]
    pub max_wait: Option<Duration>,
    /// Start what an earlier maintenance has stopped
    #[arg(long, conflicts_with_all = ["span", "message", "max_wait"])]
    pub end: bool,
    /// Skip confirmation
    #[arg(long, short)]
    pub yes: bool,
}

/// Of `reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Full name of a launcher, or a filter [default: all running launchers]
    #[arg(value_name = "LAUNCHER")]
    pub launcher: Option<String>,
    /// Skip confirmation
    #[arg(long, short)]
    pub yes: bool,
    /// Show what would change, without changing it
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Print one JSON object per line (schema tcsctl.reply.v1)
    #[arg(long)]
    pub json: bool,
}
