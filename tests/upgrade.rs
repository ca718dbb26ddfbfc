//! A new tcsd takes over in the process of the old one: services go on, and nothing of them is lost;
//! and one that cannot take over changes nothing.
//!
//! `TCS_UPGRADE_SERVICES` (20) and `TCS_UPGRADES` (3) say how many; `large` has 200 and 20.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures of a test")]

#[path = "upgrade/failures.rs"]
mod failures;
#[path = "upgrade/planned.rs"]
mod planned;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tcs_core::bus::rpc::RequestError;
use tcs_core::clock;
use tcs_core::wire::Event;
use tcs_testkit::nats::{LIMIT, wait_for};
use tcs_testkit::programs::{copy_program, program, write_script};
use tcs_testkit::tcsd::{Site, marked, signal};

/// The program's file, which is replaced.
struct Installed {
    folder: tempfile::TempDir,
}

impl Installed {
    fn new() -> Self {
        let it = Self { folder: tempfile::tempdir().unwrap() };
        it.install_tcsd();
        it
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tcsd")
    }

    /// As a package manager does it: under another name, then renamed.
    fn install(&self, write: impl FnOnce(&Path)) {
        let new = self.folder.path().join("new");
        write(&new);
        fs::rename(&new, self.path()).unwrap();
    }

    fn install_tcsd(&self) {
        self.install(|new| copy_program(&program("tcsd"), new));
    }

    fn install_script(&self, text: &str) {
        self.install(|new| write_script(new, text));
    }
}

/// Services that count aloud, into files.
fn config(folder: &Path, count: usize, pause: &str) -> String {
    let mut text = format!(
        "launch: {{log: {{dir: '{}', keep: 3}}, stop_timeout: 5}}\nservices:\n",
        folder.display()
    );
    for n in 0..count {
        let script = format!("i=0; while :; do i=$((i+1)); echo \"count $i\"; sleep {pause}; done");
        let launch = format!("{{exec: [sh, -c, '{script}']}}");
        writeln!(text, "  - {{type: counter, variant: n{n}, launch: {launch}}}").unwrap();
    }
    // one that crashes all the time: its restarts go on
    text.push_str(
        "  - {type: broken, variant: a, restart: always, restart_sec: 0.5, \
         launch: {exec: [sh, -c, 'echo begun; sleep 1; exit 3']}}\n",
    );
    text
}

/// Waits until that many programs have taken over. A question may be lost with the program before.
async fn upgraded(site: &Site, n: u64) {
    let begin = clock::monotonic();
    let (name, nothing) = (site.tcsd.name.as_str(), serde_json::json!({}));
    loop {
        let list = site.bus.request(name, "list", &nothing, Duration::from_secs(1)).await;
        if list.is_ok_and(|list| list["upgrades"] == n) {
            return;
        }
        assert!(begin.elapsed() < LIMIT, "no upgrade {n}:\n{}", site.tcsd.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks for an upgrade. The answer may be lost with the program that gives it.
async fn ask(site: &Site) -> Option<Result<Value, String>> {
    let (name, nothing) = (site.tcsd.name.as_str(), serde_json::json!({}));
    match site.bus.request(name, "upgrade", &nothing, LIMIT).await {
        Ok(answer) => Some(Ok(Value::Object(answer))),
        Err(RequestError::Refused(why)) => Some(Err(why)),
        Err(_) => None,
    }
}

/// By service: the pid.
async fn pids(site: &Site, count: usize) -> BTreeMap<String, u64> {
    let all_run =
        |list: &Value| counters(list).filter(|it| it["status"] == "running").count() == count;
    let list = site.answer("list", all_run).await;
    counters(&list)
        .map(|it| (it["service_id"].as_str().unwrap().to_owned(), it["pid"].as_u64().unwrap()))
        .collect()
}

fn counters(list: &Value) -> impl Iterator<Item = &Value> {
    let all = list["services"].as_array().into_iter().flatten();
    all.filter(|it| it["service_id"].as_str().unwrap().starts_with("counter."))
}

/// The numbers that a service has counted, by its files.
fn counted(folder: &Path, id: &str) -> Vec<u64> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{id}."));
    let mut files: Vec<PathBuf> = entries.filter(of).collect();
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let number = |line: &str| line.rsplit_once("count ")?.1.parse().ok();
    text.lines().filter_map(number).collect()
}

/// Upgrades, and to programs that cannot take over in between.
async fn upgrade_under_load(count: usize, upgrades: u64, pause: &str) {
    let logs = tempfile::tempdir().unwrap();
    let installed = Installed::new();
    let site = Site::of(&installed.path(), "process", &config(logs.path(), count, pause)).await;
    let before = pids(&site, count).await;
    let tcsd = site.tcsd.pid();
    let mut longest = Duration::ZERO;
    for n in 1..=upgrades {
        if n % 3 == 1 {
            installed.install_script("#!/bin/sh\necho 'no such library' >&2\nexit 127\n");
            let refused = ask(&site).await.unwrap().unwrap_err();
            assert!(refused.contains("nothing was stopped"), "{refused}");
            assert!(refused.contains("cannot take over (exit status: 127): no such"), "{refused}");
        }
        installed.install_tcsd();
        let begin = clock::monotonic();
        let asked = ask(&site).await;
        assert!(
            asked.iter().all(|it| it.as_ref().is_ok_and(|it| it["changed"] == true)),
            "{asked:?}"
        );
        upgraded(&site, n).await;
        longest = longest.max(begin.elapsed());
    }
    println!("{count} services, {upgrades} upgrades; the longest took {longest:.2?}");
    assert_eq!(site.tcsd.pid(), tcsd);
    assert_eq!(pids(&site, count).await, before, "a service was restarted");

    // each number of each service, once and in order, over all upgrades
    let last = counted(logs.path(), "counter.n0").last().copied().unwrap();
    wait_for("more lines", || counted(logs.path(), "counter.n0").last() > Some(&(last + 2))).await;
    for id in before.keys() {
        let counted = counted(logs.path(), id);
        let all: Vec<u64> = (1..=counted.len() as u64).collect();
        assert_eq!(counted, all, "{id}");
    }
    let held = site.ask("logs.counter.n0").await.unwrap();
    let held = held["lines"].as_array().unwrap();
    assert!(held.len() > 10 || held[0]["message"] == "count 1", "{held:?}");

    // each event of the launcher is there, once, and none says that a counter was restarted
    let events = site.events(None).await;
    let mut seqs: Vec<u64> = events.iter().filter_map(|it| it.event_seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "events are missing");
    let runs: std::collections::BTreeSet<_> = events.iter().map(|it| &it.launcher_run).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    for id in before.keys() {
        site.tells(id, &["declared", "start", "ready"]).await;
    }
    site.tells(site.tcsd.name.as_str(), &["start"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_go_on_and_nothing_of_them_is_lost() {
    upgrade_under_load(20, 3, "0.1").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes: 200 services, 20 upgrades"]
async fn large() {
    upgrade_under_load(200, 20, "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_upgrade_all_is_as_before() {
    let logs = tempfile::tempdir().unwrap();
    let installed = Installed::new();
    let mut text = config(logs.path(), 3, "0.1");
    text.push_str(
        "  - {type: half, variant: a, launch: {exec: [sh, -c, \
         'printf half; sleep 1; while [ ! -e go ]; do sleep 0.05; done; echo \" done\"; sleep 1000']}}\n  \
         - {type: child, variant: a, launch: {exec: [sh, -c, 'setsid sleep 1000 & sleep 1000'], \
         env: {UPGRADE_TEST: 'child'}}}\n  \
         - {type: stubborn, variant: a, launch: {exec: [sh, -c, \
         'trap \"\" TERM; while :; do sleep 0.1; done'], stop_timeout: 2}}\n",
    );
    let mut site = Site::of(&installed.path(), "process", &text).await;
    let before = pids(&site, 3).await;
    let stubborn = site.pid("stubborn.a").await;
    let child = site.pid("child.a").await;
    installed.install_tcsd();
    // by a reload, as systemd asks for it
    site.tcsd.signal("HUP");
    upgraded(&site, 1).await;
    assert_eq!(pids(&site, 3).await, before);

    // the exit status of a process that the program before has started
    signal("KILL", u32::try_from(before["counter.n1"]).unwrap());
    wait_for("the crash", || site.tcsd.log().contains("counter.n1 crashed")).await;
    let begin = clock::monotonic();
    loop {
        let crashed =
            site.events(Some("counter.n1")).await.into_iter().find_map(|it| match it.event {
                Event::Crashed(crashed) => Some(crashed),
                _ => None,
            });
        if let Some(crashed) = crashed {
            assert_eq!(crashed.exit_code, Some(-9));
            break;
        }
        assert!(begin.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // orders reach it, and timers run
    let stopped = site.ask("stop.stubborn.a").await.unwrap();
    assert_eq!(stopped["exit_code"], -9, "{stopped:?}");
    assert!(!Path::new(&format!("/proc/{stubborn}")).exists());
    let started = site.ask("start.stubborn.a").await.unwrap();
    assert_eq!(started["changed"], true);
    // a line that was begun before
    fs::write(site.tcsd.path("go"), "").unwrap();
    let line = |text: &str| site.tcsd.log().lines().any(|line| line.ends_with(text));
    wait_for("the rest of the line", || line(" done")).await;
    // the configuration is read again, and compared with what runs
    let reloaded = site.ask("reload").await.unwrap();
    assert_eq!(reloaded["changed"], false, "{reloaded:?}");
    // nothing is left, however it dies
    assert!(!marked("UPGRADE_TEST=child").is_empty());
    site.tcsd.kill().await;
    wait_for("nothing is left", || marked("UPGRADE_TEST=child").is_empty()).await;
    let lives = |pid: u64| Path::new(&format!("/proc/{pid}")).exists();
    let all = || before.values().copied().chain([child.into()]);
    wait_for("nothing is left", || !all().any(lives)).await;
    // and the next launcher starts as ever
    site.tcsd.run();
    let after = pids(&site, 3).await;
    assert!(after.values().all(|pid| !before.values().any(|it| it == pid)));
    assert!(site.tcsd.stop().await.code().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_restarted_and_processes_are_not() {
    let installed = Installed::new();
    let text = "services:\n  - {type: hello_world, variant: a, launch: {mode: async}}\n  \
                - {type: hello_world, variant: b, launch: {mode: process}}\n";
    let site = Site::of(&installed.path(), "process", text).await;
    let process = site.pid("hello_world.b").await;
    site.until("hello_world.a", |it| it["status"] == "running").await;
    installed.install_tcsd();
    ask(&site).await;
    upgraded(&site, 1).await;
    site.until("hello_world.a", |it| it["status"] == "running").await;
    assert_eq!(site.pid("hello_world.b").await, process);
    let story = ["declared", "start", "ready", "stopping", "stop", "start", "ready"];
    site.tells("hello_world.a", &story).await;
    // the same program again: nothing to do
    let same = ask(&site).await.unwrap().unwrap();
    assert_eq!((&same["changed"], &same["upgrades"]), (&false.into(), &1.into()), "{same:?}");
}
