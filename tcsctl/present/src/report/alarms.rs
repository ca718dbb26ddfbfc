//! What happened to alarms, from their stored records.

use chrono::{DateTime, Utc};
use tcs_alarms::{AckOp, Address, AlarmId, Condition, Delivery, Record};

/// One thing that happened to one alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlarmEvent {
    /// When it was stored.
    pub at: DateTime<Utc>,
    /// Which alarm.
    pub alarm: AlarmId,
    /// What.
    pub news: AlarmNews,
}

/// What happened to an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlarmNews {
    /// Its condition holds.
    Raised,
    /// Its condition is over.
    Over,
    /// People were notified.
    Sent {
        /// By which channel.
        channel: String,
    },
    /// People could not be notified.
    NotSent {
        /// By which channel.
        channel: String,
        /// Why not.
        error: Option<String>,
    },
    /// Somebody has acknowledged it.
    Acknowledged {
        /// Who, as they claim.
        by: String,
        /// What they say about it.
        note: Option<String>,
    },
    /// Somebody has taken an acknowledgement back.
    Withdrawn {
        /// Who, as they claim.
        by: String,
    },
    /// Somebody has noted something.
    Noted {
        /// Who, as they claim.
        by: String,
        /// What.
        note: String,
    },
}

impl AlarmEvent {
    /// Of a stored record; `None` where nothing happened that a report tells.
    pub fn of(address: &Address, record: &Record, stored: DateTime<Utc>) -> Option<Self> {
        let alarm = address.alarm()?.clone();
        let news = match (address, record) {
            (_, Record::State(state)) if state.rev <= 1 && state.state == Condition::Active => {
                AlarmNews::Raised
            }
            (_, Record::State(state)) if state.state == Condition::Normal => AlarmNews::Over,
            (Address::Sent { channel, .. }, Record::Sent(sent)) => match sent.st {
                Delivery::Done => AlarmNews::Sent { channel: channel.clone() },
                Delivery::Failed => {
                    AlarmNews::NotSent { channel: channel.clone(), error: sent.error.clone() }
                }
                Delivery::Claim => return None,
            },
            (_, Record::Ack(ack)) if ack.restored => return None,
            (_, Record::Ack(ack)) => match ack.op {
                AckOp::Ack => {
                    AlarmNews::Acknowledged { by: ack.by.clone(), note: ack.note.clone() }
                }
                AckOp::Unack => AlarmNews::Withdrawn { by: ack.by.clone() },
            },
            (_, Record::Note(note)) => {
                AlarmNews::Noted { by: note.by.clone(), note: note.note.clone() }
            }
            _ => return None,
        };
        Some(Self { at: stored, alarm, news })
    }

    /// In words.
    pub fn text(&self) -> String {
        let alarm = &self.alarm;
        match &self.news {
            AlarmNews::Raised => format!("alarm {alarm} raised"),
            AlarmNews::Over => format!("alarm {alarm} over"),
            AlarmNews::Sent { channel } => format!("alarm {alarm} sent to {channel}"),
            AlarmNews::NotSent { channel, error } => {
                let why = error.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                format!("alarm {alarm} not sent to {channel}{why}")
            }
            AlarmNews::Acknowledged { by, note } => {
                let note = note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
                format!("alarm {alarm} acknowledged by {by}{note}")
            }
            AlarmNews::Withdrawn { by } => format!("acknowledgement of {alarm} withdrawn by {by}"),
            AlarmNews::Noted { by, note } => format!("note on {alarm} by {by}: {note}"),
        }
    }
}
