//! One transition: what is told of it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::{Event, Status};

use crate::{Reason, Verdict};

/// One thing that happened to one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// When it happened, by the broker's clock.
    pub at: DateTime<Utc>,
    /// How much later the broker stored the message that tells of it; zero where no message does.
    pub delivered_late: TimeDelta,
    /// To which service; of a reboot, the launcher that tells of it.
    pub id: Arc<str>,
    /// What made it.
    pub cause: Cause,
    /// Who asked for it, where somebody did.
    pub by: Option<String>,
    /// The verdict before, where it was another and is known.
    pub before: Option<Before>,
    /// The verdict from then on.
    pub verdict: Verdict,
    /// Why it is that, the decisive one first.
    pub reasons: Vec<Reason>,
}

impl Transition {
    /// Whether it only tells that a service that is well works or rests.
    pub fn is_routine(&self) -> bool {
        let is_well = |status: Status| matches!(status, Status::Ok | Status::Idle | Status::Busy);
        match &self.cause {
            Cause::Status { from, to, .. } => {
                self.before.is_none()
                    && from.map_or(*to != Status::Ok, |(from, _)| is_well(from))
                    && is_well(*to)
            }
            Cause::Event { .. }
            | Cause::Heartbeat
            | Cause::Reboot { .. }
            | Cause::Profile { .. } => false,
        }
    }

    /// How grave it is: of a status what that alone would make of the service.
    pub const fn severity(&self) -> Verdict {
        match &self.cause {
            Cause::Event { .. } | Cause::Heartbeat => self.verdict,
            Cause::Reboot { .. } => Verdict::Degraded,
            Cause::Profile { .. } => super::profiles::SEVERITY,
            Cause::Status { to, .. } => match to {
                Status::Unknown | Status::Shutdown => Verdict::Stopped,
                Status::Ok | Status::Idle | Status::Busy => Verdict::Ok,
                Status::Startup => Verdict::Starting,
                Status::Degraded | Status::Warning => Verdict::Degraded,
                Status::Error => Verdict::Error,
                Status::Failed => Verdict::Failed,
            },
        }
    }
}

/// The verdict that a transition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// What it was.
    pub verdict: Verdict,
    /// For how long; `None`: since when is not known.
    pub lasted: Option<TimeDelta>,
    /// Whether its main loop was blocked then, while heartbeats came.
    pub blocked: bool,
}

/// What made a transition.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// A launcher's event.
    Event {
        /// As it was sent.
        event: Event,
        /// The launcher.
        launcher: Option<String>,
        /// Of an end: how long the run had lasted.
        ran: Option<TimeDelta>,
    },
    /// The service reports another status than before.
    Status {
        /// The one before, and for how long it was reported; `None`: none that is known.
        from: Option<(Status, TimeDelta)>,
        /// The one that it reports now.
        to: Status,
        /// The message that goes with it.
        message: Option<String>,
    },
    /// Heartbeats stopped, came again, or tell of a main loop that is blocked.
    Heartbeat,
    /// The host of the launcher was booted.
    Reboot {
        /// Its name, in full.
        host: Arc<str>,
    },
    /// The launcher has moved to another profile.
    Profile {
        /// Its name; `None`: it has left the one that it had.
        name: Option<String>,
        /// The one before.
        before: Option<String>,
    },
}
