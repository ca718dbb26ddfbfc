//! A child whose exit status is waited for: one that this program has started, or one that it took
//! over from the program that ran in this process before.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};
use tokio::net::unix::pipe;
use tokio::process::Child;

use tcs_supervisor::Exit;

/// Where the kernel does not tell of the end, it is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// A child.
#[derive(Debug)]
pub(super) enum Awaited {
    /// Started here.
    Started(Child),
    /// Taken over.
    TakenOver { pid: i32, end: EndOfProcess },
}

impl Awaited {
    /// A child of this process that the program before has started.
    pub(super) fn taken_over(pid: i32) -> Self {
        Self::TakenOver { pid, end: EndOfProcess::of(pid) }
    }

    /// Its exit status, once it has ended. Safe to cancel.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Started(child) => child.wait().await,
            Self::TakenOver { pid, end } => {
                if !end.is_unseen() {
                    end.come().await;
                }
                loop {
                    let status = waitpid(Pid::from_raw(*pid), WaitOptions::NOHANG)?;
                    if let Some((_, status)) = status {
                        return Ok(ExitStatus::from_raw(status.as_raw()));
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// SIGKILL, to it alone.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Started(child) => drop(child.start_kill()),
            Self::TakenOver { pid, .. } => {
                // it has not been waited for, so that the number is its own
                if let Some(pid) = Pid::from_raw(*pid) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
    }
}

/// Sees that a process has ended before anybody waits for it: until then the kernel can tell what
/// it has used.
#[derive(Debug)]
pub(super) struct EndOfProcess(Option<pipe::Receiver>);

impl EndOfProcess {
    pub(super) fn of(pid: i32) -> Self {
        // before Linux 5.3 there is none
        let opened = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok());
        // no pipe, but it is waited for in the same way: readable once the process has ended
        Self(opened.and_then(|fd| pipe::Receiver::from_owned_fd_unchecked(fd).ok()))
    }

    pub(super) fn is_unseen(&self) -> bool {
        self.0.is_none()
    }

    pub(super) async fn come(&self) {
        match &self.0 {
            // an error is of the runtime, which ends
            Some(end) => drop(end.readable().await),
            None => std::future::pending().await,
        }
    }
}

/// What an exit status says.
pub(super) fn exit(status: io::Result<ExitStatus>) -> Exit {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Exit::code(code),
            (None, Some(signal)) => {
                Exit { core_dumped: status.core_dumped(), ..Exit::signal(signal) }
            }
            (None, None) => unknown(&status),
        },
        Err(error) => unknown(&error),
    }
}

fn unknown(why: &dyn std::fmt::Display) -> Exit {
    let error = Some(format!("exit status unknown: {why}"));
    Exit { code: None, error, core_dumped: false }
}
