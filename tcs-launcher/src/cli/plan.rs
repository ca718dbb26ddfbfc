//! `tcsd plan`: what a reload of the running launcher would touch. It reads the file itself and
//! knows what runs, so it is asked; nothing is computed twice.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::Map;
use tcs_core::bus::Bus;
use tcs_core::bus::publish::hostname;
use tcs_core::clock;
use tcs_core::config::{Config, Environment, waits};
use tcs_core::fleet::Verdict;
use tcs_core::id::{LauncherId, ObjectName};
use tcs_core::observer::{Observer, Patience};
use tcs_core::wire::control::{
    ChangeKind, Consequence, LauncherIdentity, Partly, ReloadReply, ReloadRequest, ServiceChange,
    command, read_reply,
};

use super::say;
use crate::stdout::print;
use crate::{daemon, reload_text};

/// How long the broker, and then a launcher, may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(path: &Path, explicit: bool) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let planned = runtime
        .context("starting the runtime")
        .and_then(|runtime| runtime.block_on(plan(path, explicit)));
    match planned {
        Ok(report) => {
            print(&reload_text::lines(&report).join("\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            say(&format!("{error:#}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn plan(path: &Path, explicit: bool) -> anyhow::Result<ReloadReply> {
    let here = std::env::current_dir().context("finding the working directory")?;
    let environment = Environment::of_process(&here)?;
    let config = Config::load(path, explicit, &environment)?;
    if !config.warnings.is_empty() {
        say(&config.warnings.to_string());
    }
    let settings = daemon::broker(&config, path, &environment)?;
    let (shown, servers) = (path.display(), settings.shown_servers());
    match Bus::connect(&settings, "tcsd plan", PATIENCE).await {
        Err(error) => say(&format!("{error}\nthis is what a start of {shown} would do:")),
        Ok(bus) => match find(&bus, path, &here).await? {
            Some(name) => {
                let asked = ReloadRequest { dry_run: true };
                let answer = bus.request(name.as_str(), command::RELOAD, &asked, PATIENCE).await;
                let answer = answer.map_err(|error| anyhow!("{name}: {error}"))?;
                say(&format!("{name} would, on a reload:"));
                let Partly { mut value, unread } = read_reply::<ReloadReply>(&answer);
                value.notes.extend(unread.iter().map(|path| format!("cannot be read: {path}")));
                return Ok(value);
            }
            None => say(&format!(
                "no launcher of {shown} answers on {servers}; this is what a start would do:"
            )),
        },
    }
    Ok(start(&config))
}

/// The launcher that runs this file on this host: by the name that it would have if it were started
/// from here, or one of those that are known to the fleet.
async fn find(bus: &Bus, path: &Path, here: &Path) -> anyhow::Result<Option<ObjectName>> {
    let (given, cwd) = (path.display().to_string(), here.display().to_string());
    let mut names = Vec::new();
    for kind in ["process", "async"] {
        names.push(LauncherId::derive(&given, &cwd, &hostname(), kind)?.object_name());
    }
    let patience = Patience { timeout: PATIENCE, ..Patience::default() };
    let picture = Observer::new(bus.clone()).snapshot(patience).await;
    let view = picture.view(clock::monotonic());
    let lives = view.services.iter().filter(|service| {
        service.is_launcher && service.phase.is_up() && service.verdict != Verdict::Lost
    });
    for service in lives {
        if let Ok(name) = service.id.parse::<ObjectName>()
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    let ours = real(path);
    let mut asked = tokio::task::JoinSet::new();
    for name in names {
        let bus = bus.clone();
        asked.spawn(async move {
            let answer = bus.request(name.as_str(), command::LIST, &Map::new(), PATIENCE).await;
            answer.ok().map(|answer| (name, answer))
        });
    }
    while let Some(answer) = asked.join_next().await {
        let Ok(Some((name, answer))) = answer else { continue };
        let launcher: LauncherIdentity = read_reply(&answer).value;
        if launcher.host == Some(hostname())
            && launcher.config.is_some_and(|config| real(Path::new(&config)) == ours)
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What a start does.
fn start(config: &Config) -> ReloadReply {
    let services = config.services.iter().map(|entry| ServiceChange {
        service_id: entry.id.to_string(),
        change: Some(ChangeKind::Added),
        then: Some(if entry.launch.enabled { Consequence::Starts } else { Consequence::StaysDown }),
        waits_for: waits(entry, &config.services).iter().map(reload_text::wait).collect(),
        ..ServiceChange::default()
    });
    ReloadReply { services: services.collect(), ..ReloadReply::default() }
}
