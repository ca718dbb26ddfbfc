//! All processes at one moment, with the marks that they carry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tcs_core::clock;

use super::marks::Carried;
use super::orphans::{children_of, children_of_first_thread, reap};
use super::processes::{newest, pids};
use super::{Mark, Orphans, Process};

/// All processes there were at one moment, with our marks on them.
#[derive(Debug, Default)]
pub struct Look(Vec<Seen>);

#[derive(Debug)]
struct Seen {
    process: Process,
    carried: Carried,
}

/// The processes of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Those that live.
    pub living: Vec<Process>,
    /// Orphans of the run had ended at the time of the look: what they started just before may not
    /// have been seen.
    pub have_just_ended: bool,
}

impl Members {
    /// Nothing is left of the run.
    pub fn is_over(&self) -> bool {
        self.living.is_empty() && !self.have_just_ended
    }
}

impl Look {
    /// Looks now, at all processes. Takes some 10 ms for a thousand processes: not for an async
    /// task to do.
    pub fn now() -> Self {
        Self::at(Process::all().into_iter())
    }

    /// Looks at all that descends from this program. Orphans of runs that have ended are reaped
    /// afterwards; `is_ours`: somebody else waits for it.
    pub(crate) fn at_descendants(orphans: &Orphans, is_ours: impl Fn(i32) -> bool) -> Self {
        let own = std::process::id().cast_signed();
        let kept = orphans.keep();
        let processes = Process::all();
        let below = descendants(&processes, BTreeSet::from([own]));
        let below = processes.into_iter().filter(|process| below.contains(&process.pid));
        let look = Self::at(below);
        look.reap(is_ours);
        drop(kept);
        look
    }

    /// Looks at the orphans and what descends from them, which is all that runs can have left whose
    /// main process has ended. Costs nearly nothing where there are none, however many processes
    /// run. Reaps like [`Look::at_descendants`].
    pub(crate) fn at_orphans(orphans: &Orphans, is_ours: impl Fn(i32) -> bool) -> Self {
        let kept = orphans.keep();
        let Some(children) = children_of_first_thread(&kept) else {
            drop(kept);
            return Self::at_descendants(orphans, is_ours);
        };
        let mut found = BTreeSet::new();
        let mut next: Vec<i32> = children.into_iter().filter(|pid| !is_ours(*pid)).collect();
        while let Some(pid) = next.pop() {
            if found.insert(pid) {
                next.extend(children_of(pid));
            }
        }
        let look = Self::at(found.into_iter().filter_map(Process::of));
        look.reap(is_ours);
        drop(kept);
        look
    }

    fn at(processes: impl Iterator<Item = Process>) -> Self {
        let see = |process: Process| Seen { process, carried: Carried::by(process.pid) };
        Self(processes.map(see).collect())
    }

    /// Takes the exit status of orphans that have ended and been seen.
    fn reap(&self, is_ours: impl Fn(i32) -> bool) {
        let own = std::process::id().cast_signed();
        for Seen { process, carried } in &self.0 {
            if process.parent == own
                && process.is_zombie()
                && carried.is_of_a_service()
                && !is_ours(process.pid)
            {
                reap(process.pid);
            }
        }
    }

    /// Who belongs to a mark or to a group.
    pub fn members(&self, mark: &Mark, group: Option<i32>) -> Members {
        let own = std::process::id().cast_signed();
        let is_member = |seen: &&Seen| Some(seen.process.group) == group || seen.carried.has(mark);
        let have_just_ended = self
            .0
            .iter()
            .filter(|seen| seen.process.is_zombie() && seen.process.parent == own)
            .any(|seen| seen.carried.has(mark));
        let marked = self.0.iter().filter(is_member).map(|it| it.process.pid).collect();
        Members { living: self.with_descendants(marked), have_just_ended }
    }

    /// Who descends from this process, and lives.
    pub fn descendants(&self, pid: i32) -> Vec<Process> {
        let mut found = self.with_descendants(BTreeSet::from([pid]));
        found.retain(|process| process.pid != pid);
        found
    }

    fn with_descendants(&self, found: BTreeSet<i32>) -> Vec<Process> {
        let processes: Vec<Process> = self.0.iter().map(|seen| seen.process).collect();
        let found = descendants(&processes, found);
        processes.into_iter().filter(|it| found.contains(&it.pid) && !it.is_zombie()).collect()
    }
}

/// Those processes, and all that descend from them.
fn descendants(processes: &[Process], mut found: BTreeSet<i32>) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut next: Vec<i32> = found.iter().copied().collect();
    while let Some(pid) = next.pop() {
        let below = children.get(&pid).into_iter().flatten();
        next.extend(below.filter(|child| found.insert(**child)));
    }
    found
}

/// Kills what carries a mark when its subreaper is gone, and with it the proof of [`Look`].
#[derive(Debug)]
pub(crate) struct Hunt {
    mark: Mark,
    /// Zombies that were seen: whoever should wait for them may never do so.
    zombies: BTreeSet<(i32, u64)>,
}

impl Hunt {
    /// For all processes that carry `mark`.
    pub(crate) fn new(mark: Mark) -> Self {
        Self { mark, zombies: BTreeSet::new() }
    }

    /// Looks at all processes, the newest first. Tells whether something is there, or has just been.
    pub(crate) fn sweep(&mut self) -> bool {
        let own = std::process::id().cast_signed();
        let pids = pids().into_iter().rev().filter(|pid| *pid != own);
        pids.filter(|pid| self.kill(*pid)).count() > 0
    }

    /// Looks at the newest processes again and again: one that only forks and exits has ended
    /// before a whole sweep comes to it.
    pub(crate) fn chase(&mut self, turns: u32) {
        for _ in 0..turns {
            let Some(newest) = newest() else { return };
            for pid in (newest.saturating_sub(4)..=newest + 1).rev() {
                self.kill(pid);
            }
        }
    }

    fn kill(&mut self, pid: i32) -> bool {
        let Some(process) = Process::of(pid) else { return false };
        let carried = Carried::by(pid);
        if !carried.has(&self.mark) {
            return false;
        }
        if process.is_zombie() {
            return self.zombies.insert((pid, process.start));
        }
        if carried.is_of_a_service() {
            // at once, those that it is just starting too; runs have groups of their own
            let _ = killpg(Pid::from_raw(process.group), Signal::SIGKILL);
        }
        let _ = process.kill();
        true
    }
}

/// Looks for many: who asks while a look is under way shares the next one, so that five hundred
/// services that end together cost a few looks and not five hundred.
#[derive(Debug, Default)]
pub(crate) struct Census(tokio::sync::Mutex<Option<(Instant, Arc<Look>)>>);

impl Census {
    /// A look by `look` that began after this call; `look` may block.
    pub(crate) async fn look(&self, look: impl FnOnce() -> Look + Send + 'static) -> Arc<Look> {
        let asked = clock::monotonic();
        let mut last = self.0.lock().await;
        if let Some((began, look)) = &*last
            && *began >= asked
        {
            return Arc::clone(look);
        }
        let began = clock::monotonic();
        let look = Arc::new(tokio::task::spawn_blocking(look).await.unwrap_or_default());
        *last = Some((began, Arc::clone(&look)));
        look
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::super::Marks;
    use super::*;
    use tcs_supervisor::Run;

    fn marks() -> Marks {
        Marks::new(format!("test-{}", std::process::id()))
    }

    #[test]
    fn a_process_is_found_by_its_mark_and_is_the_same_as_long_as_it_lives() {
        let marks = marks();
        let id = "a.x".parse().unwrap();
        let mark = marks.service(&id, Run(3));
        let (name, value) = mark.entry();
        let mut child =
            Command::new("sleep").arg("600").env(name, value).stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id().cast_signed();
        let begin = clock::monotonic();
        // its environment is there a moment after it has become the program
        let found = loop {
            let found = Look::now().members(&mark, None).living;
            if !found.is_empty() {
                break found;
            }
            assert!(begin.elapsed().as_secs() < 60, "not found");
        };
        let other = Look::now().members(&marks.service(&id, Run(4)), None);
        let stale = Process { start: found[0].start + 1, ..found[0] };
        stale.kill().unwrap();
        let alive = child.try_wait().unwrap().is_none();
        found[0].kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.iter().map(|it| it.pid).collect::<Vec<_>>(), [pid]);
        assert_eq!(found[0].parent, std::process::id().cast_signed());
        assert!(other.is_over() && alive, "a reused pid is another process");
        assert_eq!(Process::of(pid), None);
        found[0].kill().expect("it has ended already");
    }

    #[test]
    fn a_process_without_its_environment_is_found_and_a_zombie_too() {
        let marks = marks();
        let mark = marks.service(&"b.x".parse().unwrap(), Run(1));
        let mut command = Command::new("prlimit");
        command.arg(format!("--rttime={}:", mark.limit())).args(["sleep", "600"]);
        let mut child = command.env_clear().stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id().cast_signed();
        let begin = clock::monotonic();
        while !mark.is_on(pid) {
            assert!(begin.elapsed().as_secs() < 60, "no mark");
            std::thread::yield_now();
        }
        let living = Look::now().members(&marks.launcher(), None);
        child.kill().unwrap();
        while !Process::of(pid).unwrap().is_zombie() {
            std::thread::yield_now();
        }
        let ended = Look::now().members(&mark, None);
        child.wait().unwrap();
        assert_eq!(living.living.iter().map(|it| it.pid).collect::<Vec<_>>(), [pid]);
        assert!(ended.living.is_empty() && ended.have_just_ended && !ended.is_over());
    }
}
