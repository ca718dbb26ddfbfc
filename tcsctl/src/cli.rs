//! The command line. The list's own arguments stand beside an optional subcommand, so that
//! `tcsctl`, `tcsctl guider` and `tcsctl --all` are the list; connection and output options are
//! taken before and after any subcommand.

mod args;
mod connection;
pub mod moment;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

pub use args::{
    CheckArgs, CompletionsArgs, ConfigArgs, ConfigCommand, DemoArgs, EndArgs, EventsArgs, Goal,
    HealthArgs, ListArgs, LogsArgs, ManArgs, OperateArgs, OutputArgs, PatienceArgs, RecordArgs,
    ReloadArgs, ReplayArgs, WaitArgs, WatchArgs,
};
pub use connection::ConnectionArgs;

use crate::exit;

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
    about = "Show the state of a fleet of observatory services: which run, which do not, and why.\n\
             Without a command it lists the running services and whatever is broken.",
    after_help = after_help(),
    styles = STYLES,
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
Settings:
  come from flags, then the configuration file's `nats` section, then NATS_URL,
  NATS_HOST, NATS_PORT, NATS_CREDS..., then the selected `nats` context, then
  localhost:4222; --verbose says which won.";

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
    /// Ask a service itself how it is: its status and each of its checks
    #[command(after_help = "\
Examples:
  tcsctl health guider.jk15
  tcsctl health guider         all running ones with `guider` in their name
  tcsctl health guider.jk15 --json | jq .data.checks

It ends with 0 when all have answered, whatever they say of themselves; for that there is `check`.")]
    Health(HealthArgs),
    /// Ask a service itself for its figures
    #[command(after_help = "\
Examples:
  tcsctl stats guider.jk15
  tcsctl stats guider.jk15 --json | jq .data.stats")]
    Stats(HealthArgs),
    /// Start services, by their launchers
    #[command(after_help = "\
Examples:
  tcsctl start guider.jk15 dome_follower.main
  tcsctl start host:srv01 --yes

It ends when all run, or with an error; --timeout says how long it may take [default: 60s].")]
    Start(OperateArgs),
    /// Stop services, by their launchers
    #[command(after_help = "\
Examples:
  tcsctl stop guider.jk15
  tcsctl stop guider.jk15 --when-idle --max-wait 10m
  tcsctl stop guider --yes     all with `guider` in their name; without --yes it asks first

It ends when all have ended; --timeout says how long it may take [default: 60s].")]
    Stop(EndArgs),
    /// Stop services and start them again, by their launchers
    #[command(after_help = "\
Examples:
  tcsctl restart guider.jk15
  tcsctl restart guider.jk15 --when-idle

It ends when all run again; --timeout says how long it may take [default: 60s].")]
    Restart(EndArgs),
    /// Have launchers read their configuration again
    #[command(after_help = "\
Examples:
  tcsctl reload                the launcher, where there is one; of several it asks first
  tcsctl reload host:srv01
  tcsctl reload --dry-run      what it would change")]
    Reload(ReloadArgs),
    /// What a service has written
    #[command(after_help = "\
Examples:
  tcsctl logs guider.jk15      its last 100 lines, as its launcher holds them
  tcsctl logs guider.jk15 -n 1000
  tcsctl logs guider.jk15 -f   and go on with what it writes")]
    Logs(LogsArgs),
    /// Record the fleet into a file: its state now, then its messages
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
    /// Show all of this without a fleet: a private broker, and a launcher with sample services
    #[command(after_help = "\
Examples:
  tcsctl demo                  start it, list the services, and stop it
  tcsctl demo --watch          see it in the dashboard; `q` stops it
  tcsctl demo --keep           leave it running, to try other commands on it

Two of the services do not do well, to see how that looks. It needs a nats-server program
(TCS_NATS_SERVER, or in PATH, /usr/sbin or a .tools folder) and tcsd, beside tcsctl or in PATH.
Where a Python with serverish is found, one service is a Python one.")]
    Demo(DemoArgs),
    /// The dashboard's keys and theme, as they count
    #[command(after_help = "\
Examples:
  tcsctl config show           all of it, in the form of the file ~/.config/tcsctl/console.yaml")]
    Config(ConfigArgs),
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

impl Command {
    /// As it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Events(_) => "events",
            Self::Watch(_) => "watch",
            Self::Check(_) => "check",
            Self::Wait(_) => "wait",
            Self::Health(_) => "health",
            Self::Stats(_) => "stats",
            Self::Start(_) => "start",
            Self::Stop(_) => "stop",
            Self::Restart(_) => "restart",
            Self::Reload(_) => "reload",
            Self::Logs(_) => "logs",
            Self::Record(_) => "record",
            Self::Replay(_) => "replay",
            Self::Demo(_) => "demo",
            Self::Config(_) => "config",
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

#[cfg(test)]
mod tests;
