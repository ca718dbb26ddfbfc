//! What fills the screen.

/// One of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Page {
    /// The table, and what there is room for beside it.
    Fleet,
    /// All about the chosen service.
    Detail,
    /// Its output.
    Logs,
    /// What happened.
    Events,
    /// Open alarms.
    Alarms,
    /// Why the chosen service is as it is.
    Why,
    /// The past: a row for each service.
    Timeline,
}

impl Page {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Fleet,
        Self::Detail,
        Self::Logs,
        Self::Events,
        Self::Alarms,
        Self::Why,
        Self::Timeline,
    ];

    /// For headings and messages: `the logs page`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Detail => "detail",
            Self::Logs => "logs",
            Self::Events => "events",
            Self::Alarms => "alarms",
            Self::Why => "why",
            Self::Timeline => "timeline",
        }
    }
}
