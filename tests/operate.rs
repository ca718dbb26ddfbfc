//! From the dashboard to the process and back: what an operator does at a site whose services a
//! real `tcsd` runs.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use tcs_testkit::nats::wait_for;
use tcs_testkit::programs::program;
use tcs_testkit::site::{Site, line_of, lives};
use tcs_testkit::tcsctl::{at, watch};
use tcs_testkit::tcsd::Tcsd;
use tcs_testkit::terminal::Terminal;

const CONFIG: &str = "
services:
  - type: talker
    variant: a
    launch: {exec: [sh, -c, 'echo guiding; echo clouds, no stars >&2; exec sleep 1000']}
  - type: broken
    variant: a
    launch: {exec: [sh, -c, 'echo opening the port; echo /dev/ttyUSB0 is not there >&2; exit 3']}
";

/// The process id that a notice tells: `restarted, pid 4711, by ...`.
fn pid(text: &str) -> u32 {
    let after = text.split(", pid ").nth(1).unwrap_or_else(|| panic!("no pid: {text}"));
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_seen_and_two_keys_lead_to_its_last_words() {
    let site = Site::start(CONFIG).await;
    for size in [(80, 24), (160, 50)] {
        let mut terminal = watch(&site.server.url(), &[], size);
        // the cause is not what is cut, however narrow
        terminal.wait("its cause", |text| {
            line_of(text, &["× failed", "broken.a", "/dev/ttyUSB0 is not"]).is_some()
        });
        terminal.keys("nL");
        terminal.see("log of broken.a");
        terminal.wait("both outputs", |text| {
            text.contains("opening the port") && text.contains("/dev/ttyUSB0 is not there")
        });
        terminal.keys("q");
        assert_eq!(terminal.end(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_restarted_stopped_and_started_from_the_dashboard() {
    let site = Site::start(CONFIG).await;
    let mut terminal = watch(&site.server.url(), &[], (130, 40));
    terminal.wait("it runs", |text| line_of(text, &["● ok", "talker.a"]).is_some());
    terminal.keys("/talker\r");
    terminal.see_no("× failed");
    terminal.keys("G");

    // asked first, with what would be touched; any other key cancels
    terminal.keys("r");
    let text = terminal.see("restart?");
    assert!(text.contains("talker.a") && text.contains("asks launcher."), "{text}");
    terminal.see("it has been up for");
    terminal.keys("n");
    terminal.see("nothing was done");
    terminal.keys("ry");
    let text = terminal.see("restart talker.a: restarted, pid ");
    let line = line_of(&text, &["restart talker.a: restarted"]).unwrap();
    assert!(line.contains(", by launcher.") && line.contains(" in "), "who, how long: {line}");
    let second = pid(line);
    assert!(lives(second));
    // the picture follows: the chosen one's detail stands beside the table
    terminal.see(&format!("pid {second}"));
    terminal.wait("it is well", |text| line_of(text, &["● ok", "talker.a"]).is_some());

    terminal.keys("x");
    terminal.see("stop?");
    terminal.keys("y");
    terminal.see("stop talker.a: stopped");
    assert!(!lives(second), "the answer came after the deed");
    terminal.wait("the row says so", |text| line_of(text, &["○ stopped", "talker.a"]).is_some());

    // from the menu, as who does not know the key
    terminal.keys("a");
    terminal.see("start (asks first)");
    terminal.keys("jj\r");
    terminal.see("start?");
    terminal.keys("y");
    let text = terminal.see("start talker.a: started, pid ");
    let third = pid(line_of(&text, &["start talker.a: started"]).unwrap());
    assert!(lives(third) && third != second);
    terminal.wait("the row says so", |text| line_of(text, &["● ok", "talker.a"]).is_some());

    // and its log has all three lives
    terminal.keys("L");
    terminal.wait("three lives", |text| {
        text.matches("clouds, no stars").count() == 3 && text.matches("guiding").count() == 3
    });
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_given_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_operates_nothing() {
    let site = Site::start(CONFIG).await;
    let mut terminal = watch(&site.server.url(), &["--read-only"], (100, 30));
    terminal.wait("it runs", |text| line_of(text, &["● ok", "talker.a"]).is_some());
    terminal.keys("/talker\rG");
    terminal.see_no("× failed");
    terminal.keys("x");
    let text = terminal.see("read-only: start, stop and restart are disabled");
    assert!(!text.contains("stop?"), "{text}");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

const SHARED: &str = r#"
services:
  - {type: talker, variant: a, launch: {exec: [sleep, "1000"]}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_conflict_the_launcher_that_goes_on_is_asked() {
    let site = Site::start(SHARED).await;
    let url = site.server.url();
    let launcher = || {
        let output = at(&url, &["talker.a", "--json"]);
        let found = (output.code == Some(0)).then(|| output.json())?;
        // seen before its launcher has declared it
        found["services"][0]["launcher"].as_str().map(str::to_owned)
    };
    wait_for("it runs", || launcher().is_some()).await;
    let first = launcher().unwrap();
    let mut other = Tcsd::new(&program("tcsd"), &url, "process", SHARED);
    let second = other.name.to_string();
    for command in ["restart", "stop", "start"] {
        // for however short a time: its events are the newest, and its declaration
        other.run();
        wait_for("the other one to have told of it", || launcher().as_ref() == Some(&second)).await;
        assert!(other.stop().await.success());
        wait_for("the first one to say that it goes on", || launcher().as_ref() == Some(&first))
            .await;
        let reply = at(&url, &[command, "talker.a", "--json"]).expect(0).json();
        assert_eq!(
            (&reply["asked"], &reply["ok"]),
            (&first.clone().into(), &true.into()),
            "{reply}"
        );
    }
}

/// The launcher is asked, what it says is laid out, and what nobody says is not made up.
#[tokio::test(flavor = "multi_thread")]
async fn top_shows_what_services_and_hosts_use() {
    let site = Site::start(CONFIG).await;
    let url = site.server.url();
    wait_for("the service to be read", || {
        let output = at(&url, &["top", "talker", "--json"]);
        output.code == Some(0) && output.json()["services"][0]["rss_bytes"].is_u64()
    })
    .await;
    at(&url, &["wait", "broken.a", "--for", "failed"]).expect(0);
    let document = at(&url, &["top", "--json"]).expect(0).json();
    tcs_testkit::schema::assert_documented(&document);
    let services = document["services"].as_array().unwrap();
    let names: Vec<_> = services.iter().map(|it| it["service_id"].as_str().unwrap()).collect();
    assert_eq!(names, ["talker.a"], "what does not run uses nothing");
    assert!(document["hosts"][0]["host_mem_total_bytes"].is_u64(), "{document:#}");

    let text = at(&url, &["top", "--sort", "memory"]).expect(0).out;
    let title = line_of(&text, &["SERVICE", "CPU", "MEMORY", "HOST"]);
    let row = line_of(&text, &["talker.a", "B"]);
    assert!(title.is_some() && row.is_some() && text.contains("memory "), "{text}");
    let nobody = at(&url, &["top", "host:nowhere"]).expect(1);
    assert_eq!(nobody.out, "");
    let nobody = at(&url, &["top", "nosuch"]).expect(1);
    assert!(nobody.err.starts_with("error: no service matches `nosuch`\nhint: "), "{nobody:?}");
    let ended = at(&url, &["top", "broken"]).expect(1);
    assert_eq!(ended.err, "error: no figures of broken.a: it is failed\n");
    let ended = at(&url, &["top", "broken", "--json"]).expect(1);
    assert_eq!(ended.json()["services"], serde_json::json!([]));
    let wrong = at(&url, &["top", "host:"]).expect(2);
    assert!(wrong.err.contains("has no value"), "{}", wrong.err);
}

/// What comes later is followed too: a launcher, and the service that it was to be of.
#[tokio::test(flavor = "multi_thread")]
async fn top_follows_services_that_come_later() {
    let site = Site::start(CONFIG).await;
    let url = site.server.url();
    let args = ["top", "late", "-f", "--json", "--server", &url];
    let mut command = tcs_testkit::tcsctl::command(&args);
    let mut following = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(tokio::task::block_in_place(&mut next)["services"], serde_json::json!([]));
    let config = "services: [{type: late, variant: x, launch: {exec: [sleep, 1000]}}]";
    let mut other = Tcsd::new(&program("tcsd"), &url, "process", config);
    other.run();
    // each line is a round: it comes when it comes
    while tokio::task::block_in_place(&mut next)["services"][0]["service_id"] != "late.x" {}
    following.kill().unwrap();
    following.wait().unwrap();
    assert!(other.stop().await.success());
}

const ORDERED: &str = "
services:
  - {type: power, variant: a, launch: {exec: [sleep, '1000']}}
  - type: camera
    variant: a
    launch: {exec: [sh, -c, 'sleep 0.3; echo cooled; exec sleep 1000'], ready: {log: cooled}, after: [power.a]}
  - {type: guider, variant: a, launch: {exec: [sleep, '1000'], after: [camera.a]}}
  - {type: lamp, variant: a, launch: {exec: [sleep, '1000']}}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_starts_and_what_an_end_affects_are_shown() {
    let site = Site::start(ORDERED).await;
    let url = site.server.url();
    let is_up = || at(&url, &["wait", "guider.a", "--timeout", "1"]).code == Some(0);
    wait_for("the last one is up", is_up).await;
    let text = at(&url, &["graph"]).expect(0).out;
    assert!(text.contains("└─ ● camera.a  ok") && !text.contains("lamp.a"), "{text}");
    let chain: Vec<&str> = text.lines().skip_while(|line| !line.contains("Critical")).collect();
    for (line, id) in chain[1..].iter().zip(["power.a", "camera.a", "guider.a"]) {
        assert!(line.contains(id) && line.contains("ready after"), "{text}");
    }
    let json = at(&url, &["graph", "--format", "json"]).expect(0).json();
    assert_eq!(
        json["critical_chain"],
        serde_json::json!(["power.a", "camera.a", "guider.a"]),
        "{json:#}"
    );
    let camera = &json["services"][0];
    assert!(camera["startup_s"].as_f64().unwrap() > 0.2, "{camera}");
    let mermaid = at(&url, &["graph", "--format", "mermaid"]).expect(0).out;
    assert!(mermaid.starts_with("graph LR\n") && mermaid.contains(" --> "), "{mermaid}");
    at(&url, &["graph", "lamp"]).expect(1);

    // before the end of several is agreed to, in a terminal; and it is asked anew if one has changed
    let program = program("tcsctl");
    let args = ["restart", "a", "--server", &url];
    let mut terminal = Terminal::start(program.to_str().unwrap(), &args, &[], (100, 40));
    terminal.see("restart all 4?");
    at(&url, &["stop", "camera.a"]).expect(0);
    terminal.keys("y\r");
    terminal.see("warning: changed: camera.a was running, is stopped now");
    terminal.wait("asked again", |text| text.matches("restart all 4?").count() == 2);
    terminal.keys("n\r");
    terminal.see("nothing was done");
    assert_eq!(terminal.end(), 1);
    let mut dashboard = watch(&url, &[], (120, 40));
    dashboard.see("power.a");
    dashboard.keys("/power\rGx");
    dashboard.see("stop?");
    dashboard.see("guider.a is started after it and keeps running");
    dashboard.keys("nq");
    assert_eq!(dashboard.end(), 0);
}
