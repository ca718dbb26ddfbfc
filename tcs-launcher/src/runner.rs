//! Does what the supervisor decides: runs services as processes or tasks.
//!
//! One task owns each run, from its start until nothing of it is left, and tells what happens over
//! a bounded channel ([`RunnerEvent`]); it is told `stop` and `kill` through its [`Handle`]. What ends a
//! run is the end of its process (or task), never the end of its output.
//!
//! **Nothing is left behind.** Each process starts through a shim, our own program run as
//! `__exec`: it opens a session of its own, asks the kernel to be killed when the launcher dies,
//! and only then becomes the program. All that descends from it carries marks that are inherited
//! ([`group`]), and so does the launcher itself, for what its tasks start; so it is found even after
//! it has left its group and its parent. A guard, our own
//! program run as `__guard`, sees the launcher die and ends what carries its mark. A journal on
//! disk lets the next launcher over the same configuration end what even that has missed.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;

use nix::sys::prctl;
use tcs_core::bus::publish::random_id;

use tcs_supervisor::{Report, Run, ServiceId};

mod awaited;
mod dispositions;
pub mod group;
pub mod guard;
mod handover;
mod headline;
pub mod journal;
mod leftovers;
pub mod notify;
pub(crate) mod orders;
pub mod output;
pub(crate) mod private_dir;
mod process;
mod ready;
mod running;
mod shim;
pub mod spawner;
mod standstill;
mod successor;
pub(crate) mod task;

pub use group::Marks;
pub use orders::Handle;
pub use process::{Launch, ProcessRunner};
pub(crate) use standstill::ProcessParts;

/// What a run says, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerEvent {
    /// Which service.
    pub id: ServiceId,
    /// Which of its runs.
    pub run: Run,
    /// What.
    pub what: What,
}

/// What a run can say.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Something for the supervisor.
    Report(Report),
    /// `STATUS=` or `STOPPING=1` of `sd_notify`: a word for people.
    Status(String),
}

/// Where runs tell what happens.
pub type EventSender = tokio::sync::mpsc::Sender<RunnerEvent>;

/// Our own pid, in the environment that [`marked_run`] gives us.
const MARKED: &str = "TCS_RUN_PID";

/// The id of this launcher's run, which is in the environment from here on: what tasks start by
/// themselves carries the mark too, and does not outlive us. To be called before there are threads,
/// with nothing done yet: where the mark is missing the program starts again, as the same process,
/// and ignores no signal any more. Signals that are blocked stay so, and none that waits is lost.
pub fn marked_run() -> String {
    let own = std::process::id().to_string();
    let variable = |name: &str| std::env::var(name).ok();
    if variable(MARKED) == Some(own.clone())
        && let Some(run) = variable(group::LAUNCHER_MARK)
    {
        return run;
    }
    let run = random_id();
    let mut again = spawner::to_run(Path::new(spawner::OWN_PROGRAM));
    again.args(std::env::args_os().skip(1));
    again.env(MARKED, own).env(group::LAUNCHER_MARK, &run);
    if let Err(error) = group::marks::carry(Marks::new(&*run).launcher().limit()) {
        tracing::debug!("tcsd carries its mark only in its environment: {error}");
    }
    dispositions::stop_ignoring();
    let error = again.exec();
    tracing::warn!("processes that tasks start are not marked: {error}");
    run
}

/// First argument when this program is to be one Rust service; its type follows, then the
/// arguments that every service of the fleet takes.
pub(crate) const SERVICE: &str = "__service";

/// In `pgrep`, `top` and the like a program goes by the name of the file that it was started from,
/// which for ours is `exe` where it has started itself.
fn take_name(started_as: &OsStr) {
    let name = Path::new(started_as).file_name().unwrap_or(started_as);
    if let Ok(name) = CString::new(name.as_bytes()) {
        // a name is all that would be missing
        let _ = prctl::set_name(&name);
    }
}

/// To be called first in `main`: when this process was started as the shim or the guard it does
/// that one thing, and returns how to exit.
pub fn helper_main() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    take_name(&args.next()?);
    let first = args.next()?;
    match first.to_str()? {
        spawner::SHIM => Some(shim::main()),
        guard::NAME => Some(guard::main(args)),
        _ => None,
    }
}
