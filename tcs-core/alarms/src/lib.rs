//! Alarms: what is wrong, who was notified, who acknowledged it, and what is still open
//! (`docs/spec/alarms.md`). Pure: messages, a view of the fleet and the time go in; alarms, and what
//! a sentinel is to do, come out.

mod address;
mod alarms;
mod due;
mod findings;
mod flood;
mod id;
mod intent;
mod machine;
mod moved;
mod notification;
mod record;
mod renew;
mod replay;
mod rules;
mod sentinel;
pub mod settings;
mod severity;
mod span;
mod stats;
mod taken;
mod unwatched;
mod view;
mod watchers;

pub use address::Address;
pub use alarms::{Alarms, Held, MAX_SHELF, Shelf};
pub use due::{LEASE, pause_after};
pub use findings::{Finding, Findings, Situation, findings};
pub use id::{AlarmId, AlarmIdError, Episode, check_token};
pub use intent::{Intent, Write};
pub use notification::{Claim, Failure, Listed, Notification};
pub use record::{
    AckOp, AckRecord, Condition, Delivery, NoteRecord, Notify, Original, Place, Record,
    RulesRecord, SentRecord, ShelfMatch, ShelfRecord, StateRecord, Why,
};
pub use replay::{Digest, Raised, Replay, Replayed, Told};
pub use rules::{
    ChannelName, Doubt, Escalation, Rule, RuleChange, RuleName, RuleSet, RulesError, Skew, Step,
    Terms, When, built_in,
};
pub use sentinel::Sentinel;
pub use severity::Severity;
pub use span::{Span, SpanError};
pub use stats::{History, Stats};
pub use taken::{Taken, taken};
pub use view::{AlarmState, AlarmView, Shelved};
pub use watchers::{CHANNELS, WATCHES, running, tells_unreachable, unknown_channels, watching};

#[cfg(test)]
mod tests;
