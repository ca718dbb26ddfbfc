//! What a piece of text is, and by that how it looks: whoever lays text out names a [`Role`], never a
//! colour. A terminal's themes, a style sheet and golden files each have a table of their own. No
//! meaning is told by colour alone.

use tcs_fleet::{Liveness, Verdict};
use tcs_wire::{Level, Status};

/// What a piece of text is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// As it is.
    #[default]
    Text,
    /// Of less weight.
    Dim,
    /// Of more weight.
    Strong,
    /// Headings of columns and sections.
    Title,
    /// Lines between panes.
    Border,
    /// A key that can be pressed.
    Key,
    /// What is entered, or chosen to be so: filter, sort.
    Accent,
    /// Well.
    Good,
    /// Changing.
    Moving,
    /// Wants attention.
    Warn,
    /// Broken.
    Bad,
    /// Broken, and to be seen from across the room: a bar over the width.
    Alarm,
    /// The bar that says that this is not now.
    Past,
    /// The chosen row; laid over whatever is there.
    Selected,
    /// The chosen row while another pane has the keys.
    SelectedDim,
    /// Dialogs in front.
    Dialog,
    /// What a search has found.
    Match,
}

impl Role {
    /// Its name in golden files and style sheets.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Dim => "dim",
            Self::Strong => "strong",
            Self::Title => "title",
            Self::Border => "border",
            Self::Key => "key",
            Self::Accent => "accent",
            Self::Good => "good",
            Self::Moving => "moving",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Alarm => "alarm",
            Self::Past => "past",
            Self::Selected => "selected",
            Self::SelectedDim => "selected-dim",
            Self::Dialog => "dialog",
            Self::Match => "match",
        }
    }
}

impl From<Verdict> for Role {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Failed | Verdict::Lost | Verdict::Error => Self::Bad,
            Verdict::Restarting | Verdict::Late | Verdict::Degraded => Self::Warn,
            Verdict::Starting | Verdict::Stopping => Self::Moving,
            Verdict::Ok => Self::Good,
            Verdict::Stopped | Verdict::Unknown => Self::Dim,
        }
    }
}

impl From<Liveness> for Role {
    fn from(liveness: Liveness) -> Self {
        match liveness {
            Liveness::Live => Self::Good,
            Liveness::Late => Self::Warn,
            Liveness::Lost => Self::Bad,
            Liveness::None => Self::Dim,
        }
    }
}

/// Of a status as a service reports it.
impl From<Status> for Role {
    fn from(status: Status) -> Self {
        match status {
            Status::Failed | Status::Error => Self::Bad,
            Status::Warning | Status::Degraded => Self::Warn,
            Status::Startup | Status::Shutdown => Self::Moving,
            Status::Ok | Status::Busy | Status::Idle => Self::Good,
            Status::Unknown => Self::Dim,
        }
    }
}

/// Of a line of a log.
impl From<Level> for Role {
    fn from(level: Level) -> Self {
        match level {
            level if level >= Level::ERROR => Self::Bad,
            level if level >= Level::WARNING => Self::Warn,
            level if level < Level::INFO => Self::Dim,
            _ => Self::Text,
        }
    }
}
