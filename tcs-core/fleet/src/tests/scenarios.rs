//! The rows of `docs/spec/truth.md#scenarios` that need no process: what is published is played,
//! and looked at one second later (or after the intervals that the row allows).

use serde_json::json;

use super::support::{LAUNCHER, Line, beats, crashed, event, launcher, picture, say, see, status};
use crate::Verdict;

const ID: &str = "guider.jk15";

/// A launcher and its service, both well until `to`.
fn well(to: f64) -> Vec<Line> {
    let mut lines = launcher(0.0, 2000.0);
    lines.extend([
        event("declared", ID, 0.5).with(&json!({"restart_max": 2})),
        event("start", ID, 1.0),
        status(ID, "ok", 2.0),
    ]);
    lines.extend(beats(ID, 2.0, to));
    lines
}

#[test]
fn row_1_to_3_killed() {
    let mut lines = well(99.0);
    lines.push(crashed(ID, 100.0, true));
    let service = see(&lines, ID, 101.0);
    assert_eq!(say(&service), "restarting backoff [crashed]");
    assert_eq!(service.attempt.unwrap().to_string(), "(1/2)");
    assert_eq!(service.headline(), "SIGKILL; crashed 1 s ago");

    lines.push(
        event("failed", ID, 110.0)
            .with(&json!({"reason": "restart_limit_reached", "restart_count": 2})),
    );
    assert_eq!(
        see(&lines, ID, 111.0).headline(),
        "SIGKILL; restart limit reached (2 restarts), gave up 1 s ago"
    );
    assert_eq!(see(&lines, ID, 111.0).verdict, Verdict::Failed);

    let mut lines = well(99.0);
    lines.push(crashed(ID, 100.0, false));
    assert_eq!(say(&see(&lines, ID, 101.0)), "failed failed [crashed]");
    // green, heart and all, is what the last heartbeat alone would say
    assert_eq!(see(&lines, ID, 101.0).headline(), "SIGKILL; crashed 1 s ago");
}

#[test]
fn row_5_a_one_shot_completes() {
    let mut lines = well(99.0);
    lines.push(event("stop", ID, 100.0).with(&json!({"reason": "completed", "exit_code": 0})));
    assert_eq!(say(&see(&lines, ID, 101.0)), "stopped completed [ended]");
}

#[test]
fn row_6_and_7_hanging() {
    let lines = well(102.0);
    assert_eq!(say(&see(&lines, ID, 131.0)), "ok running []");
    assert_eq!(say(&see(&lines, ID, 133.0)), "late running [heartbeat_late]");
    assert_eq!(say(&see(&lines, ID, 223.0)), "lost running [heartbeat_lost]");
}

#[test]
fn row_9_a_restarted_launcher_leaves_no_ghost() {
    let run = |line: Line, run: &str| line.with(&json!({"launcher_run": run}));
    let mut lines: Vec<Line> = well(99.0)
        .into_iter()
        .map(|line| if line.subject.contains("registry") { run(line, "r1") } else { line })
        .collect();
    lines.push(run(event("declared", ID, 103.0), "r2"));
    lines.push(run(event("start", ID, 103.1).with(&json!({"pid": 200})), "r2"));
    lines.push(status(ID, "ok", 103.5).with(&json!({"pid": 200})));
    lines.extend(
        beats(ID, 103.5, 200.0).into_iter().map(|beat| beat.meta(&json!({"sender": "new"}))),
    );
    assert_eq!(say(&see(&lines, ID, 103.05)), "stopped declared []");
    let service = see(&lines, ID, 104.1);
    assert_eq!(say(&service), "ok running []");
    assert_eq!(service.pid, Some(200));
    assert_eq!(picture(&lines, 104.1).services.len(), 2);
}

#[test]
fn row_12_after_an_empty_store_the_running_come_back_from_their_hearts() {
    let mut lines = vec![event("declared", ID, 100.0), status(LAUNCHER, "ok", 100.0)];
    lines.extend(beats(LAUNCHER, 105.0, 200.0));
    lines.extend(beats(ID, 109.0, 200.0));
    assert_eq!(say(&see(&lines, ID, 110.0)), "ok running [no_start_event]");
    let view = picture(&lines, 110.0);
    assert_eq!(view.get(ID).unwrap().parent.as_deref(), Some(LAUNCHER));
}

#[test]
fn row_13_and_14_wrong_clocks_change_no_verdict() {
    // only the payload's own times are wrong; the broker's stand
    for wrong in [-600.0, 600.0] {
        let shifted: Vec<Line> = well(150.0)
            .into_iter()
            .map(|line| {
                let time = super::support::array(line.stored + wrong);
                line.with(&json!({"timestamp": time})).meta(&json!({"ts": time}))
            })
            .collect();
        for now in [50.0, 155.0, 185.0, 300.0] {
            assert_eq!(see(&shifted, ID, now).verdict, see(&well(150.0), ID, now).verdict);
        }
    }
}

#[test]
fn row_16_removed_from_the_configuration() {
    let mut lines = well(99.0);
    lines.push(event("stop", ID, 100.0));
    lines.push(event("declared", "other.one", 0.5));
    lines.push(event("declared", "other.one", 200.0));
    let day = 24.0 * 3600.0;
    let service = see(&lines, ID, 201.0);
    assert_eq!(say(&service), "stopped stopped [no_longer_declared ended]");
    assert!(service.in_all && !service.in_default);
    assert!(!see(&lines, ID, 100.5 + day).in_all);
    assert!(see(&lines, "other.one", 100.5 + day).in_all);
}
