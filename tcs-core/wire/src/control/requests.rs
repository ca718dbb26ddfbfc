//! Parameters of requests.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest time in seconds that a stop may be asked to wait for an idle service: 30 days.
pub const MAX_WAIT_S: f64 = 30.0 * 24.0 * 3600.0;

/// Characters of a comment, at most.
pub const MAX_COMMENT: usize = 500;

/// Characters of a profile's name, at most.
const MAX_PROFILE: usize = 100;

/// Parameters of `stop` and `restart`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StopRequest {
    /// Wait until the service does not report `busy`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub when_idle: bool,
    /// But at most for so many seconds; without it as long as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait_s: Option<f64>,
    /// Of `stop`: for which planned work. The service stays stopped until somebody starts it, also
    /// when the launcher starts again. [`MAX_COMMENT`] characters at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl StopRequest {
    /// From the data of a request.
    pub fn read(data: &Map<String, Value>) -> Result<Self, String> {
        let max_wait_s = parameter(data, "max_wait_s", "a number of seconds")?;
        if max_wait_s.is_some_and(|wait| !(0.0..=MAX_WAIT_S).contains(&wait)) {
            return Err(format!("`max_wait_s` must be between 0 and {MAX_WAIT_S}"));
        }
        let when_idle = parameter(data, "when_idle", "true or false")?.unwrap_or_default();
        let comment: Option<String> = parameter(data, "comment", "a text")?;
        if comment.as_ref().is_some_and(|it| it.trim().is_empty()) {
            return Err("`comment` is empty".to_owned());
        }
        if comment.as_ref().is_some_and(|it| it.chars().count() > MAX_COMMENT) {
            return Err(format!("`comment` must have at most {MAX_COMMENT} characters"));
        }
        Ok(Self { when_idle, max_wait_s, comment })
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

/// Parameters of `profile`; without a name and without `clear`, the reply lists the profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProfileRequest {
    /// The profile to move to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// To none: to what the file says without profiles.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clear: bool,
    /// Only tell what would change.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl ProfileRequest {
    /// From the data of a request.
    pub fn read(data: &Map<String, Value>) -> Result<Self, String> {
        let name: Option<String> = parameter(data, "name", "a text")?;
        let clear = parameter(data, "clear", "true or false")?.unwrap_or_default();
        let dry_run = parameter(data, "dry_run", "true or false")?.unwrap_or_default();
        if name.is_some() && clear {
            return Err("`name` and `clear` exclude each other".to_owned());
        }
        if name.as_ref().is_some_and(|it| it.chars().count() > MAX_PROFILE) {
            return Err(format!("`name` must have at most {MAX_PROFILE} characters"));
        }
        Ok(Self { name, clear, dry_run })
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
    /// Of which run: 0 the present one, -1 the one before. Without it of all runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
}

impl LogsRequest {
    /// From the data of a request.
    pub fn read(data: &Map<String, Value>) -> Result<Self, String> {
        Ok(Self {
            lines: parameter(data, "lines", "a number of lines")?,
            follow_s: parameter(data, "follow_s", "a number of seconds")?,
            run: parameter(data, "run", "0, or -1 for the run before")?,
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

/// A fault that is made on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The process of the service is killed.
    Crash,
    /// It is stopped by a signal.
    Freeze,
    /// It writes very much.
    Flood,
    /// The clock of its launcher is wrong.
    Clock,
    /// Its launcher does not reach the broker.
    Broker,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crash, Self::Freeze, Self::Flood, Self::Clock, Self::Broker];

    /// As it is typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Freeze => "freeze",
            Self::Flood => "flood",
            Self::Clock => "clock",
            Self::Broker => "broker",
        }
    }
}

/// The longest drill, in seconds.
pub const MAX_DRILL_S: f64 = 600.0;

/// Parameters of `drill`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct DrillRequest {
    /// What to make; without it, what is made ends now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// It ends by itself after so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_s: Option<f64>,
}

impl DrillRequest {
    /// From the data of a request.
    pub fn read(data: &Map<String, Value>) -> Result<Self, String> {
        let words = "crash, freeze, flood, clock or broker";
        let fault: Option<String> = parameter(data, "fault", words)?;
        let known = |word: &str| Fault::ALL.into_iter().find(|it| it.as_str() == word);
        let fault = fault.map(|word| known(&word).ok_or(format!("`fault` must be {words}")));
        let for_s = parameter(data, "for_s", "a number of seconds")?;
        if for_s.is_some_and(|span| !(1.0..=MAX_DRILL_S).contains(&span)) {
            return Err(format!("`for_s` must be between 1 and {MAX_DRILL_S}"));
        }
        Ok(Self { fault: fault.transpose()?, for_s })
    }
}
