//! Records on paper: times are seconds since [`epoch`].

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::{Fleet, FleetView, Link, Order, Stamp};

use crate::{
    AckOp, AckRecord, Address, AlarmId, AlarmView, Alarms, Condition, Episode, Notify, Place,
    Record, Severity, ShelfMatch, ShelfRecord, StateRecord, Why,
};

pub(crate) fn epoch() -> DateTime<Utc> {
    "2026-11-23T02:00:00Z".parse().unwrap()
}

/// The moment `s` seconds after the epoch.
pub(crate) fn at(s: f64) -> DateTime<Utc> {
    epoch() + TimeDelta::microseconds((s * 1e6).round() as i64)
}

pub(crate) fn alarm() -> AlarmId {
    "failed/a.x".parse().unwrap()
}

pub(crate) fn episode(raised: f64) -> Episode {
    Episode::new(alarm(), at(raised))
}

/// A place in the stream: its sequence numbers are tenths of seconds.
pub(crate) fn place(s: f64) -> Place {
    Place { created: at(-1e6).into(), seq: (s * 10.0) as u64 }
}

pub(crate) fn stamp(s: f64) -> Stamp {
    let order = Order::Stream { created: at(-1e6), seq: (s * 10.0) as u64 };
    Stamp { stored: at(s), order }
}

/// A state of an episode that began at `raised`, made at `since`.
pub(crate) fn state(raised: f64, state: Condition, since: f64) -> StateRecord {
    StateRecord {
        episode: episode(raised),
        rev: 1,
        state,
        severity: Severity::Warning,
        max_severity: Severity::Warning,
        since: at(since).into(),
        verdict: None,
        reasons: Vec::new(),
        message: None,
        cause: None,
        occurrences: 1,
        chatter: false,
        evidence: std::collections::BTreeMap::default(),
        by: "sentinel.main".to_owned(),
        notify: Notify { at: at(raised).into(), why: Why::Raised },
        raised: None,
        raises: Vec::new(),
    }
}

pub(crate) fn ack(raised: f64, up_to: Severity) -> AckRecord {
    AckRecord {
        episode: episode(raised),
        op: AckOp::Ack,
        up_to,
        note: None,
        expires: None,
        by: "ann@srv".to_owned(),
        restored: false,
        original: None,
    }
}

pub(crate) fn unack(raised: f64) -> AckRecord {
    AckRecord { op: AckOp::Unack, ..ack(raised, Severity::Info) }
}

pub(crate) fn shelf(filter: &str, until: f64) -> ShelfRecord {
    ShelfRecord {
        covers: ShelfMatch { rule: None, filter: Some(filter.to_owned()) },
        until: at(until).into(),
        reason: "reboot".to_owned(),
        by: "ann@srv".to_owned(),
        ended: false,
        restored: false,
    }
}

/// A message and when it was stored.
pub(crate) type Stored = (Address, Record, Stamp);

pub(crate) fn of_state(record: StateRecord, s: f64) -> Stored {
    (Address::State(record.episode.alarm.clone()), Record::State(record), stamp(s))
}

pub(crate) fn of_ack(record: AckRecord, s: f64) -> Stored {
    (Address::Ack(record.episode.alarm.clone()), Record::Ack(record), stamp(s))
}

pub(crate) fn of_shelf(id: &str, record: ShelfRecord, s: f64) -> Stored {
    (Address::Shelf(id.to_owned()), Record::Shelf(record), stamp(s))
}

pub(crate) fn fold<'a>(messages: impl IntoIterator<Item = &'a Stored>) -> Alarms {
    let mut alarms = Alarms::new();
    for (address, record, stamp) in messages {
        alarms.apply(address, record.clone(), stamp);
    }
    alarms
}

/// A fleet of which nothing is known.
pub(crate) fn nobody(now: f64) -> FleetView {
    Fleet::new().view(at(now), Link::Steady)
}

/// All alarms of what was stored by `now`.
pub(crate) fn views(messages: &[Stored], now: f64) -> Vec<AlarmView> {
    let stored = messages.iter().filter(|(_, _, stamp)| stamp.stored <= at(now));
    fold(stored).views(at(now), &nobody(now))
}

/// State, and since when and why it demands attention: `active 3 raised`.
pub(crate) fn say(messages: &[Stored], now: f64) -> String {
    let views = views(messages, now);
    let Some(view) = views.first() else { return "nothing".to_owned() };
    let open = view.open.map(|(since, why)| {
        let seconds = (since - epoch()).num_milliseconds() as f64 / 1000.0;
        format!(" {seconds} {}", serde_json::to_value(why).unwrap().as_str().unwrap())
    });
    format!("{}{}", view.state, open.unwrap_or_default())
}
