//! Who belongs to a run: found, and ended.
//!
//! A process belongs to a run if it carries the run's mark in its environment, is in its group, or
//! descends from one that does. Marks survive `setsid`, double forks and the death of parents.
//! What clears its environment *and* leaves its group *and* loses its parent escapes a run's own
//! sweep; the launcher is its subreaper, and ends it with itself.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tcs_core::clock;

use crate::supervisor::{Run, ServiceId};

/// Environment variable with the launcher's run.
pub const LAUNCHER_MARK: &str = "TCS_RUN";

/// Environment variable with the service's run.
pub const SERVICE_MARK: &str = "TCS_SERVICE_RUN";

/// The marks of one launcher's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    launcher_run: String,
}

impl Marks {
    /// The marks of this `launcher_run`.
    pub fn new(launcher_run: impl Into<String>) -> Self {
        Self { launcher_run: launcher_run.into() }
    }

    /// The random id of the launcher's run.
    pub fn launcher_run(&self) -> &str {
        &self.launcher_run
    }

    /// On all that this launcher starts.
    pub fn launcher(&self) -> Mark {
        Mark(format!("{LAUNCHER_MARK}={}", self.launcher_run))
    }

    /// On all that one run of a service starts.
    pub fn service(&self, id: &ServiceId, run: Run) -> Mark {
        Mark(format!("{SERVICE_MARK}={}/{id}/{}", self.launcher_run, run.0))
    }
}

/// An entry of an environment, `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(String);

impl Mark {
    /// Name and value.
    pub fn entry(&self) -> (&str, &str) {
        self.0.split_once('=').unwrap_or((&self.0, ""))
    }

    /// Whether a process carries it.
    pub fn is_on(&self, pid: i32) -> bool {
        Self::all_on(pid).contains(self)
    }

    /// The marks that a process carries. A zombie carries none; we see none on one we may not read.
    fn all_on(pid: i32) -> Vec<Self> {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let is_mark = |entry: &&[u8]| {
            [LAUNCHER_MARK, SERVICE_MARK].iter().any(|name| {
                entry.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
            })
        };
        let entries = environ.split(|&byte| byte == 0).filter(is_mark);
        entries.map(|entry| Self(String::from_utf8_lossy(entry).into_owned())).collect()
    }
}

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

impl Process {
    /// The process of this id.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // the name, in parentheses, may hold anything
        let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
        let fields = std::str::from_utf8(&stat[after_name..]).ok()?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }

    /// All processes there are, those of this program left out.
    pub fn all() -> Vec<Self> {
        let own = std::process::id().cast_signed();
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|&pid: &i32| pid != own)
            .filter_map(Self::of)
            .collect()
    }

    /// Whether it has ended and only its exit status is left.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Sends `signal`, if it is still the same process.
    pub fn signal(&self, signal: Signal) {
        if Self::of(self.pid).is_some_and(|now| now.start == self.start) {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

/// All processes there were at one moment, with our marks on them.
#[derive(Debug)]
pub struct Look(Vec<Seen>);

#[derive(Debug)]
struct Seen {
    process: Process,
    marks: Vec<Mark>,
}

impl Look {
    /// Looks now. Takes some 10 ms for a thousand processes: not for an async task to do.
    pub fn now() -> Self {
        let see = |process: Process| Seen { process, marks: Mark::all_on(process.pid) };
        Self(Process::all().into_iter().map(see).collect())
    }

    /// Who belongs to a mark or to a group, and lives.
    pub fn members(&self, mark: &Mark, group: Option<i32>) -> Vec<Process> {
        let is_member =
            |seen: &&Seen| Some(seen.process.group) == group || seen.marks.contains(mark);
        self.with_descendants(self.0.iter().filter(is_member).map(|it| it.process.pid).collect())
    }

    /// Who descends from this process, and lives.
    pub fn descendants(&self, pid: i32) -> Vec<Process> {
        let mut found = self.with_descendants(BTreeSet::from([pid]));
        found.retain(|process| process.pid != pid);
        found
    }

    fn with_descendants(&self, mut found: BTreeSet<i32>) -> Vec<Process> {
        let mut before = 0;
        // nobody's descendants are nobody
        while !found.is_empty() && found.len() != before {
            before = found.len();
            for Seen { process, .. } in &self.0 {
                if found.contains(&process.parent) {
                    found.insert(process.pid);
                }
            }
        }
        let processes = self.0.iter().map(|seen| seen.process);
        processes.filter(|it| found.contains(&it.pid) && !it.is_zombie()).collect()
    }
}

/// Looks for many: who asks while a look is under way shares the next one, so that five hundred
/// services that end together cost a few looks and not five hundred.
#[derive(Debug, Default)]
pub struct Census(tokio::sync::Mutex<Option<(Instant, Arc<Look>)>>);

impl Census {
    /// A look that began after this call.
    pub async fn look(&self) -> Arc<Look> {
        let asked = clock::monotonic();
        let mut last = self.0.lock().await;
        if let Some((began, look)) = &*last
            && *began >= asked
        {
            return Arc::clone(look);
        }
        let began = clock::monotonic();
        let look = tokio::task::spawn_blocking(Look::now).await;
        let look = Arc::new(look.unwrap_or_else(|_| Look(Vec::new())));
        *last = Some((began, Arc::clone(&look)));
        look
    }
}

/// Children that came to us as subreaper: they are waited for, and by nobody else.
///
/// A task may start a process too, and its exit status is the task's. The kernel counts a child to
/// the thread that started it, and an orphan to the first thread, which starts none; a thread that
/// ends leaves its children to the first as well. So what is an orphan's was never seen with another
/// thread, and has been a zombie at two looks.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    not_orphans: BTreeSet<i32>,
    ended: BTreeSet<i32>,
}

impl Orphans {
    /// Looks, and reaps those that had ended at the last look. `is_ours`: somebody waits for it.
    pub(crate) fn look(&mut self, is_ours: impl Fn(i32) -> bool) {
        let own = std::process::id().cast_signed();
        let (first, others): (Vec<_>, Vec<_>) =
            children().into_iter().partition(|(thread, _)| *thread == own);
        self.not_orphans.retain(|pid| first.iter().any(|(_, child)| child == pid));
        self.not_orphans.extend(others.into_iter().map(|(_, child)| child));
        let is_orphan = |pid: &i32| !is_ours(*pid) && !self.not_orphans.contains(pid);
        let orphans = first.into_iter().map(|(_, child)| child).filter(is_orphan);
        let has_ended = |pid: &i32| Process::of(*pid).is_some_and(|process| process.is_zombie());
        let ended: BTreeSet<i32> = orphans.filter(has_ended).collect();
        for &pid in ended.intersection(&self.ended) {
            while waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) == Err(Errno::EINTR) {}
        }
        self.ended = ended;
    }
}

/// Our children, each with the thread that it is counted to.
fn children() -> Vec<(i32, i32)> {
    let mut children = Vec::new();
    for thread in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let Some(id) = thread.file_name().to_str().and_then(|id| id.parse().ok()) else { continue };
        let Ok(list) = fs::read_to_string(thread.path().join("children")) else { continue };
        let pids = list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
        children.extend(pids.map(|pid| (id, pid)));
    }
    children
}

/// This boot of this machine.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_found_by_its_mark_and_is_the_same_as_long_as_it_lives() {
        let marks = Marks::new(format!("test-{}", std::process::id()));
        let mark = marks.service(&"a.x".parse().unwrap(), Run(3));
        let (name, value) = mark.entry();
        let mut child =
            Command::new("sleep").arg("600").env(name, value).stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id().cast_signed();
        let found = Look::now().members(&mark, None);
        let other = Look::now().members(&marks.service(&"a.x".parse().unwrap(), Run(4)), None);
        let stale = Process { start: found[0].start + 1, ..found[0] };
        stale.signal(Signal::SIGKILL);
        let alive = child.try_wait().unwrap().is_none();
        found[0].signal(Signal::SIGKILL);
        child.wait().unwrap();
        assert_eq!(found.iter().map(|it| it.pid).collect::<Vec<_>>(), [pid]);
        assert_eq!(found[0].parent, std::process::id().cast_signed());
        assert!(other.is_empty() && alive, "a reused pid is another process");
        assert_eq!(Process::of(pid), None);
    }
}
