//! The command line. The list's own arguments stand beside an optional subcommand, so that
//! `tcsctl`, `tcsctl guider` and `tcsctl --all` are the list; connection and output options are
//! taken before and after any subcommand.

mod connection;
pub mod moment;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use tcs_core::fleet::Verdict;

pub use connection::ConnectionArgs;

use crate::commands::completions;
use crate::dashboard::theme::ThemeName;
use crate::exit;
use crate::output::{Color, Times};
use moment::{Moment, moment, span};

/// The terminal's own sixteen colours.
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Green.on_default());

/// Shows what is so in a fleet of observatory services.
#[derive(Debug, Parser)]
#[command(
    name = "tcsctl",
    version,
    about = "Shows what is so in a fleet of observatory services: which run, which do not, and why.\n\
             Without a command it lists the running services and whatever is broken.",
    after_help = after_help(),
    styles = STYLES,
    disable_help_subcommand = true,
    disable_help_flag = true,
)]
pub struct Cli {
    /// What to list, when there is no command.
    #[command(flatten)]
    pub list: ListArgs,
    /// Where to connect.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What to do; `None`: list.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  tcsctl                       running services, and what is broken
  tcsctl guider -d             all that is known of services with `guider` in their name
  tcsctl --all --json          everything, for scripts
  tcsctl --at 02:13            the picture at 02:13 UTC
  tcsctl watch                 the full-screen dashboard
  tcsctl events -f             what happens, as it happens
  tcsctl check && echo fine    for monitoring
  tcsctl demo                  try it without a fleet

A filter may also be /regex/, host:srv01, status:busy, verdict:lost, phase:backoff, launcher:Kx1x
or is:fault; ! before it turns it round; several in quotes must all hold. A service named like a
command is listed by `tcsctl list NAME`.";

const SETTINGS: &str = "\
Settings come from flags, then the configuration file's `nats` section, then NATS_URL, NATS_HOST,
NATS_PORT, NATS_CREDS..., then the selected `nats` context, then localhost:4222; --verbose says
which won.";

fn after_help() -> String {
    format!("{EXAMPLES}\n\n{}\n\n{SETTINGS}", exit::HELP)
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List services (what `tcsctl` does without a command)
    #[command(after_help = "\
Examples:
  tcsctl list                  the same as: tcsctl
  tcsctl list watch            a service named like a command
  tcsctl list 'host:srv01 !is:fault'")]
    List(ListArgs),
    /// What happened: life cycle and status changes, with durations
    #[command(after_help = "\
Examples:
  tcsctl events                the last hour, of all services
  tcsctl events guider -f      and go on with what happens
  tcsctl events --since 12h --json | jq 'select(.event == \"crashed\")'")]
    Events(EventsArgs),
    /// The full-screen dashboard
    #[command(after_help = "\
Examples:
  tcsctl watch                 what is wrong stands first; ? shows the keys
  tcsctl watch guider          only some, or any other filter
  tcsctl watch --replay night.jsonl --speed 60
  tcsctl watch --plain         a line for each change: for screen readers and simple terminals
  tcsctl watch --json          the picture as one JSON line, then one for each change

It goes on trying while the broker is away, and never ends by itself but with its terminal.")]
    Watch(WatchArgs),
    /// One line and an exit code, for monitoring
    #[command(after_help = format!("{}\n\n{}", "\
Examples:
  tcsctl check                 the whole fleet
  tcsctl check guider.jk15     one service; a stopped one is CRITICAL
  tcsctl check --at 2h         how it was", exit::CHECK_HELP))]
    Check(CheckArgs),
    /// Wait until a service is as wanted, for scripts
    #[command(after_help = "\
Examples:
  tcsctl wait guider.jk15 --for ok --timeout 60s
  tcsctl wait guider.jk15 --for up && ./observe
  tcsctl wait guider.jk15 --for gone

It ends with 0 when it is so, with 1 after --timeout (60 s here, unless given).")]
    Wait(WaitArgs),
    /// Record the fleet's messages into a file
    #[command(after_help = "\
Examples:
  tcsctl record night.jsonl            until Ctrl-C
  tcsctl record night.jsonl --for 1h

One message a line: receive time, subject, headers and the body as text. Where no stream holds
the subjects nothing is listened to (a mere listener slows Python publishers down); with --core
it is.")]
    Record(RecordArgs),
    /// Publish a recording into a broker
    #[command(after_help = "\
Examples:
  tcsctl replay night.jsonl --server nats://127.0.0.1:4333 --create-streams
  tcsctl replay night.jsonl --speed 10
  tcsctl replay night.jsonl --instant

Times in the messages are shifted so that they happen now; --as-is leaves them.")]
    Replay(ReplayArgs),
    /// Show all of this without a fleet: a private broker with recorded messages
    #[command(after_help = "\
Examples:
  tcsctl demo                  start a broker, replay recordings, list them, and stop it
  tcsctl demo --keep           leave it running, to try other commands on it

It needs a nats-server program: TCS_NATS_SERVER, or in PATH, /usr/sbin or a .tools folder.")]
    Demo(DemoArgs),
    /// Print a shell's completion script; service names are completed from the broker
    #[command(after_help = "\
Examples:
  source <(tcsctl completions bash)
  tcsctl completions zsh > ~/.zfunc/_tcsctl
  tcsctl completions fish > ~/.config/fish/completions/tcsctl.fish")]
    Completions(CompletionsArgs),
    /// Print a manual page
    #[command(after_help = "\
Examples:
  tcsctl man | man -l -
  tcsctl man check | man -l -")]
    Man(ManArgs),
}

/// Of the list.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ListArgs {
    /// Only services whose name holds this (any case); it looks through everything
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(completions::services))]
    pub service: Option<String>,
    /// With the stopped and the declared
    #[arg(long, short)]
    pub all: bool,
    /// Many lines a service, with all that is known
    #[arg(long, short)]
    pub detailed: bool,
    /// A JSON document (schema tcsctl.fleet.v1)
    #[arg(long)]
    pub json: bool,
    /// What the symbols and colours mean
    #[arg(long)]
    pub legend: bool,
    /// The picture at a past time: 02:13, an age (2h), or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Moment>,
}

/// Of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Only services whose name holds this
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(completions::services))]
    pub service: Option<String>,
    /// From when on: an age (1h), 02:13, or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = moment)]
    pub since: Moment,
    /// Go on with what happens
    #[arg(long, short)]
    pub follow: bool,
    /// One JSON object a line (schema tcsctl.event.v1)
    #[arg(long)]
    pub json: bool,
}

/// Of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Only these services: part of a name, or any other filter
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(completions::services))]
    pub service: Option<String>,
    /// With the stopped and the declared
    #[arg(long, short)]
    pub all: bool,
    /// No full screen: a line for each change
    #[arg(long)]
    pub plain: bool,
    /// No full screen: JSON lines, the picture first, then each change
    #[arg(long, conflicts_with = "plain")]
    pub json: bool,
    /// Play a recording, without a broker
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub replay: Option<PathBuf>,
    /// That many times as fast as it was
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed, requires = "replay")]
    pub speed: f64,
    /// Services cannot be started, stopped or restarted from it
    #[arg(long)]
    pub read_only: bool,
    /// Its colours: terminal, night, contrast or colour-blind
    #[arg(long, value_name = "NAME", value_parser = theme)]
    pub theme: Option<ThemeName>,
    /// Leave the mouse to the terminal
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
    /// Only this service, or those whose name holds this
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(completions::services))]
    pub service: Option<String>,
    /// At a past time: 02:13, an age (2h), or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
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
    /// The service's whole name
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(completions::services))]
    pub service: String,
    /// Until it is so: `up`, `gone`, or a verdict (ok, late, lost, failed, stopped, ...)
    #[arg(long = "for", value_name = "WHAT", value_parser = Goal::parse, default_value = "ok")]
    pub goal: Goal,
}

/// Of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Where to; `-` is standard output
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// How long; else until Ctrl-C
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    pub span: Option<Duration>,
}

/// Of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A recording; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// That many times as fast as it was
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// All at once
    #[arg(long, conflicts_with = "speed")]
    pub instant: bool,
    /// Leave the times in the messages as they were
    #[arg(long)]
    pub as_is: bool,
    /// Make the streams that are missing
    #[arg(long)]
    pub create_streams: bool,
    /// The subject prefix in the recording
    #[arg(long, value_name = "PREFIX", default_value = "svc")]
    pub from_prefix: String,
}

fn speed(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|speed: &f64| speed.is_finite() && *speed > 0.0)
        .ok_or_else(|| "write a number over 0, as 10 or 0.5".to_owned())
}

/// Of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave the broker running until Ctrl-C
    #[arg(long)]
    pub keep: bool,
}

/// Of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    pub shell: String,
}

/// Of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Of which command; else of tcsctl itself
    pub command: Option<String>,
}

/// How to print.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print help
    #[arg(long, short, global = true, action = ArgAction::HelpShort, help_heading = "Options")]
    help: Option<bool>,
    /// Say on standard error where settings came from and how the reading went
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub color: Color,
    /// ASCII signs only (chosen by itself where the locale is not UTF-8)
    #[arg(long, global = true)]
    pub ascii: bool,
    /// How to write times
    #[arg(long, value_name = "HOW", value_enum, default_value_t, global = true)]
    pub time: Times,
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

impl Command {
    /// As it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Events(_) => "events",
            Self::Watch(_) => "watch",
            Self::Check(_) => "check",
            Self::Wait(_) => "wait",
            Self::Record(_) => "record",
            Self::Replay(_) => "replay",
            Self::Demo(_) => "demo",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

impl Cli {
    /// What the list's arguments before another command amount to: for `list` they count with its
    /// own, for any other they are an error, with a hint.
    pub fn settle(&mut self) -> Result<(), String> {
        let outer = std::mem::take(&mut self.list);
        match &mut self.command {
            None => self.list = outer,
            Some(Command::List(list)) => {
                list.service = list.service.take().or(outer.service);
                list.at = list.at.take().or(outer.at);
                list.all |= outer.all;
                list.detailed |= outer.detailed;
                list.json |= outer.json;
                list.legend |= outer.legend;
            }
            Some(_) if outer == ListArgs::default() => {}
            Some(command) => {
                let name = command.name();
                let given = outer.given();
                return Err(format!(
                    "{given} before `{name}` belongs to the list, and `{name}` would ignore it\n\
                     hint: options of a command stand after it: tcsctl {name} --help"
                ));
            }
        }
        Ok(())
    }
}

impl ListArgs {
    /// The first argument that was given, as typed.
    fn given(&self) -> String {
        if let Some(service) = &self.service {
            return format!("`{service}`");
        }
        let flags = [
            (self.all, "--all"),
            (self.detailed, "--detailed"),
            (self.json, "--json"),
            (self.legend, "--legend"),
            (self.at.is_some(), "--at"),
        ];
        let flag = flags.iter().find(|(given, _)| *given).map_or("an option", |(_, name)| name);
        format!("`{flag}`")
    }
}

#[cfg(test)]
mod tests;
