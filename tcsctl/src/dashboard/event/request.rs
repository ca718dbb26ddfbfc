//! What launchers are asked for, and their answers.

use std::sync::Arc;

use chrono::TimeDelta;
use tcs_core::wire::control::{ProfilesReply, ReloadReply, command};

/// What a person wants of a service, or of a launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Start it.
    Start,
    /// End it.
    Stop,
    /// End it and start it.
    Restart,
    /// Of a launcher: run another set of services.
    Profile,
}

impl Operation {
    /// The word, as in the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => command::START,
            Self::Stop => command::STOP,
            Self::Restart => command::RESTART,
            Self::Profile => command::PROFILE,
        }
    }
}

/// What a request says beside the operation and the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Of a stop: it waits until the service is idle.
    pub when_idle: bool,
    /// Of a stop: for which planned work.
    pub comment: Option<Arc<str>>,
    /// Of a profile: its name; `None`: without one.
    pub profile: Option<Arc<str>>,
}

/// A request to a launcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// To which service; of a profile, the launcher.
    pub service: Arc<str>,
    /// The launcher that is asked.
    pub launcher: Arc<str>,
    /// What else is said.
    pub parameters: Parameters,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What was asked.
    pub request: Request,
    /// The result in words, or why there is none.
    pub outcome: Result<String, String>,
    /// How long it took.
    pub took: TimeDelta,
}

/// Which profiles launchers have, by launcher; or why that is not known.
pub type ProfilesRead = Vec<(Arc<str>, Result<ProfilesReply, String>)>;

/// What would change in a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfilePlan {
    /// Its name; `None`: without one.
    pub name: Option<Arc<str>>,
    /// By launcher; or why that is not known.
    pub plans: Vec<(Arc<str>, Result<ReloadReply, String>)>,
}
