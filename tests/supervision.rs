//! What a launcher decides, seen from outside: order, reloads, restarts, and what is told of them.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "supervision/schedules.rs"]
mod schedules;
#[path = "supervision/speaks.rs"]
mod speaks;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tcs_core::bus::publish::{OutgoingMessage, Publisher, hostname};
use tcs_core::wire::{Event, Message, RegistryMessage, Status, StatusMessage, Timestamp};
use tcs_testkit::tcsd::{self, Site, because};
use tcs_testkit::{nats, programs, python};

/// A program that has one thing for itself while it runs, and gives it up slowly.
const HOLDS: &str = "mkdir held || exit 7; trap 'sleep 0.5; rmdir held; exit 0' TERM; \
                     while :; do sleep 0.02; done";

fn one(id: &str, more: &str) -> String {
    format!("  - {{type: {id}, variant: a, {more}}}\n")
}

/// What is told of one service: name and interesting part of each event.
fn story(events: &[RegistryMessage], id: &str) -> Vec<String> {
    let told = |event: &Event| match event {
        Event::Waiting { waiting_for, timed_out } => {
            let how = if *timed_out { "gave up waiting" } else { "waiting" };
            format!("{how} for {}", waiting_for.join(" "))
        }
        event => event.name().to_owned(),
    };
    let of_it = events.iter().filter(|it| it.service_id == id);
    of_it.map(|it| told(&it.event)).filter(|it| it != "declared").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_service_starts_when_the_old_one_has_ended() {
    let file = |id: &str| {
        format!("services:\n{}", one(id, &format!("launch: {{exec: [sh, -c, \"{HOLDS}\"]}}")))
    };
    let site = Site::start("process", &file("old")).await;
    site.pid("old.a").await;
    nats::wait_for("it holds its thing", || site.tcsd.dir().join("held").exists()).await;
    site.tcsd.configure(&file("new"));
    let answer = Value::Object(site.ask("reload").await.unwrap());
    let result = |id: &str| {
        let all = answer["services"].as_array().unwrap();
        all.iter().find(|it| it["service_id"] == id).unwrap()["result"].clone()
    };
    assert_eq!((result("old.a"), result("new.a")), (json!("stopped"), json!("started")));
    site.until("new.a", |it| it["status"] == "running").await;
    let events = site.events_with("new.a", "ready").await;
    let at = |id: &str, name: &str| {
        let is = |it: &RegistryMessage| it.service_id == id && it.event.name() == name;
        events.iter().position(is).unwrap_or_else(|| panic!("no {name} of {id}"))
    };
    assert!(at("old.a", "stop") < at("new.a", "start"));
    assert_eq!(story(&events, "new.a"), ["waiting for old.a", "start", "ready"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_others_is_seen_to_wait_and_not_for_ever() {
    let sleeps = "exec: [sleep, '1000']";
    let site = Site::start(
        "process",
        &format!(
            "services:\n{}{}{}{}",
            one("never", &format!("launch: {{{sleeps}, ready: notify, start_timeout: 0.3}}")),
            one("impatient", &format!("launch: {{{sleeps}, after: [never.a]}}")),
            one("slow", &format!("launch: {{{sleeps}, ready: notify, start_timeout: 3600}}")),
            one("patient", &format!("launch: {{{sleeps}, after: [slow.a]}}")),
        ),
    )
    .await;
    site.pid("impatient.a").await;
    let waits = site.until("patient.a", |it| it["status"] == "waiting").await;
    assert_eq!(waits["waiting_for"], json!(["slow.a"]));
    site.events_with("patient.a", "waiting").await;
    let events = site.events_with("impatient.a", "ready").await;
    assert_eq!(
        story(&events, "impatient.a"),
        ["waiting for never.a", "gave up waiting for never.a", "start", "ready"]
    );
    assert_eq!(story(&events, "patient.a"), ["waiting for slow.a"]);
    // one that does not say that it is ready keeps nobody who asks for it waiting either
    let started = site.ask("start.never.a").await.unwrap();
    assert_eq!((&started["result"], &started["state"]), (&json!("started"), &json!("starting")));
    let log = site.tcsd.log();
    assert!(log.contains("patient.a waiting for slow.a"), "{log}");
    assert!(log.contains("impatient.a started without waiting longer for never.a"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_meant_is_refused() {
    let good = format!("services:\n{}", one("a", "launch: {exec: [sleep, '1000']}"));
    let mut site = Site::start("process", &good).await;
    let pid = site.pid("a.a").await;
    let circle = format!(
        "services:\n{}{}",
        one("a", "launch: {exec: [sleep, '1000'], after: [b.a]}"),
        one("b", "launch: {exec: [sleep, '1000'], after: [a.a]}")
    );
    for (file, why) in [
        ("", "no `services` in the file"),
        ("services:\n", "no `services` in the file"),
        ("nats: {subject_prefix: svc}\n", "no `services` in the file"),
        (circle.as_str(), "`after` is circular: `a.a` after `b.a` after `a.a`"),
    ] {
        site.tcsd.configure(file);
        let error = site.ask("reload").await.unwrap_err().to_string();
        assert!(error.contains(why), "{file:?}: {error}");
        site.tcsd.signal("HUP");
        let refused = || site.tcsd.log().matches("not reloaded").count() > 1;
        nats::wait_for("SIGHUP is refused too", refused).await;
        assert_eq!(site.pid("a.a").await, pid);
    }
    // neither checked nor started
    site.tcsd.configure(&circle);
    let checked = site.tcsd.command().arg("check").output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    // meant so: all stop
    site.tcsd.configure("services: []\n");
    let checked = site.tcsd.command().arg("check").output().unwrap();
    assert_eq!(checked.status.code(), Some(0));
    assert!(site.tcsd.log().contains("services.yaml: warning: no services: nothing would run"));
    site.ask("reload").await.unwrap();
    let list = site.answer("list", |list| list["services"] == json!([])).await;
    assert_eq!(list["services"], json!([]));
    site.tcsd.stop().await;
    site.tcsd.configure(&circle);
    site.tcsd.run();
    assert_eq!(site.tcsd.end().await.code(), Some(1));
    assert!(site.tcsd.log().contains("`after` is circular"));

    // or said so on the command line
    let mut site =
        Site::prepared(std::path::Path::new(env!("CARGO_BIN_EXE_tcsd")), "process", &good).await;
    site.tcsd.arguments.push("--allow-empty".to_owned());
    site.tcsd.run();
    site.pid("a.a").await;
    site.tcsd.configure("");
    site.ask("reload").await.unwrap();
    site.answer("list", |list| list["services"] == json!([])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_gone_for_a_moment_comes_back() {
    let site = Site::start(
        "process",
        &format!(
            "services:\n{}{}",
            one("deployed", "restart: on-abnormal, restart_sec: 0.1, launch: {exec: [./program]}"),
            one("never", "restart: always, restart_sec: 0.1, launch: {exec: [./no-such-program]}"),
        ),
    )
    .await;
    // it is not there yet, and that is final
    site.until("deployed.a", |it| it["status"] == "failed").await;
    site.until("never.a", |it| it["status"] == "failed").await;
    let (program, away) = (site.tcsd.dir().join("program"), site.tcsd.dir().join("away"));
    programs::write_script(&program, "#!/bin/sh\nexec sleep 1000\n");
    site.ask("start.deployed.a").await.unwrap();
    let pid = site.pid("deployed.a").await;
    fs::rename(&program, &away).unwrap();
    tcsd::signal("KILL", pid);
    site.until("deployed.a", |it| it["restarts"].as_u64() >= Some(2)).await;
    fs::rename(&away, &program).unwrap();
    assert_ne!(site.pid("deployed.a").await, pid);
    let unstarted = |events: &[RegistryMessage]| -> Vec<String> {
        let unstarted = events.iter().filter_map(|it| match &it.event {
            Event::Crashed(it) if it.exit_code.is_none() => it.error.clone(),
            _ => None,
        });
        unstarted.collect()
    };
    let is_told = |events: &[RegistryMessage]| !unstarted(events).is_empty();
    let unstarted = unstarted(&site.events_once(Some("deployed.a"), "its absence", is_told).await);
    assert!(unstarted.iter().all(|error| error.contains("./program")), "{unstarted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_loop_is_slowed_down_and_its_crashes_are_counted() {
    let config = one("hot", "restart: always, restart_sec: 0, launch: {exec: [sh, -c, 'exit 3']}");
    let site = Site::start("process", &format!("services:\n{config}")).await;
    site.until("hot.a", |it| it["restarts"].as_u64() >= Some(4)).await;
    let is_hot = |events: &[RegistryMessage]| {
        events.iter().filter(|it| it.event.name() == "crashed").count() >= 4
    };
    let events = site.events_once(Some("hot.a"), "four crashes", is_hot).await;
    let mut count = 0;
    for event in &events {
        match &event.event {
            Event::Crashed(crashed) => {
                count += 1;
                assert_eq!(crashed.recent_crashes, Some(count));
                let pause = crashed.restart_at.unwrap().time() - event.timestamp.unwrap().time();
                let (pause, uptime) = (pause.as_seconds_f64(), crashed.uptime_seconds.unwrap());
                let floor = 0.1 * 2_f64.powi(count.cast_signed() - 1);
                // both times of the event are taken one after the other
                assert!(uptime >= 1.0 || pause + uptime > floor.min(5.0) - 0.05, "{event:?}");
            }
            Event::Restarting { recent_crashes, .. } | Event::Start { recent_crashes, .. } => {
                assert_eq!(*recent_crashes, Some(count));
            }
            _ => {}
        }
    }
    assert!(count >= 4, "{events:?}");
    let said = || site.tcsd.log().matches("hot.a ends within 1 s of its start").count();
    nats::wait_for("it is told", || said() >= 1).await;
    assert_eq!(said(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_launcher_of_one_file_is_refused_wherever_it_keeps_its_files() {
    let config = format!("services:\n{}", one("a", "launch: {exec: [sleep, '1000']}"));
    let runtime = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        ("RUNTIME_DIRECTORY".to_owned(), runtime.path().join(name).display().to_string())
    };
    let mut site = Site::prepared(Path::new(env!("CARGO_BIN_EXE_tcsd")), "process", &config).await;
    site.tcsd.environment.push(place("first"));
    site.tcsd.run();
    let pid = site.pid("a.a").await;
    let second = |more: &str| {
        let mut command = site.tcsd.command();
        let output = command.envs([place(more)]).stderr(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let expected = format!(", pid {}, since ", site.tcsd.pid());
    for (n, runtime_dir) in ["second", "first"].into_iter().enumerate() {
        let (code, error) = second(runtime_dir);
        assert_eq!(code, Some(1), "{error}");
        assert!(
            error.contains("services.yaml is already supervised on this host: launcher "),
            "{error}"
        );
        assert!(error.contains(&expected) && error.contains(&place("first").1), "{error}");
        // a cleaner of temporary files came along; something may be written there just then
        let is_removed = || n == 1 || fs::remove_dir_all(place("first").1).is_ok();
        nats::wait_for("its removal", is_removed).await;
    }
    assert_eq!(site.pid("a.a").await, pid);
    // a launcher that is killed leaves no lock
    site.tcsd.kill().await;
    site.tcsd.run();
    assert_ne!(site.pid("a.a").await, pid);
}

/// Killed with its test.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two containers, or machines, of one host name and one path: neither knows of the other's lock.
#[tokio::test(flavor = "multi_thread")]
async fn another_run_under_our_own_name_is_a_conflict() {
    let config = format!("services:\n{}", one("a", "launch: {exec: [sleep, '1000']}"));
    let runtime = tempfile::tempdir().unwrap();
    let mut site = Site::prepared(Path::new(env!("CARGO_BIN_EXE_tcsd")), "process", &config).await;
    let place = |name: &str| {
        ("RUNTIME_DIRECTORY".to_owned(), runtime.path().join(name).display().to_string())
    };
    site.tcsd.environment.push(place("first"));
    site.tcsd.run();
    site.pid("a.a").await;
    // another directory of the same path, as in another container
    let (dir, away) = (site.tcsd.dir().to_owned(), runtime.path().join("away"));
    fs::rename(&dir, &away).unwrap();
    fs::create_dir(&dir).unwrap();
    site.tcsd.configure(&config);
    let mut other = Other(site.tcsd.command().envs([place("second")]).spawn().unwrap());
    let mut watch = site.watch();
    for id in ["a.a", site.tcsd.name.as_str()] {
        watch.sees("conflict", id, |it| because(it, "conflict")).await;
    }
    let said =
        format!("a.a is also declared by another launcher: another run of {}", site.tcsd.name);
    let logs = [away.join("tcsd.log"), dir.join("tcsd.log")];
    let says = |text: &str, log: &Path| fs::read_to_string(log).unwrap_or_default().contains(text);
    nats::wait_for("both say it", || logs.iter().all(|log| says(&said, log))).await;
    tcsd::signal("TERM", other.0.id());
    let over = "a.a is no longer declared by another launcher";
    nats::wait_for("the first takes it back", || says(over, &logs[0])).await;
    other.0.wait().unwrap();
    watch.sees("no conflict", "a.a", |it| !because(it, "conflict")).await;
}
