//! Scenarios 6 and 7, and the beats that the launcher makes for those who do not speak.

use tcs_core::clock;
use tcs_core::fleet::{Liveness, ServiceView, Verdict};
use tcs_core::wire::{Status, StatusMessage};
use tcs_testkit::{nats, programs, python, tcsd};

use super::{BEATS, Site, bad, because, soon};

/// Seconds of 3 and of 12 intervals of [`BEATS`].
const LATE: f64 = 0.9;
const LOST: f64 = 3.6;

/// Row 6: what hangs is late after 3 intervals and lost after 12, and well again when it goes on;
/// a service that beats itself, and a program for which its launcher beats.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hangs_is_late_then_lost() {
    let exec = bad(&["forever"]);
    let site = Site::start(
        "process",
        &format!(
            "{BEATS}services:
  - {{type: hello_world, variant: a}}
  - {{type: silent, variant: a, launch: {{exec: {exec}}}}}
"
        ),
    )
    .await;
    let mut watch = site.watch();
    let ids = ["hello_world.a", "silent.a"];
    let mut pids = Vec::new();
    for id in ids {
        watch
            .sees("ok and live", id, |it| {
                it.verdict == Verdict::Ok && it.liveness == Liveness::Live
            })
            .await;
        pids.push(site.pid(id).await);
    }
    for pid in &pids {
        tcsd::signal("STOP", *pid);
    }
    let stopped = clock::monotonic();
    for (liveness, verdict, earliest) in
        [(Liveness::Late, Verdict::Late, LATE), (Liveness::Lost, Verdict::Lost, LOST)]
    {
        for id in ids {
            watch.sees(&format!("{verdict}"), id, |it| it.verdict == verdict).await;
            let took = stopped.elapsed().as_secs_f64();
            println!(
                "6: {id} {verdict} {took:.2} s after SIGSTOP (3 and 12 intervals: {LATE}, {LOST})"
            );
            // the last beat may be one interval older than the stop
            assert!(took > earliest - 0.35, "{id} is {verdict} too early: {took}");
            let it = watch.service(id);
            assert_eq!(it.liveness, liveness, "{id}");
            assert!(it.headline().contains("no heartbeat for"), "{}", it.headline());
        }
    }
    for pid in &pids {
        tcsd::signal("CONT", *pid);
    }
    let thawed = clock::monotonic();
    for id in ids {
        watch.sees("ok again", id, |it| it.verdict == Verdict::Ok).await;
    }
    soon("6: from SIGCONT to ok", thawed.elapsed());
    for (id, pid) in ids.into_iter().zip(pids) {
        assert_eq!(site.pid(id).await, pid, "nobody has restarted it");
    }
}

/// A zombie does not live, though its launcher cannot reap it: other threads of it go on.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_beats_for_a_zombie() {
    // the first thread ends, the process does not
    let script = "import ctypes, platform, threading, time; \
        threading.Thread(target=time.sleep, args=(1000,)).start(); time.sleep(1.5); \
        ctypes.CDLL(None).syscall({'x86_64': 60}.get(platform.machine(), 93), 0)";
    let config = format!(
        "{BEATS}services:\n  - {{type: zombie, variant: a, launch: {{exec: [{:?}, -c, {script:?}]}}}}\n",
        python::interpreter()
    );
    let site = Site::start("process", &config).await;
    let mut watch = site.watch();
    watch.sees("ok", "zombie.a", |it| it.liveness == Liveness::Live).await;
    let pid = site.pid("zombie.a").await;
    nats_wait(pid).await;
    watch.sees("late", "zombie.a", |it| it.verdict == Verdict::Late).await;
    watch.sees("lost", "zombie.a", |it| it.verdict == Verdict::Lost).await;
}

async fn nats_wait(pid: u32) {
    let is_zombie = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('Z')
    };
    nats::wait_for("it to be a zombie", is_zombie).await;
}

/// Row 7: the heart beats on a thread of its own and says that the loop does not go round; or the
/// heart alone is dead, in a program that goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_loop_and_a_dead_heart_are_not_ok() {
    // three beats of its own, and then never again
    let exec = bad(&["beats", "faint.a", "3", "300", "forever"]);
    let config = format!(
        "{BEATS}services:
  - {{type: bad.blocks, variant: a, after: 0.5}}
  - {{type: faint, variant: a, launch: {{exec: {exec}}}}}
"
    );
    let site = Site::of(&programs::badfleet(), "process", &config).await;
    let mut watch = site.watch();
    for id in ["bad.blocks.a", "faint.a"] {
        watch.sees("ok", id, |it| it.verdict == Verdict::Ok && it.liveness == Liveness::Live).await;
    }
    let blocked = |it: &tcs_core::fleet::ServiceView| {
        it.verdict == Verdict::Late && because(it, "loop_blocked")
    };
    watch.sees("late, its loop is blocked", "bad.blocks.a", blocked).await;
    watch.sees("late", "faint.a", |it| it.verdict == Verdict::Late).await;
    watch.sees("lost", "faint.a", |it| it.verdict == Verdict::Lost).await;
    assert!(because(&watch.service("faint.a"), "heartbeat_lost"));
    // both still run: nothing was done because of it
    for id in ["bad.blocks.a", "faint.a"] {
        assert_eq!(site.story(id).await, ["declared", "start", "ready"]);
    }
    assert!(blocked(&watch.service("bad.blocks.a")), "its heart goes on");
}

/// A service that has been ready, as a process and as a task: while its main loop is blocked its
/// status is a warning, which consoles without an eye for heartbeats' lag show too.
#[tokio::test(flavor = "multi_thread")]
async fn a_hung_main_loop_is_a_warning_until_it_goes_on() {
    for mode in ["process", "async"] {
        let config =
            format!("{BEATS}services:\n  - {{type: bad.blocks, variant: a, file: hangs}}\n");
        let site = Site::of(&programs::badfleet(), mode, &config).await;
        let mut watch = site.watch();
        let id = "bad.blocks.a";
        let well = |it: &ServiceView| it.verdict == Verdict::Ok && it.liveness == Liveness::Live;
        for _ in 0..2 {
            watch.sees("ok", id, well).await;
            let since = watch.service(id).since.unwrap();
            let hung = clock::monotonic();
            std::fs::write(site.tcsd.path("hangs"), "").unwrap();
            watch.sees("a warning", id, |it| it.status == Some(Status::Warning)).await;
            let took = hung.elapsed().as_secs_f64();
            println!("{mode}: {took:.2} s from the hang to the warning (3 intervals: {LATE})");
            watch
                .sees("late", id, |it| it.verdict == Verdict::Late && because(it, "loop_blocked"))
                .await;
            std::fs::remove_file(site.tcsd.path("hangs")).unwrap();
            watch.sees("ok again", id, |it| well(it) && it.status == Some(Status::Ok)).await;
            assert!(watch.service(id).since.unwrap() > since, "{mode}: ok since it goes on");
        }
        let statuses = site.statuses(id).await;
        let is_start = |it: &&StatusMessage| it.status == Status::Startup;
        let mut statuses: Vec<_> = statuses.iter().skip_while(is_start).collect();
        // the first is repeated as soon as there are streams
        statuses.dedup_by_key(|it| it.status);
        let reported: Vec<_> = statuses
            .iter()
            .map(|it| (it.status, it.own_status(), it.details.reported_by.as_deref()))
            .collect();
        let ok = (Status::Ok, Status::Ok, None);
        let warning = (Status::Warning, Status::Ok, Some("watchdog"));
        assert_eq!(reported, [ok, warning, ok, warning, ok], "{mode}");
        let warning = statuses[1].message.as_deref().unwrap();
        assert!(warning.starts_with("main loop blocked for "), "{warning}");
        assert!(warning.ends_with(" s (heartbeat thread still running)"), "{warning}");
        for turned in &statuses[1..] {
            assert_eq!(turned.status_age_s, Some(0.0), "{mode}: a turn begins a new status");
        }
        assert_eq!(site.story(id).await, ["declared", "start", "ready"], "{mode}");
    }
}
