//! What the dashboard costs: messages taken in, a picture made anew, a key to its frame.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use criterion::{Criterion, criterion_group, criterion_main};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::json;
use tcs_core::fleet::{Order, Stamp};
use tcs_core::observer::Observed;
use tcs_core::wire::{Subjects, decode};
use tcsctl::dashboard::event::{Event, Heard, LinkFacts};
use tcsctl::dashboard::key::Key;
use tcsctl::dashboard::state::{Options, State};
use tcsctl::dashboard::view;

const SIZE: (u16, u16) = (160, 50);

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_393_000, 0).unwrap()
}

/// One heartbeat of each of `services`.
fn beats(services: usize, round: i64) -> Vec<Heard> {
    let subjects = Subjects::default();
    (0..services)
        .map(|i| {
            let subject = format!("svc.heartbeat.bench.s{i:05}");
            let body = json!({
                "data": {"service_id": format!("bench.s{i:05}"), "status": "ok",
                    "interval_seconds": 10.0, "metrics": {"load": i}},
                "meta": {"id": "m", "sender": "bench", "ts": [2026, 11, 23]}
            })
            .to_string();
            let decoded = decode(subjects.parse(&subject).unwrap(), body.as_bytes()).unwrap();
            let stored = start() + TimeDelta::seconds(10 * round);
            let seq = round as u64 * services as u64 + i as u64 + 1;
            let stamp = Stamp { stored, order: Order::Stream { created: start(), seq } };
            Heard::Message(Arc::new(Observed { subject, decoded, stamp, bytes: body.len() }))
        })
        .collect()
}

fn state(services: usize) -> State {
    let link = LinkFacts::Recording { file: "bench".to_owned() };
    let mut state = State::new(Options::default(), link, SIZE, start());
    for round in 0..3 {
        state
            .update(Event::Heard(beats(services, round)), start() + TimeDelta::seconds(10 * round));
    }
    state.settle(start() + TimeDelta::seconds(20));
    state
}

fn dashboard(c: &mut Criterion) {
    for services in [1_000, 10_000] {
        let mut shown = state(services);
        let mut buffer = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
        let mut now = shown.now;
        c.bench_function(&format!("a picture of {services} services made anew"), |b| {
            b.iter(|| {
                now += TimeDelta::seconds(1);
                shown.update(Event::Tick, now);
                shown.settle(now);
            });
        });
        c.bench_function(&format!("a key to its frame, {services} services"), |b| {
            b.iter(|| {
                shown.update(Event::Key(Key::char('j')), now);
                shown.settle(now);
                buffer.reset();
                view::draw(&shown, &mut buffer);
                black_box(&buffer);
            });
        });
        let mut round = 3;
        c.bench_function(&format!("{services} messages taken in"), |b| {
            b.iter_batched(
                || {
                    round += 1;
                    beats(services, round)
                },
                |messages| shown.update(Event::Heard(messages), now),
                criterion::BatchSize::PerIteration,
            );
        });
    }
}

criterion_group!(benches, dashboard);
criterion_main!(benches);
