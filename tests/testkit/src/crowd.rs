//! A large fleet whose messages are made up: declared services that send heartbeats.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tcs_core::clock;

/// Declares and starts so many services, each with a status and a heartbeat.
pub async fn start(client: &async_nats::Client, services: usize) {
    for i in 0..services {
        for event in ["declared", "start"] {
            let subject = subject(&format!("registry.{event}"), i);
            client.publish(subject, registry(i, event).into()).await.unwrap();
        }
        client.publish(subject("status", i), status(i, "ok").into()).await.unwrap();
        client.publish(subject("heartbeat", i), beat(i).into()).await.unwrap();
    }
    client.flush().await.unwrap();
}

/// Beats one service after the other, in bursts of 10 ms, until aborted.
pub async fn beat_all(
    client: async_nats::Client,
    services: usize,
    rate: u64,
    sent: Arc<AtomicU64>,
) {
    let begin = clock::monotonic();
    let mut burst = tokio::time::interval(Duration::from_millis(10));
    loop {
        burst.tick().await;
        let due = (begin.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent.load(Ordering::Relaxed) < due {
            let i = sent.fetch_add(1, Ordering::Relaxed) as usize % services;
            client.publish(subject("heartbeat", i), beat(i).into()).await.unwrap();
        }
        client.flush().await.unwrap();
    }
}

/// Its name.
pub fn id(i: usize) -> String {
    format!("examples.service{:03}.unit{i:05}", i % 100)
}

/// Its subject of a kind.
pub fn subject(kind: &str, i: usize) -> String {
    format!("svc.{kind}.{}", id(i))
}

const META: &str =
    r#""meta": {"id": "m", "sender": "bench", "ts": [2026, 11, 23, 0, 17, 20, 85331]}"#;

fn registry(i: usize, event: &str) -> String {
    format!(r#"{{"data": {{"event": "{event}", "service_id": "{}"}}, {META}}}"#, id(i))
}

/// What it reports.
pub fn status(i: usize, word: &str) -> String {
    format!(
        r#"{{"data": {{"name": "{}", "status": "{word}", "message": "Service running", "pid": {}, "hostname": "srv{:02}"}}, {META}}}"#,
        id(i),
        1000 + i,
        i % 20
    )
}

fn beat(i: usize) -> String {
    format!(
        r#"{{"data": {{"service_id": "{}", "status": "ok", "interval_seconds": 10.0, "metrics": {{"load": 1.5, "temperature": 20.5}}}}, {META}}}"#,
        id(i)
    )
}
