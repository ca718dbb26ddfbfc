//! `tcsctl` against real brokers: what is so, or in one line why that cannot be said, with the
//! right exit code, inside the time-out.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt as _;
use tcs_core::clock;
use tcs_testkit::nats::{self, JETSTREAM, LIMIT, Server, on_each_server, server, wait_for};
use tcs_testkit::port::Port;
use tcs_testkit::tcsctl::{self, Output, at, recording, run};
use tcs_testkit::terminal::Terminal;

/// One error, one hint or none, nothing on standard output.
fn assert_one_error(output: &Output, error: &str) {
    assert_eq!(output.out, "", "{output:#?}");
    let lines: Vec<_> = output.err.lines().collect();
    assert!(lines[0].starts_with("error: "), "{output:#?}");
    assert!(lines[0].contains(error), "not `{error}`: {output:#?}");
    assert!(lines[1..].iter().all(|line| line.starts_with("hint: ")), "{output:#?}");
}

async fn filled(binary: &nats::Binary, config: &str, login: &[&str]) -> Server {
    let server = Server::start_with(binary, config).await;
    let file = recording("inprocess-launcher");
    let mut args = vec!["replay", "--instant", "--create-streams", &file];
    args.extend(login);
    at(&server.url(), &args).expect(0);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_as_text() {
    on_each_server(async |binary| {
        let server = filled(&binary, JETSTREAM, &[]).await;
        let output = at(&server.url(), &[]).expect(0);
        assert_eq!(output.err, "", "{output:#?}");
        assert!(!output.out.contains('\x1b'), "colour in a pipe: {output:#?}");
        let lines: Vec<_> = output.out.lines().collect();
        assert!(
            lines[0].starts_with("● launcher.launcher.Kx1xDO.vm-asyncio-launcher"),
            "{output:#?}"
        );
        assert!(lines[1].starts_with("  ├─ ● examples.basic.tutorial"), "{output:#?}");
        let footer = lines[lines.len() - 2];
        assert!(footer.starts_with("1 error, 6 running, 4 stopped hidden (--all)"), "{output:#?}");
        assert!(footer.ends_with(&format!("from {}", server.url())), "{output:#?}");
        // what is wrong stands next to the prompt
        let problem = lines[lines.len() - 1];
        assert!(problem.starts_with("× ") && problem.contains("error"), "{output:#?}");
        // a filter looks through everything
        let output = at(&server.url(), &["policy_no"]).expect(0);
        assert!(output.out.starts_with("○ test.crash_simple.policy_no"), "{output:#?}");
        assert_eq!(output.out.lines().count(), 3, "no block: nothing is wrong\n{output:#?}");
    })
    .await;
}

/// Of a fleet that is higher than the terminal, the worst is still on the screen.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_stands_next_to_the_prompt() {
    let server = Server::start_with(&server(), JETSTREAM).await;
    at(&server.url(), &["replay", "--instant", "--create-streams", &recording("process-launcher")])
        .expect(0);
    let client = async_nats::connect(server.url()).await.unwrap();
    let streams = async_nats::jetstream::new(client);
    for (i, status) in (0..60).map(|i| (i, if i < 12 { "error" } else { "ok" })) {
        let name = format!("some.s{i:02}");
        let message = format!("axis {i} stuck");
        let data = serde_json::json!({"name": name, "status": status, "message": message});
        let body = serde_json::json!({"data": data, "meta": {"id": "m", "sender": "s"}});
        let subject = format!("svc.status.{name}");
        streams.publish(subject, body.to_string().into()).await.unwrap().await.unwrap();
    }
    let url = server.url();
    let args = ["--server", &url, "some"];
    let mut terminal =
        Terminal::start(env!("CARGO_BIN_EXE_tcsctl"), &args, &[("LANG", "C.UTF-8")], (80, 24));
    let shown = terminal.see("and 5 more");
    assert_eq!(terminal.end(), 0);
    let lines: Vec<_> = shown.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let block: Vec<_> = lines.iter().rev().take(8).rev().collect();
    assert!(block[0].contains("some.s"), "a third of 24 lines: {shown}");
    assert!(block[0].ends_with("stuck"), "{shown}");
    assert_eq!(*block[7], "and 5 more", "{shown}");
    // a pipe has room for all
    let output = at(&url, &["some"]).expect(0);
    let problems = output.out.lines().skip_while(|line| !line.starts_with("12 error, 48"));
    assert_eq!(problems.count(), 13, "{output:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_by_host_and_flat() {
    let server = filled(&server(), JETSTREAM, &[]).await;
    let by_host = at(&server.url(), &["--by", "host"]).expect(0);
    let first = by_host.out.lines().next().unwrap();
    assert!(first.starts_with("× vm   1 error, 6 running"), "{by_host:#?}");
    let flat = at(&server.url(), &["list", "--by", "flat"]).expect(0);
    assert!(flat.out.starts_with("× "), "{flat:#?}");
    let json = |args: &[&str]| at(&server.url(), args).expect(0).json()["services"].clone();
    let ids = |services: serde_json::Value| -> Vec<String> {
        services.as_array().unwrap().iter().map(|it| it["id"].to_string()).collect()
    };
    assert_eq!(ids(json(&["--json", "--by", "host"])), ids(json(&["--json"])));
    let refused = at(&server.url(), &["--by", "host", "events"]).expect(2);
    assert_one_error(&refused, "`--by` before `events`");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_keeps_to_its_schema() {
    let server = filled(&server(), JETSTREAM, &[]).await;
    let document = at(&server.url(), &["--all", "--json"]).expect(0).json();
    assert_eq!(document["source"]["clock"], "measured");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_matches_and_a_mistyped_command() {
    let server = filled(&server(), JETSTREAM, &[]).await;
    let output = at(&server.url(), &["nobody"]).expect(1);
    assert!(output.out.contains("no match of 11 known"), "{output:#?}");
    assert_eq!(output.err, "");
    let output = at(&server.url(), &["evnets"]).expect(1);
    assert!(output.err.contains("did you mean: tcsctl events"), "{output:#?}");
    let output = at(&server.url(), &["--all", "events"]).expect(2);
    assert_one_error(&output, "`--all` before `events`");
    let output = at(&server.url(), &["/(/"]).expect(2);
    assert_one_error(&output, "is not a regular expression");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_under_other_names() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let client = async_nats::connect(server.url()).await.unwrap();
        let streams = async_nats::jetstream::new(client);
        for (name, subject) in
            [("A", "svc.registry.>"), ("life_of_all", "svc.status.>"), ("pulse", "svc.heartbeat.>")]
        {
            let config = async_nats::jetstream::stream::Config {
                name: name.to_owned(),
                subjects: vec![subject.to_owned()],
                ..Default::default()
            };
            streams.create_stream(config).await.unwrap();
        }
        at(&server.url(), &["replay", "--instant", &recording("process-launcher")]).expect(0);
        let output = at(&server.url(), &["--all", "--json"]).expect(0);
        assert_eq!(output.verdict("hello_world.main"), "failed");
        assert_eq!(output.json()["source"]["streams"]["status"][0], "life_of_all");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_streams_is_not_no_services() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let output = at(&server.url(), &[]).expect(3);
        assert_one_error(&output, "no streams on svc");
        assert!(output.err.contains("--prefix"), "{output:#?}");
        let json = at(&server.url(), &["--json"]).expect(3).json();
        assert_eq!(json["source"]["complete"], false);
        assert_eq!(json["source"]["problems"][0], "no streams on svc");
        // one of three is missing
        let client = async_nats::connect(server.url()).await.unwrap();
        let streams = async_nats::jetstream::new(client);
        for kind in ["registry", "status"] {
            let config = async_nats::jetstream::stream::Config {
                name: format!("svc_{kind}"),
                subjects: vec![format!("svc.{kind}.>")],
                ..Default::default()
            };
            streams.create_stream(config).await.unwrap();
        }
        let output = at(&server.url(), &["--all"]).expect(3);
        assert_one_error(&output, "no stream on svc for: heartbeat");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jetstream() {
    on_each_server(async |binary| {
        let server = Server::start_with(&binary, "").await;
        let output = at(&server.url(), &[]).expect(3);
        assert_one_error(&output, "the server has no JetStream");
        assert!(output.err.contains("hint: start nats-server with JetStream"), "{output:#?}");
        let output = at(&server.url(), &["check"]).expect(3);
        assert!(output.out.starts_with("TCS UNKNOWN - "), "{output:#?}");
        assert!(output.out.contains("the server has no JetStream"), "{output:#?}");
    })
    .await;
}

/// `--core` listens where nothing is kept, and says that there is no history.
#[tokio::test(flavor = "multi_thread")]
async fn listening_without_streams() {
    let server = Server::start_with(&server(), "").await;
    let url = server.url();
    let args = ["--core", "--timeout", "10", "--all", "--json", "--server", &url];
    let listening = tcsctl::command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let client = async_nats::connect(&url).await.unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let beat = async {
        let body = r#"{"data": {"service_id": "guider.main", "timestamp": [2026, 11, 23], "status": "ok"}, "meta": {}}"#;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            client.publish("svc.heartbeat.guider.main", body.into()).await.unwrap();
            client.flush().await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let wait = async {
        let output = tokio::task::spawn_blocking(|| listening.wait_with_output()).await.unwrap();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        output.unwrap()
    };
    let (output, ()) = tokio::join!(wait, beat);
    assert_eq!(output.status.code(), Some(0));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["services"][0]["id"], "guider.main");
    assert_eq!(document["services"][0]["verdict"], "ok");
    assert_eq!(document["source"]["mode"], "core");
    assert_eq!(document["source"]["complete"], false);
}

/// Rights to look and nothing else; and even fewer.
const READERS: &str = r#"
jetstream { store_dir: "STORE" }
authorization {
  users: [
    { user: launcher, password: l }
    { user: viewer, password: v, permissions: {
      publish: ["$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.CREATE.>",
                "$JS.API.CONSUMER.DELETE.>", "$JS.FC.>"],
      subscribe: ["_INBOX.>", "svc.status.>", "svc.heartbeat.>", "svc.registry.>"] } }
    { user: gets, password: g, permissions: {
      publish: ["$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.*", "$JS.API.DIRECT.GET.>",
                "$JS.API.STREAM.MSG.GET.*"],
      subscribe: ["_INBOX.>", "svc.status.>", "svc.heartbeat.>", "svc.registry.>"] } }
    { user: names, password: n, permissions: {
      publish: ["$JS.API.STREAM.NAMES"], subscribe: ["_INBOX.>"] } }
  ]
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn users_with_few_rights() {
    on_each_server(async |binary| {
        let server = filled(&binary, READERS, &["--user", "launcher", "--password", "l"]).await;
        let whole =
            at(&server.url(), &["--all", "--json", "--user", "launcher", "--password", "l"]);
        let ids = |output: &Output| {
            let document = output.json();
            let services = document["services"].as_array().unwrap();
            services.iter().map(|s| (s["id"].clone(), s["verdict"].clone())).collect::<Vec<_>>()
        };
        for (user, password) in [("viewer", "v"), ("gets", "g")] {
            let login = ["--all", "--json", "--user", user, "--password", password];
            let output = at(&server.url(), &login).expect(0);
            assert_eq!(ids(&output), ids(&whole), "{user}");
        }
        let output = at(&server.url(), &["--user", "names", "--password", "n"]).expect(3);
        assert_eq!(output.out, "");
        assert!(output.err.contains("no right to publish `$JS.API."), "{output:#?}");
        assert!(output.err.contains("hint: ask for that right"), "{output:#?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_wrong_port_and_no_server() {
    on_each_server(async |binary| {
        let mut server = filled(&binary, READERS, &["--user", "launcher", "--password", "l"]).await;
        let output =
            at(&server.url(), &["--user", "launcher", "--password", "wrong-one"]).expect(3);
        assert_one_error(&output, "login refused");
        assert!(!output.err.contains("wrong-one"), "{output:#?}");
        assert_one_error(&at(&server.url(), &[]).expect(3), "login refused");
        let url = server.url();
        server.stop();
        let output = at(&url, &[]).expect(3);
        assert_one_error(&output, &format!("cannot connect to {url}: connection refused"));
        assert!(output.err.contains("hint: is the server running"), "{output:#?}");
        let output = at(&url, &["check"]).expect(3);
        assert!(output.out.starts_with("TCS UNKNOWN - cannot connect to "), "{output:#?}");
    })
    .await;
    let port = Port::free();
    let output = run(&["--host", "127.0.0.1", "--port", &port.number().to_string()]).expect(3);
    assert_one_error(&output, "connection refused");
    assert_one_error(&run(&["--host", "no such host"]).expect(2), "command line");
    assert_one_error(&run(&["--creds", "/no/such/file"]).expect(2), "/no/such/file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_takes_no_longer_than_the_time_out() {
    let server = filled(&server(), JETSTREAM, &[]).await;
    server.signal("STOP");
    let start = clock::monotonic();
    let output = at(&server.url(), &["--timeout", "1.5"]).expect(3);
    let took = start.elapsed();
    server.signal("CONT");
    assert_one_error(&output, "no answer in time");
    assert!(took < LIMIT, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verbose_says_who_decided() {
    let server = filled(&server(), JETSTREAM, &[]).await;
    let mut command = tcsctl::command(&["-v"]);
    command.env("NATS_URL", server.url());
    let output = tcsctl::finish(command).expect(0);
    assert!(output.err.contains(&format!("server: {} (NATS_URL)", server.url())), "{output:#?}");
    assert!(output.err.contains("status: svc_status"), "{output:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verbose_names_launchers_of_another_version() {
    let server = filled(&server(), JETSTREAM, &[]).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut asked = client.subscribe("$SRV.INFO").await.unwrap();
    client.flush().await.unwrap();
    let launcher = "launcher.launcher.Kx1xDO.vm-asyncio-launcher";
    let (set, version) = tokio::sync::watch::channel(env!("CARGO_PKG_VERSION"));
    tokio::spawn(async move {
        while let Some(request) = asked.next().await {
            let info = serde_json::json!({
                "name": "launcher", "version": *version.borrow(),
                "endpoints": [{"subject": format!("svc.rpc.{launcher}.v1.health")}],
            });
            client.publish(request.reply.unwrap(), info.to_string().into()).await.unwrap();
            client.flush().await.unwrap();
        }
    });
    let same = at(&server.url(), &["-v"]).expect(0).err;
    assert!(!same.contains("another version"), "{same}");
    set.send_replace("0.0.9");
    // launchers have a second to tell it
    wait_for("the version is told", || {
        let other = at(&server.url(), &["-v"]).expect(0).err;
        other.contains("launchers of another version than this tcsctl")
            && other.contains(&format!("{launcher} (0.0.9)"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_file_counts_and_a_broken_one_is_told() {
    let server = filled(&server(), JETSTREAM, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    let file = folder.path().join("config/services.yaml");
    let content = format!(
        "nats:\n  host: 127.0.0.1\n  port: {}\nservices:\n  - variant: nobody knows the type\n",
        server.port()
    );
    std::fs::write(&file, content).unwrap();
    let mut command = tcsctl::command(&["-v", "--all"]);
    command.current_dir(folder.path());
    let output = tcsctl::finish(command).expect(0);
    assert!(output.err.contains("(config/services.yaml)"), "{output:#?}");

    std::fs::write(&file, "nats: [what\n").unwrap();
    let mut command = tcsctl::command(&["--server", &server.url()]);
    command.current_dir(folder.path());
    let output = tcsctl::finish(command).expect(0);
    assert!(output.err.starts_with("warning: not used: "), "{output:#?}");
    let output = at(&server.url(), &["--config", file.to_str().unwrap()]).expect(2);
    assert_eq!(output.out, "");
    let output = at(&server.url(), &["--config", "/no/such.yaml"]).expect(2);
    assert_one_error(&output, "/no/such.yaml");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_is_success() {
    let server = filled(&server(), JETSTREAM, &[]).await;
    for args in [vec!["--all", "--json"], vec!["--all"], vec!["events", "-f"]] {
        let mut command = tcsctl::command(&args);
        command.args(["--server", &server.url()]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        if args[0] == "events" {
            // what follows finds nobody there
            let file = recording("standalone-sigterm");
            at(&server.url(), &["replay", "--instant", "--yes", &file]).expect(0);
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

/// Everything that comes from the network is data, on its way to a terminal too.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_from_the_network_acts() {
    on_each_server(async |binary| {
        let server = filled(&binary, JETSTREAM, &[]).await;
        let client = async_nats::connect(server.url()).await.unwrap();
        let streams = async_nats::jetstream::new(client);
        let evil = "\u{1b}[2J\u{1b}]0;gone\u{7}\r\n\u{9b}31m\u{202e}x";
        let big = "x".repeat(480_000);
        for (i, message) in [evil, &big].into_iter().enumerate() {
            // what a subject can carry of it, which is counted
            let name = format!("evil{i}.{}", evil.replace("\r\n", ""));
            let subject = format!("svc.status.{name}");
            let body = serde_json::json!({
                "data": {"name": name, "status": "ok", "message": message,
                         "hostname": evil, "parent": evil,
                         "details": {"metrics": {evil: message},
                                     "children": [{"name": evil, "status": "ok", "message": evil}]}},
                "meta": {"id": "m", "sender": evil},
            });
            streams.publish(subject, body.to_string().into()).await.unwrap().await.unwrap();
        }
        streams.publish("svc.status.evil.broken", "not JSON \u{1b}[2J".into()).await.unwrap().await.unwrap();
        for args in [
            vec!["--all"],
            vec!["--all", "--color", "always"],
            vec!["--all", "-d", "--color", "always"],
            vec!["--all", "--json"],
            vec!["events"],
            vec!["events", "--json"],
            vec!["check"],
        ] {
            let output = at(&server.url(), &args);
            let text = format!("{}{}", output.out, output.err);
            // colours of ours, and nothing else
            let bare = text.replace("\u{1b}[0m", "");
            let bare = [1, 2, 31, 32, 33, 36].iter().fold(bare, |bare, n| bare.replace(&format!("\u{1b}[{n}m"), ""));
            let acts = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!bare.contains(acts), "{args:?}: {:?}", bare.find(acts).map(|i| &bare[i.saturating_sub(40)..]));
        }
        let output = at(&server.url(), &["--all"]).expect(0);
        assert!(output.err.contains("3 messages could not be read"), "{output:#?}");
    })
    .await;
}

/// Another account's JetStream, imported under its own name: it answers each question, and delivers
/// where it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_delivers_to_another_account_is_hinted_at() {
    on_each_server(async |binary| {
        let accounts = r#"accounts {
            A { jetstream: enabled, users: [{user: a, password: a}]
                exports: [{service: "$JS.API.>", response_type: stream}] }
            B { users: [{user: b, password: b}]
                imports: [{service: {account: A, subject: "$JS.API.>"}}] } }"#;
        let server = Server::start_with(&binary, &format!("{JETSTREAM}{accounts}")).await;
        let options =
            async_nats::ConnectOptions::with_user_and_password("a".to_owned(), "a".to_owned());
        let streams = async_nats::jetstream::new(options.connect(server.url()).await.unwrap());
        for kind in ["registry", "status", "heartbeat"] {
            let config = async_nats::jetstream::stream::Config {
                name: format!("svc_{kind}"),
                subjects: vec![format!("svc.{kind}.>")],
                ..async_nats::jetstream::stream::Config::default()
            };
            streams.create_stream(config).await.unwrap();
        }
        let body = r#"{"data": {"name": "a.b", "status": "ok"}, "meta": {}}"#;
        streams.publish("svc.status.a.b", body.into()).await.unwrap().await.unwrap();
        let login = ["--user", "b", "--password", "b", "--timeout", "6s"];
        let output = at(&server.url(), &login).expect(3);
        assert!(
            output.err.starts_with("error: not read to the end: status\nhint: "),
            "{output:#?}"
        );
        assert!(output.err.contains("as `$JS.API`"), "{output:#?}");
    })
    .await;
}
