//! Scenarios 11 and 12, and the other things that happen to a broker: supervision goes on without
//! it, and what happened meanwhile is told in order once it is back.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tcs_core::bus::Bus;
use tcs_core::bus::publish::{OutgoingMessage, Publisher};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::clock;
use tcs_core::fleet::{FleetView, Link, Liveness, Verdict};
use tcs_core::observer::Problem;
use tcs_core::wire::{HeartbeatMessage, OutboxReport, RegistryMessage};
use tcs_testkit::{nats, tcsd};

use super::{BEATS, Site, bad, soon};

/// Runs well, comes back after a crash, is left after one; and a service that speaks for itself.
fn services() -> String {
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

const IDS: [&str; 4] = ["back.a", "hello_world.a", "left.a", "silent.a"];

fn all(view: &FleetView, wanted: &[(&str, Verdict)]) -> bool {
    wanted.iter().all(|(id, verdict)| view.get(id).is_some_and(|it| it.verdict == *verdict))
}

const WELL: [(&str, Verdict); 4] = [
    ("back.a", Verdict::Ok),
    ("hello_world.a", Verdict::Ok),
    ("left.a", Verdict::Ok),
    ("silent.a", Verdict::Ok),
];

const AFTER: [(&str, Verdict); 4] = [
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
fn logged_pid(site: &Site, id: &str) -> u32 {
    let log = site.tcsd.log();
    let said = log.rsplit(&format!("{id} started, pid ")).next().unwrap();
    said.split(':').next().unwrap().trim().parse().unwrap()
}

/// The order of what one launcher run said, and its gaps.
fn assert_whole(events: &[RegistryMessage]) {
    let run = &events.last().unwrap().launcher_run;
    let of_run: Vec<_> = events.iter().filter(|it| it.launcher_run == *run).collect();
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

/// Somebody deletes a stream while everything runs: it is made again, and tells when things happened,
/// not when they were sent once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_deleted() {
    let site = Site::start("process", &services()).await;
    let mut watch = site.watch();
    watch.see("all well", |view| all(view, &WELL)).await;
    tcsd::signal("KILL", site.pid("left.a").await);
    watch.see("one is left", |view| all(view, &AFTER)).await;
    let crashed = watch.service("left.a").since.unwrap();
    let begin = clock::monotonic();
    nats::wait_for("a while", || begin.elapsed() > Duration::from_secs(3)).await;
    let streams = async_nats::connect(site.server.url()).await.unwrap();
    let streams = async_nats::jetstream::new(streams);
    streams.delete_stream("svc_registry").await.unwrap();
    nats::wait_for("it to be made again", || {
        site.tcsd.log().matches("created the stream svc_registry").count() == 2
    })
    .await;
    let mut fresh = site.watch();
    fresh.see("everything", |view| all(view, &AFTER)).await;
    let moved = fresh.service("left.a").since.unwrap() - crashed;
    assert!(moved.abs() < chrono::TimeDelta::seconds(1), "its end has moved by {moved}");
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

/// The stream of statuses takes nothing more: events are stored all the same, and the picture says
/// what is not stored, and why.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_full() {
    let tcsd = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(tcsd, "process", &services()).await;
    let streams = async_nats::connect(site.server.url()).await.unwrap();
    let streams = async_nats::jetstream::new(streams);
    let mut stream = async_nats::jetstream::stream::Config {
        name: "svc_status".to_owned(),
        subjects: vec!["svc.status.>".to_owned()],
        max_messages: 1,
        discard: async_nats::jetstream::stream::DiscardPolicy::New,
        ..Default::default()
    };
    streams.create_stream(stream.clone()).await.unwrap();
    let filler = r#"{"data": {"name": "filler.x", "status": "ok"}, "meta": {}}"#;
    streams.publish("svc.status.filler.x", filler.into()).await.unwrap().await.unwrap();
    site.tcsd.run();
    let mut watch = site.watch();
    watch.see("all started", |view| IDS.iter().all(|id| view.get(id).is_some())).await;
    let is_told = |problem: &Problem| {
        matches!(problem, Problem::NotStored { stream, reason, .. }
            if stream == "status" && reason.contains("maximum messages exceeded"))
    };
    let begin = clock::monotonic();
    while !watch.picture.problems("svc").iter().any(is_told) {
        assert!(begin.elapsed() < nats::LIMIT, "{:?}", watch.picture.problems("svc"));
        watch.see("what comes", |_| true).await;
    }
    println!("told: {}", watch.picture.problems("svc").iter().find(|it| is_told(it)).unwrap());
    tcsd::signal("KILL", site.pid("left.a").await);
    watch.sees("its crash", "left.a", |it| it.verdict == Verdict::Failed).await;

    stream.max_messages = -1;
    streams.update_stream(stream).await.unwrap();
    watch.complete().await;
    let steady = |it: &tcs_core::wire::StatusMessage| it.name == "silent.a";
    assert!(site.statuses("silent.a").await.iter().any(steady), "what waited is stored");
    assert_whole(&site.events(None).await);
}

/// A disk in memory, gone at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`: there is no right to mount one.
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }

    /// Takes all room that is left; gives it back when the file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// The broker's disk is full, so that nothing is acknowledged: the launcher answers all the same.
/// What happened meanwhile is stored once there is room. Needs the right to mount.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_disk_is_full() {
    nats::on_each_server(disk_is_full).await;
}

async fn disk_is_full(binary: nats::Binary) {
    let Some(disk) = SmallDisk::mount("16m") else {
        return println!("NOT TESTED: no right to mount a small disk");
    };
    let store = disk.0.path().join("store");
    let config =
        format!("jetstream {{ store_dir: \"{}\", max_file_store: 1GB }}\n", store.display());
    let server = nats::Server::start_with(&binary, &config).await;
    let tcsd = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::at(server, tcsd, "process", &services()).await;
    site.tcsd.run();
    let mut watch = site.watch();
    watch.see("all well", |view| all(view, &WELL)).await;

    let ballast = disk.fill();
    let waits = || site.tcsd.log().contains("cannot be stored, and are kept");
    nats::wait_for("nothing is stored", waits).await;
    // over a connection that asks JetStream nothing: the server stops reading from those that do
    let section = NatsSection { port: Some(site.server.port()), ..NatsSection::default() };
    let settings = Settings::from_process(&section, None).unwrap();
    let client = Bus::connect(&settings, "asker", nats::LIMIT).await.unwrap();
    let name = site.tcsd.name.as_str();
    let mut slowest = Duration::ZERO;
    let (mut killed, mut kills) = (None, 0);
    for _ in 0..30 {
        let pid = logged_pid(&site, "back.a");
        if killed != Some(pid) {
            tcsd::signal("KILL", pid);
            killed = Some(pid);
            kills += 1;
        }
        let asked = clock::monotonic();
        client.request(name, "list", &serde_json::json!({}), nats::LIMIT).await.unwrap();
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("the slowest answer while the disk was full: {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");

    // a server that could not write does not store again until it is started again: 2.9 hangs, a
    // current one refuses
    std::fs::remove_file(ballast).unwrap();
    site.server.kill();
    site.server.run().await;
    let begin = clock::monotonic();
    loop {
        let names = site.story("back.a").await;
        let crashes = names.iter().filter(|it| *it == "crashed").count();
        if crashes == kills {
            break;
        }
        assert!(crashes < kills && begin.elapsed() < nats::LIMIT, "{crashes} of {kills} crashes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("all {kills} crashes are stored after {:.1} s", begin.elapsed().as_secs_f64());
    let live = |view: &FleetView| view.services.iter().all(|it| it.liveness == Liveness::Live);
    watch.see("all live again", live).await;
    assert_whole(&site.events(None).await);
}

/// Events that a launcher had to give up are missing for its next runs, too.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_missing_stay_missing() {
    let tcsd = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(tcsd, "process", &services()).await;
    let mut link = site.bus.link();
    link.wait_for(tcs_core::bus::LinkState::is_connected).await.unwrap();
    site.bus.create_missing_streams().await;
    let name = site.tcsd.name.to_string();
    let beat = HeartbeatMessage {
        service_id: name.clone(),
        outbox: Some(OutboxReport { lost_events: 3, ..OutboxReport::default() }),
        ..HeartbeatMessage::default()
    };
    let beat = OutgoingMessage::new(site.bus.subjects().heartbeat(&name), &beat).unwrap();
    Publisher::new(site.bus.clone()).send(&beat).await.unwrap();
    let missing = [Problem::EventsMissing { launcher: name.clone(), count: 3 }];
    assert_eq!(missing[0].to_string(), format!("3 events of {name} are missing"));
    for run in 1..=2 {
        site.tcsd.run();
        let mut watch = site.watch();
        watch.see("all well", |view| all(view, &WELL)).await;
        let begin = clock::monotonic();
        while watch.service(&name).liveness != Liveness::Live
            || watch.picture.problems("svc") != missing
        {
            assert!(begin.elapsed() < nats::LIMIT, "{run}: {:?}", watch.picture.problems("svc"));
            watch.see("what comes", |_| true).await;
        }
        site.tcsd.stop().await;
    }
}

/// A launcher is killed while its events wait for a broker that hangs: the launchers after it, and
/// consoles that have never seen the first, say how many are in no stream.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_launcher_that_was_killed_are_missing() {
    killed_while_events_wait(false).await;
}

/// The same with the whole host: its runtime directory is empty afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_host_that_went_down_are_missing() {
    killed_while_events_wait(true).await;
}

async fn killed_while_events_wait(reboot: bool) {
    const CRASHES: usize = 3;
    let program = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(program, "process", &services()).await;
    let state = tempfile::tempdir().unwrap();
    if reboot {
        let dir = state.path().display().to_string();
        site.tcsd.environment.push(("STATE_DIRECTORY".to_owned(), dir));
    }
    site.tcsd.run();
    let mut watch = site.watch();
    watch.see("all well", |view| all(view, &WELL)).await;
    let run = site.events(None).await[0].launcher_run.clone();
    let of_run = async |site: &Site| {
        let events = site.events(None).await;
        events.into_iter().filter(|it| it.launcher_run == run).collect::<Vec<_>>()
    };
    let ready =
        |events: &[RegistryMessage]| events.iter().filter(|it| it.event.name() == "ready").count();
    let mut before = of_run(&site).await;
    while ready(&before) < IDS.len() {
        watch.see("what comes", |_| true).await;
        before = of_run(&site).await;
    }
    site.server.signal("STOP");
    for crash in 1..=CRASHES {
        tcsd::signal("KILL", logged_pid(&site, "back.a"));
        nats::wait_for("its next run", || {
            site.tcsd.log().matches("back.a ready").count() == crash + 1
        })
        .await;
    }
    site.tcsd.kill().await;
    if reboot {
        for entry in std::fs::read_dir(site.tcsd.dir()).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                std::fs::remove_dir_all(entry.path()).unwrap();
            } else if entry.file_name() != "services.yaml" && entry.file_name() != "tcsd.log" {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
    site.server.signal("CONT");

    let name = site.tcsd.name.to_string();
    for _ in 0..2 {
        site.tcsd.run();
        let mut watch = site.watch();
        watch.see("all well", |view| all(view, &WELL)).await;
        let begin = clock::monotonic();
        loop {
            // each crash is four events: crashed, restarting, start, ready
            let stored = of_run(&site).await.len();
            let count = (before.len() + 4 * CRASHES - stored) as u64;
            let missing = [Problem::EventsMissing { launcher: name.clone(), count }];
            let problems = watch.picture.problems("svc");
            if problems == missing {
                println!("{}: {stored} of its run are stored", missing[0]);
                assert!(count >= 4 * CRASHES as u64 - 1, "one was on its way: {count}");
                break;
            }
            assert!(begin.elapsed() < nats::LIMIT, "{problems:?}, and not {missing:?}");
            watch.see("what comes", |_| true).await;
        }
        site.tcsd.stop().await;
    }
}
