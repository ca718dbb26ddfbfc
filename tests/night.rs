//! Tasks of a night shift in the dashboard, in a real terminal, at a site whose services a real `tcsd`
//! runs.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "in a test a panic is the report")]

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use serde_json::{Value, json};
use tcs_core::clock;
use tcs_core::wire::Timestamp;
use tcs_testkit::nats::{LIMIT, current_server, wait_for};
use tcs_testkit::past::{self, Stored};
use tcs_testkit::raw::Client;
use tcs_testkit::site::{Site, line_of};
use tcs_testkit::tcsctl::{at, watch};
use tcs_testkit::terminal::Terminal;

/// Three services fail until there is a disk; `talker.a` has two runs.
const CONFIG: &str = "
services:
  - type: archive
    variant: a
    launch: {exec: [sh, -c, '[ -e FOLDER/disk ] || { echo no disk; exit 3; }; exec sleep 1000']}
  - type: archive
    variant: b
    launch: {exec: [sh, -c, '[ -e FOLDER/disk ] || { echo no disk; exit 3; }; exec sleep 1000']}
  - type: archive
    variant: c
    launch: {exec: [sh, -c, '[ -e FOLDER/disk ] || { echo no disk; exit 3; }; exec sleep 1000']}
  - {type: quick, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: idle, variant: a, launch: {enabled: false, exec: [sleep, '1000']}}
  - type: talker
    variant: a
    restart: always
    restart_sec: 0.1
    launch: {exec: [sh, -c, 'if [ -e FOLDER/second ]; then echo second run; echo no stars >&2; exec sleep 1000; fi; touch FOLDER/second; i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo slewing $i; done; exit 3']}
";

#[tokio::test(flavor = "multi_thread")]
async fn all_failed_services_of_a_host_are_restarted_with_three_keys() {
    let site = Site::start(CONFIG).await;
    let mut terminal = watch(&site.server.url(), &[], (110, 40));
    let is_failed = |text: &str| text.matches("× failed").count() >= 3;
    terminal.wait("three have failed", is_failed);
    terminal.keys("F");
    terminal.see("3 marked");
    terminal.keys("r");
    let question = terminal.see("restart 3 services?");
    assert!(["archive.a", "archive.b", "archive.c"].iter().all(|id| question.contains(id)));
    std::fs::write(site.path("disk"), "").unwrap();
    terminal.keys("y");
    let results = terminal.see("restart: 3 done");
    assert_eq!(results.matches("restarted, pid ").count(), 3, "{results}");
    terminal.keys("\x1b");
    terminal.see("restart: all 3 done");
    terminal.see_no("3 marked");
    terminal.see_no("× failed");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    let mut terminal = watch(&site.server.url(), &["--read-only"], (110, 40));
    terminal.see("archive.a");
    terminal.keys("F");
    terminal.see("read-only");
    terminal.see_no("marked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_searched_filtered_saved_and_told_by_run() {
    let site = Site::start(CONFIG).await;
    let mut terminal = watch(&site.server.url(), &[], (110, 40));
    terminal.see("talker.a");
    terminal.keys("/talker\r");
    terminal.see("/talker");
    terminal.keys("jL");
    let log = terminal.see("no stars");
    assert!(log.contains("── run 1 · exit 3 after "), "{log}");
    assert!(log.contains("err  no stars"), "{log}");
    // the page's own keys
    terminal.keys("?");
    terminal.see("On the logs page");
    terminal.keys("?");
    terminal.keys("/slewing 1\r");
    terminal.see("match 11 of 11 for /slewing 1");
    terminal.keys("N");
    terminal.see("match 10 of 11");
    terminal.keys("nn");
    terminal.see("match 1 of 11");
    terminal.see("newer below");
    terminal.keys("G");
    terminal.see_no("newer below");
    terminal.keys("s");
    terminal.wait("standard error alone", |text| {
        text.contains("standard error") && text.contains("no stars") && !text.contains("slewing 60")
    });
    terminal.keys("ss");
    terminal.see("slewing 60");
    terminal.keys("\x1b");
    terminal.see("VERDICT");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_reads_one_run_and_several_services() {
    let site = Site::start(CONFIG).await;
    let url = site.server.url();
    // until all have written, and both runs on both outputs
    let start = clock::monotonic();
    let all = loop {
        let all = at(&url, &["logs", "talker.a", "-n", "1000"]);
        let archive = at(&url, &["logs", "archive", "-n", "1000"]).out;
        let has = |id: &str| archive.lines().any(|line| line.starts_with(id));
        if ["no stars", "second run"].iter().all(|it| all.out.contains(it))
            && ["archive.a", "archive.b", "archive.c"].into_iter().all(has)
        {
            break all.out;
        }
        assert!(start.elapsed() < LIMIT, "{all:#?}{archive}");
    };
    assert!(all.contains("── run 1 · exit 3 after "), "{all}");
    let before = at(&url, &["logs", "talker.a", "--run", "-1"]).expect(0).out;
    assert!(before.contains("slewing 60") && !before.contains("second run"), "{before}");
    let now = at(&url, &["logs", "talker.a", "--run", "0"]).expect(0).out;
    assert!(now.contains("second run") && !now.contains("slewing"), "{now}");
    let none = at(&url, &["logs", "talker.a", "--run", "-2"]).expect(1);
    assert!(none.err.contains("talker.a: there was no run -2"), "{none:#?}");
    let errors = at(&url, &["logs", "talker.a", "--stream", "stderr"]).expect(0).out;
    assert!(errors.contains("no stars") && !errors.contains("second run"), "{errors}");
    let lines = at(&url, &["logs", "talker.a", "--level", "critical"]).expect(0).out;
    assert!(!lines.contains("slewing"), "{lines}");
    let objects = at(&url, &["logs", "talker.a", "--json", "-n", "2"]).expect(0).objects();
    assert!(objects.iter().all(|it| it["run"] == 2), "{objects:?}");
    assert!(objects.iter().any(|it| it["stream"] == "stderr"), "{objects:?}");
    // several, in the order of time, with names in front
    let archive = at(&url, &["logs", "archive", "-n", "1000"]).expect(0);
    for id in ["archive.a", "archive.b", "archive.c"] {
        assert!(archive.out.lines().any(|line| line.starts_with(id)), "{archive:#?}");
    }
    let with_idle = at(&url, &["logs", "i"]).expect(0);
    assert!(with_idle.err.contains("idle.a: never started, no output"), "{with_idle:#?}");
}

/// A terminal that counts the keys.
struct Counted {
    terminal: Terminal,
    keys: usize,
}

impl Counted {
    fn open(site: &Site, cells: (u16, u16)) -> Self {
        Self { terminal: watch(&site.server.url(), &[], cells), keys: 0 }
    }

    /// Presses keys, each a character.
    fn press(&mut self, keys: &str) {
        self.keys += keys.chars().count();
        self.terminal.keys(keys);
    }

    /// What is seen, by so many keys at most.
    fn see(&self, wanted: &str, most: usize) -> String {
        self.see_line(&[wanted], most)
    }

    /// The same of a line on which all of these stand.
    fn see_line(&self, wanted: &[&str], most: usize) -> String {
        let what = format!("{wanted:?}");
        let text = self.terminal.wait(&what, |text| line_of(text, wanted).is_some());
        assert!(self.keys <= most, "{} keys, {most} are wanted", self.keys);
        text
    }
}

/// What a service of another host publishes.
fn status(id: &str, host: &str, status: &str, message: &str, at: DateTime<Utc>) -> Stored {
    let time = json!(Timestamp::new(at));
    let data = json!({"name": id, "status": status, "timestamp": time, "hostname": host,
        "message": message, "pid": 100});
    let meta = json!({"id": id, "sender": "test", "ts": time});
    let body: Value = json!({"data": data, "meta": meta});
    Stored { at, subject: format!("svc.status.{id}"), body: body.to_string().into_bytes() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_failure_its_output_and_its_explanation() {
    let site = Site::start(CONFIG).await;
    let mut console = Counted::open(&site, (80, 24));
    console.see_line(&["× failed", "archive.", "no disk"], 0);
    console.press("L");
    let log = console.see("log of archive.", 1);
    assert!(log.contains("no disk") || console.see("exit 3 after", 1).contains("no disk"), "{log}");
    console.terminal.keys("\x1b");
    console.terminal.see("VERDICT");
    console.press("W");
    console.see("why archive.", 2);
    console.see("exit code 3", 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_restarted_it_takes_one_key_and_the_question_why_it_ended_another() {
    let site = Site::start(CONFIG).await;
    let url = site.server.url();
    wait_for("it runs", || at(&url, &["wait", "quick.a", "--timeout", "1"]).code == Some(0)).await;
    at(&url, &["restart", "quick.a"]).expect(0);
    let mut console = Counted::open(&site, (120, 40));
    console.terminal.see("quick.a");
    console.press("e");
    let text = console.see_line(&["quick.a", "stopping: restart", "by "], 3);
    let line = line_of(&text, &["quick.a", "by "]).unwrap();
    assert!(line.contains('@'), "a person at a host: {line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_are_compared_with_one_key() {
    let site = Site::start(CONFIG).await;
    let mut console = Counted::open(&site, (120, 40));
    // its launcher has made the streams
    console.terminal.see("archive.a");
    let mut client = Client::connect(site.server.port());
    let far = status("solver.a", "srv99.oca.lan", "error", "no index files", clock::wall());
    client.publish(&far.subject, None, &far.body);
    client.flush();
    console.terminal.see("solver.a");
    console.press("o");
    let text = console.see("HOST", 1);
    let at = |name: &str| text.lines().position(|line| line.contains(name));
    let both = console.terminal.wait("a line for each host", |text| {
        let hosts = text.lines().skip_while(|line| !line.contains("HOST")).take(4);
        hosts.filter(|line| line.contains("failed") || line.contains("error")).count() >= 2
    });
    assert!(both.contains("srv99"), "{both}\n{:?}", at("srv99"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_the_last_minutes_takes_one_key() {
    let site = Site::start(
        "services: [{type: quick, variant: a, launch: {exec: [sleep, '1000'], sample: 1}}]",
    )
    .await;
    let mut console = Counted::open(&site, (140, 40));
    console.terminal.wait("it runs", |text| line_of(text, &["● ok", "quick.a"]).is_some());
    // there is one service, below its launcher
    console.terminal.keys("n");
    console.terminal.keys("G");
    console.press("U");
    let text = console.see("Usage, last 10 min", 1);
    assert!(text.contains("MEM"), "{text}");
    console.terminal.wait("a curve of it", |text| line_of(text, &["MEM  ", "B ("]).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_at_a_past_time_takes_eight_keys_and_the_timeline_shows_it() {
    let Some(binary) = current_server() else {
        eprintln!("!!! NOT TESTED: there is no current nats-server");
        return;
    };
    // on a whole minute, as somebody asks
    let now = clock::wall();
    let then = (now - TimeDelta::minutes(90)).with_second(0).and_then(|at| at.with_nanosecond(0));
    let then = then.unwrap();
    let ago = |minutes: i64| then - TimeDelta::minutes(minutes);
    let mut start = status("dome.a", "srv98", "ok", "", ago(21));
    start.subject = "svc.registry.start.dome.a".to_owned();
    let data = json!({"event": "start", "service_id": "dome.a", "hostname": "srv98", "pid": 100,
        "timestamp": Timestamp::new(start.at)});
    let meta = json!({"id": "start", "sender": "test", "ts": Timestamp::new(start.at)});
    start.body = json!({"data": data, "meta": meta}).to_string().into_bytes();
    let messages = [
        start,
        status("dome.a", "srv98", "ok", "following", ago(20)),
        status("dome.a", "srv98", "error", "shutter stuck", ago(1)),
        status("dome.a", "srv98", "ok", "following again", ago(-30)),
    ];
    let streams = [
        ("svc_registry", "svc.registry.>"),
        ("svc_status", "svc.status.>"),
        ("svc_heartbeat", "svc.heartbeat.>"),
    ];
    let server = past::server(&binary, &streams, &messages).await;
    let site = Site::at(server, CONFIG);
    let mut console = Counted::open(&site, (120, 40));
    console.terminal.see("archive.a");
    console.press(&format!("@{}\r", then.format("%H:%M")));
    let text = console.see("THE PAST", 8);
    assert!(text.contains(&then.format("%H:%M:00 UTC").to_string()), "{text}");
    console.see_line(&["error", "dome.a", "shutter stuck"], 8);
    // the same as a picture: the cursor stands at the time shown, and tells what was there
    console.press("T");
    let text = console.see("columns of", 9);
    assert!(text.contains("timeline: 1 h until"), "{text}");
    console.terminal.see("dome.a  × error");
    console.terminal.keys("\r");
    console.terminal.see("THE PAST");
    console.terminal.keys("q");
    assert_eq!(console.terminal.end(), 0);
}
