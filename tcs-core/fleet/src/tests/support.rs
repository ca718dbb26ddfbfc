//! A broker on paper: times are seconds since [`epoch`].

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{Fleet, FleetView, Link, Order, ServiceView, Stamp};
use tcs_wire::{Decoded, Subjects, Timestamp, decode};

pub(super) fn epoch() -> DateTime<Utc> {
    "2026-11-23T02:00:00Z".parse().unwrap()
}

/// The moment `s` seconds after the epoch.
pub(super) fn at(s: f64) -> DateTime<Utc> {
    epoch() + TimeDelta::microseconds((s * 1e6).round() as i64)
}

/// One message with the broker time at which it is stored.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) subject: String,
    pub(super) data: Value,
    pub(super) meta: Value,
    pub(super) stored: f64,
}

/// The seconds as a payload writes them.
pub(super) fn array(s: f64) -> Value {
    serde_json::to_value(Timestamp::new(at(s))).unwrap()
}

impl Line {
    fn new(kind: &str, name: &str, stored: f64, data: Value) -> Self {
        let meta = json!({"id": "msg", "sender": "sender", "ts": array(stored)});
        Self { subject: format!("svc.{kind}.{name}"), data, meta, stored }
    }

    /// Adds or replaces fields of `data`.
    pub(super) fn with(mut self, fields: &Value) -> Self {
        for (key, value) in fields.as_object().unwrap() {
            self.data[key] = value.clone();
        }
        self
    }

    /// Adds or replaces fields of `meta`.
    pub(super) fn meta(mut self, fields: &Value) -> Self {
        for (key, value) in fields.as_object().unwrap() {
            self.meta[key] = value.clone();
        }
        self
    }

    pub(super) fn decoded(&self) -> Decoded {
        let body = json!({"data": self.data, "meta": self.meta}).to_string();
        decode(Subjects::default().parse(&self.subject).unwrap(), body.as_bytes()).unwrap()
    }
}

pub(super) const LAUNCHER: &str = "launcher.L.srv01-process-launcher";

/// A registry event from [`LAUNCHER`].
pub(super) fn event(name: &str, id: &str, stored: f64) -> Line {
    let data = json!({"event": name, "service_id": id, "timestamp": array(stored),
        "parent": LAUNCHER, "hostname": "srv01", "pid": 100});
    Line::new(&format!("registry.{name}"), id, stored, data)
}

/// A crash with what comes after it.
pub(super) fn crashed(id: &str, stored: f64, will_restart: bool) -> Line {
    event("crashed", id, stored).with(&json!({"exit_code": -9, "will_restart": will_restart}))
}

/// A status of the process that `event("start", ..)` names.
pub(super) fn status(id: &str, word: &str, stored: f64) -> Line {
    let data = json!({"name": id, "status": word, "timestamp": array(stored),
        "hostname": "srv01", "pid": 100});
    Line::new("status", id, stored, data)
}

pub(super) fn beat(id: &str, stored: f64) -> Line {
    let data = json!({"service_id": id, "timestamp": array(stored), "status": "ok"});
    Line::new("heartbeat", id, stored, data)
}

/// A heartbeat every ten seconds, `from` and `to` included.
pub(super) fn beats(id: &str, from: f64, to: f64) -> Vec<Line> {
    let count = ((to - from) / 10.0).floor() as usize;
    (0..=count).map(|i| beat(id, from + 10.0 * i as f64)).collect()
}

/// A launcher that said `ok` and beats.
pub(super) fn launcher(from: f64, to: f64) -> Vec<Line> {
    let mut lines = vec![status(LAUNCHER, "ok", from).with(&json!({"pid": 99}))];
    lines.extend(beats(LAUNCHER, from, to));
    lines
}

/// Folds the lines, each stored in its kind's stream in the order of time.
pub(super) fn fold<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Fleet {
    let mut fleet = Fleet::new();
    for line in lines {
        fleet.apply(&line.subject, line.decoded(), stamp(line));
    }
    fleet
}

/// Sequence numbers follow the time, to the microsecond.
pub(super) fn stamp(line: &Line) -> Stamp {
    let order = Order::Stream { created: at(-1e6), seq: 1 + (line.stored * 1e6) as u64 };
    Stamp { stored: at(line.stored), order }
}

/// The picture at `now` of the lines that were stored by then.
pub(super) fn picture(lines: &[Line], now: f64) -> FleetView {
    picture_with(lines, now, Link::Steady)
}

pub(super) fn picture_with(lines: &[Line], now: f64, link: Link) -> FleetView {
    fold(lines.iter().filter(|line| line.stored <= now)).view(at(now), link)
}

/// One service of the picture.
pub(super) fn see(lines: &[Line], id: &str, now: f64) -> ServiceView {
    let view = picture(lines, now);
    view.get(id).unwrap_or_else(|| panic!("no {id} at {now}")).clone()
}

/// Verdict, phase and reasons' codes in one text: `late running [heartbeat_late]`.
pub(super) fn say(service: &ServiceView) -> String {
    let codes: Vec<&str> = service.reasons.iter().map(crate::Reason::code).collect();
    format!("{} {} [{}]", service.verdict, service.phase, codes.join(" "))
}
