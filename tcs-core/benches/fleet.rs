//! What one message and one picture cost: decode, fold, view.

use std::hint::black_box;

use chrono::{DateTime, TimeDelta, Utc};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tcs_core::fleet::{Fleet, Link, Order, Stamp};
use tcs_core::wire::{Decoded, Subjects, decode};

const STATUS: &str = r#"{"data": {"name": "examples.basic.NAME", "status": "ok", "timestamp": [2026, 11, 23, 0, 17, 20, 85331], "message": "Service running", "parent": "launcher.launcher.1fUQ1F.vm-process-launcher", "pid": 14556, "hostname": "vm"}, "meta": {"id": "msg", "sender": "Messenger_Q2fTUkECQ7", "ts": [2026, 11, 23, 0, 17, 20, 85350], "trace_level": 10, "message_type": "", "tags": []}}"#;
const BEAT: &str = r#"{"data": {"service_id": "examples.basic.NAME", "timestamp": [2026, 11, 23, 0, 17, 20, 85331], "status": "ok"}, "meta": {"id": "msg", "sender": "Messenger_Q2fTUkECQ7", "ts": [2026, 11, 23, 0, 17, 20, 85350], "trace_level": 10, "message_type": "", "tags": []}}"#;
const START: &str = r#"{"data": {"event": "start", "service_id": "examples.basic.NAME", "timestamp": [2026, 11, 23, 0, 17, 19, 728756], "status": "startup", "hostname": "vm", "pid": 14556, "parent": "launcher.launcher.1fUQ1F.vm-process-launcher", "runner_id": "launcher.1fUQ1F.vm-process-launcher.hello_world"}, "meta": {"id": "msg-5", "sender": "Messenger_rCeiHVpQS3", "ts": [2026, 11, 23, 0, 17, 19, 729087], "trace_level": 10, "message_type": "", "tags": []}}"#;
const TEMPLATES: [(&str, &str); 3] = [
    ("svc.registry.start.examples.basic.NAME", START),
    ("svc.status.examples.basic.NAME", STATUS),
    ("svc.heartbeat.examples.basic.NAME", BEAT),
];

fn read(subject: &str, body: &str) -> Decoded {
    let subjects = Subjects::default();
    let subject = subjects.parse(subject).expect("one of ours");
    decode(subject, body.as_bytes()).expect("a good body")
}

fn stored(seq: u64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::milliseconds(seq.cast_signed())
}

fn stamp(seq: u64) -> Stamp {
    let order = Order::Stream { created: DateTime::<Utc>::UNIX_EPOCH, seq };
    Stamp { stored: stored(seq), order }
}

fn messages(services: usize) -> Vec<(String, Decoded, Stamp)> {
    let mut messages = Vec::new();
    for i in 0..services {
        for (subject, body) in TEMPLATES {
            let name = format!("unit{i:05}");
            let (subject, body) = (subject.replace("NAME", &name), body.replace("NAME", &name));
            let decoded = read(&subject, &body);
            messages.push((subject, decoded, stamp(messages.len() as u64 + 1)));
        }
    }
    messages
}

fn fold(messages: Vec<(String, Decoded, Stamp)>) -> Fleet {
    let mut fleet = Fleet::new();
    for (subject, decoded, stamp) in messages {
        fleet.apply(&subject, decoded, stamp);
    }
    fleet
}

fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    for (subject, body) in TEMPLATES {
        let kind = subject.split('.').nth(1).unwrap_or_default();
        group.bench_function(kind, |b| b.iter(|| read(black_box(subject), black_box(body))));
    }
    group.finish();

    for services in [1000, 10_000] {
        let messages = messages(services);
        let mut group = c.benchmark_group(format!("{services} services"));
        group.throughput(Throughput::Elements(messages.len() as u64));
        group.bench_function("fold", |b| {
            b.iter_batched(|| messages.clone(), fold, BatchSize::LargeInput);
        });
        let fleet = fold(messages.clone());
        let now = stored(messages.len() as u64) + TimeDelta::seconds(1);
        group.throughput(Throughput::Elements(services as u64));
        group.bench_function("view", |b| b.iter(|| fleet.view(black_box(now), Link::Steady)));
        group.finish();
    }
}

criterion_group!(all, benches);
criterion_main!(all);
