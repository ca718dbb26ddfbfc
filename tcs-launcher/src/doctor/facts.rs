//! Looks around on this host, and asks the broker.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tcs_core::bus::{Bus, ClockQuality, LinkState};
use tcs_core::clock;
use tcs_core::config::{self, Config, Environment, Severity};
use tcs_core::service::Registry;
use tcs_core::wire::Kind;

use super::{Broker, ConfigFile, Console, Facts, Limits, Stream, Unit};
use crate::daemon;

/// How long the broker may take for the connection, and for each answer; also other programs.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long launchers may take to tell their versions.
const ANSWERS: Duration = Duration::from_secs(1);

pub(super) fn gather(given: &Path, explicit: bool) -> Facts {
    let path = config_file(given, explicit);
    let unit = unit();
    let pid = unit.as_ref().map(|unit| unit.pid).filter(|pid| *pid != 0);
    let mut facts = Facts {
        consoles: consoles(),
        clock_synchronised: clock_synchronised(),
        limits: limits(pid),
        free_space: free_space(),
        unit,
        ..Facts::default()
    };
    let Some(path) = path else { return facts };
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    facts.readable_by_all = readable_by_all(&folder);
    let environment = environment(&folder);
    facts.config = read_config(&path, &environment);
    if let ConfigFile::Good { .. } = facts.config {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let asked = runtime
            .map_err(anyhow::Error::from)
            .and_then(|runtime| runtime.block_on(broker(&path, &environment)));
        // the hints behind the first line are ours to give
        let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
        facts.broker = Some(asked.map_err(|error| first(format!("{error:#}"))));
    }
    facts
}

/// The named one, or that of this folder, of the host, of the user.
fn config_file(given: &Path, explicit: bool) -> Option<PathBuf> {
    let mut places = vec![given.to_owned()];
    if !explicit {
        places.push("/etc/tcs/services.yaml".into());
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.or_else(|| home.map(|home| home.join(".config")));
        places.extend(config.map(|folder| folder.join("tcs/services.yaml")));
    }
    // one that may not be looked at is there
    let is_absent = |path: &Path| {
        let error = path.metadata().err().map(|error| error.kind());
        error.is_some_and(|it| matches!(it, ErrorKind::NotFound | ErrorKind::NotADirectory))
    };
    places.into_iter().find(|path| !is_absent(path))
}

/// The environment of this process, and what the unit reads from `tcsd.env`.
fn environment(folder: &Path) -> Environment {
    let text = fs::read_to_string(folder.join("tcsd.env")).unwrap_or_default();
    let set =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let set = set.map(|(name, value)| -> (OsString, OsString) {
        (name.trim().into(), value.trim_matches(['"', '\'']).into())
    });
    let here = std::env::current_dir().unwrap_or_default();
    let (environment, _) = Environment::new(set.chain(std::env::vars_os())).with_dotenv(&here);
    environment
}

fn read_config(path: &Path, environment: &Environment) -> ConfigFile {
    if let Err(error) = fs::File::open(path) {
        return ConfigFile::Unreadable(path.to_owned(), error.to_string());
    }
    let registry = Registry::of_this_program().unwrap_or_default();
    let check = config::check(path, true, environment, &daemon::known_types(&registry));
    let mistakes = check.report.problems.iter().filter(|it| it.severity == Severity::Error).count();
    let path = path.to_owned();
    match mistakes {
        0 => ConfigFile::Good { path, services: check.plan.len() },
        _ => ConfigFile::Wrong(path, mistakes),
    }
}

/// Files beside the configuration that hold passwords, and are open to all.
fn readable_by_all(folder: &Path) -> Vec<PathBuf> {
    if folder.metadata().is_ok_and(|about| about.permissions().mode() & 0o001 == 0) {
        return Vec::new();
    }
    let names = [
        "services.yaml",
        "tcsd.env",
        "service.env",
        "nats-server.conf",
        "operator.json",
        "viewer.json",
    ];
    let is_open = |path: &PathBuf| {
        path.metadata().is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
            && fs::read_to_string(path).is_ok_and(|text| holds_password(&text))
    };
    names.map(|name| folder.join(name)).into_iter().filter(is_open).collect()
}

/// Whether a password itself stands there, and not the name of a variable.
fn holds_password(text: &str) -> bool {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).any(|line| {
        let line = line.to_ascii_lowercase();
        line.split("password").skip(1).any(|rest| {
            let value = rest.trim_start_matches(['"', '\'', ' ', ':', '=']);
            !value.is_empty() && !value.starts_with(['$', ',', '}'])
        })
    })
}

async fn broker(path: &Path, environment: &Environment) -> anyhow::Result<Broker> {
    let config = Config::load(path, true, environment)?;
    let settings = daemon::broker(&config, path, environment)?;
    let login = settings.auth.value.to_string();
    let bus = Bus::connect(&settings, "tcsd doctor", PATIENCE).await?;
    let mut found = Broker {
        url: String::new(),
        version: String::new(),
        login,
        streams: Vec::new(),
        ahead: None,
        launchers: Vec::new(),
    };
    if let LinkState::Connected { server, .. } = &*bus.link().borrow() {
        found.url.clone_from(&server.url);
        found.version.clone_from(&server.version);
    }
    for kind in Kind::FLEET {
        found.streams.push((kind.token(), streams(&bus, kind).await));
    }
    if let Ok(Some(broker)) = tokio::time::timeout(PATIENCE, bus.broker_clock()).await
        && matches!(broker.quality, ClockQuality::Measured { .. })
    {
        let ahead = (broker.now() - clock::wall()).as_seconds_f64();
        found.ahead = Some(ahead);
    }
    let versions = bus.versions(ANSWERS).await.unwrap_or_default();
    found.launchers =
        versions.into_iter().filter(|(name, _)| name.starts_with("launcher.")).collect();
    bus.release().await;
    Ok(found)
}

async fn streams(bus: &Bus, kind: Kind) -> Result<Vec<Stream>, String> {
    let names = bus.streams_of(&bus.subjects().all(kind)).await.map_err(|it| it.to_string())?;
    let mut found = Vec::new();
    for name in &names {
        let about = bus.stream(name).await.map_err(|error| format!("stream {name}: {error}"))?;
        found.push(Stream {
            is_at_risk: about.is_at_risk(),
            messages: about.messages,
            has_leader: about.has_leader,
            no_ack: about.no_ack,
            name: about.name,
        });
    }
    Ok(found)
}

/// `tcsctl` in each folder of PATH.
fn consoles() -> Vec<Console> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for folder in std::env::split_paths(&path) {
        let path = folder.join("tcsctl");
        let Ok(program) = path.canonicalize() else { continue };
        if seen.contains(&program) {
            continue;
        }
        let mut start = [0; 2];
        let is_script = fs::File::open(&program)
            .and_then(|mut file| file.read_exact(&mut start))
            .is_ok_and(|()| start == *b"#!");
        seen.push(program);
        found.push(Console { path, is_script });
    }
    found
}

/// What a program prints, if it runs and succeeds, and does not hang: what it asks may.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut stdout = child.stdout.take()?;
    let (told, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        told.send(stdout.read_to_end(&mut text).map(|_| text)).ok();
    });
    let answer = answer.recv_timeout(PATIENCE);
    if answer.is_err() {
        child.kill().ok();
    }
    let is_success = child.wait().is_ok_and(|status| status.success());
    let text = answer.ok()?.ok().filter(|_| is_success)?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn clock_synchronised() -> Option<bool> {
    let told = output("timedatectl", &["show", "--property=NTPSynchronized", "--value"])?;
    match told.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// That of the host, else that of the user.
fn unit() -> Option<Unit> {
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let show = |systemctl: &'static str, scope: &[&str]| {
        let properties = "--property=LoadState,ActiveState,UnitFileState,MainPID";
        let mut arguments = scope.to_vec();
        arguments.extend(["show", "tcsd.service", properties]);
        let told = output("systemctl", &arguments)?;
        let value = |name: &str| {
            let mut lines = told.lines().filter_map(|line| line.split_once('='));
            lines.find(|(key, _)| *key == name).map_or("", |(_, value)| value)
        };
        Some(Unit {
            systemctl,
            is_loaded: value("LoadState") == "loaded",
            is_enabled: value("UnitFileState").starts_with("enabled"),
            state: value("ActiveState").to_owned(),
            pid: value("MainPID").parse().unwrap_or(0),
        })
    };
    of_host_or_user(show("systemctl", &[]), || show("systemctl --user", &["--user"]))
}

/// The unit that is used: a package brings that of the host, also where only a user's is.
fn of_host_or_user(of_host: Option<Unit>, of_user: impl FnOnce() -> Option<Unit>) -> Option<Unit> {
    let is_used = |unit: &Unit| unit.is_loaded && (unit.is_enabled || unit.state != "inactive");
    if of_host.as_ref().is_some_and(is_used) {
        return of_host;
    }
    let is_there = of_host.as_ref().is_some_and(|unit| unit.is_loaded);
    of_user().filter(|unit| is_used(unit) || unit.is_loaded && !is_there).or(of_host)
}

/// Those of a process, else of this one.
fn limits(pid: Option<u32>) -> Limits {
    let process = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let read = |path: String| fs::read_to_string(path).unwrap_or_default();
    let number = |path: String| read(path).trim().parse().ok();
    let of_process = read(format!("/proc/{process}/limits"));
    let mut files = of_process.lines().filter_map(|line| line.strip_prefix("Max open files"));
    let group = read(format!("/proc/{process}/cgroup"));
    let group = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let at = |file: &str| format!("/sys/fs/cgroup{}/{file}", group.trim_end_matches('/'));
    Limits {
        open_files: files.next().and_then(|rest| rest.split_whitespace().next()?.parse().ok()),
        processes: number(at("pids.max")),
        memory: number(at("memory.max")),
        // in a container there may be none at all
        is_legacy: Path::new("/sys/fs/cgroup/pids").exists(),
    }
}

fn free_space() -> Option<(PathBuf, u64)> {
    let path =
        std::env::var_os("STATE_DIRECTORY").map_or_else(|| "/var/lib/tcs".into(), PathBuf::from);
    let place = path.ancestors().find(|it| it.exists())?.to_owned();
    let about = nix::sys::statvfs::statvfs(&place).ok()?;
    Some((place, about.blocks_available() * about.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::{Unit, holds_password, of_host_or_user};

    #[test]
    fn the_unit_that_is_used_is_looked_at() {
        let unit = |systemctl, is_loaded, is_enabled, state: &str| {
            Some(Unit { systemctl, is_loaded, is_enabled, state: state.to_owned(), pid: 0 })
        };
        let host = |is_loaded, is_enabled, state| unit("systemctl", is_loaded, is_enabled, state);
        let user =
            |is_loaded, is_enabled, state| unit("systemctl --user", is_loaded, is_enabled, state);
        for (of_host, of_user, used) in [
            (host(true, true, "active"), user(true, true, "active"), "systemctl"),
            (host(true, false, "failed"), user(true, true, "active"), "systemctl"),
            // a package brought it
            (host(true, false, "inactive"), user(true, true, "active"), "systemctl --user"),
            (host(true, false, "inactive"), user(true, false, "active"), "systemctl --user"),
            (host(true, false, "inactive"), user(true, false, "inactive"), "systemctl"),
            (host(true, false, "inactive"), None, "systemctl"),
            (host(false, false, "inactive"), user(true, false, "inactive"), "systemctl --user"),
            (host(false, false, "inactive"), user(false, false, "inactive"), "systemctl"),
            (None, user(true, true, "active"), "systemctl --user"),
        ] {
            let shown = format!("{of_host:?}, {of_user:?}");
            let found = of_host_or_user(of_host, || of_user).map(|unit| unit.systemctl);
            assert_eq!(found, Some(used), "{shown}");
        }
    }

    #[test]
    fn a_password_or_the_name_of_a_variable() {
        for text in
            ["NATS_PASSWORD=x", "{\"password\": \"x\"}", "  password: \"x\"", "nats: {password: x}"]
        {
            assert!(holds_password(text), "{text}");
        }
        for text in [
            "password: $TCS_PASSWORD",
            "nats: {password: \"${NATS_PASSWORD}\"}",
            "# password: x",
            "NATS_PASSWORD=",
        ] {
            assert!(!holds_password(text), "{text}");
        }
    }
}
