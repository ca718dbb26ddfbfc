//! What the supervisor knows of a service: what it needs to decide, and nothing of how it is run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schedule::Schedule;

pub use tcs_wire::id::ServiceId;
pub use tcs_wire::policy::{Backoff, RestartPolicy, RestartWhen};

/// One service as configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Its id, unique in one supervisor.
    pub id: ServiceId,
    /// Started by itself at launch; otherwise only when somebody asks.
    pub enabled: bool,
    /// Started at these times, and not at launch.
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// What follows an end that nobody asked for.
    pub restart: RestartPolicy,
    /// When it counts as up.
    pub readiness: Readiness,
    /// How long its start-up holds up those that come after it.
    pub start_timeout: Duration,
    /// From the stop signal to SIGKILL.
    pub stop_timeout: Duration,
    /// Services whose start-up comes first, where they are on their way at all.
    pub after: Vec<ServiceId>,
    /// Lower levels start first, and stop last.
    pub level: i64,
}

impl Spec {
    /// It is to run as long as the launcher does.
    pub(crate) fn starts_by_itself(&self) -> bool {
        self.enabled && self.schedule.is_none()
    }
}

/// When a service counts as up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Readiness {
    /// As soon as it is started.
    AtOnce,
    /// When it is reported ready, however long that takes (a Python one-shot says `startup`
    /// until it is done). It holds the others up for [`Spec::start_timeout`] at most.
    Reported,
    /// When it is reported ready; a start that takes longer has failed.
    Within(Duration),
}
