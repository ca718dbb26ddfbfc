//! Each field of each message may hold anything: nothing panics, what cannot be read is counted and
//! told, and nothing acts on a terminal.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tcs_core::fleet::transitions::{Transition, Transitions, grouped};
use tcs_core::fleet::{Fleet, FleetView, Link, Order, Stamp};
use tcs_core::wire::{DecodeError, Decoded, Subjects, decode};
use tcs_present::{
    Look, changes, detail, events, json::Document, list, selection::Selection, text,
};

use super::{all, check, harmless, look, source};
use crate::exit::Check;

/// In the place of a value.
const MARK: &str = "\"the value\"";

/// What may stand there, as JSON text, or as what Python takes for it.
fn values() -> Vec<String> {
    let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    let objects = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    let evil = "\u{1b}[2J\u{1b}]0;gone\u{7}\r\n\u{9b}31m\u{202e}x\u{2066}\u{200b}|";
    let mut values: Vec<String> = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "0.5",
        "-0.0",
        "1e308",
        "-1e308",
        "1e999",
        "-1e999",
        "2147483648",
        "4294967296",
        "9223372036854775807",
        "18446744073709551615",
        "99999999999999999999999999",
        "NaN",
        "-Infinity",
        "Infinity",
        "\"\"",
        "\" \"",
        "\"NaN\"",
        "\"2026-11-23T02:00:00Z\"",
        "[]",
        "{}",
        "[null]",
        "[0,1,1,0,0,0,0]",
        "[1,1,1,0,0,0,0]",
        "[9999,12,31,23,59,59,999999]",
        "[10000,1,1,0,0,0,0]",
        "[-5,1,1,0,0,0,0]",
        "[2026,13,45,99,99,99,-1]",
        "[2026]",
        "[2026,2,29,0,0,60,0]",
        "[1e300,1,1,0,0,0,0]",
        "[2026,1,1,0,0,0,0,0,0,0]",
        "\"\\u0000\\ud800\"",
        "\"..\"",
        "\"a.b.c*>\"",
    ]
    .map(str::to_owned)
    .into();
    values.push(json!(evil).to_string());
    values.push(json!([evil, {evil: evil}]).to_string());
    values.extend([deep(40), deep(5_000), objects(40), objects(5_000)]);
    values.push(format!("\"{}\"", "x".repeat(200_000)));
    values
}

const ID: &str = "a.b";
const LAUNCHER: &str = "launcher.L.srv01-process-launcher";

/// A message of each kind with all its fields: subject and data.
fn messages() -> Vec<(String, Value)> {
    let time = json!([2026, 11, 23, 2, 0, 0, 0]);
    let event = |name: &str, more: Value| {
        let mut data = json!({"event": name, "service_id": ID, "timestamp": time, "parent": LAUNCHER,
            "runner_id": "r", "launcher_run": "run", "event_seq": 3, "requested_by": "ada"});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (format!("svc.registry.{name}.{ID}"), data)
    };
    let part = json!({"name": "camera", "status": "error", "message": "no signal", "timestamp": time,
        "details": {"metrics": {"t": 1}}});
    vec![
        event(
            "declared",
            json!({"restart_policy": "always", "restart_max": 3, "restart_window": 60.0,
            "others": [LAUNCHER], "declared": {"module": "m", "kind": "process", "enabled": true,
            "batch": 2}}),
        ),
        event("waiting", json!({"waiting_for": ["c.d"], "timed_out": false})),
        event(
            "crashed",
            json!({"exit_code": 3, "signal": "SIGSEGV", "core_dumped": true,
            "error": "no port", "will_restart": true, "restart_attempt": 1, "max_restarts": 5,
            "restart_at": time, "recent_crashes": 4, "uptime_seconds": 6.0,
            "status": "error", "details": {"last_lines": ["no port"]}}),
        ),
        event("restarting", json!({"restart_attempt": 1, "max_restarts": 5, "recent_crashes": 4})),
        event(
            "failed",
            json!({"reason": "restart_limit_reached", "restart_count": 5,
            "restart_window": 60.0}),
        ),
        event("start", json!({"hostname": "srv01", "pid": 100, "recent_crashes": 4})),
        event("ready", json!({"startup_duration_seconds": 0.5})),
        event("stopping", json!({"reason": "asked"})),
        (
            format!("svc.status.{ID}"),
            json!({"name": ID, "status": "error", "timestamp": time,
            "status_age_s": 5.0, "message": "no signal", "parent": LAUNCHER, "pid": 100,
            "hostname": "srv01", "details": {"own_status": "ok", "reported_by": "launcher",
            "coalesced": 2, "metrics": {"t": 1.5}, "children": [part]}}),
        ),
        (
            format!("svc.heartbeat.{ID}"),
            json!({"service_id": ID, "timestamp": time, "status": "ok",
            "sequence": 7, "uptime_seconds": 60.0, "interval_seconds": 10.0, "lag_seconds": 0.1,
            "next_heartbeat_expected": time, "children_count": 1, "metrics": {"t": 1.5},
            "reported_by": "launcher", "outbox": {"waiting": 1, "lost_events": 2, "refused":
            [{"stream": "status", "reason": "full", "for_s": 5}]}}),
        ),
    ]
}

fn meta() -> Value {
    json!({"id": "m", "sender": "s", "ts": [2026, 11, 23, 2, 0, 0, 0], "run_s": 30.0,
        "trace_level": 10, "message_type": "", "tags": ["a"]})
}

/// The same with the mark in the place of each value, of objects in objects too.
fn marked(of: &Value) -> Vec<Value> {
    let mark: Value = serde_json::from_str(MARK).unwrap();
    let mut all = vec![mark];
    let entries: Vec<(String, Value)> = match of {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        // of a list of texts what is none is left out
        Value::Array(list) if list[0].is_object() => vec![(String::new(), list[0].clone())],
        _ => Vec::new(),
    };
    for (key, value) in entries {
        for inner in marked(&value) {
            let mut whole = of.clone();
            match &mut whole {
                Value::Object(map) => drop(map.insert(key.clone(), inner)),
                Value::Array(list) => list[0] = inner,
                _ => {}
            }
            all.push(whole);
        }
    }
    all
}

/// All messages in turn, each with each of its values marked: which message, and its text.
fn bodies() -> Vec<(usize, String)> {
    let whole = |data: &Value, meta: &Value| json!({"data": data, "meta": meta}).to_string();
    let mut bodies: Vec<(usize, String)> = Vec::new();
    for (i, (_, data)) in messages().iter().enumerate() {
        bodies.extend(marked(data).iter().map(|data| (i, whole(data, &meta()))));
        bodies.extend(marked(&meta()).iter().map(|meta| (i, whole(data, meta))));
    }
    bodies
}

fn now() -> DateTime<Utc> {
    "2026-11-23T02:00:10Z".parse().unwrap()
}

/// The fleet of all messages, one of which has this body; and what happened.
fn fold(changed: usize, body: &str) -> (Fleet, Vec<Transition>) {
    let subjects = Subjects::default();
    let (mut fleet, mut transitions, mut told) = (Fleet::new(), Transitions::default(), Vec::new());
    for (i, (subject, data)) in messages().into_iter().enumerate() {
        let usual = json!({"data": data, "meta": meta()}).to_string();
        let body = if i == changed { body } else { &usual };
        let stored = now() - TimeDelta::seconds(10 - i64::try_from(i).unwrap());
        let order = Order::Stream { created: now() - TimeDelta::days(1), seq: i as u64 + 1 };
        let decoded: Result<Decoded, DecodeError> =
            decode(subjects.parse(&subject).unwrap(), body.as_bytes());
        match decoded {
            Ok(decoded) => {
                let stamp = Stamp { stored, order };
                told.extend(transitions.take(&mut fleet, &subject, &decoded, stamp, Link::Steady));
            }
            Err(error) => fleet.malformed(&subject, &error),
        }
    }
    told.extend(transitions.advance(&fleet, now() + TimeDelta::hours(1), Link::Steady));
    (fleet, told)
}

/// All that is printed of it acts on no terminal.
fn assert_harmless(view: &FleetView, told: &[Transition], what: &str) {
    let selection = Selection::new(view, &all());
    let source = source();
    let judged: Vec<_> = view.services.iter().map(|it| (it, Check::Critical)).collect();
    for width in [Some(40), Some(80), None] {
        let look: Look = look(width);
        let mut lines = list::list(view, &selection, &look);
        lines.extend(detail::detailed(view, &selection, &look));
        let groups = grouped(told);
        lines.extend(groups.iter().map(|group| events::line(group, 24, view.now, &look)));
        for line in &lines {
            assert!(width.is_none_or(|width| line.width() <= width), "{what}: {}", line.plain());
        }
        lines.push(check::line(Check::Critical, view, &judged, &check::TakenById::new(), &source));
        for line in lines {
            let printed = crate::output::paint::paint(&line, false, false);
            assert!(!printed.contains(text::is_hidden), "{what}: {printed:?}");
        }
    }
    let document = Document::new(view, &selection, &source);
    let snapshot = changes::snapshot(view, |_| true);
    let mut texts = Vec::new();
    harmless::write_json(&mut texts, &document, false).unwrap();
    texts.push(b'\n');
    harmless::write_json(&mut texts, &snapshot, false).unwrap();
    for transition in told {
        texts.push(b'\n');
        harmless::write_json(&mut texts, &events::Object::new(transition), false).unwrap();
    }
    for line in String::from_utf8(texts).unwrap().lines() {
        assert!(!line.contains(text::is_hidden), "{what}: {line}");
        serde_json::from_str::<Value>(line).unwrap();
    }
}

#[test]
fn every_field_may_hold_anything() {
    let values = values();
    // each body with a few of the values, and all values with some of the bodies
    for (i, (changed, body)) in bodies().into_iter().enumerate() {
        for value in values.iter().skip(i % 13).step_by(13) {
            let body = body.replacen(MARK, value, 1);
            let what = format!("{body:.600}");
            let (fleet, told) = fold(changed, &body);
            assert_eq!(fleet.tally().received, messages().len() as u64);
            let moment = now() + TimeDelta::hours(i64::from(i % 2 == 0));
            let link = match i % 3 {
                0 => Link::Steady,
                1 => Link::Down { since: now() },
                _ => Link::Back { lost: now() - TimeDelta::minutes(1), since: now() },
            };
            assert_harmless(&fleet.view(moment, link), &told, &what);
        }
    }
}

/// Whether an object stands where the mark is.
fn is_object(changed: usize, body: &str) -> bool {
    let (_, data) = &messages()[changed];
    let usual = json!({"data": data, "meta": meta()}).to_string();
    let at = body.find(MARK).unwrap();
    usual[at..].starts_with('{')
}

/// What is of a wrong type is left out, counted, and told with its field. A metric may be anything,
/// and of a list what is no element of it is passed over.
#[test]
fn what_is_of_a_wrong_type_is_counted() {
    assert_eq!(fold(usize::MAX, "").0.tally().malformed, 0);
    let mut tried = 0;
    for (changed, body) in bodies() {
        let before = &body[..body.find(MARK).unwrap()];
        if before.ends_with('[') || before.ends_with("\"metrics\":{\"t\":") {
            continue;
        }
        let value = if is_object(changed, &body) { "3" } else { "{\"what\": 1}" };
        let body = body.replacen(MARK, value, 1);
        let (fleet, _) = fold(changed, &body);
        let tally = fleet.tally();
        assert_eq!(tally.malformed, 1, "{body:.900}");
        assert_eq!(tally.last_malformed[0].0, messages()[changed].0);
        tried += 1;
    }
    assert!(tried > 150, "{tried}");
}
