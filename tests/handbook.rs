//! The handbook's page on clusters and sites, tried: its files from `config/` start real servers,
//! and its commands run against them. And each command in the handbook and the README, the reference
//! of the services file, and the links of the built book.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "handbook/blocks.rs"]
mod blocks;
#[path = "handbook/book.rs"]
mod book;
#[path = "handbook/commands.rs"]
mod commands;
#[path = "handbook/reference.rs"]
mod reference;
#[path = "handbook/replicas.rs"]
mod replicas;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tcs_core::bus::Bus;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::streams::{Made, StreamFacts};
use tcs_testkit::cluster::Cluster;
use tcs_testkit::nats::{Server, on_each_server, within_limit};
use tcs_testkit::port::Port;
use tcs_testkit::tcsctl;

const TIMEOUT: Duration = Duration::from_secs(10);
/// For what servers of a cluster have to agree on, on a busy machine by several elections.
const AGREED: Duration = Duration::from_mins(2);

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The commands of the page that name this server, as arguments.
fn commands(host: &str) -> Vec<Vec<String>> {
    let page = read("docs/handbook/growing.md");
    let shell = page.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    let found: Vec<Vec<String>> = shell
        .flat_map(str::lines)
        .filter(|line| line.starts_with("tcsctl ") && line.contains(&format!("//{host}:4222")))
        .map(|line| line.split_whitespace().skip(1).map(str::to_owned).collect())
        .collect();
    assert!(!found.is_empty(), "the page has no command at {host}");
    found
}

/// One of `config/`, for a test: its own store, on loopback; the rest is replaced as told.
fn config(file: &str, replace: &[(&str, String)]) -> String {
    let mut text = read(&format!("config/{file}"));
    for line in ["listen: \"0.0.0.0:4222\"", "listen: \"127.0.0.1:4222\""] {
        text = text.replace(line, "");
    }
    text = text.replace("/var/lib/nats", "STORE");
    for (from, to) in replace {
        assert!(text.contains(from), "{file} has no `{from}`");
        text = text.replace(from, to);
    }
    text
}

fn section(url: &str, domain: Option<&str>) -> NatsSection {
    NatsSection {
        url: Some(url.into()),
        js_domain: domain.map(str::to_owned),
        ..NatsSection::default()
    }
}

async fn connect(section: &NatsSection) -> Bus {
    let settings = Settings::from_process(section, None).unwrap();
    Bus::connect(&settings, "test 0", TIMEOUT).await.unwrap()
}

/// Makes the streams as a launcher does, once the servers agree that they can be made.
async fn make_streams(bus: &Bus) -> BTreeSet<String> {
    tokio::time::timeout(AGREED, async {
        loop {
            let made = bus.create_missing_streams().await;
            let name = |made: &Made| match made {
                Made::Created(name) => Some(name.clone()),
                Made::Found(names) => names.first().cloned(),
                Made::Failed(_) => None,
            };
            let names: BTreeSet<String> = made.iter().filter_map(|(_, made)| name(made)).collect();
            if names.len() == 3 {
                return names;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("the streams are made")
}

/// A service says that it runs, and the broker has stored it.
async fn say(url: &str, name: &str) {
    say_over(async_nats::connect(url).await.unwrap(), name).await;
}

async fn say_over(client: async_nats::Client, name: &str) {
    let ts = tcs_core::clock::wall();
    let body = format!(
        r#"{{"data":{{"name":"{name}","status":"ok","timestamp":[2026,1,1]}},"meta":{{"id":"m","sender":"s","ts":[{}]}}}}"#,
        ts.format("%Y,%-m,%-d,%-H,%-M,%-S")
    );
    let context = async_nats::jetstream::new(client);
    // one of a cluster may not have heard yet who takes it
    let begin = tcs_core::clock::monotonic();
    loop {
        let ack = context.publish(format!("svc.status.{name}"), body.clone().into()).await;
        match ack.unwrap().await {
            Ok(_) => return,
            Err(error) => assert!(begin.elapsed() < AGREED, "{name}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until the cluster says this of a stream.
async fn wait_for_facts(bus: &Bus, stream: &str, is_so: impl Fn(&StreamFacts) -> bool) {
    let begin = tcs_core::clock::monotonic();
    loop {
        match bus.stream(stream).await {
            Ok(facts) if is_so(&facts) => return,
            other => assert!(begin.elapsed() < AGREED, "{stream}: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_hold_three_copies_and_one_may_fail() {
    on_each_server(async |binary| {
        let ports = [Port::free(), Port::free(), Port::free()];
        let mut nodes = Vec::new();
        for (index, port) in ports.iter().map(Port::number).enumerate() {
            let route = |n: usize| format!("nats://127.0.0.1:{}", ports[n].number());
            let text = config(
                "nats-cluster.conf",
                &[
                    ("0.0.0.0:6222", format!("127.0.0.1:{port}")),
                    ("nats://srv01:6222", route(0)),
                    ("nats://srv02:6222", route(1)),
                    ("nats://srv03:6222", route(2)),
                ],
            );
            let name = vec![("TCS_NODE".to_owned(), format!("srv0{}", index + 1))];
            nodes.push(Server::start_with_environment(&binary, &text, name).await);
        }
        let mut cluster = Cluster { nodes };
        cluster.complete().await;
        let nodes = &mut cluster.nodes;
        let urls: Vec<String> = nodes.iter().map(Server::url).collect();
        let bus = connect(&section(&urls.join(","), None)).await;
        for stream in make_streams(&bus).await {
            let is_so =
                |it: &StreamFacts| (it.replicas, it.clustered, it.is_at_risk()) == (3, true, false);
            wait_for_facts(&bus, &stream, is_so).await;
        }
        say(&urls[1], "guider.main").await;
        nodes[0].kill();
        let command = commands("srv01").into_iter().find(|args| args[1].contains("srv03")).unwrap();
        let args: Vec<String> = command
            .iter()
            .map(|arg| {
                (1..=3).fold(arg.clone(), |arg, n| {
                    arg.replace(&format!("nats://srv0{n}:4222"), &urls[n - 1])
                })
            })
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        // Elections may be under way, on a busy machine one after the other.
        tokio::time::timeout(AGREED, async {
            loop {
                let output = tcsctl::run(&args);
                if output.code == Some(0) && output.out.contains("guider.main") {
                    return;
                }
                eprintln!("{output:?}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        })
        .await
        .expect("a picture without one node");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_sees_a_site_by_its_domain() {
    on_each_server(async |binary| {
        let port = Port::free();
        let leaf = port.number();
        let hub = [("0.0.0.0:7422", format!("127.0.0.1:{leaf}"))];
        let hub = Server::start_with(&binary, &config("nats-hub.conf", &hub)).await;
        let site = [("nats-leaf://hub:7422", format!("nats-leaf://127.0.0.1:{leaf}"))];
        let site = Server::start_with(&binary, &config("nats-site.conf", &site)).await;
        let bus = connect(&section(&site.url(), None)).await;
        make_streams(&bus).await;
        say(&site.url(), "dome.main").await;
        let mut tried = 0;
        for host in ["north", "hub"] {
            for command in commands(host) {
                let args: Vec<String> = command
                    .iter()
                    .map(|arg| {
                        let arg = arg.replace("nats://north:4222", &site.url());
                        arg.replace("nats://hub:4222", &hub.url())
                    })
                    .collect();
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                // The leaf node may still be dialling.
                within_limit("the site is seen", async {
                    loop {
                        let output = tcsctl::run(&args);
                        if output.code == Some(0) && output.out.contains("dome.main") {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                })
                .await;
                tried += 1;
            }
        }
        assert!(tried >= 2);
        // wrong settings, each in its own words
        let wrong = tcsctl::at(&hub.url(), &["--domain", "nroth"]).expect(3);
        assert!(wrong.err.contains("no JetStream answers to `$JS.nroth.API`"), "{wrong:?}");
        assert!(wrong.err.contains("domain `hub`") && wrong.err.contains("--domain"), "{wrong:?}");
        let wrong = tcsctl::at(&hub.url(), &["--domain", "a.b"]).expect(2);
        assert!(wrong.err.contains("has a dot"), "{wrong:?}");
        // a copy at the hub is found by what is in it
        let client = async_nats::connect(hub.url()).await.unwrap();
        let mirror = r#"{"name":"north_status","storage":"file","mirror":{"name":"svc_status","external":{"api":"$JS.north.API","deliver":"north.mirror"}}}"#;
        let created = client.request("$JS.API.STREAM.CREATE.north_status", mirror.into()).await;
        let created = created.unwrap();
        assert!(!String::from_utf8_lossy(&created.payload).contains("\"error\""), "{created:?}");
        within_limit("the mirror is found", async {
            loop {
                let output = tcsctl::at(&hub.url(), &["--all"]);
                if output.out.contains("dome.main") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("services.yaml");
        std::fs::write(&file, "nats: {streams: {status: north_status}}\nservices: []\n").unwrap();
        let named = tcsctl::at(&hub.url(), &["--all", "--config", file.to_str().unwrap()]);
        assert!(named.out.contains("dome.main"), "{named:?}");
        std::fs::write(&file, "nats: {streams: {status: nowhere}}\nservices: []\n").unwrap();
        let absent = tcsctl::at(&hub.url(), &["--all", "--config", file.to_str().unwrap()]);
        assert!(absent.err.contains("stream not found"), "{absent:?}");
    })
    .await;
}

/// The launcher's binary beside ours, with this configuration.
fn tcsd(dir: &Path, config: &str, args: &[&str]) -> Command {
    std::fs::write(dir.join("services.yaml"), config).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_tcsctl")).with_file_name("tcsd");
    assert!(program.exists(), "no {}: cargo build -p tcs-launcher --bin tcsd", program.display());
    let mut command = Command::new(program);
    command.args(args).args(["--config", "services.yaml"]).current_dir(dir).stdin(Stdio::null());
    command.env("RUNTIME_DIRECTORY", dir);
    command
}

/// Without a broker, and with one that has no stream yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_connects_where_that_is_asked_for() {
    on_each_server(async |binary| {
        let mut server = Server::start(&binary).await;
        let dir = tempfile::tempdir().unwrap();
        let config = format!("nats: {{url: '{}'}}\nservices: []\n", server.url());
        let run = |args: &[&str]| tcsd(dir.path(), &config, args).output().unwrap();
        let check = run(&["check", "--connect"]);
        let told = String::from_utf8(check.stdout).unwrap();
        let broker =
            format!("broker: {}, nats-server {}, login: none", server.url(), server.version());
        assert!(check.status.success() && told.starts_with(&broker), "{told}");
        assert!(told.contains("status: no stream yet; tcsd creates it when it starts"), "{told}");
        make_streams(&connect(&section(&server.url(), None)).await).await;
        let told = String::from_utf8(run(&["check", "--connect"]).stdout).unwrap();
        assert!(told.contains("status: stream svc_status, 0 messages"), "{told}");
        server.stop();
        let check = run(&["check", "--connect"]);
        let told = String::from_utf8(check.stderr).unwrap();
        let error =
            format!("broker: error: cannot connect to {}: connection refused", server.url());
        assert!(!check.status.success() && told.contains(&error), "{told}");
        assert!(run(&["check"]).status.success(), "nobody is asked");
    })
    .await;
}

/// Asks JetStream for something, which must succeed.
async fn jetstream(client: &async_nats::Client, what: &str, body: serde_json::Value) {
    let reply = client.request(format!("$JS.API.{what}"), body.to_string().into()).await.unwrap();
    let reply: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap();
    assert!(reply["error"].is_null(), "{what}: {reply:#}");
}

/// One stream that takes the statuses of two sites, each under a prefix of its own.
#[tokio::test(flavor = "multi_thread")]
async fn sources_under_another_prefix_are_found() {
    on_each_server(async |binary| {
        if binary.version.starts_with("2.9.") {
            return; // transforms came with 2.10
        }
        let server = Server::start(&binary).await;
        make_streams(&connect(&section(&server.url(), None)).await).await;
        say(&server.url(), "dome.main").await;
        let client = async_nats::connect(server.url()).await.unwrap();
        for kind in ["registry", "status", "heartbeat"] {
            let transform = serde_json::json!({
                "src": format!("svc.{kind}.>"), "dest": format!("north.svc.{kind}.>"),
            });
            let source = serde_json::json!({
                "name": format!("svc_{kind}"), "subject_transforms": [transform],
            });
            let stream = format!("all_{kind}");
            let config = serde_json::json!({"name": stream, "sources": [source]});
            jetstream(&client, &format!("STREAM.CREATE.{stream}"), config).await;
        }
        let args = ["--all", "--prefix", "north.svc"];
        within_limit("the copy is seen", async {
            while !tcsctl::at(&server.url(), &args).out.contains("dome.main") {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
        // the originals are still what is read under their own prefix
        assert!(tcsctl::at(&server.url(), &["--all"]).out.contains("dome.main"));
        let json = tcsctl::at(&server.url(), &[&args[..], &["--json"]].concat()).json();
        assert_eq!(json["source"]["streams"]["status"][0], "all_status", "{json:#}");
    })
    .await;
}

/// An account that imports another one's messages, and its JetStream under three ways of import.
const IMPORTS: &str = r#"
jetstream { store_dir: "STORE" }
accounts {
  SITE {
    jetstream: enabled
    users: [{user: site, password: pw}]
    exports: [{service: "$JS.API.>", response_type: stream}, {stream: "svc.>"}]
  }
  PREFIXED {
    users: [{user: prefixed, password: pw}]
    imports: [
      {service: {account: SITE, subject: "$JS.API.>"}, to: "JS.SITE.API.>"}
      {stream: {account: SITE, subject: "svc.>"}}
    ]
  }
  BARE {
    users: [{user: bare, password: pw}]
    imports: [
      {service: {account: SITE, subject: "$JS.API.>"}}
      {stream: {account: SITE, subject: "svc.>"}}
    ]
  }
  LIVE {
    users: [{user: live, password: pw}]
    imports: [{stream: {account: SITE, subject: "svc.>"}}]
  }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_reads_another_ones_streams_or_says_why_not() {
    for block in blocks::of("docs/handbook/growing.md", "conf") {
        let mut lines = block.lines().map(str::trim).filter(|line| line.len() > 2);
        assert!(lines.all(|line| IMPORTS.contains(line)), "nobody has tried all of {block}");
    }
    on_each_server(async |binary| {
        let server = Server::start_with(&binary, IMPORTS).await;
        let url = |user: &str| format!("nats://{user}:pw@127.0.0.1:{}", server.port());
        make_streams(&connect(&section(&url("site"), None)).await).await;
        let login = async_nats::ConnectOptions::with_user_and_password("site".into(), "pw".into());
        say_over(login.connect(server.url()).await.unwrap(), "dome.main").await;
        let run = |user: &str, more: &[&str]| tcsctl::at(&url(user), &[&["--all"], more].concat());
        let output = run("prefixed", &["--api-prefix", "JS.SITE.API"]).expect(0);
        assert!(output.out.contains("dome.main"), "{output:#?}");
        for user in ["prefixed", "live"] {
            let output = run(user, &[]).expect(3);
            assert!(output.err.contains("not enabled for this account"), "{output:#?}");
            assert!(output.err.contains("--api-prefix"), "{output:#?}");
        }
        // what consumers deliver stays in the other account
        let output = run("bare", &["--timeout", "5"]).expect(3);
        assert!(output.err.contains("not read to the end: status"), "{output:#?}");
        let output = run("live", &["--core", "--timeout", "5"]).expect(0);
        assert!(output.err.contains("no history"), "{output:#?}");
    })
    .await;
}
