//! Brokers that refuse, each in its way: what `tcsd` does about them, and what it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use nix::sys::signal::Signal;
use serde_json::json;
use tcs_testkit::bad_servers::{closing, dropping, silent};
use tcs_testkit::nats::{JETSTREAM, Server, on_each_server, server};
use tcs_testkit::operator;

use super::{Tcsd, wait_for};

const SERVICES: &str = "services:
  - {type: stays, variant: a, launch: {exec: [sleep, '1000']}}
";

/// At these addresses; `more` in the section `nats`.
fn at(urls: &str, more: &str) -> Tcsd {
    Tcsd::start(&format!("nats: {{url: '{urls}'{more}}}\n{SERVICES}"), |_| {})
}

impl Tcsd {
    /// The lines of its log in which this stands.
    fn lines(&self, text: &str) -> Vec<String> {
        self.read("log").lines().filter(|it| it.contains(text)).map(str::to_owned).collect()
    }

    fn stops(mut self) {
        self.signal(Signal::SIGTERM);
        self.end();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_the_one_that_works_is_found() {
    let (_queue, _held, dropping) = dropping().await;
    let (_listener, silent) = silent().await;
    let (closing, _) = closing().await;
    let server = Server::start(&server()).await;
    // nothing runs before it is connected
    let tcsd = at(&format!("{dropping},{silent},{closing},{}", server.url()), "");
    tcsd.started("stays.a");
    tcsd.stops();
    let tcsd = at(&format!("{dropping},{silent},{closing}"), "");
    for (url, did) in [
        (&dropping, "no connection in time"),
        (&silent, "connected, but no answer in time"),
        (&closing, "the server closed the connection"),
    ] {
        tcsd.logged(&format!("cannot connect to {url}: {did}"));
    }
    assert!(!tcsd.read("log").contains("stays.a started"), "it is to wait for a broker");
    tcsd.stops();
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_fail_are_a_line_and_not_one_each() {
    let (closing, attempts) = closing().await;
    let services = format!("{SERVICES}  - {{type: hello_world, variant: a}}\n");
    let text = format!("nats: {{url: '{closing}', required: false}}\n{services}");
    let tcsd = Tcsd::start(&text, |_| {});
    tcsd.started("hello_world.a");
    let told = || {
        let told = tcsd.lines(&format!("cannot connect to {closing}"));
        let of_service = told.iter().filter(|line| line.contains("svc|hello_world.a")).count();
        (of_service, told.len() - of_service)
    };
    wait_for("both to tell it", || (told() == (1, 1)).then_some(()));
    // of one connection each, with pauses of 0.5 s, 1 s, 2 s
    let before = attempts.load(Ordering::SeqCst);
    wait_for("eight attempts", || (attempts.load(Ordering::SeqCst) >= before + 8).then_some(()));
    assert_eq!(told(), (1, 1), "{}", tcsd.read("log"));
    assert!(tcsd.lines("expected INFO").is_empty(), "the client library is silent");
    tcsd.stops();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_no_room_for_one_more_says_so() {
    on_each_server(async |binary| {
        let server = Server::start_with(&binary, &format!("{JETSTREAM}max_connections: 1\n")).await;
        let first = async_nats::connect(server.url()).await.unwrap();
        let tcsd = at(&server.url(), "");
        tcsd.logged(&format!(
            "cannot connect to {}: the server has reached its maximum of connections",
            server.url()
        ));
        tcsd.logged("no service is started yet");
        assert!(tcsd.read("log").lines().count() < 8, "{}", tcsd.read("log"));
        // of the two connections of tcsd the one without which nothing runs has the room
        drop(first);
        tcsd.started("stays.a");
        tcsd.stops();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_were_renewed_on_disk_are_used() {
    let site = operator::Site::new();
    on_each_server(async |binary| {
        let server = Server::start_with(&binary, &site.config).await;
        let file = server.dir().join("tcsd.creds");
        // valid for as long as it takes to connect, and then for some seconds
        let renew = || {
            let soon = tcs_core::clock::wall().timestamp() + 5;
            let new = file.with_extension("new");
            std::fs::write(&new, site.creds(Some(soon))).unwrap();
            std::fs::rename(&new, &file).unwrap();
        };
        renew();
        let tcsd = at(&server.url(), &format!(", creds: '{}'", file.display()));
        wait_for("its service runs", || {
            renew();
            tcsd.read("log").contains("stays.a started").then_some(())
        });
        tcsd.logged("connection to the broker lost");
        tcsd.logged(&format!("cannot connect to {}: login refused", server.url()));
        std::fs::write(&file, site.creds(None)).unwrap();
        tcsd.logged(&format!("connected again: {}", server.url()));
        assert_eq!(tcsd.lines("started, pid").len(), 1, "its services run on");
        tcsd.stops();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_were_revoked_are_replaced_on_disk() {
    let site = operator::Site::new();
    on_each_server(async |binary| {
        let mut server = Server::start_with(&binary, &site.config).await;
        let file = server.dir().join("tcsd.creds");
        std::fs::write(&file, site.creds(None)).unwrap();
        let tcsd = at(&server.url(), &format!(", creds: '{}'", file.display()));
        tcsd.started("stays.a");
        let now = tcs_core::clock::wall().timestamp();
        std::fs::write(server.dir().join("nats.conf"), site.revoked(now - 60)).unwrap();
        server.stop();
        server.run().await;
        tcsd.logged(&format!("cannot connect to {}: login refused", server.url()));
        std::fs::write(&file, site.creds_issued(now, None)).unwrap();
        tcsd.logged(&format!("connected again: {}", server.url()));
        tcsd.stops();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_for_which_there_is_no_room_is_made_once_there_is() {
    on_each_server(async |binary| {
        let config = "jetstream { store_dir: \"STORE\", max_file_store: 1GB }\n";
        let server = Server::start_with(&binary, config).await;
        let client = async_nats::connect(server.url()).await.unwrap();
        let streams = async_nats::jetstream::new(client);
        let other = async_nats::jetstream::stream::Config {
            name: "other".to_owned(),
            subjects: vec!["other.>".to_owned()],
            max_bytes: 700 << 20,
            ..Default::default()
        };
        streams.create_stream(other).await.unwrap();
        let tcsd = at(&server.url(), "");
        tcsd.logged("cannot create the stream for status: `$JS.API.STREAM.CREATE.svc_status`: ");
        tcsd.logged("insufficient storage resources available (10047)");
        tcsd.logged("hint: raise max_file_store");
        tcsd.logged("created the stream svc_heartbeat");
        streams.delete_stream("other").await.unwrap();
        tcsd.logged("created the stream svc_status");
        assert_eq!(
            tcsd.lines("cannot create the stream for status").len(),
            1,
            "{}",
            tcsd.read("log")
        );
        tcsd.stops();
    })
    .await;
}

/// A JetStream on paper: streams of one replica in a cluster that has no servers for more, and that
/// has no leader until it is `up`.
async fn poor_cluster(url: String, up: Arc<AtomicBool>) {
    let client = async_nats::connect(url).await.unwrap();
    let mut asked = client.subscribe("paper.API.>").await.unwrap();
    client.flush().await.unwrap();
    tokio::spawn(async move {
        while let Some(question) = asked.next().await {
            let error = |code: u64, text: &str| json!({"error": {"code": 500, "err_code": code, "description": text}});
            let what = question.subject.strip_prefix("paper.API.").unwrap();
            let body = String::from_utf8_lossy(&question.payload);
            let answer = if !up.load(Ordering::SeqCst) {
                error(10008, "JetStream system temporarily unavailable")
            } else if what == "STREAM.NAMES" {
                let kinds = ["status", "registry", "heartbeat"].into_iter();
                let held = kinds.filter(|kind| body.contains(&format!(".{kind}.")));
                json!({"streams": held.map(|kind| format!("svc_{kind}")).collect::<Vec<_>>()})
            } else if let Some(name) = what.strip_prefix("STREAM.INFO.") {
                let time = "2026-11-27T00:00:00Z";
                json!({
                    "config": {"name": name, "num_replicas": 1},
                    "created": time,
                    "state": {"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0,
                        "first_ts": time, "last_ts": time},
                    "cluster": {"name": "paper", "leader": "n1"},
                })
            } else if what.starts_with("STREAM.UPDATE.") {
                error(10005, "no suitable peers for placement")
            } else {
                error(10059, "stream not found")
            };
            client.publish(question.reply.unwrap(), answer.to_string().into()).await.unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_cannot_be_added_are_told_once_also_of_streams_that_are_found_late() {
    let server = Server::start(&server()).await;
    let up = Arc::new(AtomicBool::new(false));
    poor_cluster(server.url(), Arc::clone(&up)).await;
    let tcsd = at(&server.url(), ", replicas: 5, js_api_prefix: paper.API");
    for kind in ["status", "registry", "heartbeat"] {
        tcsd.logged(&format!("cannot create the stream for {kind}: "));
    }
    up.store(true, Ordering::SeqCst);
    for kind in ["status", "registry", "heartbeat"] {
        let told = format!("cannot add replicas to stream svc_{kind}: ");
        let again = "; it is tried again each 10 s";
        wait_for(&told, || tcsd.lines(&told).iter().any(|it| it.ends_with(again)).then_some(()));
        assert_eq!(tcsd.lines(&told).len(), 1, "{}", tcsd.read("log"));
    }
    tcsd.stops();
}
