//! Runs, phases, liveness, verdicts. Seconds; `a.b` is the service.

mod liveness;
mod phases;
mod reports;
mod verdicts;

use serde_json::json;

use super::support::{
    LAUNCHER, Line, array, at, beat, beats, crashed, event, launcher, picture, say, see, status,
};
use crate::{Attempt, IntervalSource, Liveness, Verdict};
use tcs_wire::{Limit, Status};

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
