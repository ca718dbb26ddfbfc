//! Rules for what a service reports: its own status and that of its components, repeated
//! statuses, several crashes, several programs, waiting services and undeclared ones.

use super::*;

/// A component in this state, and the service's own status beside it.
fn component(name: &str, word: &str, own: &str, message: &str) -> serde_json::Value {
    let part = json!({"name": name, "status": word, "message": message});
    json!({"details": {"own_status": own, "children": [part]}})
}

#[test]
fn an_end_is_judged_by_the_own_status() {
    let broken = component("camera", "error", "ok", "no signal");
    let last = status(ID, "error", 9.0).with(&json!({"message": "Service stopped"})).with(&broken);
    let stop = event("stop", ID, 10.0).with(&json!({"reason": "completed", "exit_code": 0}));
    assert_eq!(said(vec![start(1.0), last.clone(), stop], 11.0), "stopped completed [ended]");
    // stand-alone: nobody else tells of the end
    assert_eq!(say(&see(&[beat(ID, 8.0), last], ID, 200.0)), "stopped stopped [ended]");
    let shutdown = status(ID, "error", 9.0).with(&component("camera", "error", "shutdown", ""));
    assert_eq!(say(&see(&[shutdown], ID, 10.0)), "stopped stopped [ended]");
    // its own failure still is one
    let failed = status(ID, "failed", 9.0).with(&component("camera", "error", "failed", ""));
    let stop = event("stop", ID, 10.0).with(&json!({"reason": "completed", "exit_code": 0}));
    assert_eq!(
        said(vec![start(1.0), failed, stop], 11.0),
        "failed failed [reported ended ended_after_failed]"
    );
}

#[test]
fn a_component_that_starts_or_ends_is_not_its_service() {
    for (word, own, expected) in [
        ("startup", "ok", "ok running []"),
        ("shutdown", "busy", "ok running []"),
        ("ok", "unknown", "ok running []"),
        ("error", "startup", "starting starting []"),
        ("error", "busy", "error running [reported]"),
        ("degraded", "shutdown", "stopping stopping []"),
    ] {
        let lines = vec![
            start(1.0),
            status(ID, word, 2.0).with(&component("camera", word, own, "")),
            beat(ID, 2.5).with(&json!({"status": own})),
        ];
        assert_eq!(said(lines, 3.0), expected, "{word} with own {own}");
    }
}

#[test]
fn the_component_in_trouble_leads() {
    let deep = json!({"details": {"own_status": "busy", "children": [
        {"name": "shutter", "status": "ok"},
        {"name": "camera", "status": "error", "message": "1 of 2", "details": {
            "own_status": "ok", "children": [
                {"name": "encoder", "status": "error", "message": "no signal"}]}}]}});
    let report = status(ID, "error", 2.0).with(&json!({"message": "exposing"})).with(&deep);
    let service = see(&under_launcher(vec![start(1.0), report, beat(ID, 2.5)]), ID, 10.2);
    assert_eq!(service.headline(), "camera/encoder: no signal");
    assert_eq!(service.cause().as_deref(), Some("camera/encoder: no signal"));
    let reason = service.reasons[0].to_string();
    assert_eq!(reason, "camera/encoder: no signal; has reported error for 8.2 s");
    assert_eq!((service.status, service.own_status), (Some(Status::Error), Some(Status::Busy)));
    // its own trouble
    let own = status(ID, "failed", 2.0).with(&component("camera", "error", "failed", "cold"));
    let service = see(&under_launcher(vec![start(1.0), own, beat(ID, 2.5)]), ID, 10.2);
    assert_eq!(service.reasons[0].to_string(), "has reported failed for 8.2 s");
}

#[test]
fn a_launcher_is_judged_by_its_own_status() {
    let failed = json!({"message": "a.b failed", "details": {"own_status": "ok"}});
    let mut lines = launcher(0.0, 100.0);
    lines.push(status(LAUNCHER, "failed", 50.0).with(&json!({"pid": 99})).with(&failed));
    let service = see(&lines, LAUNCHER, 101.0);
    assert_eq!(say(&service), "ok running []");
    assert_eq!((service.status, service.own_status), (Some(Status::Failed), Some(Status::Ok)));
    let ends = json!({"details": {"own_status": "shutdown"}});
    lines.push(status(LAUNCHER, "failed", 102.0).with(&json!({"pid": 99})).with(&ends));
    assert_eq!(say(&see(&lines, LAUNCHER, 103.0)), "stopped stopped [ended]");
}

#[test]
fn gaps_between_heartbeats_count_inside_one_run() {
    // ten runs of 2.4 s, then one with a heartbeat every 10 s
    let mut lines = Vec::new();
    for run in 0..10 {
        let s = 1.0 + 2.4 * f64::from(run);
        lines.push(start(s));
        lines.push(beat(ID, s + 0.1).meta(&json!({"sender": format!("run{run}")})));
    }
    lines.push(start(30.0));
    lines.push(status(ID, "ok", 30.1).meta(&json!({"sender": "last"})));
    let beats = [30.2, 40.2, 50.2].map(|s| beat(ID, s).meta(&json!({"sender": "last"})));
    lines.extend(beats);
    for now in [38.0, 45.0, 60.0, 75.0] {
        assert_eq!(
            said(lines.iter().filter(|it| it.stored <= now).cloned().collect(), now),
            "ok running []",
            "at {now}"
        );
    }
    let interval = |lines: Vec<Line>| {
        let service = see(&under_launcher(lines), ID, 60.0);
        (service.interval.num_milliseconds(), service.interval_source)
    };
    assert_eq!(interval(lines), (10_000, IntervalSource::Learned));
    // tasks of one launcher have one sender; what they count begins anew
    let counted = |s: f64, n: u32| beat(ID, s).with(&json!({"sequence": n}));
    let restarted = vec![counted(2.0, 1), counted(4.0, 1), counted(6.0, 1), counted(8.0, 1)];
    assert_eq!(interval(restarted), (10_000, IntervalSource::Assumed));
}

#[test]
fn a_status_repeated_is_the_same_fact() {
    let report = |s: f64| status(ID, "failed", s).with(&json!({"message": "no camera"}));
    let since = |lines: Vec<Line>| {
        let mut all = vec![start(1.0), beat(ID, 2.0)];
        all.extend(lines);
        see(&under_launcher(all), ID, 60.0).since.unwrap()
    };
    assert_eq!(since(vec![report(5.0), report(20.0), report(35.0)]), at(5.0));
    // another message, another fact; and the first again is a third
    let other = status(ID, "failed", 20.0).with(&json!({"message": "no shutter"}));
    assert_eq!(since(vec![report(5.0), other.clone()]), at(20.0));
    assert_eq!(since(vec![report(5.0), other, report(30.0), report(40.0)]), at(30.0));
    // another process: another run
    let again = report(20.0).meta(&json!({"sender": "another"}));
    assert_eq!(since(vec![report(5.0), again]), at(20.0));
    // with its age one message is enough, whatever it was before
    let aged = report(35.0).with(&json!({"status_age_s": 30.0}));
    assert_eq!(since(vec![aged]), at(5.0));
    let aged = status(ID, "error", 35.0)
        .with(&component("camera", "error", "ok", ""))
        .with(&json!({"status_age_s": 30.0}));
    assert_eq!(since(vec![aged]), at(35.0), "the age is that of its own status");
}

#[test]
fn a_status_repeated_many_times_is_the_same_fact() {
    let report = |word: &str, s: f64| status(ID, word, s).with(&json!({"message": "no camera"}));
    let mut stored = vec![report("ok", 3.0), report("failed", 4.0), report("ok", 5.0)];
    stored.extend((0..60).map(|n| report("failed", 6.0 + f64::from(n))));
    let since = |lines: &[Line]| {
        let mut all = vec![start(1.0), beat(ID, 60.0)];
        all.extend_from_slice(lines);
        see(&under_launcher(all), ID, 80.0).since.unwrap()
    };
    // as it comes; and in whatever order the newest come
    assert_eq!(since(&stored), at(6.0));
    let mut turned = stored.clone();
    let newest = turned.len() - 16;
    turned[newest..].reverse();
    assert_eq!(since(&turned), at(6.0));
    // one of them, and then what was before it; some come meanwhile
    for live in 1..20 {
        let (past, came) = stored.split_at(stored.len() - live);
        let mut lines = came[..1].to_vec();
        lines.extend_from_slice(past);
        lines.extend_from_slice(&came[1..]);
        assert_eq!(since(&lines), at(6.0), "{live}");
        let mut lines = came.to_vec();
        lines.extend_from_slice(past);
        assert_eq!(since(&lines), at(6.0), "{live}");
    }
    // what was another fact before is not counted in
    let mut recovered = stored.clone();
    recovered.extend((0..3).map(|n| report("ok", 70.0 + f64::from(n))));
    assert_eq!(since(&recovered), at(70.0));
}

#[test]
fn no_status_is_older_than_its_run_or_than_another_that_came_since() {
    let aged = |s: f64, age: f64, run: f64| {
        let meta = json!({"run_s": run, "ts": super::array(run)});
        status(ID, "ok", s).with(&json!({"status_age_s": age})).meta(&meta)
    };
    let since = |lines: Vec<Line>| {
        let mut all = vec![start(1.0), beat(ID, 60.0)];
        all.extend(lines);
        see(&under_launcher(all), ID, 80.0).since.unwrap()
    };
    assert_eq!(since(vec![aged(61.0, 20.0, 50.0)]), at(41.0));
    assert_eq!(since(vec![aged(61.0, 600.0, 21.0)]), at(40.0), "the run began then");
    assert_eq!(since(vec![aged(61.0, 1e300, 21.0)]), at(61.0), "nothing is that old");
    assert_eq!(since(vec![aged(61.0, -5.0, 21.0)]), at(61.0));
    // its camera was in error meanwhile: the service has been ok since that ended
    let trouble = aged(30.0, 25.0, 29.0).with(&component("camera", "error", "ok", ""));
    let trouble = trouble.with(&json!({"status": "error"}));
    assert_eq!(since(vec![aged(10.0, 5.0, 9.0), trouble, aged(61.0, 56.0, 60.0)]), at(61.0));
}

#[test]
fn several_crashes_are_flapping_until_there_is_none_for_5_minutes() {
    let cycle = |s: f64| {
        let fields = json!({"exit_code": 3, "error": "no port"});
        vec![start(s), status(ID, "ok", s + 0.1), crashed(ID, s + 6.0, true).with(&fields)]
    };
    let mut lines: Vec<Line> = [1.0, 11.0].into_iter().flat_map(cycle).collect();
    lines.extend([start(21.0), status(ID, "ok", 21.1)]);
    assert_eq!(said(lines.clone(), 22.0), "ok running []", "two are none");
    lines.extend(cycle(21.0));
    assert_eq!(said(lines.clone(), 28.0), "restarting backoff [crashed flapping]");
    lines.extend([event("restarting", ID, 31.0), start(31.1)]);
    assert_eq!(said(lines.clone(), 31.2), "restarting starting [crashed flapping]");
    lines.push(status(ID, "ok", 31.3));
    lines.extend(beats(ID, 31.3, 1000.0));
    let service = see(&under_launcher(lines.clone()), ID, 326.0);
    assert_eq!(say(&service), "degraded running [flapping]");
    let headline = "no port (exit 3); 3 crashes in 10 min, the last 4 min 59 s ago";
    assert_eq!(service.headline(), headline);
    assert_eq!(said(lines, 327.0), "ok running []");
    // one message tells it, too
    let told = |count: u32| {
        let count = json!({"recent_crashes": count});
        vec![
            crashed(ID, 10.0, true).with(&count),
            start(12.0).with(&count),
            status(ID, "ok", 13.0),
            beat(ID, 13.0),
        ]
    };
    assert_eq!(said(told(62), 14.0), "degraded running [flapping]");
    assert_eq!(said(told(2), 14.0), "ok running []");
    // what was stopped on purpose keeps the reason
    let mut stopped = told(5);
    stopped.push(event("stop", ID, 20.0));
    assert_eq!(said(stopped, 21.0), "stopped stopped [ended flapping]");
}

#[test]
fn a_snapshot_tells_two_programs_under_one_name() {
    let by = |sender: &str, line: Line| line.meta(&json!({"sender": sender}));
    let lines = |status_by: &str, beat_by: &str, more: serde_json::Value| {
        vec![
            start(1.0),
            by(status_by, status(ID, "ok", 2.0).with(&more)),
            by(beat_by, beat(ID, 40.0)),
        ]
    };
    assert_eq!(said(lines("a", "a", json!({})), 41.0), "ok running []");
    assert_eq!(said(lines("a", "b", json!({})), 41.0), "degraded running [double]");
    for by in ["launcher", "watchdog"] {
        let reported = json!({"details": {"reported_by": by}});
        assert_eq!(said(lines("a", "b", reported), 41.0), "ok running []", "{by}");
    }
    // a heartbeat from before the status: the one before it, which ended
    let restarted = vec![by("a", beat(ID, 40.0)), by("b", status(ID, "ok", 41.0))];
    assert_eq!(say(&see(&restarted, ID, 42.0)), "ok running []");
}

#[test]
fn what_waits_for_others_is_starting() {
    let waiting = |timed_out: bool| {
        event("waiting", ID, 10.0)
            .with(&json!({"waiting_for": ["db.main", "dome.a"], "timed_out": timed_out}))
    };
    let service = see(&under_launcher(vec![waiting(false)]), ID, 13.0);
    assert_eq!(say(&service), "starting waiting [waiting_for]");
    assert_eq!(service.headline(), "waiting for db.main, dome.a, 3 s so far");
    assert!(service.in_default);
    assert_eq!(said(vec![waiting(true)], 13.0), "late waiting [waiting_for]");
    // after an earlier run; and then it is started
    let lines = vec![start(1.0), status(ID, "ok", 2.0), event("stop", ID, 9.0), waiting(false)];
    assert_eq!(said(lines.clone(), 500.0), "starting waiting [waiting_for]");
    assert_eq!(said(with(lines.clone(), vec![start(20.0)]), 21.0), "starting starting []");
    // nobody is left who would start it
    let mut alone = launcher(0.0, 20.0);
    alone.extend(lines.clone());
    assert_eq!(say(&see(&alone, ID, 400.0)), "lost waiting [launcher_lost]");
    alone.push(status(LAUNCHER, "shutdown", 21.0).with(&json!({"pid": 99})));
    assert_eq!(say(&see(&alone, ID, 30.0)), "stopped stopped [launcher_shutdown]");
}

#[test]
fn what_a_start_waits_for_is_told_where_its_launcher_declares_it() {
    let declared = |ready: &str| {
        event("declared", ID, 0.5).with(&json!({"declared": {"batch": 1, "ready": ready}}))
    };
    let started = status(ID, "startup", 2.0).with(&json!({"message": "Started"}));
    let lines = vec![declared("when db:4711 accepts connections"), start(1.0), started.clone()];
    let service = see(&under_launcher(lines.clone()), ID, 13.0);
    assert_eq!(say(&service), "starting starting [not_ready]");
    assert_eq!(service.headline(), "ready when db:4711 accepts connections, 12 s so far");
    let ready = with(lines, vec![event("ready", ID, 14.0), status(ID, "ok", 14.1)]);
    assert_eq!(said(ready, 15.0), "ok running []");
    // without that its own message is all there is
    let service = see(&under_launcher(vec![start(1.0), started]), ID, 13.0);
    assert_eq!(
        (say(&service).as_str(), service.headline().as_str()),
        ("starting starting []", "Started")
    );
}

#[test]
fn just_after_its_start_a_service_is_starting() {
    let lines = || vec![start(10.0), event("ready", ID, 10.5)];
    assert_eq!(said(lines(), 11.0), "starting running [no_status]");
    assert_eq!(said(lines(), 39.9), "starting running [no_status]");
    assert_eq!(said(lines(), 40.0), "unknown running [no_status]");
}

#[test]
fn what_is_not_configured_any_more_is_stopped_however_it_ended() {
    let batch = |id: &str, n: u64, s: f64| {
        event("declared", id, s).with(&json!({"launcher_run": "r", "declared": {"batch": n}}))
    };
    let run = |line: Line| line.with(&json!({"launcher_run": "r"}));
    let without = |lines: Vec<Line>| {
        with(
            vec![batch(ID, 1, 0.5), batch("c.d", 1, 0.5)],
            with(lines, vec![batch("c.d", 2, 50.0)]),
        )
    };
    let failed = without(vec![run(start(1.0)), run(crashed(ID, 10.0, false))]);
    assert_eq!(said(failed.clone(), 49.0), "failed failed [crashed]");
    let service = see(&under_launcher(failed.clone()), ID, 51.0);
    assert_eq!(say(&service), "stopped failed [no_longer_declared crashed]");
    assert!(service.in_all && !service.in_default);
    let again = with(failed, vec![batch(ID, 2, 50.1)]);
    assert_eq!(said(again, 51.0), "failed failed [crashed]");
    let waiting = without(vec![run(start(1.0)), run(crashed(ID, 10.0, true))]);
    assert_eq!(said(waiting, 51.0), "stopped stopped [no_longer_declared crashed]");
    // it goes on all the same
    let mut running = without(vec![run(start(1.0)), status(ID, "ok", 2.0)]);
    running.extend(beats(ID, 2.0, 100.0));
    assert_eq!(said(running.clone(), 49.0), "ok running []");
    assert_eq!(said(running, 61.0), "degraded running [unmanaged no_longer_declared]");
    // its launcher was killed with it, and began anew without it: nobody told its end
    let mut killed = without(vec![run(start(1.0)), status(ID, "error", 2.0)]);
    killed.extend(beats(ID, 2.0, 42.0));
    assert_eq!(
        said(killed.clone(), 100.0),
        "error running [reported heartbeat_late no_longer_declared]"
    );
    assert_eq!(said(killed, 163.0), "stopped stopped [no_longer_declared heartbeat_lost]");
}

#[test]
fn two_launchers_of_one_name_conflict() {
    let lines =
        with(vec![event("declared", ID, 0.5).with(&json!({"others": [LAUNCHER]}))], running());
    let view = picture(&under_launcher(lines), 20.0);
    for id in [ID, LAUNCHER] {
        let service = view.get(id).unwrap();
        assert_eq!(say(service), "degraded running [conflict]", "{id}");
        assert!(service.reasons[0].to_string().contains(LAUNCHER));
    }
}

#[test]
fn the_last_end_is_told_in_full() {
    let end = |lines: Vec<Line>| {
        let view = picture(&under_launcher(lines), 20.0);
        view.last_end(view.get(ID).unwrap())
    };
    assert_eq!(end(vec![start(1.0)]), None);
    let fields = json!({"exit_code": -11, "uptime_seconds": 6.0, "core_dumped": true,
        "details": {"last_lines": ["one", "two"]}});
    let crash = crashed(ID, 7.0, true).with(&fields);
    let limit = event("failed", ID, 7.1).with(&json!({"reason": "restart_limit_reached"}));
    let last = end(vec![start(1.0), crash.clone(), limit]).unwrap();
    assert_eq!(
        (last.at, last.exit_code, last.signal.as_deref()),
        (at(7.0), Some(-11), Some("SIGSEGV"))
    );
    assert_eq!(
        (&*last.reason, last.core_dumped, last.last_lines.len()),
        ("crashed", Some(true), 2)
    );
    assert_eq!(last.uptime.unwrap().num_seconds(), 6);
    // who asked for a stop stands in the event before
    let asked = event("stopping", ID, 9.0).with(&json!({"requested_by": "tcsctl:ann@vm:7"}));
    let stop = event("stop", ID, 10.0).with(&json!({"reason": "terminated", "exit_code": 0}));
    let last = end(vec![crash, start(8.0), asked.clone(), stop.clone()]).unwrap();
    assert_eq!(last.requested_by.as_deref(), Some("tcsctl:ann@vm:7"));
    assert_eq!((&*last.reason, last.signal), ("terminated", None));
    let later = event("stop", ID, 12.0).with(&json!({"reason": "completed", "exit_code": 0}));
    assert_eq!(end(vec![asked, stop, start(11.0), later]).unwrap().requested_by, None);
}
