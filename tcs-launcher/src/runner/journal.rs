//! What a launcher has running, on disk: so that the next one over the same configuration starts
//! no double, and can say how this one ended.
//!
//! A lock keeps two launchers of one name from running at once. The journal is a file of JSON
//! lines: who writes it, each process that starts, each one of which nothing is left, and a last
//! line when all has ended in order. It need not survive a power cut (the processes would not
//! either, and another boot id says so), so nothing waits for the disk.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::group::{self, Look, Marks, Process};
use super::private_dir;
use crate::fd::copy;
use tcs_supervisor::ServiceId;

/// Lines after which the file is written anew.
const REWRITE_AFTER: usize = 10_000;

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another launcher of this name runs.
    #[error("{path} is held by another launcher{}", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held {
        /// The lock.
        path: PathBuf,
        /// Its process, where the journal tells.
        pid: Option<i32>,
    },
    /// A file cannot be used.
    #[error("{doing} {path}: {error}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first: whose journal it is.
    Launcher { run: String, boot: String, pid: i32, start: u64 },
    /// A process runs.
    Up { entry: u64, service: String, pid: i32, start: u64 },
    /// Nothing is left of it.
    Down { entry: u64 },
    /// The last, if all ended in order.
    End,
}

/// Which line of the journal a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry(pub(super) u64);

/// What an earlier launcher left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Its `launcher_run`.
    pub launcher_run: String,
    /// How it ended.
    pub end: EarlierEnd,
    /// Services of which a process ran when it was last heard of, and its pid.
    pub services: Vec<(String, i32)>,
    processes: Vec<(i32, u64)>,
}

/// How an earlier launcher ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlierEnd {
    /// In order.
    InOrder,
    /// Without a word: killed, or crashed.
    WithoutAWord,
    /// With the machine, which has been started since.
    WithTheMachine,
}

/// A process that an earlier launcher had left, and that has been ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub pid: i32,
    /// Whether the process had to be killed.
    pub killed: bool,
}

/// The journal of this launcher. Its lock goes with it. Both are made again should somebody have
/// removed them.
#[derive(Debug)]
pub struct Journal(Mutex<State>);

#[derive(Debug)]
struct State {
    path: PathBuf,
    file: File,
    lock_path: PathBuf,
    lock: Flock<File>,
    launcher: Line,
    up: BTreeMap<u64, Line>,
    next: u64,
    lines: usize,
    /// Writing has failed, and that has been said.
    broken: bool,
}

impl Journal {
    /// Takes the lock `<name>.lock` in `dir`, reads what is in `<name>.journal`, and begins anew.
    pub fn open(
        dir: &Path,
        name: &str,
        launcher_run: &str,
    ) -> Result<(Self, Option<Earlier>), JournalError> {
        let wrap = |doing, path: &Path| {
            let path = path.to_owned();
            move |error| JournalError::Io { doing, path, error }
        };
        private_dir::make_runtime(dir).map_err(wrap("creating", dir))?;
        let path = dir.join(format!("{name}.journal"));
        let lock_path = dir.join(format!("{name}.lock"));
        let lock = take_lock(&lock_path).map_err(|error| {
            if error.raw_os_error() == Some(Errno::EWOULDBLOCK as i32) {
                let pid = read(&path).first().and_then(|line| match line {
                    Line::Launcher { pid, .. } => Some(*pid),
                    Line::Up { .. } | Line::Down { .. } | Line::End => None,
                });
                JournalError::Held { path: lock_path.clone(), pid }
            } else {
                wrap("locking", &lock_path)(error)
            }
        })?;
        let earlier = Earlier::of(&read(&path));
        let pid = std::process::id().cast_signed();
        let start = Process::of(pid).map_or(0, |process| process.start);
        let launcher =
            Line::Launcher { run: launcher_run.to_owned(), boot: group::boot_id(), pid, start };
        let file = write_anew(&path, std::iter::once(&launcher)).map_err(wrap("writing", &path))?;
        let state = State {
            path,
            file,
            lock_path,
            lock,
            launcher,
            up: BTreeMap::new(),
            next: 0,
            lines: 1,
            broken: false,
        };
        Ok((Self(Mutex::new(state)), earlier))
    }

    /// Goes on with the journal of the program before, whose lock this is: these processes run.
    pub(crate) fn resume(
        dir: &Path,
        name: &str,
        launcher_run: &str,
        lock: OwnedFd,
        up: impl Iterator<Item = (u64, ServiceId, i32)>,
    ) -> io::Result<Self> {
        let lock = Flock::lock(File::from(lock), FlockArg::LockExclusiveNonblock);
        let lock = lock.map_err(|(_, errno)| io::Error::from(errno))?;
        let (path, lock_path) =
            (dir.join(format!("{name}.journal")), dir.join(format!("{name}.lock")));
        let start = |pid: i32| Process::of(pid).map_or(0, |process| process.start);
        let pid = std::process::id().cast_signed();
        let (run, boot) = (launcher_run.to_owned(), group::boot_id());
        let launcher = Line::Launcher { run, boot, pid, start: start(pid) };
        let line = |(entry, service, pid): (u64, ServiceId, i32)| {
            (entry, Line::Up { entry, service: service.to_string(), pid, start: start(pid) })
        };
        let up: BTreeMap<u64, Line> = up.map(line).collect();
        let written = write_anew(&path, std::iter::once(&launcher).chain(up.values()));
        let broken = written.is_err();
        let file = match written {
            Ok(file) => file,
            // services go on; it is written with the next start or end
            Err(error) => {
                cannot_write(&path, &error);
                lock.try_clone()?
            }
        };
        let next = up.last_key_value().map_or(0, |(entry, _)| entry + 1);
        let lines = up.len() + 1;
        let state = State { path, file, lock_path, lock, launcher, up, next, lines, broken };
        Ok(Self(Mutex::new(state)))
    }

    /// Its lock, for the program that goes on with it.
    pub(crate) fn lock_copy(&self) -> io::Result<OwnedFd> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        copy(&*state.lock)
    }

    /// A process of `service` runs.
    pub fn started(&self, service: &ServiceId, pid: i32) -> Entry {
        let start = Process::of(pid).map_or(0, |process| process.start);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = state.next;
        state.next += 1;
        let line = Line::Up { entry, service: service.to_string(), pid, start };
        state.append(&line);
        state.up.insert(entry, line);
        Entry(entry)
    }

    /// Nothing is left of it.
    pub fn ended(&self, Entry(entry): Entry) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.up.remove(&entry);
        state.append(&Line::Down { entry });
    }

    /// All has ended in order.
    pub fn close(self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).append(&Line::End);
    }
}

impl State {
    /// A full disk does not keep services from running: it is said once, and when it is over.
    fn append(&mut self, line: &Line) {
        let restored = self.restore_lock();
        let is_whole = self.lines < REWRITE_AFTER && !self.broken && !is_removed(&self.file);
        let result = if let Err(error) = restored {
            Err(error)
        } else if is_whole {
            self.file.write_all(&encode(line))
        } else {
            let lines = std::iter::once(&self.launcher).chain(self.up.values());
            write_anew(&self.path, lines.chain(std::iter::once(line))).map(|file| {
                self.file = file;
                self.lines = self.up.len() + 1;
            })
        };
        self.lines += 1;
        match result {
            Ok(()) if self.broken => {
                self.broken = false;
                tracing::info!(path = %self.path.display(), "the run journal is written again");
            }
            Err(error) if !self.broken => {
                self.broken = true;
                cannot_write(&self.path, &error);
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl State {
    /// Somebody may have removed the directory: a cleaner of temporary files, or a person.
    fn restore_lock(&mut self) -> io::Result<()> {
        if is_removed(&self.lock) {
            if let Some(dir) = self.lock_path.parent() {
                private_dir::make_runtime(dir)?;
            }
            self.lock = take_lock(&self.lock_path)?;
            let path = self.lock_path.display();
            tracing::warn!("{path} was removed; it is created again");
        }
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &io::Error) {
    tracing::error!(path = %path.display(), %error, "cannot write the run journal");
}

fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|about| about.nlink() == 0)
}

/// Options to create a file that only our user can access, whatever the umask.
fn create() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

fn take_lock(path: &Path) -> io::Result<Flock<File>> {
    let file = create().open(path)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
}

fn write_anew<'a>(path: &Path, lines: impl Iterator<Item = &'a Line>) -> io::Result<File> {
    let new = path.with_extension("new");
    let mut file = create().truncate(true).open(&new)?;
    let text: Vec<u8> = lines.flat_map(encode).collect();
    file.write_all(&text)?;
    fs::rename(&new, path)?;
    Ok(file)
}

fn encode(line: &Line) -> Vec<u8> {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text
}

/// The lines that can be read: a last one may be half written.
fn read(path: &Path) -> Vec<Line> {
    fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

impl Earlier {
    fn of(lines: &[Line]) -> Option<Self> {
        let Some(Line::Launcher { run, boot, .. }) = lines.first() else { return None };
        let mut up = BTreeMap::new();
        let mut in_order = false;
        for line in lines {
            in_order = *line == Line::End;
            match line {
                Line::Up { entry, service, pid, start } => {
                    up.insert(*entry, (service.clone(), *pid, *start));
                }
                Line::Down { entry } => {
                    up.remove(entry);
                }
                Line::Launcher { .. } | Line::End => {}
            }
        }
        let end = match (in_order, *boot == group::boot_id()) {
            (true, _) => EarlierEnd::InOrder,
            (false, true) => EarlierEnd::WithoutAWord,
            (false, false) => EarlierEnd::WithTheMachine,
        };
        Some(Self {
            launcher_run: run.clone(),
            end,
            services: up.values().map(|(service, pid, _)| (service.clone(), *pid)).collect(),
            processes: up.values().map(|(_, pid, start)| (*pid, *start)).collect(),
        })
    }

    /// The processes that are left: those with the earlier launcher's mark, and those that its
    /// journal names, unless another process has the pid by now.
    fn left(&self) -> Vec<Process> {
        if self.end == EarlierEnd::WithTheMachine {
            return Vec::new();
        }
        let mark = Marks::new(&*self.launcher_run).launcher();
        let mut left = Look::now().members(&mark, None).living;
        for (pid, start) in &self.processes {
            let same = Process::of(*pid).filter(|it| it.start == *start && !it.is_zombie());
            left.extend(same.filter(|it| !left.iter().any(|other| other.pid == it.pid)));
        }
        left
    }

    /// Ends what is still there: asks, waits `grace`, kills. Blocks; returns once nothing is left
    /// or `grace` has passed twice.
    pub fn end_leftovers(&self, grace: Duration) -> Vec<Ended> {
        const PAUSE: Duration = Duration::from_millis(50);
        let rounds = grace.as_millis().div_ceil(PAUSE.as_millis()).max(1);
        let mut ended: BTreeMap<i32, Ended> = BTreeMap::new();
        for round in 0..rounds * 2 {
            let left = self.left();
            if left.is_empty() {
                break;
            }
            let kill = round >= rounds;
            for process in left {
                let known = ended.insert(process.pid, Ended { pid: process.pid, killed: kill });
                let signals: &[Signal] = match (kill, known) {
                    (true, _) => &[Signal::SIGKILL],
                    (false, None) => &[Signal::SIGTERM, Signal::SIGCONT],
                    (false, Some(_)) => &[],
                };
                for signal in signals {
                    // what may not be ended is still there at the end
                    let _ = process.signal(*signal);
                }
            }
            std::thread::sleep(PAUSE);
        }
        ended.into_values().collect()
    }
}

#[cfg(test)]
mod tests;
