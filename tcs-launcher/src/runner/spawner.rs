//! The one thread that starts processes.
//!
//! "Kill me when my parent dies" means the parent *thread*: a process that a worker thread of the
//! runtime has started would be killed when that thread happens to end. So one thread starts them
//! all, and never ends. It also knows which children are ours, so that reaping orphans never
//! steals an exit status that somebody waits for.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::group::{Look, Mark, Orphans};

/// This program itself, also where its file has been replaced meanwhile.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";

type Job = (Command, oneshot::Sender<io::Result<Child>>);

/// Starts processes; see the module.
#[derive(Debug)]
pub struct Spawner {
    jobs: mpsc::Sender<Job>,
    ours: Arc<Mutex<BTreeSet<i32>>>,
    /// Where this process is the reaper of orphans.
    orphans: Option<Arc<Orphans>>,
    program: PathBuf,
}

/// How often orphans that have ended are looked for.
const REAP_EVERY: Duration = Duration::from_secs(1);

impl Spawner {
    /// `program` is the one that can be the shim and the guard: our own.
    ///
    /// To be called inside the runtime. With `adopt` the process becomes the reaper of orphans
    /// among its descendants; then its first thread is to start no process.
    pub fn new(program: impl Into<PathBuf>, adopt: bool) -> io::Result<Arc<Self>> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let ours = Arc::new(Mutex::new(BTreeSet::new()));
        let runtime = Handle::current();
        let known = Arc::clone(&ours);
        thread::Builder::new().name("tcs-spawn".into()).spawn(move || {
            let _runtime = runtime.enter();
            while let Ok((command, done)) = inbox.recv() {
                // held over fork and registration, so that no fast exit is taken for an orphan's
                let mut known = lock(&known);
                let child = tokio::process::Command::from(command).spawn();
                if let Some(pid) = child.as_ref().ok().and_then(Child::id) {
                    known.insert(pid.cast_signed());
                }
                drop(known);
                let _ = done.send(child);
            }
            // its end would be the children's
            loop {
                thread::park();
            }
        })?;
        let orphans = adopt.then(Arc::<Orphans>::default);
        if let Some(orphans) = orphans.clone() {
            nix::sys::prctl::set_child_subreaper(true)?;
            let known = Arc::downgrade(&ours);
            thread::Builder::new().name("tcs-reap".into()).spawn(move || {
                while let Some(known) = known.upgrade() {
                    orphans.look(|pid| lock(&known).contains(&pid));
                    drop(known);
                    thread::sleep(REAP_EVERY);
                }
            })?;
        }
        Ok(Arc::new(Self { jobs, ours, orphans, program: program.into() }))
    }

    /// To start the shim or the guard.
    pub(crate) fn helper(&self, name: &str) -> Command {
        let mut command = to_run(&self.program);
        command.arg(name);
        command
    }

    /// Starts it.
    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (done, result) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes is gone");
        self.jobs.send((command, done)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    /// Whether we have started it, and its exit status has not been taken.
    pub(crate) fn is_ours(&self, pid: i32) -> bool {
        lock(&self.ours).contains(&pid)
    }

    /// Looks who is there of all that was started. Blocks.
    pub(crate) fn look(&self) -> Look {
        self.orphans.as_ref().map_or_else(Look::now, |orphans| {
            Look::at_descendants(orphans, |pid| self.is_ours(pid))
        })
    }

    /// Looks who is left of runs whose main process has ended. Blocks.
    pub(crate) fn look_at_orphans(&self) -> Look {
        self.orphans
            .as_ref()
            .map_or_else(Look::now, |orphans| Look::at_orphans(orphans, |pid| self.is_ours(pid)))
    }

    /// Kills orphans that carry `mark` until there are none, or for so many `turns`. Blocks.
    pub(crate) fn kill_orphans(&self, mark: &Mark, turns: u32) {
        if let Some(orphans) = &self.orphans {
            let is_ours = |pid| self.is_ours(pid);
            (0..turns).take_while(|_| orphans.kill(mark, is_ours)).for_each(drop);
        }
    }

    /// Its exit status has been taken: the pid may come again.
    pub(crate) fn forget(&self, pid: i32) {
        lock(&self.ours).remove(&pid);
    }
}

/// To start a program. In the lists of processes our own goes by the name by which we were started.
pub(crate) fn to_run(program: &Path) -> Command {
    let mut command = Command::new(program);
    if program == Path::new(OWN_PROGRAM)
        && let Some(name) = std::env::args_os().next()
    {
        command.arg0(name);
    }
    command
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
