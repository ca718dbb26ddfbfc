//! Six incidents as they were recorded, and what is told of each: among three things that happened
//! by chance at the same time, the cause stands first.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::support::{LAUNCHER, Line, at, beat, crashed, event, fold, stamp, status};
use crate::why::{
    Happening, Nearby, Onset, OwnEvent, Pattern, Relation, Subject, Told, Used, nearby,
    out_of_memory,
};
use crate::{FleetView, Link};

const GUIDER: &str = "guider.main";
const CAMERA: &str = "camera.main";
/// On the same host, of another launcher.
const DOME: &str = "dome.main";
/// Of another host.
const WEATHER: &str = "weather.main";
const SECOND: &str = "launcher.M.srv01-process-launcher";
const REMOTE: &str = "launcher.N.srv02-process-launcher";

/// Of whom a service is, and where.
fn place(id: &str) -> (&'static str, &'static str) {
    match id {
        GUIDER | CAMERA => (LAUNCHER, "srv01"),
        DOME => (SECOND, "srv01"),
        WEATHER => (REMOTE, "srv02"),
        LAUNCHER | SECOND => ("", "srv01"),
        _ => ("", "srv02"),
    }
}

/// As it is sent by that service's launcher, whose run is so old as the story.
fn sent(line: Line, id: &str) -> Line {
    let (launcher, host) = place(id);
    let line = match launcher {
        "" => line.with(&json!({"hostname": host})),
        launcher => line.with(&json!({"hostname": host, "parent": launcher})),
    };
    let run = json!({"sender": format!("of-{host}"), "run_s": 1000.0 + line.stored});
    line.meta(&run)
}

/// The metrics of launchers' heartbeats.
fn host(boot: &str, kills: u64) -> Value {
    json!({"metrics": {"host_boot_id": boot, "host_boot_at": at(-9000.0).timestamp(),
        "host_oom_kills": kills}})
}

/// A quiet night: all run, and send heartbeats every 10 s, except while `is_silent`.
fn night(is_silent: impl Fn(&str, f64) -> bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for id in [GUIDER, CAMERA, DOME, WEATHER] {
        let after = if id == GUIDER { json!([CAMERA]) } else { json!([]) };
        let declared = json!({"declared": {"after": after, "batch": 1}});
        let first = event("declared", id, 0.0).with(&declared);
        // by a launcher that has just started
        lines.push(sent(first, id).meta(&json!({"run_s": 0.5})));
        lines.push(sent(event("start", id, 1.0), id));
        lines.push(sent(status(id, "ok", 2.0), id));
    }
    for id in [LAUNCHER, SECOND, REMOTE] {
        lines.push(sent(status(id, "ok", 0.0).with(&json!({"pid": 1})), id));
    }
    for i in 1..=30 {
        let second = f64::from(i) * 10.0;
        for id in [GUIDER, CAMERA, DOME, WEATHER, LAUNCHER, SECOND, REMOTE] {
            if !is_silent(id, second) {
                let line = sent(beat(id, second), id);
                let is_launcher = place(id).0.is_empty();
                lines.push(if is_launcher { line.with(&host("one", 0)) } else { line });
            }
        }
    }
    lines
}

fn by_nothing(_: &str, _: f64) -> bool {
    false
}

/// Another service, elsewhere, at the same time.
fn weather_crashes(second: f64) -> Line {
    sent(crashed(WEATHER, second, true), WEATHER)
}

/// Of another host.
fn remote_reload(second: f64) -> Line {
    sent(event("declared", WEATHER, second), WEATHER)
}

/// A neighbour on the same host.
fn dome_stopped(second: f64) -> Line {
    let stop = event("stop", DOME, second).with(&json!({"requested_by": "jan@srv01"}));
    sent(stop, DOME)
}

/// The clock of a host is set `by` seconds at this moment.
fn set_clock(lines: &mut [Line], host: &str, second: f64, by: f64) {
    for line in lines.iter_mut().filter(|line| line.stored >= second) {
        if line.meta["sender"] == format!("of-{host}") {
            line.meta["ts"] = super::support::array(line.stored + by);
        }
    }
}

fn messages(lines: &[Line], until: f64) -> Vec<(String, tcs_wire::Decoded, crate::Stamp)> {
    let mut lines: Vec<_> = lines.iter().filter(|line| line.stored <= until).collect();
    lines.sort_by(|a, b| a.stored.total_cmp(&b.stored));
    lines.iter().map(|line| (line.subject.clone(), line.decoded(), stamp(line))).collect()
}

/// What is told of the guider at `now`.
struct Answer {
    view: FleetView,
    onset: Onset,
    near: Vec<Nearby>,
}

fn answer(lines: &[Line], now: f64) -> Answer {
    let view = fold(lines.iter().filter(|line| line.stored <= now)).view(at(now), Link::Steady);
    let told = messages(lines, now);
    let told = told.iter().map(|(subject, decoded, stamp)| (&**subject, decoded, *stamp));
    let own = OwnEvent::all(GUIDER, told.clone());
    let service = view.get(GUIDER).unwrap();
    let onset = Onset::of(&Subject::of(&view, service), &own).unwrap();
    let (from, until) = onset.window();
    let inside = |it: &Told<'_>| (from..=until).contains(&it.2.stored);
    let near = nearby(&view, service, onset, told.filter(inside));
    Answer { view, onset, near }
}

/// The cause, and that the coincidences are there behind it.
fn first(answer: &Answer) -> (Relation, Option<&str>) {
    assert!(answer.near.len() >= 4, "{:#?}", answer.near);
    (answer.near[0].relation, answer.near[0].id())
}

/// Of each of them, whether it is known to be the cause.
fn bearings(answer: &Answer) -> Vec<&'static str> {
    let end = answer.view.last_end(answer.view.get(GUIDER).unwrap());
    answer
        .near
        .iter()
        .map(|it| it.bearing(&answer.view, answer.onset, end.as_ref()).as_str())
        .collect()
}

/// That the first is known to be the cause, and none of the coincidences is taken for one.
fn assert_first_is(bearing: &str, answer: &Answer) {
    let all = bearings(answer);
    assert_eq!(all[0], bearing, "{:#?}", answer.near);
    assert!(all[1..].iter().all(|it| *it == "coincidence"), "{all:?}: {:#?}", answer.near);
}

#[test]
fn the_service_that_it_is_after_crashed() {
    let mut lines = night(by_nothing);
    lines.extend([
        sent(crashed(CAMERA, 192.0, true), CAMERA),
        sent(crashed(GUIDER, 200.0, true), GUIDER),
        weather_crashes(199.0),
        remote_reload(196.0),
        dome_stopped(198.0),
    ]);
    let answer = answer(&lines, 201.0);
    assert_eq!(answer.onset.at, at(200.0));
    assert_eq!(first(&answer), (Relation::After, Some(CAMERA)));
    // the others follow in the order of how near they are
    let rest: Vec<_> = answer.near[1..].iter().map(|it| it.relation).collect();
    assert_eq!(rest, [Relation::SameHost, Relation::Elsewhere, Relation::Elsewhere]);
    assert_first_is("cause", &answer);
}

#[test]
fn its_configuration_was_read_again() {
    let mut lines = night(by_nothing);
    let change = sent(event("declared", GUIDER, 190.0), GUIDER);
    let stopping = event("stopping", GUIDER, 190.5)
        .with(&json!({"reason": "reload", "requested_by": "ola@srv01"}));
    lines.extend([
        change,
        sent(stopping, GUIDER),
        sent(event("stop", GUIDER, 191.0), GUIDER),
        sent(event("start", GUIDER, 192.0), GUIDER),
        sent(crashed(GUIDER, 194.0, false), GUIDER),
        weather_crashes(193.0),
        dome_stopped(193.5),
    ]);
    set_clock(&mut lines, "srv02", 180.0, 30.0);
    let answer = answer(&lines, 201.0);
    assert_eq!(first(&answer), (Relation::Itself, Some(LAUNCHER)));
    let Happening::Reload { by, services, .. } = &answer.near[0].what else { panic!() };
    assert_eq!((by.as_deref(), services.len()), (Some("ola@srv01"), 1));
    // it crashed by itself afterwards
    assert_first_is("possible", &answer);
}

#[test]
fn the_broker_could_not_be_reached() {
    let mut lines = night(|_, second| (155.0..195.0).contains(&second));
    lines.extend([
        sent(status(GUIDER, "error", 197.0).with(&json!({"message": "no star"})), GUIDER),
        weather_crashes(196.0),
        remote_reload(196.5),
        dome_stopped(196.8),
    ]);
    let answer = answer(&lines, 201.0);
    assert_eq!(answer.onset.at, at(197.0));
    assert_eq!(first(&answer), (Relation::Broker, None));
    let near = &answer.near[0];
    assert_eq!((near.at, &near.what), (at(150.0), &Happening::Outage { until: at(200.0) }));
    assert_first_is("possible", &answer);
}

#[test]
fn the_clock_of_its_host_was_set() {
    let mut lines = night(by_nothing);
    lines.extend([
        sent(status(GUIDER, "error", 197.0), GUIDER),
        weather_crashes(196.0),
        remote_reload(196.5),
        dome_stopped(196.8),
    ]);
    set_clock(&mut lines, "srv01", 185.0, -42.0);
    let answer = answer(&lines, 201.0);
    assert_eq!(first(&answer), (Relation::SameHost, None));
    let Happening::ClockStep(step) = &answer.near[0].what else { panic!("{:?}", answer.near) };
    assert_eq!((&*step.host, step.by), ("srv01", TimeDelta::seconds(-42)));
    assert_first_is("possible", &answer);
}

#[test]
fn its_host_was_rebooted() {
    let here = |id: &str| place(id).1 == "srv01";
    let mut lines = night(|id, second| here(id) && second > 150.0);
    let boot = json!({"metrics": {"host_boot_id": "two",
        "host_boot_at": at(170.0).timestamp()}});
    lines.extend([
        sent(beat(LAUNCHER, 195.0), LAUNCHER).with(&boot).meta(&json!({"sender": "of-srv01-2"})),
        sent(event("start", GUIDER, 196.0), GUIDER),
        sent(crashed(GUIDER, 197.0, false), GUIDER),
        weather_crashes(196.0),
        remote_reload(196.5),
    ]);
    set_clock(&mut lines, "srv02", 180.0, 30.0);
    let answer = answer(&lines, 201.0);
    assert_eq!(first(&answer), (Relation::SameHost, Some(LAUNCHER)));
    let near = &answer.near[0];
    assert!(matches!(near.what, Happening::Reboot { .. }) && near.at == at(170.0), "{near:?}");
    assert_eq!(bearings(&answer)[0], "cause");
}

#[test]
fn its_launcher_was_killed() {
    let gone = |id: &str| [LAUNCHER, GUIDER].contains(&id);
    let mut lines = night(|id, second| gone(id) && second > 150.0);
    lines.extend([weather_crashes(148.0), remote_reload(149.0), dome_stopped(149.5)]);
    let answer = answer(&lines, 200.0);
    assert_eq!((answer.onset.at, answer.onset.known), (at(150.0), at(180.0)));
    assert_eq!(first(&answer), (Relation::Launcher, Some(LAUNCHER)));
    // it is late by then, and may come again
    assert_first_is("possible", &answer);
    let later = super::why::answer(&lines, 290.0);
    assert_eq!(later.near[0].id(), Some(LAUNCHER));
    assert_eq!(bearings(&later)[0], "cause", "{:#?}", later.near);
}

#[test]
fn what_shares_its_launcher_and_ends_at_the_same_time_is_no_cause() {
    let mut lines = night(by_nothing);
    let killed = json!({"signal": "SIGKILL", "exit_code": -9});
    lines.extend([
        sent(crashed(DOME, 199.0, true), DOME).with(&killed),
        sent(crashed(CAMERA, 200.0, true), CAMERA).with(&killed),
        sent(crashed(GUIDER, 200.1, true), GUIDER).with(&killed),
    ]);
    // of the camera: the guider is after it, and not the other way round
    let until = 201.0;
    let view = fold(lines.iter().filter(|line| line.stored <= until)).view(at(until), Link::Steady);
    let told = messages(&lines, until);
    let told = told.iter().map(|(subject, decoded, stamp)| (&**subject, decoded, *stamp));
    let own = OwnEvent::all(CAMERA, told.clone());
    let service = view.get(CAMERA).unwrap();
    let onset = Onset::of(&Subject::of(&view, service), &own).unwrap();
    let (near, view) = (nearby(&view, service, onset, told), view.clone());
    let camera = Answer { view, onset, near };
    let relations: Vec<_> = camera.near.iter().map(|it| it.relation).collect();
    assert_eq!(relations, [Relation::SameLauncher, Relation::SameHost]);
    assert_eq!(bearings(&camera), ["coincidence", "coincidence"]);
}

#[test]
fn what_is_in_trouble_and_runs_is_a_possible_cause() {
    let mut lines = night(by_nothing);
    lines.extend([
        sent(status(CAMERA, "error", 195.0).with(&json!({"message": "no frames"})), CAMERA),
        sent(crashed(GUIDER, 200.0, true), GUIDER),
    ]);
    let answer = answer(&lines, 201.0);
    assert_eq!(answer.near[0].id(), Some(CAMERA));
    assert_first_is("possible", &answer);
}

#[test]
fn what_happened_long_before_or_after_is_no_cause() {
    let mut lines = night(|id, second| id == GUIDER && second > 195.0);
    lines.extend([
        sent(crashed(CAMERA, 100.0, true), CAMERA),
        sent(crashed(GUIDER, 200.0, true), GUIDER),
        dome_stopped(203.0),
        // a task that is done
        sent(event("stop", WEATHER, 190.0), WEATHER)
            .with(&json!({"reason": "completed", "exit_code": 0})),
    ]);
    assert_eq!(answer(&lines, 250.0).near, []);
}

#[test]
fn whether_memory_ran_out_is_known_from_the_hosts_counter() {
    let mut lines = night(by_nothing);
    lines.push(sent(crashed(GUIDER, 205.0, true), GUIDER));
    let known = |lines: &[Line], until: f64| {
        let told = messages(lines, until);
        let told = told.iter().map(|(subject, decoded, stamp)| (&**subject, decoded, *stamp));
        out_of_memory(&answer(lines, until).view, "srv01", at(205.0), told)
    };
    assert_eq!(known(&lines, 206.0), None, "no heartbeat since");
    assert_eq!(known(&lines, 211.0), Some(false));
    for line in lines.iter_mut().filter(|it| it.subject.contains(LAUNCHER) && it.stored > 205.0) {
        line.data["metrics"]["host_oom_kills"] = json!(1);
    }
    assert_eq!(known(&lines, 211.0), Some(true));
    let near = answer(&lines, 211.0).near;
    assert!(matches!(near[0].what, Happening::OutOfMemory { kills: 1, .. }), "{near:?}");
    // the counter is that of the host; which process it was, the kernel's log tells
    assert_eq!(bearings(&answer(&lines, 211.0))[0], "possible");
    for line in lines.iter_mut().filter(|it| it.subject.contains("crashed")) {
        line.data["resources"] = json!({"oom": "killed"});
    }
    assert_eq!(bearings(&answer(&lines, 211.0))[0], "cause");
}

/// Crashes at these seconds, each after a run of so many.
fn crashes(times: &[(f64, f64)]) -> Vec<OwnEvent> {
    let lines: Vec<_> = times
        .iter()
        .map(|(second, ran)| {
            let resources = json!({"peak_rss_bytes": 400_000_000.0 + ran * 1e8});
            crashed(GUIDER, *second, true)
                .with(&json!({"uptime_seconds": ran, "resources": resources}))
        })
        .collect();
    let told = messages(&lines, 1e9);
    OwnEvent::all(GUIDER, told.iter().map(|(subject, decoded, it)| (&**subject, decoded, *it)))
}

#[test]
fn a_pattern_is_regular_where_its_gaps_are_alike() {
    let own = crashes(&[(0.0, 6.0), (600.0, 6.1), (1205.0, 5.9), (1800.0, 6.0), (2400.0, 6.0)]);
    let pattern = Pattern::of(&own, at(4000.0));
    assert_eq!((pattern.hour, pattern.day, pattern.week), (4, 5, 5));
    assert_eq!(pattern.every, Some(TimeDelta::minutes(10)));
    assert_eq!(pattern.each.unwrap().num_seconds(), 6);
    assert!(pattern.is_judged && !pattern.at_least);
    let own = crashes(&[(0.0, 6.0), (30.0, 20.0), (1205.0, 1000.0), (1300.0, 2.0)]);
    let pattern = Pattern::of(&own, at(4000.0));
    assert_eq!((pattern.every, pattern.each, pattern.is_judged), (None, None, true));
    let [shortest, median, longest] = pattern.runs.unwrap().map(|it| it.num_seconds());
    assert_eq!((shortest, median, longest), (2, 20, 1000));
    assert!(!Pattern::of(&own[..2], at(4000.0)).is_judged);
}

#[test]
fn what_a_run_used_stands_beside_the_median_of_the_runs_before() {
    let own = crashes(&[(0.0, 1.0), (60.0, 0.0), (120.0, 0.0), (600.0, 34.0)]);
    let used = Used::of(&own, |figures| figures.peak_rss_bytes).unwrap();
    assert_eq!((used.last, used.before), (3_800_000_000, Some((400_000_000, 3))));
    assert_eq!(Used::of(&own, |figures| figures.cpu_seconds), None);
}
