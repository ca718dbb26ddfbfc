//! Events that no stream has, because a launcher had to give them up or ended while they waited:
//! how many they are is told, by every later launcher and console.

use std::path::{Path, PathBuf};

use tcs_core::bus::publish::{OutgoingMessage, Publisher};
use tcs_core::clock;
use tcs_core::fleet::Liveness;
use tcs_core::observer::Problem;
use tcs_core::wire::{HeartbeatMessage, OutboxReport, RegistryMessage};
use tcs_testkit::{nats, tcsd};

use super::Site;
use super::broker::{IDS, WELL, all, logged_pid, services};

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
    // what the log says happens a moment before it is counted
    let dir = if reboot { state.path().to_owned() } else { site.tcsd.path("").into() };
    let is_record = |path: &PathBuf| path.extension().is_some_and(|it| it == "events");
    let mut files = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let record = files.find(is_record).unwrap();
    nats::wait_for("all of it is counted", || {
        let text = std::fs::read_to_string(&record).unwrap();
        let line = text.lines().next().unwrap_or_default();
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        line["now"]["waiting"].as_u64() >= Some(4 * CRASHES as u64)
    })
    .await;
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
