//! The other commands, against real brokers.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test a panic is the report")]

#[path = "commands/budget.rs"]
mod budget;
#[path = "commands/changed_clocks.rs"]
mod changed_clocks;
#[path = "commands/clock.rs"]
mod clock;
#[path = "commands/silence.rs"]
mod silence;

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use tcs_testkit::nats::{self, Server, on_each_server, server};
use tcs_testkit::schema;
use tcs_testkit::site::lives;
use tcs_testkit::tcsctl::{self, at, recording, run};

async fn filled(binary: &nats::Binary, name: &str) -> Server {
    let server = Server::start(binary).await;
    let args = ["replay", "--instant", "--create-streams", &recording(name)];
    at(&server.url(), &args).expect(0);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn check_follows_the_plugin_convention() {
    on_each_server(async |binary| {
        let server = filled(&binary, "process-launcher").await;
        let output = at(&server.url(), &["check"]).expect(2);
        assert_eq!(output.out.lines().count(), 1, "{output:#?}");
        assert!(output.out.starts_with("TCS CRITICAL - "), "{output:#?}");
        // each that makes the result is named with its cause
        for id in ["hello_world.main", "examples.nonblocking.tutorial"] {
            assert!(output.out.contains(&format!("; {id} failed: SIGKILL")), "{output:#?}");
        }
        assert!(output.out.contains(" | failed=2;;;0 lost=0;;;0 "), "{output:#?}");
        // named, a stopped one is critical; unnamed, it is as it should be
        let output = at(&server.url(), &["check", "examples.basic.tutorial"]).expect(2);
        assert!(
            output.out.starts_with("TCS CRITICAL - examples.basic.tutorial is stopped"),
            "{output:#?}"
        );
        at(&server.url(), &["check", "nobody"]).expect(3);
        let quiet = filled(&binary, "standalone-sigterm").await;
        let output = at(&quiet.url(), &["check"]).expect(0);
        assert!(output.out.starts_with("TCS OK - "), "{output:#?}");
        // a record with holes is a warning, though everything runs
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("outbox.jsonl");
        let beat = serde_json::json!({
            "data": {
                "service_id": "launcher.x", "status": "ok",
                "outbox": {"waiting": 7, "lost_events": 3, "refused": [
                    {"stream": "status", "reason": "maximum bytes exceeded (10077)", "for_s": 60}
                ]},
            },
            "meta": {},
        });
        let line = serde_json::json!({
            "t": 1.0, "subject": "svc.heartbeat.launcher.x", "headers": {},
            "payload": beat.to_string(),
        });
        std::fs::write(&file, format!("{line}\n")).unwrap();
        at(&quiet.url(), &["replay", "--instant", file.to_str().unwrap()]).expect(0);
        let output = at(&quiet.url(), &["check"]).expect(1);
        assert!(output.out.starts_with("TCS WARNING - "), "{output:#?}");
        let told = "; 3 events of launcher.x are missing; status messages of launcher.x are not \
                    stored: maximum bytes exceeded (10077) |";
        assert!(output.out.contains(told), "{output:#?}");
        let output = at(&quiet.url(), &["list", "--json"]).expect(0);
        let json: serde_json::Value = serde_json::from_str(&output.out).unwrap();
        let codes = &json["source"]["problem_codes"];
        assert_eq!(*codes, serde_json::json!(["events_missing", "not_stored"]), "{output:#?}");
        assert_eq!(json["source"]["complete"], true);
        // that some of many were stopped on purpose is no fault, and those that are one are named
        let output = at(&server.url(), &["check", "phase:stopped"]).expect(0);
        assert!(output.out.starts_with("TCS OK - "), "{output:#?}");
        let output = at(&server.url(), &["check", "tutorial"]).expect(2);
        assert!(
            output.out.contains("; examples.nonblocking.tutorial failed: SIGKILL |"),
            "{output:#?}"
        );
        // streams that hold nothing say nothing
        let empty = Server::start(&binary).await;
        let file = recording("rpc-with-replies");
        at(&empty.url(), &["replay", "--instant", "--create-streams", &file]).expect(0);
        let output = at(&empty.url(), &["check"]).expect(3);
        assert!(
            output.out.starts_with("TCS UNKNOWN - no messages in the streams on svc |"),
            "{output:#?}"
        );
        let output = at(&empty.url(), &["check", "a.b"]).expect(3);
        assert!(output.out.starts_with("TCS UNKNOWN - no messages"), "{output:#?}");
    })
    .await;
    // usage is unknown there, not critical
    run(&["check", "--no-such-option"]).expect(3);
    run(&["list", "--no-such-option"]).expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_until_it_is_so() {
    let server = filled(&server(), "process-launcher").await;
    at(&server.url(), &["wait", "hello_world.main", "--for", "failed"]).expect(0);
    at(&server.url(), &["wait", "hello_world.main", "--for", "gone"]).expect(0);
    at(&server.url(), &["wait", "nobody.main", "--for", "gone"]).expect(0);
    let output =
        at(&server.url(), &["wait", "hello_world.main", "--for", "up", "--timeout", "5"]).expect(1);
    assert!(output.err.contains("hello_world.main is not up after "), "{output:#?}");
    assert!(output.err.contains("it is failed"), "{output:#?}");

    // it comes while it is waited for
    let mut waiting =
        tcsctl::command(&["wait", "guider.jk15", "--for", "stopped", "--server", &server.url()])
            .spawn()
            .unwrap();
    assert!(waiting.try_wait().unwrap().is_none());
    at(&server.url(), &["replay", "--instant", &recording("monitor-and-rpc")]).expect(0);
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_without_streams_says_so() {
    let server = Server::start(&server()).await;
    let output = at(&server.url(), &["wait", "a.b", "--for", "gone"]).expect(3);
    assert!(output.err.starts_with("error: no streams on svc"), "{output:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_past_and_as_they_happen() {
    on_each_server(async |binary| {
        let server = filled(&binary, "process-launcher").await;
        let output = at(&server.url(), &["events", "hello_world"]).expect(0);
        let texts: Vec<_> = output
            .out
            .lines()
            .map(|line| line.splitn(4, char::is_whitespace).last().unwrap().trim_start())
            .collect();
        assert_eq!(
            texts.iter().filter(|text| text.contains("SIGKILL; will be restarted")).count(),
            2
        );
        assert_eq!(
            texts.iter().filter(|text| text.contains("SIGKILL; will not be restarted")).count(),
            1
        );
        assert!(texts.iter().any(|text| text.contains("restarting (1/2)")), "{texts:#?}");

        // the filters of the list, also several
        let of = |filters: &[&str]| {
            at(&server.url(), &[&["events"], filters].concat()).expect(0).out.lines().count()
        };
        assert_eq!(of(&["hello", "!launcher"]), of(&["hello_world"]));
        let host = at(&server.url(), &["--all", "--json"]).expect(0).json()["services"][0]["host"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(of(&[&format!("host:{host}")]), of(&[]));
        let nothing = at(&server.url(), &["events", "host:nowhere"]).expect(0);
        assert!(nothing.err.contains("no events since then"), "{}", nothing.err);
        let unknown = at(&server.url(), &["events", "hello_wrld.main"]).expect(1);
        assert!(unknown.err.contains("no service matches `hello_wrld.main`"), "{}", unknown.err);
        assert!(unknown.err.contains("did you mean: hello_world."), "{}", unknown.err);

        let objects = at(&server.url(), &["events", "--json"]).expect(0).objects();
        let kinds: std::collections::BTreeSet<_> =
            objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["lifecycle", "status"]);

        let mut following =
            tcsctl::command(&["events", "guider", "-f", "--json", "--server", &server.url()]);
        let mut following = following.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
        at(&server.url(), &["replay", "--instant", &recording("monitor-and-rpc")]).expect(0);
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != "shutdown") {
            let line = lines.next().unwrap().unwrap();
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            schema::assert_documented(&event);
            assert_eq!(event["id"], "guider.jk15");
            seen.push(event["status"].as_str().unwrap().to_owned());
        }
        assert!(!seen.is_empty());
        let pid = following.id().to_string();
        assert!(
            std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success()
        );
        assert_eq!(following.wait().unwrap().code(), Some(0));
    })
    .await;
}

/// On a site where nothing happens a command that follows ends when its reader does.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_read_any_more_ends() {
    let server = filled(&server(), "process-launcher").await;
    for args in [&["watch", "--json"][..], &["watch", "--plain"], &["events", "-f"]] {
        let mut child = tcsctl::command(args);
        child.args(["--server", &server.url()]);
        let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "{args:?} goes on");
        drop(out);
        nats::wait_for("its end", || child.try_wait().unwrap().is_some()).await;
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_what_was_so() {
    on_each_server(async |binary| {
        let server = filled(&binary, "standalone-sigterm").await;
        let then = at(&server.url(), &["--all", "--json"]).expect(0).json();
        let moment = then["taken_at"].as_str().unwrap().to_owned();
        at(&server.url(), &["replay", "--instant", &recording("process-launcher")]).expect(0);
        let output = at(&server.url(), &["--all", "--json", "--at", &moment]).expect(0);
        let document = output.json();
        assert_eq!(document["counts"]["known"], 1, "{document:#}");
        assert_eq!(output.verdict("perm.a2"), "stopped");
        assert_eq!(document["source"]["at"], document["taken_at"]);
        // before everything: said, not guessed
        let output = at(&server.url(), &["--at", "2d"]).expect(3);
        assert_eq!(output.out, "", "{output:#?}");
        assert!(output.err.contains("messages are stored only from"), "{output:#?}");
        at(&server.url(), &["--at", "2999-01-01 00:00"]).expect(2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_completes_names_of_services() {
    let server = filled(&server(), "inprocess-launcher").await;
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).expect(0).out;
        assert!(script.contains("COMPLETE") && script.contains("tcsctl"), "{script}");
    }
    let complete = |words: &[&str]| {
        let mut command = tcsctl::command(&["--"]);
        command.args(words);
        command.env("COMPLETE", "bash").env("NATS_URL", server.url());
        command.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
        command
            .env("_CLAP_IFS", "\n")
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_SPACE", "true");
        tcsctl::finish(command).expect(0).out
    };
    let names = complete(&["tcsctl", "examples.m"]);
    let names: Vec<_> = names.lines().collect();
    assert_eq!(names, ["examples.minimal.tutorial", "examples.monitoring.tutorial"]);
    assert!(complete(&["tcsctl", "wait", "nonblock"]).contains("examples.nonblocking.tutorial"));
    assert!(complete(&["tcsctl", "ev"]).contains("events"));
}

#[test]
fn a_full_disk_under_the_output_is_told() {
    for args in [&["--help"][..], &["--version"], &["man"], &["completions", "fish"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = tcsctl::command(args).stdout(full).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        let why = "error: cannot write to standard output: No space left on device";
        assert!(told.starts_with(why), "{args:?}: {told}");
    }
}

#[test]
fn manual_pages() {
    let page = run(&["man"]).expect(0).out;
    assert!(page.contains(".TH tcsctl") && page.contains(".SH EXIT CODES"), "{page}");
    assert!(run(&["man", "wait"]).expect(0).out.contains("tcsctl\\-wait"));
    run(&["man", "nothing"]).expect(2);
}

#[test]
fn demo_shows_a_fleet_without_one() {
    let mut command = tcsctl::command(&["demo"]);
    // settings of this machine do not reach the private broker
    command.env("NATS_URL", "nats://127.0.0.1:1").env("NATS_USER", "nobody");
    command.env("TCS_NATS_SERVER", server().path);
    let output = tcsctl::finish(command).expect(0);
    let line = |name: &str| {
        // its own row: the launcher's, the first, may name it as well
        let line = output.out.lines().rfind(|line| line.contains(name));
        line.unwrap_or_else(|| panic!("no {name}: {output:#?}")).to_owned()
    };
    assert!(line("launcher.").starts_with("● "), "{output:#?}");
    assert!(line("examples.minimal.tutorial").contains("ok (♥)"), "{output:#?}");
    assert!(line("examples.crashing.camera").contains("⟳"), "{output:#?}");
    assert!(line("examples.hanging.dome").contains("main loop blocked for "), "{output:#?}");
    assert!(line("examples.importing.catalogues").contains("completed"), "{output:#?}");
    assert!(line("archive.main").contains("Running"), "{output:#?}");

    let mut command = tcsctl::command(&["demo"]);
    command.env("TCS_NATS_SERVER", "/no/such/nats-server");
    let output = tcsctl::finish(command).expect(3);
    assert!(output.err.starts_with("error: TCS_NATS_SERVER: there is no program"), "{output:#?}");
}

#[test]
fn demo_keeps_it_all_until_it_is_told_to_end() {
    let mut command = tcsctl::command(&["demo", "--keep"]);
    command.env("TCS_NATS_SERVER", server().path);
    let mut demo = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(demo.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = said.find(|line| line.contains("nats://")).unwrap();
    let url = line.split_whitespace().last().unwrap().to_owned();
    let fleet = at(&url, &["--all", "--json"]).expect(0).json();
    let pids: Vec<_> = fleet["services"].as_array().unwrap().iter().map(|it| &it["pid"]).collect();
    let is_there = |pid: &serde_json::Value| {
        pid.as_u64().and_then(|pid| u32::try_from(pid).ok()).is_some_and(lives)
    };
    assert!(pids.iter().filter(|pid| is_there(pid)).count() > 8, "{pids:?}");
    let pid = demo.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    assert!(!pids.into_iter().any(is_there), "services are left behind");
    let output = at(&url, &[]).expect(3);
    assert!(output.err.contains("connection refused"), "the broker is left behind: {output:#?}");
}
