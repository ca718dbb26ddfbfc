//! Verdict, phase and liveness of a service (`docs/spec/truth.md#phase` to
//! `docs/spec/truth.md#verdict`).

use std::fmt;

/// What the symbol and the colour say, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Given up, or it reports that it is unusable.
    Failed,
    /// Should be running, and sends nothing.
    Lost,
    /// Running, and it reports that something is broken.
    Error,
    /// Crashed, and being started again.
    Restarting,
    /// Running, and its heartbeats or its main loop are late; or it waits for too long to be
    /// started.
    Late,
    /// Running, and something is not as it should be.
    Degraded,
    /// Its first start is under way, or waits for other services.
    Starting,
    /// Ending.
    Stopping,
    /// Not known.
    Unknown,
    /// Running well.
    Ok,
    /// Not running, and not meant to; or no longer configured.
    Stopped,
}

impl Verdict {
    /// All, worst first.
    pub const ALL: [Self; 11] = [
        Self::Failed,
        Self::Lost,
        Self::Error,
        Self::Restarting,
        Self::Late,
        Self::Degraded,
        Self::Starting,
        Self::Stopping,
        Self::Unknown,
        Self::Ok,
        Self::Stopped,
    ];

    /// The word, as in `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Error => "error",
            Self::Restarting => "restarting",
            Self::Late => "late",
            Self::Degraded => "degraded",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Stopped => "stopped",
        }
    }

    /// Something a person should look at: failed, lost, error, restarting, late or degraded.
    pub const fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Failed
                | Self::Lost
                | Self::Error
                | Self::Restarting
                | Self::Late
                | Self::Degraded
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a service is in its life, from the registry's events and its own messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Configured, not started.
    Declared,
    /// To be started, once the services that it is `after` are ready.
    Waiting,
    /// Being started.
    Starting,
    /// Up.
    Running,
    /// Asked to stop.
    Stopping,
    /// Ended, as intended.
    Stopped,
    /// Ended by itself with all done.
    Completed,
    /// Crashed, waiting to be started again.
    Backoff,
    /// Given up.
    Failed,
}

impl Phase {
    /// The word, as in `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }

    /// Whether a process or task should be there now.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the heartbeats tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Liveness {
    /// The last one is under 3 intervals old.
    Live,
    /// Under 12.
    Late,
    /// From there on.
    Lost,
    /// None is held of the present run.
    None,
}

impl Liveness {
    /// The word, as in `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Late => "late",
            Self::Lost => "lost",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
