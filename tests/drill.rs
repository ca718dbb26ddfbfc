//! `tcsctl drill`: faults made on purpose with real processes, told in time, and undone however it ends.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::Stdio;

use tcs_testkit::nats::wait_for;
use tcs_testkit::programs::program;
use tcs_testkit::tcsctl::{self, Output};
use tcs_testkit::tcsd::{Site, signal};

const CONFIG: &str = "launch: {heartbeat: 1}
services:
  - {type: dome, variant: main, restart: always, restart_sec: 0.2, launch: {exec: [sleep, '1000'], drill: true}}
  - {type: dome, variant: once, launch: {exec: [sleep, '1000'], drill: true}}
  - {type: mirror, variant: main, launch: {exec: [sleep, '1000']}}
  - {type: hello_world, variant: a, launch: {mode: async, drill: true}}
";

async fn site() -> Site {
    let site = Site::start("process", CONFIG).await;
    for id in ["dome.main", "dome.once", "mirror.main"] {
        site.pid(id).await;
        let check = || tcsctl::at(&site.server.url(), &["check", id]);
        wait_for(&format!("{id} is ok"), || check().code == Some(0)).await;
    }
    heard(&site).await;
    site
}

/// Waits for a heartbeat of each service.
async fn heard(site: &Site) {
    let url = site.server.url();
    let are_heard = || {
        let list = tcsctl::at(&url, &["list", "--json"]).json();
        list["services"].as_array().unwrap().iter().all(|it| it["liveness"] == "live")
    };
    wait_for("heartbeats", are_heard).await;
}

fn drill(site: &Site, args: &[&str]) -> Output {
    tcsctl::at(&site.server.url(), &[&["drill"], args, &["--yes"]].concat())
}

/// The same of one that has to show this; within the time that is promised, unless the machine was too
/// busy, which the exit code tells then.
async fn shows(site: &Site, args: &[&str], what: &str) -> Output {
    heard(site).await;
    let check = || tcsctl::at(&site.server.url(), &["check", args[1]]);
    wait_for("it is ok", || check().code == Some(0)).await;
    let output = drill(site, args);
    let is_late = output.err.contains(&format!("error: console: {what}"));
    let output = output.expect(i32::from(is_late));
    assert!(output.err.contains(&format!("console: {what}")), "{output:#?}");
    output
}

/// One letter: `T` is stopped.
fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().trim_start().chars().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_told_and_undone() {
    let site = site().await;
    let mirror = site.pid("mirror.main").await;

    let refused = drill(&site, &["crash", "mirror.main"]).expect(1);
    assert!(refused.err.contains("drills are not allowed for mirror.main; set"), "{refused:#?}");
    assert_eq!(site.pid("mirror.main").await, mirror);
    let refused = tcsctl::at(&site.server.url(), &["drill", "crash", "dome.main"]).expect(2);
    assert!(refused.err.contains("confirm it in a terminal, or use --yes"), "{refused:#?}");
    let task = drill(&site, &["freeze", "hello_world.a"]).expect(1);
    assert!(task.err.contains("runs as a task of tcsd"), "{task:#?}");

    // one that its policy restarts, and one that the drill starts again
    for id in ["dome.main", "dome.once"] {
        let before = site.pid(id).await;
        let crash = shows(&site, &["crash", id, "--for", "6s"], "showed the crash after").await;
        assert!(crash.err.contains("alarm: no sentinel watches"), "{crash:#?}");
        assert!(crash.err.contains("over: back to normal"), "{crash:#?}");
        assert_ne!(site.pid(id).await, before);
    }
    let frozen = site.pid("dome.main").await;
    shows(&site, &["freeze", "dome.main"], "showed missing heartbeats after").await;
    assert_eq!(site.pid("dome.main").await, frozen);
    assert_ne!(state(frozen), 'T');
    shows(&site, &["clock", "dome.main", "--for", "10s"], "showed a wrong clock after").await;
    shows(&site, &["broker", "dome.main"], "showed missing heartbeats after").await;
    shows(&site, &["flood", "dome.main", "--for", "2s"], "the slowest answer took").await;
    let logs = site.ask("logs.dome.main").await.unwrap();
    assert!(logs["lines"].to_string().contains("drill: line "), "{logs:?}");
    // without a sentinel no alarm is raised
    drill(&site, &["crash", "dome.main", "--alarm"]).expect(1);
    let log = site.tcsd.log();
    assert_eq!(log.matches("drill: crash dome.once for 6 s, by tcsctl").count(), 1, "{log}");
    let drills: Vec<&str> = log.lines().filter(|line| line.contains("tcsd: drill: ")).collect();
    let over = drills.iter().filter(|line| line.ends_with(" is over")).count();
    assert_eq!(over * 2, drills.len(), "{drills:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_is_interrupted_is_undone() {
    let mut site = site().await;
    let pid = site.pid("dome.main").await;
    let begin = |span: &str| {
        let url = site.server.url();
        let args = ["drill", "freeze", "dome.main", "--yes", "--for", span, "--server", &url];
        let mut command = tcsctl::command_of(&program("tcsctl"), &args);
        command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    };
    // by who began it
    let mut running = begin("10m");
    wait_for("it is stopped", || state(pid) == 'T').await;
    let other = drill(&site, &["crash", "dome.once"]).expect(1);
    assert!(other.err.contains("another drill is under way here: freeze dome.main"), "{other:#?}");
    signal("INT", running.id());
    assert_eq!(running.wait().unwrap().code(), Some(1));
    assert_ne!(state(pid), 'T');
    // by its end: who began it is gone
    wait_for("ok", || tcsctl::at(&site.server.url(), &["check", "dome.main"]).code == Some(0))
        .await;
    let mut running = begin("8s");
    wait_for("it is stopped", || state(pid) == 'T').await;
    running.kill().unwrap();
    running.wait().unwrap();
    wait_for("it goes on", || state(pid) != 'T').await;
    // by the end of the launcher
    wait_for("ok", || tcsctl::at(&site.server.url(), &["check", "dome.main"]).code == Some(0))
        .await;
    let mut running = begin("10m");
    wait_for("it is stopped", || state(pid) == 'T').await;
    assert!(site.tcsd.stop().await.code().is_some());
    assert!(!site.tcsd.log().contains("force killed") && !site.tcsd.log().contains("killed: "));
    running.kill().unwrap();
    running.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_starts_no_schedule_early() {
    let config = "
services:
  - {type: dome, variant: main, launch: {exec: [sleep, '1000'], drill: true}}
  - {type: job, variant: a, launch: {exec: ['true'], schedule: {every: 1m}}}
";
    let site = Site::start("process", config).await;
    site.pid("dome.main").await;
    let fault = serde_json::json!({"fault": "clock", "for_s": 2});
    site.ask_with("drill.dome.main", fault).await.unwrap();
    wait_for("its end", || site.tcsd.log().contains("drill: clock dome.main is over")).await;
    let log = site.tcsd.log();
    let now = tcs_core::clock::wall().format("%F %T UTC").to_string();
    for line in log.lines().filter(|line| line.contains("its run of ")) {
        let due = line.split("its run of ").nth(1).unwrap().trim_end_matches(" is due");
        assert!(due <= now.as_str(), "{now}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_is_to_raise_an_alarm_lasts_long_enough() {
    let config = format!("{CONFIG}  - {{type: sentinel, variant: main}}\n");
    let site = Site::start("process", &config).await;
    for id in ["dome.main", "sentinel.main"] {
        let check = || tcsctl::at(&site.server.url(), &["check", id]);
        wait_for(&format!("{id} is ok"), || check().code == Some(0)).await;
    }
    let url = site.server.url();
    wait_for("alarms are kept", || tcsctl::at(&url, &["alarms"]).err.is_empty()).await;
    heard(&site).await;
    // too short for the console too, as long as the machine is not too busy
    let short = drill(&site, &["freeze", "dome.main", "--for", "1s"]);
    let why =
        "alarm: none was raised (by the default rules it takes 17 s, and the fault lasted 1 s)";
    assert!(short.err.contains(why), "{short:#?}");
    let shown = "showed missing heartbeats after";
    let freeze = shows(&site, &["freeze", "dome.main", "--alarm"], shown).await;
    assert!(freeze.err.contains("alarm: lost/dome.main was raised after"), "{freeze:#?}");
}
