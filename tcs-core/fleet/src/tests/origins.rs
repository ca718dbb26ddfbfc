//! When things happened that were delivered late.

use proptest::prelude::*;
use serde_json::json;

use super::support::{array, at, crashed, event, fold, status};
use crate::{Happened, Link, MAX_RUNS, Origins, RunTime};
use chrono::TimeDelta;
use tcs_wire::Meta;

/// Made `run_s` into a run of `sender` that its own clock says began at `began`.
fn time(sender: &str, began: f64, run_s: f64) -> RunTime {
    let ts = tcs_wire::Timestamp::new(at(began + run_s));
    let meta = Meta { sender: sender.into(), ts: Some(ts), run_s: Some(run_s), ..Meta::default() };
    RunTime::of(&meta).unwrap()
}

fn seconds(span: f64) -> TimeDelta {
    TimeDelta::milliseconds((span * 1e3).round() as i64)
}

#[test]
fn what_waited_for_the_broker_happened_when_it_did() {
    let mut origins = Origins::default();
    // the run began at 100; its clock is ten minutes ahead, which does not matter
    let made = |run_s: f64| time("tcsd", 700.0, run_s);
    origins.note(made(5.0), at(105.2));
    // from 119 to 130 the broker did not answer
    for run_s in [19.0, 29.0] {
        origins.note(made(run_s), at(130.0));
    }
    origins.note(made(31.0), at(131.0));
    let happened = |run_s: f64, stored: f64| origins.happened(Some(made(run_s)), at(stored));
    // one message in 5,000 s of drift apart: 2.4 ms
    let close = |a: Happened, s: f64| (a.at - at(s)).abs() < TimeDelta::milliseconds(10);
    assert!(close(happened(19.0, 130.0), 119.0), "{:?}", happened(19.0, 130.0));
    assert!((happened(19.0, 130.0).late - seconds(11.0)).abs() < TimeDelta::milliseconds(10));
    assert!(close(happened(29.0, 130.0), 129.0));
    // nothing happens after it was stored, and what says nothing happened when it was stored
    assert_eq!(happened(40.0, 131.0).late, TimeDelta::zero());
    assert_eq!(
        origins.happened(None, at(130.0)),
        Happened { at: at(130.0), late: TimeDelta::zero() }
    );
}

#[test]
fn a_name_that_comes_again_is_another_run() {
    // in a container the process id is the same after each restart
    let mut origins = Origins::default();
    origins.note(time("tcsd:7", 100.0, 5.0), at(105.0));
    let second = time("tcsd:7", 500.0, 5.0);
    origins.note(second, at(505.0));
    assert_eq!(origins.happened(Some(second), at(505.0)).at, at(505.0));
    // a clock that was set looks like another run, too: then it is dated as before
    let set = time("tcsd:7", 4100.0, 10.0);
    assert_eq!(origins.happened(Some(set), at(110.0)).at, at(110.0));
}

#[test]
fn a_broker_clock_that_was_set_is_followed_within_hours() {
    let mut origins = Origins::default();
    let hour = 3600.0;
    origins.note(time("tcsd", 0.0, 10.0), at(10.0));
    // it was set forward by 500 s
    for i in 1..=4 {
        let run_s = hour * f64::from(i);
        origins.note(time("tcsd", 0.0, run_s), at(run_s + 500.0));
    }
    let run_s = 4.0 * hour + 1.0;
    let happened = origins.happened(Some(time("tcsd", 0.0, run_s)), at(run_s + 500.0));
    assert!(happened.late < seconds(1.0), "{happened:?}");
}

#[test]
fn impossible_times_are_no_times() {
    let of = |run_s: f64| RunTime::of(&Meta { run_s: Some(run_s), ..Meta::default() });
    for wrong in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        assert_eq!(of(wrong), None, "{wrong}");
    }
    assert!(of(0.0).is_some());
}

#[test]
fn the_runs_are_bounded_and_the_oldest_go() {
    let mut origins = Origins::default();
    for i in 0..MAX_RUNS + 10 {
        origins.note(time(&format!("s{i}"), 0.0, 1.0), at(2.0 + i as f64));
    }
    let late = |i: usize| {
        // a second message of that run, ten seconds late
        origins.happened(Some(time(&format!("s{i}"), 0.0, 11.0)), at(22.0 + i as f64)).late
    };
    assert_eq!(late(0), TimeDelta::zero(), "forgotten");
    assert!(late(MAX_RUNS) > seconds(9.0));
}

#[test]
fn a_crash_that_was_delivered_late_is_dated_by_its_run() {
    let made = |run_s: f64| json!({"run_s": run_s, "sender": "tcsd", "ts": array(run_s)});
    let lines = [
        event("start", "a.b", 1.0).meta(&made(1.0)),
        crashed("a.b", 30.0, true).meta(&made(19.0)),
        status("launcher.x", "ok", 31.0).meta(&made(31.0)),
    ];
    let view = fold(&lines).view(at(32.0), Link::Steady);
    let kept = view.get("a.b").unwrap().record.events()[1].clone();
    assert!((view.happened(&kept).at - at(19.0)).abs() < TimeDelta::milliseconds(10));
}

proptest! {
    #[test]
    fn any_order_and_repetition_gives_the_same_beginnings(
        notes in prop::collection::vec((0..2_usize, 0.0..40_000.0_f64, 0.0..100.0_f64), 1..40),
        order in any::<prop::sample::Index>(),
    ) {
        let fold = |notes: &[(usize, f64, f64)]| {
            let mut origins = Origins::default();
            for (sender, run_s, late) in notes {
                origins.note(time(["a", "b"][*sender], 0.0, *run_s), at(run_s + late));
            }
            origins
        };
        let mut mixed = notes.clone();
        let cut = order.index(notes.len());
        mixed.rotate_left(cut);
        mixed.extend_from_slice(&notes[..cut]);
        mixed.reverse();
        prop_assert_eq!(fold(&mixed), fold(&notes));
    }

    #[test]
    fn nothing_happened_after_it_was_stored_or_before_its_run(
        notes in prop::collection::vec((0.0..40_000.0_f64, 0.0..100.0_f64), 1..40),
    ) {
        let mut origins = Origins::default();
        for (run_s, late) in &notes {
            origins.note(time("a", 0.0, *run_s), at(run_s + late));
        }
        for (run_s, late) in &notes {
            let happened = origins.happened(Some(time("a", 0.0, *run_s)), at(run_s + late));
            prop_assert!(happened.late >= TimeDelta::zero());
            // the run began at 0: nothing can be dated before it was made
            prop_assert!(happened.at >= at(*run_s) - TimeDelta::milliseconds(1));
        }
    }
}
