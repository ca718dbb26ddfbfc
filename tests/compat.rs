//! Programs of this version beside those of release 0.1: what each said is understood by the other,
//! and streams that 0.1 made are used as they are.
//!
//! `tests/fixtures/compat/0.1` was recorded by `tests/compat/record.py`. `make compat` builds the
//! old programs and runs the last test, both ways for real.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tcs_testkit::nats::{self, Server, on_each_server, wait_for};
use tcs_testkit::raw;
use tcs_testkit::site::Site;
use tcs_testkit::tcsctl::{self, Output, at};

const CONFIG: &str = include_str!("compat/services.yaml");

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/compat/0.1").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

fn lines(name: &str) -> Vec<Value> {
    read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Verdict and phase of each service, launchers without the part of the name that is a hash.
fn picture(document: &Value) -> BTreeMap<String, (String, String)> {
    let services = document["services"].as_array().unwrap().iter();
    let one = |it: &Value| {
        let id = text(&it["id"]);
        let id = if id.starts_with("launcher.") { "launcher" } else { id };
        (id.to_owned(), (text(&it["verdict"]).to_owned(), text(&it["phase"]).to_owned()))
    };
    services.map(one).collect()
}

fn recorded_fleet() -> Value {
    serde_json::from_str(&read("fleet.json")).unwrap()
}

/// Puts into the streams what 0.1 had published when the picture was taken.
fn replay(server: &Server) {
    let taken = chrono::DateTime::parse_from_rfc3339(text(&recorded_fleet()["taken_at"])).unwrap();
    let taken = taken.timestamp_millis() as f64 / 1000.0;
    let before: Vec<String> = lines("messages.jsonl")
        .iter()
        .filter(|message| message["t"].as_f64().unwrap() <= taken)
        .map(|message| format!("{message}\n"))
        .collect();
    let file = server.dir().join("before.jsonl");
    std::fs::write(&file, before.concat()).unwrap();
    let args = ["replay", "--instant", "--create-streams", file.to_str().unwrap()];
    at(&server.url(), &args).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_launcher_published_gives_the_same_picture() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        replay(&server);
        let now = at(&server.url(), &["--all", "--json"]).expect(0).json();
        assert_eq!(picture(&now), picture(&recorded_fleet()));
        assert_eq!(now["source"]["malformed"], 0, "{now:#}");
    })
    .await;
}

/// The launcher's name in a subject, or nothing where a service was asked.
fn launcher(subject: &str) -> Option<&str> {
    let (name, _) = subject.strip_prefix("svc.rpc.")?.split_once(".v1.")?;
    name.starts_with("launcher.").then_some(name)
}

/// Of a reply: each field of `data` by its type, and what the caller decides by.
fn shape(reply: &str) -> BTreeMap<String, String> {
    let reply: Value = serde_json::from_str(reply).unwrap();
    let Some(data) = reply["data"].as_object() else {
        return BTreeMap::from([("error".to_owned(), text(&reply["meta"]["status"]).to_owned())]);
    };
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let one = |(key, value): (&String, &Value)| {
        let told = match key.as_str() {
            "result" | "changed" | "dry_run" => value.to_string(),
            _ => kind(value).to_owned(),
        };
        (key.clone(), told)
    };
    data.iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_console_asked_is_answered() {
    let site = Site::start(CONFIG).await;
    let url = site.server.url();
    let settled = || {
        let seen = at(&url, &["--all", "--json"]);
        seen.code == Some(0) && {
            let seen = picture(&seen.json());
            let is = |id: &str, verdict: &str| seen.get(id).is_some_and(|it| it.0 == verdict);
            is("loop.main", "failed") && is("hello_world.main", "ok")
        }
    };
    wait_for("the fleet is as it was recorded", settled).await;
    let document = at(&url, &["--all", "--json"]).expect(0).json();
    let ids = document["services"].as_array().unwrap().iter().map(|it| text(&it["id"]));
    let name = ids.clone().find(|id| id.starts_with("launcher.")).unwrap().to_owned();

    let mut client = raw::Client::connect(site.server.port());
    for step in lines("requests.jsonl") {
        if step["command"] == serde_json::json!(["reload"]) {
            let more = "  - {type: added, variant: main, launch: {exec: [sleep, \"1000\"]}}\n";
            std::fs::write(site.path("services.yaml"), format!("{CONFIG}{more}")).unwrap();
        }
        for request in step["requests"].as_array().unwrap() {
            let subject = text(&request["subject"]);
            let subject = match launcher(subject) {
                Some(old) => subject.replace(old, &name),
                None => subject.to_owned(),
            };
            let reply = client.request(&subject, text(&request["payload"]).as_bytes());
            let reply = String::from_utf8(reply).unwrap();
            let now = shape(&reply);
            for (key, kind) in shape(text(&request["reply"])) {
                assert_eq!(now.get(&key), Some(&kind), "{key} of {}: {reply}", step["command"]);
            }
        }
    }
}

/// Answers each request with what 0.1 replied to it, until something comes on `stop`; the data of
/// the requests are held against those of 0.1.
fn old_programs(port: u16) -> std::thread::JoinHandle<()> {
    let mut replies: BTreeMap<String, VecDeque<(Value, String)>> = BTreeMap::new();
    for step in lines("requests.jsonl") {
        for request in step["requests"].as_array().unwrap() {
            let asked: Value = serde_json::from_str(text(&request["payload"])).unwrap();
            let reply = text(&request["reply"]).to_owned();
            let subject = text(&request["subject"]).to_owned();
            replies.entry(subject).or_default().push_back((asked["data"].clone(), reply));
        }
    }
    let mut client = raw::Client::connect(port);
    client.subscribe("stop");
    for subject in replies.keys() {
        client.subscribe(subject);
    }
    std::thread::spawn(move || {
        loop {
            let message = client.receive();
            let Some(recorded) = replies.get_mut(&message.subject) else { return };
            let asked: Value = serde_json::from_slice(&message.body).unwrap();
            let asked = asked["data"].as_object().unwrap();
            // the log is followed with an unlike number of requests: those are told by their data
            let place = recorded.iter().position(|(data, _)| data.as_object() == Some(asked));
            let (data, reply) = match place {
                Some(place) => recorded.remove(place).unwrap(),
                None => recorded.front().unwrap().clone(),
            };
            for (key, value) in data.as_object().unwrap() {
                assert_eq!(asked.get(key), Some(value), "{key} to {}", message.subject);
            }
            client.publish(message.reply.as_deref().unwrap(), None, reply.as_bytes());
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_launcher_replied_is_understood() {
    let server = Server::start(&nats::server()).await;
    replay(&server);
    let answers = old_programs(server.port());
    for step in lines("requests.jsonl") {
        let Some(exit) = step["exit"].as_i64() else { continue };
        let mut args: Vec<&str> = step["command"].as_array().unwrap().iter().map(text).collect();
        args.push("--json");
        let output = at(&server.url(), &args).expect(i32::try_from(exit).unwrap());
        assert!(!output.objects().is_empty(), "{output:#?}");
    }
    let mut stop = raw::Client::connect(server.port());
    stop.publish("stop", None, b"");
    stop.flush();
    answers.join().unwrap();
}

fn stream_config(client: &mut raw::Client, name: &str) -> Value {
    let info = client.request(&format!("$JS.API.STREAM.INFO.{name}"), b"");
    let info: Value = serde_json::from_slice(&info).unwrap();
    info["config"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_the_old_launcher_made_are_used_as_they_are() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let mut client = raw::Client::connect(server.port());
        let streams: Vec<Value> = serde_json::from_str(&read("streams.json")).unwrap();
        let mut before = Vec::new();
        for stream in &streams {
            let name = text(&stream["name"]);
            let made = client
                .request(&format!("$JS.API.STREAM.CREATE.{name}"), stream.to_string().as_bytes());
            let made: Value = serde_json::from_slice(&made).unwrap();
            assert_eq!(made["error"], Value::Null, "{made:#}");
            before.push(stream_config(&mut client, name));
        }
        let site = Site::at(server, CONFIG);
        let url = site.server.url();
        let runs = || {
            let seen = at(&url, &["--all", "--json"]);
            seen.code == Some(0) && {
                let seen = seen.json();
                seen["source"]["complete"] == true
                    && picture(&seen).get("hello_world.main").is_some_and(|it| it.0 == "ok")
            }
        };
        wait_for("the fleet runs on the old streams", runs).await;
        for (stream, before) in streams.iter().zip(before) {
            assert_eq!(stream_config(&mut client, text(&stream["name"])), before);
        }
    })
    .await;
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        Command::new("kill").arg(self.0.id().to_string()).status().ok();
        self.0.wait().ok();
    }
}

/// `tcsd` and `tcsctl` of one version.
struct Programs(PathBuf);

impl Programs {
    fn tcsd(&self, server: &Server, folder: &Path) -> Running {
        let config = folder.join("services.yaml");
        if !config.exists() {
            std::fs::write(&config, CONFIG).unwrap();
        }
        let mut command = Command::new(self.0.join("tcsd"));
        command.arg("--config").arg(&config).current_dir(folder).stderr(Stdio::null());
        command.env("NATS_URL", server.url()).env("RUNTIME_DIRECTORY", folder);
        Running(command.spawn().unwrap())
    }

    fn tcsctl(&self, server: &Server, args: &[&str]) -> Output {
        let mut command = tcsctl::command_of(&self.0.join("tcsctl"), args);
        command.args(["--server", &server.url()]);
        tcsctl::finish(command)
    }

    async fn until_settled(&self, server: &Server) {
        wait_for("all run, and what is broken has failed", || {
            let seen = self.tcsctl(server, &["--all", "--json"]);
            let Ok(document) = serde_json::from_str::<Value>(&seen.out) else { return false };
            let seen = picture(&document);
            let is = |id: &str, verdict: &str| seen.get(id).is_some_and(|it| it.0 == verdict);
            is("hello_world.main", "ok")
                && is("archive.main", "ok")
                && is("loop.main", "failed")
                && is("missing.main", "failed")
                && is("task.main", "stopped")
        })
        .await;
    }
}

/// Each console operates each launcher, then the other launcher takes over the same file and
/// streams: forward, and back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the programs of 0.1 in TCS_OLD_PROGRAMS: make compat"]
async fn old_and_new_programs_work_with_each_other() {
    let old = Programs(std::env::var_os("TCS_OLD_PROGRAMS").expect("TCS_OLD_PROGRAMS").into());
    let new = Programs(Path::new(env!("CARGO_BIN_EXE_tcsctl")).parent().unwrap().to_owned());
    let (old, new) = (&old, &new);
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let folder = tempfile::tempdir().unwrap();
        for (launcher, console) in [(old, new), (new, old), (old, new), (old, old), (new, new)] {
            let _running = launcher.tcsd(&server, folder.path());
            console.until_settled(&server).await;
            for args in [
                &["health", "hello_world.main"][..],
                &["stats", "hello_world.main"],
                &["logs", "archive.main", "-n", "10"],
                &["restart", "archive.main", "--yes"],
                &["stop", "archive.main", "--yes"],
                &["start", "archive.main", "--yes"],
                &["reload", "--dry-run"],
                &["check", "hello_world.main"],
            ] {
                let answer = console.tcsctl(&server, args);
                assert_eq!(answer.code, Some(0), "{args:?}: {answer:#?}");
            }
        }
    })
    .await;
}
