//! Has a shim become a program: each answer has a time limit, and an order to end ends the start.

use std::io;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::timeout;

use super::group::Mark;
use super::leftovers::Family;
use super::orders::{Handle, Orders};
use super::process::ProcessRunner;
use super::shim::{HAS_ORDER, NotStarted};
use super::spawner::Shim;
use tcs_supervisor::ServiceId;

/// How long one shim after the other may take to read its order. The first has waited for it, and
/// anybody may have stopped or killed it meanwhile; the others have to be loaded, perhaps on a busy
/// machine.
const PATIENCE: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(10), Duration::from_secs(20)];

/// How long what a shim has said already may take to be heard, after an order to end.
const JUST_NOW: Duration = Duration::from_millis(100);

/// A start of a program.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) id: &'a ServiceId,
    pub(super) program: &'a Path,
    pub(super) mark: &'a Mark,
    /// The order to the shim: not by its arguments, which everybody can read and which have a limit.
    pub(super) what: &'a [u8],
}

impl ProcessRunner {
    /// Returns the process once it is the program.
    pub(super) async fn hand_over(
        &self,
        start: &Start<'_>,
        orders: &mut Orders,
    ) -> Result<Child, NotStarted> {
        let starting = |error: &io::Error| {
            NotStarted::new(&format!("starting {}", start.program.display()), error)
        };
        let mut error = io::ErrorKind::TimedOut.into();
        for limit in PATIENCE {
            let Shim { child, channel } =
                self.spawner.shim().await.map_err(|error| starting(&error))?;
            let pid = child.id().unwrap_or_default();
            let accepted = timeout(limit, accepted(channel, start.what));
            error = match unless_told_to_end(accepted, orders).await {
                Some(Ok(Ok(channel))) => {
                    return self.become_program(start, child, channel, orders).await;
                }
                Some(Ok(Err(error))) => error,
                Some(Err(_)) => io::Error::other(format!("no answer within {} s", limit.as_secs())),
                None => {
                    self.abandon(start, child).await;
                    return Err(stopped());
                }
            };
            self.abandon(start, child).await;
            let id = start.id;
            tracing::warn!("{id}: process {pid} (tcsd __exec) cannot start it: {error}; killed it");
        }
        Err(NotStarted { transient: true, ..starting(&error) })
    }

    /// This may take long: on a directory of a server that does not answer.
    async fn become_program(
        &self,
        start: &Start<'_>,
        child: Child,
        channel: UnixStream,
        orders: &mut Orders,
    ) -> Result<Child, NotStarted> {
        match unless_told_to_end(failure(channel), orders).await {
            Some(None) => Ok(child),
            Some(Some(failure)) => {
                self.abandon(start, child).await;
                Err(failure)
            }
            None => {
                self.abandon(start, child).await;
                Err(stopped())
            }
        }
    }

    /// Ends a process that is not wanted any more, and what it has started: it may have taken its
    /// order and become the program just before.
    async fn abandon(&self, start: &Start<'_>, mut child: Child) {
        let pid = child.id().unwrap_or_default().cast_signed();
        // one that has ended already is what is wanted
        let _ = child.kill().await;
        self.spawner.forget(pid);
        let family = Family { runner: self, id: start.id, mark: start.mark, group: None };
        // nothing is quicker than what is done; an order that comes now is for the next attempt
        let (_handle, mut none) = Handle::new();
        family.end(Signal::SIGKILL, &mut none).await;
    }
}

fn stopped() -> NotStarted {
    NotStarted { error: "stopped before it had started".to_owned(), transient: false }
}

/// `None`: an order to stop or to kill came first. The order stays: a shim that became the program
/// just before hears it as any program does.
async fn unless_told_to_end<T>(work: impl Future<Output = T>, orders: &mut Orders) -> Option<T> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => Some(done),
        order = orders.next() => {
            orders.put_back(order);
            timeout(JUST_NOW, work).await.ok()
        }
    }
}

/// Gives a shim its order; returns once it says that it has it.
async fn accepted(channel: std::os::unix::net::UnixStream, what: &[u8]) -> io::Result<UnixStream> {
    channel.set_nonblocking(true)?;
    let mut channel = UnixStream::from_std(channel)?;
    channel.write_all(what).await?;
    channel.shutdown().await?;
    match channel.read_u8().await? {
        HAS_ORDER => Ok(channel),
        other => Err(io::Error::other(format!("it answered {other}"))),
    }
}

/// What the shim says; nothing once the program runs.
async fn failure(mut channel: UnixStream) -> Option<NotStarted> {
    let mut text = Vec::new();
    channel.read_to_end(&mut text).await.ok()?;
    (!text.is_empty()).then(|| {
        serde_json::from_slice(&text).unwrap_or_else(|error| NotStarted {
            error: format!("reading the shim's answer: {error}"),
            transient: false,
        })
    })
}
