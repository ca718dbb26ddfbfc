//! `config/nats-server.conf`, as it is, on real servers: what each of its users may do, what not,
//! and how that is told.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/nats.rs"]
mod nats;
#[path = "support/python.rs"]
mod python;
#[path = "support/tcsctl.rs"]
mod tcsctl;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nats::{Binary, LIMIT, Server, on_each_server};
use tcs_core::bus::Bus;
use tcs_core::bus::publish::{Parcel, Publisher};
use tcs_core::bus::rpc::{Announcement, Command as Served, Responders};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcsctl::{Output, at};

const CONFIG: &str = include_str!("../config/nats-server.conf");
const USERS: [&str; 3] = ["viewer", "operator", "launcher"];

/// Killed, not asked, should the test fail.
struct Tcsd(Child);

impl Drop for Tcsd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn server(binary: &Binary) -> Server {
    let config = CONFIG.replace("/var/lib/nats", "STORE");
    let passwords = USERS
        .map(|user| (format!("TCS_{}_PASSWORD", user.to_uppercase()), format!("\"pw-{user}\"")));
    Server::start_with_environment(binary, &config, passwords.into()).await
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
  - {{type: x, variant: a, launch: {{exec: [sleep, '1000']}}}}
  - type: field
    variant: a
    module: field_service
    launch:
      python: '{}'
      env: {{PYTHONPATH: '{}', NATS_HOST: 'launcher:pw-launcher@127.0.0.1', NATS_PORT: '{}'}}
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

/// Words in a service's place are denied.
async fn assert_no_impostor(server: &Server, user: &str) {
    let bus = bus(server, user).await;
    let seen = async |what: String| {
        nats::wait_for(&what, || {
            let log = server.log();
            log.lines().any(|line| line.contains(&what) && line.contains(&format!("{user}\"")))
        })
        .await;
    };
    for subject in ["svc.status.x.a", "svc.registry.stop.x.a", "svc.heartbeat.x.a"] {
        let parcel = Parcel::new(subject.to_owned(), &serde_json::json!({})).unwrap();
        let publisher = Publisher::new(bus.clone());
        tokio::spawn(async move { publisher.send(&parcel).await });
        seen(format!("Subject \"{subject}\"")).await;
    }
    let about = Announcement {
        name: "x.b".to_owned(),
        description: "an impostor".to_owned(),
        version: "1.0.0".to_owned(),
    };
    let health = Served::new("health", |_| async { Err("no".to_owned()) });
    let _serving = Responders::new(bus.clone()).serve(about, [health]).await;
    seen("Subject \"svc.rpc.x.b.v1.health\"".to_owned()).await;
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
            ctl(&["logs", "x.a"]).expect(0);
            ctl(&["check", "x.a"]).expect(0);
            let document = ctl(&["--all", "--json"]).json();
            let all = document["services"].as_array().unwrap();
            let launcher = all.iter().find(|it| it["is_launcher"] == true).unwrap();
            ctl(&["health", launcher["id"].as_str().unwrap()]).expect(0);
            assert_no_impostor(&server, user).await;
            // the Python fleet's own client
            let mut reader = Command::new(python::interpreter());
            reader.arg(python::script("reader.py")).arg(server.port().to_string());
            let output =
                reader.args(["svc.status.>", &format!("{user}:pw-{user}")]).output().unwrap();
            let read = String::from_utf8(output.stdout).unwrap();
            assert!(read.contains("\"field.a\""), "{user}: {read}");
        }

        // what the viewer may not, is told at once and by name
        for command in ["start", "stop", "restart"] {
            let output = ctl(&server, "viewer", &[command, "x.a"]);
            assert_ne!(output.code, Some(0), "{output:#?}");
            assert!(output.out.contains("no right to publish `svc.rpc.launcher."), "{output:#?}");
        }
        let output = ctl(&server, "viewer", &["reload", "--yes"]);
        assert!(output.out.contains("no right to publish `svc.rpc.launcher."), "{output:#?}");
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

        // the launcher was denied nothing
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert!(!log.contains("no right"), "{log}");
        let log = server.log();
        let mut denied = log.lines().filter(|line| line.contains("Violation"));
        let meant = |line: &str| {
            let lesser = line.contains("viewer\"") || line.contains("operator\"");
            lesser && !line.contains("$JS")
        };
        assert!(denied.all(meant), "{log}");
        drop(tcsd);

        // nobody is anybody without a password
        let settings = NatsSection { password: None, ..section(&server, "viewer") };
        let settings = Settings::from_process(&settings, None).unwrap();
        assert!(Bus::connect(&settings, "test", LIMIT).await.is_err());
    })
    .await;
}
