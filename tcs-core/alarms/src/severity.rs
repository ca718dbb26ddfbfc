//! How urgent an alarm is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How urgent an alarm is; the more urgent, the greater.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Shown; by default nobody is notified.
    Info,
    /// Wants a look.
    #[default]
    Warning,
    /// Wants somebody now.
    Critical,
}

impl Severity {
    /// All, the least urgent first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
