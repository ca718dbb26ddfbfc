//! The judgement. Pure.

use tcs_core::bus::ApiError;
use tcs_core::fleet::format_seconds;

use super::{Broker, ConfigFile, Facts, Unit};

/// Files that tcsd opens for one service, at most: its output, sockets, watches.
const FILES_PER_SERVICE: u64 = 8;
/// Files that tcsd opens for itself.
const OWN_FILES: u64 = 64;
/// Processes of one service that are taken for usual: threads count as well.
const TASKS_PER_SERVICE: u64 = 16;
/// Less free space does not last for a night of logs.
const LITTLE_SPACE: u64 = 500_000_000;
/// Clocks that differ by more mislead whoever compares logs, in seconds.
const MOST_AHEAD: f64 = 2.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Ok,
    Warning,
    Error,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) text: String,
    /// The command that mends it.
    pub(super) mend: Option<String>,
}

fn ok(text: impl Into<String>) -> Finding {
    Finding { level: Level::Ok, text: text.into(), mend: None }
}

fn warning(text: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { level: Level::Warning, text: text.into(), mend: Some(mend.into()) }
}

fn error(text: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { level: Level::Error, text: text.into(), mend: Some(mend.into()) }
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = vec![config(facts)];
    found.extend(facts.readable_by_all.iter().map(|path| {
        let path = path.display();
        error(
            format!("rights: every user can read the passwords in {path}"),
            format!("chmod o= {path}"),
        )
    }));
    match &facts.broker {
        None => {}
        Some(Err(why)) => found.push(error(format!("broker: {why}"), start_broker(facts))),
        Some(Ok(broker)) => found.extend(of_broker(broker, facts)),
    }
    found.extend(clock(facts));
    found.extend(facts.unit.as_ref().map(unit));
    found.extend(limits(facts));
    found.extend(console(facts));
    found
}

fn config(facts: &Facts) -> Finding {
    match &facts.config {
        ConfigFile::Missing => error(
            "configuration: there is none at config/services.yaml or /etc/tcs/services.yaml",
            "sudo tcsd install; or name it: tcsd doctor --config FILE",
        ),
        ConfigFile::Unreadable(path, why) => error(
            format!("configuration: {} cannot be read: {why}", path.display()),
            "sudo tcsd doctor",
        ),
        ConfigFile::Wrong(path, mistakes) => {
            let s = super::plural(*mistakes);
            let path = path.display();
            error(
                format!("configuration: {path} has {mistakes} mistake{s}"),
                format!("tcsd check --config {path}"),
            )
        }
        ConfigFile::Good { path, services } => {
            let s = super::plural(*services);
            ok(format!("configuration: {}, {services} service{s}", path.display()))
        }
    }
}

fn start_broker(facts: &Facts) -> String {
    let systemctl = facts.unit.as_ref().map_or("systemctl", |unit| unit.systemctl);
    format!(
        "{systemctl} enable --now tcs-nats (the broker of `tcsd install`), or correct NATS_URL and \
         the login in tcsd.env"
    )
}

/// Debian's package of the broker starts one without JetStream.
fn enable_jetstream(facts: &Facts) -> String {
    let systemctl = facts.unit.as_ref().map_or("systemctl", |unit| unit.systemctl);
    format!(
        "use the broker of `tcsd install`: systemctl disable --now nats-server; {systemctl} enable \
         --now tcs-nats; or start yours with --jetstream"
    )
}

fn of_broker(broker: &Broker, facts: &Facts) -> Vec<Finding> {
    let Broker { url, version, login, .. } = broker;
    let mut found = vec![ok(format!("broker: {url}, nats-server {version}, login: {login}"))];
    let lacking = ApiError::NoJetStream.to_string();
    let lacks_jetstream = |why: &String| why.ends_with(&lacking);
    if broker.streams.iter().any(|(_, it)| it.as_ref().is_err_and(lacks_jetstream)) {
        found.push(error(format!("streams: {lacking}"), enable_jetstream(facts)));
    }
    for (kind, streams) in &broker.streams {
        match streams {
            Err(why) if lacks_jetstream(why) => {}
            Err(why) => found.push(error(
                format!("streams: {kind}: {why}"),
                "tcsd check --connect; rights of users: nats-server.conf",
            )),
            Ok(streams) if streams.is_empty() => {
                found
                    .push(ok(format!("streams: {kind}: none yet; tcsd creates it when it starts")));
            }
            Ok(streams) => found.extend(streams.iter().map(|stream| {
                let (name, messages) = (&stream.name, stream.messages);
                if !stream.has_leader {
                    error(
                        format!("streams: {name} has no leader: it takes no messages"),
                        format!("nats stream info {name}"),
                    )
                } else if stream.is_at_risk {
                    warning(
                        format!("streams: {name} has one replica in a cluster"),
                        "set `nats.replicas: 3` in the configuration, then: tcsctl reload",
                    )
                } else if stream.no_ack {
                    warning(
                        format!("streams: {name} does not acknowledge messages"),
                        format!("nats stream edit {name} --ack"),
                    )
                } else {
                    ok(format!("streams: {name}, {messages} messages"))
                }
            })),
        }
    }
    let own = env!("CARGO_PKG_VERSION");
    let others = broker.launchers.iter().filter(|(_, version)| version != own);
    found.extend(others.map(|(name, version)| {
        warning(
            format!("versions: {name} runs {version}, this tcsd is {own}"),
            "install the same version on its host, then there: systemctl reload tcsd",
        )
    }));
    found
}

fn clock(facts: &Facts) -> Option<Finding> {
    if let Some(Ok(Broker { ahead: Some(ahead), .. })) = &facts.broker
        && ahead.abs() > MOST_AHEAD
    {
        let side = if *ahead > 0.0 { "behind" } else { "ahead of" };
        let text = format!("clock: {} {side} the broker's", format_seconds(ahead.abs()));
        return Some(warning(text, "timedatectl set-ntp true, on both hosts"));
    }
    Some(if facts.clock_synchronised? {
        ok("clock: synchronised")
    } else {
        warning("clock: not synchronised", "timedatectl set-ntp true")
    })
}

fn unit(unit: &Unit) -> Finding {
    let Unit { systemctl, is_loaded, is_enabled, state, .. } = unit;
    if !is_loaded {
        warning("unit: systemd has no tcsd.service", "sudo tcsd install")
    } else if state == "failed" {
        error("unit: tcsd.service has failed", "journalctl -u tcsd -n 50")
    } else if state != "active" {
        warning(format!("unit: tcsd.service is {state}"), format!("{systemctl} start tcsd"))
    } else if !is_enabled {
        let text = "unit: tcsd.service runs, and is not started at boot";
        warning(text, format!("{systemctl} enable tcsd"))
    } else {
        ok("unit: tcsd.service runs, and is started at boot")
    }
}

fn limits(facts: &Facts) -> Vec<Finding> {
    let limits = &facts.limits;
    let services = match facts.config {
        ConfigFile::Good { services, .. } => services as u64,
        ConfigFile::Missing | ConfigFile::Unreadable(..) | ConfigFile::Wrong(..) => 0,
    };
    let mut found = Vec::new();
    let s = super::plural(usize::try_from(services).unwrap_or(usize::MAX));
    let files = OWN_FILES + services * FILES_PER_SERVICE;
    if let Some(most) = limits.open_files.filter(|most| *most < files) {
        found.push(error(
            format!("limits: {most} open files; {services} service{s} may need {files}"),
            "systemctl edit tcsd, and set in [Service]: LimitNOFILE=65536",
        ));
    }
    let tasks = services * TASKS_PER_SERVICE;
    if let Some(most) = limits.processes.filter(|most| *most < tasks) {
        found.push(warning(
            format!("cgroup: {most} processes and threads; {services} service{s} may need {tasks}"),
            "systemctl edit tcsd, and set in [Service]: TasksMax=infinity",
        ));
    }
    if let Some(most) = limits.memory {
        let text = format!("cgroup: tcsd and its services share {} MB of memory", most / 1_000_000);
        found.push(ok(text));
    }
    if limits.is_legacy {
        found.push(warning(
            "cgroup: this host uses version 1; limits of the unit are not checked",
            "boot with systemd.unified_cgroup_hierarchy=1",
        ));
    }
    if let Some((path, free)) = facts.free_space.as_ref().filter(|(_, free)| *free < LITTLE_SPACE) {
        let (path, free) = (path.display(), free / 1_000_000);
        found.push(warning(format!("disk: {free} MB are free at {path}"), format!("df -h {path}")));
    }
    if found.is_empty() {
        found.push(ok("limits: open files, processes, memory and disk space are sufficient"));
    }
    found
}

/// Which program `tcsctl` starts: that of the Python system has the same name.
fn console(facts: &Facts) -> Option<Finding> {
    let first = facts.consoles.first()?;
    let other = facts.consoles.iter().find(|it| it.is_script != first.is_script);
    let path = first.path.display();
    Some(match other {
        Some(other) => {
            let other = other.path.display();
            let (this, that) = if first.is_script {
                ("the Python one", "this one")
            } else {
                ("this one", "the Python one")
            };
            warning(
                format!("console: `tcsctl` starts {path} ({this}), which hides {other} ({that})"),
                "install one of them in an environment of its own, with pipx",
            )
        }
        None if first.is_script => warning(
            format!("console: `tcsctl` starts {path}, the Python one"),
            "install tcsctl of this release with pipx or as a package",
        ),
        None => ok(format!("console: {path}")),
    })
}
