//! The control protocol: what launchers and services are asked, and what they answer. A request is
//! sent to `<prefix>.rpc.<name>.v1.<command>`; see [`crate::rpc`] for the envelope.
//!
//! Reading is tolerant: fields that are unknown are ignored, those that an older launcher does not
//! send have a default, and what is of a wrong type in a reply is left out and named. A parameter of
//! a wrong type is an error, since what would be done without it may be something else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod logs;
mod reply;
mod requests;
mod resources;
#[cfg(test)]
mod tests;

pub use logs::{LogLine, LogRun, LogsReply, Stream};
pub use reply::{Partly, read_reply};
pub use requests::{
    DrillRequest, Fault, LogsRequest, MAX_COMMENT, MAX_DRILL_S, MAX_WAIT_S, ProfileRequest,
    ReloadRequest, StopRequest,
};
pub use resources::{
    CrashFigures, HostFigures, Oom, PastFigures, ResourcesReply, ResourcesRequest, Scope,
    ServiceFigures,
};

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
    /// [`super::UpgradeReply`].
    pub const UPGRADE: &str = "upgrade";
    /// [`super::ProfileRequest`]; [`super::ReloadReply`], or [`super::ProfilesReply`] where no profile
    /// is chosen.
    pub const PROFILE: &str = "profile";
    /// [`super::DrillRequest`], [`super::DrillReply`].
    pub const DRILL: &str = "drill";
    /// [`super::ListReply`].
    pub const LIST: &str = "list";
    /// [`super::LogsRequest`], [`super::LogsReply`].
    pub const LOGS: &str = "logs";
    /// [`super::ResourcesRequest`], [`super::ResourcesReply`].
    pub const RESOURCES: &str = "resources";
    /// Asked of a service itself.
    pub const HEALTH: &str = "health";
    /// Asked of a service itself.
    pub const STATS: &str = "stats";
    /// Asked of a service itself: which commands it has.
    pub const COMMANDS: &str = "commands";
}

/// What an operation has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
#[non_exhaustive]
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
#[serde(default)]
pub struct OperationReply {
    /// Which service.
    pub service_id: String,
    /// What was done.
    pub result: Done,
    /// False if it was so already.
    pub changed: bool,
    /// Where it is.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Default for OperationReply {
    fn default() -> Self {
        let (result, outcome) = (Done::default(), Outcome::default());
        Self { service_id: String::new(), result, changed: true, outcome }
    }
}

/// In which way a configured service differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
#[non_exhaustive]
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
#[non_exhaustive]
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

/// The reply to `profile` where none is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfilesReply {
    /// The one that was chosen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Those of the launcher's file: which services belong to each.
    pub profiles: BTreeMap<String, Vec<String>>,
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
    /// The program's version.
    pub version: String,
    /// How often another program has taken over in that process.
    pub upgrades: u64,
    /// In the order of their names.
    pub services: Vec<ListedService>,
}

/// The reply to `upgrade`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpgradeReply {
    /// A new program takes over just now; false: it runs already.
    pub changed: bool,
    /// The program's file on the launcher's host.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The version of the program that ran when it was asked.
    pub was: String,
    /// What [`ListReply::upgrades`] will be.
    pub upgrades: u64,
}

/// The reply to `drill`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrillReply {
    /// The service that was asked about.
    pub service_id: String,
    /// The fault that is made; absent: none is, any more.
    pub fault: Option<Fault>,
    /// It ends by itself after so many seconds.
    pub for_s: f64,
}

/// Who answered `list`: what a reader needs to find the launcher of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LauncherIdentity {
    /// Path of the service file on the launcher's host.
    pub config: Option<String>,
    /// The launcher's host.
    pub host: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// The program's version.
    pub version: Option<String>,
    /// How often another program has taken over in its process.
    pub upgrades: u64,
}
