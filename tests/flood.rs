//! `tcsctl watch` while somebody floods the site with services that nobody declares: what it
//! occupies is bounded and given back, and what is declared is shown as it is.
//!
//! `TCS_FLOOD_IDS` (70,000; `make soak`: 600,000) is how many there are, `TCS_FLOOD_RATE` how many
//! a second, `TCS_FLOOD_ROUNDS` how often each of 200 ids sends its bytes, `TCS_FLOOD_DECLARED` (10)
//! how many services are declared. That memory is given back takes minutes: waited for where
//! `TCS_FLOOD_IDS` is set.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test a panic is the report")]

use std::time::Duration;

use serde_json::{Value, json};
use tcs_core::clock;
use tcs_testkit::flood::{self, memory, number};
use tcs_testkit::nats::{self, Binary, Server};
use tcs_testkit::tcsctl;
use tcs_testkit::terminal::Terminal;

const LAUNCHER: &str = "launcher.l.srv01-process-launcher";
/// Beyond what a small declared fleet needs, in all with a [`LARGE`] one. A debug build decodes ten times slower than it receives, so
/// that its queue is full.
const AT_MOST: u64 = if cfg!(debug_assertions) { 320_000_000 } else { 256_000_000 };

const LARGE: usize = 10_000;

fn declared() -> usize {
    number("TCS_FLOOD_DECLARED", 10)
}

async fn send(client: &async_nats::Client, subject: &str, data: &Value) {
    let body = json!({"data": data, "meta": {"id": "m", "sender": "site"}}).to_string();
    client.publish(format!("svc.{subject}"), body.into()).await.unwrap();
}

async fn declare(client: &async_nats::Client, services: usize) {
    for i in 0..services {
        let id = format!("real.s{i:05}");
        for event in ["declared", "start"] {
            let data = json!({"event": event, "service_id": id, "parent": LAUNCHER,
                "status": "startup", "pid": 7});
            send(client, &format!("registry.{event}.{id}"), &data).await;
        }
        status(client, i, "ok").await;
    }
    let data = json!({"name": LAUNCHER, "status": "ok"});
    send(client, &format!("status.{LAUNCHER}"), &data).await;
}

async fn status(client: &async_nats::Client, i: usize, status: &str) {
    let id = format!("real.s{i:05}");
    let data = json!({"name": id, "status": status, "parent": LAUNCHER, "pid": 7});
    send(client, &format!("status.{id}"), &data).await;
}

/// Each declared service, and the launcher, every 5 s.
async fn beat(client: async_nats::Client, services: usize) {
    loop {
        let names = (0..services).map(|i| format!("real.s{i:05}")).chain([LAUNCHER.to_owned()]);
        for id in names {
            let data = json!({"service_id": id, "status": "ok", "interval_seconds": 5.0});
            send(&client, &format!("heartbeat.{id}"), &data).await;
        }
        client.flush().await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

struct Site {
    server: Server,
    client: async_nats::Client,
    beating: tokio::task::JoinHandle<()>,
}

impl Site {
    async fn start(binary: &Binary, services: usize) -> Self {
        let config = format!("{}max_payload: 4MB\n", nats::JETSTREAM);
        let server = Server::start_with(binary, &config).await;
        let client = async_nats::connect(server.url()).await.unwrap();
        flood::make_streams(&client).await;
        declare(&client, services).await;
        let own = async_nats::connect(server.url()).await.unwrap();
        let beating = tokio::spawn(beat(own, services));
        Self { server, client, beating }
    }

    fn watch(&self) -> Terminal {
        tcsctl::watch(&self.server.url(), &[], (120, 40))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

fn assert_bounded(before: u64, peak: u64) {
    let own = if declared() < LARGE { before } else { 0 };
    assert!(peak - own < AT_MOST, "{} MB", megabytes(peak));
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

/// What it occupies at rest.
async fn at_rest(terminal: &Terminal) -> u64 {
    terminal.see(&format!("{} ok", declared() + 1));
    // what is read once, at the start, has been read
    tokio::time::sleep(Duration::from_secs(4)).await;
    memory(terminal.pid()).0
}

/// What is silent for two minutes is forgotten, and pages that are not used for ten seconds go
/// back to the system; a busy machine takes longer.
const GIVEN_BACK_WITHIN: Duration = Duration::from_mins(4);

/// Waits until it occupies about as much as before, and asserts that what is declared is there.
async fn assert_given_back(terminal: &Terminal, before: u64, ok: usize) {
    if std::env::var_os("TCS_FLOOD_IDS").is_none() {
        return;
    }
    let begin = clock::monotonic();
    let enough = before / 10 * 13;
    loop {
        let now = memory(terminal.pid()).0;
        if now <= enough {
            break;
        }
        let (now, before) = (megabytes(now), megabytes(before));
        assert!(begin.elapsed() < GIVEN_BACK_WITHIN, "kept: {now} MB, {before} before");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("given back after {:.1} s", begin.elapsed().as_secs_f64());
    terminal.wait("the declared ones, and no other", |text| {
        text.contains("1 error") && text.contains(&format!(" {ok} ok"))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_foreign_ids() {
    let (ids, rate) = (number("TCS_FLOOD_IDS", 70_000), number("TCS_FLOOD_RATE", 54_000));
    let site = Site::start(&nats::server(), declared()).await;
    let terminal = site.watch();
    let before = at_rest(&terminal).await;
    let begin = clock::monotonic();
    flood::of_ids(&site.client, ids, rate).await;
    terminal.see("OVERLOAD");
    let took = begin.elapsed();
    status(&site.client, 3, "error").await;
    terminal.see("1 error");
    let (now, peak) = memory(terminal.pid());
    println!(
        "{ids} ids in {:.1} s, seen after {:.1}: {} MB before, {} at most, {} now",
        took.as_secs_f64(),
        begin.elapsed().as_secs_f64(),
        megabytes(before),
        megabytes(peak),
        megabytes(now)
    );
    assert_bounded(before, peak);
    assert_given_back(&terminal, before, declared()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bytes() {
    let rounds = number("TCS_FLOOD_ROUNDS", 1);
    let site = Site::start(&nats::server(), declared()).await;
    let terminal = site.watch();
    let before = at_rest(&terminal).await;
    flood::of_bytes(&site.client, 200, 750_000, rounds).await;
    status(&site.client, 3, "error").await;
    terminal.see("1 error");
    let (now, peak) = memory(terminal.pid());
    println!(
        "{} MB before, {} at most, {} now",
        megabytes(before),
        megabytes(peak),
        megabytes(now)
    );
    assert_bounded(before, peak);
    assert_given_back(&terminal, before, declared() + 200).await;
}
