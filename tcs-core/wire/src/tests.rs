//! The recorded messages, both ways; what is odd; and what is hostile.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Every recorded line: subject and raw body.
fn recorded() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/wire");
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if let Some(body) = line["payload"].as_str() {
                lines.push((line["subject"].as_str().unwrap().to_owned(), body.to_owned()));
            }
        }
    }
    assert!(lines.len() > 200, "only {} lines in {folder}", lines.len());
    lines
}

fn subject(text: &str) -> Subject<'_> {
    let name = text.strip_prefix("svc.").unwrap();
    let (kind, name) = name.split_once('.').unwrap();
    match kind {
        "status" => Subject { kind: Kind::Status, event: None, name },
        "heartbeat" => Subject { kind: Kind::Heartbeat, event: None, name },
        "journal" => Subject { kind: Kind::Journal, event: None, name },
        _ => {
            let (event, name) = name.split_once('.').unwrap();
            Subject { kind: Kind::Registry, event: Some(event), name }
        }
    }
}

fn data(message: &Message) -> Value {
    match message {
        Message::Registry(message) => serde_json::to_value(message),
        Message::Status(message) => serde_json::to_value(message),
        Message::Heartbeat(message) => serde_json::to_value(message),
        Message::Journal(message) => serde_json::to_value(message),
    }
    .unwrap()
}

#[test]
fn every_recorded_message_is_read_and_written_back_equal() {
    let subjects = Subjects::default();
    let mut kinds = std::collections::BTreeMap::new();
    for (text, body) in recorded() {
        let Some(subject) = subjects.parse(&text) else { continue };
        let decoded = decode(subject, body.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(decoded.notes, Notes::default(), "{text}");
        let original: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(data(&decoded.message), original["data"], "{text}");
        let meta = serde_json::to_value(&decoded.meta).unwrap();
        assert_eq!(meta, original["meta"], "{text}");
        if let Some(name) = decoded.message.name() {
            assert_eq!(name, subject.name);
        }
        *kinds.entry(subject.kind).or_insert(0) += 1;
    }
    assert_eq!(
        kinds.keys().copied().collect::<Vec<_>>(),
        [Kind::Registry, Kind::Status, Kind::Heartbeat, Kind::Journal]
    );
}

#[test]
fn recorded_requests_and_replies_are_read() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/wire/rpc-with-replies.jsonl");
    let mut outcomes = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let request = rpc::read_request(line["payload"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!((request.meta.sender.as_str(), request.meta.id.as_str()), ("tester", "msg-1"));
        if let Some(body) = line["reply"]["payload"].as_str() {
            let (outcome, meta) = rpc::read_reply(body.as_bytes()).unwrap();
            let written = rpc::write_reply(&outcome, meta).unwrap();
            let written: Value = serde_json::from_slice(&written).unwrap();
            assert_eq!(written, serde_json::from_str::<Value>(body).unwrap());
            outcomes.push(outcome.map(Value::Object));
        }
    }
    assert_eq!(
        outcomes,
        [
            Ok(json!({"service_id": "guider.jk15", "status": "ok", "checks": {"camera": "ok"}})),
            Err("no star".to_owned()),
        ]
    );
}

fn registry(data: &Value) -> Decoded {
    let body = json!({"data": data, "meta": {}}).to_string();
    let event = data["event"].as_str().unwrap_or("start");
    decode(subject(&format!("svc.registry.{event}.a.b")), body.as_bytes()).unwrap()
}

#[test]
fn a_body_about_another_service_or_event_than_its_subject_is_not_believed() {
    let decode = |text: &str, data: Value| {
        decode(subject(text), json!({"data": data}).to_string().as_bytes())
            .map_err(|it| it.to_string())
    };
    for (text, data) in [
        ("svc.status.a.b", json!({"name": "a.b", "status": "ok"})),
        ("svc.heartbeat.a.b", json!({"service_id": "a.b"})),
        ("svc.registry.start.a.b", json!({"service_id": "a.b", "event": "start"})),
        ("svc.registry.start.a.b", json!({"service_id": "a.b"})),
        ("svc.registry.new.a.b", json!({"service_id": "a.b", "event": "new"})),
    ] {
        decode(text, data).unwrap();
    }
    for (text, data, error) in [
        (
            "svc.status.a.b",
            json!({"name": "a.c", "status": "ok"}),
            "service than its subject: `a.c`",
        ),
        ("svc.heartbeat.a.b", json!({"service_id": "a"}), "service than its subject: `a`"),
        (
            "svc.registry.start.a.b",
            json!({"service_id": "b.a", "event": "start"}),
            "service than its subject: `b.a`",
        ),
        (
            "svc.registry.start.a.b",
            json!({"service_id": "a.b", "event": "stop"}),
            "event than its subject: `stop`",
        ),
    ] {
        let told = decode(text, data).unwrap_err();
        assert_eq!(told, format!("its body is about another {error}"));
    }
}

fn event(data: &Value) -> Event {
    match registry(data).message {
        Message::Registry(message) => message.event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn our_additions_go_both_ways() {
    let ours = [
        json!({"event": "declared", "service_id": "a.b", "timestamp": [2026, 11, 23, 1, 2, 3, 4],
               "restart_policy": "on-failure", "restart_max": 5, "restart_window": 60.0,
               "others": ["launcher.x"],
               "declared": {"module": "my.mod", "kind": "python", "enabled": false, "batch": 3},
               "parent": "launcher.y", "runner_id": "y.a", "launcher_run": "k3", "event_seq": 7}),
        json!({"event": "ready", "service_id": "a.b", "startup_duration_seconds": 0.25}),
        json!({"event": "stopping", "service_id": "a.b", "reason": "requested",
               "requested_by": "tcsctl:ann@srv01:17"}),
        json!({"event": "stop", "service_id": "a.b", "status": "shutdown", "reason": "terminated",
               "exit_code": -15, "uptime_seconds": 3.5}),
        json!({"event": "crashed", "service_id": "a.b", "status": "error", "exit_code": -9,
               "restart_policy": "always", "will_restart": true, "signal": "SIGKILL",
               "error": "killed", "restart_attempt": 2, "max_restarts": 5,
               "restart_at": [2026, 11, 23, 1, 2, 8, 4], "uptime_seconds": 0.5,
               "recent_crashes": 4, "core_dumped": true,
               "details": {"last_lines": ["Traceback ...", "SerialTimeout: no answer"]}}),
        json!({"event": "start", "service_id": "a.b", "status": "startup", "hostname": "srv01",
               "pid": 7, "recent_crashes": 2}),
        json!({"event": "waiting", "service_id": "a.b", "waiting_for": ["c.d"],
               "timed_out": true}),
        json!({"event": "restarting", "service_id": "a.b", "status": "startup",
               "restart_attempt": 3, "max_restarts": null, "recent_crashes": 3}),
        json!({"event": "failed", "service_id": "a.b", "status": "failed",
               "reason": "restart_limit_reached", "restart_count": 5, "restart_window": 60.0}),
        json!({"event": "declared", "service_id": "a.b",
               "declared": {"kind": "program", "schedule": {"rule": "30 7 * * * Europe/Warsaw",
                            "next_at": [2026, 11, 24, 6, 30, 0, 0]}}}),
        json!({"event": "missed", "service_id": "a.b", "reason": "launcher_not_running",
               "missed_count": 3, "scheduled_at": [2026, 11, 23, 1, 2, 3, 4], "made_up": true}),
        json!({"event": "stop", "service_id": "a.b", "status": "shutdown", "reason": "terminated",
               "planned": {"comment": "mirror washing", "by": "tcsctl:ann@srv01:17",
                           "since": [2026, 11, 23, 1, 2, 3, 4]}}),
    ];
    for data in ours {
        let decoded = registry(&data);
        assert_eq!(decoded.notes, Notes::default(), "{data}");
        assert_eq!(super::tests::data(&decoded.message), data);
    }
}

#[test]
fn missed_runs_are_told_in_words() {
    let missed = |reason: Option<&str>, count, made_up| {
        let (reason, missed_count) = (reason.map(str::to_owned), Some(count));
        crate::Missed { reason, missed_count, scheduled_at: None, made_up }.in_words()
    };
    assert_eq!(
        missed(Some("still_running"), 1, false),
        "1 scheduled run missed: the run before was still going on"
    );
    assert_eq!(
        missed(Some("launcher_not_running"), 1000, true),
        "1000 or more scheduled runs missed: the launcher was not running; one run makes up for it"
    );
    assert_eq!(missed(Some("later_word"), 2, false), "2 scheduled runs missed: later word");
    assert_eq!(missed(None, 2, false), "2 scheduled runs missed");
}

#[test]
fn of_last_lines_the_newest_that_fit_are_kept() {
    let kept = |lines: &[String]| {
        let crashed = json!({"event": "crashed", "service_id": "a.b",
                             "details": {"last_lines": lines}});
        match event(&crashed) {
            Event::Crashed(crashed) => crashed.last_lines,
            other => panic!("{other:?}"),
        }
    };
    let lines: Vec<String> = (0..15).map(|n| format!("{n:0>500}")).collect();
    assert_eq!(kept(&lines), lines[7..], "4096 bytes hold eight of these");
    let lines: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(kept(&lines).len(), MAX_LAST_LINES);
}

#[test]
fn the_time_within_a_run_and_the_age_of_a_status_are_read() {
    let body = json!({"data": {"name": "a.b", "status": "failed", "status_age_s": 12.5},
                      "meta": {"run_s": 80.25}});
    let decoded = decode(subject("svc.status.a.b"), body.to_string().as_bytes()).unwrap();
    assert_eq!(decoded.meta.run_s, Some(80.25));
    let Message::Status(status) = &decoded.message else { panic!() };
    assert_eq!(status.status_age_s, Some(12.5));
    assert_eq!(data(&decoded.message)["status_age_s"], 12.5);
}

#[test]
fn an_unlimited_restart_limit_is_not_a_missing_one() {
    let limit = |data: &Value| match event(data) {
        Event::Restarting { max_restarts, .. } => max_restarts,
        other => panic!("{other:?}"),
    };
    let null = json!({"event": "restarting", "service_id": "a.b", "max_restarts": null});
    assert_eq!(limit(&null), Some(Limit::Unlimited));
    assert_eq!(limit(&json!({"event": "restarting", "service_id": "a.b"})), None);
}

#[test]
fn pythons_false_policy_is_no_and_an_unknown_event_is_kept() {
    let declared = json!({"event": "declared", "service_id": "a.b", "restart_policy": false});
    match event(&declared) {
        Event::Declared(declared) => assert_eq!(declared.restart_policy.as_deref(), Some("no")),
        other => panic!("{other:?}"),
    }
    let paused = json!({"event": "paused", "service_id": "a.b"});
    assert_eq!(event(&paused), Event::Other("paused".to_owned()));
    assert_eq!(event(&json!({"service_id": "a.b"})).name(), "start", "from the subject");
}

#[test]
fn a_wrong_type_drops_the_field_and_is_noted() {
    let body = br#"{"data": {"name": "a.b", "status": 5, "timestamp": [2026, 13, 1],
        "message": {"x": [1, {"y": 2}]}, "pid": "12", "hostname": "h", "parent": ["p"],
        "details": {"children": [{"name": "c", "status": "ok", "timestamp": "now"}, 7],
                    "metrics": [1], "own_status": "fine", "later": {"z": 1}}},
        "meta": {"ts": 3, "tags": "x", "new": true}}"#;
    let decoded = decode(subject("svc.status.a.b"), body).unwrap();
    let Message::Status(status) = &decoded.message else { panic!() };
    assert_eq!((status.status, status.message.as_deref()), (Status::Unknown, None));
    assert_eq!((status.pid, status.hostname.as_deref()), (None, Some("h")));
    assert_eq!(status.details.components.len(), 1);
    assert_eq!(status.details.own_status, Some(Status::Unknown));
    let mut dropped = decoded.notes.dropped;
    dropped.sort_unstable();
    assert_eq!(
        dropped,
        [
            "children.timestamp",
            "message",
            "meta.tags",
            "meta.ts",
            "metrics",
            "parent",
            "pid",
            "status",
            "timestamp",
        ]
    );
}

#[test]
fn a_status_that_is_not_in_the_list_reads_as_unknown_and_is_kept() {
    let body = br#"{"data": {"name": "a.b", "status": "sleeping"}}"#;
    let decoded = decode(subject("svc.status.a.b"), body).unwrap();
    let Message::Status(status) = decoded.message else { panic!() };
    assert_eq!((status.status, status.raw_status.as_deref()), (Status::Unknown, Some("sleeping")));
    assert_eq!(decoded.notes, Notes::default());
}

#[test]
fn nan_in_a_metric_keeps_the_message() {
    let body = br#"{"data": {"name": "a.b", "status": "ok", "details": {"metrics":
        {"rms": NaN, "max": Infinity, "min": -Infinity, "n": 3}}}, "meta": {"id": "msg"}}"#;
    let decoded = decode(subject("svc.status.a.b"), body).unwrap();
    let Message::Status(status) = decoded.message else { panic!() };
    let metrics = Value::Object(status.details.metrics.clone());
    assert_eq!(metrics, json!({"rms": null, "max": null, "min": null, "n": 3}));
    assert_eq!(decoded.notes, Notes::default());
}

#[test]
fn what_names_no_service_is_dropped_whole_with_its_reason() {
    let say = |body: &[u8]| decode(subject("svc.status.a.b"), body).unwrap_err().to_string();
    assert_eq!(
        say(b"{\"data\": {\"status\": \"ok\"}}"),
        "names no service: `name` is missing or unusable"
    );
    assert_eq!(say(b"{\"data\": null}"), "no `data` object in the body");
    assert_eq!(say(b"[{\"name\": \"a.b\"}, {}]"), "no `data` object in the body");
    assert!(say(b"hello").starts_with("not JSON: expected value at line 1"));
    assert!(say(b"").starts_with("not JSON"));
    let long = json!({"data": {"name": "x".repeat(5000), "status": "ok"}}).to_string();
    assert!(say(long.as_bytes()).starts_with("names no service"));
}

#[test]
fn bounds_hold_and_what_is_cut_is_noted() {
    let children: Vec<Value> =
        (0..5000).map(|i| json!({"name": format!("c{i}"), "status": "ok"})).collect();
    let metrics: serde_json::Map<String, Value> =
        (0..100).map(|i| (format!("m{i}"), json!("x".repeat(1000)))).collect();
    let body = json!({"data": {"name": "a.b", "status": "ok", "message": "m".repeat(1 << 20),
        "details": {"children": children, "metrics": metrics}}});
    let decoded = decode(subject("svc.status.a.b"), body.to_string().as_bytes()).unwrap();
    let Message::Status(status) = decoded.message else { panic!() };
    assert_eq!(status.details.components.len(), MAX_COMPONENTS);
    assert!(status.message.unwrap().len() <= MAX_TEXT + 3);
    assert!((60..66).contains(&status.details.metrics.len()));
    assert_eq!(decoded.notes.cut, ["message", "metrics", "children"]);

    let mut deep = json!({"name": "leaf", "status": "ok"});
    for _ in 0..60 {
        deep = json!({"name": "c", "status": "ok", "details": {"children": [deep]}});
    }
    let body = json!({"data": {"name": "a.b", "status": "ok", "details": {"children": [deep]}}});
    let decoded = decode(subject("svc.status.a.b"), body.to_string().as_bytes()).unwrap();
    let Message::Status(status) = decoded.message else { panic!() };
    let mut levels = 0;
    let mut components = &status.details.components;
    while let Some(component) = components.first() {
        levels += 1;
        components = &component.details.components;
    }
    assert_eq!(levels, MAX_LEVELS);
    assert_eq!(decoded.notes.cut, ["children"]);
}

#[test]
fn a_status_occupies_little_however_large_its_body_is() {
    let figures: serde_json::Map<String, Value> =
        (0..50).map(|i| (format!("m{i}"), json!("x".repeat(1000)))).collect();
    let wordy = |i: usize| json!({"name": format!("c{i}"), "message": "x".repeat(3000)});
    let measuring = |i: usize| json!({"name": format!("c{i}"), "details": {"metrics": figures}});
    for children in [(0..4000).map(wordy).collect(), (0..400).map(measuring).collect::<Vec<_>>()] {
        let body = json!({"data": {"name": "a.b", "details": {"children": children}}}).to_string();
        assert!(body.len() > 10_000_000);
        let decoded = decode(subject("svc.status.a.b"), body.as_bytes()).unwrap();
        assert!(decoded.message.weight() < 256 * 1024, "{}", decoded.message.weight());
        assert_ne!(decoded.notes, Notes::default());
    }
}

#[test]
fn the_worst_status_is_the_aggregate() {
    use Status::{Busy, Degraded, Error, Failed, Idle, Ok, Shutdown, Startup, Unknown, Warning};
    let worst_first =
        [Failed, Error, Warning, Degraded, Startup, Shutdown, Busy, Idle, Ok, Unknown];
    for pair in worst_first.windows(2) {
        assert_eq!(Status::aggregate(pair.iter().copied()), pair[0]);
        assert_eq!(Status::aggregate(pair.iter().rev().copied()), pair[0]);
    }
    assert_eq!(Status::aggregate([]), Unknown);
    for status in Status::ALL {
        assert_eq!(status.as_str().parse(), Result::Ok(status));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // others may differ in their last digit when they are read again
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        ".{0,12}".prop_map(Value::from),
        Just(json!([2026, 11, 23, 1, 2, 3, 4])),
        Just(json!("ok")),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let keys = prop::sample::select(vec![
            "data",
            "meta",
            "name",
            "service_id",
            "status",
            "timestamp",
            "details",
            "children",
            "metrics",
            "event",
            "pid",
            "max_restarts",
            "declared",
            "ts",
            "tags",
            "id",
            "message",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..8)
                .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

const SUBJECTS: [&str; 4] =
    ["svc.status.a.b", "svc.heartbeat.a.b", "svc.registry.crashed.a.b", "svc.journal.a.b"];

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        for text in SUBJECTS {
            let _ = decode(subject(text), &body);
        }
        let _ = rpc::read_request(&body);
        let _ = rpc::read_reply(&body);
    }

    #[test]
    fn whatever_is_read_is_written_strictly_and_read_the_same(
        mut data in any_json(), name in "[a-z.]{1,9}", meta in any_json(),
    ) {
        if let Value::Object(fields) = &mut data {
            fields.insert("name".to_owned(), json!(name));
            fields.insert("service_id".to_owned(), json!(name));
        }
        let body = json!({"data": data, "meta": meta}).to_string();
        for text in SUBJECTS {
            let Ok(first) = decode(subject(text), body.as_bytes()) else { continue };
            let written = json!({"data": super::tests::data(&first.message), "meta": first.meta});
            let second = decode(subject(text), written.to_string().as_bytes()).unwrap();
            prop_assert_eq!(strict(second.message), strict(first.message));
        }
    }
}

/// What writing changes on purpose: a status outside the ten is written as `unknown`.
fn strict(mut message: Message) -> Message {
    match &mut message {
        Message::Status(status) => status.raw_status = None,
        Message::Registry(registry) => {
            if let Event::Crashed(crashed) = &mut registry.event {
                // an unlimited limit is not written into `crashed`, for the old console
                crashed.max_restarts =
                    crashed.max_restarts.filter(|limit| *limit != Limit::Unlimited);
            }
        }
        Message::Heartbeat(_) | Message::Journal(_) => {}
    }
    message
}
