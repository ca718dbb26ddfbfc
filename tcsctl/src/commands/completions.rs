//! `tcsctl completions`, and the answers that its scripts ask for: names of commands and options
//! from the command line's definition, names of services from the broker.

use std::ffi::OsStr;
use std::process::ExitCode;
use std::time::Duration;

use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{ArgValueCompleter, CompletionCandidate};

use super::picture::{self, Want};
use super::session::{Ended, Session};
use crate::cli::{Cli, Command, CompletionsArgs};
use crate::exit::Exit;
use crate::output::reply;

/// The environment variable by which a shell asks.
const VAR: &str = "COMPLETE";
/// A person waits for this with a finger on the key.
const PATIENCE: Duration = Duration::from_millis(700);
/// More than that nobody reads.
const MOST: usize = 500;

/// Answers a shell, and ends the process, where it is a shell that asks.
pub(super) fn answer() {
    let command_line = || completing(super::command_line());
    CompleteEnv::with_factory(command_line).var(VAR).bin("tcsctl").complete();
}

/// With names completed wherever one is taken.
fn completing(command: clap::Command) -> clap::Command {
    let takes_a_name = |arg: &clap::Arg| {
        let names = arg.get_value_names().unwrap_or_default();
        names.iter().any(|name| matches!(name.as_str(), "SERVICE" | "LAUNCHER"))
    };
    let calls = command.get_name() == "call";
    command
        .mut_args(|arg| {
            let names = arg.get_value_names().unwrap_or_default();
            if takes_a_name(&arg) {
                arg.add(ArgValueCompleter::new(services))
            } else if calls && names.iter().any(|name| name == "COMMAND") {
                arg.add(ArgValueCompleter::new(offered))
            } else {
                arg
            }
        })
        .mut_subcommands(completing)
}

pub(super) fn run(session: &Session, args: &CompletionsArgs) -> Result<ExitCode, Ended> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(&args.shell)
        .ok_or_else(|| Ended::new(Exit::Usage, format!("no completions for `{}`", args.shell)))?;
    let mut script = Vec::new();
    shell.write_registration(VAR, "tcsctl", "tcsctl", "tcsctl", &mut script)?;
    session.screen.write(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done.into())
}

/// Names of services that begin with, or hold, what was typed so far. Silent about all trouble: a
/// shell would print it into the line being typed.
fn services(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy().to_lowercase();
    let (begins, holds): (Vec<_>, Vec<_>) = names()
        .unwrap_or_default()
        .into_iter()
        // a name that a shell, or a terminal, would act on is not offered
        .filter(|(name, _)| name.chars().all(|c| c.is_alphanumeric() || "._-:@".contains(c)))
        .filter(|(name, _)| name.to_lowercase().contains(&typed))
        .partition(|(name, _)| name.to_lowercase().starts_with(&typed));
    begins
        .into_iter()
        .chain(holds)
        .take(MOST)
        .map(|(name, verdict)| CompletionCandidate::new(name).help(Some(verdict.into())))
        .collect()
}

/// The commands that the service before it offers.
fn offered(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let known = commands().unwrap_or_default();
    let fits = |name: &String| {
        name.starts_with(&*typed) && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c))
    };
    known.into_iter().filter(fits).take(MOST).map(CompletionCandidate::new).collect()
}

fn commands() -> Option<Vec<String>> {
    let cli = typed_line()?;
    let Some(Command::Call(args)) = &cli.command else { return None };
    let session = Session::new(&cli, super::plain_screen());
    let mut names = Vec::new();
    let asked = session.block_on(async {
        let bus = session.connect().await?;
        let nothing = serde_json::json!({});
        let reply = bus.request(&args.service, "commands", &nothing, PATIENCE).await;
        names = reply.map(|list| reply::offered(&list)).unwrap_or_default();
        Ok(Exit::Done.into())
    });
    asked.ok().map(|_| names)
}

/// The line being typed, as far as it is one.
fn typed_line() -> Option<Cli> {
    use clap::{CommandFactory as _, FromArgMatches as _};
    // the words after `--` are the line being typed: its connection options count
    let words: Vec<_> = std::env::args_os().skip_while(|arg| arg != "--").skip(1).collect();
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    let mut cli = Cli::from_arg_matches(&matches).ok()?;
    cli.connection.timeout = Some(PATIENCE);
    cli.output.verbose = false;
    Some(cli)
}

fn names() -> Option<Vec<(String, &'static str)>> {
    let cli = typed_line()?;
    let session = Session::new(&cli, super::plain_screen());
    let mut names = Vec::new();
    let asked = session.block_on(async {
        let want = Want::default();
        let reading = tokio::time::timeout(PATIENCE, picture::take(&session, &want));
        let Ok(picture) = reading.await else { return Ok(Exit::NoContact.into()) };
        names =
            picture?.view.services.iter().map(|s| (s.id.to_string(), s.verdict.as_str())).collect();
        Ok(Exit::Done.into())
    });
    asked.ok().map(|_| names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_completed_wherever_one_is_taken() {
        let command = completing(super::super::command_line());
        let completed = |command: &clap::Command| {
            command.get_positionals().any(|arg| arg.get::<ArgValueCompleter>().is_some())
        };
        assert!(completed(&command));
        let named = command.get_subcommands().filter(|it| completed(it));
        let named: Vec<_> = named.map(clap::Command::get_name).collect();
        assert_eq!(
            named,
            [
                "list", "events", "watch", "check", "wait", "health", "stats", "top", "call",
                "start", "stop", "restart", "reload", "logs"
            ]
        );
    }
}
