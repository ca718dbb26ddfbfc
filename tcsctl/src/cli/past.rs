//! Options of the commands that show the past.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::moment::{Moment, moment, span};

/// Of `timeline`.
#[derive(Debug, Args)]
pub struct TimelineArgs {
    /// Only these services: part of a name, or any other filter
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Start of the period: an age (8h), 20:00, or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "8h", allow_hyphen_values = true, value_parser = moment)]
    pub since: Moment,
    /// End of the period [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment)]
    pub until: Option<Moment>,
    /// Only services that had a problem in the period
    #[arg(long)]
    pub problems: bool,
    /// Print a JSON document (schema tcsctl.timeline.v1)
    #[arg(long)]
    pub json: bool,
}

/// Of `graph`.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Only these services, and those before and after them: part of a name, or any other filter
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Output format; json: schema tcsctl.graph.v1
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: GraphFormat,
    /// Show the state at a past time: 02:13, an age (2h), or RFC 3339
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment)]
    pub at: Option<Moment>,
}

/// In what form the order of starts is printed.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[expect(missing_docs, reason = "the words say it")]
pub enum GraphFormat {
    Text,
    Mermaid,
    Json,
}

/// Of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Start of the period: 20:00, an age (12h), or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "12h", allow_hyphen_values = true, value_parser = moment)]
    pub since: Moment,
    /// End of the period [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment)]
    pub until: Option<Moment>,
    /// Output format; json: schema tcsctl.report.v1
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ReportFormat,
}

/// In what form a report is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "the words say it")]
pub enum ReportFormat {
    #[default]
    Text,
    Md,
    Html,
    Json,
}

/// Of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Only services that match: part of a name, or any other filter
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Start of the period: an age (1h), 02:13, or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "1h", allow_hyphen_values = true, value_parser = moment)]
    pub since: Moment,
    /// Continue with new events as they come
    #[arg(long, short)]
    pub follow: bool,
    /// Include changes between ok, busy and idle (--json always does)
    #[arg(long, short, conflicts_with = "problems")]
    pub all: bool,
    /// Problems only: failures, crashes, missing heartbeats, warnings
    #[arg(long)]
    pub problems: bool,
    /// Print one JSON object per line (schema tcsctl.event.v1)
    #[arg(long)]
    pub json: bool,
}

/// Of `why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// Full name of the service, or a filter that matches one service
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Explain its state at a past time: 02:13, an age (2h), or RFC 3339
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment)]
    pub at: Option<Moment>,
    /// Print a JSON document (schema tcsctl.why.v1)
    #[arg(long)]
    pub json: bool,
}

/// Of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Output file; `-` is standard output
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// How long to record [default: until Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = span)]
    pub span: Option<Duration>,
}

/// Of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A recording; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Playback speed factor
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Publish all at once
    #[arg(long, conflicts_with = "speed")]
    pub instant: bool,
    /// Leave the times in the messages as they were
    #[arg(long)]
    pub as_is: bool,
    /// Create missing streams
    #[arg(long)]
    pub create_streams: bool,
    /// The subject prefix in the recording
    #[arg(long, value_name = "PREFIX", default_value = "svc")]
    pub from_prefix: String,
    /// Skip confirmation: publish even if services run there
    #[arg(long, short)]
    pub yes: bool,
    /// Publish even if a sentinel is watching, which would notify people
    #[arg(long)]
    pub force: bool,
}

pub(super) fn speed(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|speed| (0.001..=1e6).contains(speed))
        .ok_or_else(|| "write a number from 0.001 to 1000000, as 10 or 0.5".to_owned())
}
