//! `__guard`: sees the launcher die, however it dies, and ends what it left.
//!
//! The kernel kills a launcher's direct children with it, but not their children. The guard holds
//! the reading end of a pipe whose only writing end is the launcher's: it closes when the launcher
//! is gone. An orderly launcher says so first, and the guard has nothing to do.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::setsid;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::process::ChildStdin;
use tokio::sync::Mutex;

use super::awaited::Awaited;
use super::group::{Hunt, LAUNCHER_MARK, Marks, marks};
use super::spawner::Spawner;
use crate::fd::copy;

/// First argument.
pub const NAME: &str = "__guard";

/// Between two sweeps.
const PAUSE: Duration = Duration::from_millis(50);

/// As long as something is left, and at least this many times: what is just being forked is not
/// seen by the first.
const SWEEPS_WITHOUT_FIND: u32 = 3;

/// Looks at the newest processes after a sweep that has found something.
const TURNS: u32 = 500;

/// After this many sweeps what is still there cannot be killed.
const SWEEPS: u32 = 600;

/// What an orderly launcher says.
const BYE: u8 = b'.';

pub(super) fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(run) = args.next().and_then(|run| run.into_string().ok()) else {
        return ExitCode::FAILURE;
    };
    // whatever ends the launcher's session or group is not to end its guard before its work
    let _ = setsid();
    let _ = marks::carry_none();
    let mut deaf = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGPIPE] {
        deaf.add(signal);
    }
    let _ = deaf.thread_block();
    let mut said = Vec::new();
    let _ = io::stdin().read_to_end(&mut said);
    if said.last() == Some(&BYE) {
        return ExitCode::SUCCESS;
    }
    let mut hunt = Hunt::new(Marks::new(run).launcher());
    let mut without = 0;
    for _ in 0..SWEEPS {
        without = if hunt.sweep() { 0 } else { without + 1 };
        if without == SWEEPS_WITHOUT_FIND {
            return ExitCode::SUCCESS;
        }
        thread::sleep(PAUSE);
        if without == 0 {
            hunt.chase(TURNS);
        }
    }
    ExitCode::FAILURE
}

/// The launcher's side: keeps one guard alive.
#[derive(Debug)]
pub struct Guard {
    held: Arc<Mutex<Held>>,
    keeper: tokio::task::JoinHandle<()>,
}

/// The guard that is there now.
#[derive(Debug)]
struct Held {
    pid: i32,
    /// `None`: it could not be had.
    pipe: Option<pipe::Sender>,
}

impl Guard {
    /// Starts the guard, and starts it again should it die.
    pub async fn start(spawner: Arc<Spawner>, marks: Marks) -> io::Result<Self> {
        let (guard, held) = spawn(&spawner, &marks).await?;
        Ok(Self::keep(spawner, marks, guard, held))
    }

    /// Goes on with the guard of the program before.
    pub(crate) fn resume(
        spawner: Arc<Spawner>,
        marks: Marks,
        pid: i32,
        pipe: OwnedFd,
    ) -> io::Result<Self> {
        let held = Held { pid, pipe: Some(pipe::Sender::from_owned_fd(pipe)?) };
        Ok(Self::keep(spawner, marks, Awaited::taken_over(pid), held))
    }

    fn keep(spawner: Arc<Spawner>, marks: Marks, mut guard: Awaited, held: Held) -> Self {
        let held = Arc::new(Mutex::new(held));
        let kept = Arc::clone(&held);
        let keeper = tokio::spawn(async move {
            loop {
                let status = guard.wait().await;
                spawner.forget(kept.lock().await.pid);
                tracing::warn!(?status, "the guard process ended; starting another");
                tokio::time::sleep(Duration::from_secs(1)).await;
                match spawn(&spawner, &marks).await {
                    Ok((next, held)) => {
                        guard = next;
                        *kept.lock().await = held;
                    }
                    Err(error) => tracing::error!(%error, "the guard process cannot be started"),
                }
            }
        });
        Self { held, keeper }
    }

    /// Its process and the pipe that keeps it waiting, for a program that goes on with it.
    pub(crate) async fn parts(&self) -> io::Result<Option<(i32, OwnedFd)>> {
        let held = self.held.lock().await;
        held.pipe.as_ref().map(|pipe| Ok((held.pid, copy(pipe)?))).transpose()
    }

    /// The launcher ends in order, and nothing of it is left.
    pub async fn dismiss(self) {
        self.keeper.abort();
        if let Some(mut pipe) = self.held.lock().await.pipe.take() {
            let _ = pipe.write_all(&[BYE]).await;
        }
    }
}

async fn spawn(spawner: &Arc<Spawner>, marks: &Marks) -> io::Result<(Awaited, Held)> {
    let mut command = spawner.helper(NAME);
    // no mark on itself
    command.arg(marks.launcher_run()).env_remove(LAUNCHER_MARK);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawner.guard(command).await?;
    let pipe = child.stdin.take().map(ChildStdin::into_owned_fd).transpose()?;
    let pipe = pipe.map(pipe::Sender::from_owned_fd).transpose()?;
    let pid = child.id().unwrap_or_default().cast_signed();
    Ok((Awaited::Started(child), Held { pid, pipe }))
}
