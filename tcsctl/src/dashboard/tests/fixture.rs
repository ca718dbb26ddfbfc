//! Fleets for tests.

use std::sync::Arc;

use chrono::DateTime;
use serde_json::Value;
use tcs_core::fleet::{Order, Stamp};
use tcs_core::observer::Observed;
use tcs_core::wire::{Subjects, decode};

/// A recording of a real fleet.
pub(crate) fn recording(name: &str) -> Vec<Arc<Observed>> {
    let path = format!("{}/../tests/fixtures/wire/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let subjects = Subjects::default();
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .enumerate()
        .filter_map(|(i, line)| {
            let line: Value = serde_json::from_str(line).unwrap();
            let stored = DateTime::from_timestamp_micros((line["t"].as_f64()? * 1e6) as i64)?;
            let subject = line["subject"].as_str()?.to_owned();
            let payload = line["payload"].as_str()?.to_owned();
            let decoded = decode(subjects.parse(&subject)?, payload.as_bytes()).unwrap();
            let order = Order::Stream { created: DateTime::UNIX_EPOCH, seq: i as u64 + 1 };
            let stamp = Stamp { stored, order };
            Some(Arc::new(Observed { subject, decoded, stamp, bytes: payload.len() }))
        })
        .collect()
}
