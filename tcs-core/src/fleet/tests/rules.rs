//! Rules 3 to 6: runs, phases, liveness, verdicts. Seconds; `a.b` is the service.

use serde_json::json;

use super::support::{
    LAUNCHER, Line, at, beat, beats, crashed, event, launcher, picture, say, see, status,
};
use crate::fleet::{Attempt, IntervalSource, Liveness, Verdict};
use crate::wire::{Limit, Status};

const ID: &str = "a.b";

/// Lines about the service, under a launcher that lives for 1000 s.
fn under_launcher(lines: Vec<Line>) -> Vec<Line> {
    let mut all = launcher(0.0, 1000.0);
    all.extend(lines);
    all
}

/// What is said of the service at `now`.
fn said(lines: Vec<Line>, now: f64) -> String {
    say(&see(&under_launcher(lines), ID, now))
}

fn start(s: f64) -> Line {
    event("start", ID, s)
}

fn running() -> Vec<Line> {
    let mut lines = vec![start(1.0), status(ID, "ok", 2.0)];
    lines.extend(beats(ID, 2.0, 1000.0));
    lines
}

fn with(mut lines: Vec<Line>, more: Vec<Line>) -> Vec<Line> {
    lines.extend(more);
    lines
}

// ---- rule 3: runs

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

// ---- rule 4: phases

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
    // not while its status is startup; not by its launcher's beats
    let starting = vec![event("stop", ID, 100.0), status(ID, "startup", 101.0), beat(ID, 120.0)];
    assert_eq!(said(starting, 121.0), "stopped stopped [ended]");
    let launchers =
        vec![event("stop", ID, 100.0), beat(ID, 120.0).with(&json!({"reported_by": "launcher"}))];
    assert_eq!(said(launchers, 121.0), "stopped stopped [ended]");
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
    assert_eq!(said(lines("unknown"), 3.0), "unknown running [no_status]");
}

// ---- rule 5: liveness

#[test]
fn late_from_3_intervals_on_and_lost_from_12() {
    for (age, expected) in [
        (29.9, "ok running []"),
        (30.0, "late running [heartbeat_late]"),
        (119.9, "late running [heartbeat_late]"),
        (120.0, "lost running [heartbeat_lost]"),
    ] {
        let lines = vec![start(1.0), status(ID, "ok", 2.0), beat(ID, 100.0)];
        assert_eq!(said(lines, 100.0 + age), expected, "{age}");
    }
    let lines = vec![start(1.0), status(ID, "ok", 2.0), beat(ID, 100.0)];
    let service = see(&under_launcher(lines), ID, 300.0);
    assert_eq!(service.since, Some(at(220.0)));
    assert_eq!(service.reasons[0].to_string(), "last heartbeat 3m 20s ago, expected every 10 s");
}

#[test]
fn the_interval_is_said_or_learned_or_assumed() {
    let interval = |beats: Vec<Line>| {
        let service = see(&under_launcher(with(vec![start(1.0)], beats)), ID, 999.0);
        (service.interval.num_milliseconds(), service.interval_source)
    };
    let said = |seconds: f64| vec![beat(ID, 2.0).with(&json!({"interval_seconds": seconds}))];
    assert_eq!(interval(said(2.5)), (2500, IntervalSource::Said));
    assert_eq!(interval(said(0.001)), (100, IntervalSource::Said));
    assert_eq!(interval(said(1e9)), (3_600_000, IntervalSource::Said));
    assert_eq!(interval(said(-1.0)), (10_000, IntervalSource::Assumed));
    assert_eq!(interval(vec![beat(ID, 2.0), beat(ID, 3.0)]), (10_000, IntervalSource::Assumed));
    let three = |gaps: [f64; 2]| {
        vec![beat(ID, 2.0), beat(ID, 2.0 + gaps[0]), beat(ID, 2.0 + gaps[0] + gaps[1])]
    };
    assert_eq!(interval(three([1.0, 1.0])), (1000, IntervalSource::Learned));
    assert_eq!(interval(three([1.0, 300.0])), (1000, IntervalSource::Learned), "an outage between");
    // a burst after an outage: stored at once, written 10 s apart
    let burst = (0..4).map(|i| {
        let written = super::support::array(100.0 + 10.0 * f64::from(i));
        beat(ID, 200.0 + 0.01 * f64::from(i)).with(&json!({"timestamp": written}))
    });
    assert_eq!(interval(burst.collect()), (10_000, IntervalSource::Learned));
}

#[test]
fn a_start_that_is_never_heard_of() {
    let lines = || vec![start(1.0)];
    assert_eq!(said(lines(), 120.9), "starting starting []");
    assert_eq!(said(lines(), 121.0), "late starting [never_heard]");
    // its launcher is lost
    let mut alone = launcher(0.0, 0.0);
    alone.extend(lines());
    assert_eq!(say(&see(&alone, ID, 122.0)), "lost starting [launcher_lost never_heard]");
    // with a live heart it may take as long as it likes
    let slow = with(
        lines(),
        beats(ID, 2.0, 900.0)
            .into_iter()
            .map(|beat| beat.with(&json!({"status": "startup"})))
            .collect(),
    );
    assert_eq!(said(slow, 905.0), "starting starting []");
}

#[test]
fn a_status_without_any_heartbeat_is_believed_for_120_s() {
    let managed = || vec![start(1.0), status(ID, "ok", 2.0)];
    assert_eq!(said(managed(), 121.9), "ok running []");
    assert_eq!(said(managed(), 122.0), "lost running [never_heard]");
    let ad_hoc = vec![status(ID, "ok", 2.0)];
    assert_eq!(say(&see(&ad_hoc, ID, 121.9)), "ok running []");
    assert_eq!(say(&see(&ad_hoc, ID, 122.0)), "unknown running [never_heard]");
}

#[test]
fn a_launchers_events_are_signs_of_its_life() {
    let lines =
        vec![status(LAUNCHER, "ok", 0.0), beat(LAUNCHER, 1.0), event("declared", ID, 200.0)];
    assert_eq!(say(&see(&lines, LAUNCHER, 201.0)), "ok running []");
    assert_eq!(say(&see(&lines, LAUNCHER, 231.0)), "late running [heartbeat_late]");
}

#[test]
fn a_blocked_loop_is_late_though_its_heart_beats() {
    let lag = |seconds: f64| {
        vec![
            start(1.0),
            status(ID, "ok", 2.0),
            beat(ID, 50.0).with(&json!({"interval_seconds": 1.0, "lag_seconds": seconds})),
        ]
    };
    assert_eq!(said(lag(3.0), 51.0), "ok running []");
    assert_eq!(said(lag(3.1), 51.0), "late running [loop_blocked]");
}

#[test]
fn a_loop_that_raised_goes_on_beating_with_error() {
    let lines = with(running(), vec![status(ID, "error", 500.0)]);
    assert_eq!(said(lines, 501.0), "error running [reported]");
}

// ---- rule 6: verdicts

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
        "crashed 4 s ago: no camera"
    );
    assert_eq!(headline(json!({"exit_code": i32::MIN})), "crashed 4 s ago: exit code -2147483648");
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
