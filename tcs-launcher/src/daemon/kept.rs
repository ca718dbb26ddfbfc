//! What a launcher remembers for the next one over the same file, in `<name>.kept`: in the state
//! directory, where there is one, so that it outlives the host; else in the runtime directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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
    /// Who chose it, or that there is none.
    pub(super) profile_by: Option<String>,
    /// When.
    pub(super) profile_since: Option<DateTime<Utc>>,
}

impl Kept {
    /// What of it stands in the metrics of the launcher's heartbeat (`docs/spec/wire.md#resource-figures`).
    pub(super) fn metrics(&self) -> Map<String, Value> {
        let since = self.profile_since.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        // that there is none any more is said, too
        let profile = (self.profile.is_some() || since.is_some()).then(|| self.profile.clone());
        let metrics = [
            ("profile", profile.map(Value::from)),
            ("profile_by", self.profile_by.clone().map(Value::from)),
            ("profile_since", since.map(Value::from)),
        ];
        let said = metrics.into_iter().filter_map(|(name, it)| Some((name.to_owned(), it?)));
        said.collect()
    }
}

/// Planned work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Work {
    /// Which, as somebody says.
    pub(super) comment: String,
    /// Who stopped the service for the planned work.
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
    file: Arc<Mutex<PathBuf>>,
    now: watch::Sender<Kept>,
    writer: JoinHandle<()>,
}

impl KeptFile {
    /// Reads what the launcher before has left. Whoever opens it holds the lock of that name.
    pub(super) fn open(runtime: &Path, state: Option<&Path>, name: &str) -> Self {
        let path = state.unwrap_or(runtime).join(format!("{name}.kept"));
        let (kept, errors) = read(&path);
        for error in errors {
            tracing::error!("cannot read {}: {error}", path.display());
        }
        let (now, changes) = watch::channel(kept);
        let file = Arc::new(Mutex::new(path));
        let writer = tokio::spawn(write_changes(Arc::clone(&file), changes));
        Self { file, now, writer }
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
        write(&self.file, &self.now.subscribe())
    }

    /// Until all is written, and no longer than `patience`.
    pub(super) async fn close(self, patience: Duration) {
        drop(self.now);
        let _ = tokio::time::timeout(patience, self.writer).await;
    }
}

/// What can be read, and what is missing: of a file that is damaged, or of another version.
fn read(path: &Path) -> (Kept, Vec<String>) {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Default::default(),
        text => text.map_err(|error| error.to_string()),
    };
    let parts = text.and_then(|text| {
        serde_json::from_str::<Map<String, Value>>(&text).map_err(|error| error.to_string())
    });
    let mut errors = Vec::new();
    let mut parts = parts.unwrap_or_else(|error| {
        errors.push(format!(
            "{error}; services that were stopped for planned work start again, no profile is \
             chosen, and schedules count from now on"
        ));
        Map::new()
    });
    let mut part = |name: &str| parts.remove(name).unwrap_or_default();
    let (schedules, stopped, profile) = (part("schedules"), part("stopped"), part("profile"));
    let mut kept = Kept {
        // only told: what of it cannot be read is not known
        profile_by: Option::deserialize(part("profile_by")).unwrap_or_default(),
        profile_since: Option::deserialize(part("profile_since")).unwrap_or_default(),
        ..Kept::default()
    };
    let mut whole = |name: &str, error: serde_json::Error| errors.push(format!("{name}: {error}"));
    match Option::deserialize(profile) {
        Ok(profile) => kept.profile = profile,
        Err(error) => whole("profile", error),
    }
    for (id, settled) in members(schedules) {
        match Settled::deserialize(settled) {
            Ok(settled) => drop(kept.schedules.insert(id, settled)),
            Err(error) => whole(&format!("schedules: {id}"), error),
        }
    }
    for (id, work) in members(stopped) {
        // what is not to run stays stopped, whatever can be read of why
        let work = Work::deserialize(work).unwrap_or_else(|error| {
            whole(&format!("stopped: {id}"), error);
            let comment = "planned work (its comment cannot be read)".to_owned();
            Work { comment, by: "unknown".to_owned(), since: DateTime::UNIX_EPOCH }
        });
        kept.stopped.insert(id, work);
    }
    (kept, errors)
}

fn members(part: Value) -> Map<String, Value> {
    match part {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

async fn write_changes(file: Arc<Mutex<PathBuf>>, mut changes: watch::Receiver<Kept>) {
    let mut is_broken = false;
    // the last change is seen, too
    while changes.changed().await.is_ok() {
        changes.mark_unchanged();
        let (now, to) = (changes.clone(), Arc::clone(&file));
        let written = tokio::task::spawn_blocking(move || write(&to, &now)).await;
        let error = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = error.as_ref().filter(|_| !is_broken) {
            let path = lock(&file).display().to_string();
            tracing::error!("cannot write {path}: {error}; a restart of tcsd will not know of it");
        }
        is_broken = error.is_some();
    }
}

/// All of it or nothing, whenever the host goes down. One after the other, and each the newest.
fn write(path: &Mutex<PathBuf>, now: &watch::Receiver<Kept>) -> io::Result<()> {
    let path = lock(path);
    let kept = serde_json::to_vec(&*now.borrow())?;
    let new = path.with_extension("kept.new");
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&kept)?;
    file.sync_data()?;
    fs::rename(&new, &*path)
}

fn lock(path: &Mutex<PathBuf>) -> MutexGuard<'_, PathBuf> {
    path.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_heartbeat_tells_the_profile_who_chose_it_and_since_when() {
        let told = |kept: Kept| Value::Object(kept.metrics());
        assert_eq!(told(Kept::default()), json!({}));
        // of an earlier version
        let profile = Some("night".to_owned());
        assert_eq!(told(Kept { profile, ..Kept::default() }), json!({"profile": "night"}));
        let left = Kept {
            profile_by: Some("anna@console".to_owned()),
            profile_since: Some(DateTime::UNIX_EPOCH),
            ..Kept::default()
        };
        let since = "1970-01-01T00:00:00.000Z";
        assert_eq!(
            told(left),
            json!({"profile": null, "profile_by": "anna@console", "profile_since": since})
        );
    }

    #[tokio::test]
    async fn the_next_launcher_reads_what_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        let open = || KeptFile::open(dir.path(), None, "a");
        let settled = Settled { rule: "every 1h".to_owned(), until: DateTime::UNIX_EPOCH };
        let first = open();
        assert_eq!(first.now(), Kept::default());
        first.change(|kept| {
            kept.profile = Some("night".to_owned());
            kept.profile_by = Some("anna@console".to_owned());
            kept.profile_since = Some(DateTime::UNIX_EPOCH);
            kept.schedules.insert("a.b".to_owned(), settled.clone());
        });
        first.close(Duration::from_mins(1)).await;
        let now = open().now();
        assert_eq!((&now.schedules["a.b"], now.metrics().len()), (&settled, 3));
        // a later version's, and one that is cut off
        fs::write(dir.path().join("a.kept"), r#"{"more": 1}"#).unwrap();
        assert_eq!(open().now(), Kept::default());
        fs::write(dir.path().join("a.kept"), "{").unwrap();
        assert_eq!(open().now(), Kept::default());
    }

    #[tokio::test]
    async fn what_is_stopped_for_work_stays_so_whatever_else_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{
            "schedules": {
                "a.b": 7,
                "a.c": {"rule": "every 1h", "until": "1970-01-01T00:00:00Z"}
            },
            "stopped": {"dome.a": {"comment": "washing", "by": "anna", "since": "yesterday"}},
            "profile": ["night"]}"#;
        fs::write(dir.path().join("a.kept"), text).unwrap();
        let (kept, errors) = read(&dir.path().join("a.kept"));
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert_eq!(kept.stopped["dome.a"].by, "unknown");
        assert!(kept.schedules.contains_key("a.c") && kept.profile.is_none(), "{kept:?}");
        // nothing of the kind is written
        fs::write(dir.path().join("a.kept"), r#"{"stopped": 5}"#).unwrap();
        assert_eq!(KeptFile::open(dir.path(), None, "a").now(), Kept::default());
    }
}
