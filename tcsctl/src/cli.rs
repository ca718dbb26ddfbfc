//! The command line. The list's own arguments stand beside an optional subcommand, so that
//! `tcsctl`, `tcsctl guider` and `tcsctl --all` are the list; connection and output options are
//! taken before and after any subcommand.

mod alarms;
mod args;
mod connection;
pub mod moment;
mod names;
mod operating;
mod past;
mod upkeep;

use clap::builder::Resettable;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tcs_core::manual;

pub use alarms::{
    AckArgs, AlarmsAction, AlarmsArgs, AlarmsReplayArgs, ApplyArgs, NoteArgs, ShelveArgs,
    StatsArgs, TestArgs, UnackArgs, UnshelveArgs,
};
pub use args::{
    CallArgs, CheckArgs, CompletionsArgs, ConfigArgs, ConfigCommand, DemoArgs, Goal, HealthArgs,
    ListArgs, ListOrder, LogsArgs, ManArgs, MetricsArgs, OutputArgs, ServeArgs, ServiceArgs,
    TopArgs, TopOrder, WaitArgs, WatchArgs,
};
pub use connection::ConnectionArgs;
pub use operating::{
    EndArgs, MaintenanceArgs, OperateArgs, PatienceArgs, ProfileArgs, ReloadArgs, StopArgs,
};
pub use past::{
    EventsArgs, GraphArgs, GraphFormat, RecordArgs, ReplayArgs, ReportArgs, ReportFormat,
    TimelineArgs, WhyArgs,
};
pub use upkeep::{BackupArgs, DrillArgs, DrillFault, RestoreArgs, UpgradeArgs};

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
    long_version = tcs_core::BUILD,
    about = "Show the state of a fleet of observatory services: which run, which do not, and why.\n\
             Without a command, list the running services and those with problems.",
    after_help = after_help(),
    styles = STYLES,
    disable_help_flag = true,
)]
pub struct Cli {
    /// What to list, when there is no command.
    #[command(flatten)]
    pub list: ListArgs,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Where to connect.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// What to do; `None`: list.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  tcsctl                       running services, and those with problems
  tcsctl guider -d             full details of services named like `guider`
  tcsctl --all --json          everything, for scripts
  tcsctl --at 02:13            the state at 02:13 UTC
  tcsctl --by host             grouped by host, with load, memory, boot, clock
  tcsctl watch                 the full-screen dashboard
  tcsctl events -f             events as they happen
  tcsctl why guider            explain its state, and what to type next
  tcsctl check && echo fine    for monitoring
  tcsctl demo                  try it without a fleet

A filter is a part of a service's name, or /regex/, host:srv01, status:busy, verdict:lost,
phase:backoff, launcher:Kx1x or is:fault. `!` negates a filter. With several filters, a service
must match all of them. To list a service that is named like a command, write `tcsctl list NAME`.";

const SETTINGS: &str = "\
Settings:
  Connection settings come from options, else from the `nats` section of the
  configuration file, else from NATS_URL, NATS_HOST, NATS_PORT, NATS_CREDS, ...,
  else from the selected `nats` context. The default is localhost:4222.
  --verbose prints where each setting comes from.";

fn after_help() -> String {
    format!("{EXAMPLES}\n\n{}\n\n{SETTINGS}", exit::HELP)
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List services (what `tcsctl` does without a command)
    #[command(after_help = "\
Examples:
  tcsctl list                  the same as `tcsctl`
  tcsctl list watch            a service named like a command
  tcsctl list 'host:srv01 !is:fault'")]
    List(ListArgs),
    /// Show events: life cycle and status changes, with durations
    #[command(after_help = "\
Examples:
  tcsctl events                events of the last hour
  tcsctl events guider -f      those of `guider`, then new ones as they come
  tcsctl events --since 12h --json | jq 'select(.event == \"crashed\")'")]
    Events(EventsArgs),
    /// Explain the state of a service: cause, last end, crash pattern, what else happened
    #[command(after_help = "\
Examples:
  tcsctl why guider.jk15       its current state
  tcsctl why guider --at 02:13
                               its state at 02:13 UTC
  tcsctl why guider --json | jq '.lines[] | select(.section == \"before\")'

Events of the 60 s before are listed by how closely they are related to the service. An event is
called the cause only if that is known; the others merely happened at about the same time.")]
    Why(WhyArgs),
    /// Draw a timeline: one row per service, the worst verdict in each column
    #[command(after_help = "\
Examples:
  tcsctl timeline              the last 8 hours
  tcsctl timeline --since 20:00 --until 08:00 --problems
  tcsctl timeline host:srv02 --since 30m
  tcsctl timeline --json | jq '.services[] | {id, spans}'

A column shows the worst verdict in it, however briefly it lasted.")]
    Timeline(TimelineArgs),
    /// Show the start order of services, and what delayed the last start
    #[command(after_help = "\
Examples:
  tcsctl graph                 a tree: a service starts after the one above it
  tcsctl graph camera          only `camera`, what starts before and after it
  tcsctl graph --format mermaid
  tcsctl graph --format json | jq .critical_chain

The critical chain is the service that was ready last, and each service that it waited for. The
order is set with `launch: {after: [...]}` in the services file.")]
    Graph(GraphArgs),
    /// Report a shift: incidents, who did what, what is still open
    #[command(after_help = "\
Examples:
  tcsctl report                the last 12 hours
  tcsctl report --since 20:00 --until 08:00
  tcsctl report --since 20:00 --format html > night.html
  tcsctl report --format json | jq '.incidents[] | {from, lasted_s, cause}'

The HTML is a single, self-contained file. Faults that begin within 60 s of each other and share a
launcher, a host or the broker form one incident.")]
    Report(ReportArgs),
    /// Open the full-screen dashboard
    #[command(after_help = "\
Examples:
  tcsctl watch                 problems first; ? shows the keys
  tcsctl watch guider          only services that match a filter
  tcsctl watch --at 02:13      start at a past time
  tcsctl watch --replay night.jsonl --speed 60
  tcsctl watch --plain         print a line for each change, for screen readers
  tcsctl watch --json          print the state as a JSON line, then each change

If the broker cannot be reached, it keeps trying to connect. It ends only when you quit it or close
its terminal.")]
    Watch(WatchArgs),
    /// Print one line and an exit code, for monitoring
    #[command(after_help = format!("{}\n\n{}", "\
Examples:
  tcsctl check                 the whole fleet
  tcsctl check guider.jk15     one service; a stopped one is CRITICAL
  tcsctl check --at 2h         two hours ago", exit::CHECK_HELP))]
    Check(CheckArgs),
    /// Wait until a service reaches a state, for scripts
    #[command(after_help = "\
Examples:
  tcsctl wait guider.jk15 --for ok --timeout 60s
  tcsctl wait guider.jk15 --for up && ./observe
  tcsctl wait guider.jk15 --for gone

Exits with 0 when the condition is met, with 1 after --timeout (default here: 60 s).")]
    Wait(WaitArgs),
    /// Ask services for their status and health checks
    #[command(after_help = "\
Examples:
  tcsctl health guider.jk15
  tcsctl health guider         all running services named like `guider`
  tcsctl health guider.jk15 --json | jq .data.checks

Exits with 0 if all answer, whatever their status; use `check` to test the status.")]
    Health(HealthArgs),
    /// Ask services for their statistics
    #[command(after_help = "\
Examples:
  tcsctl stats guider.jk15
  tcsctl stats guider.jk15 --json | jq .data.stats")]
    Stats(HealthArgs),
    /// Show what services and hosts use: processor, memory, files
    #[command(after_help = "\
Examples:
  tcsctl top                   running services, sorted by processor time
  tcsctl top guider -f         repeat every 2 s
  tcsctl top --sort memory host:srv01
  tcsctl top --json | jq '.services[] | {service_id, rss_bytes}'

100 % is one core. Memory is resident memory; memory that processes share is counted for each.
The figures come from the launchers. A service that runs as a task shares those of its launcher.")]
    Top(TopArgs),
    /// Print metrics for Prometheus, once
    #[command(after_help = "\
Examples:
  tcsctl metrics               all services and hosts, in Prometheus text format
  tcsctl metrics host:srv01 | promtool check metrics
  tcsctl metrics --output /var/lib/node_exporter/textfile/tcs.prom

Counters (tcs_service_events_total, tcs_messages_total and others) need a process that keeps
counting: only `tcsctl serve` has them.")]
    Metrics(MetricsArgs),
    /// Serve a read-only status page, JSON and metrics over HTTP
    #[command(after_help = "\
Examples:
  tcsctl serve                 http://127.0.0.1:8765/, for this host only
  tcsctl serve --listen 0.0.0.0:8765 --token-file token --allow-host wall.site
  tcsctl serve host:srv01 --title \"srv01\"

Paths:
  /                            status page
  /metrics                     metrics for Prometheus
  /api/v1/fleet                JSON; also alarms, timeline, resources
  /api/v1/why?service=NAME     JSON; also logs?service=NAME
  /api/v1/stream               server-sent events
  /healthz, /readyz            for probes

To listen on other addresses than loopback a token is needed: a browser opens /?token=... once,
programs send `Authorization: Bearer ...`. Put a proxy with TLS in front of it.")]
    Serve(ServeArgs),
    /// Call a command that a service offers, or list its commands
    #[command(after_help = "\
Examples:
  tcsctl call guider.jk15      list its commands and their parameters
  tcsctl call guider.jk15 reset
  tcsctl call guider.jk15 move '{\"dx\": 1.5}' --json | jq .data")]
    Call(CallArgs),
    /// Start services
    #[command(after_help = "\
Examples:
  tcsctl start guider.jk15 dome_follower.main
  tcsctl start host:srv01 --yes

Returns when all are running, or with an error; --timeout limits the time [default: 60s].")]
    Start(OperateArgs),
    /// Stop services
    #[command(after_help = "\
Examples:
  tcsctl stop guider.jk15
  tcsctl stop guider.jk15 --when-idle --max-wait 10m
  tcsctl stop dome.main -m \"mirror washing\"
                               planned work: stays stopped until it is started
  tcsctl stop guider --yes     all services named like `guider`, without asking

Returns when all have stopped; --timeout limits the time [default: 60s].")]
    Stop(StopArgs),
    /// Restart services
    #[command(after_help = "\
Examples:
  tcsctl restart guider.jk15
  tcsctl restart guider.jk15 --when-idle

Returns when all are running again; --timeout limits the time [default: 60s].")]
    Restart(EndArgs),
    /// Make launchers reread their configuration
    #[command(after_help = "\
Examples:
  tcsctl reload                all launchers; asks first if there are several
  tcsctl reload host:srv01
  tcsctl reload --dry-run      show what would change")]
    Reload(ReloadArgs),
    /// List the profiles (sets of services) of launchers, or move to one
    #[command(after_help = "\
Examples:
  tcsctl profile               list the profiles, and which one is active
  tcsctl profile night         show what would change, and move all launchers
  tcsctl profile night --yes
  tcsctl profile --clear       leave the profile

Profiles are defined by `launch.profiles` in the services file. Services that are in no profile, or
stopped for planned work, stay as they are. Each launcher stops services first, then starts others
in order.")]
    Profile(ProfileArgs),
    /// Stop what runs on a host for planned work, and start it again afterwards
    #[command(after_help = "\
Examples:
  tcsctl maintenance host:srv02 --for 30m -m \"new disk\"
  tcsctl maintenance host:srv02 --end      end one that was interrupted

Shelves the alarms of the host for that time, stops its running services once they are idle, waits
until the host has restarted (or you press Enter, or the time is over), starts the services again in
order, and reports which did not come back. Ctrl-C while it waits leaves the services stopped.")]
    Maintenance(MaintenanceArgs),
    /// Make launchers change to a newly installed tcsd, without stopping services
    #[command(after_help = "\
Examples:
  tcsctl upgrade host:srv01    the tcsd of one host
  tcsctl upgrade               all, one after the other, until one fails

Install the new program first, in place of the old one. It is checked before it takes over; if the
check fails, the old one continues. Service processes keep running; services that run as tasks of
tcsd are restarted. On the host itself, `systemctl reload tcsd` does the same.")]
    Upgrade(UpgradeArgs),
    /// Inject a fault, and report whether it was noticed in time
    #[command(after_help = "\
Examples:
  tcsctl drill crash guider.jk15       kill its process
  tcsctl drill freeze guider.jk15 --for 2m
  tcsctl drill broker dome.main        its launcher sends nothing for a while

The services file must allow it (`launch: {drill: true}`). The launcher ends the fault by itself,
even if tcsctl is interrupted or loses its connection. Exits with 1 if the fault was not noticed.")]
    Drill(DrillArgs),
    /// Show the output of services
    #[command(after_help = "\
Examples:
  tcsctl logs guider.jk15      its last 100 lines, from its launcher
  tcsctl logs guider.jk15 -n 1000
  tcsctl logs guider.jk15 -f   the same, then new lines as they come
  tcsctl logs guider.jk15 --run -1               the previous run
  tcsctl logs guider.jk15 --level warning        warnings and worse
  tcsctl logs host:srv02 -f    all services of a host, merged by time")]
    Logs(LogsArgs),
    /// Record the fleet to a file: its state now, then its messages
    #[command(after_help = "\
Examples:
  tcsctl record night.jsonl            until Ctrl-C
  tcsctl record night.jsonl --for 1h

One message per line: receive time, subject, headers and the body as text. Alarms are recorded
too, with their history. Subjects that no stream holds are recorded only with --core, because
subscribing slows Python publishers down.")]
    Record(RecordArgs),
    /// Publish a recording to a broker
    #[command(after_help = "\
Examples:
  tcsctl replay night.jsonl --server nats://127.0.0.1:4333 --create-streams
  tcsctl replay night.jsonl --prefix replay --create-streams
  tcsctl replay night.jsonl --speed 10
  tcsctl replay night.jsonl --instant

Shifts the times in the messages to now, unless --as-is is given. If services run on that prefix, it
asks first: the replay would hide their state. If a sentinel is watching, nothing is published
without --force: people would be notified of recorded alarms.")]
    Replay(ReplayArgs),
    /// Save the streams: fleet, events, heartbeats, alarms
    #[command(after_help = "\
Examples:
  tcsctl backup backups/2026-11-26
  tcsctl backup /mnt/nas/tcs-$(date +%F)
  tcsctl restore --check /mnt/nas/tcs-2026-11-26

Writes one file per stream, one message per line, each with a checksum; manifest.json is written
last. The permissions of a viewer suffice, and everything may keep running.")]
    Backup(BackupArgs),
    /// Restore a backup into a broker whose streams are empty
    #[command(after_help = "\
Examples:
  tcsctl restore backups/2026-11-26 --check    check that the backup is whole
  tcsctl restore backups/2026-11-26 --server nats://new:4222 --user launcher

Stop tcsd everywhere first. The permissions of a launcher are needed. Missing streams are created as
they were, with three replicas in a cluster. Nothing is written if a file is damaged or a stream is
not empty. Messages keep the times at which they were stored; their maximum age counts from the
restore.")]
    Restore(RestoreArgs),
    /// Try TCS without a fleet: a private broker, and a launcher with sample services
    #[command(after_help = "\
Examples:
  tcsctl demo                  start it, list the services, and stop it
  tcsctl demo --watch          see it in the dashboard; `q` stops it
  tcsctl demo --keep           leave it running, to try other commands on it

Two of the services fail on purpose. The demo needs a nats-server program
(TCS_NATS_SERVER, or in PATH, /usr/sbin or a .tools folder) and tcsd, next to tcsctl or in PATH.
If a Python with serverish is found, one service is written in Python.")]
    Demo(DemoArgs),
    /// Show the keys and the theme of the dashboard
    #[command(after_help = "\
Examples:
  tcsctl config show           in the form of ~/.config/tcsctl/console.yaml")]
    Config(ConfigArgs),
    /// Print a completion script for a shell; it completes service names too
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
    /// List alarms, with who was notified and who acknowledged
    #[command(after_help = "\
Examples:
  tcsctl alarms                open alarms, unacknowledged ones first
  tcsctl alarms host:srv01 --all
  tcsctl alarms --at 02:13     the alarms at 02:13
  tcsctl alarms -f             the alarms, then each change
  tcsctl alarms --json | jq '.alarms[] | select(.state == \"active\")'")]
    Alarms(AlarmsArgs),
    /// Acknowledge alarms
    #[command(after_help = "\
Examples:
  tcsctl ack failed/guider.main -m \"changing the cable\"
  tcsctl ack guider.main -m \"on it\" --expires 2h

Exits with 0 if the acknowledgement took effect, with 1 if it did not, with 3 if that is unknown.")]
    Ack(AckArgs),
    /// Withdraw an acknowledgement
    #[command(after_help = "\
Examples:
  tcsctl unack failed/guider.main")]
    Unack(UnackArgs),
    /// Add a note to alarms
    #[command(after_help = "\
Examples:
  tcsctl note failed/guider.main -m \"the same as last night\"")]
    Note(NoteArgs),
    /// Silence alarms for a time
    #[command(after_help = "\
Examples:
  tcsctl shelve host:srv02 --for 30m -m reboot
  tcsctl shelve camera.main --rule warm --for 2h -m \"cooling down\"

Shelved alarms are shown and counted, but nobody is notified. A shelf lasts seven days at most.")]
    Shelve(ShelveArgs),
    /// End a shelf early
    #[command(after_help = "\
Examples:
  tcsctl unshelve 4f1c2a9be0d3  its id, as `tcsctl alarms` shows it")]
    Unshelve(UnshelveArgs),
    /// Run a sentinel: evaluate alarm rules, and notify people
    #[command(
        after_help = "\
Examples:
  tcsctl sentinel config/services.yaml main

An entry `- type: sentinel` in the services file of tcsd does the same. Its settings are described
in the handbook's page on alarms.",
        disable_help_flag = true
    )]
    Sentinel(ServiceArgs),
    /// Write the report of a shift, as a service (what `type: report` starts)
    #[command(hide = true, disable_help_flag = true)]
    ReportService(ServiceArgs),
    /// Serve a site over HTTP, as a service (what `type: serve` starts)
    #[command(hide = true, disable_help_flag = true)]
    ServeService(ServiceArgs),
}

/// Places the examples of a command before its options, and the rest of its text after them.
fn examples_first(command: clap::Command) -> clap::Command {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (examples, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let part = |text: &str| match text {
        "" => Resettable::Reset,
        text => Resettable::Value(manual::flowing(text).into()),
    };
    let command = command.before_help(part(examples)).after_help(part(rest));
    command.help_template(manual::TEMPLATE).mut_subcommands(examples_first)
}

impl Cli {
    /// The definition of the command line, with its help.
    pub fn definition() -> clap::Command {
        examples_first(Self::command()).max_term_width(manual::WIDEST)
    }

    /// Reads the command line of this process.
    pub fn from_process() -> Result<Self, clap::Error> {
        let mut definition = Self::definition();
        let matches = definition.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))
    }
}

#[cfg(test)]
mod tests;
