//! That what `tcsd` says and the observer shows is so: the scenarios of
//! `docs/spec/truth.md#scenarios` and the rows of `docs/spec/supervision.md#what-it-survives`, each
//! with a real broker, a real launcher and real children. Each prints what was seen and how long it
//! took (`--nocapture`); times are judged only where a busy machine cannot break them.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

#[path = "scenarios/broker.rs"]
mod broker;
#[path = "scenarios/callers.rs"]
mod callers;
#[path = "scenarios/clocks.rs"]
mod clocks;
#[path = "scenarios/contact.rs"]
mod contact;
#[path = "scenarios/crowd.rs"]
mod crowd;
#[path = "scenarios/disk.rs"]
mod disk;
#[path = "scenarios/ends.rs"]
mod ends;
#[path = "scenarios/frozen_starts.rs"]
mod frozen_starts;
#[path = "scenarios/hearts.rs"]
mod hearts;
#[path = "scenarios/launchers.rs"]
mod launchers;
#[path = "scenarios/lives.rs"]
mod lives;
#[path = "scenarios/missing_events.rs"]
mod missing_events;
#[path = "scenarios/order.rs"]
mod order;
#[path = "scenarios/storage.rs"]
mod storage;
#[path = "scenarios/unset_clock.rs"]
mod unset_clock;
#[path = "scenarios/waits.rs"]
mod waits;

use std::time::Duration;

use tcs_testkit::programs;
use tcs_testkit::tcsd::{Site, because, marked};

/// A launch mapping with a short heartbeat for all: the top of each configuration.
const BEATS: &str = "launch: {heartbeat: 0.3}\n";

/// From what happened to its being seen: printed, and judged by what a busy machine can do.
fn soon(what: &str, took: Duration) {
    within(what, took, 1);
}

/// The same of another promise, in seconds.
fn within(what: &str, took: Duration, wanted: u64) {
    println!("{what}: {:.3} s (wanted: {wanted} s)", took.as_secs_f64());
    assert!(took < Duration::from_secs(9 + wanted), "{what}: {took:?}");
}

/// `exec` of the misbehaving program, as YAML.
fn bad(script: &[&str]) -> String {
    let program = programs::badchild();
    let words = script.iter().map(|word| format!("{word:?}"));
    let words: Vec<_> =
        [format!("{:?}", program.display().to_string())].into_iter().chain(words).collect();
    format!("[{}]", words.join(", "))
}
