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
fn the_cause_of_a_crash_comes_first_and_its_age_last() {
    let headline = |fields: serde_json::Value| {
        let lines = vec![start(1.0), crashed(ID, 10.0, false).with(&fields)];
        see(&under_launcher(lines), ID, 14.0).headline()
    };
    assert_eq!(headline(json!({"exit_code": -11})), "SIGSEGV; crashed 4 s ago");
    let core = json!({"exit_code": -11, "core_dumped": true, "uptime_seconds": 9.0});
    assert_eq!(headline(core), "SIGSEGV, core dumped; crashed after 9 s, 4 s ago");
    assert_eq!(headline(json!({"exit_code": 3})), "exit code 3; crashed 4 s ago");
    let error = json!({"exit_code": 1, "error": "no camera\nbecause of a cable"});
    assert_eq!(headline(error), "no camera (exit 1); crashed 4 s ago");
    let output =
        json!({"exit_code": 3, "details": {"last_lines": ["Traceback", "", "E: no port", " "]}});
    assert_eq!(headline(output), "E: no port (exit 3); crashed 4 s ago");
    let named = json!({"exit_code": 3, "error": "no camera: exit code 3"});
    assert_eq!(headline(named), "no camera: exit code 3; crashed 4 s ago");
    assert_eq!(headline(json!({"exit_code": i32::MIN})), "exit code -2147483648; crashed 4 s ago");
    assert_eq!(headline(json!({"exit_code": null})), "cause unknown; crashed 4 s ago");
}

#[test]
fn a_crash_says_when_it_is_started_again_by_the_brokers_clock() {
    // the launcher's clock is an hour behind
    let times = json!({"timestamp": array(10.0 - 3600.0), "restart_at": array(18.0 - 3600.0)});
    let crash = || crashed(ID, 10.0, true).with(&times).with(&json!({"uptime_seconds": 6.0}));
    let see = |now: f64| see(&under_launcher(vec![start(1.0), crash()]), ID, now);
    assert_eq!(see(14.0).reasons[0].to_string(), "crashed after 6 s: SIGKILL; restarting in 4 s");
    assert_eq!(see(14.0).headline(), "SIGKILL; crashed after 6 s, restarting in 4 s");
    assert_eq!(see(19.0).headline(), "SIGKILL; crashed after 6 s, restarting now");
    let given_up = crashed(ID, 10.0, false).with(&json!({"uptime_seconds": 6.0}));
    let service = super::see(&under_launcher(vec![start(1.0), given_up]), ID, 130.0);
    assert_eq!(service.reasons[0].to_string(), "crashed after 6 s: SIGKILL, 2 min ago");
}

#[test]
fn why_it_was_given_up_is_told_behind_the_cause() {
    let headline = |lines: Vec<Line>| see(&under_launcher(lines), ID, 14.0).headline();
    let crash = || crashed(ID, 10.0, true).with(&json!({"exit_code": -11}));
    let declared =
        |window: f64| event("declared", ID, 0.5).with(&json!({"restart_window": window}));
    let failed = |reason: &str| {
        event("failed", ID, 11.0).with(&json!({"reason": reason, "restart_count": 5}))
    };
    assert_eq!(
        headline(vec![declared(60.0), start(1.0), crash(), failed("restart_limit_reached")]),
        "SIGSEGV; restart limit reached (5 in 1 min), gave up 3 s ago"
    );
    // without a crash, and for another reason than too many in a time
    assert_eq!(
        headline(vec![declared(60.0), start(1.0), failed("no_such_program")]),
        "no such program (5 restarts), gave up 3 s ago"
    );
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
        ("unknown", vec![start(1.0), event("ready", ID, 1.1)], 40.0),
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
