//! What a large site costs: printed, for a quiet machine and a release build.

use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use serde_json::json;
use tcs_core::clock;
use tcs_testkit::flood::{make_streams, memory};
use tcs_testkit::http::{get, open};

use super::*;

const SERVICES: usize = 1000;
const CLIENTS: usize = 50;
/// Changes a second, and for how long.
const RATE: u32 = 100;
const LASTS: Duration = Duration::from_secs(30);

struct Fleet {
    client: async_nats::Client,
}

impl Fleet {
    async fn send(&self, subject: String, data: serde_json::Value) {
        let body = json!({"data": data, "meta": {"id": "m", "sender": "s", "run_s": 60.0}});
        self.client.publish(subject, body.to_string().into()).await.unwrap();
    }

    async fn status(&self, i: usize, message: &str) {
        let id = format!("guider.n{i:04}");
        let data = json!({"name": id, "status": "ok", "message": message, "hostname": "srv01",
            "parent": "launcher.tcsd.Kx1x", "details": {"metrics": {"frames": i, "cold": true}}});
        self.send(format!("svc.status.{id}"), data).await;
    }

    async fn beat(&self, i: usize) {
        let id = format!("guider.n{i:04}");
        let data = json!({"service_id": id, "status": "ok", "interval_seconds": 10.0,
            "hostname": "srv01", "pid": i});
        self.send(format!("svc.heartbeat.{id}"), data).await;
    }

    async fn declare(&self, i: usize) {
        let id = format!("guider.n{i:04}");
        for event in ["declared", "start"] {
            let data = json!({"event": event, "service_id": id, "parent": "launcher.tcsd.Kx1x",
                "pid": i, "hostname": "srv01"});
            self.send(format!("svc.registry.{event}.{id}"), data).await;
        }
        self.status(i, "guiding").await;
        self.beat(i).await;
    }
}

/// Processor time that a process has used.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn median(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Notes how old each change is that a client gets: it carries the time at which it was sent.
async fn listen(port: u16, begin: Instant) -> Vec<Duration> {
    let mut body = open(port, "GET", "/api/v1/stream", &[]).await.into_body();
    let mut ages = Vec::new();
    let mut text = String::new();
    while let Some(Ok(frame)) = body.frame().await {
        let now = begin.elapsed();
        let Ok(data) = frame.into_data() else { continue };
        text.push_str(&String::from_utf8_lossy(&data));
        let Some(end) = text.rfind("\n\n") else { continue };
        for event in text[..end].split("\n\n").filter(|it| it.starts_with("event: service")) {
            let sent = event.split("sent at ").nth(1).and_then(|it| it.split(' ').next());
            if let Some(sent) = sent.and_then(|it| it.parse().ok()) {
                ages.push(now.saturating_sub(Duration::from_micros(sent)));
            }
        }
        text.drain(..end);
    }
    ages
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures of a quiet machine: make bench"]
async fn a_thousand_services_and_fifty_clients() {
    let server = Server::start(&nats::servers().pop().unwrap()).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    make_streams(&client).await;
    let fleet = Fleet { client };
    for i in 0..SERVICES {
        fleet.declare(i).await;
    }
    fleet.client.flush().await.unwrap();
    let serve = Serve::ready(&server.url(), &[]).await;
    let begin = clock::monotonic();
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(listen(serve.port, begin))).collect();
    tokio::time::sleep(Duration::from_secs(3)).await;

    let (started, used) = (clock::monotonic(), cpu(serve.pid()));
    let mut steps = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut scrapes = Vec::new();
    let mut size = 0;
    for i in 0.. {
        if started.elapsed() > LASTS {
            break;
        }
        steps.tick().await;
        let sent = begin.elapsed().as_micros();
        fleet.status(i * 7 % SERVICES, &format!("frame {i} sent at {sent} us")).await;
        fleet.beat(i % SERVICES).await;
        if i % (15 * RATE as usize) == 1 {
            let begin = clock::monotonic();
            size = get(serve.port, "/metrics").await.expect(200).body.len();
            scrapes.push(begin.elapsed());
        }
    }
    let share =
        cpu(serve.pid()).saturating_sub(used).as_secs_f64() / started.elapsed().as_secs_f64();
    let (_, most) = memory(serve.pid());
    for _ in 0..20 {
        let begin = clock::monotonic();
        get(serve.port, "/metrics").await.expect(200);
        scrapes.push(begin.elapsed());
    }
    let pid = serve.pid();
    drop(serve);
    let mut ages = Vec::new();
    for client in clients {
        ages.extend(client.await.unwrap());
    }
    let (age, late) = median(&mut ages);
    let (scrape, slow) = median(&mut scrapes);
    println!(
        "tcsctl serve ({pid}), {SERVICES} services, {RATE} changes a second, {CLIENTS} clients: {:.1} % \
         of a core, {} MB at most; change to client median {age:?}, p99 {late:?} ({} of them); \
         /metrics {size} bytes, median {scrape:?}, p99 {slow:?}",
        share * 100.0,
        most / 1_000_000,
        ages.len(),
    );
    assert!(ages.len() > CLIENTS * RATE as usize * 10, "{} changes came", ages.len());
}
