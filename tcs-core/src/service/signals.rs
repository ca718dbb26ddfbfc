//! The signals that ask a program to stop, from its first instruction on.
//!
//! A program calls [`hold`] first thing in `main`, and [`runtime`] when it can answer: a signal that
//! arrives in between is kept, and does not end the program. Signals that the parent process had
//! blocked are unblocked. [`Repeats`] distinguishes one request from two.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{self, SignalKind};

use crate::clock;

/// Signals of one kind within this time are one request: `timeout` and shells send a signal to the
/// process and to its group, which reaches the process twice.
pub const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Blocks all signals for this thread and those that it starts.
pub fn hold() {
    // it fails for wrong arguments only
    let _ = SigSet::all().thread_set_mask();
}

/// Blocks none of them any more, whatever was blocked when the program started.
pub fn release() {
    let _ = SigSet::empty().thread_set_mask();
}

/// Builds a runtime, catches the signals that the program answers to with `catch`, and only then
/// lets them in. No thread of the runtime has them blocked: what it starts would inherit that.
pub fn runtime<S>(
    mut builder: Builder,
    catch: impl FnOnce() -> io::Result<S>,
) -> io::Result<(Runtime, S)> {
    let caught = Arc::new(OnceLock::new());
    let wait = Arc::clone(&caught);
    builder.on_thread_start(move || {
        wait.wait();
        release();
    });
    let runtime = builder.build()?;
    let signals = {
        let _in_runtime = runtime.enter();
        catch()
    };
    release();
    let _ = caught.set(());
    Ok((runtime, signals?))
}

/// Which signals came, and when: see [`SAME_REQUEST`].
#[derive(Debug)]
pub struct Repeats<S>(Vec<(S, Instant)>);

impl<S> Default for Repeats<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: PartialEq> Repeats<S> {
    /// Whether `signal`, received at `now`, is a request of its own, and not the second delivery
    /// of one that was counted less than [`SAME_REQUEST`] ago.
    pub fn is_new(&mut self, signal: S, now: Instant) -> bool {
        self.0.retain(|(_, at)| now.saturating_duration_since(*at) < SAME_REQUEST);
        let is_new = !self.0.iter().any(|(counted, _)| *counted == signal);
        if is_new {
            self.0.push((signal, now));
        }
        is_new
    }
}

/// SIGTERM and SIGINT of a stand-alone service.
#[derive(Debug)]
pub(super) struct StopSignals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    repeats: Repeats<Signal>,
}

impl StopSignals {
    /// Catches them. To be called inside the runtime.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            repeats: Repeats::default(),
        })
    }

    /// The next request to stop. Safe to cancel.
    pub(super) async fn next(&mut self) {
        loop {
            let signal = tokio::select! {
                _ = self.terminate.recv() => Signal::SIGTERM,
                _ = self.interrupt.recv() => Signal::SIGINT,
            };
            if self.repeats.is_new(signal, clock::monotonic()) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_one_kind_within_half_a_second_are_one() {
        let mut repeats = Repeats::default();
        let start = clock::monotonic();
        let mut is_new =
            |signal, millis| repeats.is_new(signal, start + Duration::from_millis(millis));
        assert!(is_new(Signal::SIGTERM, 0));
        assert!(!is_new(Signal::SIGTERM, 200));
        assert!(is_new(Signal::SIGINT, 250), "another kind is another request");
        assert!(!is_new(Signal::SIGTERM, 499));
        assert!(is_new(Signal::SIGTERM, 500), "counted from the first, so insisting helps");
        assert!(!is_new(Signal::SIGINT, 700));
    }
}
