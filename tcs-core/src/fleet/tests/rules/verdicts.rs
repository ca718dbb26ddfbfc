//! Rule 6: verdicts.

use super::*;

#[test]
fn the_first_that_holds_is_the_verdict() {
    let beat_late = |word: &str| vec![start(1.0), status(ID, word, 2.0), beat(ID, 100.0)];
    assert_eq!(said(beat_late("failed"), 300.0), "failed running [reported heartbeat_lost]");
    assert_eq!(said(beat_late("error"), 300.0), "lost running [heartbeat_lost]");
    assert_eq!(said(beat_late("error"), 150.0), "error running [reported heartbeat_late]");
    assert_eq!(said(beat_late("warning"), 150.0), "late running [heartbeat_late]");
    assert_eq!(said(beat_late("warning"), 110.0), "degraded running [reported]");
    let stopping = vec![start(1.0), beat(ID, 100.0), event("stopping", ID, 101.0)];
    assert_eq!(said(stopping.clone(), 150.0), "stopping stopping [heartbeat_late]");
    assert_eq!(said(stopping, 300.0), "lost stopping [heartbeat_lost]");
}

#[test]
fn a_restart_shows_its_attempt_and_limit() {
    let attempt = |lines: Vec<Line>, now| see(&under_launcher(lines), ID, now).attempt;
    let of = |number, limit| Some(Attempt { number, limit });
    let ours = crashed(ID, 10.0, true).with(&json!({"restart_attempt": 2, "max_restarts": 5}));
    assert_eq!(attempt(vec![start(1.0), ours], 11.0), of(2, Some(Limit::Times(5))));
    // Python says nothing in `crashed`, and the limit only in `restarting`
    let first = vec![start(1.0), crashed(ID, 10.0, true)];
    assert_eq!(attempt(first.clone(), 11.0), of(1, None));
    let again = |limit: serde_json::Value| {
        event("restarting", ID, 15.0).with(&json!({"restart_attempt": 1, "max_restarts": limit}))
    };
    let second = with(first.clone(), vec![again(json!(5)), start(15.1), crashed(ID, 20.0, true)]);
    assert_eq!(attempt(second, 21.0), of(2, Some(Limit::Times(5))));
    let unlimited =
        with(first.clone(), vec![again(json!(null)), start(15.1), crashed(ID, 20.0, true)]);
    assert_eq!(attempt(unlimited, 21.0), of(2, Some(Limit::Unlimited)));
    let long_ago = with(first, vec![again(json!(5)), start(15.1), crashed(ID, 900.0, true)]);
    assert_eq!(attempt(long_ago, 901.0), of(1, Some(Limit::Times(5))));
    for (limit, text) in
        [(Some(Limit::Times(5)), "(2/5)"), (Some(Limit::Unlimited), "(2/∞)"), (None, "(2/?)")]
    {
        assert_eq!(Attempt { number: 2, limit }.to_string(), text);
    }
}

#[test]
fn a_first_start_long_after_a_crash_is_no_restart() {
    let lines = vec![
        crashed(ID, 1.0, true),
        event("restarting", ID, 6.0),
        start(6.1),
        event("declared", ID, 800.0),
        start(801.0),
    ];
    assert_eq!(said(lines, 802.0), "starting starting []");
}

#[test]
fn restarts_are_remembered_for_the_window_and_5_minutes_at_least() {
    let lines = |window: f64| {
        let declared = event("declared", ID, 0.5).with(&json!({"restart_window": window}));
        let mut lines = vec![
            declared,
            start(1.0),
            crashed(ID, 10.0, true),
            event("restarting", ID, 15.0).with(&json!({"restart_attempt": 2})),
            start(15.1),
            status(ID, "ok", 16.0),
        ];
        lines.extend(beats(ID, 16.0, 1000.0));
        under_launcher(lines)
    };
    assert_eq!(see(&lines(60.0), ID, 309.0).restarts, 2);
    assert_eq!(see(&lines(60.0), ID, 311.0).restarts, 0);
    assert_eq!(see(&lines(600.0), ID, 609.0).restarts, 2);
    assert_eq!(see(&lines(60.0), ID, 309.0).verdict, Verdict::Ok);
}

#[test]
fn a_signal_is_named_and_an_error_is_quoted() {
    let headline = |fields: serde_json::Value| {
        let lines = vec![start(1.0), crashed(ID, 10.0, false).with(&fields)];
        see(&under_launcher(lines), ID, 14.0).headline()
    };
    assert_eq!(headline(json!({"exit_code": -11})), "crashed 4 s ago: SIGSEGV");
    assert_eq!(headline(json!({"exit_code": 3})), "crashed 4 s ago: exit code 3");
    assert_eq!(
        headline(json!({"exit_code": 1, "error": "no camera"})),
        "crashed 4 s ago: no camera (exit 1)"
    );
    assert_eq!(
        headline(json!({"exit_code": 3, "error": "no camera: exit code 3"})),
        "crashed 4 s ago: no camera: exit code 3"
    );
    assert_eq!(
        headline(json!({"exit_code": -6, "error": "no camera", "core_dumped": true})),
        "crashed 4 s ago: no camera (SIGABRT, core dumped)"
    );
    assert_eq!(headline(json!({"exit_code": i32::MIN})), "crashed 4 s ago: exit code -2147483648");
}

#[test]
fn where_there_is_little_room_the_cause_comes_first() {
    let both = |lines: Vec<Line>, now: f64| {
        let service = see(&under_launcher(lines), ID, now);
        [service.headline(), service.cause_first()]
    };
    let crash = || crashed(ID, 10.0, true).with(&json!({"exit_code": -11}));
    assert_eq!(
        both(vec![start(1.0), crash()], 14.0),
        ["crashed 4 s ago: SIGSEGV", "SIGSEGV, crashed 4 s ago"]
    );
    let declared =
        |window: f64| event("declared", ID, 0.5).with(&json!({"restart_window": window}));
    let failed = |reason: &str| {
        event("failed", ID, 11.0).with(&json!({"reason": reason, "restart_count": 5}))
    };
    let limit = "restart_limit_reached";
    assert_eq!(
        both(vec![declared(60.0), start(1.0), crash(), failed(limit)], 14.0),
        [
            "restart limit reached (5 in 60 s), 3 s ago: SIGSEGV",
            "SIGSEGV, restart limit reached (5 in 60 s), 3 s ago"
        ]
    );
    // without a crash, and for another reason than too many in a time
    let other = "no such program (5 restarts), 3 s ago";
    assert_eq!(both(vec![declared(60.0), start(1.0), failed("no_such_program")], 14.0), [other; 2]);
    // what it said itself stands as it is
    let own = both(vec![start(1.0), status(ID, "ok", 2.0), beat(ID, 2.0)], 3.0);
    assert_eq!(own[0], own[1]);
}

#[test]
fn every_verdict_occurs_in_these_rules() {
    let lines = [
        ("failed", vec![start(1.0), crashed(ID, 2.0, false)], 3.0),
        ("lost", vec![start(1.0), beat(ID, 2.0)], 200.0),
        ("error", vec![start(1.0), status(ID, "error", 2.0), beat(ID, 2.0)], 3.0),
        ("restarting", vec![start(1.0), crashed(ID, 2.0, true)], 3.0),
        ("late", vec![start(1.0), beat(ID, 2.0)], 40.0),
        ("degraded", vec![start(1.0), status(ID, "warning", 2.0), beat(ID, 2.0)], 3.0),
        ("starting", vec![start(1.0)], 3.0),
        ("stopping", vec![start(1.0), event("stopping", ID, 2.0)], 3.0),
        ("unknown", vec![start(1.0), event("ready", ID, 1.1)], 3.0),
        ("ok", vec![start(1.0), status(ID, "ok", 2.0), beat(ID, 2.0)], 3.0),
        ("stopped", vec![event("declared", ID, 1.0)], 3.0),
    ];
    for ((word, lines, now), verdict) in lines.into_iter().zip(Verdict::ALL) {
        assert_eq!(verdict.as_str(), word);
        let service = see(&under_launcher(lines), ID, now);
        assert_eq!(service.verdict, verdict, "{}", say(&service));
    }
    let view = picture(&under_launcher(running()), 500.0);
    assert_eq!(view.counts.present().collect::<Vec<_>>(), [(Verdict::Ok, 2)]);
}
