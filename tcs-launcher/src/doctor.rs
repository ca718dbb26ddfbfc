//! `tcsd doctor`: what is wrong on this host, each with the command that mends it.
//!
//! [`mod@facts`] looks around, [`mod@findings`] judges; the judgement is pure.

mod facts;
mod findings;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::stdout::print;
use findings::{Level, findings};

/// Prints what was found. The exit code is 1 if something is wrong, not if something is doubtful.
pub(crate) fn run(config: &Path, explicit: bool) -> io::Result<ExitCode> {
    let found = findings(&facts::gather(config, explicit));
    for finding in &found {
        let level = match finding.level {
            Level::Ok => "ok     ",
            Level::Warning => "warning",
            Level::Error => "error  ",
        };
        print(&format!("{level}  {}", finding.text))?;
        if let Some(mend) = &finding.mend {
            print(&format!("         hint: {mend}"))?;
        }
    }
    let count = |level| found.iter().filter(|it| it.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    print(&match (errors, warnings) {
        (0, 0) => "no problems found".to_owned(),
        _ => format!("{errors} error{}, {warnings} warning{}", plural(errors), plural(warnings)),
    })?;
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// What is there.
#[derive(Debug, Default)]
struct Facts {
    /// The programs `tcsctl` in the order of PATH.
    consoles: Vec<Console>,
    config: ConfigFile,
    /// Files with passwords that every user of the host can read.
    readable_by_all: Vec<PathBuf>,
    /// `None`: not asked, as the configuration cannot be used.
    broker: Option<Result<Broker, String>>,
    /// Whether the clock is synchronised; `None`: nothing on this host tells.
    clock_synchronised: Option<bool>,
    /// The systemd unit, if systemd runs here.
    unit: Option<Unit>,
    limits: Limits,
    /// Free space where tcsd keeps its state, in bytes.
    free_space: Option<(PathBuf, u64)>,
}

#[derive(Debug)]
struct Console {
    path: PathBuf,
    /// A script, as the Python system installs it.
    is_script: bool,
}

#[derive(Debug, Default)]
enum ConfigFile {
    #[default]
    Missing,
    /// The file cannot be read, and why.
    Unreadable(PathBuf, String),
    /// With the number of mistakes.
    Wrong(PathBuf, usize),
    Good {
        path: PathBuf,
        services: usize,
    },
}

#[derive(Debug)]
struct Broker {
    url: String,
    version: String,
    login: String,
    /// By kind of message; an error says why they cannot be used.
    streams: Vec<(&'static str, Result<Vec<Stream>, String>)>,
    /// The broker's time minus this host's, in seconds, where it was measured.
    ahead: Option<f64>,
    /// Versions of the launchers that answer.
    launchers: Vec<(String, String)>,
}

#[derive(Debug)]
struct Stream {
    name: String,
    messages: u64,
    /// Some server takes messages for it.
    has_leader: bool,
    /// One replica, in a cluster.
    is_at_risk: bool,
    /// Publishers get no acknowledgement.
    no_ack: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Unit {
    /// `systemctl` or `systemctl --user`.
    systemctl: &'static str,
    is_loaded: bool,
    is_enabled: bool,
    /// `active`, `failed`, ...
    state: String,
    /// 0: it does not run.
    pid: u32,
}

/// Of the running `tcsd`, or of this process; `None`: no limit, or not known.
#[derive(Debug, Default)]
struct Limits {
    open_files: Option<u64>,
    processes: Option<u64>,
    memory: Option<u64>,
    /// Control groups of version 1.
    is_legacy: bool,
}
