//! Scenarios 11 and 12, and the other ways in which a broker can be away: supervision goes on
//! without it, and what happened meanwhile is told in order once it is back.

use std::path::Path;
use std::time::Duration;

use tcs_core::clock;
use tcs_core::fleet::{FleetView, Link, Liveness, Verdict};
use tcs_core::wire::RegistryMessage;
use tcs_testkit::{nats, tcsd};

use super::{BEATS, Site, bad, soon};

/// Runs well, comes back after a crash, is left after one; and a service that speaks for itself.
pub(super) fn services() -> String {
    let exec = bad(&["forever"]);
    format!(
        "{BEATS}services:
  - {{type: hello_world, variant: a}}
  - {{type: silent, variant: a, launch: {{exec: {exec}}}}}
  - {{type: back, variant: a, restart: on-failure, restart_sec: 0.1, restart_max: 0, launch: {{exec: {exec}}}}}
  - {{type: left, variant: a, restart: no, launch: {{exec: {exec}}}}}
"
    )
}

pub(super) const IDS: [&str; 4] = ["back.a", "hello_world.a", "left.a", "silent.a"];

pub(super) fn all(view: &FleetView, wanted: &[(&str, Verdict)]) -> bool {
    wanted.iter().all(|(id, verdict)| view.get(id).is_some_and(|it| it.verdict == *verdict))
}

pub(super) const WELL: [(&str, Verdict); 4] = [
    ("back.a", Verdict::Ok),
    ("hello_world.a", Verdict::Ok),
    ("left.a", Verdict::Ok),
    ("silent.a", Verdict::Ok),
];

pub(super) const AFTER: [(&str, Verdict); 4] = [
    ("back.a", Verdict::Ok),
    ("hello_world.a", Verdict::Ok),
    ("left.a", Verdict::Failed),
    ("silent.a", Verdict::Ok),
];

/// Nothing turned red that was not red: by our own blindness.
fn nothing_red(view: &FleetView) -> bool {
    view.services.iter().all(|it| !matches!(it.verdict, Verdict::Lost | Verdict::Failed))
}

/// The process that the launcher says it started last for a service: without a broker there is
/// nobody else to ask.
pub(super) fn logged_pid(site: &Site, id: &str) -> u32 {
    let log = site.tcsd.log();
    let said = log.rsplit(&format!("{id} started, pid ")).next().unwrap();
    said.split(':').next().unwrap().trim().parse().unwrap()
}

/// The order of what one launcher run said, and its gaps.
pub(super) fn assert_whole(events: &[RegistryMessage]) {
    // some are of the services themselves
    let run = events.iter().rev().find_map(|it| it.launcher_run.as_ref());
    let of_run: Vec<_> = events.iter().filter(|it| it.launcher_run.as_ref() == run).collect();
    let numbers: Vec<u64> = of_run.iter().map(|it| it.event_seq.unwrap()).collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected, "events are missing, or out of order");
    let times: Vec<_> = of_run.iter().map(|it| it.timestamp.unwrap().time()).collect();
    assert!(times.is_sorted(), "with their own times: {times:?}");
}

/// Row 11, and "killed and restarted": what happens while it is away is told afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_comes_back() {
    let mut site = Site::start("process", &services()).await;
    let mut watch = site.watch();
    watch.see("all well", |view| all(view, &WELL)).await;
    let (back, left) = (site.pid("back.a").await, site.pid("left.a").await);
    let steady = site.pid("silent.a").await;

    site.server.kill();
    watch.see("the link is down", |view| matches!(view.link, Link::Down { .. })).await;
    tcsd::signal("KILL", back);
    nats::wait_for("its restart without a broker", || {
        let log = site.tcsd.log();
        log.matches("back.a ready").count() == 2
    })
    .await;
    tcsd::signal("KILL", left);
    nats::wait_for("its crash to be seen", || site.tcsd.log().contains("left.a crashed")).await;
    assert_ne!(logged_pid(&site, "back.a"), back);
    // longer than 12 intervals: blind, and nothing red by that
    let blind = clock::monotonic();
    watch
        .see_while(
            "blind for 5 s",
            |_| blind.elapsed() > Duration::from_secs(5),
            |view| nothing_red(view) && matches!(view.link, Link::Down { .. }),
        )
        .await;

    site.server.run().await;
    let again = clock::monotonic();
    let only_it = |view: &FleetView| {
        view.services.iter().all(|it| it.verdict != Verdict::Lost)
            && (nothing_red(view) || view.get("left.a").unwrap().verdict == Verdict::Failed)
    };
    watch
        .see_while(
            "complete",
            |view| matches!(view.link, Link::Back { .. }) && all(view, &AFTER),
            only_it,
        )
        .await;
    soon("11: from the broker's start to the whole picture", again.elapsed());
    watch.complete().await;
    assert_eq!(site.pid("silent.a").await, steady, "supervision did not notice");

    let events = site.events(None).await;
    assert_whole(&events);
    let story = site.story("back.a").await;
    let life = ["start", "ready", "crashed", "restarting", "start", "ready"];
    let lived: Vec<_> = story.iter().filter(|name| *name != "declared").collect();
    assert_eq!(lived, life);
    // told later than they happened, by the time that they were away
    let crash = events.iter().find(|it| it.service_id == "left.a" && it.event.name() == "crashed");
    let waited = clock::wall() - crash.unwrap().timestamp.unwrap().time();
    assert!(waited > chrono::TimeDelta::seconds(4), "{waited}");
}

/// Row 12: everything it knew is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_back_empty() {
    let mut site = Site::start("process", &services()).await;
    let mut watch = site.watch();
    watch.see("all well", |view| all(view, &WELL)).await;
    tcsd::signal("KILL", site.pid("left.a").await);
    watch.see("one is left", |view| all(view, &AFTER)).await;
    site.server.stop();
    site.server.wipe();
    watch.see("the link is down", |view| matches!(view.link, Link::Down { .. })).await;
    site.server.run().await;
    let again = clock::monotonic();

    // somebody who has just come, and knows nothing of before
    let mut fresh = site.watch();
    let launcher = site.tcsd.name.to_string();
    fresh
        .see("everything, out of nothing", |view| {
            all(view, &AFTER)
                && view.get(&launcher).is_some_and(|it| it.verdict == Verdict::Ok)
                && IDS.iter().all(|id| {
                    let it = view.get(id).unwrap();
                    it.declared && it.parent.as_deref() == Some(&launcher)
                })
        })
        .await;
    println!(
        "12: {:.2} s after the broker's start (one interval + 1 s: 1.3 s)",
        again.elapsed().as_secs_f64()
    );
    soon("12", again.elapsed());
    watch.see("who was there before sees the same", |view| all(view, &AFTER)).await;
    // what is held now is the present state, in the order of the numbers
    let numbers: Vec<_> = site.events(None).await.iter().map(|it| it.event_seq.unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

/// A broker that has never held anything. No second beat comes to put things right.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_streams() {
    let config = services().replace(BEATS, "launch: {heartbeat: 1000}\n");
    let site = Site::start("process", &config).await;
    let begin = clock::monotonic();
    let mut watch = site.watch();
    let launcher = site.tcsd.name.to_string();
    watch
        .sees("well, in its own words", &launcher, |it| {
            it.verdict == Verdict::Ok
                && it.message.as_deref() == Some("Supervising")
                && it.liveness == Liveness::Live
        })
        .await;
    soon("from the launcher's start to its being ok", begin.elapsed());
}

/// No broker when the launcher starts: everything runs, and is told once there is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_later() {
    let tcsd = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(tcsd, "process", &services()).await;
    site.server.kill();
    site.tcsd.run();
    let begin = clock::monotonic();
    nats::wait_for("all to run without a broker", || {
        IDS.iter().all(|id| site.tcsd.log().contains(&format!("{id} ready")))
    })
    .await;
    println!("all ready {:.2} s after the start, without a broker", begin.elapsed().as_secs_f64());
    tcsd::signal("KILL", logged_pid(&site, "left.a"));
    nats::wait_for("its crash to be seen", || site.tcsd.log().contains("left.a crashed")).await;
    site.server.run().await;
    let again = clock::monotonic();
    let mut watch = site.watch();
    watch.see("all that is so", |view| all(view, &AFTER)).await;
    soon("from the broker's start to the whole picture", again.elapsed());
    assert_whole(&site.events(None).await);
}

/// A broker that hangs: the connection stays, and nothing comes of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs() {
    let site = Site::start("process", &services()).await;
    let mut watch = site.watch();
    watch.see("all well", |view| all(view, &WELL)).await;
    let (back, left) = (site.pid("back.a").await, site.pid("left.a").await);
    site.server.signal("STOP");
    tcsd::signal("KILL", back);
    tcsd::signal("KILL", left);
    let killed = clock::monotonic();
    nats::wait_for("its restart, all the same", || {
        let log = site.tcsd.log();
        log.contains("left.a crashed") && log.matches("back.a ready").count() == 2
    })
    .await;
    println!("supervision: {:.2} s", killed.elapsed().as_secs_f64());
    nats::wait_for("a while", || killed.elapsed() > Duration::from_secs(6)).await;
    site.server.signal("CONT");
    watch.see("all that is so", |view| all(view, &AFTER)).await;
    assert_whole(&site.events(None).await);
}
