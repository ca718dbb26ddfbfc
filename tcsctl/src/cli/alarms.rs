//! Arguments of the commands about alarms.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use tcs_alarms::Span;

use super::moment::{Moment, moment};

/// Of `alarms`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AlarmsArgs {
    /// Something else than the list.
    #[command(subcommand)]
    pub action: Option<AlarmsAction>,
    /// Only alarms of matching services
    #[arg(value_name = "FILTER")]
    pub filter: Option<String>,
    /// Include alarms that are over
    #[arg(long, short)]
    pub all: bool,
    /// Print one JSON document, with --follow one per line (schema tcsctl.alarms.v1)
    #[arg(long)]
    pub json: bool,
    /// Show the alarms at a past time: 02:13, an age (2h), or RFC 3339
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment)]
    pub at: Option<Moment>,
    /// Continue with changes as they come
    #[arg(long, short, conflicts_with = "at")]
    pub follow: bool,
}

/// What else can be done about alarms.
#[derive(Debug, Subcommand)]
pub enum AlarmsAction {
    /// Replace the active rules by those of a services file
    #[command(after_help = "\
Examples:
  tcsctl alarms apply config/services.yaml
  tcsctl alarms apply --own    return to the sentinels' own rules

Shows what would change, and asks. Needs the permissions of a sentinel (those of tcsd).")]
    Apply(ApplyArgs),
    /// Count raised alarms: how often, which ones, which stay open
    #[command(after_help = "\
Examples:
  tcsctl alarms stats
  tcsctl alarms stats --since 7d
  tcsctl alarms stats --json | jq '.top[] | {id, raises}'

Only messages that the stream still holds are counted: the last 64 of each alarm.")]
    Stats(StatsArgs),
    /// Show what rules would have raised in a past period, and who would have been notified
    #[command(after_help = "\
Examples:
  tcsctl alarms replay         the active rules, over the last 24 hours
  tcsctl alarms replay --since 20:00 --until 08:00
  tcsctl alarms replay --since 7d --rules config/services.yaml
  tcsctl alarms replay --json | jq '.raises[] | select(.notified == [])'

Nothing is stored or sent. Acknowledgements and shelves of that time do not count. Missing
heartbeats are only known as far back as the stream holds heartbeats (by default a day).")]
    Replay(AlarmsReplayArgs),
    /// Have each running sentinel send a test notification through a channel
    #[command(after_help = "\
Examples:
  tcsctl alarms test phone")]
    Test(TestArgs),
}

/// Of `alarms apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Services file with an entry `type: sentinel`
    #[arg(value_name = "FILE", required_unless_present = "own")]
    pub file: Option<PathBuf>,
    /// Undo `apply`: the sentinels return to the rules of their own files
    #[arg(long, conflicts_with_all = ["file", "variant"])]
    pub own: bool,
    /// Variant of the sentinel, if sentinels of the file have different rules
    #[arg(long)]
    pub variant: Option<String>,
    /// Skip confirmation
    #[arg(long, short)]
    pub yes: bool,
}

/// Of `alarms stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// How far back: 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub since: Span,
    /// Print a JSON document (schema tcsctl.alarms-stats.v1)
    #[arg(long)]
    pub json: bool,
}

/// Of `alarms replay`.
#[derive(Debug, Args)]
pub struct AlarmsReplayArgs {
    /// Start of the period: an age (24h), 20:00, or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = moment)]
    pub since: Moment,
    /// End of the period [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
    /// Rules of the sentinels in this services file [default: the active rules]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub rules: Option<PathBuf>,
    /// Variant of the sentinel, if sentinels of the file have different rules
    #[arg(long, requires = "rules")]
    pub variant: Option<String>,
    /// Print a JSON document (schema tcsctl.alarms-replay.v1)
    #[arg(long)]
    pub json: bool,
}

/// Of `alarms test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Channel, as the sentinels' configuration names it
    #[arg(value_name = "CHANNEL")]
    pub channel: String,
    /// Print one JSON object per sentinel
    #[arg(long)]
    pub json: bool,
}

/// Of `ack`.
#[derive(Debug, Args)]
pub struct AckArgs {
    /// Alarm (RULE/SERVICE), or a service for all its open alarms
    #[arg(value_name = "ALARM", required = true)]
    pub alarms: Vec<String>,
    /// Note: what you are doing about it
    #[arg(long = "message", short = 'm', value_name = "NOTE")]
    pub note: String,
    /// Expire after this time: 30m, 2h, 1d
    #[arg(long, value_name = "TIME")]
    pub expires: Option<Span>,
}

/// Of `unack`.
#[derive(Debug, Args)]
pub struct UnackArgs {
    /// Alarm (RULE/SERVICE), or a service for all its open alarms
    #[arg(value_name = "ALARM", required = true)]
    pub alarms: Vec<String>,
}

/// Of `note`.
#[derive(Debug, Args)]
pub struct NoteArgs {
    /// Alarm (RULE/SERVICE), or a service for all its open alarms
    #[arg(value_name = "ALARM", required = true)]
    pub alarms: Vec<String>,
    /// Text of the note
    #[arg(long = "message", short = 'm', value_name = "NOTE")]
    pub note: String,
}

/// Of `shelve`.
#[derive(Debug, Args)]
pub struct ShelveArgs {
    /// Services and hosts whose alarms are silenced
    #[arg(value_name = "FILTER", required_unless_present = "rule")]
    pub filter: Option<String>,
    /// Only alarms of this rule
    #[arg(long)]
    pub rule: Option<String>,
    /// How long: 30m, 2h, at most 7d
    #[arg(long = "for", value_name = "TIME")]
    pub span: Span,
    /// Reason
    #[arg(long = "message", short = 'm', value_name = "REASON")]
    pub reason: String,
}

/// Of `unshelve`.
#[derive(Debug, Args)]
pub struct UnshelveArgs {
    /// Id of the shelf, as `tcsctl alarms` shows it
    #[arg(value_name = "ID")]
    pub id: String,
}
