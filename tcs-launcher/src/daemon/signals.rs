//! What signals ask for.

use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use tcs_core::clock;
use tcs_core::service::signals::Repeats;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// The signals that a launcher answers to; those that come before it can are kept.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hang_up: Stream,
    repeats: Repeats<Signal>,
    /// An action that was requested and not taken yet.
    pending: Option<SignalAction>,
}

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalAction {
    /// Stop, and by which signal.
    Stop(Signal),
    /// Read the configuration again.
    Reload,
}

impl Signals {
    /// Catches them. To be called inside the runtime.
    pub(super) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            repeats: Repeats::default(),
            pending: None,
        })
    }

    /// The next one. Safe to cancel.
    pub(super) async fn next(&mut self) -> SignalAction {
        match self.pending.take() {
            Some(action) => action,
            None => self.receive().await,
        }
    }

    /// Returns once one has come, and leaves it for [`Signals::next`]. Safe to cancel.
    pub(super) async fn come(&mut self) {
        if self.pending.is_none() {
            self.pending = Some(self.receive().await);
        }
    }

    /// Whether one has come.
    pub(super) async fn have_come(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.come() => true,
            () = std::future::ready(()) => false,
        }
    }

    async fn receive(&mut self) -> SignalAction {
        loop {
            let signal = tokio::select! {
                biased;
                _ = self.terminate.recv() => Signal::SIGTERM,
                _ = self.interrupt.recv() => Signal::SIGINT,
                // a daemon has no terminal: then it is somebody's wish for a reload
                _ = self.hang_up.recv() => if terminal_is_gone() {
                    Signal::SIGHUP
                } else {
                    return SignalAction::Reload;
                },
            };
            if self.repeats.is_new(signal, clock::monotonic()) {
                return SignalAction::Stop(signal);
            }
        }
    }
}

/// Whether our standard input was a terminal that has been closed, as a lost SSH connection does.
fn terminal_is_gone() -> bool {
    let stdin = std::io::stdin();
    let mut look = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    let is_known = poll(&mut look, PollTimeout::ZERO).is_ok();
    let hung_up = look[0].revents().is_some_and(|it| it.contains(PollFlags::POLLHUP));
    // a pipe hangs up, too, and tells nothing by it
    is_known && hung_up && nix::sys::stat::fstat(stdin.as_fd()).is_ok_and(|it| is_character(&it))
}

fn is_character(stat: &nix::sys::stat::FileStat) -> bool {
    use nix::sys::stat::SFlag;
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    #[tokio::test]
    async fn one_that_was_seen_is_still_the_next_one() {
        let mut signals = Signals::catch().unwrap();
        assert!(!signals.have_come().await);
        raise(Signal::SIGINT).unwrap();
        signals.come().await;
        assert!(signals.have_come().await);
        assert_eq!(signals.next().await, SignalAction::Stop(Signal::SIGINT));
        assert!(!signals.have_come().await);
    }
}
