//! The host: load, memory, disk, boot, and whom the kernel has killed because memory ran out.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::fcntl::OFlag;
use nix::sys::statvfs::statvfs;
use tcs_core::wire::control::HostFigures;

use super::FRESH;
use crate::runner::group::boot_id;

/// Reads again and again: the load of the processors is a difference, which all who ask share.
#[derive(Debug)]
pub(super) struct HostReader {
    /// On the disk whose space is shown.
    folder: PathBuf,
    /// Busy and all ticks.
    cpu: Option<(u64, u64)>,
    cpu_percent: Option<f64>,
    last: Option<(Instant, HostFigures)>,
}

impl HostReader {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, cpu: cpu_ticks(&text("/proc/stat")), cpu_percent: None, last: None }
    }

    /// As they are, or were less than [`FRESH`] before.
    pub(super) fn read(&mut self, now: Instant) -> HostFigures {
        if let Some((at, figures)) = &self.last
            && now.saturating_duration_since(*at) < FRESH
        {
            return figures.clone();
        }
        let figures = self.read_now();
        self.last = Some((now, figures.clone()));
        figures
    }

    fn read_now(&mut self) -> HostFigures {
        let (stat, memory) = (text("/proc/stat"), text("/proc/meminfo"));
        let now = cpu_ticks(&stat);
        if let (Some((busy, all)), Some((busy_now, all_now))) = (self.cpu, now)
            && all_now > all
        {
            let share = busy_now.saturating_sub(busy) as f64 / (all_now - all) as f64;
            self.cpu_percent = Some((share * 1000.0).round() / 10.0);
            self.cpu = now;
        }
        let kib =
            |name: &str| Some(after(&memory, name)?.parse::<u64>().ok()?.saturating_mul(1024));
        let own = text("/proc/self/status");
        HostFigures {
            load1: text("/proc/loadavg").split_ascii_whitespace().next().and_then(parse),
            cpu_percent: self.cpu_percent,
            cpus: u32::try_from(stat.lines().filter(|line| is_core(line)).count()).ok(),
            mem_total_bytes: kib("MemTotal:"),
            mem_available_bytes: kib("MemAvailable:"),
            swap_used_bytes: kib("SwapTotal:")
                .zip(kib("SwapFree:"))
                .map(|(all, free)| all.saturating_sub(free)),
            disk_free_bytes: disk_free(&self.folder),
            psi_mem_avg10: pressure(&text("/proc/pressure/memory")),
            boot_id: Some(boot_id()).filter(|id| !id.is_empty()),
            boot_at: after(&stat, "btime").and_then(parse),
            oom_kills: oom_kills(),
            clock_synced: clock_synced(Path::new("/run/systemd/timesync")),
            tcsd_rss_bytes: after(&own, "VmRSS:")
                .and_then(|it| it.parse::<u64>().ok())
                .map(|kib| kib.saturating_mul(1024)),
            unread: Vec::new(),
        }
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn parse(text: &str) -> Option<f64> {
    text.parse().ok().filter(|it: &f64| it.is_finite())
}

/// The first word after `name` at the front of a line.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.find_map(|rest| rest.split_ascii_whitespace().next())
}

fn is_core(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Ticks of all processors, busy and in all. Guests' time is in the user's already.
fn cpu_ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().filter_map(|it| it.parse().ok()).collect();
    let all: u64 = ticks.iter().take(8).sum();
    let idle = ticks.get(3)? + ticks.get(4).unwrap_or(&0);
    Some((all.saturating_sub(idle), all))
}

/// Percent of the last 10 s in which something waited.
fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    parse(some.split_ascii_whitespace().find_map(|it| it.strip_prefix("avg10="))?)
}

fn disk_free(folder: &Path) -> Option<u64> {
    let disk = statvfs(folder).ok()?;
    Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

/// As systemd's own client says; where another one keeps the clock, that is not known.
fn clock_synced(folder: &Path) -> Option<bool> {
    folder.is_dir().then(|| folder.join("synchronized").exists())
}

/// Processes that the kernel has killed because memory ran out, since boot.
pub(super) fn oom_kills() -> Option<u64> {
    after(&text("/proc/vmstat"), "oom_kill ")?.parse().ok()
}

/// Whether the kernel's log says that one of these was killed because memory ran out; false also where
/// the log may not be read.
pub(super) fn log_names_killed(pids: &BTreeSet<i32>) -> bool {
    let mut open = OpenOptions::new();
    open.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let Ok(mut log) = open.open("/dev/kmsg") else { return false };
    let mut record = [0; 8192];
    // one record each time, until there are no more; the log holds no more than these
    for _ in 0..100_000 {
        match log.read(&mut record) {
            Ok(0) => return false,
            Ok(size) => {
                if killed(&String::from_utf8_lossy(&record[..size]))
                    .is_some_and(|it| pids.contains(&it))
                {
                    return true;
                }
            }
            // records were overwritten meanwhile
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            Err(_) => return false,
        }
    }
    false
}

/// Whom a line of the kernel's log names as killed because memory ran out.
fn killed(line: &str) -> Option<i32> {
    let (_, rest) = line.split_once("Killed process ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tcs_core::clock;

    use super::*;

    #[test]
    fn who_asks_within_two_seconds_shares_a_reading() {
        let mut host = HostReader::new(PathBuf::from("/"));
        let now = clock::monotonic();
        let first = host.read(now);
        host.cpu = None;
        assert_eq!(host.read(now + Duration::from_millis(1_900)), first);
        assert_eq!(host.cpu, None, "nobody has read");
        host.cpu = Some((0, 0));
        host.read(now + FRESH);
        assert_ne!(host.cpu, Some((0, 0)));
    }

    #[test]
    fn the_kernels_texts_are_read() {
        let stat = "cpu  100 5 50 800 45 1 2 3 90 7\ncpu0 1 1\ncpu1 1 1\nbtime 1795398516\n";
        assert_eq!(cpu_ticks(stat), Some((161, 1006)));
        assert_eq!(stat.lines().filter(|line| is_core(line)).count(), 2);
        assert_eq!(after(stat, "btime"), Some("1795398516"));
        assert_eq!(after("oom_kill_disable 1\noom_kill 3\n", "oom_kill "), Some("3"));
        let text = "some avg10=1.50 avg60=0.00 total=1\nfull avg10=0.00 total=0\n";
        assert_eq!(pressure(text), Some(1.5));
        let line = "3,912,5,-;Out of memory: Killed process 4711 (python3) total-vm:1kB\n";
        assert_eq!(killed(line), Some(4711));
        assert_eq!(killed("6,1,1,-;Memory cgroup out of memory: OOM victim"), None);
    }

    #[test]
    fn this_host_has_figures() {
        let mut reader = HostReader::new(PathBuf::from("/"));
        let figures = reader.read_now();
        assert!(figures.cpus.unwrap() >= 1 && figures.mem_total_bytes.unwrap() > 1 << 20);
        assert!(figures.mem_available_bytes <= figures.mem_total_bytes, "{figures:?}");
        assert!(figures.boot_at.unwrap() > 1e9 && figures.disk_free_bytes.is_some());
        assert!(figures.tcsd_rss_bytes.unwrap() > 1 << 20);
    }
}
