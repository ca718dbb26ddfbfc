//! Asking services and launchers, against a real broker.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/nats.rs"]
mod nats;
#[path = "support/tcsctl.rs"]
mod tcsctl;

use std::time::Duration;

use nats::{LIMIT, Server, server};
use serde_json::Value;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::{Bus, Secret};
use tcs_core::monitor::{Monitor, Reporter};
use tcs_core::wire::Status;
use tcsctl::{at, recording};

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
    assert!(lines[0].starts_with("guider.jk15  degraded  (answered by itself, "), "{output:#?}");
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
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_is_told_with_the_reason() {
    let server = site().await;
    let output = at(&server.url(), &["health", "nobody.main"]).expect(1);
    assert!(output.err.starts_with("error: no service matches `nobody.main`"), "{output:#?}");

    // a recorded Python fleet: in it some live, and none has remote control
    at(&server.url(), &["replay", "--instant", &recording("inprocess-launcher")]).expect(0);
    let output = at(&server.url(), &["health", "examples.minimal.tutorial"]).expect(1);
    assert!(output.out.contains("examples.minimal.tutorial has no remote control"), "{output:#?}");
    at(&server.url(), &["replay", "--instant", &recording("standalone-sigterm")]).expect(0);
    let output = at(&server.url(), &["stats", "perm.a2", "--json"]).expect(3).json();
    assert_eq!(output["error"]["code"], "not_reachable", "{output:#?}");
    let text = output["error"]["message"].as_str().unwrap();
    assert_eq!(text, "perm.a2 is not reachable: it is stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_streams_a_whole_name_is_asked_all_the_same() {
    let server = Server::start(&server()).await;
    let (_reporter, _monitor) = guider(&server).await;
    at(&server.url(), &["health", "guider.jk15"]).expect(0);
    let output = at(&server.url(), &["health", "guider.jk16"]).expect(3);
    assert!(output.out.contains("nothing is known of it"), "{output:#?}");
}
