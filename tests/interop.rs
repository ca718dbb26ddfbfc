//! Beside serverish, the library of the Python fleet, as an independent client: what it publishes
//! is seen as it is, what we write it reads, and our listening never slows it.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tcs_core::bus::Bus;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::monitor::{Monitor, Reporter};
use tcs_core::wire::{
    Component, Crashed, Declared, Details, Envelope, Event, HeartbeatMessage, Limit, Meta,
    RegistryMessage, Status, StatusMessage, Stop, Timestamp,
};
use tcs_testkit::nats::{self, Server};
use tcs_testkit::python;

const NAME: &str = "guider.jk15";

fn tcsctl(server: &Server, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcsctl"))
        .args(["--server", &server.url()])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The command must end with 0: what it waited for came.
fn expect(server: &Server, args: &[&str]) {
    let output = tcsctl(server, args);
    let say = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (say(&output.stdout), say(&output.stderr));
    assert!(output.status.success(), "tcsctl {args:?}: {}\n{out}{err}", output.status);
}

/// The one service of the picture.
fn see(server: &Server) -> Value {
    let output = tcsctl(server, &["--json", NAME]);
    let picture: Value = serde_json::from_slice(&output.stdout).unwrap();
    let services = picture["services"].as_array().unwrap().clone();
    services.into_iter().find(|service| service["id"] == NAME).unwrap()
}

/// A Python program with serverish's monitor; see `testkit/python/monitored.py`.
struct Monitored {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Monitored {
    fn start(server: &Server) -> Self {
        let mut child = Command::new(python::interpreter())
            .arg(python::script("monitored.py"))
            .args([&server.port().to_string(), NAME, "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut monitored = Self { child, stdin, stdout };
        assert_eq!(monitored.line(), "ready");
        monitored
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Seconds that the slowest of five publishes took.
    fn slowest(&mut self) -> f64 {
        self.say("pace 5");
        self.line().strip_prefix("slowest ").unwrap().parse().unwrap()
    }
}

impl Drop for Monitored {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn bus(server: &Server) -> Bus {
    let flags = NatsSection { url: Some(server.url().as_str().into()), ..NatsSection::default() };
    let settings = Settings::from_process(&flags, None).unwrap();
    Bus::connect(&settings, "test", Duration::from_secs(10)).await.unwrap()
}

async fn with_streams(binary: &nats::Binary) -> Server {
    let server = Server::start(binary).await;
    bus(&server).await.create_missing_streams().await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_monitor_is_seen_as_it_is_alive_and_dead() {
    nats::on_each_server(|binary| async move {
        let server = with_streams(&binary).await;
        let mut monitored = Monitored::start(&server);
        expect(&server, &["wait", NAME, "--for", "ok", "--timeout", "60s"]);

        // its first heartbeat may come after its first status
        nats::wait_for("a heartbeat", || see(&server)["liveness"] == "live").await;
        let service = see(&server);
        assert_eq!(service["status"], "ok");
        assert_eq!(service["message"], "Guiding");
        assert_eq!(service["parent"], "launcher.site-a");
        assert_eq!(service["components"][0]["name"], "camera");
        assert_eq!(service["metrics"], json!({"rms": 0.45, "seeing": null}));

        monitored.say("status busy Exposing");
        expect(&server, &["wait", NAME, "--for", "ok", "--timeout", "60s"]);
        nats::wait_for("busy is seen", || see(&server)["status"] == "busy").await;
        monitored.say("status error Star lost");
        expect(&server, &["wait", NAME, "--for", "error", "--timeout", "60s"]);
        monitored.say("status ok Found again");
        expect(&server, &["wait", NAME, "--for", "ok", "--timeout", "60s"]);

        // its heart beats every second: a follower learns that, and need not wait for 120 s
        nats::wait_for("three beats", || {
            see(&server)["heartbeat_interval_s"].as_f64().is_some_and(|s| (0.5..2.0).contains(&s))
        })
        .await;
        monitored.child.kill().unwrap();
        let verdict = || see(&server)["verdict"].as_str().unwrap().to_owned();
        // how long a command takes is the machine's: late may be over by then
        nats::wait_for("late", || ["late", "lost"].contains(&verdict().as_str())).await;
        expect(&server, &["wait", NAME, "--for", "lost", "--timeout", "60s"]);
        assert_eq!(see(&server)["reasons"][0], "heartbeat_lost");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_monitor_that_ends_with_a_component_in_error_is_stopped() {
    nats::on_each_server(|binary| async move {
        let server = with_streams(&binary).await;
        let mut monitored = Monitored::start(&server);
        expect(&server, &["wait", NAME, "--for", "ok", "--timeout", "60s"]);
        // it sends its component's status with its own next one
        monitored.say("camera error no signal");
        monitored.say("status busy Exposing");
        expect(&server, &["wait", NAME, "--for", "error", "--timeout", "60s"]);
        let service = see(&server);
        assert_eq!(service["headline"], "camera: no signal");
        assert_eq!(service["cause"], "camera: no signal");
        assert_eq!((&service["status"], &service["own_status"]), (&json!("error"), &json!("busy")));
        // as a service of ocabox-tcs ends
        monitored.say("status shutdown Stopping service");
        monitored.say("status ok Service stopped");
        nats::wait_for("its end", || see(&server)["verdict"] != "error").await;
        monitored.say("quit");
        expect(&server, &["wait", NAME, "--for", "stopped", "--timeout", "60s"]);
        let service = see(&server);
        assert_eq!((&service["phase"], &service["cause"]), (&json!("stopped"), &json!(null)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_monitor_that_ends_with_a_component_in_error_is_stopped() {
    nats::on_each_server(|binary| async move {
        let server = with_streams(&binary).await;
        let url = NatsSection { url: Some(server.url().as_str().into()), ..NatsSection::default() };
        let settings = Settings::from_process(&url, None).unwrap();
        let reporter = Reporter::open(settings, "test").unwrap();
        let rust = Monitor::builder(NAME).unwrap().start(&reporter);
        rust.set_status(Status::Busy, "Exposing");
        rust.submonitor("camera").set_status(Status::Error, "no signal");
        expect(&server, &["wait", NAME, "--for", "error", "--timeout", "60s"]);
        assert_eq!(see(&server)["headline"], "camera: no signal");
        tokio::task::spawn_blocking(move || drop(rust)).await.unwrap();
        expect(&server, &["wait", NAME, "--for", "stopped", "--timeout", "60s"]);
        let service = see(&server);
        assert_eq!((&service["phase"], &service["cause"]), (&json!("stopped"), &json!(null)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_publisher_is_never_slowed_by_our_listening() {
    nats::on_each_server(|binary| async move {
        // a listener where no stream holds the subjects would make each publish wait for an ack
        // that never comes, three times 5 s
        for streams in [false, true] {
            let server = Server::start(&binary).await;
            if streams {
                bus(&server).await.create_missing_streams().await;
            }
            let mut listener = Command::new(env!("CARGO_BIN_EXE_tcsctl"))
                .args(["--server", &server.url(), "events", "--follow"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut monitored = Monitored::start(&server);
            let slowest = monitored.slowest();
            listener.kill().ok();
            listener.wait().unwrap();
            println!("streams {streams}: the slowest publish took {slowest} s");
            assert!(slowest < 12.0, "streams {streams}: a publish took {slowest} s");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_monitor_and_a_python_one_are_listed_alike() {
    nats::on_each_server(|binary| async move {
        let server = with_streams(&binary).await;
        let mut python = Monitored::start(&server);
        let url = NatsSection { url: Some(server.url().as_str().into()), ..NatsSection::default() };
        let settings = Settings::from_process(&url, None).unwrap();
        let reporter = Reporter::open(settings, "test").unwrap();
        let rust = Monitor::builder("guider.rust")
            .unwrap()
            .parent("launcher.site-a")
            .heartbeat(Duration::from_secs(1))
            .start(&reporter);
        rust.submonitor("camera").set_status(Status::Ok, "Exposing");
        rust.add_metrics(|| json!({"rms": 0.45, "seeing": null}).as_object().unwrap().clone());
        rust.set_status(Status::Ok, "Guiding");
        for (word, status) in [("warning", Status::Warning), ("busy", Status::Busy)] {
            python.say(&format!("status {word} Clouds"));
            rust.set_status(status, "Clouds");
        }

        let listed = || -> Vec<Value> {
            let output = tcsctl(&server, &["--json", "guider"]);
            let picture: Value = serde_json::from_slice(&output.stdout).unwrap();
            let shown =
                ["verdict", "status", "message", "liveness", "phase", "parent", "metrics", "pid"];
            let services = picture["services"].as_array().unwrap().iter().map(|service| {
                let mut like: Value =
                    shown.iter().map(|key| ((*key).to_owned(), service[*key].clone())).collect();
                like["pid"] = json!(service["pid"].is_u64());
                like["host"] = service["host"].clone();
                let camera = &service["components"][0];
                like["camera"] = json!([camera["name"], camera["status"], camera["message"]]);
                like
            });
            services.collect()
        };
        // each is heard when it is: their heartbeats, too
        nats::wait_for("both say the same", || {
            let both = listed();
            let is_busy = both.len() == 2 && both.iter().all(|it| it["status"] == "busy");
            if is_busy && both[0] != both[1] {
                println!("{both:#?}");
            }
            is_busy && both[0] == both[1]
        })
        .await;
        nats::wait_for("with their part", || {
            listed().iter().all(|it| it["camera"] == json!(["camera", "ok", "Exposing"]))
        })
        .await;
        rust.close();
    })
    .await;
}

/// All that a subject's stream holds, as serverish's reader gives it.
fn read_by_serverish(server: &Server, subject: &str) -> Vec<Value> {
    let output = Command::new(python::interpreter())
        .arg(python::script("reader.py"))
        .args([&server.port().to_string(), subject])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_types_write_serverish_reads() {
    let now = Timestamp::from_elements(&[2026, 11, 23, 1, 2, 3, 456_789]).unwrap();
    let status = StatusMessage {
        name: NAME.to_owned(),
        status: Status::Busy,
        timestamp: Some(now),
        message: Some("Exposing".to_owned()),
        details: Details {
            own_status: Some(Status::Busy),
            components: vec![Component {
                name: "camera".to_owned(),
                status: Status::Ok,
                timestamp: Some(now),
                ..Component::default()
            }],
            metrics: json!({"rms": 0.45}).as_object().unwrap().clone(),
            coalesced: Some(3),
            ..Details::default()
        }
        .into(),
        parent: Some("launcher.L.srv01-process-launcher".to_owned()),
        pid: Some(100),
        hostname: Some("srv01".to_owned()),
        ..StatusMessage::default()
    };
    let beat = HeartbeatMessage {
        service_id: NAME.to_owned(),
        timestamp: Some(now),
        status: Some(Status::Busy),
        sequence: Some(1),
        interval_seconds: Some(10.0),
        next_heartbeat_expected: Some(now),
        lag_seconds: Some(0.001),
        ..HeartbeatMessage::default()
    };
    let events = [
        Event::Declared(Declared {
            restart_policy: Some("on-failure".to_owned()),
            restart_max: Some(Limit::Times(5)),
            ..Declared::default()
        }),
        Event::Start { hostname: Some("srv01".to_owned()), pid: Some(100), recent_crashes: None },
        Event::Ready { startup_duration_seconds: Some(0.2) },
        Event::Crashed(Crashed {
            exit_code: Some(-9),
            will_restart: true,
            signal: Some("SIGKILL".to_owned()),
            max_restarts: Some(Limit::Times(5)),
            ..Crashed::default()
        }),
        Event::Restarting {
            restart_attempt: Some(1),
            max_restarts: Some(Limit::Unlimited),
            recent_crashes: None,
        },
        Event::Stop(Stop {
            reason: Some("completed".to_owned()),
            exit_code: Some(0),
            ..Stop::default()
        }),
        Event::Failed {
            reason: Some("restart_limit_reached".to_owned()),
            restart_count: Some(5),
            restart_window: Some(60.0),
        },
    ];

    let binary = nats::server();
    let server = with_streams(&binary).await;
    let bus = bus(&server).await;
    let subjects = bus.subjects().clone();
    let mut sent = Vec::new();
    sent.push((subjects.status(NAME), serde_json::to_value(&status).unwrap()));
    sent.push((subjects.heartbeat(NAME), serde_json::to_value(&beat).unwrap()));
    for (event, seq) in events.into_iter().zip(1..) {
        let subject = subjects.registry(event.name(), NAME);
        let message = RegistryMessage {
            service_id: NAME.to_owned(),
            timestamp: Some(now),
            parent: Some("launcher.L.srv01-process-launcher".to_owned()),
            runner_id: Some("L.srv01-process-launcher.guider".to_owned()),
            launcher_run: Some("k3".to_owned()),
            event_seq: Some(seq),
            requested_by: None,
            event,
        };
        sent.push((subject, serde_json::to_value(&message).unwrap()));
    }
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    for ((subject, data), i) in sent.iter().zip(1..) {
        let mut meta = Meta::new(format!("msg-{i}"), "Messenger_test", now);
        meta.timestamp = Some(now);
        let body = Envelope { data: Some(data), meta: &meta }.to_body().unwrap();
        context.publish(subject.clone(), body.into()).await.unwrap().await.unwrap();
    }
    for ((subject, data), i) in sent.iter().zip(1..) {
        let read = read_by_serverish(&server, subject);
        assert_eq!(read.len(), 1, "{subject}");
        assert_eq!(&read[0]["data"], data, "{subject}");
        assert_eq!(read[0]["meta"]["id"], format!("msg-{i}"));
        assert_eq!(read[0]["meta"]["ts"], json!([2026, 11, 23, 1, 2, 3, 456_789]));
    }
}
