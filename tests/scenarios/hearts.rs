//! Scenarios 6 and 7, and the beats that the launcher makes for those who do not speak.

use tcs_core::clock;
use tcs_core::fleet::{Liveness, Verdict};

use super::{BEATS, Site, bad, because, programs, python, soon, tcsd};

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
    super::nats::wait_for("it to be a zombie", is_zombie).await;
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
