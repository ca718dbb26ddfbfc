//! Planned work on a host: what ran there is stopped, waits for the host, and is started again.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tcs_testkit::nats::LIMIT;
use tcs_testkit::programs::{program, write_script};
use tcs_testkit::tcsctl::{at, command};
use tcs_testkit::tcsd::{Site, signal};
use tcs_testkit::terminal::Terminal;

use super::listed;

const CONFIG: &str = "
services:
  - {type: camera, variant: a, launch: {exec: [./camera]}}
  - {type: guider, variant: a, launch: {exec: [sleep, '1000'], after: [camera.a]}}
  - {type: idle, variant: a, launch: {exec: [sleep, '1000'], enabled: false}}
";

async fn site() -> Site {
    let site = Site::prepared(&program("tcsd"), "process", CONFIG).await;
    write_script(&site.tcsd.dir().join("camera"), "#!/bin/sh\nexec sleep 1000\n");
    site
}

fn host() -> String {
    let host = tcs_core::bus::publish::hostname();
    format!("host:{}", host.split('.').next().unwrap())
}

/// `tcsctl maintenance`, which waits for the host's return.
fn maintain(site: &Site) -> Child {
    maintain_of(site, &host())
}

fn maintain_of(site: &Site, filter: &str) -> Child {
    let url = site.server.url();
    let mut command: Command = command(&["maintenance", filter, "--for", "30m", "--yes"]);
    command.args(["-m", "new disk", "--server", &url]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until it has stopped all, and waits for the host; what it has said by then.
fn waits(work: &mut Child) -> String {
    // what follows is for others: no more is read than that
    let mut stderr = BufReader::with_capacity(1, work.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("is ready for the work") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "it has ended: {said}");
    }
    work.stderr = Some(stderr.into_inner());
    said
}

async fn end(mut child: Child) -> (Option<i32>, String) {
    let begin = tcs_core::clock::monotonic();
    while child.try_wait().unwrap().is_none() {
        assert!(begin.elapsed() < LIMIT, "it does not end");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    (output.status.code(), text.join("\n"))
}

async fn runs(site: &Site) {
    for id in ["camera.a", "guider.a"] {
        listed(site, id, |it| it["verdict"] == "ok").await;
    }
}

async fn is_stopped_for_it(site: &Site) {
    for id in ["camera.a", "guider.a"] {
        let stopped = listed(site, id, |it| it["planned"].is_object()).await;
        let comment = stopped["planned"]["comment"].as_str().unwrap();
        assert!(comment.starts_with("maintenance of host:") && comment.ends_with(": new disk"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_a_host_are_stopped_and_started_again_when_it_is_back() {
    let mut site = site().await;
    site.tcsd.run();
    runs(&site).await;
    let url = site.server.url();
    at(&url, &["maintenance", &host(), "-m", "x"]).expect(2);
    at(&url, &["maintenance", &host(), "--for", "8d", "-m", "x", "--yes"]).expect(2);
    at(&url, &["maintenance", "host:nowhere", "--for", "1h", "-m", "x", "--yes"]).expect(1);

    let mut work = maintain(&site);
    waits(&mut work);
    is_stopped_for_it(&site).await;
    let events = site.events(None).await;
    let place = |id: &str| {
        events.iter().position(|it| it.service_id == id && it.event.name() == "stop").unwrap()
    };
    assert!(place("guider.a") < place("camera.a"), "in the reverse of their order");
    // the host comes back, and nothing runs on it before the command says so
    site.tcsd.stop().await;
    site.tcsd.run();
    let (code, told) = end(work).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("2 services back: the maintenance is over"), "{told}");
    runs(&site).await;
    let idle = listed(&site, "idle.a", |_| true).await;
    assert_eq!(idle["phase"], "declared");
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_are_shelved_until_it_is_over() {
    let mut site = site().await;
    let url = site.server.url();
    site.tcsd.configure(&format!("{CONFIG}  - {{type: sentinel, variant: main}}\n"));
    site.tcsd.run();
    runs(&site).await;
    listed(&site, "sentinel.main", |it| it["verdict"] == "ok").await;
    tcs_testkit::nats::wait_for("alarms are kept", || at(&url, &["alarms"]).err.is_empty()).await;
    let mut work = maintain_of(&site, "camera.a");
    let said = waits(&mut work);
    listed(&site, "camera.a", |it| it["planned"].is_object()).await;
    let shelved = || at(&url, &["report", "--since", "1h"]).out.contains("shelf ");
    tcs_testkit::nats::wait_for("the shelf is in the report", shelved).await;
    site.tcsd.stop().await;
    site.tcsd.run();
    let (code, told) = end(work).await;
    let told = said + &told;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("alarms are shelved until ") && told.contains(" ended"), "{told}");
    tcs_testkit::nats::wait_for("its end is in the report", || !shelved()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_back_is_told() {
    let mut site = site().await;
    site.tcsd.run();
    runs(&site).await;
    let mut work = maintain(&site);
    waits(&mut work);
    is_stopped_for_it(&site).await;
    std::fs::remove_file(site.tcsd.dir().join("camera")).unwrap();
    site.tcsd.stop().await;
    site.tcsd.run();
    let (code, told) = end(work).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("1 of 2 services back; not back: camera.a"), "{told}");
    listed(&site, "guider.a", |it| it["verdict"] == "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_maintenance_is_ended_by_another_call() {
    let mut site = site().await;
    site.tcsd.run();
    runs(&site).await;
    let mut work = maintain(&site);
    waits(&mut work);
    is_stopped_for_it(&site).await;
    signal("INT", work.id());
    let (code, told) = end(work).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("the services stay stopped"), "{told}");
    is_stopped_for_it(&site).await;
    at(&site.server.url(), &["maintenance", &host(), "--end"]).expect(0);
    runs(&site).await;
    at(&site.server.url(), &["maintenance", &host(), "--end"]).expect(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_has_stopped_meanwhile_stays_stopped() {
    let mut site = site().await;
    site.tcsd.run();
    runs(&site).await;
    let mut work = maintain(&site);
    waits(&mut work);
    is_stopped_for_it(&site).await;
    let url = site.server.url();
    at(&url, &["stop", "camera.a", "-m", "it is dismantled"]).expect(0);
    listed(&site, "camera.a", |it| it["planned"]["comment"] == "it is dismantled").await;
    site.tcsd.stop().await;
    site.tcsd.run();
    let (code, told) = end(work).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("camera.a stays stopped: stopped by tcsctl:"), "{told}");
    assert!(told.contains("1 service back: the maintenance is over"), "{told}");
    listed(&site, "guider.a", |it| it["verdict"] == "ok").await;
    listed(&site, "camera.a", |it| it["phase"] == "stopped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_pressed_enter_says_that_the_work_is_done() {
    let mut site = site().await;
    site.tcsd.run();
    runs(&site).await;
    let (program, url) = (program("tcsctl"), site.server.url());
    let host = host();
    let args = ["maintenance", &host, "--for", "30m", "--yes", "-m", "new disk", "--server", &url];
    let start = || Terminal::start(program.to_str().unwrap(), &args, &[], (200, 30));
    let mut terminal = start();
    terminal.see("press Enter when it is done");
    // the end of its input, as of a terminal that is gone
    terminal.keys("\u{4}");
    terminal.keys("\u{3}");
    assert_eq!(terminal.end(), 1);
    is_stopped_for_it(&site).await;
    at(&url, &["maintenance", &host, "--end"]).expect(0);
    runs(&site).await;
    let mut terminal = start();
    terminal.see("press Enter when it is done");
    terminal.keys("\r");
    assert_eq!(terminal.end(), 0);
    runs(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_stops_is_named_when_a_maintenance_ends() {
    let mut site = site().await;
    let slow = "  - {type: slow, variant: a, launch: {stop_timeout: 600, ready: {log: deaf}, \
                exec: [sh, -c, 'trap \"\" TERM; echo deaf; while :; do sleep 0.1; done']}}\n";
    site.tcsd.configure(&format!("{CONFIG}{slow}"));
    site.tcsd.run();
    let pid = site.pid("slow.a").await;
    listed(&site, "slow.a", |it| it["verdict"] == "ok").await;
    let work = maintain_of(&site, "slow.a");
    listed(&site, "slow.a", |it| it["phase"] == "stopping").await;
    signal("INT", work.id());
    let (code, told) = end(work).await;
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("hint: tcsctl maintenance slow.a --end"), "{told}");
    let url = site.server.url();
    let early = at(&url, &["maintenance", "slow.a", "--end"]).expect(1);
    assert!(early.err.contains("slow.a is stopping; try again"), "{early:#?}");
    signal("KILL", pid);
    listed(&site, "slow.a", |it| it["planned"].is_object()).await;
    at(&url, &["maintenance", "slow.a", "--end"]).expect(0);
    listed(&site, "slow.a", |it| it["verdict"] == "ok").await;
}

/// It would have waited for up to a day for an answer that nobody gives.
#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_dies_while_it_is_waited_for_is_told() {
    let stubborn = "
services:
  - {type: camera, variant: a, launch: {exec: [./camera], ready: {log: deaf}, stop_timeout: 900}}
";
    let mut site = Site::prepared(&program("tcsd"), "process", stubborn).await;
    let camera = "#!/bin/sh\ntrap '' TERM\necho deaf\nwhile :; do sleep 1; done\n";
    write_script(&site.tcsd.dir().join("camera"), camera);
    site.tcsd.run();
    listed(&site, "camera.a", |it| it["verdict"] == "ok").await;
    let mut stop: Command = command(&["stop", "camera.a", "--when-idle"]);
    stop.args(["--server", &site.server.url()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let stop = stop.spawn().unwrap();
    listed(&site, "camera.a", |it| it["phase"] == "stopping").await;
    site.tcsd.kill().await;
    site.tcsd.run();
    let (code, told) = end(stop).await;
    assert_ne!(code, Some(0), "{told}");
    assert!(told.contains("has been restarted in the meantime"), "{told}");
    assert!(told.contains("the request may still take effect"), "{told}");
}
