//! `__exec`: between the launcher and a program.
//!
//! A library that may not be unsafe cannot do things between fork and exec; a program of its own
//! can. This one reads an order, JSON, gives the process its session, limits, user and directory,
//! ties its life to the launcher's, and becomes the program. The order comes over the socket that is
//! its standard input. It answers there that it has the order, then what fails; the socket closes by
//! itself when the program starts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, Uid, User, getppid, initgroups, setgid, setsid, setuid};
use serde::{Deserialize, Serialize};
use tcs_core::config::{Limits, missing_interpreter};

use super::group::marks;
use super::{dispositions, spawner};

/// The first byte of its answer: it has read its order, and does what it says.
pub(super) const HAS_ORDER: u8 = b'.';

/// The exit code of a shim that has not become the program. Nobody sees it: the launcher reads the
/// socket.
const NOT_STARTED: u8 = 127;

/// What to become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Become {
    /// The launcher's pid.
    pub(crate) parent: i32,
    /// Of the run: see [`marks`].
    pub(crate) mark: u64,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) limits: BTreeMap<Limit, u64>,
    /// Beside what is inherited.
    pub(crate) env: BTreeMap<String, String>,
    /// What of it is not.
    pub(crate) env_removed: BTreeSet<String>,
}

/// What can be limited (`setrlimit(2)`), soft and hard at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Limit {
    /// Open files.
    Nofile,
    /// Processes of the user.
    Nproc,
    /// Bytes of a core file.
    Core,
    /// Bytes of address space.
    Memory,
    /// Seconds of processor time.
    Cpu,
}

/// As configured.
pub(crate) fn limits(limits: &Limits) -> BTreeMap<Limit, u64> {
    let Limits { memory, open_files, processes, cpu_seconds, core } = *limits;
    let all = [
        (Limit::Memory, memory),
        (Limit::Nofile, open_files),
        (Limit::Nproc, processes),
        (Limit::Cpu, cpu_seconds),
        (Limit::Core, core),
    ];
    all.into_iter().filter_map(|(limit, value)| Some((limit, value?))).collect()
}

impl From<Limit> for Resource {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Nofile => Self::RLIMIT_NOFILE,
            Limit::Nproc => Self::RLIMIT_NPROC,
            Limit::Core => Self::RLIMIT_CORE,
            Limit::Memory => Self::RLIMIT_AS,
            Limit::Cpu => Self::RLIMIT_CPU,
        }
    }
}

/// Why a program was not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotStarted {
    pub(crate) error: String,
    /// Another try may succeed.
    pub(crate) transient: bool,
}

impl NotStarted {
    pub(crate) fn new(doing: &str, error: &io::Error) -> Self {
        let transient = matches!(
            error.raw_os_error().map(Errno::from_raw),
            Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE | Errno::ETXTBSY)
        );
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        Self { error: format!("{doing}: {text}"), transient }
    }
}

pub(super) fn main() -> ExitCode {
    // before it waits: what ends the launcher's session or group is not to end it
    let session = setsid();
    if let Ok(channel) = io::stdin().as_fd().try_clone_to_owned() {
        let mut channel = UnixStream::from(channel);
        let mut orders = Vec::new();
        let read = channel.read_to_end(&mut orders);
        let read = read.and_then(|_| channel.write_all(&[HAS_ORDER]));
        let failure = match read.and_then(|()| Ok(serde_json::from_slice(&orders)?)) {
            Ok(orders) => become_program(&orders, session),
            Err(error) => NotStarted::new("reading what to start", &error),
        };
        if let Ok(text) = serde_json::to_vec(&failure) {
            // if nobody listens any more, nobody is to be told
            let _ = channel.write_all(&text);
        }
    }
    ExitCode::from(NOT_STARTED)
}

fn become_program(orders: &Become, session: nix::Result<Pid>) -> NotStarted {
    match prepare(orders, session) {
        Ok(mut command) => {
            dispositions::reset();
            let error = command.exec();
            let doing = format!("starting {}", orders.program.display());
            match cause(orders, &error) {
                Some(cause) => NotStarted { error: format!("{doing}: {cause}"), transient: false },
                None => NotStarted::new(&doing, &error),
            }
        }
        Err(failure) => failure,
    }
}

/// What the kernel's word does not tell: the program is there, and something that it needs is not.
fn cause(orders: &Become, error: &io::Error) -> Option<String> {
    let program = &orders.program;
    match error.kind() {
        io::ErrorKind::NotFound if program.components().count() > 1 => missing_interpreter(program),
        io::ErrorKind::NotFound => {
            let path =
                orders.env.get("PATH").map(Into::into).or_else(|| std::env::var_os("PATH"))?;
            let mut places = std::env::split_paths(&path).map(|dir| dir.join(program));
            places.find_map(|place| missing_interpreter(&place))
        }
        io::ErrorKind::PermissionDenied if program.is_dir() => Some("it is a directory".to_owned()),
        _ => None,
    }
}

fn prepare(orders: &Become, session: nix::Result<Pid>) -> Result<Command, NotStarted> {
    let attempt = |doing: &str, result: Result<(), Errno>| {
        result.map_err(|errno| NotStarted::new(doing, &errno.into()))
    };
    attempt("opening a session", session.map(drop))?;
    let mut command = spawner::to_run(&orders.program);
    for name in &orders.env_removed {
        command.env_remove(name);
    }
    // where it cannot be set, the mark in the environment has to do
    let _ = marks::carry(orders.mark);
    for (&limit, &value) in &orders.limits {
        attempt(&format!("limiting {limit:?} to {value}"), setrlimit(limit.into(), value, value))?;
    }
    if let Some(name) = &orders.user {
        let user = find_user(name)?;
        let login = CString::new(user.name.clone()).unwrap_or_default();
        let doing = format!("becoming user {name}");
        if user.uid != Uid::effective() {
            attempt(&doing, initgroups(&login, user.gid))?;
            attempt(&doing, setgid(user.gid))?;
            attempt(&doing, setuid(user.uid))?;
        }
        command.env("USER", &user.name).env("LOGNAME", &user.name).env("HOME", &user.dir);
    }
    // after the change of user, which clears it
    attempt("tying it to the launcher", set_pdeathsig(Signal::SIGKILL))?;
    if getppid().as_raw() != orders.parent {
        let error = "the launcher is gone".to_owned();
        return Err(NotStarted { error, transient: false });
    }
    if let Some(cwd) = &orders.cwd {
        std::env::set_current_dir(cwd).map_err(|error| {
            NotStarted::new(&format!("changing to directory {}", cwd.display()), &error)
        })?;
    }
    command.args(&orders.args).envs(&orders.env).stdin(Stdio::null());
    Ok(command)
}

pub(super) fn find_user(name: &str) -> Result<User, NotStarted> {
    let found = match name.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(name),
    };
    let doing = format!("looking up user {name}");
    found
        .map_err(|errno| NotStarted::new(&doing, &errno.into()))?
        .ok_or_else(|| NotStarted { error: format!("{doing}: no such user"), transient: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_succeed_the_next_time_is_transient() {
        let failure = |errno: Errno| NotStarted::new("starting x", &errno.into());
        for errno in [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE, Errno::ETXTBSY] {
            assert!(failure(errno).transient, "{errno}");
        }
        let missing = failure(Errno::ENOENT);
        assert_eq!(missing.error, "starting x: No such file or directory");
        assert!(!missing.transient);
        assert!(!failure(Errno::EACCES).transient);
    }
}
