//! What rules would have raised over a past on paper: heartbeats each second, events, an outage.

use serde_json::{Value, json};
use tcs_fleet::history::PastReader as _;
use tcs_fleet::{Fleet, Order, Stamp};
use tcs_wire::{Decoded, Subjects, Timestamp, decode};

use super::support::{at, epoch};
use super::world::{LAUNCHER, rules};
use crate::{Replay, Replayed, Why};

type Message = (f64, String, Value);

/// Services `a.0` and `a.1` under a launcher; each sends a heartbeat a second but in its gaps.
fn past(until: u32, gaps: &[(&str, u32, u32)]) -> Vec<Message> {
    let ids = [LAUNCHER, "a.0", "a.1"];
    let mut past: Vec<Message> = Vec::new();
    for id in ids {
        let status = json!({"name": id, "status": "ok", "hostname": "srv01", "pid": 100});
        if id != LAUNCHER {
            past.push(event(0.0, "start", id, &json!({})));
        }
        past.push((0.0, format!("status.{id}"), status));
        for second in 1..until {
            let is_silent =
                |gap: &&(&str, u32, u32)| gap.0 == id && gap.1 <= second && second < gap.2;
            if !gaps.iter().any(|gap| is_silent(&gap)) {
                let beat = json!({"service_id": id, "sequence": second, "interval_seconds": 1.0});
                past.push((f64::from(second), format!("heartbeat.{id}"), beat));
            }
        }
    }
    past
}

fn event(s: f64, name: &str, id: &str, more: &Value) -> Message {
    let mut data = json!({"event": name, "service_id": id, "parent": LAUNCHER, "hostname": "srv01", "pid": 100});
    for (key, value) in more.as_object().unwrap() {
        data[key] = value.clone();
    }
    (s, format!("registry.{name}.{id}"), data)
}

fn replay(mut past: Vec<Message>, until: f64, heard_from: Option<f64>) -> Replayed {
    past.sort_by(|a, b| a.0.total_cmp(&b.0));
    let settings = json!({"escalate": {"critical": [{"chat": "0s"}, {"page": "5m"}]}});
    let sentinel = Replay::sentinel(rules(&settings, &["chat", "page"]), epoch()).unwrap();
    let period = (epoch(), at(until));
    let mut replay = Replay::new(sentinel, Fleet::new(), period, heard_from.map(at));
    let read = |(number, (s, subject, mut data)): (usize, Message)| {
        let ts = serde_json::to_value(Timestamp::new(at(s))).unwrap();
        data["timestamp"] = ts.clone();
        let body = json!({"data": data, "meta": {"id": "m", "sender": "s", "ts": ts}}).to_string();
        let subject = format!("svc.{subject}");
        let parsed = Subjects::default().parse(&subject).unwrap();
        let decoded = decode(parsed, body.as_bytes()).unwrap();
        let order = Order::Stream { created: at(-1e6), seq: number as u64 + 1 };
        (subject, decoded, Stamp { stored: at(s), order })
    };
    let messages: Vec<(String, Decoded, Stamp)> = past.into_iter().enumerate().map(read).collect();
    replay.look_ahead(messages.iter().map(|(_, decoded, stamp)| (decoded, *stamp)));
    for (subject, decoded, stamp) in &messages {
        replay.take(subject, decoded, *stamp);
    }
    replay.finish()
}

/// Alarm, seconds of its raise and of its end.
fn say(found: &Replayed) -> Vec<String> {
    let seconds =
        |time: chrono::DateTime<chrono::Utc>| (time - epoch()).num_milliseconds() as f64 / 1000.0;
    let raise = |it: &crate::Raised| {
        let ended = it.ended.map_or("open".to_owned(), |ended| format!("{:.0}", seconds(ended)));
        format!("{} {:.0} {ended}", it.alarm, seconds(it.at))
    };
    found.raises.iter().map(raise).collect()
}

#[test]
fn a_failure_and_a_silence_are_raised_and_an_outage_is_not() {
    let outage = ["a.0", "a.1", LAUNCHER].map(|id| (id, 2000, 2100));
    let mut past = past(3000, &[&[("a.0", 100, 700), ("a.1", 1000, 1200)][..], &outage].concat());
    past.push(event(100.0, "crashed", "a.0", &json!({"exit_code": 3, "will_restart": false})));
    past.push(event(700.0, "start", "a.0", &json!({})));
    past.push((700.0, "status.a.0".to_owned(), json!({"name": "a.0", "status": "ok", "pid": 101})));
    let found = replay(past, 3000.0, Some(0.0));
    let [failed, lost] = &found.raises[..] else { panic!("{:?}", say(&found)) };
    assert_eq!(say(&found)[0], "failed/a.0 100 710");
    assert!(failed.message.as_deref().is_some_and(|it| it.contains("exit code 3")), "{failed:?}");
    let told: Vec<(&str, Why)> =
        failed.told.iter().map(|it| (it.channel.as_str(), it.why)).collect();
    let expected = [
        ("chat", Why::Raised),
        ("page", Why::Escalation),
        ("chat", Why::Cleared),
        ("page", Why::Cleared),
    ];
    assert_eq!(told, expected);
    assert_eq!(lost.alarm.to_string(), "lost/a.1");
    assert!((at(1002.0)..at(1030.0)).contains(&lost.at), "{:?}", say(&found));
    assert!(lost.ended.is_some_and(|it| (at(1209.0)..at(1213.0)).contains(&it)), "{lost:?}");
    assert_eq!((found.sent["chat"], found.sent["page"]), (4, 2));
    assert_eq!(found.gaps.len(), 1, "{:?}", found.gaps);
}

#[test]
fn where_heartbeats_are_not_held_silence_raises_nothing_and_events_do() {
    let gaps = [("a.0", 0, 2000), ("a.1", 0, 1000), (LAUNCHER, 0, 1000)];
    let mut past = past(2000, &gaps);
    past.push(event(500.0, "crashed", "a.0", &json!({"exit_code": 3, "will_restart": false})));
    let found = replay(past.clone(), 2000.0, Some(1000.0));
    assert_eq!(say(&found), ["failed/a.0 500 open"]);
    let of_events = past.into_iter().filter(|(_, subject, _)| !subject.starts_with("heartbeat"));
    let found = replay(of_events.collect(), 2000.0, None);
    assert_eq!(say(&found), ["failed/a.0 500 open"]);
}
