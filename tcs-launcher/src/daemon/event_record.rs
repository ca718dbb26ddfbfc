//! Which events of this launcher are not stored yet, on disk: so that the next one over the same
//! configuration can tell which are missing, should this one be killed while they wait.
//!
//! One line of JSON, written over at each event that is made and each that is stored; nothing waits
//! for that. In the runtime directory it outlives the process, not the machine. Where there is a
//! state directory it is there, and while events wait it is brought to the disk once a second, so
//! that of a host that goes down only the events of its last second are not counted.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tcs_core::bus::Bus;
use tcs_core::bus::outbox::EventMarks;
use tokio::sync::Notify;

/// Earlier launchers remembered one by one; of those before them only the sums.
const MAX_EARLIER: usize = 32;

/// How often it is brought to the disk.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The file of events that are not stored yet.
pub(super) struct EventRecord {
    state: Mutex<State>,
    /// There is something to be brought to the disk.
    changed: Notify,
}

struct State {
    path: PathBuf,
    file: Option<File>,
    line: Line,
    /// Writing has failed, and that has been said.
    broken: bool,
    /// Whether the directory survives a reboot.
    durable: bool,
    /// By what is on the disk for certain, events wait.
    waits_on_disk: bool,
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
    /// Reads what the launchers before have left in `<name>.events`, in the state directory if there
    /// is one, else in the runtime directory. Whoever opens it holds the lock of that name.
    pub(super) fn open(runtime: &Path, state: Option<&Path>, name: &str) -> Self {
        let path = |dir: &Path| dir.join(format!("{name}.events"));
        let mut left = state.and_then(|dir| fs::read_to_string(path(dir)).ok());
        if left.is_none() {
            // of a launcher that had no state directory
            left = fs::read_to_string(path(runtime)).ok();
        }
        let left = left.as_deref().and_then(|text| text.lines().next());
        let left = left.and_then(|line| serde_json::from_str::<Line>(line).ok());
        let state = State {
            path: path(state.unwrap_or(runtime)),
            file: None,
            line: left.map_or_else(Line::default, Line::next),
            broken: false,
            durable: state.is_some(),
            waits_on_disk: false,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Notes how far this launcher's events have come.
    pub(super) fn note(&self, marks: &EventMarks) {
        let mut state = self.state();
        state.line.now = marks.clone();
        state.write();
        if state.durable {
            self.changed.notify_one();
        }
    }

    /// Brings it to the disk while events wait, and once more when they do not any more. For ever.
    pub(super) async fn keep_on_disk(self: Arc<Self>) {
        loop {
            self.changed.notified().await;
            tokio::time::sleep(SYNC_EVERY).await;
            let record = Arc::clone(&self);
            // a slow disk holds a thread of its own, and this loop
            let _ = tokio::task::spawn_blocking(move || record.sync()).await;
        }
    }

    fn sync(&self) {
        let (waits, file, path) = {
            let state = self.state();
            let waits = state.line.now.waiting > 0 || !state.line.earlier.is_empty();
            if !waits && !state.waits_on_disk {
                return;
            }
            (waits, state.file.as_ref().and_then(|file| file.try_clone().ok()), state.path.clone())
        };
        // the name is to be there too
        let dir = path.parent().and_then(|dir| File::open(dir).ok());
        if file.is_some_and(|file| file.sync_data().is_ok())
            && dir.is_some_and(|dir| dir.sync_all().is_ok())
        {
            self.state().waits_on_disk = waits;
        }
    }

    /// What the launchers before have left.
    pub(super) fn earlier(&self) -> Vec<EventMarks> {
        self.state().line.earlier.clone()
    }

    /// Forgets earlier launchers: it is known which of their events are missing, and this launcher
    /// counts them.
    pub(super) fn settle(&self) {
        let mut state = self.state();
        state.line.earlier.clear();
        state.write();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
            tracing::error!(
                "waiting events are not recorded on disk: cannot write {path}: {error}"
            );
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
        let open = || EventRecord::open(dir.path(), None, "x");
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
    fn a_state_directory_takes_over_from_the_runtime_directory() {
        let (runtime, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        EventRecord::open(runtime.path(), None, "x").note(&marks(2, 1));
        let open = || EventRecord::open(runtime.path(), Some(state.path()), "x");
        let first = open();
        assert_eq!(first.earlier(), [marks(2, 1)]);
        first.note(&marks(3, 0));
        first.sync();
        assert!(first.state().waits_on_disk);
        // the machine went down, and what was in the runtime directory with it
        fs::remove_file(runtime.path().join("x.events")).unwrap();
        let second = open();
        assert_eq!(second.earlier(), [marks(2, 1), marks(3, 0)]);
        second.settle();
        assert_eq!(open().earlier(), []);
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
