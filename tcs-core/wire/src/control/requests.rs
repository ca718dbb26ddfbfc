//! Parameters of requests.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
pub(super) fn parameter<T: DeserializeOwned>(
    data: &Map<String, Value>,
    name: &str,
    expected: &str,
) -> Result<Option<T>, String> {
    let value = data.get(name).unwrap_or(&Value::Null);
    Option::deserialize(value).map_err(|_| format!("`{name}` must be {expected}"))
}
