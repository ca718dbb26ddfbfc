//! What is listed, what is counted, what is bounded; and the filter.

use serde_json::json;

use super::support::{Line, beat, beats, crashed, event, launcher, picture, status};
use crate::{Filter, Fleet, Link};
use tcs_wire::{Kind, Message, Status, Subject, decode};

const HOUR: f64 = 3600.0;

/// The ids listed by default and with `--all`, without the launcher.
fn listed(lines: &[Line], now: f64) -> (Vec<String>, Vec<String>) {
    let view = picture(lines, now);
    let ids = |pick: fn(&crate::ServiceView) -> bool| {
        view.services
            .iter()
            .filter(|service| !service.is_launcher && pick(service))
            .map(|service| service.id.to_string())
            .collect()
    };
    (ids(|service| service.in_default), ids(|service| service.in_all))
}

#[test]
fn the_default_list_is_what_runs_or_should_and_what_failed_lately() {
    let lines = [
        event("declared", "d.declared", 1.0),
        event("start", "r.running", 1.0),
        status("r.running", "ok", 2.0),
        event("start", "s.stopped", 1.0),
        event("stop", "s.stopped", 3.0),
        event("start", "f.failed", 1.0),
        crashed("f.failed", 3.0, false),
        event("start", "b.backoff", 1.0),
        crashed("b.backoff", 3.0, true),
    ];
    let mut lines = lines.to_vec();
    lines.extend(launcher(0.0, 100.0));
    lines.extend(beats("r.running", 2.0, 100.0));
    let (default, all) = listed(&lines, 10.0);
    assert_eq!(default, ["b.backoff", "f.failed", "r.running"]);
    assert_eq!(all, ["b.backoff", "d.declared", "f.failed", "r.running", "s.stopped"]);
    // two days later, nothing heard since: what was declared is still there
    let (default, all) = listed(&lines, 50.0 * HOUR);
    assert_eq!(default, Vec::<String>::new());
    assert_eq!(all, ["d.declared"]);
}

#[test]
fn a_lost_ad_hoc_object_leaves_after_1_h_and_others_after_24_h() {
    let mut lines = vec![status("ad.hoc", "ok", 1.0), beat("ad.hoc", 2.0)];
    lines.extend([
        event("start", "m.managed", 1.0),
        status("m.managed", "ok", 2.0),
        beat("m.managed", 2.0),
    ]);
    let names = |now| listed(&lines, now).0;
    assert_eq!(names(0.9 * HOUR), ["ad.hoc", "m.managed"]);
    assert_eq!(names(1.2 * HOUR), ["m.managed"]);
    assert_eq!(names(25.0 * HOUR), Vec::<String>::new());
}

#[test]
fn a_filter_is_words_that_all_must_hold() {
    let mut lines = vec![
        event("start", "guider.jk15", 1.0),
        status("guider.jk15", "busy", 2.0),
        beat("guider.jk15", 2.0),
        status("dome.zb08", "error", 2.0).with(&json!({"hostname": "srv02.oca.lan"})),
        beat("dome.zb08", 2.0),
    ];
    lines.extend(launcher(0.0, 10.0));
    let view = picture(&lines, 3.0);
    let pick = |text: &str| -> Vec<&str> {
        let filter = Filter::parse(text).unwrap();
        view.services
            .iter()
            .filter(|s| filter.matches(s))
            .map(|s| &*s.id)
            .filter(|id| !id.starts_with("launcher"))
            .collect()
    };
    assert_eq!(pick(""), ["dome.zb08", "guider.jk15"]);
    assert_eq!(pick("GUID"), ["guider.jk15"]);
    assert_eq!(pick("!guid"), ["dome.zb08"]);
    assert_eq!(pick("/^(dome|tic)/"), ["dome.zb08"]);
    assert_eq!(pick("host:srv02"), ["dome.zb08"]);
    assert_eq!(pick("status:busy"), ["guider.jk15"]);
    assert_eq!(pick("status:error !host:srv01"), ["dome.zb08"]);
    assert_eq!(pick("verdict:ok"), ["guider.jk15"]);
    assert_eq!(pick("status:busy,error"), ["dome.zb08", "guider.jk15"]);
    assert_eq!(pick("host:srv01,srv99 verdict:ok,lost"), ["guider.jk15"]);
    assert_eq!(pick("launcher:srv01 phase:running"), ["guider.jk15"]);
    assert_eq!(pick("is:fault"), ["dome.zb08"]);
    assert_eq!(pick("zzz"), Vec::<&str>::new());
    let say = |text: &str| Filter::parse(text).unwrap_err().to_string();
    assert!(say("/(/").starts_with("`/(/` is not a regular expression: "));
    assert_eq!(
        say("color:red"),
        "`color:` is not a filter: one of host:, status:, verdict:, phase:, launcher:, is:fault"
    );
    assert!(say("verdict:faild").starts_with("`faild` is not a verdict: one of failed, lost, "));
    assert!(say("status:bussy").contains("`bussy` is not a status"));
    assert!(say("phase:ok").contains("`ok` is not a phase: one of declared, waiting"));
    // a script whose variable is empty must not stop everything
    for empty in ["host:", "!host:", "is:", "Status:", "host:a,", "//", "/"] {
        let word = empty.trim_start_matches('!');
        let error = format!("`{word}` has no value: it would match every service");
        assert_eq!(say(&format!("guid {empty}")), error);
    }
    let id = Filter::id("status:busy");
    assert!(!view.services.iter().any(|service| id.matches(service)));
}

#[test]
fn malformed_messages_are_counted_with_their_subjects_and_bounded() {
    let mut fleet = Fleet::new();
    let subject = Subject { kind: Kind::Status, event: None, name: "a.b" };
    for i in 0..100 {
        let error = decode(subject, b"{oops").unwrap_err();
        fleet.malformed(&format!("svc.status.{i}"), &error);
    }
    let line = status("a.b", "ok", 1.0).with(&json!({"pid": "x"}));
    fleet.apply(&line.subject, line.decoded(), super::support::stamp(&line));
    let tally = fleet.tally();
    assert_eq!((tally.received, tally.malformed), (101, 101));
    assert_eq!(tally.last_malformed.len(), 32);
    assert_eq!(
        tally.last_malformed.back().unwrap(),
        &("svc.status.a.b".to_owned(), "wrong type: pid".to_owned())
    );
    assert_eq!(fleet.len(), 1, "the message with the wrong field is kept");
}

/// Folds one line in.
fn put(fleet: &mut Fleet, line: &Line) {
    fleet.apply(&line.subject, line.decoded(), super::support::stamp(line));
}

#[test]
fn a_flood_of_names_pushes_out_nothing_that_is_declared() {
    use crate::{ALL_BYTES, MAX_NAMES};
    let mut fleet = Fleet::new();
    for i in 0..10 {
        let id = format!("keep.me{i}");
        put(&mut fleet, &event("declared", &id, 1.0));
        // one of them has ended
        put(&mut fleet, &event(if i == 0 { "stop" } else { "start" }, &id, 2.0));
    }
    for line in launcher(0.0, 0.0) {
        put(&mut fleet, &line);
    }
    let monitor = ["status", "beat"].map(|kind| match kind {
        "status" => status("a.monitor", "ok", 2.0),
        _ => beat("a.monitor", 2.5),
    });
    for line in &monitor {
        put(&mut fleet, line);
    }
    // as `line`, of other names and later
    let flood = |fleet: &mut Fleet, line: &Line, name: &str, count: usize, from: f64| {
        let decoded = line.decoded();
        for i in 0..count {
            let mut decoded = decoded.clone();
            match &mut decoded.message {
                Message::Heartbeat(it) => it.service_id = format!("{name}.{i}"),
                Message::Status(it) => it.name = format!("{name}.{i}"),
                _ => {}
            }
            let line = Line { stored: from + i as f64 * 1e-5, ..line.clone() };
            fleet.apply(&line.subject, decoded, super::support::stamp(&line));
        }
    };
    flood(&mut fleet, &beat("flood.0", 3.0), "flood", MAX_NAMES, 3.0);
    assert!(fleet.len() <= MAX_NAMES);
    assert!(fleet.tally().evicted > 0);
    let kept = |name: &str| fleet.names().any(|known| &**known == name);
    assert!((0..10).all(|i| kept(&format!("keep.me{i}"))));
    assert!(kept(super::support::LAUNCHER) && kept("a.monitor") && !kept("flood.0"));
    // few names with much in them
    let text = "x".repeat(15_000);
    let large = json!({"details": {"metrics": {"a": text}}});
    let large = status("large.0", "ok", 10.0).with(&large);
    flood(&mut fleet, &large, "large", 2 * ALL_BYTES / text.len(), 10.0);
    let large = fleet.names().filter(|name| name.starts_with("large")).count();
    assert!(large * text.len() <= ALL_BYTES / 2, "{large}");
    assert!(large * text.len() >= ALL_BYTES / 5, "{large}");
    assert!((0..10).all(|i| fleet.names().any(|name| **name == *format!("keep.me{i}"))));
    // what is left of it is forgotten, as time goes on
    assert!(fleet.is_flooded() && fleet.origins().is_empty());
    put(&mut fleet, &beat("keep.me1", 40.0));
    let left: Vec<_> = fleet.names().map(ToString::to_string).collect();
    assert!(left.len() == 12 && left.contains(&"a.monitor".to_owned()), "{left:?}");
    for at in [130.0, 135.0] {
        put(&mut fleet, &beat("keep.me1", at));
    }
    assert!(fleet.len() == 11 && !fleet.is_flooded(), "{}", fleet.len());
}

#[test]
fn what_is_declared_leaves_less_room_for_what_is_not() {
    use crate::{ALL_BYTES, FOREIGN_BYTES};
    let text = json!({"details": {"metrics": {"a": "x".repeat(10_000)}}});
    let kept = |declared: usize| {
        let mut fleet = Fleet::new();
        for i in 0..declared {
            let id = format!("keep.s{i}");
            put(&mut fleet, &event("declared", &id, 1.0));
            put(&mut fleet, &status(&id, "ok", 2.0).with(&text));
        }
        for i in 0..2 * ALL_BYTES / 10_000 {
            put(&mut fleet, &status(&format!("other.s{i}"), "ok", 3.0).with(&text));
        }
        let names = |start: &str| fleet.names().filter(|name| name.starts_with(start)).count();
        assert_eq!(names("keep."), declared);
        names("other.")
    };
    let (alone, beside, crowded) = (kept(0), kept(1_500), kept(4_000));
    assert!(beside < alone / 2, "{alone} {beside}");
    // never less than this, of which a flood leaves a quarter to a half
    assert!(crowded > FOREIGN_BYTES / 4 / 12_000, "{crowded}");
}

#[test]
fn large_metrics_of_services_that_nobody_declares_are_left_out() {
    use crate::{LARGE, SHORT_BEYOND};
    let text = "x".repeat(60_000);
    let large = json!({"details": {"metrics": {"a": text}}, "metrics": {"a": text}});
    let mut fleet = Fleet::new();
    put(&mut fleet, &event("declared", "keep.me", 1.0));
    put(&mut fleet, &status("keep.me", "ok", 2.0).with(&large));
    put(&mut fleet, &status("a.monitor", "ok", 2.0).with(&large));
    let metrics = |fleet: &Fleet, name: &str| fleet.status_of(name).unwrap().details.weight();
    assert!(metrics(&fleet, "keep.me") > 60_000 && metrics(&fleet, "a.monitor") > 60_000);
    let names: Vec<_> = (0..200).map(|i| format!("bulk.s{i}")).collect();
    for (i, name) in names.iter().enumerate() {
        let at = 3.0 + i as f64;
        put(&mut fleet, &status(name, "error", at).with(&large));
        put(&mut fleet, &beat(name, at).with(&large));
    }
    // in any order, and once more, they stay short
    put(&mut fleet, &status("bulk.s0", "error", 3.0).with(&large));
    let kept = |name: &String| metrics(&fleet, name);
    assert!(names.iter().map(kept).sum::<usize>() < SHORT_BEYOND + LARGE);
    assert!(fleet.status_of("bulk.s0").unwrap().status == Status::Error);
    let is_partial = |name: &str| {
        let view = fleet.view(super::support::at(300.0), Link::Steady);
        view.get(name).unwrap().record.status().unwrap().partial
    };
    assert!(is_partial("a.monitor") && !is_partial("keep.me"));
    assert!(metrics(&fleet, "keep.me") > 60_000);
    assert_eq!((fleet.len(), fleet.is_flooded()), (202, false));
}
