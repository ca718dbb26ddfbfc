//! Each recording, replayed at full speed into a real broker, gives the picture expected of it, on
//! each server version.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use tcs_testkit::nats::{self, Binary, Server, on_each_server, wait_for};
use tcs_testkit::site::Site;
use tcs_testkit::tcsctl::{self, at, recording};

/// Replays into a server of its own, and lists.
async fn picture(binary: &Binary, name: &str, options: &[&str]) -> tcsctl::Output {
    let server = Server::start(binary).await;
    let mut args = vec!["replay", "--instant", "--create-streams"];
    let file = recording(name);
    args.push(&file);
    args.extend(options);
    at(&server.url(), &args).expect(0);
    let mut args = vec!["--all", "--json"];
    args.extend(options);
    at(&server.url(), &args).expect(0)
}

/// Name (launchers by the end of theirs), verdict and codes of the reasons.
fn verdicts(output: &tcsctl::Output) -> BTreeMap<String, (String, Vec<String>)> {
    let document = output.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    document["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|service| {
            let reasons = service["reasons"].as_array().unwrap().iter().map(text).collect();
            (text(&service["id"]), (text(&service["verdict"]), reasons))
        })
        .collect()
}

/// Asserts that these are all, each with its verdict.
fn assert_picture(output: &tcsctl::Output, expected: &[(&str, &str)]) {
    let found: BTreeMap<_, _> =
        verdicts(output).into_iter().map(|(id, (verdict, _))| (id, verdict)).collect();
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(id, verdict)| ((*id).to_owned(), (*verdict).to_owned())).collect();
    assert_eq!(found, expected);
    let document = output.json();
    assert_eq!(document["source"]["complete"], true, "{document:#}");
    assert_eq!(document["source"]["malformed"], 0);
    assert_eq!(document["counts"]["shown"], expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn process_launcher() {
    on_each_server(async |binary| {
        let output = picture(&binary, "process-launcher", &[]).await;
        assert_picture(
            &output,
            &[
                ("hello_world.main", "failed"),
                ("examples.nonblocking.tutorial", "failed"),
                ("examples.basic.tutorial", "stopped"),
                ("launcher.launcher.1fUQ1F.vm-process-launcher", "stopped"),
            ],
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn process_failed_start_and_graceful_stop() {
    on_each_server(async |binary| {
        let output = picture(&binary, "process-failed-start-and-graceful-stop", &[]).await;
        assert_picture(
            &output,
            &[
                ("badstart.a", "failed"),
                ("perm.a2", "stopped"),
                ("launcher.launcher.HPt9wb.vm-process-launcher", "stopped"),
            ],
        );
        let reasons = &verdicts(&output)["badstart.a"].1;
        assert!(reasons.contains(&"ended_after_failed".to_owned()), "{reasons:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inprocess_launcher() {
    on_each_server(async |binary| {
        let output = picture(&binary, "inprocess-launcher", &[]).await;
        assert_picture(
            &output,
            &[
                ("examples.basic.tutorial", "ok"),
                ("examples.logging.tutorial", "ok"),
                ("examples.minimal.tutorial", "ok"),
                ("examples.monitoring.tutorial", "error"),
                ("examples.nonblocking.tutorial", "ok"),
                ("launcher.launcher.Kx1xDO.vm-asyncio-launcher", "ok"),
                ("launcher.launcher.NfChOv.vm-process-launcher", "ok"),
                ("test.crash_simple.policy_always", "stopped"),
                ("test.crash_simple.policy_no", "stopped"),
                ("test.crash_simple.policy_on_abnormal", "stopped"),
                ("test.crash_simple.policy_on_failure", "stopped"),
            ],
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncio_sigterm() {
    on_each_server(async |binary| {
        let output = picture(&binary, "asyncio-sigterm", &[]).await;
        assert_picture(
            &output,
            &[
                ("early.a", "stopped"),
                ("perm.a", "stopped"),
                ("perm.b", "stopped"),
                ("shot.a", "stopped"),
                ("launcher.launcher.uqoK9B.vm-asyncio-launcher", "stopped"),
            ],
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncio_failed_start() {
    on_each_server(async |binary| {
        let output = picture(&binary, "asyncio-failed-start", &[]).await;
        let mut found = verdicts(&output);
        let launcher = found.iter().find(|(id, _)| id.contains("launcher")).unwrap().0.clone();
        assert_eq!(found.remove(&launcher).unwrap().0, "starting");
        assert_eq!(found.remove("badstart.a").unwrap().0, "failed");
        assert_eq!(found.remove("perm.a2").unwrap().0, "stopped");
        assert!(found.is_empty(), "{found:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standalone_sigterm_and_a_monitor_in_any_program() {
    on_each_server(async |binary| {
        let output = picture(&binary, "standalone-sigterm", &[]).await;
        assert_picture(&output, &[("perm.a2", "stopped")]);
        let output = picture(&binary, "monitor-and-rpc", &[]).await;
        assert_picture(&output, &[("guider.jk15", "stopped")]);
        let document = output.json();
        let guider = &document["services"][0];
        assert_eq!(guider["components"].as_array().unwrap().len(), 2);
        assert!(
            guider["metrics"].as_object().unwrap().contains_key("guide_rms_arcsec"),
            "{guider:#}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_never_replayed() {
    let server = Server::start(&nats::server()).await;
    let args = ["replay", "--instant", "--create-streams", &recording("rpc-with-replies")];
    let output = at(&server.url(), &args).expect(0);
    assert!(output.err.contains("0 messages stored"), "{output:#?}");
    assert_eq!(at(&server.url(), &["--all", "--json"]).expect(0).json()["counts"]["known"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn into_a_site_with_a_dotted_prefix() {
    on_each_server(async |binary| {
        let output = picture(&binary, "process-launcher", &["--prefix", "ocm.svc"]).await;
        assert_eq!(output.verdict("hello_world.main"), "failed");
        let streams = &output.json()["source"]["streams"];
        assert_eq!(streams["status"][0], "ocm_svc_status");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twice_and_the_second_counts_too() {
    let server = Server::start(&nats::server()).await;
    let file = recording("standalone-sigterm");
    let args = ["replay", "--instant", "--create-streams", &file];
    for _ in 0..2 {
        // a repeated message id would be dropped by the broker without a word
        let output = at(&server.url(), &args).expect(0);
        assert!(output.err.contains("7 messages stored"), "{output:#?}");
    }
    let events = at(&server.url(), &["events", "perm.a2", "--json"]).expect(0);
    let shutdowns =
        events.out.lines().filter(|line| line.contains("\"status\":\"shutdown\"")).count();
    assert_eq!(shutdowns, 2, "{events:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_is_is_old_and_otherwise_it_is_now() {
    let server = Server::start(&nats::server()).await;
    let file = recording("standalone-sigterm");
    at(&server.url(), &["replay", "--instant", "--create-streams", "--as-is", &file]).expect(0);
    let old = at(&server.url(), &["--all", "--json"]).expect(0).json();
    // the host's clock seems wrong by the age of the recording
    let skew = |document: &serde_json::Value| {
        document["hosts"].as_object().unwrap().values().next().unwrap()["skew_s"].as_f64().unwrap()
    };
    assert!(skew(&old).abs() > 3600.0, "{old:#}");
    let server = Server::start(&nats::server()).await;
    at(&server.url(), &["replay", "--instant", "--create-streams", &file]).expect(0);
    let new = at(&server.url(), &["--all", "--json"]).expect(0).json();
    assert!(skew(&new).abs() < 60.0, "{new:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_streams_there() {
    let server = Server::start(&nats::server()).await;
    let output =
        at(&server.url(), &["replay", "--instant", &recording("standalone-sigterm")]).expect(1);
    assert!(output.err.contains("error: no streams on svc"), "{output:#?}");
    assert!(output.err.contains("hint: add --create-streams"), "{output:#?}");
}

/// Two services of a fleet that lives, and its launcher.
const LIVES: &str = r#"
services:
  - {type: a, variant: a, launch: {exec: [sleep, "3600"]}}
  - {type: b, variant: b, launch: {exec: [sleep, "3600"]}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn onto_a_fleet_that_lives_only_with_consent() {
    on_each_server(async |binary| {
        let site = Site::at(Server::start(&binary).await, LIVES);
        let url = site.server.url();
        let runs = |id: &str| at(&url, &["wait", id, "--for", "ok"]).code == Some(0);
        wait_for("that both run", || runs("a.a") && runs("b.b")).await;
        let listed = || of(&at(&url, &["--all", "--json"]).expect(0).json());
        // the launcher too, and whose they are
        let is_known = |(id, (verdict, parent)): (&String, &(String, serde_json::Value))| {
            verdict == "ok" && (id.starts_with("launcher.") || parent.is_string())
        };
        let is_whole = || {
            let all = listed();
            all.len() == 3 && all.iter().all(is_known)
        };
        wait_for("that all is well", is_whole).await;
        let before = listed();
        let args = ["replay", "--instant", &recording("standalone-sigterm")];
        let output = at(&url, &args).expect(2);
        assert!(output.err.starts_with("error: 3 services run on `svc` at nats"), "{output:#?}");
        assert!(
            output.err.contains("; nothing was done\n  a.a\n  b.b\n  launcher."),
            "{output:#?}"
        );
        let hint = "\nhint: tcsctl replay /";
        assert!(output.err.contains(hint) && output.err.contains("--yes"), "{output:#?}");
        assert_eq!(listed(), before);
        // beside it
        let beside = [&args[..], &["--prefix", "replay", "--create-streams"]].concat();
        at(&url, &beside).expect(0);
        assert_eq!(listed(), before);
        // onto it
        at(&url, &[&args[..], &["--yes"]].concat()).expect(0);
        assert!(listed().contains_key("perm.a2"));
    })
    .await;
}

/// `tcsctl record` into `file`, once it says that it has begun.
struct Recording {
    child: std::process::Child,
    said: BufReader<std::process::ChildStderr>,
}

impl Recording {
    fn start(url: &str, file: &str) -> Self {
        let mut recorder = tcsctl::command(&["record", file, "--server", url]);
        let mut child = recorder.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("recording;") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended");
        }
        Self { child, said }
    }

    fn interrupt(self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        let kill = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(kill.success());
        self.end()
    }

    /// Its exit code, and the rest of what it said.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.child.kill().ok();
    }
}

fn lines(file: &std::path::Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the dashboard's twin shows of a recording: id, verdict and parent.
fn played(file: &str) -> BTreeMap<String, (String, serde_json::Value)> {
    let output = tcsctl::run(&["watch", "--replay", file, "--json", "--all", "--speed", "100"]);
    let objects = output.expect(0).objects();
    of(objects.iter().find(|object| object["kind"] == "snapshot").unwrap())
}

fn of(document: &serde_json::Value) -> BTreeMap<String, (String, serde_json::Value)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let services = document["services"].as_array().unwrap().iter();
    services.map(|it| (text(&it["id"]), (text(&it["verdict"]), it["parent"].clone()))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_can_be_replayed() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let original = recording("process-launcher");
        // so that the streams are there, with something old in them
        let args = ["replay", "--instant", "--create-streams", &recording("monitor-and-rpc")];
        at(&server.url(), &args).expect(0);
        let path = server.dir().join("night.jsonl");
        let file = path.to_str().unwrap();
        let recorder = Recording::start(&server.url(), file);
        let held = lines(&path).len();
        at(&server.url(), &["replay", "--instant", &original]).expect(0);
        let count = || std::fs::read_to_string(file).unwrap_or_default().lines().count();
        wait_for("all is recorded", || count() == held + 50).await;
        let (code, rest) = recorder.interrupt();
        assert_eq!(code, Some(0), "{rest}");
        assert!(rest.contains(&format!("{} messages recorded", held + 50)), "{rest}");

        // what was held comes first, with the time at which it was stored
        let written = lines(&path);
        let times: Vec<f64> = written.iter().map(|line| line["t"].as_f64().unwrap()).collect();
        let began = written[0]["held_at"].as_f64().unwrap();
        assert!(held > 0 && written[..held].iter().all(|line| line["held_at"] == began));
        assert!(written[held..].iter().all(|line| line.get("held_at").is_none()));
        assert!(times[..held].is_sorted() && times[held - 1] <= began && began <= times[held]);

        let other = Server::start(&binary).await;
        let args = ["replay", "--instant", "--create-streams", file];
        at(&other.url(), &args).expect(0);
        let output = at(&other.url(), &["--all", "--json"]).expect(0);
        assert_eq!(output.verdict("hello_world.main"), "failed");
        assert_eq!(output.verdict("guider.jk15"), "stopped");
        assert_eq!(output.json()["counts"]["known"], 5);
    })
    .await;
}

/// A recording of a fleet in which nothing happens is that fleet all the same: its tree, what has
/// failed, what is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_begins_with_the_state_held() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let args = ["replay", "--instant", "--create-streams", &recording("process-launcher")];
        at(&server.url(), &args).expect(0);
        let file = server.dir().join("quiet.jsonl");
        let file = file.to_str().unwrap();
        at(&server.url(), &["record", file, "--for", "100ms"]).expect(0);
        let now = of(&at(&server.url(), &["--all", "--json"]).expect(0).json());
        assert_eq!(now.len(), 4);
        assert_eq!(played(file), now);
        let other = Server::start(&binary).await;
        at(&other.url(), &["replay", "--create-streams", file]).expect(0);
        assert_eq!(of(&at(&other.url(), &["--all", "--json"]).expect(0).json()), now);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_broken_recording_what_is_whole_is_played() {
    let content = std::fs::read(recording("process-launcher")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.jsonl");
    let file = path.to_str().unwrap();
    std::fs::write(&path, &content[..content.len() - 30]).unwrap();
    let server = Server::start(&nats::server()).await;
    let output = at(&server.url(), &["replay", "--instant", "--create-streams", file]).expect(0);
    let warning = "warning: skipped: line 50 is not a recorded message (cut off): ";
    assert!(output.err.starts_with(warning), "{output:#?}");
    assert!(output.err.contains("49 messages stored"), "{output:#?}");
    let args = ["watch", "--replay", file, "--json", "--speed", "1000"];
    let output = tcsctl::run(&args).expect(0);
    assert!(output.err.starts_with(warning), "{output:#?}");
    assert!(!output.objects().is_empty());
    // not text at all
    std::fs::write(&path, b"\xff\xfe\0").unwrap();
    for args in [&["replay", file, "--server", &server.url()][..], &["watch", "--replay", file]] {
        let output = tcsctl::run(args).expect(1);
        assert!(output.err.contains("line 1 is not a recorded message"), "{output:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_failed_says_so() {
    let mut server = Server::start(&nats::server()).await;
    // nothing in the streams
    let args = ["replay", "--instant", "--create-streams", &recording("rpc-with-replies")];
    at(&server.url(), &args).expect(0);
    let path = server.dir().join("none.jsonl");
    let file = path.to_str().unwrap();
    let output = at(&server.url(), &["record", file, "--for", "50ms"]).expect(1);
    assert!(output.err.contains("error: no messages recorded"), "{output:#?}");
    // no room
    at(&server.url(), &["replay", "--instant", &recording("process-launcher")]).expect(0);
    let output = at(&server.url(), &["record", "/dev/full", "--for", "50ms"]).expect(1);
    assert!(output.err.contains("error: cannot write /dev/full: No space left"), "{output:#?}");
    // the broker goes, and is gone when the recording ends
    let mut recorder = Recording::start(&server.url(), file);
    server.stop();
    let mut said = String::new();
    while !said.contains("disconnected") {
        assert!(recorder.said.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    let (code, rest) = recorder.interrupt();
    assert_eq!(code, Some(3), "{rest}");
    assert!(rest.contains("error: disconnected since "), "{rest}");
    assert!(rest.contains("messages recorded before"), "{rest}");
    assert!(!lines(&path).is_empty());
}
