//! What commands take behind their names in the palette.

use super::table::Command;

/// What is typed behind the name of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are named")]
pub enum Argument {
    Time,
    Filter,
    Theme,
    Column,
    View,
    Service,
    Host,
    Maintenance,
    Profile,
}

impl Argument {
    /// As it stands behind the name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "TIME",
            Self::Filter => "FILTER",
            Self::Theme => "THEME",
            Self::Column => "COLUMN",
            Self::View => "VIEW",
            Self::Service => "SERVICE",
            Self::Host | Self::Maintenance => "HOST",
            Self::Profile => "PROFILE",
        }
    }
}

impl Command {
    /// What can be typed behind its name in the palette; `None`: nothing.
    pub const fn argument(self) -> Option<Argument> {
        match self {
            Self::At => Some(Argument::Time),
            Self::Filter => Some(Argument::Filter),
            Self::Theme => Some(Argument::Theme),
            Self::Sort => Some(Argument::Column),
            Self::View => Some(Argument::View),
            Self::Maintenance => Some(Argument::Host),
            Self::EndMaintenance => Some(Argument::Maintenance),
            Self::Profile => Some(Argument::Profile),
            Self::Open
            | Self::Logs
            | Self::Why
            | Self::Restart
            | Self::Stop
            | Self::Start
            | Self::StopForWork => Some(Argument::Service),
            _ => None,
        }
    }
}
