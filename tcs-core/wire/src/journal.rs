//! Log lines: `<prefix>.journal.<name>`, in serverish's form.
//!
//! serverish's reader fails on any field of `data` that it does not know, so what we add (the
//! service, the stream, the process) is in [`super::Meta`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::tolerant::{Field, Notes, take_struct};

/// `meta.message_type` of a journal line.
pub const MESSAGE_TYPE: &str = "journal.publish";

/// A Python logging level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(pub i64);

impl Level {
    /// 10
    pub const DEBUG: Self = Self(10);
    /// 20
    pub const INFO: Self = Self(20);
    /// 25, serverish's own
    pub const NOTICE: Self = Self(25);
    /// 30
    pub const WARNING: Self = Self(30);
    /// 40
    pub const ERROR: Self = Self(40);
    /// 50
    pub const CRITICAL: Self = Self(50);

    /// The name of the level at or below this number.
    pub const fn name(self) -> &'static str {
        match self.0 {
            i64::MIN..20 => "DEBUG",
            20..25 => "INFO",
            25..30 => "NOTICE",
            30..40 => "WARNING",
            40..50 => "ERROR",
            50.. => "CRITICAL",
        }
    }

    /// From a name as Python's `logging` prints it, any case; `WARN` and `FATAL` too.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "TRACE" | "DEBUG" => Self::DEBUG,
            "INFO" => Self::INFO,
            "NOTICE" => Self::NOTICE,
            "WARN" | "WARNING" => Self::WARNING,
            "ERROR" => Self::ERROR,
            "CRITICAL" | "FATAL" => Self::CRITICAL,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One log line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JournalMessage {
    /// Groups lines that belong together.
    pub conversation_id: String,
    /// How grave.
    pub level: Level,
    /// The line.
    pub message: String,
    /// When it was written.
    pub timestamp: Option<Timestamp>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// What the line does; always `publish` from us.
    pub op: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawJournal {
    conversation_id: Field<String>,
    level: Field<i64>,
    message: Field<String>,
    timestamp: Field<Timestamp>,
    explanation: Field<String>,
    op: Field<String>,
}
take_struct!(RawJournal);

impl RawJournal {
    pub(super) fn read(self, notes: &mut Notes) -> JournalMessage {
        JournalMessage {
            conversation_id: notes
                .text(self.conversation_id, "conversation_id")
                .unwrap_or_default(),
            level: Level(notes.take(self.level, "level").unwrap_or(Level::INFO.0)),
            message: notes.text(self.message, "message").unwrap_or_default(),
            timestamp: notes.take(self.timestamp, "timestamp"),
            explanation: notes.text(self.explanation, "explanation"),
            op: notes.text(self.op, "op").unwrap_or_else(|| "publish".to_owned()),
        }
    }
}
