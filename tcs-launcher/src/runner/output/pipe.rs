//! Reads one pipe of a run as long as anybody has its other end.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::read;
use tcs_core::clock;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::lines::Lines;
use super::{Output, PendingLine, Stream, Watch};
use crate::fd::copy;

/// After so long without output, what waits for the end of its line is shown.
const MOMENT: Duration = Duration::from_millis(200);

/// Taken for each reading and not for each pipe: most of hundreds of pipes are silent.
const BUFFER: usize = 64 * 1024;

/// More than a pipe holds (`/proc/sys/fs/pipe-max-size`), so that reading what a process has left
/// in it ends, also where another one goes on writing.
const MOST_LEFT: usize = 1024 * 1024 + BUFFER;

/// The task that reads one pipe.
#[derive(Debug)]
pub(crate) struct Reader {
    task: JoinHandle<()>,
    asks: mpsc::Sender<Ask>,
}

/// What a reader can be asked for.
#[derive(Debug)]
enum Ask {
    /// To read all that is there.
    Drain(oneshot::Sender<()>),
    /// To stand still, with what it has, until there is nobody to stand still for.
    StandStill(oneshot::Sender<PipeParts>, watch::Receiver<bool>),
}

/// What another program needs to read on.
#[derive(Debug)]
pub(crate) struct PipeParts {
    pub(crate) stream: Stream,
    pub(crate) pipe: io::Result<OwnedFd>,
    pub(crate) pending: PendingLine,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reader {
    /// Reads `pipe` from now on, to its end; `pending` is what was read before.
    pub(crate) fn start(
        pipe: OwnedFd,
        stream: Stream,
        output: Arc<Output>,
        watch: Option<Watch>,
        pending: PendingLine,
    ) -> io::Result<Self> {
        let pipe = Receiver::from_owned_fd(pipe)?;
        let (asks, asked) = mpsc::channel(1);
        let lines = Lines::new(stream, output, watch, pending);
        Ok(Self { task: tokio::spawn(read_all(pipe, lines, asked)), asks })
    }

    /// Has it read nothing while `stands` is true, and gives what another one needs to read on;
    /// `None`: it has come to its end.
    pub(crate) async fn stand_still(&self, stands: watch::Receiver<bool>) -> Option<PipeParts> {
        let (back, parts) = oneshot::channel();
        self.asks.send(Ask::StandStill(back, stands)).await.ok()?;
        tokio::select! {
            parts = parts => parts.ok(),
            () = self.asks.closed() => None,
        }
    }

    /// Returns when all that had been written before has been read: at once, even where somebody
    /// else has the pipe open.
    pub(crate) async fn drain(&self) {
        let (done, is_done) = oneshot::channel();
        if self.asks.send(Ask::Drain(done)).await.is_ok() {
            // a reader that comes to its end just now may never take the request out
            tokio::select! {
                _ = is_done => {}
                () = self.asks.closed() => {}
            }
        }
    }

    /// Waits for the end of the pipe.
    pub(crate) async fn end(&mut self) {
        let _ = (&mut self.task).await;
    }
}

async fn read_all(pipe: Receiver, mut lines: Lines, mut asked: mpsc::Receiver<Ask>) {
    loop {
        let goes_on = tokio::select! {
            Some(ask) = asked.recv() => match ask {
                Ask::Drain(done) => {
                    let goes_on = read_left(&pipe, &mut lines);
                    lines.flush(clock::wall());
                    let _ = done.send(()); // who asked may have gone
                    goes_on
                }
                Ask::StandStill(back, mut stands) => {
                    let (stream, pending) = lines.pending();
                    let _ = back.send(PipeParts { stream, pipe: copy(&pipe), pending });
                    let _ = stands.wait_for(|stands| !stands).await;
                    true
                }
            },
            Ok(()) = pipe.readable() => read_some(&pipe, &mut lines),
            () = tokio::time::sleep(MOMENT), if lines.is_waiting() => {
                lines.moment(clock::wall());
                true
            }
            else => false,
        };
        if !goes_on {
            break;
        }
        // a flood is not to keep the others from running
        tokio::task::yield_now().await;
    }
    lines.flush(clock::wall());
    // whoever asks now, and has asked, knows by the channel that there is nothing more
    asked.close();
}

/// Reads once; false at the end of the pipe.
fn read_some(pipe: &Receiver, lines: &mut Lines) -> bool {
    let mut buffer = Vec::with_capacity(BUFFER);
    match pipe.try_read_buf(&mut buffer) {
        Ok(0) => false,
        Ok(_) => {
            lines.feed(&buffer, clock::wall());
            true
        }
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Reads what is there; false at the end of the pipe. The kernel is asked, not what is known from
/// before: what a process wrote right before its end may not have been announced yet.
fn read_left(pipe: &Receiver, lines: &mut Lines) -> bool {
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    while total < MOST_LEFT {
        match read(pipe, &mut buffer) {
            Ok(0) => return false,
            Ok(count) => {
                lines.feed(&buffer[..count], clock::wall());
                total += count;
            }
            Err(Errno::EAGAIN) => return true,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
    true
}
