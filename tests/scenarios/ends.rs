//! What it must survive: children that do not end as they should, and a launcher that is frozen.

use std::time::Duration;

use serde_json::json;
use tcs_core::clock;
use tcs_core::fleet::{ServiceView, Verdict};
use tcs_core::wire::Event;
use tcs_launcher::runner::group::Process;
use tcs_testkit::{nats, programs};

use super::{BEATS, Site, bad, because, marked, soon};

/// A child that ignores SIGTERM, with a family that does so too, in sessions of its own.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_hear_is_killed_with_the_whole_family() {
    let word = "who-does-not-hear";
    let exec =
        bad(&["deaf", "grandchild", "near", "escape", "far", "escape-bare", "bare", "forever"]);
    let config = format!(
        "{BEATS}services:
  - {{type: deaf, variant: a, restart: always, launch: {{exec: {exec}, stop_timeout: 0.5, env: {{SCENE: {word}}}}}}}
"
    );
    let mut site = Site::start("process", &config).await;
    let mut watch = site.watch();
    watch.sees("ok", "deaf.a", |it| it.verdict == Verdict::Ok).await;
    nats::wait_for("the family", || marked(word).len() == 3).await;
    let begin = clock::monotonic();
    let stopped = site.ask("stop.deaf.a").await.unwrap();
    println!("stopped by force after {:.2} s (stop_timeout 0.5 s)", begin.elapsed().as_secs_f64());
    assert_eq!(stopped["result"], "stopped");
    assert!(begin.elapsed() >= Duration::from_millis(500));
    // the answer comes after the effect
    assert!(marked(word).is_empty(), "none of it is left");
    let events = site.events(Some("deaf.a")).await;
    let Event::Stop(stop) = &events.last().unwrap().event else { panic!("{events:#?}") };
    assert_eq!((stop.reason.as_deref(), stop.exit_code), (Some("force_killed"), Some(-9)));
    watch.sees("stopped", "deaf.a", |it| it.verdict == Verdict::Stopped).await;
    // what has even left its environment is found at the launcher's own end
    assert!(site.tcsd.stop().await.success());
    let bare = std::fs::read_to_string(site.tcsd.dir().join("bare")).unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{bare}/exe")).exists(), "{bare} is left");
}

/// A crash is seen at once though the output stays open, and the next run waits for the rest to
/// be gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_grandchild_that_keeps_the_output_hides_no_crash() {
    let exec = bad(&["deaf", "grandchild", "pid", "sleep", "300", "exit", "7"]);
    let config = format!(
        "{BEATS}services:
  - {{type: holds, variant: a, restart: on-failure, restart_sec: 0.1, restart_max: 1, launch: {{exec: {exec}, stop_timeout: 1}}}}
"
    );
    let site = Site::start("process", &config).await;
    let mut watch = site.watch();
    let crash = watch.sees("restarting", "holds.a", |it| it.verdict == Verdict::Restarting);
    println!(
        "the crash is seen {:.2} s after the start (it lives 0.3 s)",
        crash.await.as_secs_f64()
    );
    assert!(watch.service("holds.a").headline().contains("exit code 7"));
    watch.sees("failed", "holds.a", |it| it.verdict == Verdict::Failed).await;
    let events = site.events(Some("holds.a")).await;
    let at = |wanted: &str, n: usize| {
        let mut all = events.iter().filter(|it| it.event.name() == wanted);
        all.nth(n).unwrap().timestamp.unwrap().time()
    };
    let waited = at("start", 1) - at("crashed", 0);
    assert!(waited >= chrono::TimeDelta::seconds(1), "on top of the old one: {waited}");
}

/// What cannot be started is failed, with the reason; whatever the policy, not again and again.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_fails_with_the_reason_and_once() {
    let config = format!(
        "{BEATS}services:
  - {{type: missing, variant: a, restart: always, restart_sec: 0, launch: {{exec: [/no/such/program]}}}}
  - {{type: forbidden, variant: a, restart: always, restart_sec: 0, launch: {{exec: [./services.yaml]}}}}
  - {{type: nowhere, variant: a, restart: always, restart_sec: 0, launch: {{exec: [sleep, '100'], cwd: /no/such/dir}}}}
  - {{type: lives, variant: a, launch: {{exec: [sleep, '1000']}}}}
"
    );
    let mut site = Site::start("process", &config).await;
    let mut watch = site.watch();
    for (id, words) in [
        ("missing.a", "starting /no/such/program: No such file or directory"),
        ("forbidden.a", "starting ./services.yaml: Permission denied"),
        ("nowhere.a", "changing to directory /no/such/dir: No such file or directory"),
    ] {
        let is_so =
            |it: &ServiceView| it.verdict == Verdict::Failed && it.headline().contains(words);
        watch.sees(&format!("failed: {words}"), id, is_so).await;
        assert_eq!(site.story(id).await, ["declared", "failed"]);
        let refused = site.ask(&format!("start.{id}")).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    watch.sees("ok: one bad service keeps nobody", "lives.a", |it| it.verdict == Verdict::Ok).await;
    assert_eq!(site.tcsd.stop().await.code(), Some(1), "wanted services had failed");
}

/// A launcher that is stopped for longer than a watchdog, a restart delay and 12 heartbeats.
#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_was_frozen_does_nothing_because_of_it() {
    let watchdog = ["notify", "WATCHDOG_USEC=1500000"];
    let beat = ["sleep", "300", "notify", "WATCHDOG=1"].repeat(200);
    let exec = bad(&[&watchdog[..], &beat[..]].concat());
    let silent = bad(&["forever"]);
    let config = format!(
        "{BEATS}services:
  - {{type: watched, variant: a, restart: always, launch: {{exec: {exec}}}}}
  - {{type: silent, variant: a, restart: always, launch: {{exec: {silent}}}}}
  - {{type: hello_world, variant: a, restart: always}}
"
    );
    let site = Site::start("process", &config).await;
    let ids = ["watched.a", "silent.a", "hello_world.a"];
    let mut watch = site.watch();
    let mut pids = Vec::new();
    for id in ids {
        watch.sees("ok", id, |it| it.verdict == Verdict::Ok).await;
        pids.push(site.pid(id).await);
    }
    site.tcsd.signal("STOP");
    let frozen = clock::monotonic();
    let launcher = site.tcsd.name.to_string();
    watch.sees("lost while it is frozen", &launcher, |it| it.verdict == Verdict::Lost).await;
    // a service with a heart of its own is seen to live on
    let it = watch.service("hello_world.a");
    assert!(because(&it, "orphaned"), "{it:?}");
    nats::wait_for("5 s", || frozen.elapsed() > Duration::from_secs(5)).await;
    site.tcsd.signal("CONT");
    for id in ids.iter().chain([&launcher.as_str()]) {
        watch.sees("ok again", id, |it| it.verdict == Verdict::Ok).await;
    }
    let thawed = clock::monotonic();
    nats::wait_for("a while", || thawed.elapsed() > Duration::from_secs(2)).await;
    for (id, pid) in ids.into_iter().zip(pids) {
        assert_eq!(site.pid(id).await, pid, "{id}");
        assert_eq!(site.story(id).await, ["declared", "start", "ready"], "{id}");
    }
}

/// A watchdog that is not served while the launcher looks on ends the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_watchdog_that_is_not_served_is_a_crash() {
    let exec = bad(&[
        "notify",
        "READY=1\nWATCHDOG_USEC=500000",
        "sleep",
        "300",
        "notify",
        "WATCHDOG=1",
        "forever",
    ]);
    let config = format!(
        "{BEATS}services:
  - {{type: hangs, variant: a, restart: on-abnormal, restart_sec: 30, launch: {{exec: {exec}, ready: notify}}}}
"
    );
    let site = Site::start("process", &config).await;
    let mut watch = site.watch();
    watch.sees("ok", "hangs.a", |it| it.verdict == Verdict::Ok).await;
    watch.sees("restarting", "hangs.a", |it| it.verdict == Verdict::Restarting).await;
    let words = watch.service("hangs.a").headline();
    println!("{words}");
    assert!(words.contains("watchdog timeout"), "{words}");
    // a stop during the wait before the restart is a stop at once
    let begin = clock::monotonic();
    let stopped = site.ask("stop.hangs.a").await.unwrap();
    println!("stopped during its backoff in {:.3} s", begin.elapsed().as_secs_f64());
    assert_eq!(stopped["changed"], json!(true));
    watch.sees("stopped", "hangs.a", |it| it.verdict == Verdict::Stopped).await;
}

/// Tasks that block all the threads they could run on: the launcher and what it has in processes go
/// on, what cannot be ended is said, and the launcher's own end does not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_block_their_threads_do_not_block_the_launcher() {
    let exec = bad(&["sleep", "2000", "exit", "3"]);
    let mut config = format!(
        "{BEATS}services:
  - {{type: process, variant: a, restart: on-failure, restart_sec: 0.1, restart_max: 0, launch: {{exec: {exec}}}}}
"
    );
    let threads = std::thread::available_parallelism().unwrap().get();
    for n in 0..2 * threads {
        let entry =
            format!("  - {{type: bad.blocks, variant: v{n}, launch: {{stop_timeout: 0.3}}}}\n");
        config.push_str(&entry);
    }
    let mut site = Site::of(&programs::badfleet(), "async", &config).await;
    let mut watch = site.watch();
    let blocked = |it: &ServiceView| it.verdict == Verdict::Late && because(it, "loop_blocked");
    watch.sees("late, its loop is blocked", "bad.blocks.v0", blocked).await;
    let begin = clock::monotonic();
    site.until("process.a", |it| it["restarts"].as_u64() >= Some(2)).await;
    println!("two restarts seen within {:.2} s", begin.elapsed().as_secs_f64());
    let begin = clock::monotonic();
    let refused = site.ask("stop.bad.blocks.v0").await.unwrap_err().to_string();
    println!("after {:.2} s: {refused}", begin.elapsed().as_secs_f64());
    site.tcsd.signal("TERM");
    let begin = clock::monotonic();
    assert_eq!(site.tcsd.end().await.code(), Some(1));
    println!("tcsd has ended {:.2} s after SIGTERM", begin.elapsed().as_secs_f64());
}

/// What a task starts by itself: how that ended is the task's to know, orphans are waited for, and
/// nothing of it outlives a launcher that is killed.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_task_starts_is_its_own_as_long_as_the_launcher_lives() {
    let config = format!(
        "{BEATS}services:\n  - {{type: bad.spawns, variant: a, launch: {{mode: async}}, after: 4}}\n"
    );
    for mode in ["async", "process"] {
        let mut site = Site::prepared(&programs::badfleet(), mode, &config).await;
        let word = site.tcsd.path("");
        site.tcsd.run();
        let mut watch = site.watch();
        // how its own child ended is left to it
        let told = |it: &ServiceView| it.message.as_deref() == Some("its own: exit status: 7");
        watch.sees("its own child's end", "bad.spawns.a", told).await;
        let orphan = std::fs::read_to_string(site.tcsd.dir().join("orphan")).unwrap();
        let orphan = orphan.trim().parse().unwrap();
        nats::wait_for("the orphan to be waited for", || Process::of(orphan).is_none()).await;

        // the launcher, its guard, and the one that stays
        let alive = marked(&word);
        assert_eq!(alive.len(), 3, "{alive:?}");
        site.tcsd.kill().await;
        let killed = clock::monotonic();
        nats::wait_for("nothing to be left", || marked(&word).is_empty()).await;
        soon(&format!("{mode}: from SIGKILL of tcsd to nothing left"), killed.elapsed());
    }
}

/// The last lines of a crash, its cause in one line wherever a crash is told, and the crash told at
/// once though a grandchild has the output open.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_tells_its_cause_in_one_line() {
    const CAUSE: &str = "SerialTimeout: /dev/ttyUSB0 did not answer";
    let program = r"
import sys
class SerialTimeout(Exception):
    pass
print('\x1b[31mopening\x1b[0m')
try:
    raise SerialTimeout('/dev/ttyUSB0 did not answer')
except SerialTimeout:
    import os, subprocess, traceback
    traceback.print_exc()
    subprocess.Popen(['sleep', '1000'], start_new_session=True)
    os._exit(3)
";
    let shell = "trap '' TERM; ulimit -c 0; kill -SEGV $$";
    let config = format!(
        "{BEATS}services:
  - {{type: dome, variant: a, restart: on-failure, restart_sec: 0.1, restart_max: 1, launch: {{exec: [python3, -u, dome.py]}}}}
  - {{type: fault, variant: a, launch: {{exec: [sh, -c, \"{shell}\"]}}}}
  - {{type: bad.raises, variant: a}}
"
    );
    let mut site = Site::prepared(&programs::badfleet(), "process", &config).await;
    std::fs::write(site.tcsd.dir().join("dome.py"), program).unwrap();
    site.tcsd.run();
    let mut watch = site.watch();
    let whole = format!("{CAUSE} (exit 3)");
    watch.sees("failed", "dome.a", |it| it.verdict == Verdict::Failed).await;
    let row = watch.service("dome.a").headline();
    assert!(row.contains(&whole), "{row}");
    let events = site.events(Some("dome.a")).await;
    let mut crashes = events.iter().filter_map(|it| match &it.event {
        Event::Crashed(crash) => Some(crash),
        _ => None,
    });
    let crash = crashes.next().unwrap();
    assert_eq!((crash.exit_code, crash.error.as_deref()), (Some(3), Some(CAUSE)));
    assert!(crash.uptime_seconds.is_some());
    let last = &crash.last_lines;
    assert!(last.iter().any(|it| it == "\u{1b}[31mopening\u{1b}[0m"), "as it came: {last:?}");
    assert_eq!(last.last().map(String::as_str), Some(CAUSE));
    assert_eq!(crashes.count(), 1, "the limit is one restart");
    let of_the_dead = site.statuses("dome.a").await;
    let of_the_dead: Vec<_> = of_the_dead.iter().filter_map(|it| it.message.as_deref()).collect();
    assert!(of_the_dead.contains(&whole.as_str()), "{of_the_dead:?}");
    let given_up = format!("{whole}; restart limit reached (1 in 60 s), giving up");
    assert_eq!(of_the_dead.last(), Some(&&*given_up));
    let log = site.tcsd.log();
    assert!(log.contains(&format!(": {whole}; restarting in 0.1 s (1/1)")), "{log}");
    assert!(log.contains(&format!("[ERROR] svc|dome.a: {CAUSE}")), "{log}");

    watch.sees("failed", "fault.a", |it| it.verdict == Verdict::Failed).await;
    let events = site.events(Some("fault.a")).await;
    let Event::Crashed(crash) = &events.last().unwrap().event else { panic!("{events:#?}") };
    assert_eq!((crash.headline().as_str(), crash.core_dumped), ("SIGSEGV", Some(false)));
    watch.sees("failed", "bad.raises.a", |it| it.verdict == Verdict::Failed).await;
    let row = watch.service("bad.raises.a").headline();
    assert!(row.contains("no guide star"), "{row}");
}
