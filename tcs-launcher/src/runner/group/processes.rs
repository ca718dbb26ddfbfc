//! Processes, as `/proc` knows them.

use std::{fs, io};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::proc_file;

/// A process, as `/proc` knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its group's.
    pub group: i32,
    /// When it started, in clock ticks since boot: with the pid, which process it is.
    pub start: u64,
    /// `R`, `S`, `T`, `Z`, ... (`proc(5)`)
    pub state: u8,
}

/// A process, and what its `stat` says of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) process: Process,
    /// Clock ticks of processor time, its own.
    pub(crate) cpu_ticks: u64,
    /// The same of its descendants that have ended and were waited for.
    pub(crate) waited_ticks: u64,
}

impl Stat {
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = proc_file::bytes(format!("/proc/{pid}/stat")).ok()?;
        // the name, in parentheses, may hold anything
        let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
        let fields = std::str::from_utf8(&stat[after_name..]).ok()?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let number = |i: usize| fields.get(i)?.parse::<u64>().ok();
        let process = Process {
            pid,
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            start: number(19)?,
        };
        let ticks = |i: usize| Some(number(i)? + number(i + 1)?);
        Some(Self { process, cpu_ticks: ticks(11)?, waited_ticks: ticks(13)? })
    }

    /// Of all processes there are.
    pub(crate) fn all() -> Vec<Self> {
        pids().into_iter().filter_map(Self::of).collect()
    }
}

impl Process {
    /// The process of this id.
    pub fn of(pid: i32) -> Option<Self> {
        Stat::of(pid).map(|stat| stat.process)
    }

    /// All processes there are, those of this program left out.
    pub fn all() -> Vec<Self> {
        let own = std::process::id().cast_signed();
        pids().into_iter().filter(|&pid| pid != own).filter_map(Self::of).collect()
    }

    /// Whether it has ended and only its exit status is left.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Whether it is this process, or descends from it through living parents.
    pub fn descends_from(&self, ancestor: i32) -> bool {
        let mut pid = self.pid;
        let mut parent = self.parent;
        // each is one process up, and nobody is that deep; ids that come again make no circle
        for _ in 0..10_000 {
            if pid == ancestor {
                return true;
            }
            let Some(next) = Self::of(parent) else { return parent == ancestor };
            (pid, parent) = (next.pid, next.parent);
        }
        false
    }

    /// What it is called, for people: not more than 15 bytes, and any byte may be in it.
    pub fn name(&self) -> Option<String> {
        let name = fs::read(format!("/proc/{}/comm", self.pid)).ok()?;
        Some(String::from_utf8_lossy(name.trim_ascii_end()).replace(char::is_control, "\u{fffd}"))
    }

    /// Kills it. That it has ended is no error.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::SIGKILL).map_err(io::Error::from)
    }

    /// Sends `signal` to this process, and to none that has its id meanwhile. That it has ended is
    /// no error.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Errno> {
        let is_same = || Self::of(self.pid).is_some_and(|now| now.start == self.start);
        let opened = rustix::process::Pid::from_raw(self.pid)
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let sent = match opened {
            // it is what it is from here on
            Ok(process) if is_same() => {
                match rustix::process::Signal::from_named_raw(signal as i32) {
                    Some(signal) => pidfd_send_signal(process, signal).map_err(errno),
                    None => Err(Errno::EINVAL),
                }
            }
            // Linux before 5.3
            Err(rustix::io::Errno::NOSYS) if is_same() => kill(Pid::from_raw(self.pid), signal),
            Ok(_) | Err(rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(errno(error)),
        };
        if sent == Err(Errno::ESRCH) { Ok(()) } else { sent }
    }
}

/// The ids of all processes, in their order.
pub(super) fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The id of the process that was started last.
pub(super) fn newest() -> Option<i32> {
    fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next_back()?.parse().ok()
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}
