//! What each command takes.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueHint};
use tcs_core::fleet::Verdict;
use tcs_core::wire::Level;
use tcs_core::wire::control::Stream;

use super::moment::{Moment, moment};
use super::past::speed;
use crate::dashboard::theme::ThemeName;
use crate::output::{Color, TimeFormat};

/// Of the list.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ListArgs {
    /// Only services whose name contains this (in any case), including stopped ones
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Include stopped and never-started services
    #[arg(long, short)]
    pub all: bool,
    /// Full details of each service
    #[arg(long, short, conflicts_with = "by")]
    pub detailed: bool,
    /// Group by launcher (a tree), by host (with load, memory, boot time and clock), or not (flat)
    #[arg(long, value_name = "ORDER", default_value = "launcher")]
    pub by: ListOrder,
    /// Print a JSON document (schema tcsctl.fleet.v1)
    #[arg(long)]
    pub json: bool,
    /// Explain symbols and colours
    #[arg(long)]
    pub legend: bool,
    /// Show the state at a past time: 02:13, an age (2h), or RFC 3339
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment)]
    pub at: Option<Moment>,
}

/// In what order the list stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "the words say it")]
pub enum ListOrder {
    #[default]
    Launcher,
    Host,
    Flat,
}

impl From<ListOrder> for tcs_present::by_host::Order {
    fn from(order: ListOrder) -> Self {
        match order {
            ListOrder::Launcher => Self::Launcher,
            ListOrder::Host => Self::Host,
            ListOrder::Flat => Self::Flat,
        }
    }
}

/// Of `watch`.
#[derive(Debug, Default, Args)]
pub struct WatchArgs {
    /// Only these services: part of a name, or any other filter
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Include stopped and never-started services
    #[arg(long, short)]
    pub all: bool,
    /// Start at a past time: 02:13, an age (2h), or RFC 3339
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment,
        conflicts_with_all = ["plain", "json", "replay"])]
    pub at: Option<Moment>,
    /// No full screen: print a line for each change
    #[arg(long)]
    pub plain: bool,
    /// No full screen: print JSON lines, a snapshot first, then each change
    #[arg(long, conflicts_with = "plain")]
    pub json: bool,
    /// Play a recording, without a broker
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub replay: Option<PathBuf>,
    /// Playback speed factor
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed, requires = "replay")]
    pub speed: f64,
    /// Disable starting, stopping and restarting services
    #[arg(long)]
    pub read_only: bool,
    /// Colour theme: terminal, night, contrast or colour-blind
    #[arg(long, value_name = "NAME", value_parser = theme)]
    pub theme: Option<ThemeName>,
    /// Disable mouse support
    #[arg(long)]
    pub no_mouse: bool,
}

fn theme(name: &str) -> Result<ThemeName, String> {
    ThemeName::find(name).ok_or_else(|| {
        let names: Vec<_> = ThemeName::ALL.iter().map(|theme| theme.as_str()).collect();
        format!("write one of {}", names.join(", "))
    })
}

/// Of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Only services that match: part of a name, or any other filter
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Check the state at a past time: 02:13, an age (2h), or RFC 3339
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment)]
    pub at: Option<Moment>,
}

/// What `wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// This verdict.
    Verdict(Verdict),
    /// Running, whatever it says.
    Up,
    /// Not running: stopped, failed, or nothing known of it.
    Gone,
}

impl Goal {
    fn parse(word: &str) -> Result<Self, String> {
        match word {
            "up" => Ok(Self::Up),
            "gone" => Ok(Self::Gone),
            _ => Verdict::ALL
                .into_iter()
                .find(|verdict| verdict.as_str() == word)
                .map(Self::Verdict)
                .ok_or_else(|| {
                    let words: Vec<_> = Verdict::ALL.iter().map(|v| v.as_str()).collect();
                    format!("write up, gone or a verdict: {}", words.join(", "))
                }),
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Verdict(verdict) => verdict.fmt(f),
            Self::Up => f.pad("up"),
            Self::Gone => f.pad("gone"),
        }
    }
}

/// Of `wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Full name of the service
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Condition: `up`, `gone`, or a verdict (ok, late, lost, failed, stopped, ...)
    #[arg(long = "for", value_name = "WHAT", value_parser = Goal::parse, default_value = "ok")]
    pub goal: Goal,
}

/// Of `health` and `stats`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Full name of the service, or a filter for all running services that match
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Print one JSON object per line (schema tcsctl.reply.v1)
    #[arg(long)]
    pub json: bool,
}

/// Of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Only services that match
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Repeat every 2 s
    #[arg(long, short)]
    pub follow: bool,
    /// Sort order
    #[arg(long, value_name = "BY", default_value = "cpu")]
    pub sort: TopOrder,
    /// Print a JSON document, with --follow one per line (schema tcsctl.resources.v1)
    #[arg(long)]
    pub json: bool,
}

/// Of `metrics`.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// Only services that match
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Write to a file, which is replaced atomically
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

/// Of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Only services that match
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8765")]
    pub listen: SocketAddr,
    /// Also accept requests for this host name; may be repeated
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// Require the token in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "no_token")]
    pub token_file: Option<PathBuf>,
    /// Allow listening on other addresses than loopback without a token
    #[arg(long)]
    pub no_token: bool,
    /// Title of the page
    #[arg(long, value_name = "TEXT", default_value = "TCS")]
    pub title: String,
}

/// By what `top` sorts.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[expect(missing_docs, reason = "the words say it")]
pub enum TopOrder {
    Cpu,
    Memory,
    Name,
}

impl From<TopOrder> for tcs_present::top::Order {
    fn from(order: TopOrder) -> Self {
        match order {
            TopOrder::Cpu => Self::Cpu,
            TopOrder::Memory => Self::Memory,
            TopOrder::Name => Self::Name,
        }
    }
}

/// Of `call`.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// Full name of the service
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Command; without it, list the commands that the service offers
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
    /// Parameters as a JSON object
    #[arg(value_name = "JSON")]
    pub parameters: Option<String>,
    /// Print one JSON object per line (schema tcsctl.reply.v1)
    #[arg(long)]
    pub json: bool,
}

/// Of `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Full name of the service, or a filter; the lines of several services are merged by time
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Number of most recent lines, of all services together
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    pub lines: u32,
    /// Continue with new lines as they come
    #[arg(long, short)]
    pub follow: bool,
    /// Only one run: 0 is the current or last one, -1 the one before
    #[arg(long, value_name = "RUN", allow_hyphen_values = true, conflicts_with = "follow",
        value_parser = clap::value_parser!(i64).range(..=0))]
    pub run: Option<i64>,
    /// Only lines of this level and above
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<LevelArg>,
    /// Only lines of this output
    #[arg(long, value_name = "OUTPUT")]
    pub stream: Option<StreamArg>,
    /// Print one JSON object per line (schema tcsctl.log.v1)
    #[arg(long)]
    pub json: bool,
}

/// A level of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LevelArg {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Debug => Self::DEBUG,
            LevelArg::Info => Self::INFO,
            LevelArg::Notice => Self::NOTICE,
            LevelArg::Warning => Self::WARNING,
            LevelArg::Error => Self::ERROR,
            LevelArg::Critical => Self::CRITICAL,
        }
    }
}

/// An output of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StreamArg {
    Stdout,
    Stderr,
}

impl From<StreamArg> for Stream {
    fn from(stream: StreamArg) -> Self {
        match stream {
            StreamArg::Stdout => Self::Stdout,
            StreamArg::Stderr => Self::Stderr,
        }
    }
}

/// Of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the demo running until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Open the dashboard on it
    #[arg(long, conflicts_with = "keep")]
    pub watch: bool,
}

/// Of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print keys and theme, with a description of each command
    Show,
}

/// Of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    pub shell: String,
}

/// Of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Command [default: tcsctl itself]
    pub command: Option<String>,
}

/// Of `sentinel`, `report-service` and `serve-service`: those of any stand-alone service.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// Configuration file, variant, and options that launchers add
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// How to print.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print help
    #[arg(long, short, global = true, action = ArgAction::HelpShort, help_heading = None, display_order = 900)]
    help: Option<bool>,
    /// Print the source of each setting and what was read (to standard error)
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub color: Color,
    /// Use ASCII symbols only (automatic if the locale is not UTF-8)
    #[arg(long, global = true)]
    pub ascii: bool,
    /// How to write times
    #[arg(long, value_name = "HOW", value_enum, default_value_t, global = true)]
    pub time: TimeFormat,
    /// As the Python tool had it: the same as --color never
    #[arg(long, global = true, hide = true)]
    pub no_color: bool,
    /// Of the Python tools; without effect
    #[arg(long, global = true, hide = true)]
    no_banner: bool,
    /// Of the Python launchers; without effect
    #[arg(long, short, global = true, hide = true, value_name = "KIND")]
    launcher: Option<String>,
    /// Of the Python launchers; without effect
    #[arg(long, global = true, hide = true, value_name = "SECONDS", action = ArgAction::Set)]
    terminate_delay: Option<String>,
}

impl ListArgs {
    /// The first argument that was given, as typed.
    pub(super) fn given(&self) -> String {
        if let Some(service) = self.services.first() {
            return format!("`{service}`");
        }
        let flags = [
            (self.all, "--all"),
            (self.detailed, "--detailed"),
            (self.json, "--json"),
            (self.legend, "--legend"),
            (self.at.is_some(), "--at"),
            (self.by != ListOrder::default(), "--by"),
        ];
        let flag = flags.iter().find(|(given, _)| *given).map_or("an option", |(_, name)| name);
        format!("`{flag}`")
    }
}
