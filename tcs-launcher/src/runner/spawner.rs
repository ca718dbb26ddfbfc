//! The one thread that starts processes.
//!
//! "Kill me when my parent dies" means the parent *thread*: a process that a worker thread of the
//! runtime has started would be killed when that thread happens to end. So one thread starts them
//! all, and never ends. It also knows which children are ours, so that reaping orphans never
//! steals an exit status that somebody waits for.
//!
//! To load this program, to be the shim, takes longer than all else in a restart. So once programs
//! are started here, one more shim is kept ready.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tcs_core::service::signals;
use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::group::{Look, Mark, Orphans};
pub(crate) use super::successor::Successor;

/// First argument of the shim.
pub(super) const SHIM: &str = "__exec";

/// This program itself, also where its file has been replaced meanwhile.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";

type Back<T> = oneshot::Sender<io::Result<T>>;

#[derive(Debug)]
enum Job {
    Shim(Back<Shim>),
    Guard(Command, Back<Child>),
    /// Gives the spare away, and makes no other until a shim is asked for.
    Spare(Back<Option<Shim>>),
    /// Has this process become another program. An answer comes only where that fails.
    Become(Successor, Back<Infallible>),
    /// Nothing more is started.
    End,
}

/// A process that waits to be told what to become, over `channel`. It ends when that closes.
#[derive(Debug)]
pub(crate) struct Shim {
    pub(crate) child: Child,
    pub(crate) channel: UnixStream,
}

/// The shim that is ready for the next program.
#[derive(Debug)]
enum Spare {
    /// None was asked for yet, or none could be made.
    NotNeeded,
    Missing,
    There(Shim),
}

impl Spare {
    fn shim(self) -> Option<Shim> {
        match self {
            Self::There(shim) => Some(shim),
            Self::NotNeeded | Self::Missing => None,
        }
    }
}

/// How long after the last start the next shim is made: not while programs are starting.
const SPARE_AFTER: Duration = Duration::from_millis(20);

type Ours = Arc<Mutex<BTreeSet<i32>>>;

/// Starts processes; see the module.
#[derive(Debug)]
pub struct Spawner {
    jobs: mpsc::Sender<Job>,
    ours: Ours,
    /// Where this process is the reaper of orphans.
    orphans: OnceLock<Arc<Orphans>>,
    program: PathBuf,
}

/// The part of a [`Spawner`] that needs a thread.
#[derive(Debug)]
pub(crate) struct Starting {
    runtime: Handle,
    inbox: mpsc::Receiver<Job>,
    starter: Starter,
}

impl Starting {
    /// Starts what is asked for, until nothing can be asked for any more.
    pub(crate) fn run(self) {
        let Self { runtime, inbox, starter } = self;
        let _runtime = runtime.enter();
        let mut spare = Spare::NotNeeded;
        loop {
            let job = match spare {
                Spare::Missing => inbox.recv_timeout(SPARE_AFTER),
                Spare::NotNeeded | Spare::There(_) => inbox.recv().map_err(Into::into),
            };
            match job {
                Ok(Job::Shim(back)) => {
                    let ready = std::mem::replace(&mut spare, Spare::Missing).shim();
                    let ready = ready.and_then(|shim| starter.if_alive(shim));
                    let _ = back.send(ready.map_or_else(|| starter.shim(), Ok));
                }
                Ok(Job::Spare(back)) => {
                    let there = std::mem::replace(&mut spare, Spare::NotNeeded).shim();
                    let _ = back.send(Ok(there));
                }
                Ok(Job::Guard(command, back)) => drop(back.send(starter.start(command))),
                Ok(Job::Become(successor, back)) => {
                    // those that come meanwhile wait for the program
                    signals::hold();
                    let error = successor.exec();
                    signals::release();
                    let _ = back.send(Err(error));
                }
                // where it fails, whoever asks next is told why
                Err(RecvTimeoutError::Timeout) => {
                    spare = starter.shim().map_or(Spare::NotNeeded, Spare::There);
                }
                Ok(Job::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// How often orphans that have ended are looked for.
const REAP_EVERY: Duration = Duration::from_secs(1);

impl Spawner {
    /// `program` is the one that can be the shim and the guard: our own.
    ///
    /// To be called inside the runtime. With `adopt` the process becomes the reaper of orphans
    /// among its descendants; then its first thread is to start no process.
    pub fn new(program: impl Into<PathBuf>, adopt: bool) -> io::Result<Arc<Self>> {
        let (spawner, starting) = Self::apart(program, Handle::current());
        thread::Builder::new().name("tcs-spawn".into()).spawn(move || {
            starting.run();
            // its end would be the children's
            loop {
                thread::park();
            }
        })?;
        if adopt {
            spawner.adopt([])?;
        }
        Ok(spawner)
    }

    /// The same without a thread: whoever gets the other part runs it, on a thread that lasts. For a
    /// program that may be replaced in its process by another one this must be the first thread: of
    /// all threads only the one that calls `exec` is left, and the children of the others would be
    /// killed.
    pub(crate) fn apart(program: impl Into<PathBuf>, runtime: Handle) -> (Arc<Self>, Starting) {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let ours = Arc::new(Mutex::new(BTreeSet::new()));
        let program = program.into();
        let starter = Starter { program: program.clone(), ours: Arc::clone(&ours) };
        let orphans = OnceLock::new();
        let spawner = Arc::new(Self { jobs, ours, orphans, program });
        (spawner, Starting { runtime, inbox, starter })
    }

    /// Makes this process the reaper of orphans among its descendants. `ours`: children that are
    /// waited for already.
    pub(crate) fn adopt(&self, ours: impl IntoIterator<Item = i32>) -> io::Result<()> {
        lock(&self.ours).extend(ours);
        let orphans = Arc::clone(self.orphans.get_or_init(Arc::default));
        nix::sys::prctl::set_child_subreaper(true)?;
        let known = Arc::downgrade(&self.ours);
        thread::Builder::new().name("tcs-reap".into()).spawn(move || {
            while let Some(known) = known.upgrade() {
                orphans.look(|pid| lock(&known).contains(&pid));
                drop(known);
                thread::sleep(REAP_EVERY);
            }
        })?;
        Ok(())
    }

    /// Has this process become another program; comes back only where that fails.
    pub(crate) async fn become_program(&self, successor: Successor) -> io::Error {
        match self.ask(|back| Job::Become(successor, back)).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    /// Nothing more is started: who runs the other part comes back.
    pub(crate) fn end(&self) {
        // it may have ended already
        let _ = self.jobs.send(Job::End);
    }

    /// A shim; it has read nothing yet.
    pub(crate) async fn shim(&self) -> io::Result<Shim> {
        self.ask(Job::Shim).await
    }

    /// Ends the shim that waits for a next program.
    pub(crate) async fn end_spare(&self) {
        if let Ok(Some(Shim { mut child, channel: _ })) = self.ask(Job::Spare).await {
            let pid = child.id();
            // one that has ended already is what is wanted
            let _ = child.kill().await;
            self.forget(pid.unwrap_or_default().cast_signed());
        }
    }

    /// Starts the guard, by `command`: see [`Spawner::helper`].
    pub(crate) async fn guard(&self, command: Command) -> io::Result<Child> {
        self.ask(|back| Job::Guard(command, back)).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Back<T>) -> Job) -> io::Result<T> {
        let (back, result) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes is gone");
        self.jobs.send(job(back)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    /// To start the guard.
    pub(crate) fn helper(&self, name: &str) -> Command {
        helper(&self.program, name)
    }

    /// Whether we have started it, and its exit status has not been taken.
    pub(crate) fn is_ours(&self, pid: i32) -> bool {
        lock(&self.ours).contains(&pid)
    }

    /// Looks who is there of all that was started. Blocks.
    pub(crate) fn look(&self) -> Look {
        self.orphans.get().map_or_else(Look::now, |orphans| {
            Look::at_descendants(orphans, |pid| self.is_ours(pid))
        })
    }

    /// Looks who is left of runs whose main process has ended. Blocks.
    pub(crate) fn look_at_orphans(&self) -> Look {
        self.orphans
            .get()
            .map_or_else(Look::now, |orphans| Look::at_orphans(orphans, |pid| self.is_ours(pid)))
    }

    /// Kills orphans that carry `mark` until there are none, or for so many `turns`. Blocks.
    pub(crate) fn kill_orphans(&self, mark: &Mark, turns: u32) {
        if let Some(orphans) = self.orphans.get() {
            let is_ours = |pid| self.is_ours(pid);
            (0..turns).take_while(|_| orphans.kill(mark, is_ours)).for_each(drop);
        }
    }

    /// Its exit status has been taken: the pid may come again.
    pub(crate) fn forget(&self, pid: i32) {
        lock(&self.ours).remove(&pid);
    }
}

/// What the thread does.
#[derive(Debug)]
struct Starter {
    program: PathBuf,
    ours: Ours,
}

impl Starter {
    fn start(&self, command: Command) -> io::Result<Child> {
        // held over fork and registration, so that no fast exit is taken for an orphan's
        let mut ours = lock(&self.ours);
        let child = tokio::process::Command::from(command).spawn();
        if let Some(pid) = child.as_ref().ok().and_then(Child::id) {
            ours.insert(pid.cast_signed());
        }
        child
    }

    fn shim(&self) -> io::Result<Shim> {
        let (channel, theirs) = UnixStream::pair()?;
        let mut command = helper(&self.program, SHIM);
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Shim { child: self.start(command)?, channel })
    }

    /// Anybody may have killed it while it waited.
    fn if_alive(&self, mut shim: Shim) -> Option<Shim> {
        let pid = shim.child.id()?;
        if matches!(shim.child.try_wait(), Ok(None)) {
            return Some(shim);
        }
        lock(&self.ours).remove(&pid.cast_signed());
        None
    }
}

fn helper(program: &Path, name: &str) -> Command {
    let mut command = to_run(program);
    command.arg(name);
    command
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
