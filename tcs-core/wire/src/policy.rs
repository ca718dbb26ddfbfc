//! When a service is started again: as a launcher's file says it, its supervisor decides by it,
//! and its events tell it (`docs/spec/configuration.md#restart-policy`).

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which ends that nobody asked for lead to a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartWhen {
    /// None.
    No,
    /// All.
    Always,
    /// A code other than 0, or a signal.
    OnFailure,
    /// A signal, or a code above 128.
    OnAbnormal,
}

impl RestartWhen {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::No, Self::Always, Self::OnFailure, Self::OnAbnormal];

    /// As it is written in a file and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::OnAbnormal => "on-abnormal",
        }
    }
}

/// The restart policy of one service.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// Which ends it answers.
    pub when: RestartWhen,
    /// From the end to the new start; 5 s.
    pub delay: Duration,
    /// How many restarts `window` may hold; `None` is without limit.
    pub limit: Option<NonZeroU32>,
    /// How far back restarts count; 60 s. A run that lasts as long also resets the back-off.
    pub window: Duration,
    /// Makes each delay longer than the last.
    pub backoff: Option<Backoff>,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            when: RestartWhen::No,
            delay: Duration::from_secs(5),
            limit: None,
            window: Duration::from_mins(1),
            backoff: None,
        }
    }
}

/// Delays that grow: `delay`, `delay * factor`, `delay * factor²`, ... up to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// From one delay to the next, 1 or more; 2.
    pub factor: f64,
    /// The longest; 300 s.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { factor: 2.0, max: Duration::from_mins(5) }
    }
}
