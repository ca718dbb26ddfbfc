//! What a launcher remembers for the next one over the same file, in `<name>.kept`: in the state
//! directory, where there is one, so that it outlives the host; else in the runtime directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tcs_core::wire::Planned;
use tcs_supervisor::ServiceId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// By service.
    pub(super) schedules: BTreeMap<String, Settled>,
    /// Services that were stopped for planned work, and have not been started since.
    pub(super) stopped: BTreeMap<String, Work>,
    /// The profile that was chosen last.
    pub(super) profile: Option<String>,
}

/// Planned work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Work {
    /// Which, as somebody says.
    pub(super) comment: String,
    /// Who stopped the service for it.
    pub(super) by: String,
    /// When.
    pub(super) since: DateTime<Utc>,
}

impl From<Work> for Planned {
    fn from(Work { comment, by, since }: Work) -> Self {
        Self { comment, by: Some(by), since: Some(since.into()) }
    }
}

/// Runs of a schedule that are no longer to take place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Settled {
    /// The schedule: of another one nothing is known.
    pub(super) rule: String,
    /// Up to this time.
    pub(super) until: DateTime<Utc>,
}

/// The file, which is written by a task of its own: a slow disk holds up nothing else.
pub(super) struct KeptFile {
    path: PathBuf,
    now: watch::Sender<Kept>,
    writer: JoinHandle<()>,
}

impl KeptFile {
    /// Reads what the launcher before has left. Whoever opens it holds the lock of that name.
    pub(super) fn open(runtime: &Path, state: Option<&Path>, name: &str) -> Self {
        let path = state.unwrap_or(runtime).join(format!("{name}.kept"));
        let kept = read(&path).unwrap_or_else(|error| {
            let path = path.display();
            tracing::warn!("cannot read {path}: {error}; schedules count from now on");
            Kept::default()
        });
        let (now, changes) = watch::channel(kept);
        let writer = tokio::spawn(write_changes(path.clone(), changes));
        Self { path, now, writer }
    }

    /// What is remembered.
    pub(super) fn now(&self) -> Kept {
        self.now.borrow().clone()
    }

    /// The planned work for which a service is to stay stopped.
    pub(super) fn work(&self, id: &ServiceId) -> Option<Work> {
        self.now.borrow().stopped.get(id.as_str()).cloned()
    }

    /// Changes it.
    pub(super) fn change(&self, change: impl FnOnce(&mut Kept)) {
        self.now.send_if_modified(|kept| {
            let before = kept.clone();
            change(kept);
            *kept != before
        });
    }

    /// Writes it at once, for a program that takes over in this process.
    pub(super) fn write(&self) -> io::Result<()> {
        write(&self.path, &self.now())
    }

    /// Until all is written, and no longer than `patience`.
    pub(super) async fn close(self, patience: Duration) {
        drop(self.now);
        let _ = tokio::time::timeout(patience, self.writer).await;
    }
}

fn read(path: &Path) -> io::Result<Kept> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => Err(error),
    }
}

async fn write_changes(path: PathBuf, mut changes: watch::Receiver<Kept>) {
    let mut is_broken = false;
    // the last change is seen, too
    while changes.changed().await.is_ok() {
        let (kept, to) = (changes.borrow_and_update().clone(), path.clone());
        let written = tokio::task::spawn_blocking(move || write(&to, &kept)).await;
        let error = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = error.as_ref().filter(|_| !is_broken) {
            let path = path.display();
            tracing::error!("cannot write {path}: {error}; a restart of tcsd will not know of it");
        }
        is_broken = error.is_some();
    }
}

/// All of it or nothing, whenever the host goes down.
fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let new = path.with_extension("kept.new");
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    file.sync_data()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_launcher_reads_what_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        let open = || KeptFile::open(dir.path(), None, "a");
        let settled = Settled { rule: "every 1h".to_owned(), until: DateTime::UNIX_EPOCH };
        let first = open();
        assert_eq!(first.now(), Kept::default());
        first.change(|kept| {
            kept.schedules.insert("a.b".to_owned(), settled.clone());
        });
        first.close(Duration::from_mins(1)).await;
        assert_eq!(open().now().schedules["a.b"], settled);
        // a later version's, and one that is cut off
        fs::write(dir.path().join("a.kept"), r#"{"more": 1}"#).unwrap();
        assert_eq!(open().now(), Kept::default());
        fs::write(dir.path().join("a.kept"), "{").unwrap();
        assert_eq!(open().now(), Kept::default());
    }
}
