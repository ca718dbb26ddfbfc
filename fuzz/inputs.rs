//! What is done with one fuzz input, by the fuzz targets and, over the corpus, by a normal test.

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::{Fleet, Link, Order, Stamp};
use tcs_core::wire::{Subjects, decode, rpc};

const SUBJECTS: [&str; 5] = [
    "svc.status.a.b",
    "svc.heartbeat.a.b",
    "svc.registry.crashed.a.b",
    "svc.registry.declared.a.b",
    "svc.journal.a.b",
];

/// The input as the body of each kind of message.
#[allow(dead_code, reason = "each target uses one of the two")]
pub(crate) fn decode_any(input: &[u8]) {
    let subjects = Subjects::default();
    for text in SUBJECTS {
        let subject = subjects.parse(text).expect("one of ours");
        if let Ok(decoded) = decode(subject, input) {
            let mut fleet = Fleet::new();
            let stored = DateTime::<Utc>::UNIX_EPOCH;
            fleet.apply(text, decoded, Stamp { stored, order: Order::Core { arrival: 1 } });
            read(&fleet, stored);
        }
    }
    let _ = rpc::read_request(input);
    let _ = rpc::read_reply(input);
}

/// The input's lines as messages, a second apart: the first character picks the subject. Both ways
/// round they must give the same picture.
#[allow(dead_code, reason = "each target uses one of the two")]
pub(crate) fn fold_any(input: &[u8]) {
    let subjects = Subjects::default();
    let messages: Vec<_> = input
        .split(|byte| *byte == b'\n')
        .take(200)
        .zip(1_u32..)
        .filter_map(|(line, i)| {
            let (pick, body) = line.split_first()?;
            let text = SUBJECTS[usize::from(*pick) % SUBJECTS.len()];
            let decoded = decode(subjects.parse(text)?, body).ok()?;
            let stored = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(i.into());
            let order = Order::Stream { created: DateTime::<Utc>::UNIX_EPOCH, seq: i.into() };
            Some((text, decoded, Stamp { stored, order }))
        })
        .collect();
    let fold = |messages: &mut dyn Iterator<Item = &(&str, _, Stamp)>| {
        let mut fleet = Fleet::new();
        for (text, decoded, stamp) in messages {
            fleet.apply(text, tcs_core::wire::Decoded::clone(decoded), *stamp);
        }
        read(&fleet, DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(500))
    };
    assert_eq!(fold(&mut messages.iter()), fold(&mut messages.iter().rev()));
}

/// Everything that a view can say.
fn read(fleet: &Fleet, now: DateTime<Utc>) -> String {
    let view = fleet.view(now, Link::Steady);
    let lines = view.services.iter().map(|service| {
        let reasons: Vec<String> = service.reasons.iter().map(ToString::to_string).collect();
        format!("{service:?} {} {reasons:?}", service.headline())
    });
    lines.collect::<Vec<_>>().join("\n")
}
