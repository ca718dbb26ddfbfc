//! The past of a period against a second, slow way to tell it; and incidents with literal times.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::json;

use super::support::{LAUNCHER, Line, array, at, beat, crashed, event, stamp, status};
use crate::history::{
    Change, Chronicle, Common, Gap, GapKind, Happening, Historian, History, Incident,
    PastReader as _, availability, incidents, timeline,
};
use crate::transitions::Turn;
use crate::{Fleet, Reason, Verdict};

const ID: &str = "a.b";

/// Nanoseconds: so that edges fall everywhere.
fn ns(n: i64) -> DateTime<Utc> {
    at(0.0) + TimeDelta::nanoseconds(n)
}

/// Beginnings of verdicts, the end of the history, beginning and length of what is drawn, columns.
type Drawn = (Vec<(i64, Verdict)>, i64, (i64, i64), usize);

/// A history of one service over `[0, to)`, and the period and columns to draw.
fn drawn() -> impl Strategy<Value = Drawn> {
    let turn = (-20..100_i64, 0..Verdict::ALL.len());
    let turns = prop::collection::vec(turn, 0..12).prop_map(|mut turns| {
        turns.sort_unstable();
        turns.into_iter().map(|(at, verdict)| (at, Verdict::ALL[verdict])).collect()
    });
    // no column is shorter than a nanosecond
    let period = (-10..90_i64, 3..60_i64);
    let columns = 1..20_i64;
    (turns, 1..100_i64, period, columns).prop_map(|(turns, to, (from, span), columns)| {
        (turns, to, (from, span), columns.min(span / 3) as usize)
    })
}

fn history(turns: &[(i64, Verdict)], to: i64) -> History {
    let mut history = History::new(ns(0), ns(to));
    for (at, verdict) in turns {
        history.turn(turn(ID, ns(*at), *verdict));
    }
    history
}

fn turn(id: &str, at: DateTime<Utc>, verdict: Verdict) -> Turn {
    Turn { id: id.into(), at, verdict, reason: None }
}

/// The verdicts that the service had in a nanosecond: all that began in it, or the one before. One
/// that is said again begins nothing.
fn had(turns: &[(i64, Verdict)], moment: i64) -> Vec<Verdict> {
    let mut turns = turns.to_vec();
    turns.dedup_by_key(|(_, verdict)| *verdict);
    let begun = turns.iter().filter(|(at, _)| *at == moment).map(|(_, verdict)| *verdict);
    let begun: Vec<_> = begun.collect();
    if begun.is_empty() {
        return turns.iter().rfind(|(at, _)| *at < moment).map(|it| it.1).into_iter().collect();
    }
    begun
}

proptest! {
    /// Each cell has the worst of all nanoseconds of its column, and of no other.
    #[test]
    fn a_cell_is_the_worst_of_its_column((turns, to, (from, span), columns) in drawn()) {
        let drawn = timeline(&history(&turns, to), ns(from), ns(from + span), columns);
        let mut expected = vec![None; columns];
        for moment in from.max(0)..(from + span).min(to) {
            let column = (moment - from) as usize * columns / span as usize;
            prop_assert!(drawn.begins(column) <= ns(moment));
            prop_assert!(column + 1 == columns || ns(moment) < drawn.begins(column + 1));
            for verdict in had(&turns, moment) {
                let worst: &mut Option<Verdict> = &mut expected[column];
                *worst = Some(worst.map_or(verdict, |worst| worst.min(verdict)));
            }
        }
        let cells = drawn.rows.first().map(|row| row.cells.clone()).unwrap_or_default();
        let found: Vec<_> = cells.iter().map(|cell| cell.verdict).collect();
        if !turns.is_empty() {
            prop_assert_eq!(found, expected);
        }
    }

    /// Whoever draws wider sees the same: a wide column is the worst of the narrow ones in it.
    #[test]
    fn zooming_out_hides_nothing((turns, to, (from, span), columns) in drawn()) {
        let history = history(&turns, to);
        let worst = |columns| {
            let drawn = timeline(&history, ns(from), ns(from + span), columns);
            drawn.rows.first().map(|row| row.cells.clone()).unwrap_or_default()
        };
        let (narrow, wide) = (worst(columns * 3), worst(columns));
        for (cell, parts) in wide.iter().zip(narrow.chunks(3)) {
            prop_assert_eq!(cell.verdict, parts.iter().filter_map(|it| it.verdict).min());
        }
    }

    /// All time from the first verdict on is in one verdict, each moment once.
    #[test]
    fn times_add_up_to_the_period((turns, to, _, _) in drawn()) {
        let history = history(&turns, to);
        for (_, availability) in availability(&history) {
            let known = turns.first().map_or(to, |(at, _)| (*at).clamp(0, to));
            let sum = availability.times.iter().fold(TimeDelta::zero(), |sum, time| sum + *time);
            prop_assert_eq!(sum, TimeDelta::nanoseconds(to - known));
        }
    }

    /// In whatever order turns become known, each moment has one verdict, and faults do not overlap.
    #[test]
    fn each_fault_is_in_one_incident(
        turns in prop::collection::vec((0..400_u32, 0..3_usize, 0..Verdict::ALL.len()), 0..40),
    ) {
        let mut history = History::new(at(0.0), at(400.0));
        for (second, service, verdict) in &turns {
            let id = ["a.x", "a.y", "b.z"][*service];
            history.turn(turn(id, at(f64::from(*second)), Verdict::ALL[*verdict]));
        }
        let view = Fleet::new().view(at(400.0), crate::Link::Steady);
        let found = incidents(&history, &view);
        let mut episodes: Vec<_> = found.iter().flat_map(|it| &it.episodes).collect();
        episodes.sort_by_key(|it| (Arc::clone(&it.service), it.from));
        for pair in episodes.windows(2).filter(|pair| pair[0].service == pair[1].service) {
            prop_assert!(pair[0].until.is_some_and(|until| until < pair[1].from), "{:?}", pair);
        }
        for (id, track) in &history.services {
            for (from, _, stage) in track.spans(history.from, history.to) {
                let within = episodes.iter().filter(|it| {
                    it.service == *id && it.from <= from && it.until.is_none_or(|end| from <= end)
                });
                prop_assert!(!stage.verdict.is_fault() || within.count() == 1);
            }
        }
    }
}

#[test]
fn starts_count_only_where_it_should_have_been_up() {
    use Verdict::{Failed, Ok, Restarting, Starting, Stopped, Stopping};
    let share = |turns: &[(i64, Verdict)]| {
        let mut history = History::new(at(0.0), at(100.0));
        for (second, verdict) in turns {
            history.turn(turn(ID, at(*second as f64), *verdict));
        }
        let (_, availability) = availability(&history).remove(0);
        availability.share().map(|share| (share * 1000.0).round() / 1000.0)
    };
    assert_eq!(share(&[(0, Stopped), (10, Starting), (12, Stopped)]), None, "it runs once");
    assert_eq!(share(&[(0, Stopped), (10, Starting), (12, Ok)]), Some(1.0), "its first start");
    assert_eq!(share(&[(0, Ok), (90, Stopping), (95, Stopped)]), Some(1.0), "its last stop");
    assert_eq!(share(&[(0, Ok), (50, Stopping), (55, Starting), (60, Ok)]), Some(0.9));
    assert_eq!(share(&[(0, Ok), (50, Restarting), (55, Starting), (60, Ok)]), Some(0.9));
    assert_eq!(share(&[(0, Stopped), (50, Starting), (60, Failed)]), Some(0.0), "it never came up");
}

/// Feeds messages in the order of storing, from an empty fleet.
fn story(lines: &[Line], to: f64) -> Chronicle {
    let mut historian = Historian::new(Fleet::new(), (at(0.0), at(to)), Some(at(0.0)));
    let mut lines: Vec<_> = lines.iter().filter(|line| line.stored <= to).collect();
    lines.sort_by(|a, b| a.stored.total_cmp(&b.stored));
    let decoded: Vec<_> = lines.iter().map(|line| (line.decoded(), stamp(line))).collect();
    // in pieces, as a long past is read
    for piece in decoded.chunks(64) {
        historian.look_ahead(piece.iter().map(|(decoded, stamp)| (decoded, *stamp)));
    }
    for ((decoded, stamp), line) in decoded.iter().zip(&lines) {
        historian.take(&line.subject, decoded, *stamp);
    }
    historian.finish()
}

fn told(chronicle: &Chronicle) -> Vec<String> {
    let second = |at: DateTime<Utc>| (at - super::support::at(0.0)).num_milliseconds() as f64 / 1e3;
    let one = |incident: &Incident| {
        let what = match &incident.common {
            Common::Broker(_) => "broker".to_owned(),
            Common::Host(host) => format!("host {host}"),
            Common::Launcher(launcher) => format!("launcher {launcher}"),
            Common::Service(service) => service.to_string(),
        };
        let services: Vec<&str> = incident.services().into_iter().map(|it| &**it).collect();
        let cause = incident.leading().and_then(|it| it.cause.as_ref()).map(Reason::cause);
        format!(
            "{}-{} {what} [{}] {}",
            second(incident.from),
            incident.until.map_or("open".to_owned(), |until| second(until).to_string()),
            services.join(" "),
            cause.unwrap_or_default()
        )
    };
    incidents(&chronicle.history, &chronicle.view).iter().map(one).collect()
}

/// A service of a launcher that sends heartbeats from 1 s on, but not in these times.
fn service(id: &str, launcher: &str, host: &str, silent: &[(f64, f64)], to: f64) -> Vec<Line> {
    let mut lines = vec![
        event("start", id, 0.5).with(&json!({"parent": launcher, "hostname": host})),
        status(id, "ok", 0.6).with(&json!({"parent": launcher, "hostname": host})),
    ];
    let mut second = 1.0;
    while second <= to {
        if !silent.iter().any(|(from, until)| *from < second && second < *until) {
            lines.push(beat(id, second));
        }
        second += 10.0;
    }
    lines
}

#[test]
fn a_crash_is_one_incident_from_its_crash_to_its_recovery() {
    let mut lines = service(ID, LAUNCHER, "srv01", &[(100.0, 130.0)], 300.0);
    lines.push(crashed(ID, 100.0, true).with(&json!({"exit_code": 3, "uptime_seconds": 99.5})));
    lines.push(event("restarting", ID, 105.0));
    lines.push(event("start", ID, 105.1));
    lines.push(status(ID, "ok", 112.5));
    let chronicle = story(&lines, 300.0);
    assert_eq!(told(&chronicle), ["100-112.5 a.b [a.b] crashed after 1 min 39 s: exit code 3"]);
    let track = &chronicle.history.services[ID];
    assert_eq!(track.restarts, [at(105.0)], "announced and done: one restart");
}

#[test]
fn a_launcher_that_is_lost_takes_its_services_along_into_one_incident() {
    let silent = [(100.0, 400.0)];
    let mut lines = service("a.x", LAUNCHER, "srv01", &silent, 600.0);
    lines.extend(service("a.y", LAUNCHER, "srv01", &silent, 600.0));
    lines.push(status(LAUNCHER, "ok", 0.1));
    let beats = service(LAUNCHER, LAUNCHER, "srv01", &silent, 600.0);
    lines.extend(beats.into_iter().skip(2));
    lines.extend(service("c.z", "launcher.M.srv02-process-launcher", "srv02", &[], 600.0));
    let chronicle = story(&lines, 600.0);
    let found = told(&chronicle);
    assert_eq!(found.len(), 1, "{found:#?}");
    let expected = format!("121-401 launcher {LAUNCHER} [a.x a.y {LAUNCHER}]");
    assert!(found[0].starts_with(&expected), "{found:#?}");
}

#[test]
fn faults_of_two_hosts_at_the_same_time_are_two_incidents() {
    let other = "launcher.M.srv02-process-launcher";
    let mut lines = service("a.x", LAUNCHER, "srv01", &[(100.0, 200.0)], 400.0);
    lines.extend(service("a.y", other, "srv02", &[(100.0, 200.0)], 400.0));
    // somebody is heard meanwhile: it is no outage of the broker
    lines.extend(service("c.z", other, "srv02", &[], 400.0));
    let found = told(&story(&lines, 400.0));
    assert_eq!(
        found,
        ["121-201 a.x [a.x] heartbeats stopped", "121-201 a.y [a.y] heartbeats stopped"]
    );
}

#[test]
fn silence_of_everybody_is_the_brokers_and_nobodys() {
    let silent = [(100.0, 200.0)];
    let mut lines = service("a.x", LAUNCHER, "srv01", &silent, 400.0);
    lines.extend(service("a.y", LAUNCHER, "srv01", &silent, 400.0));
    let chronicle = story(&lines, 400.0);
    assert_eq!(told(&chronicle), ["91-201 broker [] "]);
    assert_eq!(chronicle.history.gaps, [Gap::new(GapKind::Outage, at(91.0), at(201.0))]);
}

#[test]
fn a_fault_at_the_end_is_open_and_one_at_the_beginning_began_before() {
    let mut lines = service(ID, LAUNCHER, "srv01", &[], 300.0);
    lines.push(status(ID, "error", 200.0).with(&json!({"message": "lost the star"})));
    assert_eq!(told(&story(&lines, 300.0)), ["200-open a.b [a.b] reported error: lost the star"]);
    let mut fleet = Fleet::new();
    for line in lines.iter().filter(|line| line.stored <= 250.0) {
        fleet.apply(&line.subject, line.decoded(), stamp(line));
    }
    let chronicle = Historian::new(fleet, (at(250.0), at(260.0)), Some(at(0.0))).finish();
    assert_eq!(told(&chronicle), ["200-open a.b [a.b] reported error: lost the star"]);
    let drawn = timeline(&chronicle.history, at(250.0), at(260.0), 2);
    let cells: Vec<_> = drawn.rows[0].cells.iter().map(|cell| cell.verdict).collect();
    assert_eq!(cells, [Some(Verdict::Error); 2]);
}

#[test]
fn what_people_asked_for_and_what_a_reload_changed_is_told_once() {
    let declared = |id: &str, batch: u64, module: &str, stored: f64| {
        let how = json!({"batch": batch, "module": module, "enabled": true});
        event("declared", id, stored).with(&json!({"declared": how, "launcher_run": "r"}))
    };
    let by = json!({"requested_by": "jane@srv01"});
    let lines = [
        declared("a.x", 1, "m.x", 1.0),
        declared("a.y", 1, "m.y", 1.0),
        event("start", "a.x", 2.0),
        declared("a.x", 2, "m.z", 50.0),
        declared("a.w", 2, "m.w", 50.1),
        event("stopping", "a.x", 100.0).with(&by),
        event("stop", "a.x", 101.0).with(&by),
        event("start", "a.x", 102.0).with(&by),
        event("stop", "a.x", 150.0).with(&by),
    ];
    let chronicle = story(&lines, 200.0);
    let service: Arc<str> = "a.x".into();
    let by = "jane@srv01".to_owned();
    let reloaded = Happening::Reloaded {
        launcher: LAUNCHER.into(),
        added: vec!["a.w".into()],
        removed: vec!["a.y".into()],
        changed: vec![Arc::clone(&service)],
    };
    let expected = [
        (50.0, reloaded),
        (100.0, Happening::Restarted { service: Arc::clone(&service), by: by.clone() }),
        (150.0, Happening::Stopped { service, by }),
    ];
    let expected = expected.map(|(second, what)| Change { at: at(second), what });
    assert_eq!(chronicle.changes, expected);
}

#[test]
fn another_boot_of_a_host_is_told_once() {
    let boot = |boot: &str, stored: f64| {
        beat(LAUNCHER, stored).with(&json!({"metrics": {"host_boot_id": boot}}))
    };
    let lines = [
        status(LAUNCHER, "ok", 0.5),
        boot("one", 1.0),
        boot("one", 11.0),
        boot("two", 101.0),
        boot("two", 111.0).meta(&json!({"ts": array(111.0)})),
    ];
    let what = Happening::Rebooted { host: "srv01".into() };
    assert_eq!(story(&lines, 120.0).changes, [Change { at: at(101.0), what }]);
}

#[test]
fn moves_to_profiles_are_changes() {
    let profile = |name: Option<&str>, since: f64, stored: f64| {
        let metrics =
            json!({"profile": name, "profile_by": "anna", "profile_since": at(since).to_rfc3339()});
        beat(LAUNCHER, stored).with(&json!({"metrics": metrics}))
    };
    let lines = [
        status(LAUNCHER, "ok", 0.5),
        profile(Some("day"), -50.0, 1.0),
        profile(Some("night"), 95.0, 101.0),
        profile(None, 109.0, 111.0),
    ];
    let change = |second, name: Option<&str>, before: &str| {
        let (launcher, by) = (LAUNCHER.into(), Some("anna".to_owned()));
        let (name, before) = (name.map(str::to_owned), Some(before.to_owned()));
        Change { at: at(second), what: Happening::Profile { launcher, name, before, by } }
    };
    assert_eq!(
        story(&lines, 120.0).changes,
        [change(95.0, Some("night"), "day"), change(109.0, None, "night")]
    );
}

#[test]
fn a_service_that_was_lost_and_is_started_again_is_well_when_it_says_so() {
    let mut lines = service(ID, LAUNCHER, "srv01", &[(100.0, 402.0)], 600.0);
    lines.extend(service("c.z", "launcher.M.srv02-process-launcher", "srv02", &[], 600.0));
    let pid = json!({"pid": 101});
    lines.push(event("start", ID, 400.0).with(&pid));
    lines.push(status(ID, "ok", 405.0).with(&pid));
    let chronicle = story(&lines, 600.0);
    assert_eq!(told(&chronicle), ["121-405 a.b [a.b] heartbeats stopped"]);
}
