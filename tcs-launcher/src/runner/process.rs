//! What starts the processes of one launcher, and ends what is left of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tcs_core::config::{Limits, Ready, StopSignal};

use super::group::{Census, Look, Marks};
use super::journal::Journal;
use super::notify::SocketDir;
use super::spawner::Spawner;
use super::standstill::{Asked, StandStill};
use crate::resources::Resources;

/// What to run, and how.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// A path, or a name to be found in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its working directory; the launcher's if none.
    pub cwd: Option<PathBuf>,
    /// Beside the launcher's environment.
    pub env: BTreeMap<String, String>,
    /// What of the launcher's environment is not passed on.
    pub env_removed: BTreeSet<String>,
    /// A name or number, if not the launcher's own.
    pub user: Option<String>,
    /// Resource limits.
    pub limits: Limits,
    /// What asks it to end.
    pub stop_signal: StopSignal,
    /// What says that it is up; `None`: nothing that is seen here.
    pub ready: Option<Ready>,
    /// Between two samples of what it uses; zero: none but for who asks.
    pub sample: Duration,
}

/// Starts processes for one launcher.
#[derive(Debug)]
pub struct ProcessRunner {
    pub(super) spawner: Arc<Spawner>,
    pub(super) marks: Marks,
    pub(super) journal: Arc<Journal>,
    pub(super) sockets: SocketDir,
    census: Census,
    pub(super) resources: Arc<Resources>,
    pub(super) standstill: Asked,
}

/// What is still there after so many sweeps cannot be killed.
const SWEEPS: u32 = 100;

impl ProcessRunner {
    /// `spawner` starts the processes and the shim, `marks` tell whose they are, `journal`
    /// remembers them on disk, their `NOTIFY_SOCKET`s are in `sockets`, and `resources` counts what
    /// they use.
    pub fn new(
        spawner: Arc<Spawner>,
        marks: Marks,
        journal: Arc<Journal>,
        sockets: SocketDir,
        resources: Arc<Resources>,
    ) -> Self {
        let (census, standstill) = (Census::default(), Asked::default());
        Self { spawner, marks, journal, sockets, census, resources, standstill }
    }

    /// What starts the processes.
    pub(crate) fn spawner(&self) -> &Arc<Spawner> {
        &self.spawner
    }

    /// How many runs have been marked, and notify sockets opened.
    pub(crate) fn counts(&self) -> (u32, u64) {
        (self.marks.count(), self.sockets.opened())
    }

    /// Has all runs stand still.
    pub(crate) fn stand_still(&self) -> StandStill {
        self.standstill.begin()
    }

    /// What the processes are remembered in.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// What they use.
    pub fn resources(&self) -> &Arc<Resources> {
        &self.resources
    }

    /// Ends whatever is left of anything that this launcher has started, found by its mark or by
    /// descent: for its own end, when no run goes on any more.
    pub async fn end(&self) {
        self.spawner.end_spare().await;
        let (marks, spawner) = (self.marks.clone(), Arc::clone(&self.spawner));
        let sweep = tokio::task::spawn_blocking(move || {
            for _ in 0..SWEEPS {
                let look = spawner.look();
                let members = look.members(&marks.launcher(), None);
                let mut left = members.living;
                left.extend(look.descendants(std::process::id().cast_signed()));
                left.retain(|process| !spawner.is_ours(process.pid));
                if left.is_empty() && !members.have_just_ended {
                    break;
                }
                for process in left {
                    // at the end of the launcher there is nobody left to be told
                    let _ = process.kill();
                }
                spawner.kill_orphans(&marks.launcher(), SWEEPS);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let _ = sweep.await;
    }

    /// Who is left of runs whose main process has ended, not before this call.
    pub(super) async fn look(&self) -> Arc<Look> {
        let spawner = Arc::clone(&self.spawner);
        self.census.look(move || spawner.look_at_orphans()).await
    }
}
