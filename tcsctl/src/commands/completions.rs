//! `tcsctl completions`, and the answers that its scripts ask for: names of commands and options
//! from the command line's definition, names of services from the broker.

mod candidates;
mod shells;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::ExitCode;
use std::time::Duration;

use clap_complete::env::CompleteEnv;
use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use tcs_core::fleet::Verdict;
use tcs_core::wire::control::command;

use super::picture::{self, Want};
use super::session::{Ended, Session};
use crate::cli::{Cli, Command, CompletionsArgs};
use crate::dashboard::theme::ThemeName;
use crate::exit::Exit;
use crate::output::{Screen, reply};

use candidates::{Candidate, Known, MOST};
use shells::SHELLS;

/// The environment variable by which a shell asks.
const VAR: &str = "COMPLETE";
/// A person waits for this with a finger on the key.
const PATIENCE: Duration = Duration::from_millis(700);

/// Answers a shell, and ends the process, where it is a shell that asks.
pub(super) fn answer() {
    let command_line = || completing(Cli::definition());
    CompleteEnv::with_factory(command_line).var(VAR).bin("tcsctl").shells(SHELLS).complete();
}

/// With values completed: names and filters of services wherever one is taken, and words.
fn completing(command: clap::Command) -> clap::Command {
    let of = command.get_name().to_owned();
    command
        .mut_args(|arg| {
            let named = arg.get_value_names().and_then(|names| names.first()).cloned();
            match (named.as_deref(), of.as_str()) {
                (Some("SERVICE"), "wait" | "call") => arg.add(ArgValueCompleter::new(services)),
                (Some("SERVICE" | "LAUNCHER" | "FILTER"), _) => {
                    arg.add(ArgValueCompleter::new(filters))
                }
                (Some("COMMAND"), "call") => arg.add(ArgValueCompleter::new(offered)),
                (Some("WHAT"), "wait") => arg.add(ArgValueCandidates::new(goals)),
                (Some("NAME"), "watch") => arg.add(ArgValueCandidates::new(themes)),
                _ if arg.get_id() == "context" => arg.add(ArgValueCandidates::new(contexts)),
                _ => arg,
            }
        })
        .mut_subcommands(completing)
}

pub(super) fn run(session: &Session, args: &CompletionsArgs) -> Result<ExitCode, Ended> {
    let shell = SHELLS
        .completer(&args.shell)
        .ok_or_else(|| Ended::new(Exit::Usage, format!("no completions for `{}`", args.shell)))?;
    let mut script = Vec::new();
    shell.write_registration(VAR, "tcsctl", "tcsctl", "tcsctl", &mut script)?;
    session.screen.write(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done.into())
}

fn shown(candidates: Vec<Candidate>) -> Vec<CompletionCandidate> {
    let with = |(text, told): Candidate| {
        CompletionCandidate::new(text).help(told.map(clap::builder::StyledStr::from))
    };
    candidates.into_iter().map(with).collect()
}

/// Names of services. Silent about all trouble: a shell would print it into the line being typed.
fn services(typed: &OsStr) -> Vec<CompletionCandidate> {
    shown(candidates::names(&typed.to_string_lossy(), &known().unwrap_or_default()))
}

/// Candidates for services, and words of the filter language.
fn filters(typed: &OsStr) -> Vec<CompletionCandidate> {
    shown(candidates::words(&typed.to_string_lossy(), || known().unwrap_or_default()))
}

fn goals() -> Vec<CompletionCandidate> {
    let verdicts = Verdict::ALL.iter().map(|verdict| verdict.as_str());
    ["up", "gone"].into_iter().chain(verdicts).map(CompletionCandidate::new).collect()
}

fn themes() -> Vec<CompletionCandidate> {
    ThemeName::ALL.iter().map(|theme| CompletionCandidate::new(theme.as_str())).collect()
}

fn contexts() -> Vec<CompletionCandidate> {
    let names = tcs_core::bus::settings::context_names();
    names.into_iter().take(MOST).map(CompletionCandidate::new).collect()
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
    let session = Session::new(&cli, Screen::plain());
    let mut names = Vec::new();
    let asked = session.block_on(async {
        let bus = session.connect().await?;
        let nothing = serde_json::json!({});
        let reply = bus.request(&args.service, command::COMMANDS, &nothing, PATIENCE).await;
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

fn known() -> Option<Known> {
    let cli = typed_line()?;
    let session = Session::new(&cli, Screen::plain());
    let mut known = Known::default();
    let asked = session.block_on(async {
        let want = Want::default();
        let reading = tokio::time::timeout(PATIENCE, picture::take(&session, &want));
        let Ok(picture) = reading.await else { return Ok(Exit::NoContact.into()) };
        let services = picture?.view.services;
        let hosts: BTreeSet<String> = services
            .iter()
            .filter_map(|service| service.host.as_deref())
            .map(str::to_owned)
            .collect();
        known.hosts = hosts.into_iter().collect();
        let launchers = services.iter().filter(|service| service.is_launcher);
        let launchers = launchers.map(|it| it.id.trim_start_matches("launcher.").to_owned());
        known.launchers = launchers.collect();
        known.services =
            services.iter().map(|it| (it.id.to_string(), it.verdict.as_str())).collect();
        Ok(Exit::Done.into())
    });
    asked.ok().map(|_| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_completed_wherever_one_is_taken() {
        let command = completing(Cli::definition());
        let completed = |command: &clap::Command| {
            command.get_positionals().any(|arg| arg.get::<ArgValueCompleter>().is_some())
        };
        assert!(completed(&command));
        let named = command.get_subcommands().filter(|it| completed(it));
        let named: Vec<_> = named.map(clap::Command::get_name).collect();
        assert_eq!(
            named.join(" "),
            "list events why timeline graph watch check wait health stats top metrics serve call start \
             stop restart reload maintenance upgrade drill logs alarms shelve"
        );
    }
}
