//! Alarms: what is wrong, who was told, who took it, and what is still open
//! (`docs/spec/alarms.md`). Pure: messages, a view of the fleet and the time go in; alarms, and what
//! a sentinel is to do, come out.

mod address;
mod alarms;
mod due;
mod findings;
mod flood;
mod id;
mod machine;
mod notification;
mod record;
mod renew;
mod rules;
mod sentinel;
mod severity;
mod span;
mod taken;
mod view;

pub use address::Address;
pub use alarms::{Alarms, Held, MAX_SHELF, Shelf};
pub use due::LEASE;
pub use findings::{Finding, Findings, Situation, findings};
pub use id::{AlarmId, AlarmIdError, Episode, check_token};
pub use notification::{Claim, Listed, Notification};
pub use record::{
    AckOp, AckRecord, Condition, Delivery, NoteRecord, Notify, Original, Place, Record,
    RulesRecord, SentRecord, ShelfMatch, ShelfRecord, StateRecord, Why,
};
pub use rules::{
    ChannelName, Escalation, Rule, RuleChange, RuleName, RuleSet, RulesError, Skew, Step, Terms,
    When, built_in,
};
pub use sentinel::{Intent, Sentinel, Write, tells_unreachable, watching};
pub use severity::Severity;
pub use span::{Span, SpanError};
pub use taken::{Taken, taken};
pub use view::{AlarmState, AlarmView, Shelved};

#[cfg(test)]
mod tests;
