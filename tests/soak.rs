//! Fifty services that crash, flood, hang and leave things behind, for as long as
//! `TCS_SOAK_SECONDS` says (20; `make soak`: an hour): what the launcher holds stays flat, and at
//! the end nothing is left. Prints what was measured (`--nocapture`).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

#[path = "soak/daemons.rs"]
mod daemons;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tcs_core::clock;
use tcs_launcher::runner::group::Process;
use tcs_testkit::programs;
use tcs_testkit::tcsd::{Site, marked};

const SERVICES: usize = 50;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Looks between two lines of what is held.
const TOLD: usize = 600;

/// Fifty entries: eight kinds of trouble, and some that are well.
fn config() -> String {
    let program = programs::badchild().display().to_string();
    let mut text = "launch: {heartbeat: 1, stop_timeout: 0.5}\nservices:\n".to_owned();
    for n in 0..SERVICES {
        // not all at the same moment
        let pause = 200 + 37 * n;
        let (kind, script) = match n % 10 {
            0 => ("crash", format!("sleep {pause} exit 1")),
            1 => ("killed", format!("sleep {pause} die SIGKILL")),
            2 => ("ends", format!("sleep {pause} exit 0")),
            3 => ("lines", format!("flood stdout lines 2000000 sleep {pause} exit 2")),
            4 => ("line", format!("flood stderr line 2000000 sleep {pause} exit 2")),
            5 => ("binary", format!("flood stdout binary 2000000 sleep {pause} exit 2")),
            6 => ("escape", format!("escape escaped-{n} sleep {pause} exit 3")),
            7 => ("grandchild", format!("grandchild stays-{n} sleep {pause} exit 4")),
            // ended only by whoever restarts it
            8 => ("deaf", "deaf forever".to_owned()),
            _ => ("frozen", "freeze forever".to_owned()),
        };
        let words: Vec<_> = script.split(' ').map(|word| format!("{word:?}")).collect();
        let _ = writeln!(
            text,
            "  - {{type: {kind}, variant: n{n}, restart: always, restart_sec: 0.2, restart_max: 0, \
             launch: {{exec: [{program:?}, {}]}}}}",
            words.join(", ")
        );
    }
    text
}

/// What the launcher holds at one moment.
#[derive(Debug, Clone, Copy)]
struct Held {
    files: usize,
    threads: u64,
    resident_kb: u64,
}

impl Held {
    fn by(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("tcsd runs");
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Self {
            files: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
            threads: number("Threads:"),
            resident_kb: number("VmRSS:"),
        }
    }

    fn most(held: &[Self]) -> Self {
        let most = |of: fn(&Self) -> u64| held.iter().map(of).max().unwrap();
        Self {
            files: held.iter().map(|it| it.files).max().unwrap(),
            threads: most(|it| it.threads),
            resident_kb: most(|it| it.resident_kb),
        }
    }
}

/// Looks at which the same child may have ended and not been waited for: orphans are, each second.
const UNWAITED: u32 = 20;

/// Children that have ended and were not waited for (pid and start), with the looks that saw them.
fn zombies(of: u32, before: &BTreeMap<(i32, u64), u32>) -> BTreeMap<(i32, u64), u32> {
    let ours = |it: &Process| it.is_zombie() && it.parent == of.cast_signed();
    let keys = Process::all().into_iter().filter(ours).map(|it| (it.pid, it.start));
    keys.map(|key| (key, before.get(&key).map_or(1, |looks| looks + 1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_grows_and_nothing_is_left() {
    let seconds = std::env::var("TCS_SOAK_SECONDS").map_or(20, |it| it.parse().unwrap());
    let program = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(program, "process", &config()).await;
    // ten megabytes a second
    site.tcsd.keeps_log = false;
    site.tcsd.run();
    let pid = site.tcsd.pid();
    site.answer("list", |list| list["services"].as_array().unwrap().len() == SERVICES).await;

    let begin = clock::monotonic();
    let (mut looks, mut unwaited) = (Vec::new(), BTreeMap::new());
    while begin.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(LOOK).await;
        // those that hang are restarted by somebody, one at each look
        let n = [8, 9][looks.len() % 2] + 10 * (looks.len() / 2 % 5);
        let kind = if n % 10 == 8 { "deaf" } else { "frozen" };
        site.ask(&format!("restart.{kind}.n{n}")).await.unwrap();
        looks.push(Held::by(pid));
        if looks.len() % TOLD == 0 {
            println!("{:.0} s: {:?}", begin.elapsed().as_secs_f64(), looks[looks.len() - 1]);
        }
        unwaited = zombies(pid, &unwaited);
        assert!(unwaited.values().all(|looks| *looks < UNWAITED), "zombies: {unwaited:?}");
    }

    // its rings fill and its caches warm up in the first third
    let third = looks.len() / 3;
    let before = Held::most(&looks[third..2 * third]);
    let after = Held::most(&looks[2 * third..]);
    let list = site.ask("list").await.unwrap();
    let restarts =
        list["services"].as_array().unwrap().iter().filter_map(|it| it["restarts"].as_u64());
    let restarts = restarts.sum::<u64>();
    println!("{seconds} s, {restarts} restarts; the second third {before:?}, the last {after:?}");
    // how many services are between two runs varies; a file that every second restart keeps is found
    let more_files = 20.max(restarts / 6);
    assert!(after.files as u64 <= before.files as u64 + more_files, "files: {before:?}, {after:?}");
    assert!(after.threads <= before.threads + 4, "threads: {before:?}, {after:?}");
    assert!(
        after.resident_kb <= before.resident_kb * 5 / 4 + 4096,
        "memory: {before:?}, {after:?}"
    );
    let folder = site.tcsd.path("");
    assert!(marked(&folder).len() > 1, "nothing is found by its mark");
    site.tcsd.stop().await;
    let left = marked(&folder);
    assert!(left.is_empty(), "left behind: {left:?}");
}
