//! `config/nats-server.conf`, as it is, on real servers: what each of its users may do, what not,
//! how that is told, and what happens to those who try all the same ([`attacks`], [`forgeries`]).
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "rights/alarms.rs"]
mod alarms;
#[path = "rights/attacks.rs"]
mod attacks;
#[path = "rights/backup.rs"]
mod backup;
#[path = "rights/cluster.rs"]
mod cluster;
#[path = "rights/consumers.rs"]
mod consumers;
#[path = "rights/forgeries.rs"]
mod forgeries;
#[path = "rights/serve.rs"]
mod serve;
#[path = "rights/site.rs"]
mod site;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use tcs_core::bus::Bus;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_testkit::nats::{self, Binary, LIMIT, Server, on_each_server};
use tcs_testkit::python;
use tcs_testkit::tcsctl::{self, Output, at};

const CONFIG: &str = include_str!("../config/nats-server.conf");
const USERS: [&str; 5] = ["viewer", "operator", "launcher", "service", "reader"];

/// Killed, not asked, should the test fail.
struct Tcsd(Child);

impl Drop for Tcsd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The sample with its optional user.
fn config() -> String {
    assert!(CONFIG.contains("      #reader {\n"));
    CONFIG.replace("/var/lib/nats", "STORE").replace("#reader ", "")
}

fn passwords() -> Vec<(String, String)> {
    let password =
        |user: &str| (format!("TCS_{}_PASSWORD", user.to_uppercase()), format!("\"pw-{user}\""));
    USERS.map(password).into()
}

async fn server(binary: &Binary) -> Server {
    Server::start_with_environment(binary, &config(), passwords()).await
}

fn section(server: &Server, user: &str) -> NatsSection {
    NatsSection {
        port: Some(server.port()),
        user: Some(user.to_owned()),
        password: Some(format!("pw-{user}").as_str().into()),
        ..NatsSection::default()
    }
}

async fn bus(server: &Server, user: &str) -> Bus {
    let settings = Settings::from_process(&section(server, user), None).unwrap();
    Bus::connect(&settings, "test", LIMIT).await.unwrap()
}

fn ctl(server: &Server, user: &str, args: &[&str]) -> Output {
    let password = format!("pw-{user}");
    let login = ["--user", user, "--password", &password];
    at(&server.url(), &[args, &login].concat())
}

/// A launcher of one program and one Python service.
async fn fleet(server: &Server, dir: &Path) -> Tcsd {
    let text = format!(
        "services:
  - {{type: x, variant: a, launch: {{exec: [sh, -c, 'while :; do echo tick; sleep 0.1; done']}}}}
  - type: field
    variant: a
    module: field_service
    launch:
      python: '{}'
      env: {{PYTHONPATH: '{}', NATS_HOST: 'service:pw-service@127.0.0.1', NATS_PORT: '{}'}}
",
        python::interpreter().display(),
        python::script("").display(),
        server.port()
    );
    std::fs::write(dir.join("services.yaml"), text).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_tcsctl")).with_file_name("tcsd");
    assert!(program.exists(), "no {}: cargo build -p tcs-launcher --bin tcsd", program.display());
    let mut command = Command::new(program);
    command.args(["--config", "services.yaml"]).current_dir(dir).stdin(Stdio::null());
    command.stderr(std::fs::File::create(dir.join("log")).unwrap());
    command.env("RUNTIME_DIRECTORY", dir).env("NATS_URL", server.url());
    command.env("NATS_USER", "launcher").env("NATS_PASSWORD", "pw-launcher");
    let tcsd = Tcsd(command.spawn().unwrap());
    let start = tcs_core::clock::monotonic();
    loop {
        // only now: before the streams are there it would be refused
        let output = ctl(server, "operator", &["--json"]);
        if output.code == Some(0) && ["x.a", "field.a"].iter().all(|id| is_ok(&output, id)) {
            return tcsd;
        }
        let log = std::fs::read_to_string(dir.join("log")).unwrap();
        assert!(start.elapsed() < LIMIT, "{output:#?}\n{log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_ok(output: &Output, id: &str) -> bool {
    let document = output.json();
    let mut all = document["services"].as_array().unwrap().iter();
    all.any(|it| it["id"] == id && it["verdict"] == "ok")
}

/// Follows a log. Meanwhile somebody of the same account has a launcher's answer delivered where
/// log lines are heard.
async fn assert_follows_log(server: &Server, user: &str, launcher: &str) {
    let password = format!("pw-{user}");
    let mut command = tcsctl::command(&["logs", "x.a", "-f", "--lines", "0", "--json"]);
    command.args(["--server", &server.url(), "--user", user, "--password", &password]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut read = vec![lines.next().unwrap().unwrap()];

    let attacker = site::client(server, user).await;
    let mut heard = attacker.subscribe("svc.journal.x.a").await.unwrap();
    let question = site::envelope(&serde_json::json!({}));
    let health = format!("svc.rpc.{launcher}.v1.health");
    attacker.publish_with_reply(health, "svc.journal.x.a", question.into()).await.unwrap();
    nats::within_limit("the answer is heard there", async {
        while heard.next().await.unwrap().payload.windows(4).any(|it| it == b"tick") {}
    })
    .await;

    read.extend(lines.by_ref().take(20).map(Result::unwrap));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(read.iter().all(|line| line.contains("tick")), "{user}: {read:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_of_the_sample_has_its_rights_and_no_more() {
    on_each_server(async |binary| {
        let server = server(&binary).await;
        let dir = tempfile::tempdir().unwrap();
        let tcsd = fleet(&server, dir.path()).await;

        // to see, to ask what changes nothing, and what was
        for user in ["viewer", "operator"] {
            let ctl = |args: &[&str]| ctl(&server, user, args);
            assert!(ctl(&["list", "--all"]).expect(0).out.contains("x.a"), "{user}");
            assert!(ctl(&["events"]).expect(0).out.contains("x.a"), "{user}");
            assert!(ctl(&["logs", "x.a"]).expect(0).out.contains("tick"), "{user}");
            ctl(&["check", "x.a"]).expect(0);
            assert!(ctl(&["-d"]).expect(0).out.contains("field.a"), "{user}");
            let now = ctl(&["--json"]).json();
            let past = ctl(&["--at", now["taken_at"].as_str().unwrap(), "--json"]).expect(0);
            assert!(is_ok(&past, "x.a"), "{user}: {past:#?}");
            let document = ctl(&["--all", "--json"]).json();
            let all = document["services"].as_array().unwrap();
            let launcher = all.iter().find(|it| it["is_launcher"] == true).unwrap();
            let launcher = launcher["id"].as_str().unwrap();
            ctl(&["health", launcher]).expect(0);
            assert_follows_log(&server, user, launcher).await;
        }

        // the Python fleet's own client needs consumers
        let mut reader = Command::new(python::interpreter());
        reader.arg(python::script("reader.py")).arg(server.port().to_string());
        let output = reader.args(["svc.status.>", "reader:pw-reader"]).output().unwrap();
        let read = String::from_utf8(output.stdout).unwrap();
        assert!(read.contains("\"field.a\""), "{read}");

        // what the viewer may not, is told at once and by name
        for command in ["start", "stop", "restart"] {
            let output = ctl(&server, "viewer", &[command, "x.a"]);
            assert_ne!(output.code, Some(0), "{output:#?}");
            assert!(output.out.contains("no right to publish `svc.rpc.launcher."), "{output:#?}");
        }
        let output = ctl(&server, "viewer", &["reload", "--yes"]);
        assert!(output.out.contains("no right to publish `svc.rpc.launcher."), "{output:#?}");
        for args in [&["upgrade"][..], &["profile", "night"], &["drill", "crash", "x.a"]] {
            let yes = if args[0] == "upgrade" { &[][..] } else { &["--yes"] };
            let output = ctl(&server, "viewer", &[args, yes].concat());
            assert_ne!(output.code, Some(0), "{output:#?}");
            assert!(output.err.contains("no right to publish `svc.rpc.launcher."), "{output:#?}");
        }
        let pid = || {
            let document = ctl(&server, "viewer", &["--all", "--json"]).json();
            let all = document["services"].as_array().unwrap().clone();
            all.into_iter().find(|it| it["id"] == "x.a").unwrap()["pid"].clone()
        };
        let before = pid();

        // the operator may
        assert!(ctl(&server, "operator", &["restart", "x.a"]).expect(0).out.contains("restarted"));
        assert_ne!(pid(), before);
        ctl(&server, "operator", &["stop", "x.a"]).expect(0);
        ctl(&server, "operator", &["start", "x.a"]).expect(0);
        ctl(&server, "operator", &["reload", "--yes"]).expect(0);

        // nobody was denied what it needs
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert!(!log.contains("no right"), "{log}");
        let log = server.log();
        let mut denied = log.lines().filter(|line| line.contains("Violation"));
        assert!(denied.all(|line| line.contains("viewer\"") && line.contains("svc.rpc.")), "{log}");
        drop(tcsd);

        // nobody is anybody without a password
        let settings = NatsSection { password: None, ..section(&server, "viewer") };
        let settings = Settings::from_process(&settings, None).unwrap();
        assert!(Bus::connect(&settings, "test", LIMIT).await.is_err());
    })
    .await;
}

/// The page on rights is followed: its second viewer, its command that is refused.
#[tokio::test(flavor = "multi_thread")]
async fn the_handbook_adds_a_person() {
    let page = include_str!("../docs/handbook/rights.md");
    let entry = page.split("```").find(|part| part.contains("user: anna")).unwrap();
    let entry = entry.replace("{ ... as for viewer ... }", "[\"JS.TCS.API.>\"]");
    on_each_server(async |binary| {
        let users = "  VIEWERS {\n    users: [\n";
        let config = config();
        assert!(config.contains(users));
        let config = config.replace(users, &format!("{users}{entry}"));
        let mut passwords = passwords();
        passwords.push(("TCS_ANNA_PASSWORD".to_owned(), "\"pw-anna\"".to_owned()));
        let server = Server::start_with_environment(&binary, &config, passwords).await;
        site::fill(&site::client(&server, "launcher").await, 1).await;
        let output = ctl(&server, "anna", &["--all"]).expect(0);
        assert!(output.out.contains("camera.a"), "{output:#?}");
        let refused = ctl(&server, "anna", &["health", "camera.a"]);
        assert!(refused.out.contains("no right to publish `svc.rpc.camera.a"), "{refused:#?}");
    })
    .await;
}

/// The lines of a block of the page on rights that are typed.
fn typed(block: usize) -> Vec<&'static str> {
    let page = include_str!("../docs/handbook/rights.md");
    let block = page.split("```console\n").nth(block).unwrap().split("```").next().unwrap();
    block.lines().filter_map(|line| line.strip_prefix("$ ")).collect()
}

/// Starts the server with the passwords of the handbook's page; its command is refused.
#[tokio::test(flavor = "multi_thread")]
async fn the_handbooks_commands_are_as_it_says() {
    let (start, restart) = (typed(1), typed(2));
    let [exports @ .., "nats-server -c config/nats-server.conf"] = &start[..] else {
        panic!("{start:?}")
    };
    let script = format!("{}\nenv", exports.join("\n"));
    let environment = Command::new("sh").args(["-c", &script]).env_clear().output().unwrap();
    let environment = String::from_utf8(environment.stdout).unwrap();
    let passwords: Vec<(String, String)> = environment
        .lines()
        .filter(|line| line.starts_with("TCS_"))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(passwords.len(), 4, "{environment}");
    on_each_server(async |binary| {
        let config = CONFIG.replace("/var/lib/nats", "STORE");
        let server = Server::start_with_environment(&binary, &config, passwords.clone()).await;
        let dir = tempfile::tempdir().unwrap();
        let text = "services:
  - {type: camera, variant: main, launch: {exec: [sleep, '1000']}}
nats: {url: 'URL', user: launcher, password: '${TCS_LAUNCHER_PASSWORD}'}
";
        std::fs::write(dir.path().join("services.yaml"), text.replace("URL", &server.url()))
            .unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_tcsctl")).with_file_name("tcsd");
        let mut command = Command::new(program);
        command.args(["--config", "services.yaml"]).current_dir(dir.path());
        command.env("RUNTIME_DIRECTORY", dir.path()).env("TCS_LAUNCHER_PASSWORD", "run");
        let _tcsd = Tcsd(command.stderr(Stdio::null()).spawn().unwrap());
        let [restart] = restart[..] else { panic!("{restart:?}") };
        let args: Vec<&str> = restart.strip_prefix("tcsctl ").unwrap().split(' ').collect();
        nats::wait_for("the page's answer", || {
            let output = at(&server.url(), &args);
            let told = format!("{}{}", output.out, output.err);
            told.contains("no right to publish `svc.rpc.launcher.")
                && told.contains(".v1.restart.camera.main`")
        })
        .await;
    })
    .await;
}

/// Empty messages and deletion markers say nothing, and are nobody's fault.
#[tokio::test(flavor = "multi_thread")]
async fn tombstones_are_not_malformed() {
    on_each_server(async |binary| {
        let server = server(&binary).await;
        let launcher = site::client(&server, "launcher").await;
        site::fill(&launcher, 1).await;
        let context = async_nats::jetstream::new(launcher);
        let mut deleted = async_nats::HeaderMap::new();
        deleted.insert("KV-Operation", "DEL");
        for (subject, headers) in [
            ("svc.status.gone.a", async_nats::HeaderMap::new()),
            ("svc.status.gone.b", deleted.clone()),
            ("svc.registry.stop.gone.a", deleted),
        ] {
            let stored = context.publish_with_headers(subject, headers, "".into());
            stored.await.unwrap().await.unwrap();
        }
        for user in ["viewer", "reader"] {
            let output = ctl(&server, user, &["--all", "--json"]).expect(0);
            let document = output.json();
            assert_eq!(document["source"]["malformed"], 0, "{user}: {document:#}");
            assert!(!output.err.contains("could not be read"), "{user}: {output:#?}");
            assert!(!output.out.contains("gone."), "{user}: {output:#?}");
            let output = ctl(&server, user, &["events"]).expect(0);
            assert!(!output.out.contains("gone.") && output.err.is_empty(), "{user}: {output:#?}");
        }
    })
    .await;
}

/// A message that cannot be read hides no other from those who may get single messages, and is no
/// error to those who may not.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_malformed_message_hides_is_read_by_who_may() {
    on_each_server(async |binary| {
        let server = server(&binary).await;
        let launcher = site::client(&server, "launcher").await;
        site::fill(&launcher, 1).await;
        let context = async_nats::jetstream::new(launcher);
        let status = json!({"data": {"name": "hidden.a", "status": "failed"}}).to_string();
        for body in [status.as_str(), "{", "[]"] {
            let stored = context.publish("svc.status.hidden.a", body.to_owned().into());
            stored.await.unwrap().await.unwrap();
        }
        for (user, sees) in [("viewer", true), ("reader", false)] {
            let output = ctl(&server, user, &["--all", "--json"]);
            let document = output.json();
            assert_eq!(document["source"]["malformed"], 1, "{user}: {document:#}");
            let mut services = document["services"].as_array().unwrap().iter();
            let is_there = services.any(|it| it["id"] == "hidden.a" && it["status"] == "failed");
            assert_eq!(is_there, sees, "{user}: {document:#}");
            assert!(!output.err.contains("denied"), "{user}: {output:#?}");
            output.expect(0);
        }
    })
    .await;
}
