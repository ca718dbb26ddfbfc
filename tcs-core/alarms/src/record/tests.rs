use serde_json::{Value, json};
use tcs_wire::{Meta, Subjects};

use super::{Condition, Record};
use crate::Address;

fn read(subject: &str, data: &Value) -> Result<Record, String> {
    let address = Address::parse(&Subjects::default(), subject).unwrap();
    let body = json!({"data": data, "meta": {"id": "m"}}).to_string();
    Record::decode(&address, body.as_bytes()).map_err(|error| error.to_string())
}

const NOW: [i64; 7] = [2026, 11, 23, 2, 13, 4, 120_000];
const EPISODE: &str = "failed/a.x@2026-11-23T02:13:04.120000Z";

fn state() -> Value {
    json!({"episode": EPISODE, "rev": 1, "state": "active", "severity": "critical",
        "max_severity": "critical", "since": NOW, "verdict": "failed", "reasons": ["crashed"],
        "occurrences": 1, "chatter": false, "by": "sentinel.main",
        "evidence": {"registry": {"created": NOW, "seq": 7}},
        "notify": {"at": NOW, "why": "raised"}})
}

#[test]
fn what_is_written_is_read_again() {
    let messages = [
        ("svc.alarm.state.failed.a.x", state()),
        (
            "svc.alarm.ack.failed.a.x",
            json!({"episode": EPISODE, "op": "ack", "up_to": "critical", "note": "on it",
                "expires": NOW, "by": "ann@srv", "restored": true,
                "original": {"created": NOW, "seq": 3, "at": NOW}}),
        ),
        ("svc.alarm.note.failed.a.x", json!({"episode": EPISODE, "note": "x", "by": "ann@srv"})),
        (
            "svc.alarm.shelf.0d9f",
            json!({"match": {"filter": "host:srv02"}, "until": NOW, "reason": "reboot",
                "by": "ann@srv", "ended": false}),
        ),
        (
            "svc.alarm.sent.chat.failed.a.x",
            json!({"episode": EPISODE, "rev": 1, "step": 0, "st": "failed", "attempt": 2,
                "error": "500", "due": NOW, "why": "raised", "by": "sentinel.main"}),
        ),
        ("svc.alarm.rules", json!({"text": "{}", "by": "sentinel.main"})),
    ];
    for (subject, data) in messages {
        let record = read(subject, &data).unwrap();
        let body = record.to_body(&Meta::default()).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["data"], data, "{subject}");
        let mut more = data.clone();
        more["of_a_later_version"] = json!({"x": 1});
        assert_eq!(read(subject, &more).unwrap(), record, "{subject}");
    }
}

#[test]
fn what_may_be_missing_has_a_meaning() {
    let mut data = state();
    for field in ["verdict", "reasons", "occurrences", "chatter", "evidence"] {
        data.as_object_mut().unwrap().remove(field);
    }
    let Record::State(state) = read("svc.alarm.state.failed.a.x", &data).unwrap() else {
        panic!("not a state")
    };
    assert_eq!((state.state, state.occurrences, state.chatter), (Condition::Active, 1, false));
}

#[test]
fn a_body_about_another_alarm_than_its_subject_is_refused() {
    let error = read("svc.alarm.state.failed.a.y", &state()).unwrap_err();
    assert!(error.contains("another alarm than its subject"), "{error}");
    let mut data = state();
    data["state"] = json!("odd");
    assert!(read("svc.alarm.state.failed.a.x", &data).is_err());
    assert!(read("svc.alarm.state.failed.a.x", &json!({})).is_err());
}

#[test]
fn long_texts_are_cut_between_two_characters() {
    let note = "é".repeat(5000);
    let data = json!({"episode": EPISODE, "note": note, "by": "ann@srv"});
    let Record::Note(note) = read("svc.alarm.note.failed.a.x", &data).unwrap() else {
        panic!("not a note")
    };
    assert_eq!(note.note.len(), 4096);
}

#[test]
fn an_error_does_not_quote_a_whole_message() {
    let body = format!(r#"{{"data": "{}"}}"#, "x".repeat(100_000));
    let error = Record::decode(&Address::Rules, body.as_bytes()).unwrap_err();
    assert!(error.to_string().len() < 5000);
}
