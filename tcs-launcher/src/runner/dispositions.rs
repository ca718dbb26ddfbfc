//! Resets what the parent process did to signals, for the program that this process becomes.
//!
//! An ignored signal stays ignored in all that is started (`nohup`, `trap '' CHLD`, a background
//! job of a shell), and so does a blocked one. With SIGCHLD ignored no exit status is ever known.

use std::fs;

use nix::sys::signal::Signal;
use tcs_core::service::signals;
use tokio::signal::unix::{SignalKind, signal};

/// Those that the C library keeps for itself: nobody else can catch or send them.
const INTERNAL: [i32; 2] = [32, 33];

/// Numbers of the signals that this process ignores, SIGPIPE apart: the Rust runtime ignores that
/// one for itself, and gives it back to what it starts.
fn ignored() -> Vec<i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or_default();
    let is_ignored = |number: &i32| mask >> (number - 1) & 1 == 1;
    let is_ours = |number: &i32| *number == Signal::SIGPIPE as i32 || INTERNAL.contains(number);
    (1..=64).filter(|number| is_ignored(number) && !is_ours(number)).collect()
}

/// To be called right before an exec: the program then starts with no signal ignored. One that
/// is caught is at its default after an exec, so those that are ignored are caught here.
pub(super) fn stop_ignoring() {
    let ignored = ignored();
    if ignored.is_empty() {
        return;
    }
    // handlers belong to a runtime; it has no thread of its own
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let _in_runtime = runtime.enter();
    for number in ignored {
        // a few cannot be caught, and nobody ignores them
        let _ = signal(SignalKind::from_raw(number));
    }
}

/// The same for a program that answers to signals as usual from its first instruction: none is
/// blocked either.
pub(super) fn reset() {
    stop_ignoring();
    signals::release();
}
