//! Messages of services that nobody declares, as fast as a broken program sends them.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use serde_json::json;
use tcs_core::clock;

/// How many messages are sent between two looks at the clock.
const BURST: usize = 500;

/// A number from the environment, or the one given.
pub fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The three streams of a site, ten messages of each subject.
pub async fn make_streams(client: &async_nats::Client) {
    let context = jetstream::new(client.clone());
    for kind in ["registry", "status", "heartbeat"] {
        let config = stream::Config {
            name: format!("svc_{kind}"),
            subjects: vec![format!("svc.{kind}.>")],
            max_messages_per_subject: 10,
            max_bytes: 1 << 30,
            ..stream::Config::default()
        };
        context.create_stream(config).await.unwrap();
    }
}

/// One message each of `ids` services, statuses and heartbeats by turns, each by a sender of its
/// own, `rate` a second.
pub async fn of_ids(client: &async_nats::Client, ids: usize, rate: usize) {
    let begin = clock::monotonic();
    for i in 0..ids {
        let (kind, data) = if i % 2 == 0 {
            ("heartbeat", format!(r#""service_id": "flood.s{i:07}", "interval_seconds": 10.0"#))
        } else {
            ("status", format!(r#""name": "flood.s{i:07}", "message": "Service running""#))
        };
        let body = format!(
            r#"{{"data": {{{data}, "status": "ok", "pid": {i}, "hostname": "srv01"}}, "meta":
            {{"id": "m", "sender": "m{i}", "run_s": 3.5, "ts": [2026, 11, 23, 0, 17, 20, 85331]}}}}"#
        );
        client.publish(format!("svc.{kind}.flood.s{i:07}"), body.into()).await.unwrap();
        if i % BURST == 0 {
            client.flush().await.unwrap();
            let due = Duration::from_secs_f64(i as f64 / rate as f64);
            tokio::time::sleep(due.saturating_sub(begin.elapsed())).await;
        }
    }
    client.flush().await.unwrap();
}

/// A status of `size` bytes each of `ids` services, again and again.
pub async fn of_bytes(client: &async_nats::Client, ids: usize, size: usize, rounds: usize) {
    let text = "x".repeat(1000);
    let metrics: serde_json::Map<String, serde_json::Value> =
        (0..size / 1000).map(|i| (format!("m{i}"), json!(text))).collect();
    for _ in 0..rounds {
        for i in 0..ids {
            let id = format!("bulk.s{i:03}");
            let data = json!({"name": id, "status": "ok", "message": "x",
                "details": {"metrics": metrics}});
            let body = json!({"data": data, "meta": {"id": "m", "sender": "bulk"}}).to_string();
            client.publish(format!("svc.status.{id}"), body.into()).await.unwrap();
            client.flush().await.unwrap();
        }
    }
}

/// What a process occupies: now, and at most so far, in bytes.
pub fn memory(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// Seconds of processor time that a process has used.
pub fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}
