//! The picture after the last message of each recording, as snapshots.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::{Fleet, Link, Order, Stamp};
use tcs_wire::{Subjects, decode};

/// Folds a recording as its broker stored it; returns the time of the last message too.
fn recording(name: &str) -> (Fleet, DateTime<Utc>) {
    let path = format!("{}/../../tests/fixtures/wire/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let subjects = Subjects::default();
    let mut fleet = Fleet::new();
    let mut last = DateTime::<Utc>::MIN_UTC;
    for (seq, line) in std::fs::read_to_string(path).unwrap().lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        let micros = (line["t"].as_f64().unwrap() * 1e6) as i64;
        let stored = DateTime::from_timestamp_micros(micros).unwrap();
        last = last.max(stored);
        let text = line["subject"].as_str().unwrap();
        let Some(subject) = subjects.parse(text) else { continue };
        let order = Order::Stream { created: DateTime::<Utc>::UNIX_EPOCH, seq: seq as u64 + 1 };
        let body = line["payload"].as_str().unwrap().as_bytes();
        fleet.apply(text, decode(subject, body).unwrap(), Stamp { stored, order });
    }
    (fleet, last)
}

/// Each service's verdict and phase, `after` seconds later.
fn picture(name: &str, after: i64) -> Vec<String> {
    let (fleet, last) = recording(name);
    fleet
        .view(last + TimeDelta::seconds(after), Link::Steady)
        .services
        .iter()
        .map(|service| {
            let reasons: Vec<_> = service.reasons.iter().map(super::super::Reason::code).collect();
            let id = service.id.replace("launcher.launcher.", "launcher.");
            let id = if service.is_launcher {
                id.split('-').skip(1).collect::<Vec<_>>().join("-")
            } else {
                id
            };
            format!("{id}: {} {} [{}]", service.verdict, service.phase, reasons.join(" "))
        })
        .collect()
}

#[test]
fn process_launcher() {
    insta::assert_debug_snapshot!(picture("process-launcher", 1));
}

#[test]
fn process_failed_start_and_graceful_stop() {
    insta::assert_debug_snapshot!(picture("process-failed-start-and-graceful-stop", 1));
}

#[test]
fn inprocess_launcher() {
    insta::assert_debug_snapshot!(picture("inprocess-launcher", 1));
}

#[test]
fn asyncio_sigterm() {
    insta::assert_debug_snapshot!(picture("asyncio-sigterm", 1));
}

#[test]
fn asyncio_failed_start() {
    insta::assert_debug_snapshot!(picture("asyncio-failed-start", 1));
    insta::assert_debug_snapshot!(picture("asyncio-failed-start", 130));
}

#[test]
fn standalone_sigterm() {
    insta::assert_debug_snapshot!(picture("standalone-sigterm", 1));
}

#[test]
fn monitor_and_rpc() {
    insta::assert_debug_snapshot!(picture("monitor-and-rpc", 1));
}
