//! Reads processes out of `/proc`. Each file is opened, read and closed: files that stay open run
//! a launcher of many services out of descriptors.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use nix::unistd::{SysconfVar, sysconf};
use tcs_supervisor::ServiceId;

use super::usage::{Counters, Key, Sample};
use crate::proc_file;
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
    /// The processes of each run: what carries its mark, its main process, and what descends from
    /// that.
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
        for stat in &all {
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
    let mut sample = used(stat);
    sample.is_main = is_main;
    if !sample.has_ended {
        read_details(&mut sample);
    }
    sample
}

/// What a process has used, also one that has ended and was not waited for.
fn used(stat: &Stat) -> Sample {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100).max(1) as f64;
    let io = proc_file::text(format!("/proc/{}/io", stat.process.pid)).unwrap_or_default();
    Sample {
        key: (stat.process.pid, stat.process.start),
        parent: stat.process.parent,
        has_ended: stat.process.is_zombie(),
        counters: Counters {
            cpu_seconds: (stat.cpu_ticks + stat.waited_ticks) as f64 / ticks,
            waited_seconds: stat.waited_ticks as f64 / ticks,
            read_bytes: number(&io, "read_bytes:"),
            written_bytes: number(&io, "write_bytes:"),
        },
        ..Sample::default()
    }
}

/// Samples those of these processes that exist; of one that has ended and was not waited for,
/// what the kernel still knows.
pub(super) fn used_by(pids: impl IntoIterator<Item = i32>) -> Vec<Sample> {
    pids.into_iter().filter_map(Stat::of).map(|stat| used(&stat)).collect()
}

/// Of processes with more resident memory the proportional share is not read.
const MAX_RSS_OF_PSS: u64 = 1 << 30;

/// The proportional share of memory of all of these together; `None` where it cannot be read of one, or
/// would hold one up for too long. Who is gone has none.
pub(super) fn pss_bytes(pids: &[i32]) -> Option<u64> {
    let mut sum = None;
    for pid in pids {
        let of = |file: &str| proc_file::text(format!("/proc/{pid}/{file}"));
        let Ok(status) = of("status") else { continue };
        // one that has ended has no memory
        let Some(rss) = number(&status, "VmRSS:") else { continue };
        if rss.saturating_mul(1024) > MAX_RSS_OF_PSS {
            return None;
        }
        let pss = number(&of("smaps_rollup").ok()?, "Pss:")?;
        sum = Some(sum.unwrap_or(0) + pss.saturating_mul(1024));
    }
    sum
}

fn read_details(sample: &mut Sample) {
    let pid = sample.key.0;
    match open_fds(pid) {
        Ok(count) => sample.open_fds = Some(count),
        Err(error) => {
            // what ends is root's for a moment, whoever's it was
            let is_there = Stat::of(pid)
                .is_some_and(|now| now.process.start == sample.key.1 && !now.process.is_zombie());
            sample.has_ended = !is_there;
            sample.is_denied = is_there && error.kind() == io::ErrorKind::PermissionDenied;
        }
    }
    let status = proc_file::text(format!("/proc/{pid}/status")).unwrap_or_default();
    for line in status.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let number = || value.split_ascii_whitespace().next()?.parse::<u64>().ok();
        let kib = || Some(number()?.saturating_mul(1024));
        match name {
            "Threads" => sample.threads = number().and_then(|it| u32::try_from(it).ok()),
            "VmRSS" => sample.rss_bytes = kib(),
            "RssAnon" => sample.anon_bytes = kib(),
            "VmSwap" => sample.swap_bytes = kib(),
            "VmHWM" => sample.peak_rss_bytes = kib(),
            _ => {}
        }
    }
    sample.fd_limit = if sample.is_main { fd_limit(pid) } else { None };
}

/// The number after `name` at the front of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// Since Linux 6.2 the size of the directory; before, its entries.
fn open_fds(pid: i32) -> io::Result<u64> {
    let path = format!("/proc/{pid}/fd");
    let size = fs::metadata(&path)?.size();
    // of another user's process the size is known, and the entries are not
    let entries = fs::read_dir(path)?;
    Ok(if size > 0 { size } else { entries.map(|_| 1).sum() })
}

fn fd_limit(pid: i32) -> Option<u64> {
    let limits = proc_file::text(format!("/proc/{pid}/limits")).ok()?;
    number(&limits, "Max open files")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use tcs_core::clock;

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

    #[test]
    fn the_proportional_share_is_no_more_than_what_is_resident() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id().cast_signed();
        let begin = clock::monotonic();
        // it becomes another program at first
        let pss = loop {
            if let Some(pss) = pss_bytes(&[pid]).filter(|pss| *pss > 0) {
                break pss;
            }
            assert!(begin.elapsed().as_secs() < 60, "it has no memory");
            std::thread::yield_now();
        };
        assert!(pss < 100 << 20, "{pss}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_ends_while_it_is_read_is_not_one_that_may_not_be_read() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let stat = Stat::of(child.id().cast_signed()).unwrap();
        let there = sample(&stat, false);
        child.kill().unwrap();
        child.wait().unwrap();
        let gone = sample(&stat, false);
        assert!(!there.has_ended && there.open_fds.is_some(), "{there:?}");
        assert!(gone.has_ended && !gone.is_denied, "{gone:?}");
    }

    #[test]
    fn what_a_process_has_waited_for_is_counted_apart() {
        let mut shell = Command::new("sh");
        // the shell itself does next to nothing
        shell.args(["-c", "(i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done); read line"]);
        let mut child = shell.stdin(Stdio::piped()).spawn().unwrap();
        let pid = child.id().cast_signed();
        let begin = clock::monotonic();
        let used = loop {
            let used = used(&Stat::of(pid).unwrap()).counters;
            if used.waited_seconds > 0.0 {
                break used;
            }
            assert!(begin.elapsed().as_secs() < 60, "{used:?}");
            std::thread::yield_now();
        };
        assert!(used.cpu_seconds >= used.waited_seconds, "{used:?}");
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
