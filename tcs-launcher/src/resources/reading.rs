//! Reads processes out of `/proc`. Each file is opened, read and closed: files that stay open run
//! a launcher of many services out of descriptors.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use nix::unistd::{SysconfVar, sysconf};
use tcs_supervisor::ServiceId;

use super::usage::{Counters, Key, Sample};
use crate::runner::group::Stat;
use crate::runner::group::marks;

/// A run whose processes are wanted.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) id: ServiceId,
    pub(super) pid: i32,
    pub(super) mark: u64,
}

/// Reads again and again, and remembers what does not change in a process's life.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The mark that a process carries; what has none is nobody's.
    marks: HashMap<Key, Option<u64>>,
}

impl Reader {
    /// The living processes of each run: what carries its mark, its main process, and what
    /// descends from that.
    pub(super) fn read(&mut self, targets: &[Target]) -> Vec<(ServiceId, Vec<Sample>)> {
        let all = Stat::all();
        let known = std::mem::take(&mut self.marks);
        for stat in &all {
            let key = (stat.process.pid, stat.process.start);
            let mark = match known.get(&key) {
                Some(mark) => *mark,
                None => marks::limit(stat.process.pid),
            };
            self.marks.insert(key, mark);
        }
        let by_mark: HashMap<u64, usize> =
            targets.iter().enumerate().map(|(i, target)| (target.mark, i)).collect();
        let by_pid: HashMap<i32, usize> =
            targets.iter().enumerate().map(|(i, target)| (target.pid, i)).collect();
        let parents: HashMap<i32, &Stat> =
            all.iter().map(|stat| (stat.process.pid, stat)).collect();
        let owner = |stat: &Stat| {
            // it had no mark of a run while it waited for its order
            if let Some(i) = by_pid.get(&stat.process.pid) {
                return Some(*i);
            }
            let mark = self.marks.get(&(stat.process.pid, stat.process.start)).copied().flatten();
            match mark {
                Some(mark) => by_mark.get(&mark).copied(),
                None => ancestor(stat, &by_pid, &parents),
            }
        };
        let mut found: BTreeMap<usize, Vec<Sample>> = BTreeMap::new();
        for stat in all.iter().filter(|stat| !stat.process.is_zombie()) {
            if let Some(i) = owner(stat) {
                let is_main = stat.process.pid == targets[i].pid;
                found.entry(i).or_default().push(sample(stat, is_main));
            }
        }
        found.into_iter().map(|(i, samples)| (targets[i].id.clone(), samples)).collect()
    }
}

/// The run whose main process this is, or descends from.
fn ancestor(
    stat: &Stat,
    by_pid: &HashMap<i32, usize>,
    parents: &HashMap<i32, &Stat>,
) -> Option<usize> {
    let mut process = stat.process;
    // nobody is that deep
    for _ in 0..1_000 {
        if let Some(i) = by_pid.get(&process.pid) {
            return Some(*i);
        }
        process = parents.get(&process.parent)?.process;
    }
    None
}

fn sample(stat: &Stat, is_main: bool) -> Sample {
    let pid = stat.process.pid;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = |name: &str| Some(number(&status, name)?.saturating_mul(1024));
    Sample {
        key: (pid, stat.process.start),
        is_main,
        counters: counters(stat),
        threads: number(&status, "Threads:").and_then(|it| u32::try_from(it).ok()),
        rss_bytes: kib("VmRSS:"),
        anon_bytes: kib("RssAnon:"),
        swap_bytes: kib("VmSwap:"),
        peak_rss_bytes: kib("VmHWM:"),
        open_fds: open_fds(pid),
        fd_limit: if is_main { fd_limit(pid) } else { None },
    }
}

/// What the kernel still knows of a process that has ended and was not waited for.
pub(super) fn of_zombie(pid: i32) -> Option<(Key, Counters)> {
    let stat = Stat::of(pid)?;
    Some(((pid, stat.process.start), counters(&stat)))
}

fn counters(stat: &Stat) -> Counters {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    let io = fs::read_to_string(format!("/proc/{}/io", stat.process.pid)).unwrap_or_default();
    Counters {
        cpu_seconds: stat.cpu_ticks as f64 / ticks.max(1) as f64,
        read_bytes: number(&io, "read_bytes:"),
        written_bytes: number(&io, "write_bytes:"),
    }
}

/// The number after `name` at the front of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// Since Linux 6.2 the size of the directory; before, its entries.
fn open_fds(pid: i32) -> Option<u64> {
    let path = format!("/proc/{pid}/fd");
    let size = fs::metadata(&path).ok()?.size();
    // of another user's process the size is known, and the entries are not
    let entries = fs::read_dir(path).ok()?;
    if size > 0 { Some(size) } else { u64::try_from(entries.count()).ok() }
}

fn fd_limit(pid: i32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    number(&limits, "Max open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_after_their_names() {
        let text = "VmHWM:\t  10 kB\nVmRSS:\t    5 kB\nMax open files            1024     4096\n";
        assert_eq!(number(text, "VmRSS:"), Some(5));
        assert_eq!(number(text, "Max open files"), Some(1024));
        assert_eq!(number(text, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_figures() {
        let pid = std::process::id().cast_signed();
        let sample = sample(&Stat::of(pid).unwrap(), true);
        assert!(sample.rss_bytes.unwrap() > 1 << 20 && sample.peak_rss_bytes >= sample.rss_bytes);
        assert!(sample.threads.unwrap() >= 1 && sample.open_fds.unwrap() >= 3, "{sample:?}");
        assert!(sample.fd_limit.unwrap() >= 3 && sample.counters.read_bytes.is_some());
    }
}
