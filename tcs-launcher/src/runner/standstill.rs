//! Runs that stand still while another program may take over: nothing of their output is read, no
//! exit is taken, no order carried out. Each gives what another program needs to go on; if none does,
//! they go on themselves, and nothing is lost.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use tokio::sync::{mpsc, watch};

use super::group::Mark;
use super::orders::Order;
use super::output::PipeParts;
use tcs_supervisor::{Run, ServiceId};

/// What another program needs to go on with a process.
#[derive(Debug)]
pub(crate) struct ProcessParts {
    pub(crate) id: ServiceId,
    pub(crate) run: Run,
    pub(crate) pid: i32,
    pub(crate) mark: Mark,
    /// Its line in the run journal.
    pub(crate) entry: u64,
    pub(crate) socket: Option<io::Result<(PathBuf, OwnedFd)>>,
    pub(crate) pipes: Vec<PipeParts>,
    pub(crate) order: Option<Order>,
    pub(crate) error: Option<String>,
    pub(crate) awaits_ready: bool,
}

type Parts = mpsc::UnboundedSender<ProcessParts>;

/// Where runs are asked to stand still.
#[derive(Debug)]
pub(super) struct Asked {
    parts: watch::Sender<Option<Parts>>,
    stands: watch::Sender<bool>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { parts: watch::Sender::new(None), stands: watch::Sender::new(false) }
    }
}

impl Asked {
    /// From now on all runs stand still, as soon as they can.
    pub(super) fn begin(&self) -> StandStill {
        let (sender, parts) = mpsc::unbounded_channel();
        self.stands.send_replace(true);
        self.parts.send_replace(Some(sender));
        StandStill { parts, asked: self.parts.clone(), stands: self.stands.clone() }
    }

    /// For one run.
    pub(super) fn listen(&self) -> Listener {
        Listener { parts: self.parts.subscribe(), stands: self.stands.subscribe() }
    }
}

/// All runs stand still as long as this is held.
#[derive(Debug)]
pub(crate) struct StandStill {
    /// One of each process that does.
    pub(crate) parts: mpsc::UnboundedReceiver<ProcessParts>,
    asked: watch::Sender<Option<Parts>>,
    stands: watch::Sender<bool>,
}

impl Drop for StandStill {
    fn drop(&mut self) {
        self.asked.send_replace(None);
        self.stands.send_replace(false);
    }
}

/// One run's side of it.
#[derive(Debug)]
pub(super) struct Listener {
    parts: watch::Receiver<Option<Parts>>,
    /// While this is true, pipes are not read.
    pub(super) stands: watch::Receiver<bool>,
}

impl Listener {
    /// Waits until the run is asked to stand still. Safe to cancel.
    pub(super) async fn asked(&mut self) -> Parts {
        loop {
            match self.parts.wait_for(Option::is_some).await.map(|parts| parts.clone()) {
                Ok(Some(parts)) => return parts,
                Ok(None) => {}
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Waits until the run may go on.
    pub(super) async fn over(&mut self) {
        let _ = self.stands.wait_for(|stands| !stands).await;
    }
}
