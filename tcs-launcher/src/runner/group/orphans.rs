//! Children that came to the launcher as their subreaper: they are waited for, and by nobody else.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::marks::Carried;
use super::{Mark, Process};
use crate::proc_file;

/// Reaps orphans.
///
/// A task may start a process too, and its exit status is the task's. The kernel counts a child to
/// the thread that started it, and an orphan to the first thread, which starts none; a thread that
/// ends leaves its children to the first as well. So what is an orphan's was never seen with another
/// thread, and has been a zombie at two looks; or it carries the mark of a service's run.
#[derive(Debug, Default)]
pub struct Orphans(Mutex<Known>);

/// How often the list of children is read before all processes are looked at instead.
const LISTS: u32 = 3;

/// What earlier looks have shown.
#[derive(Debug, Default)]
pub(super) struct Known {
    not_orphans: BTreeSet<i32>,
    ended: BTreeSet<i32>,
}

impl Orphans {
    /// As long as this is held, no orphan vanishes: one that ends stays a zombie.
    pub(super) fn keep(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks, and reaps those that had ended at the last look. `is_ours`: somebody waits for it.
    pub(crate) fn look(&self, is_ours: impl Fn(i32) -> bool) {
        let mut known = self.keep();
        let own = std::process::id().cast_signed();
        let (first, others): (Vec<_>, Vec<_>) =
            children().into_iter().partition(|(thread, _)| *thread == own);
        known.not_orphans.retain(|pid| first.iter().any(|(_, child)| child == pid));
        known.not_orphans.extend(others.into_iter().map(|(_, child)| child));
        let is_orphan = |pid: &i32| !is_ours(*pid) && !known.not_orphans.contains(pid);
        let orphans = first.into_iter().map(|(_, child)| child).filter(is_orphan);
        let has_ended = |pid: &i32| Process::of(*pid).is_some_and(|process| process.is_zombie());
        let ended: BTreeSet<i32> = orphans.filter(has_ended).collect();
        for &pid in ended.intersection(&known.ended) {
            reap(pid);
        }
        known.ended = ended;
    }

    /// Kills those that carry `mark`, each as soon as it is seen: a process that only forks and
    /// exits is gone before a whole look is. Tells whether there were some.
    pub(crate) fn kill(&self, mark: &Mark, is_ours: impl Fn(i32) -> bool) -> bool {
        let _kept = self.keep();
        let own = std::process::id();
        let mut found = false;
        for pid in children_of_thread(own, own) {
            let carried = Carried::by(pid);
            if !is_ours(pid) && carried.has(mark) {
                found = true;
                let Some(process) = Process::of(pid) else { continue };
                if process.is_zombie() {
                    reap(pid);
                } else {
                    // at once, those that it is just starting too; it cannot be another one's group,
                    // because nobody reaps it meanwhile, and runs have groups of their own
                    if carried.is_of_a_service() {
                        let _ = killpg(Pid::from_raw(process.group), Signal::SIGKILL);
                    }
                    let _ = process.kill();
                }
            }
        }
        found
    }
}

/// The children that are counted to the first thread, all orphans among them; `None` where the
/// kernel does not tell.
///
/// While the kernel lists children, it may pass over one if the one before it is reaped just then.
/// Orphans are not reaped as long as they are kept, but the children of tasks may be: the list is
/// complete if another one still has all that are in it.
pub(super) fn children_of_first_thread(_kept: &Known) -> Option<BTreeSet<i32>> {
    let own = std::process::id();
    let path = format!("/proc/{own}/task/{own}/children");
    let read = || Some(pids(&proc_file::text(&path).ok()?).collect::<BTreeSet<i32>>());
    let mut last = read()?;
    for _ in 0..LISTS {
        let next = read()?;
        if next.is_superset(&last) {
            return Some(last);
        }
        last = next;
    }
    None
}

/// The children of a process.
pub(super) fn children_of(process: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let of_thread = |thread: fs::DirEntry| proc_file::text(thread.path().join("children")).ok();
    threads.filter_map(of_thread).flat_map(|list| pids(&list).collect::<Vec<_>>()).collect()
}

fn pids(list: &str) -> impl Iterator<Item = i32> {
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok())
}

/// Takes the exit status of a child that has ended.
pub(super) fn reap(pid: i32) {
    while waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) == Err(Errno::EINTR) {}
}

/// Our children, each with the thread that it is counted to.
fn children() -> Vec<(i32, i32)> {
    let own = std::process::id();
    let mut children = Vec::new();
    for thread in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let Some(id) = thread.file_name().to_str().and_then(|id| id.parse().ok()) else { continue };
        children.extend(children_of_thread(own, id).into_iter().map(|pid| (id.cast_signed(), pid)));
    }
    children
}

fn children_of_thread(process: u32, thread: u32) -> Vec<i32> {
    let list = proc_file::text(format!("/proc/{process}/task/{thread}/children"));
    let list = list.unwrap_or_default();
    pids(&list).collect()
}
