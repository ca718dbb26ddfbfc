//! The control protocol: what launchers and services are asked, and what they answer. A request is
//! sent to `<prefix>.rpc.<name>.v1.<command>`; see [`crate::rpc`] for the envelope.
//!
//! Reading is tolerant: fields that are unknown are ignored, those that an older launcher does not
//! send have a default. A parameter of a wrong type is an error, since what would be done without
//! it may be something else.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{JournalMessage, Level, Timestamp};

/// The commands, as they stand in a subject. `start`, `stop`, `restart` and `logs` are followed by
/// the service's id.
pub mod command {
    /// [`super::OperationReply`].
    pub const START: &str = "start";
    /// [`super::StopRequest`], [`super::OperationReply`].
    pub const STOP: &str = "stop";
    /// [`super::StopRequest`], [`super::OperationReply`].
    pub const RESTART: &str = "restart";
    /// [`super::ReloadRequest`], [`super::ReloadReply`].
    pub const RELOAD: &str = "reload";
    /// [`super::ListReply`].
    pub const LIST: &str = "list";
    /// [`super::LogsRequest`], [`super::LogsReply`].
    pub const LOGS: &str = "logs";
    /// Asked of a service itself.
    pub const HEALTH: &str = "health";
    /// Asked of a service itself.
    pub const STATS: &str = "stats";
}

/// The longest time in seconds that a stop may be asked to wait for an idle service: 30 days.
pub const MAX_WAIT_S: f64 = 30.0 * 24.0 * 3600.0;

/// Parameters of `stop` and `restart`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct StopRequest {
    /// Wait until the service does not report `busy`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub when_idle: bool,
    /// But at most for so many seconds; without it as long as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait_s: Option<f64>,
}

impl StopRequest {
    /// From the data of a request.
    pub fn read(data: &Map<String, Value>) -> Result<Self, String> {
        let max_wait_s = parameter(data, "max_wait_s", "a number of seconds")?;
        if max_wait_s.is_some_and(|wait| !(0.0..=MAX_WAIT_S).contains(&wait)) {
            return Err(format!("`max_wait_s` must be between 0 and {MAX_WAIT_S}"));
        }
        let when_idle = parameter(data, "when_idle", "true or false")?.unwrap_or_default();
        Ok(Self { when_idle, max_wait_s })
    }
}

/// Parameters of `reload`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReloadRequest {
    /// Only tell what would change.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl ReloadRequest {
    /// From the data of a request.
    pub fn read(data: &Map<String, Value>) -> Result<Self, String> {
        let dry_run = parameter(data, "dry_run", "true or false")?.unwrap_or_default();
        Ok(Self { dry_run })
    }
}

/// Parameters of `logs`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LogsRequest {
    /// Lines wanted; the launcher has a default and a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// For how many seconds new lines are to be published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_s: Option<f64>,
}

impl LogsRequest {
    /// From the data of a request.
    pub fn read(data: &Map<String, Value>) -> Result<Self, String> {
        Ok(Self {
            lines: parameter(data, "lines", "a number of lines")?,
            follow_s: parameter(data, "follow_s", "a number of seconds")?,
        })
    }
}

/// A parameter, if it is there and not null; `expected` completes "must be ...".
fn parameter<T: DeserializeOwned>(
    data: &Map<String, Value>,
    name: &str,
    expected: &str,
) -> Result<Option<T>, String> {
    let value = data.get(name).unwrap_or(&Value::Null);
    Option::deserialize(value).map_err(|_| format!("`{name}` must be {expected}"))
}

/// What an operation has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Done {
    Started,
    Stopped,
    Restarted,
    Completed,
    Updated,
    /// A later launcher's word, or none.
    #[default]
    #[serde(other)]
    Other,
}

impl Done {
    /// As it stands on the wire; what a later launcher says is `done`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Restarted => "restarted",
            Self::Completed => "completed",
            Self::Updated => "updated",
            Self::Other => "done",
        }
    }
}

/// Where the service is afterwards, if that is not what the operation's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reached {
    /// Started, and not ready yet.
    Starting,
    /// A one-shot that is done.
    Completed,
    /// It runs on with new settings of the launcher.
    Updated,
    /// A later launcher's word.
    #[serde(other)]
    Other,
}

/// Where an operation has brought a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// Of the process, if one runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// See [`Reached`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Reached>,
    /// Of a process that ended; negative: the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// The reply to `start`, `stop` and `restart`, sent after the effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationReply {
    /// Which service.
    #[serde(default)]
    pub service_id: String,
    /// What was done.
    #[serde(default)]
    pub result: Done,
    /// False if it was so already.
    #[serde(default = "yes")]
    pub changed: bool,
    /// Where it is.
    #[serde(flatten)]
    pub outcome: Outcome,
}

const fn yes() -> bool {
    true
}

/// In which way a configured service differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum ChangeKind {
    Added,
    Changed,
    Removed,
}

impl ChangeKind {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// What a reload does with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consequence {
    /// It is started.
    Starts,
    /// It is stopped, and started anew.
    Restarts,
    /// It is stopped.
    Stops,
    /// It goes on as it is; what has changed concerns the launcher alone.
    GoesOn,
    /// It is not running, and is not started for it.
    StaysDown,
}

impl Consequence {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starts => "starts",
            Self::Restarts => "restarts",
            Self::Stops => "stops",
            Self::GoesOn => "goes on",
            Self::StaysDown => "stays down",
        }
    }

    /// Whether what the service does is interrupted.
    pub const fn interrupts(self) -> bool {
        matches!(self, Self::Restarts | Self::Stops)
    }
}

/// What a start waits for: a service, or all of lower levels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wait {
    /// The service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// All services below this level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below_level: Option<i64>,
    /// Seconds after which it is started anyway.
    pub at_most_s: f64,
}

/// One service in the reply to `reload`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceChange {
    /// Which.
    pub service_id: String,
    /// In which way it differs; missing where a request was repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeKind>,
    /// The changed fields, as the file names them.
    pub fields: Vec<String>,
    /// What becomes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<Consequence>,
    /// It reports `busy`, and would be interrupted.
    pub busy: bool,
    /// Seconds from its stop signal to SIGKILL, where it is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout_s: Option<f64>,
    /// What its start waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Wait>,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Done>,
    /// Where it is.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The reply to `reload`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReloadReply {
    /// Whether anything differs.
    pub changed: bool,
    /// Nothing was done.
    pub dry_run: bool,
    /// In the order of the file, then what is removed.
    pub services: Vec<ServiceChange>,
    /// How many services are as they were.
    pub unchanged: usize,
    /// What a reload cannot do, and other things to know.
    pub notes: Vec<String>,
}

/// Where a launcher has a service, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServicePhase {
    /// Known, and never started.
    Declared,
    /// For its turn, or for what it is to start after.
    Waiting,
    /// Not ready yet.
    Starting,
    /// Ready.
    Running,
    /// Told to stop.
    Stopping,
    /// Crashed; its restart comes.
    Backoff,
    /// On purpose.
    Stopped,
    /// A one-shot that is done.
    Completed,
    /// Given up.
    Failed,
}

/// One service in the reply to `list`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedService {
    /// Which.
    pub service_id: String,
    /// Where it is.
    pub status: ServicePhase,
    /// Of its process, if one runs.
    pub pid: Option<u32>,
    /// Seconds since its start.
    pub uptime_seconds: Option<f64>,
    /// Restarts since the launcher's start.
    pub restarts: u32,
    /// Of the last process that ended; negative: the signal.
    pub last_exit_code: Option<i32>,
    /// Whether it is to run at all.
    pub enabled: bool,
    /// It reports `busy`.
    pub busy: bool,
    /// `no`, `always`, `on-failure`, `on-abnormal`.
    pub restart_policy: String,
    /// Services that are to be ready before it.
    pub waiting_for: Vec<String>,
}

/// The reply to `list`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListReply {
    /// Path of the service file on the launcher's host.
    pub config: String,
    /// The launcher's host.
    pub host: String,
    /// The launcher's process.
    pub pid: u32,
    /// In the order of their names.
    pub services: Vec<ListedService>,
}

/// Who answered `list`: what a reader needs to find the launcher of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LauncherIdentity {
    /// Path of the service file on the launcher's host.
    pub config: Option<String>,
    /// The launcher's host.
    pub host: Option<String>,
}

/// Which output of a service a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error, where Python's log lines are.
    Stderr,
}

impl Stream {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// From its name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Stdout, Self::Stderr].into_iter().find(|stream| stream.as_str() == name)
    }
}

/// One line of a service's output: in the reply to `logs`, or as it was published.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct LogLine {
    /// When it was written.
    pub timestamp: Option<Timestamp>,
    /// Where it came from, if that is known.
    pub stream: Option<Stream>,
    /// How grave.
    pub level: Level,
    /// Who wrote it, as the line says.
    pub logger: Option<String>,
    /// The line.
    pub message: String,
}

impl LogLine {
    /// A line that was published on the service's journal subject; `stream` is that of its meta.
    pub fn published(line: &JournalMessage, stream: Option<&str>) -> Self {
        Self {
            timestamp: line.timestamp,
            stream: stream.and_then(Stream::from_name),
            level: line.level,
            logger: None,
            message: line.message.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for LogLine {
    /// An object, or bare text; what is missing or of a wrong type in it is not known.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let message = value.as_str().or_else(|| text("message")).or_else(|| text("text"));
        let elements = value.get("timestamp").and_then(Value::as_array);
        let elements: Option<Vec<i64>> =
            elements.map(|all| all.iter().filter_map(Value::as_i64).collect());
        Ok(Self {
            timestamp: elements.and_then(|elements| Timestamp::from_elements(&elements)),
            stream: text("stream").and_then(Stream::from_name),
            level: value.get("level").and_then(Value::as_i64).map_or(Level::INFO, Level),
            logger: text("logger").map(str::to_owned),
            message: message.unwrap_or_default().to_owned(),
        })
    }
}

/// The reply to `logs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogsReply {
    /// Which service.
    pub service_id: String,
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// Older lines that are no longer held.
    pub dropped: u64,
    /// Whether it was never started; an older launcher does not say.
    pub never_started: Option<bool>,
}

/// Reads the data of a reply.
pub fn read_reply<T: DeserializeOwned>(data: &Map<String, Value>) -> Result<T, String> {
    T::deserialize(data).map_err(|error| format!("the reply cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_parameter_of_a_wrong_type_is_an_error_and_not_another_operation() {
        let read = |value| StopRequest::read(&map(value));
        assert_eq!(read(json!({})), Ok(StopRequest::default()));
        assert_eq!(read(json!({"when_idle": null, "x": 1})), Ok(StopRequest::default()));
        assert_eq!(
            read(json!({"when_idle": "yes"})),
            Err("`when_idle` must be true or false".into())
        );
        let wait = read(json!({"when_idle": true, "max_wait_s": 1.5}));
        assert_eq!(wait, Ok(StopRequest { when_idle: true, max_wait_s: Some(1.5) }));
        assert!(read(json!({"max_wait_s": -1})).is_err());
        assert!(LogsRequest::read(&map(json!({"lines": -3}))).is_err());
    }

    #[test]
    fn replies_of_older_and_of_later_launchers_are_read() {
        let old = json!({"service_id": "a.b", "result": "started", "pid": 7, "launcher_id": "x"});
        let old: OperationReply = read_reply(&map(old)).unwrap();
        assert!(old.changed && old.outcome.pid == Some(7));
        let later = json!({"service_id": "a.b", "result": "hibernated", "exit_code": null});
        let later: OperationReply = read_reply(&map(later)).unwrap();
        assert_eq!((later.result, later.result.as_str()), (Done::Other, "done"));
        assert!(read_reply::<OperationReply>(&Map::new()).unwrap().changed);

        let logs = json!({"lines": ["bare", {"text": "old", "level": 40}, {"stream": "x"}, 3]});
        let logs: LogsReply = read_reply(&map(logs)).unwrap();
        let lines: Vec<_> = logs.lines.iter().map(|it| (it.message.as_str(), it.level.0)).collect();
        assert_eq!(lines, [("bare", 20), ("old", 40), ("", 20), ("", 20)]);
        assert_eq!(logs.never_started, None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let change = ServiceChange {
            service_id: "a.b".into(),
            change: Some(ChangeKind::Changed),
            then: Some(Consequence::GoesOn),
            outcome: Outcome { state: Some(Reached::Updated), ..Outcome::default() },
            ..ServiceChange::default()
        };
        let reply = ReloadReply { changed: true, services: vec![change], ..ReloadReply::default() };
        let written = map(serde_json::to_value(&reply).unwrap());
        assert_eq!(written["services"][0]["then"], "goes_on");
        assert_eq!(read_reply::<ReloadReply>(&written), Ok(reply));
    }
}
