//! Asking services and launchers, against a real broker.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tcs_core::bus::publish::{OutgoingMessage, Publisher, new_meta};
use tcs_core::bus::rpc::{Announcement, Command, Responders, Serving};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::{Bus, Secret};
use tcs_core::monitor::{Monitor, Reporter};
use tcs_core::wire::Status;
use tcs_testkit::nats::{LIMIT, Server, server};
use tcs_testkit::schema;
use tcs_testkit::tcsctl::{self, at, recording};

fn settings(server: &Server) -> Settings {
    let section = NatsSection { url: Some(Secret::new(server.url())), ..NatsSection::default() };
    Settings::from_process(&section, None).unwrap()
}

async fn site() -> Server {
    let server = Server::start(&server()).await;
    let bus = Bus::connect(&settings(&server), "test", LIMIT).await.unwrap();
    bus.create_missing_streams().await;
    server
}

/// A service that answers, once it does.
async fn guider(server: &Server) -> (Reporter, Monitor) {
    let reporter = Reporter::open(settings(server), "test").unwrap();
    let monitor = Monitor::builder("guider.jk15").unwrap().start(&reporter);
    monitor.set_status(Status::Ok, "guiding");
    monitor.add_health_check("star\u{1b}[2J", || Some((Status::Degraded, "faint")));
    let bus = Bus::connect(&settings(server), "asker", LIMIT).await.unwrap();
    let start = tcs_core::clock::monotonic();
    while bus.request("guider.jk15", "stats", &serde_json::json!({}), LIMIT).await.is_err() {
        assert!(start.elapsed() < LIMIT, "it does not answer");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(reporter.settled(LIMIT).await);
    (reporter, monitor)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_asked_for_its_health_and_figures() {
    let server = site().await;
    let (_reporter, _monitor) = guider(&server).await;

    let output = at(&server.url(), &["health", "guider.jk15"]).expect(0);
    let lines: Vec<_> = output.out.lines().collect();
    assert!(lines[0].starts_with("guider.jk15  degraded: faint  ("), "{output:#?}");
    // whatever a check is called, it does not act on a terminal
    assert_eq!(lines[1], "  star\\u{1b}[2J: degraded", "{output:#?}");
    assert_eq!(output.err, "", "no progress where nobody looks");

    let reply = at(&server.url(), &["health", "guid", "--json"]).expect(0).json();
    assert_eq!(reply["schema"], "tcsctl.reply.v1");
    assert_eq!((&reply["id"], &reply["ok"]), (&"guider.jk15".into(), &true.into()));
    assert_eq!(reply["data"]["checks"]["star\u{1b}[2J"], "degraded");
    assert_eq!(reply["error"], Value::Null);

    let output = at(&server.url(), &["stats", "guider.jk15"]).expect(0);
    assert!(output.out.starts_with("guider.jk15  up "), "{output:#?}");
    assert!(output.out.contains("\n  outbox."), "figures by their path: {output:#?}");

    let output = at(&server.url(), &["logs", "guider.jk15"]).expect(1);
    assert_eq!(output.err, "error: guider.jk15 has no launcher to ask\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_is_told_with_the_reason() {
    let server = site().await;
    let output = at(&server.url(), &["health", "nobody.main"]).expect(1);
    assert!(output.err.starts_with("error: no service matches `nobody.main`"), "{output:#?}");

    // a recorded Python fleet: in it some live, and none has remote control
    at(&server.url(), &["replay", "--instant", &recording("inprocess-launcher")]).expect(0);
    let output = at(&server.url(), &["health", "examples.minimal.tutorial"]).expect(1);
    assert!(output.out.contains("examples.minimal.tutorial  has no remote control"), "{output:#?}");
    // onto a fleet that lives
    let more = ["replay", "--instant", "--yes", &recording("standalone-sigterm")];
    at(&server.url(), &more).expect(0);
    let output = at(&server.url(), &["stats", "perm.a2", "--json"]).expect(3).json();
    assert_eq!(output["error"]["code"], "not_reachable", "{output:#?}");
    let text = output["error"]["message"].as_str().unwrap();
    assert_eq!(text, "perm.a2 cannot be asked: it is stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_replayed_onto_what_answers_though_no_stream_tells_of_it() {
    let server = Server::start(&server()).await;
    let (_reporter, _monitor) = guider(&server).await;
    let file = recording("standalone-sigterm");
    let args = ["replay", "--instant", "--create-streams", &file];
    let output = at(&server.url(), &args).expect(2);
    assert!(output.err.starts_with("error: 1 service runs on `svc` at "), "{output:#?}");
    assert!(output.err.contains("; nothing was done\n  guider.jk15\nhint: "), "{output:#?}");
    // and no stream was made
    let output = at(&server.url(), &["--json"]).expect(3);
    assert_eq!(output.json()["source"]["problem_codes"], json!(["no_streams"]));
    at(&server.url(), &[&args[..], &["--yes"]].concat()).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_streams_a_whole_name_is_asked_all_the_same() {
    let server = Server::start(&server()).await;
    let (_reporter, _monitor) = guider(&server).await;
    at(&server.url(), &["health", "guider.jk15"]).expect(0);
    let output = at(&server.url(), &["health", "guider.jk16"]).expect(3);
    assert!(output.out.contains("it is not known"), "{output:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_offered_is_told_with_those_that_are() {
    let server = Server::start(&server()).await;
    let bus = Bus::connect(&settings(&server), "a service", LIMIT).await.unwrap();
    let answer = |name: &'static str, reply: Value| {
        let reply = reply.as_object().cloned().unwrap();
        Command::new(name, move |_| std::future::ready(Ok(reply.clone())))
    };
    let offered =
        json!({"commands": [{"name": "reset"}, {"name": 5}, {"name": "a\nb"}, {"name": "park"}]});
    let announcement = Announcement {
        name: "guider.jk15".to_owned(),
        description: "a service".to_owned(),
        version: "1.0.0".to_owned(),
    };
    let commands = [answer("commands", offered), answer("reset", json!({}))];
    let _serving = Responders::new(bus.clone()).serve(announcement, commands).await.unwrap();
    let call = |command: &str| at(&server.url(), &["call", "guider.jk15", command]);
    let told = call("rset").expect(1).out;
    let expected = "guider.jk15  no command `rset` (did you mean `reset`?); it offers reset, park";
    assert!(told.starts_with(expected), "{told}");
    call("reset").expect(0);
    for wrong in ["a b", "a.*", ">", "", "a..b"] {
        let told = call(wrong).expect(2).err;
        assert!(told.starts_with("error: command"), "{wrong}: {told}");
    }
    let listed = at(&server.url(), &["call", "guider.jk15"]).expect(0).out;
    assert!(
        listed.contains("  park\n") && listed.contains("not readable: commands[1].name"),
        "{listed}"
    );
}

/// What a fake launcher was asked: what follows `v1.`, and the data.
type Asked = std::sync::Arc<std::sync::Mutex<Vec<(String, Value)>>>;

/// Answers in the place of the recorded fleet's launcher of `hello_world.main`.
async fn launcher(server: &Server) -> (String, Asked, Bus, Serving) {
    at(&server.url(), &["replay", "--instant", &recording("process-launcher")]).expect(0);
    let listed = at(&server.url(), &["--json", "--all"]).expect(0).json();
    let services = listed["services"].as_array().unwrap();
    let service = services.iter().find(|s| s["id"] == "hello_world.main").unwrap();
    let name = service["parent"].as_str().unwrap().to_owned();
    let bus = Bus::connect(&settings(server), "a launcher", LIMIT).await.unwrap();
    let asked = Asked::default();
    let answer = |command: &'static str, reply: fn(&str) -> Result<Value, String>| {
        let asked = std::sync::Arc::clone(&asked);
        Command::new(command, move |call| {
            let what = format!("{command}{}", call.rest);
            asked.lock().unwrap().push((what, Value::Object(call.data)));
            assert!(call.meta.sender.starts_with("tcsctl:"), "{}", call.meta.sender);
            let reply = reply(&call.rest).map(|reply| reply.as_object().cloned().unwrap());
            async move { reply }
        })
        .acting()
    };
    let commands = [
        answer("restart.>", |_| Ok(json!({"result": "restarted", "pid": 4711, "changed": true}))),
        answer("start.>", |id| match id {
            "hello_world.main" => Ok(json!({"result": "started", "pid": 4711, "changed": false})),
            _ => Err("it is disabled".to_owned()),
        }),
        answer("stop.>", |_| Ok(json!({"result": "stopped", "exit_code": 0, "changed": true}))),
        answer("logs.>", |id| {
            if id != "hello_world.main" {
                return Err("no\nhint: rm -rf /\u{1b}[2J".to_owned());
            }
            Ok(json!({"lines": [
                {"message": "slewing \u{1b}[2Jnow", "level": 20, "stream": "stdout",
                 "timestamp": [2026, 11, 22, 2, 13, 5]},
                {"message": "no stars", "level": 40, "timestamp": [2026, 11, 22, 2, 13, 6]}]}))
        }),
        answer("reload", |_| {
            Ok(json!({"changed": true, "services": [
                {"service_id": "a.b", "change": "added", "then": "starts", "result": "started"},
                {"service_id": "c.d", "change": "changed", "fields": ["launch.exec", "gain\u{1b}[2J"],
                 "then": "restarts", "error": "no such program"},
                {"service_id": "e.f", "change": "removed", "then": "stops", "busy": true}],
                "notes": ["`nats` has changed"], "unchanged": 7}))
        }),
    ];
    let announcement = Announcement {
        name: name.clone(),
        description: "a launcher".to_owned(),
        version: "1.0.0".to_owned(),
    };
    let serving = Responders::new(bus.clone()).serve(announcement, commands).await.unwrap();
    (name, asked, bus, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_starts_stops_restarts_and_reloads() {
    let server = site().await;
    let (name, asked, _bus, _serving) = launcher(&server).await;
    let url = server.url();

    let output = at(&url, &["restart", "hello_world.main"]).expect(0);
    let start = format!("hello_world.main  restarted, pid 4711  (answered by {name}, ");
    assert!(output.out.starts_with(&start), "{output:#?}");
    let output = at(&url, &["start", "hello_world.main"]).expect(0);
    assert!(output.out.contains("already started, pid 4711"), "{output:#?}");
    let output = at(&url, &["start", "hello_world.main", "examples.basic.tutorial"]).expect(1);
    assert_eq!(output.out.lines().count(), 2, "{output:#?}");
    assert!(output.out.contains("it is disabled"), "{output:#?}");

    asked.lock().unwrap().clear();
    let stop = ["stop", "hello_world.main", "--when-idle", "--max-wait", "10m", "--json"];
    let reply = at(&url, &stop).expect(0).json();
    assert_eq!((&reply["asked"], &reply["data"]["result"]), (&json!(name), &json!("stopped")));
    let one =
        ("stop.>hello_world.main".to_owned(), json!({"when_idle": true, "max_wait_s": 600.0}));
    assert_eq!(*asked.lock().unwrap(), [one]);

    // a filter that matches more than one is not acted upon unless somebody agrees
    asked.lock().unwrap().clear();
    let output = at(&url, &["stop", "/main|tutorial/"]).expect(2);
    assert!(output.err.contains("hint: --yes"), "{output:#?}");
    assert!(asked.lock().unwrap().is_empty(), "nothing was asked for");
    let output = at(&url, &["stop", "/main|tutorial/", "--yes"]).expect(0);
    assert!(output.out.lines().count() > 1, "{output:#?}");
    assert_eq!(asked.lock().unwrap().len(), output.out.lines().count());
    at(&url, &["stop", "nobody"]).expect(1);
    at(&url, &["stop", &name]).expect(1);

    let output = at(&url, &["reload", &name]).expect(1);
    let below = "
  note: `nats` has changed
  added    a.b  started
  changed  c.d  no such program  (launch.exec, gain\\u{1b}[2J)
  removed  e.f  stops, BUSY now
";
    assert!(output.out.ends_with(below), "{output:#?}");
    at(&url, &["reload", &name, "--dry-run"]).expect(1);
    assert_eq!(asked.lock().unwrap().last().unwrap().1, json!({"dry_run": true}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_is_gone_is_not_reachable() {
    let server = site().await;
    at(&server.url(), &["replay", "--instant", &recording("process-launcher")]).expect(0);
    let output = at(&server.url(), &["start", "hello_world.main"]).expect(3);
    assert!(output.out.contains("cannot be asked: it is stopped"), "{output:#?}");
    at(&server.url(), &["replay", "--instant", &recording("inprocess-launcher")]).expect(0);
    let output = at(&server.url(), &["restart", "examples.minimal.tutorial"]).expect(1);
    assert!(output.out.contains("has no remote control"), "{output:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_and_followed() {
    let server = site().await;
    let (_name, asked, bus, _serving) = launcher(&server).await;
    let output = at(&server.url(), &["logs", "hello_world.main", "-n", "7"]).expect(0);
    assert_eq!(
        output.out,
        "2026-11-22 02:13:05  out  INFO      slewing \\u{1b}[2Jnow\n\
         2026-11-22 02:13:06       ERROR     no stars\n"
    );
    assert_eq!(asked.lock().unwrap().last().unwrap().1, json!({"lines": 7}));

    // what is said elsewhere makes no lines, and no hints
    let refused = at(&server.url(), &["logs", "examples.basic.tutorial"]).expect(1);
    assert_eq!(refused.err, "error: no\\nhint: rm -rf /\\u{1b}[2J\n");

    let args = ["logs", "hello_world", "-f", "--json", "--server", &server.url()];
    let mut following = tcsctl::command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || -> Value {
        let line = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        schema::assert_documented(&line);
        line
    };
    assert_eq!(next()["level"], "INFO");
    assert_eq!(next()["message"], "no stars");
    assert_eq!(asked.lock().unwrap().last().unwrap().1["follow_s"], 30.0);
    // it listens a moment later at the latest
    let publisher = tokio::spawn(async move {
        let publisher = Publisher::new(bus.clone());
        loop {
            let subject = bus.subjects().journal("hello_world.main");
            let line = json!({"conversation_id": "", "level": 30, "message": "clouds",
                              "timestamp": [2026, 11, 22, 2, 13, 7], "op": "publish"});
            let mut meta = new_meta();
            meta.message_type = "journal.publish".to_owned();
            publisher.send(&OutgoingMessage::with_meta(subject, &line, meta).unwrap()).await.ok();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let line = tokio::task::block_in_place(&mut next);
    assert_eq!((&line["level"], &line["message"]), (&json!("WARNING"), &json!("clouds")));
    publisher.abort();
    let pid = following.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(following.wait().unwrap().code(), Some(0));
}
