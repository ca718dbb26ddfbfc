//! The handbook's page on clusters and sites, tried: its files from `config/` start real servers,
//! and its commands run against them.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/nats.rs"]
mod nats;
#[path = "support/tcsctl.rs"]
mod tcsctl;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use nats::{Server, on_each_server, within_limit};
use tcs_core::bus::Bus;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::streams::Made;

const TIMEOUT: Duration = Duration::from_secs(10);

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

/// A free port for what one server tells another.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
    within_limit("the streams are made", async {
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
}

/// A service says that it runs, and the broker has stored it.
async fn say(url: &str, name: &str) {
    let client = async_nats::connect(url).await.unwrap();
    let ts = tcs_core::clock::wall();
    let body = format!(
        r#"{{"data":{{"name":"{name}","status":"ok","timestamp":[2026,1,1]}},"meta":{{"id":"m","sender":"s","ts":[{}]}}}}"#,
        ts.format("%Y,%-m,%-d,%-H,%-M,%-S")
    );
    let context = async_nats::jetstream::new(client);
    let ack = context.publish(format!("svc.status.{name}"), body.into()).await.unwrap();
    ack.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_hold_three_copies_and_one_may_fail() {
    on_each_server(async |binary| {
        let ports = [free_port(), free_port(), free_port()];
        let mut nodes = Vec::new();
        for (index, port) in ports.iter().enumerate() {
            let route = |n: usize| format!("nats://127.0.0.1:{}", ports[n]);
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
        let urls: Vec<String> = nodes.iter().map(Server::url).collect();
        let bus = connect(&section(&urls.join(","), None)).await;
        for stream in make_streams(&bus).await {
            let facts = bus.stream(&stream).await.unwrap();
            assert_eq!((facts.replicas, facts.clustered, facts.is_at_risk()), (3, true, false));
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
        tokio::time::timeout(Duration::from_mins(2), async {
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
        let leaf = free_port();
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
