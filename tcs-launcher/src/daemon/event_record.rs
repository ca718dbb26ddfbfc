//! Which events of this launcher are not stored yet, on disk: so that the next one over the same
//! configuration can tell which are missing, should this one be killed while they wait.
//!
//! One line of JSON in the runtime directory, written over at each event that is made and each that
//! is stored. It outlives the process, not the machine, so nothing waits for the disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tcs_core::bus::Bus;
use tcs_core::bus::outbox::EventMarks;

/// Earlier launchers remembered one by one; of those before them only the sums.
const MAX_EARLIER: usize = 32;

/// See the module.
pub(super) struct EventRecord(Mutex<State>);

struct State {
    path: PathBuf,
    file: Option<File>,
    line: Line,
    /// Writing has failed, and that has been said.
    broken: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Line {
    /// Of this launcher.
    now: EventMarks,
    /// Of those before it, the oldest first, until it is known what of theirs is missing.
    earlier: Vec<EventMarks>,
}

impl EventRecord {
    /// Reads what the launchers before have left in `<name>.events`. Whoever opens it holds the lock
    /// of that name.
    pub(super) fn open(dir: &Path, name: &str) -> Self {
        let path = dir.join(format!("{name}.events"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let left: Option<Line> = text.lines().next().and_then(|it| serde_json::from_str(it).ok());
        let line = left.map_or_else(Line::default, Line::next);
        Self(Mutex::new(State { path, file: None, line, broken: false }))
    }

    /// Notes how far this launcher's events have come.
    pub(super) fn note(&self, marks: &EventMarks) {
        let mut state = self.state();
        state.line.now = marks.clone();
        state.write();
    }

    /// What the launchers before have left.
    pub(super) fn earlier(&self) -> Vec<EventMarks> {
        self.state().line.earlier.clone()
    }

    /// It is known what of theirs is missing, and this launcher counts it.
    pub(super) fn settle(&self) {
        let mut state = self.state();
        state.line.earlier.clear();
        state.write();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many events of earlier launchers are missing: what their last heartbeat says, and what they
/// have noted since. `None`: the broker cannot say yet.
pub(super) async fn missing(bus: &Bus, earlier: &[EventMarks], by_heartbeat: u64) -> Option<u64> {
    let mut sum = by_heartbeat;
    for (n, marks) in earlier.iter().enumerate() {
        // the first has counted what was missing before it; the others had no broker to ask
        sum = if n == 0 { sum.max(marks.lost) } else { sum.saturating_add(marks.lost) };
    }
    for marks in earlier {
        sum = sum.saturating_add(marks.missing(bus).await?);
    }
    Some(sum)
}

impl Line {
    /// What the next launcher begins with.
    fn next(self) -> Self {
        let Self { now, mut earlier } = self;
        if now != EventMarks::default() {
            earlier.push(now);
        }
        while earlier.len() > MAX_EARLIER {
            let oldest = earlier.remove(0);
            if let Some(next) = earlier.first_mut() {
                let sum = oldest.lost.saturating_add(oldest.waiting);
                next.lost = next.lost.saturating_add(sum);
            }
        }
        Self { now: EventMarks::default(), earlier }
    }
}

impl State {
    /// A full disk does not keep services from running: it is said once.
    fn write(&mut self) {
        let mut text = serde_json::to_vec(&self.line).unwrap_or_default();
        text.push(b'\n');
        let written = self.file().and_then(|file| file.write_all_at(&text, 0));
        if let Err(error) = &written
            && !self.broken
        {
            let path = self.path.display();
            tracing::error!("events that wait are not noted: cannot write {path}: {error}");
        }
        self.broken = written.is_err();
    }

    /// Somebody may have removed it: then it is made anew.
    fn file(&mut self) -> io::Result<&File> {
        let is_there = |file: &File| file.metadata().is_ok_and(|about| about.nlink() > 0);
        let file = if let Some(file) = self.file.take().filter(is_there) {
            file
        } else {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600);
            options.open(&self.path)?
        };
        Ok(self.file.insert(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(waiting: u64, lost: u64) -> EventMarks {
        EventMarks { waiting, lost, ..EventMarks::default() }
    }

    #[test]
    fn what_waits_is_known_to_the_next_until_it_is_settled() {
        let dir = tempfile::tempdir().unwrap();
        let open = || EventRecord::open(dir.path(), "x");
        assert_eq!(open().earlier(), []);
        let first = open();
        let subject = "svc.registry.crashed.a.b".repeat(9);
        first.note(&EventMarks { subject, ..marks(7, 1) });
        first.note(&marks(2, 1));
        // killed; the next one has no broker, and is killed too
        let second = open();
        assert_eq!(second.earlier(), [marks(2, 1)]);
        second.note(&marks(3, 0));
        let third = open();
        assert_eq!(third.earlier(), [marks(2, 1), marks(3, 0)]);
        third.note(&marks(0, 6));
        third.settle();
        assert_eq!(open().earlier(), [marks(0, 6)]);
        // removed by somebody: made anew
        fs::remove_file(dir.path().join("x.events")).unwrap();
        third.note(&marks(4, 6));
        assert_eq!(open().earlier(), [marks(4, 6)]);
    }

    #[test]
    fn of_many_launchers_the_sums_are_kept() {
        let mut line = Line::default();
        for _ in 0..100 {
            line.now = marks(1, 0);
            line = line.next();
        }
        assert_eq!(line.earlier.len(), MAX_EARLIER);
        let sum: u64 = line.earlier.iter().map(|it| it.waiting + it.lost).sum();
        assert_eq!(sum, 100);
    }
}
