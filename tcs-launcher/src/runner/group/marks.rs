//! Marks that a process inherits, and by which it is known whose it is.
//!
//! The limit is `RLIMIT_RTTIME`, in microseconds: how long a process with a real-time policy may
//! compute without a pause. Nearly nobody sets it, and the values here are above 146,000 years,
//! so they limit nothing. Only the soft limit is set, which may be raised again: a launcher below
//! a launcher can set its own. Marks tell whose a process is, not what it may do: any program can
//! set them.

use std::fs;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::hash::fnv1a;
use crate::proc_file;
use tcs_supervisor::{Run, ServiceId};

/// Environment variable with the launcher's run.
pub const LAUNCHER_MARK: &str = "TCS_RUN";

/// Environment variable with the service's run.
pub const SERVICE_MARK: &str = "TCS_SERVICE_RUN";

/// The values: this bit, 28 bits of the launcher's run, and 32 bits that count what it starts.
const BASE: u64 = 1 << 62;
const LAUNCHER_BITS: u32 = 28;
const COUNT_BITS: u32 = 32;

/// The marks of one launcher's run.
#[derive(Debug, Clone)]
pub struct Marks {
    launcher_run: String,
    /// How many runs of services have a mark.
    count: Arc<AtomicU32>,
}

impl Marks {
    /// The marks of this `launcher_run`.
    pub fn new(launcher_run: impl Into<String>) -> Self {
        Self { launcher_run: launcher_run.into(), count: Arc::default() }
    }

    /// The marks of a run that goes on, of which so many runs of services have one.
    pub(crate) fn resumed(launcher_run: &str, count: u32) -> Self {
        Self { launcher_run: launcher_run.to_owned(), count: Arc::new(AtomicU32::new(count)) }
    }

    /// How many runs of services have a mark.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// The random id of the launcher's run.
    pub fn launcher_run(&self) -> &str {
        &self.launcher_run
    }

    /// On all that this launcher starts. It may carry this mark itself.
    pub fn launcher(&self) -> Mark {
        let first = self.limit(0);
        let entry = format!("{LAUNCHER_MARK}={}", self.launcher_run);
        Mark { entry, limits: first..=first | u64::from(u32::MAX) }
    }

    /// A new one, for all that one run of a service starts.
    pub fn service(&self, id: &ServiceId, run: Run) -> Mark {
        // 0 is the launcher itself
        let count = self.count.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        let limit = self.limit(count);
        let entry = format!("{SERVICE_MARK}={}/{id}/{}", self.launcher_run, run.0);
        Mark { entry, limits: limit..=limit }
    }

    fn limit(&self, count: u32) -> u64 {
        // the guard and the next launcher, perhaps of another version, must find the same
        let hash = fnv1a(&self.launcher_run);
        BASE | (hash >> (64 - LAUNCHER_BITS)) << COUNT_BITS | u64::from(count)
    }
}

/// What is set on processes of one run, or of one launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    entry: String,
    limits: RangeInclusive<u64>,
}

impl Mark {
    /// Name and value of the variable in the environment.
    pub fn entry(&self) -> (&str, &str) {
        self.entry.split_once('=').unwrap_or((&self.entry, ""))
    }

    /// The value of the limit that its processes carry.
    pub fn limit(&self) -> u64 {
        *self.limits.start()
    }

    /// Whether a process carries it.
    pub fn is_on(&self, pid: i32) -> bool {
        Carried::by(pid).has(self)
    }
}

/// Sets the limit, on this process and so on all that it starts. Where a limit is set already that
/// is lower, the mark in the environment has to do.
pub(crate) fn carry(limit: u64) -> Result<(), Errno> {
    let (_, hard) = getrlimit(Resource::RLIMIT_RTTIME)?;
    setrlimit(Resource::RLIMIT_RTTIME, limit, hard)
}

/// Takes the limit off this process.
pub(crate) fn carry_none() -> Result<(), Errno> {
    let (_, hard) = getrlimit(Resource::RLIMIT_RTTIME)?;
    setrlimit(Resource::RLIMIT_RTTIME, hard, hard)
}

/// The marks that a process carries.
#[derive(Debug, Default)]
pub(super) struct Carried {
    limit: Option<u64>,
    entries: Vec<String>,
}

impl Carried {
    /// Both. The environment of another user's process, or of a zombie, cannot be read.
    pub(super) fn by(pid: i32) -> Self {
        // a process that hangs in the kernel can keep who reads its environment waiting
        match limit(pid) {
            Some(limit) => Self { limit: Some(limit), entries: Vec::new() },
            None => Self { limit: None, entries: entries(pid) },
        }
    }

    pub(super) fn has(&self, mark: &Mark) -> bool {
        self.limit.is_some_and(|limit| mark.limits.contains(&limit))
            || self.entries.contains(&mark.entry)
    }

    /// Whether some launcher has started it for a run of a service.
    pub(super) fn is_of_a_service(&self) -> bool {
        self.limit.is_some_and(|limit| limit & u64::from(u32::MAX) > 0)
    }
}

/// The mark that a process carries as a limit, of any launcher's.
pub(crate) fn limit(pid: i32) -> Option<u64> {
    let limits = proc_file::text(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max realtime timeout"))?;
    let soft: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    (soft >> (LAUNCHER_BITS + COUNT_BITS) == BASE >> (LAUNCHER_BITS + COUNT_BITS)).then_some(soft)
}

fn entries(pid: i32) -> Vec<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let is_mark = |entry: &&[u8]| {
        [LAUNCHER_MARK, SERVICE_MARK].iter().any(|name| {
            entry.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
        })
    };
    let entries = environ.split(|&byte| byte == 0).filter(is_mark);
    entries.map(|entry| String::from_utf8_lossy(entry).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_tell_runs_and_launchers_apart() {
        let (one, other) = (Marks::new("one"), Marks::new("other"));
        let id = "a.x".parse().unwrap();
        let (first, second) = (one.service(&id, Run(1)), one.clone().service(&id, Run(1)));
        let carried = Carried { limit: Some(first.limit()), entries: Vec::new() };
        assert!(carried.has(&first) && carried.has(&one.launcher()));
        assert!(!carried.has(&second) && !carried.has(&other.launcher()));
        assert!(carried.is_of_a_service());
        let launcher = Carried { limit: Some(one.launcher().limit()), entries: Vec::new() };
        assert!(launcher.has(&one.launcher()) && !launcher.is_of_a_service());
        // the next version must find what this one has left
        assert_eq!(one.launcher().limit(), 0x4000_0000_0000_0000 | 0x01a0_8aa1 << 32);
    }
}
