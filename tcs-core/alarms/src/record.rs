//! What is stored of alarms: the bodies of `<prefix>.alarm.>`
//! (`docs/spec/alarms.md#stream-and-subjects`). Unknown fields are ignored; a body without what it
//! must say is refused whole.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tcs_wire::text::cut;
use tcs_wire::{DecodeError, Envelope, Meta, Timestamp};

use crate::address::Address;
use crate::id::{AlarmId, Episode};
use crate::severity::Severity;

/// Where a message stands in a stream; orders messages of one stream, also one made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// When the stream was created.
    pub created: Timestamp,
    /// The message's sequence number in it.
    pub seq: u64,
}

/// Where and when a message stood first that was written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Original {
    /// Its place.
    #[serde(flatten)]
    pub place: Place,
    /// When it was stored.
    pub at: Timestamp,
}

/// Whether the condition of an alarm holds; other records say whether it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Over, and nobody has to see it.
    Normal,
    /// It holds.
    Active,
    /// Over, and to be seen by somebody (`latch`).
    Returned,
}

/// Why people are notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was raised, or raised again.
    Raised,
    /// It became more severe.
    Severity,
    /// It comes and goes, and is held active.
    Chatter,
    /// It no longer comes and goes, and is active.
    ChatterEnded,
    /// The alarm of its cause is over, and it is not.
    CauseEnded,
    /// The acknowledgement expired or was taken back.
    Unacknowledged,
    /// Its shelf ended.
    ShelfEnded,
    /// Nobody has acknowledged it since the last step.
    Escalation,
    /// It is over.
    Cleared,
    /// Many alarms in one message.
    Digest,
    /// Nothing is wrong: somebody tries whether a channel works.
    Test,
    /// Nothing is wrong: the report of a shift.
    Report,
}

/// From when on people are to be notified of an active alarm, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Notify {
    /// By the broker's clock. Escalation counts from here.
    pub at: Timestamp,
    /// What happened then.
    pub why: Why,
}

/// `alarm.state.<rule>.<id>`: the condition of an alarm, whole, so that the last message suffices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRecord {
    /// Which raise it is about.
    pub episode: Episode,
    /// Counts the messages of an episode.
    pub rev: u64,
    /// Whether the condition holds.
    pub state: Condition,
    /// How urgent it is.
    pub severity: Severity,
    /// The highest severity of the episode.
    pub max_severity: Severity,
    /// When it came into `state`.
    pub since: Timestamp,
    /// The service's verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Codes of the reasons of the verdict.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// In one line, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The alarm that explains this one, which is then not notified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<AlarmId>,
    /// How often it was raised in this episode.
    #[serde(default = "one")]
    pub occurrences: u32,
    /// It comes and goes, and is held active until it is quiet.
    #[serde(default)]
    pub chatter: bool,
    /// The newest message of each kind (`registry`, `status`, `heartbeat`) that it rests on.
    #[serde(default)]
    pub evidence: BTreeMap<String, Place>,
    /// The sentinel that wrote it.
    pub by: String,
    /// From when on people are to be notified.
    pub notify: Notify,
    /// The message that began the newest occurrence; absent in that message itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised: Option<Place>,
    /// When it was raised lately, in earlier episodes too, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raises: Vec<Timestamp>,
}

const fn one() -> u32 {
    1
}

/// What an operator does about an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckOp {
    /// Acknowledges it: seen, and taken care of.
    Ack,
    /// Takes that back.
    Unack,
}

/// `alarm.ack.<rule>.<id>`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckRecord {
    /// What was acknowledged.
    pub episode: Episode,
    /// Done, or taken back.
    pub op: AckOp,
    /// It covers no higher severity than this.
    pub up_to: Severity,
    /// What the operator says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// From then on it does not count any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// `user@host`
    pub by: String,
    /// A sentinel wrote it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
    /// Where the operator's message stood, in one that was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
}

/// `alarm.note.<rule>.<id>`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteRecord {
    /// What it is about.
    pub episode: Episode,
    /// The text.
    pub note: String,
    /// `user@host`
    pub by: String,
}

/// What a shelf covers: all that both name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShelfMatch {
    /// Alarms of this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Alarms of services that this filter lets through, and of hosts that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// `alarm.shelf.<uuid>`: nobody is notified of what it covers, for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShelfRecord {
    /// What it covers.
    #[serde(rename = "match")]
    pub covers: ShelfMatch,
    /// When it ends.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// `user@host`
    pub by: String,
    /// It was ended before its time.
    #[serde(default)]
    pub ended: bool,
    /// A sentinel wrote it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
}

/// How far a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// A sentinel is sending it.
    Claim,
    /// It was sent.
    Done,
    /// It could not be sent.
    Failed,
}

/// `alarm.sent.<channel>.<rule>.<id>`: the newest notification about an alarm by a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentRecord {
    /// What it is about.
    pub episode: Episode,
    /// The revision of the state that it reports.
    pub rev: u64,
    /// Which step of the escalation, from 0.
    pub step: u32,
    /// How far it is.
    pub st: Delivery,
    /// Which attempt, from 1.
    #[serde(default = "one")]
    pub attempt: u32,
    /// Why it could not be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The newest `due` of its episode that an earlier record was `done` with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Timestamp>,
    /// The newest `due` of its episode of an attempt that got no answer: it may have arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsure: Option<Timestamp>,
    /// The moment since which it had to be sent; it does not cover what became due later.
    pub due: Timestamp,
    /// Why it was sent.
    pub why: Why,
    /// The sentinel that wrote it.
    pub by: String,
}

impl SentRecord {
    /// The newest `due` of its episode that was certainly sent.
    pub(crate) fn told(&self) -> Option<Timestamp> {
        self.told.max((self.st == Delivery::Done).then_some(self.due))
    }

    /// The newest `due` of its episode that may have been sent, once no attempt is in progress.
    pub(crate) fn unsure(&self) -> Option<Timestamp> {
        self.unsure.max((self.st == Delivery::Claim).then_some(self.due))
    }
}

/// `alarm.rules`: the rules that hold, of the first live sentinel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesRecord {
    /// As [`crate::RuleSet::to_text`] writes them.
    pub text: String,
    /// The sentinel that wrote it, or the operator.
    pub by: String,
    /// An operator applied them: they hold until others are applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub applied: bool,
}

/// The content of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A sentinel's, about the condition.
    State(StateRecord),
    /// An operator's.
    Ack(AckRecord),
    /// An operator's.
    Note(NoteRecord),
    /// An operator's.
    Shelf(ShelfRecord),
    /// A sentinel's, about notification.
    Sent(SentRecord),
    /// A sentinel's.
    Rules(RulesRecord),
}

#[derive(Deserialize)]
struct Body<T> {
    data: T,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    let body: Body<T> = serde_json::from_slice(body).map_err(|error| {
        // it may quote the message
        let mut text = error.to_string();
        cut(&mut text);
        DecodeError::NotJson(text)
    })?;
    Ok(body.data)
}

impl Record {
    /// Reads the body of a message at `address`.
    pub fn decode(address: &Address, body: &[u8]) -> Result<Self, DecodeError> {
        let mut record = match address {
            Address::State(_) => Self::State(read(body)?),
            Address::Ack(_) => Self::Ack(read(body)?),
            Address::Note(_) => Self::Note(read(body)?),
            Address::Shelf(_) => Self::Shelf(read(body)?),
            Address::Sent { .. } => Self::Sent(read(body)?),
            Address::Rules => Self::Rules(read(body)?),
        };
        if let (Some(episode), Some(alarm)) = (record.episode(), address.alarm())
            && episode.alarm != *alarm
        {
            let body = episode.to_string();
            return Err(DecodeError::OtherSubject { what: "alarm", body });
        }
        record.cut();
        Ok(record)
    }

    /// Which episode it is about.
    pub fn episode(&self) -> Option<&Episode> {
        match self {
            Self::State(it) => Some(&it.episode),
            Self::Ack(it) => Some(&it.episode),
            Self::Note(it) => Some(&it.episode),
            Self::Sent(it) => Some(&it.episode),
            Self::Shelf(_) | Self::Rules(_) => None,
        }
    }

    /// The body to publish.
    pub fn to_body(&self, meta: &Meta) -> Result<Vec<u8>, serde_json::Error> {
        fn body<T: Serialize>(data: &T, meta: &Meta) -> Result<Vec<u8>, serde_json::Error> {
            Envelope { data: Some(data), meta }.to_body()
        }
        match self {
            Self::State(it) => body(it, meta),
            Self::Ack(it) => body(it, meta),
            Self::Note(it) => body(it, meta),
            Self::Shelf(it) => body(it, meta),
            Self::Sent(it) => body(it, meta),
            Self::Rules(it) => body(it, meta),
        }
    }

    /// Shortens what people have written, and lists, to what is kept.
    fn cut(&mut self) {
        match self {
            Self::State(it) => {
                it.message.iter_mut().chain(it.verdict.iter_mut()).for_each(cut);
                it.reasons.truncate(MAX_LISTED);
                it.reasons.iter_mut().for_each(cut);
                let excess = it.raises.len().saturating_sub(MAX_LISTED);
                it.raises.drain(..excess);
                while it.evidence.len() > MAX_LISTED {
                    it.evidence.pop_last();
                }
                cut(&mut it.by);
            }
            Self::Ack(it) => it.note.iter_mut().chain([&mut it.by]).for_each(cut),
            Self::Note(it) => [&mut it.note, &mut it.by].into_iter().for_each(cut),
            Self::Shelf(it) => [&mut it.reason, &mut it.by].into_iter().for_each(cut),
            Self::Sent(it) => it.error.iter_mut().chain([&mut it.by]).for_each(cut),
            Self::Rules(it) => cut(&mut it.by),
        }
    }
}

/// Reasons, raises and pieces of evidence kept of one message.
const MAX_LISTED: usize = 32;

#[cfg(test)]
mod tests;
