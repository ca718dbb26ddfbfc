//! The inputs and effects of the outbox machine.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::lane::Class;
use crate::outgoing::OutgoingMessage;

/// What became of a message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A stream has it.
    Stored { stream: String, sequence: u64 },
    /// The message was sent without a request for an acknowledgement.
    Told,
    /// The server says that nobody listens to the subject: no stream, or one without a leader.
    NoResponders,
    /// No answer came, or one that is not a stream's: it may be stored.
    Unanswered,
    /// The stream refuses it for now: it is not stored.
    Refused(String),
    /// Acknowledgements cannot be received: the right to listen to them is missing.
    Deaf(String),
    /// The message can never be stored.
    Never(String),
}

/// What the server says of streams for a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Streams {
    /// There is one.
    Held,
    /// There is none, and why that is known.
    None(String),
    /// The request is not permitted.
    Denied(String),
    /// The server cannot answer at present.
    Unknown,
}

/// What looking up a message by its id has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The stream has it, at this sequence.
    Stored(u64),
    /// The stream does not have it.
    Absent,
    /// The stream did not answer.
    Unanswered,
    /// Streams may not be read.
    Forbidden,
}

/// Something to be done.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    /// Send it; `ask`: and wait for the answer of a stream.
    Send { class: Class, serial: u64, attempt: u32, parcel: OutgoingMessage, ask: bool },
    /// Ask for the streams that hold this subject.
    AskStreams { class: Class, subject: String },
    /// Look for a message behind this sequence of its stream (the last one known to be stored).
    LookUp {
        class: Class,
        serial: u64,
        attempt: u32,
        parcel: OutgoingMessage,
        after: Option<(String, u64)>,
    },
    /// Streams exist that were missing: what was sent meanwhile must be sent again.
    SayAgain,
    /// For the log.
    Log(Remark),
}

/// What is logged for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remark {
    /// No stream holds messages of this class: they are sent and not stored.
    NoStream(Class, String),
    /// A stream holds them now.
    StreamThere(Class),
    /// A stream does not take them.
    NotStored(Class, String),
    /// The stream stores messages again, after an outage of this length.
    StoredAgain(Class, Duration),
    /// A message can never be stored.
    GivenUp(Class, String),
    /// There was no room for so many messages, since the beginning.
    Dropped(u64),
}

/// Numbers of an outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Not sent yet.
    pub waiting: usize,
    /// Sent.
    pub sent: u64,
    /// Given up for want of room.
    pub dropped: u64,
    /// Given up because they could never arrive.
    pub refused: u64,
}

/// How far the numbered events of a program have come: what the next run of it must know to tell
/// which of them are missing, should this one be killed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventMarks {
    /// Events that wait to be stored. Of the first it is not known whether it is.
    pub waiting: u64,
    /// Subject and `Nats-Msg-Id` of the first; empty where none waits.
    pub subject: String,
    /// See `subject`.
    pub msg_id: String,
    /// Stream and sequence of the last event that is known to be stored.
    pub stored: Option<(String, u64)>,
    /// Events that are missing for ever, of earlier runs too.
    pub lost: u64,
}

/// Messages of one class that are not stored, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// Which messages.
    pub class: Class,
    /// The server's error text, or what else is known.
    pub reason: String,
    /// Since when.
    pub since: Instant,
}
