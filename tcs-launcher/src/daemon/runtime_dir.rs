//! What a launcher has on its machine: lock and journal, sockets, the guard.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tcs_core::bus::publish::hostname;
use tcs_core::id::LauncherId;

use super::Options;
use super::event_record::EventRecord;
use super::kept::KeptFile;
use crate::resources::Resources;
use crate::runner::guard::Guard;
use crate::runner::journal::{EarlierEnd, Journal};
use crate::runner::notify::SocketDir;
use crate::runner::spawner::Spawner;
use crate::runner::{Marks, ProcessRunner, private_dir};
use crate::takeover::{RunEntry, TakenOver};
use tcs_supervisor::ServiceId;

/// How long the tasks of runs that have ended may still hold the runner.
const LET_GO: Duration = Duration::from_secs(1);

/// A launcher's runtime directory: lock, run journal, sockets, guard.
pub(super) struct RuntimeDir {
    /// The runtime directory.
    pub(super) dir: PathBuf,
    pub(super) runner: Arc<ProcessRunner>,
    /// How the launcher before ended, if not in order.
    pub(super) before: Option<String>,
    /// Which events of the launcher are not stored yet.
    pub(super) events: Arc<EventRecord>,
    /// What outlives this launcher.
    pub(super) kept: Arc<KeptFile>,
    guard: Guard,
    sockets: PathBuf,
}

impl RuntimeDir {
    /// Takes the journal of this configuration, whatever the mode, and ends what an earlier launcher
    /// has left.
    pub(super) async fn open(
        config: &Path,
        launcher_run: &str,
        options: &Options,
        spawner: Arc<Spawner>,
    ) -> anyhow::Result<Self> {
        let dir = directory()?;
        let file = config;
        let config = config.display().to_string();
        let name = LauncherId::derive(&config, "", &hostname(), "any")?;
        let (journal, earlier) = Journal::open(&dir, name.as_str(), launcher_run)
            .context("only one launcher at a time can run a configuration")?;
        let state = state_directory();
        let events = Arc::new(EventRecord::open(&dir, state.as_deref(), name.as_str()));
        let kept = Arc::new(KeptFile::open(&dir, state.as_deref(), name.as_str()));
        let mut before = None;
        if let Some(earlier) = earlier {
            let _ = fs::remove_dir_all(sockets(&dir, &earlier.launcher_run));
            before = match earlier.end {
                EarlierEnd::InOrder => None,
                EarlierEnd::WithoutAWord => {
                    let count = earlier.services.len();
                    Some(format!(
                        "the previous launcher was killed or crashed; {count} services were running"
                    ))
                }
                EarlierEnd::WithTheMachine => {
                    Some("the previous launcher ended when the host went down".to_owned())
                }
            };
            if let Some(before) = &before {
                tracing::warn!("{before}");
            }
            let grace = options.grace;
            let ended = tokio::task::spawn_blocking(move || earlier.end_leftovers(grace)).await?;
            if !ended.is_empty() {
                tracing::warn!("ended {} processes that it had left behind", ended.len());
            }
        }
        let sockets = sockets(&dir, launcher_run);
        spawner.adopt([]).context("starting the spawner")?;
        let marks = Marks::new(launcher_run);
        let guard = Guard::start(Arc::clone(&spawner), marks.clone()).await;
        let guard = guard.context("starting the guard process")?;
        let journal = Arc::new(journal);
        let runner = ProcessRunner::new(
            spawner,
            marks,
            journal,
            SocketDir::new(sockets.clone()),
            Arc::new(Resources::new(file)),
        );
        Ok(Self { dir, runner: Arc::new(runner), before, events, kept, guard, sockets })
    }

    /// Goes on with what the program before had.
    pub(super) fn resume(
        config: &Path,
        launcher_run: &str,
        spawner: Arc<Spawner>,
        TakenOver { table, files }: &mut TakenOver,
    ) -> anyhow::Result<Self> {
        let dir = directory()?;
        let name = LauncherId::derive(&config.display().to_string(), "", &hostname(), "any")?;
        let processes = |(id, run): (&ServiceId, &RunEntry)| {
            let process = run.process.as_ref()?;
            Some((process.entry, id.clone(), process.pid))
        };
        let processes: Vec<_> = table.runs.iter().filter_map(processes).collect();
        let (guard, pipe) = table.guard.context("the guard process was not handed over")?;
        let pids = processes.iter().map(|(_, _, pid)| *pid).chain([guard]);
        spawner.adopt(pids.collect::<Vec<_>>()).context("starting the spawner")?;
        let lock = table.journal.context("the run journal was not handed over")?;
        let (lock, pipe) = (files.take(lock)?, files.take(pipe)?);
        let journal =
            Journal::resume(&dir, name.as_str(), launcher_run, lock, processes.into_iter())
                .context("continuing the run journal")?;
        let marks = Marks::resumed(launcher_run, table.marked);
        let guard = Guard::resume(Arc::clone(&spawner), marks.clone(), guard, pipe);
        let guard = guard.context("continuing with the guard process")?;
        let sockets = sockets(&dir, launcher_run);
        let runner = ProcessRunner::new(
            spawner,
            marks,
            Arc::new(journal),
            SocketDir::resumed(sockets.clone(), table.sockets),
            Arc::new(Resources::new(config)),
        );
        let state = state_directory();
        let events = Arc::new(EventRecord::open(&dir, state.as_deref(), name.as_str()));
        let kept = Arc::new(KeptFile::open(&dir, state.as_deref(), name.as_str()));
        Ok(Self { dir, runner: Arc::new(runner), before: None, events, kept, guard, sockets })
    }

    /// The guard's process, and what keeps it waiting, for a program that takes over.
    pub(super) async fn guard_parts(&self) -> std::io::Result<Option<(i32, OwnedFd)>> {
        self.guard.parts().await
    }

    /// The launcher's end, in order.
    pub(super) async fn close(self) {
        self.runner.end().await;
        self.guard.dismiss().await;
        let journal = Arc::clone(self.runner.journal());
        drop(self.runner);
        let alone = async {
            while Arc::strong_count(&journal) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(LET_GO, alone).await;
        if let Some(journal) = Arc::into_inner(journal) {
            journal.close();
        }
        if let Some(kept) = Arc::into_inner(self.kept) {
            kept.close(LET_GO).await;
        }
        let _ = fs::remove_dir_all(self.sockets);
    }
}

/// The longest path of a directory for sockets: with their names, at most 107 bytes.
const LONGEST: usize = 96;

/// Where the sockets of a launcher's run are: in `dir`, or, should its path be too long for a
/// socket, in a short one.
fn sockets(dir: &Path, launcher_run: &str) -> PathBuf {
    let name = launcher_run.get(..8).unwrap_or(launcher_run);
    let uid = nix::unistd::geteuid();
    let short =
        || [std::env::temp_dir(), PathBuf::from("/tmp")].map(|it| it.join(format!("tcs-{uid}")));
    let dirs = std::iter::once(dir.to_owned()).chain(short()).map(|dir| dir.join(name));
    let mut dirs = dirs.filter(|dir| dir.as_os_str().len() <= LONGEST);
    dirs.next().unwrap_or_else(|| dir.join(name))
}

/// `$RUNTIME_DIRECTORY` (systemd), `$XDG_RUNTIME_DIR/tcs`, or one of our own in `/tmp`.
fn directory() -> anyhow::Result<PathBuf> {
    let uid = nix::unistd::geteuid();
    let dir = variable("RUNTIME_DIRECTORY")
        .or_else(|| variable("XDG_RUNTIME_DIR").map(|dir| dir.join("tcs")))
        .unwrap_or_else(|| std::env::temp_dir().join(format!("tcs-{uid}")));
    private_dir::make_runtime(&dir)
        .with_context(|| format!("{}\nhint: set RUNTIME_DIRECTORY", dir.display()))?;
    Ok(dir)
}

/// `$STATE_DIRECTORY` (systemd), or `$XDG_STATE_HOME/tcs`: what outlives the machine. `None` where
/// neither is set, or it cannot be made.
fn state_directory() -> Option<PathBuf> {
    let dir = variable("STATE_DIRECTORY")
        .or_else(|| variable("XDG_STATE_HOME").map(|dir| dir.join("tcs")))?;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    if let Err(error) = &made {
        let dir = dir.display();
        tracing::warn!(
            "waiting events will not be counted after a reboot: cannot create {dir}: {error}"
        );
    }
    made.is_ok().then_some(dir)
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
