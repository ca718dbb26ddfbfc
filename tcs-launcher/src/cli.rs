//! The command line: `tcsd` and its commands, and our own program started for one Rust service.

mod check;
mod new;
mod plan;
mod setup;
mod teach;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tcs_core::config::{DEFAULT_PATH, Mode, STOP_TIMEOUT};
use tcs_core::manual;
use tcs_core::service::log::say;
use tcs_core::service::{Registry, main_of, signals};

use crate::runner::{self, SERVICE};
use crate::stdout::print;
use crate::takeover::{self, CHECK, CanTakeOver, FORMAT, Table};
use crate::{daemon, doctor, log};

/// Exit code of wrong arguments.
const USAGE: u8 = 2;

/// Supervise observatory services: start them in order, restart them by their policy, stop them
/// together, and report over NATS what happens to them.
#[derive(Debug, Parser)]
#[command(
    name = "tcsd",
    version,
    long_version = tcs_core::BUILD,
    before_help = teach::EXAMPLES,
    after_help = teach::HELP,
    help_template = manual::TEMPLATE,
    max_term_width = manual::WIDEST,
)]
struct Args {
    /// Configuration file [default: config/services.yaml, if it exists].
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How Rust services run: as tasks of tcsd, or each in its own process.
    #[arg(long, short, value_enum, default_value_t = Launcher::Process)]
    launcher: Launcher,
    /// Do not log the first line, which names the launcher.
    #[arg(long)]
    no_banner: bool,
    /// Accepted for compatibility with the Python launchers: log lines are never coloured.
    #[arg(long)]
    no_color: bool,
    /// Write the log, and the output of services, as JSON: one object per line, with `time`, `level`,
    /// `logger`, `service` and `text`.
    #[arg(long)]
    json_logs: bool,
    /// Seconds between the stop signal to a service and SIGKILL, if the file has no
    /// `launch.stop_timeout` for it; also for processes that an earlier launcher left behind.
    ///
    /// The Python launchers have the same option, with a default of 1 or 5 seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = STOP_TIMEOUT.as_secs_f64(), value_parser = seconds)]
    terminate_delay: f64,
    /// Allow a reload to stop all services if the file has no `services` key. Without this option
    /// such a file is refused; `services: []` stops all services.
    #[arg(long)]
    allow_empty: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the configuration, and print what would run, how, and what it waits for.
    ///
    /// Python modules are imported by the interpreter that would run them, which executes their
    /// top-level code. The exit code is 1 if there is a mistake, or if a service that should run
    /// cannot be started.
    Check {
        /// Configuration file, the same as --config FILE.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Do not import Python modules.
        #[arg(long)]
        no_import: bool,
        /// Also connect to the broker (within 5 s), and check its streams.
        #[arg(long)]
        connect: bool,
    },
    /// Show what a reload of the running launcher would change, without doing it.
    ///
    /// Asks the launcher that runs this configuration on this host over NATS. If none answers,
    /// shows what a start would do. The exit code is 1 only if neither can be shown.
    Plan {
        /// Configuration file, the same as --config FILE.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of the configuration file, for editors.
    ///
    /// With the schema an editor completes and checks the file: save it next to the file, and write
    /// `# yaml-language-server: $schema=services.schema.json` as the file's first line.
    Schema,
    /// Create a workspace for your own services: a service, its test, a launcher, a configuration.
    ///
    /// The workspace is ready to build and test. Its name is that of the folder.
    New {
        /// Folder to create, for example `my_services`.
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
        /// Checkout of TCS to depend on [default: the one that tcsd was built from, if it exists,
        /// else the published crates].
        #[arg(long, value_name = "FOLDER")]
        tcs: Option<PathBuf>,
    },
    /// Install tcsd as a service of systemd: programs, user, folders, a sample configuration, a broker
    /// with generated passwords, the units.
    ///
    /// All steps are shown, and confirmed, before the first is done. Existing configuration is kept.
    Install(setup::InstallArgs),
    /// Undo `install`. Configuration and state are kept.
    Uninstall(setup::UninstallArgs),
    /// List what is wrong on this host, each with the command that fixes it.
    ///
    /// Checks the configuration (--config, else config/services.yaml, else the installed one),
    /// permissions of files, broker and streams, clock, unit, limits, versions of the fleet, and
    /// which tcsctl is first in PATH. Changes nothing. The exit code is 1 if there is an error.
    Doctor,
    /// Print a manual page.
    Man {
        /// Command [default: tcsd itself].
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
    /// Print completions for a shell.
    Completions {
        /// Shell.
        shell: Shell,
    },
}

impl Command {
    /// The configuration file, where it is an argument of the command.
    fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Check { file, .. } | Self::Plan { file } => file.as_ref(),
            Self::Schema
            | Self::New { .. }
            | Self::Install(_)
            | Self::Uninstall(_)
            | Self::Doctor
            | Self::Man { .. }
            | Self::Completions { .. } => None,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Launcher {
    /// As tasks of tcsd.
    #[value(alias = "asyncio")]
    Async,
    /// Each in its own process.
    Process,
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if (0.0..=3600.0).contains(&value) { Ok(value) } else { Err("expected 0 to 3600".to_owned()) }
}

/// `tcsd`, for `main`; `tcsd --help` has the exit codes.
pub fn main() -> ExitCode {
    // until there is somebody who answers
    signals::hold();
    if let Some(code) = runner::helper_main() {
        return code;
    }
    let taken_over = match takeover::receive().transpose() {
        Ok(taken_over) => taken_over,
        Err(error) => {
            say(&format!("error: cannot take over from the previous tcsd: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut given = std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned());
    match given.next().as_deref() {
        Some(SERVICE) => return one_service(given),
        Some(CHECK) => return can_take_over(),
        Some(_) | None => {}
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let of_command = args.command.as_ref().and_then(Command::file);
    if args.config.is_some() && of_command.is_some() {
        // clap cannot tell where --config stands before the command
        let text = "the configuration file is given twice";
        return usage(&Args::command().error(ErrorKind::ArgumentConflict, text));
    }
    let named = args.config.as_ref().or(of_command);
    let path = named.map_or(Path::new(DEFAULT_PATH), PathBuf::as_path);
    let explicit = named.is_some();
    if args.command.is_some() {
        signals::release();
    }
    let taps = log::init(args.json_logs);
    let done = match &args.command {
        Some(Command::Check { no_import, connect, .. }) => {
            check::run(path, explicit, !no_import, *connect)
        }
        Some(Command::Plan { .. }) => plan::run(path, explicit),
        Some(Command::Schema) => teach::schema(),
        Some(Command::New { folder, tcs }) => new::run(folder, tcs.as_deref()),
        Some(Command::Install(args)) => setup::install(args),
        Some(Command::Uninstall(args)) => setup::uninstall(args),
        Some(Command::Doctor) => doctor::run(path, explicit),
        Some(Command::Man { command }) => match page_of(command.as_deref()) {
            Ok(command) => teach::man(command),
            Err(error) => return usage(&error),
        },
        Some(Command::Completions { shell }) => teach::completions(Args::command(), *shell),
        None => Ok(daemon::main(&options(&args, taps), runner::marked_run(), taken_over)),
    };
    done.unwrap_or_else(|error| unprinted(&error))
}

/// Of a launcher.
fn options(args: &Args, taps: log::Taps) -> daemon::Options {
    daemon::Options {
        config: args.config.clone().unwrap_or_else(|| DEFAULT_PATH.into()),
        explicit: args.config.is_some(),
        mode: match args.launcher {
            Launcher::Async => Mode::Async,
            Launcher::Process => Mode::Process,
        },
        banner: !args.no_banner,
        allow_empty: args.allow_empty,
        taps,
        grace: std::time::Duration::from_secs_f64(args.terminate_delay),
    }
}

/// A tcsd that runs asks whether this program could take its place: the table of what it would hand
/// over is the standard input.
fn can_take_over() -> ExitCode {
    let own = std::env::args_os().take(1).chain(std::env::args_os().skip(2));
    let answer = Args::try_parse_from(own)
        .map_err(|error| anyhow::anyhow!("{}", error.kind()))
        .and_then(|args| {
            let table = Table::read(io::stdin())?;
            daemon::could_take_over(&options(&args, log::Taps::default()), &table)?;
            let version = env!("CARGO_PKG_VERSION").to_owned();
            Ok(serde_json::to_string(&CanTakeOver { takes_over: FORMAT, version })?)
        });
    match answer {
        Ok(answer) => print(&answer).map_or_else(|error| unprinted(&error), |()| ExitCode::SUCCESS),
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The definition of a command, named as its manual page is; `None`: of the program.
fn page_of(name: Option<&str>) -> Result<clap::Command, clap::Error> {
    let mut program = Args::command();
    program.build();
    let Some(name) = name else { return Ok(program) };
    let found = program.find_subcommand(name).cloned();
    let unknown =
        || program.error(ErrorKind::InvalidValue, format!("there is no command `{name}`"));
    found.map(|command| command.name(format!("tcsd-{name}"))).ok_or_else(unknown)
}

/// `--help` and `--version` too come as errors.
fn usage(error: &clap::Error) -> ExitCode {
    match error.print() {
        Err(unwritten) if !error.use_stderr() => unprinted(&unwritten),
        Ok(()) | Err(_) => u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, Into::into),
    }
}

/// What was to be printed was not: nobody reads it any more, or there is no room for it.
fn unprinted(error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ExitCode::SUCCESS;
    }
    say(&format!("error: cannot write to standard output: {error}"));
    ExitCode::FAILURE
}

fn one_service(mut given: impl Iterator<Item = String>) -> ExitCode {
    let name = given.next().unwrap_or_default();
    let found = Registry::of_this_program().and_then(|registry| registry.find(&name));
    match found {
        Ok(registration) => main_of(registration, given),
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(USAGE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_into_80_columns() {
        let mut program = Args::command().term_width(80);
        program.build();
        let mut pages = program.render_help().to_string() + &program.render_long_help().to_string();
        for command in program.get_subcommands_mut() {
            pages += &command.render_help().to_string();
            pages += &command.render_long_help().to_string();
        }
        // tables are not wrapped, which would break their columns
        let tables = [teach::EXAMPLES, teach::HELP].join("\n");
        let lines = pages.lines().chain(tables.lines());
        let wide: Vec<&str> = lines.filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }

    #[test]
    fn arguments_of_the_fleets_units_are_taken() {
        Args::command().debug_assert();
        let line = "tcsd --config a.yaml -l asyncio --no-banner --no-color --terminate-delay 5";
        let args = Args::try_parse_from(line.split(' ')).unwrap();
        assert!(matches!(args.launcher, Launcher::Async) && args.no_banner && args.no_color);
        assert!(Args::try_parse_from(["tcsd", "--terminate-delay", "nan"]).is_err());
    }
}
