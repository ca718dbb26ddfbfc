//! Clocks, launchers, hosts, causes, our own blindness, the tree.

use std::collections::BTreeSet;

use serde_json::json;

use super::support::{
    LAUNCHER, Line, at, beat, beats, crashed, event, fold, launcher, picture, picture_with, say,
    see, status,
};
use crate::{Link, Reason, Verdict};

/// Three services under the launcher, all running well from 1 s to `to`.
fn fleet_until(to: f64) -> Vec<Line> {
    let mut lines = launcher(0.0, to);
    for id in ["a.x", "a.y", "a.z"] {
        lines.push(event("declared", id, 0.5));
        lines.push(event("start", id, 1.0));
        lines.push(status(id, "ok", 2.0));
        lines.extend(beats(id, 2.0, to));
    }
    lines
}

fn other_host(line: Line) -> Line {
    line.with(&json!({"hostname": "srv02"}))
}

#[test]
fn a_launcher_that_ends_has_children_still_ending_for_30_s() {
    let mut lines = fleet_until(1000.0);
    lines.retain(|line| !line.subject.contains("launcher") || line.stored < 500.0);
    lines.push(status(LAUNCHER, "shutdown", 500.0).with(&json!({"pid": 99})));
    lines.push(event("stop", "a.y", 503.0));
    lines.retain(|line| !(line.subject == "svc.heartbeat.a.y" && line.stored > 503.0));
    let lines = &lines;
    assert_eq!(say(&see(lines, "a.x", 499.0)), "ok running []");
    assert_eq!(say(&see(lines, "a.x", 505.0)), "stopping stopping [launcher_shutdown]");
    assert_eq!(say(&see(lines, "a.y", 505.0)), "stopped stopped [ended]");
    assert_eq!(say(&see(lines, "a.x", 531.0)), "degraded running [orphaned]");
    assert_eq!(say(&see(lines, LAUNCHER, 531.0)), "stopped stopped [ended]");
}

#[test]
fn a_lost_launcher_takes_along_its_children_and_is_one_cause() {
    let mut lines = fleet_until(500.0);
    lines.push(event("stop", "a.z", 300.0));
    // the launcher died at 400, one child with it, one lives on
    lines.retain(|line| line.stored < 400.0 || line.subject.ends_with("a.y"));
    lines.retain(|line| !(line.subject == "svc.heartbeat.a.z" && line.stored > 300.0));
    lines.extend(beats("a.y", 502.0, 600.0));
    let view = picture(&lines, 600.0);
    let say_of = |id: &str| say(view.get(id).unwrap());
    assert_eq!(say_of(LAUNCHER), "lost running [takes_along heartbeat_lost]");
    assert_eq!(say_of("a.x"), "lost running [launcher_lost heartbeat_lost]");
    assert_eq!(say_of("a.y"), "degraded running [orphaned]");
    assert_eq!(say_of("a.z"), "stopped stopped [ended]");
    assert_eq!(view.get(LAUNCHER).unwrap().headline(), "launcher lost: 1 service");
}

#[test]
fn what_waits_for_a_restart_under_a_lost_launcher_is_lost() {
    let mut lines = launcher(0.0, 100.0);
    lines.extend([event("start", "a.x", 1.0), crashed("a.x", 99.0, true)]);
    assert_eq!(say(&see(&lines, "a.x", 120.0)), "restarting backoff [crashed]");
    assert_eq!(say(&see(&lines, "a.x", 400.0)), "lost backoff [launcher_lost crashed]");
}

#[test]
fn a_silent_host_is_one_cause() {
    let mut lines = fleet_until(1000.0);
    for id in ["b.x", "b.y"] {
        lines.extend([other_host(status(id, "ok", 2.0))]);
        lines.extend(beats(id, 2.0, 500.0));
    }
    let view = picture(&lines, 700.0);
    assert!(view.hosts["srv02"].silent && !view.hosts["srv01"].silent);
    assert!(!view.heartbeats_missing);
    for id in ["b.x", "b.y"] {
        assert_eq!(say(view.get(id).unwrap()), "lost running [host_silent heartbeat_lost]");
    }
}

#[test]
fn everything_silent_at_once_is_said_once_at_the_top() {
    let mut lines = fleet_until(500.0);
    lines.extend([other_host(status("b.x", "ok", 2.0))]);
    lines.extend(beats("b.x", 2.0, 500.0));
    assert!(!picture(&lines, 510.0).heartbeats_missing);
    assert!(picture(&lines, 545.0).heartbeats_missing);
    // one by one over a night: no common cause
    let mut one_by_one = fleet_until(500.0);
    one_by_one.retain(|line| !(line.subject == "svc.heartbeat.a.x" && line.stored > 200.0));
    assert!(!picture(&one_by_one, 700.0).heartbeats_missing);
}

#[test]
fn two_live_launchers_that_declare_one_service_conflict_at_both() {
    let other = "launcher.M.srv02-process-launcher";
    let mut lines = fleet_until(1000.0);
    lines.push(status(other, "ok", 3.0).with(&json!({"hostname": "srv02", "pid": 5})));
    lines.extend(beats(other, 3.0, 600.0));
    lines.push(event("declared", "a.x", 4.0).with(&json!({"parent": other})));
    let view = picture(&lines, 10.0);
    for id in ["a.x", LAUNCHER, other] {
        assert_eq!(say(view.get(id).unwrap()), "degraded running [conflict]", "{id}");
    }
    assert_eq!(say(view.get("a.y").unwrap()), "ok running []");
    // the other one ends: no conflict any more
    assert_eq!(say(&see(&lines, "a.x", 900.0)), "ok running []");
    // only the last declaration is held, and names the other
    let run = |line: Line| line.with(&json!({"launcher_run": "r1"}));
    let mut lines: Vec<Line> = lines
        .into_iter()
        .filter(|line| line.subject != "svc.registry.declared.a.x")
        .map(|line| if line.subject == "svc.registry.start.a.x" { run(line) } else { line })
        .collect();
    lines.push(run(event("declared", "a.x", 4.0).with(&json!({"others": [other]}))));
    assert_eq!(say(&see(&lines, "a.x", 10.0)), "degraded running [conflict]");
}

#[test]
fn the_launcher_that_goes_on_has_a_service_in_hand_after_a_conflict() {
    let other = "launcher.M.srv02-process-launcher";
    let by = |name: &str, stored| event(name, "a.x", stored).with(&json!({"parent": other}));
    let beat_of = |line: Line| line.meta(&json!({"sender": "tcsd"}));
    let mut lines = launcher(0.0, 1000.0).into_iter().map(beat_of).collect::<Vec<_>>();
    lines.extend([event("declared", "a.x", 0.5), event("start", "a.x", 1.0)]);
    // the first launcher beats for its process, which goes on
    let spoken = |line: Line| beat_of(line).with(&json!({"reported_by": "launcher"}));
    lines.extend(beats("a.x", 2.0, 1000.0).into_iter().map(spoken));
    lines.push(status(other, "ok", 3.0).with(&json!({"hostname": "srv02", "pid": 5})));
    lines.extend(beats(other, 3.0, 490.0));
    lines.extend([by("declared", 4.0), by("start", 5.0), by("ready", 5.0)]);
    assert_eq!(see(&lines, "a.x", 400.0).parent.as_deref(), Some(other));

    let killed = lines.clone();
    lines.push(by("stop", 500.0).with(&json!({"reason": "terminated"})));
    lines.push(status(other, "shutdown", 501.0).with(&json!({"hostname": "srv02", "pid": 5})));
    lines.push(event("declared", "a.x", 502.0));
    for (lines, now) in [(&lines, 520.0), (&killed, 700.0)] {
        let service = see(lines, "a.x", now);
        assert_eq!(service.parent.as_deref(), Some(LAUNCHER));
        assert_eq!(say(&service), "ok running []");
    }
    // nobody else has it: it stands where it stood
    lines.retain(|line| line.subject != format!("svc.heartbeat.{LAUNCHER}") || line.stored < 400.0);
    assert_eq!(see(&lines, "a.x", 800.0).parent.as_deref(), Some(other));
}

#[test]
fn a_service_that_another_file_has_now_is_its_launchers() {
    let other = "launcher.M.srv02-process-launcher";
    let numbered = |line: Line, batch: u32| {
        line.with(&json!({"launcher_run": "r1", "declared": {"batch": batch}}))
    };
    let mut lines = launcher(0.0, 100.0);
    lines.push(numbered(event("declared", "a.x", 0.5), 1));
    lines.push(event("stop", "a.x", 2.0).with(&json!({"launcher_run": "r1"})));
    lines.push(numbered(event("declared", "a.y", 3.0), 2));
    lines.push(status(other, "ok", 3.0).with(&json!({"hostname": "srv02", "pid": 5})));
    lines.extend(beats(other, 3.0, 100.0));
    assert_eq!(see(&lines, "a.x", 10.0).parent.as_deref(), Some(LAUNCHER));
    lines.push(event("declared", "a.x", 4.0).with(&json!({"parent": other})));
    assert_eq!(see(&lines, "a.x", 10.0).parent.as_deref(), Some(other));
}

#[test]
fn a_launcher_learns_who_declares_its_services_too() {
    let other = "launcher.M.srv02-process-launcher";
    let mut lines = fleet_until(1000.0);
    lines.push(status(other, "ok", 3.0).with(&json!({"hostname": "srv02", "pid": 5})));
    lines.extend(beats(other, 3.0, 600.0));
    lines.push(event("declared", "a.x", 4.0).with(&json!({"parent": other})));
    // its own word comes back, and is no proof
    lines.push(event("declared", "a.x", 5.0).with(&json!({"others": [other]})));
    // a service of the other's alone is no concern of ours
    lines.push(event("declared", "b.x", 4.0).with(&json!({"parent": other})));
    let rivals = |launcher: &str, lines: &[Line], now: f64| {
        let fleet = fold(lines.iter().filter(|line| line.stored <= now));
        let rivals = fleet.rivals(launcher, &BTreeSet::new(), at(now), Link::Steady);
        rivals.iter().map(|(id, others)| format!("{id}: {}", others.join(" "))).collect::<Vec<_>>()
    };
    assert_eq!(rivals(LAUNCHER, &lines, 10.0), [format!("a.x: {other}")]);
    assert_eq!(rivals(other, &lines, 10.0), [format!("a.x: {LAUNCHER}")]);
    assert!(rivals(LAUNCHER, &lines, 900.0).is_empty(), "the other is lost");
    // of two declarations of one subject a snapshot has the newest
    let newest: Vec<Line> = lines
        .iter()
        .filter(|line| !(line.subject.contains("declared") && line.data["parent"] != other))
        .cloned()
        .collect();
    assert!(rivals(LAUNCHER, &newest, 10.0).is_empty());
    let fleet = fold(newest.iter().filter(|line| line.stored <= 10.0));
    let own = BTreeSet::from(["a.x".into()]);
    let rivals_of_known = fleet.rivals(LAUNCHER, &own, at(10.0), Link::Steady);
    assert_eq!(rivals_of_known["a.x"], [other]);
    lines.push(event("declared", "b.x", 65.0).with(&json!({"parent": other})));
    assert!(rivals(LAUNCHER, &lines, 66.0).is_empty(), "the other declares it no longer");
}

#[test]
fn a_launcher_that_runs_anew_declares_only_what_its_new_run_declares() {
    let mut lines = fleet_until(300.0);
    let run = |line: Line, run: &str| line.with(&json!({"launcher_run": run}));
    lines.push(run(event("declared", "a.x", 10.0), "one"));
    lines.push(run(event("declared", "a.y", 10.0), "one"));
    lines.push(run(event("declared", "a.y", 20.0), "two"));
    let view = picture(&lines, 21.0);
    assert!(!view.get("a.x").unwrap().declared && view.get("a.y").unwrap().declared);
}

#[test]
fn a_batch_says_what_one_run_declares() {
    let declared = |id: &str, batch: u64, stored: f64| {
        let fields = json!({"launcher_run": "one", "declared": {"batch": batch}});
        event("declared", id, stored).with(&fields)
    };
    let is_declared = |lines: &[Line], id: &str, now: f64| {
        let view = picture(lines, now);
        view.get(id).unwrap().declared
    };
    let mut lines = fleet_until(300.0);
    lines.extend(["a.x", "a.y", "a.z"].map(|id| declared(id, 1, 10.0)));
    // one of them again, because another launcher has it too: the others are no less declared
    lines.push(declared("a.y", 1, 200.0));
    for id in ["a.x", "a.y", "a.z"] {
        assert!(is_declared(&lines, id, 201.0), "{id}");
    }
    // a reload without a.x, a second later
    lines.extend(["a.y", "a.z"].map(|id| declared(id, 2, 201.0)));
    assert!(!is_declared(&lines, "a.x", 201.5));
    assert!(is_declared(&lines, "a.y", 201.5) && is_declared(&lines, "a.z", 201.5));
    // and one with it
    lines.push(declared("a.x", 2, 202.0));
    assert!(is_declared(&lines, "a.x", 202.5));
}

#[test]
fn beats_of_two_senders_interleaving_are_a_double() {
    let senders = |pattern: &str| {
        let mut lines = fleet_until(100.0);
        lines.retain(|line| !matches!(&*line.subject, "svc.heartbeat.a.x" | "svc.status.a.x"));
        let mut seen = String::new();
        for (i, sender) in pattern.chars().enumerate() {
            let by = json!({"sender": sender.to_string()});
            let at = 50.0 + 5.0 * i as f64;
            if !seen.contains(sender) {
                seen.push(sender);
                lines.push(status("a.x", "ok", at - 0.1).meta(&by));
            }
            lines.push(beat("a.x", at).meta(&by));
        }
        say(&see(&lines, "a.x", 50.0 + 5.0 * pattern.len() as f64))
    };
    assert_eq!(senders("AAAA"), "ok running []");
    assert_eq!(senders("AABB"), "ok running []", "a restart");
    assert_eq!(senders("ABAB"), "degraded running [double]");
}

#[test]
fn what_is_declared_no_longer() {
    let mut lines = fleet_until(300.0);
    lines.push(event("stop", "a.x", 190.0));
    lines.retain(|line| !(line.subject == "svc.heartbeat.a.x" && line.stored > 189.0));
    // the launcher comes back with a configuration without a.x
    for id in ["a.y", "a.z"] {
        lines.push(event("declared", id, 200.0));
        lines.push(event("start", id, 200.5));
    }
    let view = picture(&lines, 205.0);
    assert_eq!(say(view.get("a.x").unwrap()), "stopped stopped [no_longer_declared ended]");
    assert!(!view.get("a.x").unwrap().declared && view.get("a.y").unwrap().declared);
}

#[test]
fn a_wrong_clock_is_shown_and_changes_no_verdict() {
    for wrong in [-600.0, 600.0] {
        let shift = |line: Line| {
            let sent = super::support::array(line.stored + wrong);
            line.clone().meta(&json!({"ts": sent})).with(&json!({"timestamp": sent}))
        };
        let lines: Vec<Line> = fleet_until(500.0).into_iter().map(shift).collect();
        let view = picture(&lines, 505.0);
        let service = view.get("a.x").unwrap();
        assert_eq!(say(service), "ok running [skew]");
        assert_eq!(view.hosts["srv01"].skew.unwrap().num_seconds(), -wrong as i64);
        let text = service.reasons[0].to_string();
        let side = if wrong > 0.0 { "ahead" } else { "behind" };
        assert_eq!(text, format!("clock of srv01 is 10 min {side}"));
    }
}

#[test]
fn while_our_own_link_is_down_nothing_turns_red() {
    let lines = fleet_until(500.0);
    let down = Link::Down { since: at(505.0) };
    for now in [506.0, 700.0, 90_000.0] {
        let view = picture_with(&lines, now, down);
        assert_eq!(view.counts.of(Verdict::Ok), 4, "at {now}");
        // the shown age goes on
        let age = view.get("a.x").unwrap().heartbeat_age(view.now).unwrap();
        assert!(age.num_seconds() > now as i64 - 505, "{age}");
    }
}

#[test]
fn after_our_outage_silence_alone_is_late_at_the_worst_for_one_interval() {
    let lines = fleet_until(500.0);
    let back = Link::Back { lost: at(505.0), since: at(1000.0) };
    let service = |now| picture_with(&lines, now, back).get("a.x").unwrap().clone();
    assert_eq!(
        say(&service(1001.0)),
        "late running [after_outage heartbeat_late heartbeats_missing]"
    );
    assert_eq!(service(1014.9).verdict, Verdict::Late);
    assert_eq!(service(1015.0).verdict, Verdict::Lost);
    assert!(matches!(service(1001.0).reasons[1], Reason::HeartbeatLate(_)));
}

#[test]
fn what_was_lost_before_our_outage_is_so_after_it() {
    let mut lines = fleet_until(500.0);
    // one fell silent long before, one was never heard
    lines.retain(|line| !(line.subject == "svc.heartbeat.a.y" && line.stored > 300.0));
    lines.retain(|line| line.subject != "svc.heartbeat.a.z");
    let verdicts = |now, link| {
        let view = picture_with(&lines, now, link);
        ["a.x", "a.y", "a.z"].map(|id| view.get(id).unwrap().verdict)
    };
    let before = [Verdict::Ok, Verdict::Lost, Verdict::Lost];
    assert_eq!(verdicts(504.0, Link::Steady), before);
    assert_eq!(verdicts(990.0, Link::Down { since: at(505.0) }), before);
    let back = Link::Back { lost: at(505.0), since: at(1000.0) };
    assert_eq!(verdicts(1001.0, back), [Verdict::Late, Verdict::Lost, Verdict::Lost]);
    assert_eq!(verdicts(1020.0, back), [Verdict::Lost; 3]);
    // what would have been lost during the outage was not when it began
    let early = Link::Back { lost: at(100.0), since: at(490.0) };
    assert_eq!(verdicts(495.0, early), [Verdict::Ok, Verdict::Late, Verdict::Ok]);
}

#[test]
fn circles_and_unknown_parents_hide_nothing() {
    let with_parent =
        |id: &str, parent: &str| status(id, "ok", 1.0).with(&json!({"parent": parent}));
    let lines = [
        with_parent("own", "own"),
        with_parent("c1", "c2"),
        with_parent("c2", "c3"),
        with_parent("c3", "c1"),
        with_parent("below", "c1"),
        with_parent("lonely", "nobody"),
        with_parent("deep1", "deep0"),
        with_parent("deep2", "deep1").with(&json!({"status": "error"})),
        status("deep0", "ok", 1.0),
    ];
    let view = picture(&lines, 2.0);
    let roots: Vec<&str> = view.roots.iter().map(|i| &*view.services[*i].id).collect();
    assert_eq!(roots, ["c1", "c2", "c3", "deep0", "lonely", "own"]);
    let children = |id: &str| -> Vec<&str> {
        view.get(id).unwrap().children.iter().map(|i| &*view.services[*i].id).collect()
    };
    assert_eq!(
        (children("c1"), children("deep0"), children("deep1")),
        (vec!["below"], vec!["deep1"], vec!["deep2"])
    );
    assert_eq!(view.get("deep0").unwrap().worst_below, Some(Verdict::Error));
    assert_eq!(view.get("own").unwrap().worst_below, None);
}

#[test]
fn a_chain_of_50_000_is_no_deeper_than_the_stack() {
    let lines: Vec<Line> = (0..50_000)
        .map(|i| {
            status(&format!("n{i:05}"), "ok", 1.0)
                .with(&json!({"parent": format!("n{:05}", i + 1)}))
        })
        .collect();
    let view = picture(&lines, 2.0);
    assert_eq!(view.roots.len(), 1);
    assert_eq!(view.services[view.roots[0]].worst_below, Some(Verdict::Ok));
}
