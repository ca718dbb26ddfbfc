//! A service that runs by itself, with the arguments of the Python fleet:
//! `my_service [CONFIG] [VARIANT] [--runner-id ID] [--parent-name NAME] [--no-banner]`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::host::{HostOptions, Progress, run};
use super::kinds::Service;
use super::log::{self, say};
use super::notify;
use super::outcome::Outcome;
use super::registry::Registration;
use super::signals::{self, StopSignals};
use crate::bus::Env;
use crate::bus::settings::{NatsSection, Settings as NatsSettings};
use crate::config::{Config, DEFAULT_PATH, Environment, Launch, ServiceSettings};
use crate::id::{ServiceType, Variant};
use crate::monitor::Reporter;

/// The variant when none is given, as in Python.
const DEFAULT_VARIANT: &str = "dev";

/// Exit code of wrong arguments.
const USAGE: u8 = 2;

/// What a stand-alone run was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Args {
    config: Option<PathBuf>,
    variant: Option<String>,
    parent: Option<String>,
    no_banner: bool,
}

enum Asked {
    Run(Args),
    Help,
}

fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Asked, String> {
    let mut args = Args::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let (name, given) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (&*argument, None),
        };
        let mut value = || {
            given
                .clone()
                .or_else(|| arguments.next())
                .ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "-h" | "--help" => return Ok(Asked::Help),
            "--no-banner" => args.no_banner = true,
            "--runner-id" => drop(value()?), // changes nothing, in Python too
            "--parent-name" => args.parent = Some(value()?),
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            // a file is told by its ending, so that a variant may be given alone
            file if args.config.is_none() && args.variant.is_none() && is_yaml(file) => {
                args.config = Some(file.into());
            }
            variant if args.variant.is_none() => args.variant = Some(variant.to_owned()),
            other => return Err(format!("one argument too many: {other}")),
        }
    }
    Ok(Asked::Run(args))
}

fn is_yaml(file: &str) -> bool {
    let extension = std::path::Path::new(file).extension();
    extension.is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Runs one service of this program until it ends by itself or on SIGTERM or SIGINT (a second one
/// ends it at once), and returns its exit code: 0, or that of its failure. For `main`:
///
/// ```ignore
/// fn main() -> std::process::ExitCode {
///     tcs_core::main::<HelloWorld>()
/// }
/// ```
pub fn main<S: Service>() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    main_of(S::registration(), arguments.map(|it| it.to_string_lossy().into_owned()))
}

/// Like [`main()`], for a service type looked up by its name, and with these arguments.
pub fn main_of(
    registration: &'static Registration,
    arguments: impl IntoIterator<Item = String>,
) -> ExitCode {
    signals::hold();
    log::init();
    let program = registration.service_type().map_or_else(|_| "service".into(), |t| t.to_string());
    match parse(arguments) {
        Ok(Asked::Run(args)) => match start(registration, args) {
            Ok(code) => code,
            Err(error) => {
                tracing::error!("{error:#}");
                ExitCode::FAILURE
            }
        },
        Ok(Asked::Help) => {
            say(&usage(&program));
            ExitCode::SUCCESS
        }
        Err(mistake) => {
            say(&format!("{program}: {mistake}\n{}", usage(&program)));
            ExitCode::from(USAGE)
        }
    }
}

fn usage(program: &str) -> String {
    format!(
        "usage: {program} [CONFIG.yaml] [VARIANT] [--parent-name NAME] [--no-banner]\n\n\
         CONFIG.yaml is `{DEFAULT_PATH}` by default, if it exists; VARIANT is `{DEFAULT_VARIANT}`.\n\
         TCS_LOG=debug logs more. Launchers also pass --runner-id, which has no effect."
    )
}

fn start(registration: &'static Registration, args: Args) -> anyhow::Result<ExitCode> {
    let variant: Variant = args.variant.as_deref().unwrap_or(DEFAULT_VARIANT).parse()?;
    let service_type = registration.service_type()?;
    let (settings, launch, nats) = settings(&args, &service_type, &variant)?;
    if !args.no_banner {
        say(&format!(
            "{service_type}.{variant} ({} service, tcs {}), NATS {} under `{}`",
            registration.kind(),
            env!("CARGO_PKG_VERSION"),
            nats.shown_servers(),
            nats.subjects.value.prefix(),
        ));
    }
    let reporter = Reporter::open(nats, &format!("{service_type}.{variant}"))?;
    let mut options = HostOptions::new(reporter.clone());
    options.parent = args.parent;
    options.heartbeat = launch.heartbeat;
    options.healthcheck = launch.healthcheck;
    let (progress, seen) = watch::channel(Progress::Starting);
    options.progress = Some(progress);
    // several threads, so that a service that blocks one can still be told to stop
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.enable_all();
    let (runtime, mut signals) = signals::runtime(threads, StopSignals::catch)?;
    let code = runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(notify::relay(seen));
        let mut life = std::pin::pin!(run(registration, &settings, options, stop.clone()));
        anyhow::Ok(tokio::select! {
            outcome = &mut life => code(&outcome),
            () = signals.next() => {
                stop.cancel();
                tokio::select! {
                    outcome = life => code(&outcome),
                    () = signals.next() => {
                        tracing::warn!("second signal: exiting at once");
                        ExitCode::from(FORCED)
                    }
                }
            }
        })
    })?;
    runtime.shutdown_background();
    drop(reporter); // sends the last words
    Ok(code)
}

/// As a shell reports a process that SIGTERM has ended.
const FORCED: u8 = 128 + 15;

fn code(outcome: &Outcome) -> ExitCode {
    if let Some(failure) = outcome.failure() {
        // best effort: the exit code reports the failure too, without the reason
        notify::notify(&format!("{}={failure}", notify::ERROR)).ok();
    }
    u8::try_from(outcome.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The file's settings for this service, how often it beats and is checked, and how it reaches the
/// broker. A file that is named must exist; the usual one may be missing.
fn settings(
    args: &Args,
    service_type: &ServiceType,
    variant: &Variant,
) -> anyhow::Result<(ServiceSettings, Launch, NatsSettings)> {
    let environment = Environment::of_process(&std::env::current_dir()?)?;
    let path = args.config.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
    let config = Config::load(path, args.config.is_some(), &environment)?;
    if !config.warnings.is_empty() {
        tracing::warn!("{}", config.warnings);
    }
    let section = config.nats.clone().map(|section| (path.to_owned(), section));
    let nats = NatsSettings::resolve_by(move || {
        let env = |name: &str| environment.get(name).map(str::to_owned);
        let read = |path: &Path| std::fs::read_to_string(path);
        let section = section.as_ref().map(|(path, section)| (path.as_path(), section));
        NatsSettings::resolve(&NatsSection::default(), section, Env { env: &env, read: &read })
    })?;
    let entry = config.entry(service_type, variant);
    if entry.is_none() && args.config.is_some() {
        tracing::warn!("{}", without_entry(&config, path, &format!("{service_type}.{variant}")));
    }
    let launch = entry.map_or(&config.launch, |it| &it.launch);
    Ok((config.settings_for(service_type, variant), launch.clone(), nats))
}

/// The message that a file has no entry for this service, and which it has of the same type.
fn without_entry(config: &Config, path: &Path, id: &str) -> String {
    let (service_type, _) = id.rsplit_once('.').unwrap_or((id, ""));
    let same = config.services.iter().filter(|it| it.service_type.as_str() == service_type);
    let variants: Vec<_> = same.map(|it| format!("`{}`", it.variant)).collect();
    let hint = match variants.as_slice() {
        [] => String::new(),
        variants => format!("\nhint: give one of its variants: {}", variants.join(", ")),
    };
    format!(
        "{}: no entry for {id}: it runs with the keys at the top of the file, and defaults{hint}",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Result<Args, String> {
        match parse(line.split_whitespace().map(str::to_owned)) {
            Ok(Asked::Run(args)) => Ok(args),
            Ok(Asked::Help) => Err("help".to_owned()),
            Err(error) => Err(error),
        }
    }

    #[test]
    fn arguments_as_the_launchers_give_them() {
        let all =
            args("/etc/tcs/s.yaml jk15 --runner-id l.guider --parent-name=launcher.l --no-banner");
        let all = all.unwrap();
        assert_eq!(all.config, Some("/etc/tcs/s.yaml".into()));
        assert_eq!(all.variant.as_deref(), Some("jk15"));
        assert_eq!(all.parent.as_deref(), Some("launcher.l"));
        assert!(all.no_banner);
        assert_eq!(args("").unwrap(), Args::default());
        assert_eq!(args("jk15").unwrap().variant.as_deref(), Some("jk15"));
        assert!(args("a.yaml b c").unwrap_err().contains("too many: c"));
        assert!(args("--colour").unwrap_err().contains("--colour"));
        assert!(args("--parent-name").unwrap_err().contains("needs a value"));
        assert_eq!(args("--help").unwrap_err(), "help");
    }

    #[test]
    fn a_file_without_an_entry_is_told_with_the_variants_that_it_has() {
        let text = b"services: [{type: guider, variant: main}, {type: dome, variant: a}]";
        let config = Config::parse("s.yaml", text, &Environment::default()).unwrap();
        let of = |id| without_entry(&config, Path::new("s.yaml"), id);
        assert!(of("guider.dev").ends_with("\nhint: give one of its variants: `main`"));
        assert!(of("camera.dev").starts_with("s.yaml: no entry for camera.dev: "));
        assert!(!of("camera.dev").contains("hint"));
    }
}
