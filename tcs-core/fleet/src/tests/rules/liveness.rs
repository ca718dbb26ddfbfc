//! Rule 5: what heartbeats say.

use super::*;

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
    assert_eq!(service.reasons[0].to_string(), "no heartbeat for 3 min 20 s (expected every 10 s)");
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
        let written = crate::tests::support::array(100.0 + 10.0 * f64::from(i));
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
    // since its loop was three intervals late, not since the newest beat that says so
    let view = see(&under_launcher(lag(20.0)), ID, 51.0);
    assert_eq!(view.since, Some(at(33.0)));
}

#[test]
fn a_loop_that_raised_goes_on_beating_with_error() {
    let lines = with(running(), vec![status(ID, "error", 500.0)]);
    assert_eq!(said(lines, 501.0), "error running [reported]");
}
