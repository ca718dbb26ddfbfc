//! What each command does: one file a command, named as it is typed. They ask `tcs_core` for what
//! is so and hand it to [`crate::output`].

mod ack;
mod alarms;
mod backup;
mod call;
mod check;
mod completions;
mod config;
mod demo;
mod drill;
mod events;
mod graph;
mod health;
mod list;
mod logs;
mod maintenance;
mod man;
mod metrics;
mod operate;
mod period;
pub(crate) mod picture;
mod profile;
mod record;
mod reload;
mod remote;
mod replay;
mod replay_alarms;
mod report;
mod restart;
mod restore;
mod serve;
pub(crate) mod session;
mod shelve;
mod silence;
mod start;
mod stats;
mod stop;
mod timeline;
mod top;
mod upgrade;
mod wait;
mod watch;
mod why;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::exit::{Check, Exit};
use crate::output::{Color, Screen};
use session::{Ended, Session};

/// The whole program: answers the shell's request for completions, or reads the command line and
/// does what it says.
pub fn run() -> ExitCode {
    completions::answer();
    let mut cli = match Cli::from_process() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let color = if cli.output.no_color { Color::Never } else { cli.output.color };
    let screen = Screen::new(color, cli.output.ascii, cli.output.time);
    if let Err(message) = cli.settle() {
        screen.fail(&message);
        return Exit::Usage.into();
    }
    let checking = matches!(cli.command, Some(Command::Check(_)));
    let session = Session::new(&cli, screen);
    match dispatch(cli, &session) {
        Ok(code) => code,
        // whoever read us has seen enough
        Err(Ended::PipeClosed) => Exit::Done.into(),
        Err(Ended::Failed { message, .. }) if checking => check::no_answer(&session, &message),
        Err(Ended::Failed { exit, message }) => {
            screen.fail(&message);
            exit.into()
        }
    }
}

fn dispatch(cli: Cli, session: &Session) -> Result<ExitCode, Ended> {
    match cli.command {
        None => session.block_until_signal(list::run(session, &cli.list)),
        Some(Command::List(args)) => session.block_until_signal(list::run(session, &args)),
        Some(Command::Events(args)) => session.block_on(events::run(session, &args)),
        Some(Command::Why(args)) => session.block_until_signal(why::run(session, &args)),
        Some(Command::Timeline(args)) => session.block_until_signal(timeline::run(session, &args)),
        Some(Command::Graph(args)) => session.block_until_signal(graph::run(session, &args)),
        Some(Command::Report(args)) => session.block_until_signal(report::run(session, &args)),
        Some(Command::Watch(args)) => session.block_on(watch::run(session, &args)),
        Some(Command::Check(args)) => session.block_until_signal(check::run(session, &args)),
        Some(Command::Wait(args)) => session.block_until_signal(wait::run(session, &args)),
        Some(Command::Health(args)) => session.block_until_signal(health::run(session, &args)),
        Some(Command::Stats(args)) => session.block_until_signal(stats::run(session, &args)),
        Some(Command::Top(args)) => session.block_on(top::run(session, &args)),
        Some(Command::Metrics(args)) => session.block_until_signal(metrics::run(session, &args)),
        Some(Command::Serve(args)) => session.block_on(serve::run(session, args)),
        Some(Command::Call(args)) => session.block_until_signal(call::run(session, &args)),
        Some(Command::Start(args)) => session.block_on(start::run(session, &args)),
        Some(Command::Stop(args)) => session.block_on(stop::run(session, &args)),
        Some(Command::Restart(args)) => session.block_on(restart::run(session, &args)),
        Some(Command::Reload(args)) => session.block_on(reload::run(session, &args)),
        Some(Command::Upgrade(args)) => session.block_on(upgrade::run(session, &args)),
        Some(Command::Profile(args)) => session.block_on(profile::run(session, &args)),
        Some(Command::Maintenance(args)) => session.block_on(maintenance::run(session, &args)),
        Some(Command::Drill(args)) => session.block_on(drill::run(session, &args)),
        Some(Command::Logs(args)) => session.block_on(logs::run(session, &args)),
        Some(Command::Record(args)) => session.block_on(record::run(session, &args)),
        Some(Command::Replay(args)) => session.block_on(replay::run(session, &args)),
        Some(Command::Backup(args)) => session.block_until_signal(backup::run(session, &args)),
        Some(Command::Restore(args)) => session.block_until_signal(restore::run(session, &args)),
        Some(Command::Demo(args)) => session.block_on(demo::run(session, &args)),
        Some(Command::Config(args)) => config::run(session, &args),
        Some(Command::Completions(args)) => completions::run(session, &args),
        Some(Command::Man(args)) => man::run(session, &args),
        // who follows ends by a signal in good order
        Some(Command::Alarms(args)) if args.follow => session.block_on(alarms::run(session, &args)),
        Some(Command::Alarms(args)) => session.block_until_signal(alarms::run(session, &args)),
        Some(Command::Ack(args)) => session.block_until_signal(ack::ack(session, &args)),
        Some(Command::Unack(args)) => session.block_until_signal(ack::unack(session, &args)),
        Some(Command::Note(args)) => session.block_until_signal(ack::note(session, &args)),
        Some(Command::Shelve(args)) => session.block_until_signal(shelve::shelve(session, &args)),
        Some(Command::Unshelve(args)) => {
            session.block_until_signal(shelve::unshelve(session, &args))
        }
        Some(Command::Sentinel(args)) => Ok(crate::sentinel::run(args.arguments)),
        Some(Command::ReportService(args)) => Ok(crate::report::run(args.arguments)),
        Some(Command::ServeService(args)) => Ok(crate::serve::service::main(args.arguments)),
    }
}

/// `--help` and `--version` too come as errors.
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    let checking = std::env::args_os().any(|arg| arg == "check");
    match error.exit_code() {
        0 => match printed.map_err(Ended::from) {
            Ok(()) | Err(Ended::PipeClosed) => Exit::Done.into(),
            Err(Ended::Failed { exit, message }) => {
                Screen::plain().fail(&message);
                exit.into()
            }
        },
        _ if checking => Check::Unknown.into(),
        _ => Exit::Usage.into(),
    }
}
