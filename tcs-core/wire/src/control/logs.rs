//! Lines of a service's output: in the reply to `logs`, or as they were published.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{JournalMessage, Level, Meta, Timestamp};

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
    /// The run of the service that wrote it, counted by its launcher from 1; an older one does not
    /// say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// The line.
    pub message: String,
}

impl LogLine {
    /// A line that was published on the service's journal subject, with what its meta says.
    pub fn published(line: &JournalMessage, meta: &Meta) -> Self {
        Self {
            timestamp: line.timestamp,
            stream: meta.stream.as_deref().and_then(Stream::from_name),
            level: line.level,
            logger: None,
            run: meta.run,
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
            run: value.get("run").and_then(Value::as_u64),
            message: message.unwrap_or_default().to_owned(),
        })
    }
}

/// The reply to `logs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// The run that is asked for, or the present one; an older launcher does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// How its last runs ended, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<LogRun>,
}

/// How a run of a service ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogRun {
    /// Which, counted by its launcher from 1.
    pub run: u64,
    /// When.
    pub ended_at: Option<Timestamp>,
    /// With which code; -n: by signal n. None if it has not been started, or was a task.
    pub exit_code: Option<i32>,
    /// How long it lasted, in seconds.
    pub uptime_s: Option<f64>,
    /// Whether it failed.
    pub crashed: bool,
}
