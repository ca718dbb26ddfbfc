//! Standard error, for a program that is not to stand still because nobody reads what it writes:
//! the other end of a pipe that is stopped, a terminal that is held with Ctrl-S. Then lines are
//! dropped, and counted.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock;

/// How long a slow reader is waited for.
const PATIENCE_MS: u8 = 250;
/// After a dropped line, readers are not waited for during this time.
const IMPATIENT_FOR: Duration = Duration::from_secs(10);
/// A pipe or terminal that is ready for writing takes this many bytes without blocking.
const AT_ONCE: usize = 4096;
const AT_ONCE_ON_TERMINALS: usize = 256;

static STATE: Mutex<State> = Mutex::new(State::new());

#[derive(Debug)]
struct State {
    dropped: u64,
    /// Whether the last line was dropped.
    is_stalled: bool,
    /// Whether a part of the dropped line was written.
    is_cut: bool,
    impatient_until: Option<Instant>,
}

/// Writes to standard error, and drops lines that nobody reads in time.
#[derive(Debug)]
pub struct Patient;

/// How many lines were dropped, once lines are written again; resets the count.
pub fn take_dropped() -> u64 {
    let mut state = state();
    if state.is_stalled { 0 } else { std::mem::take(&mut state.dropped) }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Write for Patient {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr();
        let at_once = if stderr.is_terminal() { AT_ONCE_ON_TERMINALS } else { AT_ONCE };
        // held meanwhile: what one finds free another is not to fill
        state().write(&mut stderr, text, at_once)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl State {
    const fn new() -> Self {
        Self { dropped: 0, is_stalled: false, is_cut: false, impatient_until: None }
    }

    fn write(
        &mut self,
        to: &mut (impl Write + AsFd),
        text: &[u8],
        at_once: usize,
    ) -> io::Result<()> {
        let pieces = text.chunks(at_once);
        let end_of_cut = self.is_cut.then_some(b"\n".as_slice());
        for (n, piece) in end_of_cut.into_iter().chain(pieces).enumerate() {
            let now = clock::monotonic();
            let is_impatient = self.impatient_until.is_some_and(|until| now < until);
            if !is_writable(to, if is_impatient { 0 } else { PATIENCE_MS }) {
                self.dropped += 1;
                self.is_stalled = true;
                self.is_cut |= n > 0;
                self.impatient_until = Some(now + IMPATIENT_FOR);
                return Ok(());
            }
            to.write_all(piece)?;
        }
        self.is_stalled = false;
        self.is_cut = false;
        Ok(())
    }
}

fn is_writable(to: &impl AsFd, patience_ms: u8) -> bool {
    let mut wanted = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
    loop {
        match poll(&mut wanted, PollTimeout::from(patience_ms)) {
            Err(Errno::EINTR) => {}
            Ok(ready) => return ready > 0,
            // if it cannot be polled, try to write
            Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_reader_that_stops_loses_lines_and_holds_nobody() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let (mut reader, mut writer) = (File::from(reader), File::from(writer));
        let mut state = State::new();
        let long = [&[b'x'; 8191][..], b"\n"].concat();
        // more than a pipe holds
        for _ in 0..100 {
            state.write(&mut writer, &long, AT_ONCE).unwrap();
        }
        assert!(state.is_stalled && state.dropped > 50, "{state:?}");
        let (dropped, mut read) = (state.dropped, vec![0; 65536]);
        let mut text = Vec::new();
        let count = reader.read(&mut read).unwrap();
        text.extend_from_slice(&read[..count]);
        state.write(&mut writer, b"again\n", AT_ONCE).unwrap();
        assert!(!state.is_stalled && state.dropped == dropped, "{state:?}");
        drop(writer);
        reader.read_to_end(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().last(), Some("again"));
    }
}
