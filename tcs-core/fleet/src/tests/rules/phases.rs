//! Runs and phases.

use super::*;

// ---- runs

#[test]
fn a_status_of_an_earlier_run_is_history() {
    let lines = vec![
        start(1.0),
        status(ID, "error", 2.0),
        crashed(ID, 50.0, true),
        event("restarting", ID, 55.0),
        start(56.0),
    ];
    let service = see(&under_launcher(lines), ID, 57.0);
    assert_eq!(say(&service), "restarting starting [crashed]");
    assert_eq!((service.status, service.message), (None, None));
}

#[test]
fn a_fast_childs_status_may_be_stored_before_its_start() {
    // same process as the start says, and newer than the last end
    let lines = vec![
        crashed(ID, 10.0, true),
        event("restarting", ID, 15.0),
        status(ID, "ok", 15.9),
        start(16.0),
        beat(ID, 16.1),
    ];
    assert_eq!(said(lines, 17.0), "ok running []");
    // another process: history
    let old = vec![status(ID, "ok", 15.9).with(&json!({"pid": 7})), start(16.0)];
    assert_eq!(said(old, 17.0), "starting starting []");
}

#[test]
fn a_heartbeat_before_the_start_is_history() {
    let service = see(&under_launcher(vec![beat(ID, 14.0), start(16.0)]), ID, 17.0);
    assert_eq!(say(&service), "starting starting []");
    assert_eq!((service.liveness, service.last_heartbeat), (Liveness::None, None));
}

// ---- phases

#[test]
fn each_event_sets_its_phase() {
    let cases: [(Vec<Line>, &str); 12] = [
        (vec![event("declared", ID, 1.0)], "stopped declared []"),
        (vec![start(1.0)], "starting starting []"),
        (
            vec![
                start(1.0),
                status(ID, "startup", 1.5),
                beat(ID, 1.6).with(&json!({"status": "startup"})),
            ],
            "starting starting []",
        ),
        (vec![start(1.0), beat(ID, 1.6)], "ok running []"),
        (vec![start(1.0), status(ID, "busy", 1.6)], "ok running []"),
        (vec![start(1.0), event("ready", ID, 2.0), beat(ID, 2.0)], "ok running []"),
        (vec![start(1.0), beat(ID, 1.5), event("stopping", ID, 2.0)], "stopping stopping []"),
        (
            vec![
                start(1.0),
                event("stop", ID, 2.0).with(&json!({"reason": "completed", "exit_code": 0})),
            ],
            "stopped completed [ended]",
        ),
        (
            vec![
                start(1.0),
                event("stop", ID, 2.0).with(&json!({"reason": "terminated", "exit_code": -15})),
            ],
            "stopped stopped [ended]",
        ),
        (vec![start(1.0), crashed(ID, 2.0, true)], "restarting backoff [crashed]"),
        (vec![start(1.0), crashed(ID, 2.0, false)], "failed failed [crashed]"),
        (
            vec![
                start(1.0),
                crashed(ID, 2.0, true),
                event("failed", ID, 2.5).with(&json!({"reason": "restart_limit_reached"})),
            ],
            "failed failed [given_up crashed]",
        ),
    ];
    for (lines, expected) in cases {
        let names: Vec<_> = lines.iter().map(|line| line.subject.clone()).collect();
        assert_eq!(said(lines, 3.0), expected, "{names:?}");
    }
}

#[test]
fn completed_needs_its_reason_and_exit_code_0() {
    for (fields, phase) in [
        (json!({"reason": "completed", "exit_code": 3}), "stopped"),
        (json!({"reason": "completed"}), "stopped"),
        (json!({"reason": "completed", "exit_code": 0}), "completed"),
    ] {
        let lines = vec![start(1.0), event("stop", ID, 2.0).with(&fields)];
        assert_eq!(said(lines, 3.0), format!("stopped {phase} [ended]"));
    }
}

#[test]
fn pythons_second_stop_changes_nothing() {
    let lines = vec![
        start(1.0),
        event("stop", ID, 2.0).with(&json!({"reason": "completed", "exit_code": 0})),
        event("stop", ID, 2.1).with(&json!({"reason": "terminated", "exit_code": 0})),
    ];
    assert_eq!(said(lines, 3.0), "stopped stopped [ended]");
}

#[test]
fn a_stop_after_failed_or_error_is_a_failure() {
    for word in ["failed", "error"] {
        let lines = vec![
            start(1.0),
            status(ID, word, 1.5),
            event("stop", ID, 2.0).with(&json!({"reason": "completed", "exit_code": 0})),
        ];
        assert_eq!(said(lines, 3.0), "failed failed [reported ended ended_after_failed]");
    }
    // of an earlier run: no
    let lines = vec![
        status(ID, "failed", 0.5).with(&json!({"pid": 7})),
        start(1.0),
        event("stop", ID, 2.0),
    ];
    assert_eq!(said(lines, 3.0), "stopped stopped [ended]");
    // the launcher's word for the dead: no
    let lines = vec![
        start(1.0),
        event("stop", ID, 2.0),
        status(ID, "failed", 2.1).with(&json!({"details": {"reported_by": "launcher"}})),
    ];
    assert_eq!(said(lines, 3.0), "stopped stopped [ended]");
}

#[test]
fn a_restart_that_the_launchers_own_end_cancels_is_stopped() {
    let lines = vec![status(LAUNCHER, "shutdown", 5.0), start(1.0), crashed(ID, 2.0, true)];
    let mut all = vec![status(LAUNCHER, "ok", 0.0)];
    all.extend(lines);
    assert_eq!(say(&see(&all, ID, 6.0)), "stopped stopped [launcher_shutdown]");
    assert_eq!(say(&see(&all, ID, 4.0)), "restarting backoff [crashed]");
}

#[test]
fn declared_counts_only_where_nothing_else_speaks() {
    // a new launcher run that has not started it yet
    let run = |line: Line, run: &str| line.with(&json!({"launcher_run": run}));
    let old =
        vec![run(start(1.0), "r1"), status(ID, "ok", 2.0), run(event("declared", ID, 100.0), "r2")];
    assert_eq!(said(old.clone(), 101.0), "stopped declared []");
    // its own words, newer than the declaration
    let words = with(old.clone(), vec![beat(ID, 101.0)]);
    assert_eq!(said(words, 102.0), "ok running []");
    // declared again in the same run: nothing changes
    let same = vec![
        run(start(1.0), "r1"),
        status(ID, "ok", 2.0),
        beat(ID, 99.0),
        run(event("declared", ID, 100.0), "r1"),
    ];
    assert_eq!(said(same, 101.0), "ok running []");
    // another launcher declares what is running here: the running one is not forgotten
    let other = event("declared", ID, 100.0).with(&json!({"parent": "launcher.M"}));
    let two = vec![start(1.0), status(ID, "ok", 2.0), beat(ID, 99.0), other];
    assert_eq!(said(two, 101.0), "ok running []");
    // Python gives no run: a declaration newer than the last event is a new run
    let python =
        vec![event("stop", ID, 1.0), event("declared", ID, 50.0), status(ID, "startup", 50.2)];
    assert_eq!(said(python, 51.0), "starting starting []");
}

#[test]
fn without_a_start_event_the_own_words_count() {
    let wiped = vec![event("declared", ID, 1.0), beat(ID, 3.0)];
    assert_eq!(said(wiped, 4.0), "ok running [no_start_event]");
    let failed =
        vec![event("declared", ID, 1.0), status(ID, "startup", 1.1), status(ID, "failed", 1.2)];
    assert_eq!(said(failed, 2.0), "failed running [reported no_start_event]");
    // the end of an earlier run, stored just after: decides nothing
    let end = vec![event("declared", ID, 1.0), status(ID, "shutdown", 1.5)];
    assert_eq!(said(end, 2.0), "stopped declared []");
}

#[test]
fn a_heart_that_beats_after_the_end_is_unmanaged() {
    let ended = [
        event("stop", ID, 100.0),
        crashed(ID, 100.0, false),
        crashed(ID, 100.0, true),
        event("failed", ID, 100.0),
    ];
    for end in ended {
        let lines = |beat_at| vec![start(1.0), end.clone(), beat(ID, beat_at)];
        assert_eq!(said(lines(106.0), 107.0), "degraded running [unmanaged]", "{}", end.subject);
        assert!(!said(lines(104.0), 107.0).contains("unmanaged"), "inside the slack");
    }
    // not while its status is startup; not by the beats of the launcher that told its end
    let starting = vec![event("stop", ID, 100.0), status(ID, "startup", 101.0), beat(ID, 120.0)];
    assert_eq!(said(starting, 121.0), "stopped stopped [ended]");
    let launchers =
        vec![event("stop", ID, 100.0), beat(ID, 120.0).with(&json!({"reported_by": "launcher"}))];
    assert_eq!(said(launchers.clone(), 121.0), "stopped stopped [ended]");
    // two launchers ran it, and one has ended
    let other = launchers.into_iter().map(|line| match &*line.subject {
        "svc.registry.stop.a.b" => line.meta(&json!({"sender": "the other tcsd"})),
        _ => line,
    });
    assert_eq!(said(other.collect(), 121.0), "degraded running [unmanaged]");
}

#[test]
fn without_any_event_the_phase_comes_from_the_own_words() {
    let ad_hoc = |lines: Vec<Line>, now| say(&see(&lines, ID, now));
    assert_eq!(
        ad_hoc(vec![status(ID, "shutdown", 1.0), beat(ID, 1.5)], 2.0),
        "stopped stopped [ended]"
    );
    assert_eq!(
        ad_hoc(vec![status(ID, "ok", 1.0).with(&json!({"message": "Service stopped"}))], 2.0),
        "stopped stopped [ended]"
    );
    assert_eq!(ad_hoc(vec![status(ID, "startup", 1.0)], 2.0), "starting starting []");
    assert_eq!(ad_hoc(vec![status(ID, "ok", 1.0), beat(ID, 1.5)], 2.0), "ok running []");
    assert_eq!(ad_hoc(vec![beat(ID, 1.5)], 2.0), "ok running []");
    // the heart goes on after shutdown: not stopped yet
    assert_eq!(
        ad_hoc(vec![status(ID, "shutdown", 1.0), beat(ID, 7.0)], 8.0),
        "stopping stopping []"
    );
}

#[test]
fn shutdown_is_stopping_while_the_heart_is_live_and_then_stopped() {
    let lines = || vec![start(1.0), status(ID, "shutdown", 10.0), beat(ID, 11.0)];
    assert_eq!(said(lines(), 12.0), "stopping stopping []");
    assert_eq!(said(lines(), 42.0), "stopped stopped [ended no_stop_event]");
}

#[test]
fn each_pair_of_phase_and_own_words() {
    // what the service says of itself, inside each phase in which something should be there
    let phases: [(&str, Vec<Line>); 3] = [
        ("starting", vec![crashed(ID, 0.5, false), start(1.0)]),
        ("running", vec![start(1.0), event("ready", ID, 1.1)]),
        ("stopping", vec![start(1.0), event("stopping", ID, 1.1)]),
    ];
    let expected = |phase: &str, word: Status| match (phase, word) {
        ("stopping", _) | (_, Status::Shutdown) => "stopping stopping",
        (_, Status::Failed) => "failed running",
        (_, Status::Error) => "error running",
        (_, Status::Warning | Status::Degraded) => "degraded running",
        ("starting", Status::Startup) => "starting starting",
        (_, Status::Startup) => "starting running",
        // the heartbeat says ok
        (_, Status::Ok | Status::Idle | Status::Busy | Status::Unknown) => "ok running",
    };
    for (phase, lines) in phases {
        for word in Status::ALL {
            let mut beat = beat(ID, 2.0);
            if word == Status::Startup {
                beat = beat.with(&json!({"status": "startup"}));
            }
            let lines = with(lines.clone(), vec![status(ID, word.as_str(), 2.0), beat]);
            let text = said(lines, 3.0);
            assert!(text.starts_with(expected(phase, word)), "{phase} and {word}: {text}");
        }
    }
}

#[test]
fn an_unknown_status_leaves_the_word_to_the_heartbeat() {
    let lines = |word: &str| {
        vec![
            start(1.0),
            event("ready", ID, 1.1),
            status(ID, "dreaming", 2.0),
            beat(ID, 2.5).with(&json!({"status": word})),
        ]
    };
    assert_eq!(said(lines("busy"), 3.0), "ok running []");
    // just after its start it may still send one
    assert_eq!(said(lines("unknown"), 3.0), "starting running [no_status]");
    assert_eq!(said(lines("unknown"), 31.5), "unknown running [no_status]");
}
