//! The command line. The list's own arguments stand beside an optional subcommand, so that
//! `tcsctl`, `tcsctl guider` and `tcsctl --all` are the list; connection and output options are
//! taken before and after any subcommand.

mod alarms;
mod args;
mod connection;
pub mod moment;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

pub use alarms::{AckArgs, AlarmsArgs, NoteArgs, ShelveArgs, UnackArgs, UnshelveArgs};
pub use args::{
    CallArgs, CheckArgs, CompletionsArgs, ConfigArgs, ConfigCommand, DemoArgs, EndArgs, EventsArgs,
    Goal, HealthArgs, ListArgs, ListOrder, LogsArgs, ManArgs, OperateArgs, OutputArgs,
    PatienceArgs, RecordArgs, ReloadArgs, ReplayArgs, SentinelArgs, TopArgs, TopOrder, WaitArgs,
    WatchArgs,
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
  tcsctl --by host             hosts side by side: problems, load, memory, boot, clock
  tcsctl watch                 the full-screen dashboard
  tcsctl events -f             events as they happen
  tcsctl check && echo fine    for monitoring
  tcsctl demo                  try it without a fleet

A filter may also be /regex/, host:srv01, status:busy, verdict:lost, phase:backoff, launcher:Kx1x
or is:fault; ! negates; several in quotes must all match. A service named like a
command is listed by `tcsctl list NAME`.";

const SETTINGS: &str = "\
Settings:
  come from flags, then the configuration file's `nats` section, then NATS_URL,
  NATS_HOST, NATS_PORT, NATS_CREDS..., then the selected `nats` context, then
  localhost:4222; --verbose tells which one is used.";

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
    /// Show events: life cycle and status changes, with durations
    #[command(after_help = "\
Examples:
  tcsctl events                the last hour, of all services
  tcsctl events guider -f      and new events as they come
  tcsctl events --since 12h --json | jq 'select(.event == \"crashed\")'")]
    Events(EventsArgs),
    /// Open the full-screen dashboard
    #[command(after_help = "\
Examples:
  tcsctl watch                 problems first; ? shows the keys
  tcsctl watch guider          only some, or any other filter
  tcsctl watch --replay night.jsonl --speed 60
  tcsctl watch --plain         a line for each change: for screen readers and simple terminals
  tcsctl watch --json          the picture as one JSON line, then one for each change

It keeps trying while the broker cannot be reached, and ends only with its terminal.")]
    Watch(WatchArgs),
    /// Print one line and an exit code, for monitoring
    #[command(after_help = format!("{}\n\n{}", "\
Examples:
  tcsctl check                 the whole fleet
  tcsctl check guider.jk15     one service; a stopped one is CRITICAL
  tcsctl check --at 2h         how it was", exit::CHECK_HELP))]
    Check(CheckArgs),
    /// Wait until a service reaches a state, for scripts
    #[command(after_help = "\
Examples:
  tcsctl wait guider.jk15 --for ok --timeout 60s
  tcsctl wait guider.jk15 --for up && ./observe
  tcsctl wait guider.jk15 --for gone

Exits with 0 when the condition holds, with 1 after --timeout (default here: 60 s).")]
    Wait(WaitArgs),
    /// Ask a service for its status and its health checks
    #[command(after_help = "\
Examples:
  tcsctl health guider.jk15
  tcsctl health guider         all running ones with `guider` in their name
  tcsctl health guider.jk15 --json | jq .data.checks

Exits with 0 when all have answered, whatever their status; use `check` to test the status.")]
    Health(HealthArgs),
    /// Ask a service for its statistics
    #[command(after_help = "\
Examples:
  tcsctl stats guider.jk15
  tcsctl stats guider.jk15 --json | jq .data.stats")]
    Stats(HealthArgs),
    /// Show what services and hosts use: processor, memory, files
    #[command(after_help = "\
Examples:
  tcsctl top                   all running services, by processor time
  tcsctl top guider -f         and again every 2 s
  tcsctl top --sort memory host:srv01
  tcsctl top --json | jq '.services[] | {service_id, rss_bytes}'

100 % is one core. Memory is resident memory: what processes share is counted for each.
The figures come from the launchers; a service that runs as a task has none of its own.")]
    Top(TopArgs),
    /// Call a command that a service offers, or list its commands
    #[command(after_help = "\
Examples:
  tcsctl call guider.jk15      the commands that it offers, and their parameters
  tcsctl call guider.jk15 reset
  tcsctl call guider.jk15 move '{\"dx\": 1.5}' --json | jq .data")]
    Call(CallArgs),
    /// Start services
    #[command(after_help = "\
Examples:
  tcsctl start guider.jk15 dome_follower.main
  tcsctl start host:srv01 --yes

Returns when all run, or with an error; --timeout limits the time [default: 60s].")]
    Start(OperateArgs),
    /// Stop services
    #[command(after_help = "\
Examples:
  tcsctl stop guider.jk15
  tcsctl stop guider.jk15 --when-idle --max-wait 10m
  tcsctl stop guider --yes     all with `guider` in their name; without --yes it asks first

Returns when all have stopped; --timeout limits the time [default: 60s].")]
    Stop(EndArgs),
    /// Restart services
    #[command(after_help = "\
Examples:
  tcsctl restart guider.jk15
  tcsctl restart guider.jk15 --when-idle

Returns when all run again; --timeout limits the time [default: 60s].")]
    Restart(EndArgs),
    /// Make launchers reread their configuration
    #[command(after_help = "\
Examples:
  tcsctl reload                all launchers; asks first if there are several
  tcsctl reload host:srv01
  tcsctl reload --dry-run      show what would change")]
    Reload(ReloadArgs),
    /// Show the output of a service
    #[command(after_help = "\
Examples:
  tcsctl logs guider.jk15      its last 100 lines, from its launcher
  tcsctl logs guider.jk15 -n 1000
  tcsctl logs guider.jk15 -f   and new lines as they come")]
    Logs(LogsArgs),
    /// Record the fleet to a file: its state now, then its messages
    #[command(after_help = "\
Examples:
  tcsctl record night.jsonl            until Ctrl-C
  tcsctl record night.jsonl --for 1h

One message a line: receive time, subject, headers and the body as text. Where no stream holds
the subjects nothing is listened to (a mere listener slows Python publishers down); with --core
it is.")]
    Record(RecordArgs),
    /// Publish a recording to a broker
    #[command(after_help = "\
Examples:
  tcsctl replay night.jsonl --server nats://127.0.0.1:4333 --create-streams
  tcsctl replay night.jsonl --prefix replay --create-streams
  tcsctl replay night.jsonl --speed 10
  tcsctl replay night.jsonl --instant

Times in the messages are shifted to now; --as-is keeps them.
Where services live it asks first: what is published hides what they say.")]
    Replay(ReplayArgs),
    /// Try TCS without a fleet: a private broker, and a launcher with sample services
    #[command(after_help = "\
Examples:
  tcsctl demo                  start it, list the services, and stop it
  tcsctl demo --watch          see it in the dashboard; `q` stops it
  tcsctl demo --keep           leave it running, to try other commands on it

Two of the services fail on purpose. It needs a nats-server program
(TCS_NATS_SERVER, or in PATH, /usr/sbin or a .tools folder) and tcsd, beside tcsctl or in PATH.
Where a Python with serverish is found, one service is a Python one.")]
    Demo(DemoArgs),
    /// Show the dashboard's keys and theme in force
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
    /// List alarms: what wants somebody, who was told, who took it
    #[command(after_help = "\
Examples:
  tcsctl alarms                what is not over; unacknowledged first
  tcsctl alarms host:srv01 --all
  tcsctl alarms --at 02:13     as it was then
  tcsctl alarms --json | jq '.alarms[] | select(.state == \"active\")'")]
    Alarms(AlarmsArgs),
    /// Acknowledge alarms: seen, and taken care of
    #[command(after_help = "\
Examples:
  tcsctl ack failed/guider.main -m \"changing the cable\"
  tcsctl ack guider.main -m \"on it\" --expires 2h

Exits with 0 once it is seen to count, with 1 if it does not, with 3 if that is not known.")]
    Ack(AckArgs),
    /// Take an acknowledgement back
    #[command(after_help = "\
Examples:
  tcsctl unack failed/guider.main")]
    Unack(UnackArgs),
    /// Write a note on alarms
    #[command(after_help = "\
Examples:
  tcsctl note failed/guider.main -m \"the same as last night\"")]
    Note(NoteArgs),
    /// Silence alarms for a time
    #[command(after_help = "\
Examples:
  tcsctl shelve host:srv02 --for 30m -m reboot
  tcsctl shelve camera.main --rule warm --for 2h -m \"cooling down\"

What is shelved is shown and counted; nobody is notified. Seven days at most.")]
    Shelve(ShelveArgs),
    /// End a shelf before its time
    #[command(after_help = "\
Examples:
  tcsctl unshelve 4f1c2a9be0d3  its id, as `tcsctl alarms` shows it")]
    Unshelve(UnshelveArgs),
    /// Run a sentinel: evaluate the rules of alarms, and notify people
    #[command(
        after_help = "\
Examples:
  tcsctl sentinel config/services.yaml main

An entry `- type: sentinel` in the services file of tcsd does the same. Its settings:
docs/handbook/alarms.md",
        disable_help_flag = true
    )]
    Sentinel(SentinelArgs),
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
            Self::Top(_) => "top",
            Self::Call(_) => "call",
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
            Self::Alarms(_) => "alarms",
            Self::Ack(_) => "ack",
            Self::Unack(_) => "unack",
            Self::Note(_) => "note",
            Self::Shelve(_) => "shelve",
            Self::Unshelve(_) => "unshelve",
            Self::Sentinel(_) => "sentinel",
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
                if outer.by != ListOrder::default() {
                    list.by = outer.by;
                }
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
