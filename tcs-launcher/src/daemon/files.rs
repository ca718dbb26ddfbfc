//! A service's output in files: a new one for each run and when one is full, the last ones kept,
//! so that they never take more than `max_size` times `keep`. A disk that is full or slow delays
//! nobody: lines are dropped, counted, and the count stands where they would.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use tcs_core::clock;
use tcs_core::config::Log;
use tcs_core::service::log::clean;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use crate::hash::fnv1a;
use crate::log::stamp;
use crate::runner::output::{Line, Stream};
use tcs_supervisor::{Run, ServiceId};

/// Lines that are written at once.
const BATCH: usize = 512;

/// After a failure, and before looking whether somebody has moved the file.
const PAUSE: Duration = Duration::from_secs(1);

/// The end of a file's name, after the service's id: when it was begun, in UTC.
const STAMP: &str = ".%Y%m%dT%H%M%S%.3fZ.log";

/// Bytes of a file's name before that; the system takes 255 in all.
const LONGEST_NAME: usize = 200;

/// Writes what comes, until nothing can come any more, or what is there at a `stop` is written.
/// `goes_on`: the run of which the newest file is.
pub(super) async fn write(
    id: ServiceId,
    (log, dir): (Log, PathBuf),
    mut lines: broadcast::Receiver<Arc<Line>>,
    stop: CancellationToken,
    goes_on: Option<Run>,
) {
    let mut files = Files::new(&id, dir, log.max_size, log.keep as usize);
    if let Some(run) = goes_on {
        files.go_on(run, clock::monotonic());
    }
    loop {
        let mut batch = Vec::new();
        let mut missed = 0;
        match next(&mut lines, &stop).await {
            Ok(line) => batch.push(line),
            Err(RecvError::Lagged(count)) => missed += count,
            Err(RecvError::Closed) => return,
        }
        while batch.len() < BATCH {
            match lines.try_recv() {
                Ok(line) => batch.push(line),
                Err(TryRecvError::Lagged(count)) => missed += count,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        // one that hangs in the kernel holds a thread, and nothing else
        let written = tokio::task::spawn_blocking(move || {
            let change = files.take(&batch, missed, clock::wall(), clock::monotonic());
            (files, change)
        });
        let Ok((back, change)) = written.await else { return };
        files = back;
        match change {
            Some(Change::Failed(error)) => {
                tracing::error!("{id}: cannot write its log file: {error}; its output is not kept");
            }
            Some(Change::Works { dropped }) => {
                tracing::warn!(
                    "{id}: its log file works again; {dropped} lines are missing from it"
                );
            }
            None => {}
        }
    }
}

/// The next line; after a `stop`, those that are there already.
pub(super) async fn next(
    lines: &mut broadcast::Receiver<Arc<Line>>,
    stop: &CancellationToken,
) -> Result<Arc<Line>, RecvError> {
    tokio::select! {
        biased;
        line = lines.recv() => line,
        () = stop.cancelled() => match lines.try_recv() {
            Ok(line) => Ok(line),
            Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => Err(RecvError::Closed),
        },
    }
}

/// What is worth telling.
#[derive(Debug, PartialEq)]
enum Change {
    Failed(String),
    Works { dropped: u64 },
}

/// The files of one service.
#[derive(Debug)]
struct Files {
    /// The beginning of their names.
    name: String,
    dir: PathBuf,
    max_size: u64,
    keep: usize,
    open: Option<Open>,
    run: Option<Run>,
    /// When the newest was begun: their names go up.
    begun: Option<DateTime<Utc>>,
    /// Not in any file.
    dropped: u64,
    failed: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    size: u64,
    looked: Instant,
}

impl Files {
    fn new(id: &ServiceId, dir: PathBuf, max_size: u64, keep: usize) -> Self {
        let name = file_name(id.as_str());
        let (open, run, begun, dropped, failed) = (None, None, None, 0, None);
        Self { name, dir, max_size, keep, open, run, begun, dropped, failed }
    }

    fn take(
        &mut self,
        lines: &[Arc<Line>],
        missed: u64,
        wall: DateTime<Utc>,
        now: Instant,
    ) -> Option<Change> {
        self.dropped += missed;
        if self.failed.is_some_and(|at| now - at < PAUSE) {
            self.dropped += lines.len() as u64;
            return None;
        }
        for (done, line) in lines.iter().enumerate() {
            if let Err(error) = self.put(line, wall, now) {
                self.open = None;
                self.dropped += (lines.len() - done) as u64;
                let first = self.failed.replace(now).is_none();
                return first.then_some(Change::Failed(error));
            }
        }
        self.failed.take()?;
        Some(Change::Works { dropped: std::mem::take(&mut self.dropped) })
    }

    fn put(&mut self, line: &Line, wall: DateTime<Utc>, now: Instant) -> Result<(), String> {
        let mut text = String::new();
        if self.dropped > 0 {
            let at = stamp(wall);
            text = format!("{at} --- {} lines are missing here\n", self.dropped);
        }
        text.push_str(&shown(line));
        let mut open = match self.open.take() {
            Some(open) if self.run == Some(line.run) => self.still(open, text.len() as u64, now),
            Some(_) | None => None,
        };
        let mut open = match open.take() {
            Some(open) => open,
            None => self.begin(wall, now)?,
        };
        self.run = Some(line.run);
        let written = open.file.write_all(text.as_bytes());
        written.map_err(|error| format!("{}: {error}", open.path.display()))?;
        open.size += text.len() as u64;
        self.open = Some(open);
        if self.failed.is_none() {
            self.dropped = 0;
        }
        Ok(())
    }

    /// The open file, if it is to be written on: not full, and where it was.
    fn still(&self, mut open: Open, more: u64, now: Instant) -> Option<Open> {
        if open.size + more > self.max_size && open.size > 0 {
            return None;
        }
        if now - open.looked >= PAUSE {
            open.looked = now;
            let there = fs::metadata(&open.path).map(|it| (it.dev(), it.ino()));
            let ours = open.file.metadata().map(|it| (it.dev(), it.ino()));
            if there.ok()? != ours.ok()? {
                return None;
            }
        }
        Some(open)
    }

    /// A new file; the oldest go.
    fn begin(&mut self, wall: DateTime<Utc>, now: Instant) -> Result<Open, String> {
        let at = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
        let mut dir = fs::DirBuilder::new();
        dir.recursive(true).mode(0o750).create(&self.dir).map_err(|error| at(&self.dir, error))?;
        let next = self.begun.map(|begun| begun + TimeDelta::milliseconds(1));
        let mut begun = next.map_or(wall, |next| next.max(wall));
        loop {
            let path = self.dir.join(format!("{}{}", self.name, begun.format(STAMP)));
            match File::options().append(true).create_new(true).mode(0o640).open(&path) {
                Ok(file) => {
                    self.begun = Some(begun);
                    self.prune();
                    return Ok(Open { file, path, size: 0, looked: now });
                }
                // of the launcher before, by a clock that was set back
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    begun += TimeDelta::milliseconds(1);
                }
                Err(error) => return Err(at(&path, error)),
            }
        }
    }

    /// Goes on with the newest file, which is of this run. Where there is none, the next line begins
    /// one.
    fn go_on(&mut self, run: Run, now: Instant) {
        let Some(name) = self.own().pop() else { return };
        let stamp = name.strip_prefix(&self.name).unwrap_or_default();
        let begun = NaiveDateTime::parse_from_str(stamp, STAMP).ok();
        let path = self.dir.join(name);
        let Ok(file) = File::options().append(true).open(&path) else { return };
        let size = file.metadata().map_or(0, |it| it.len());
        self.open = Some(Open { file, path, size, looked: now });
        (self.run, self.begun) = (Some(run), begun.map(|begun| begun.and_utc()));
    }

    /// The names of this service's files, the oldest first.
    fn own(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut own: Vec<String> = names.filter(|name| self.is_own(name)).collect();
        own.sort_unstable();
        own
    }

    /// Removes the oldest of this service's files, and nothing else.
    fn prune(&self) {
        let own = self.own();
        let surplus = own.len().saturating_sub(self.keep);
        for name in &own[..surplus] {
            fs::remove_file(self.dir.join(name)).ok();
        }
    }

    fn is_own(&self, name: &str) -> bool {
        let stamp = name.strip_prefix(&self.name);
        stamp.is_some_and(|stamp| NaiveDateTime::parse_from_str(stamp, STAMP).is_ok())
    }
}

/// An id as the beginning of a file's name: it may hold a slash, and be longer than a name may be.
fn file_name(id: &str) -> String {
    let name = id.replace('%', "%25").replace('/', "%2F");
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let end = name.floor_char_boundary(LONGEST_NAME - 17);
    format!("{}~{:016x}", &name[..end], fnv1a(id))
}

/// `2026-11-23T02:13:05.123Z err [INFO ] svc|guider.jk15: text`
fn shown(line: &Line) -> String {
    let stream = match line.stream {
        Stream::Stdout => "out",
        Stream::Stderr => "err",
    };
    let logger = line.logger.as_ref().map(|logger| format!("{logger}: ")).unwrap_or_default();
    let text = clean(&format!("{logger}{}", line.text));
    format!("{} {stream} [{:<5}] {text}\n", stamp(line.time), line.level.name())
}

#[cfg(test)]
mod tests;
