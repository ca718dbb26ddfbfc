//! What happened, oldest first: the transitions of the past as they were read, and those of the
//! present as they come.

use chrono::{DateTime, Utc};
use tcs_core::fleet::Verdict;
use tcs_core::fleet::transitions::{Cause, Transition};
use tcs_core::wire::Status;

/// Entries kept.
pub const MAX_ENTRIES: usize = 5000;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Oldest first.
    entries: Vec<Transition>,
}

impl History {
    /// All that is held of the time up to `now`, oldest first.
    pub fn until(&self, now: DateTime<Utc>) -> &[Transition] {
        &self.entries[..self.entries.partition_point(|entry| entry.at <= now)]
    }

    /// Takes what happened now.
    pub(super) fn extend(&mut self, news: Vec<Transition>) {
        for entry in news {
            let place = self.entries.partition_point(|held| held.at <= entry.at);
            self.entries.insert(place, entry);
        }
        if self.entries.len() > MAX_ENTRIES {
            // a tenth more, because each removal moves all that follow
            let excess = self.entries.len() - MAX_ENTRIES;
            self.entries.drain(..excess + MAX_ENTRIES / 10);
        }
    }

    /// Takes the past as it was read, up to `until`, in the place of what was known of it.
    pub(super) fn replace_past(&mut self, past: Vec<Transition>, until: DateTime<Utc>) {
        let present = self.entries.split_off(self.entries.partition_point(|it| it.at <= until));
        self.entries = past;
        self.entries.retain(|entry| entry.at <= until);
        self.entries.sort_by_key(|entry| entry.at);
        self.extend(present);
    }
}

/// Whether it only tells that a service that is well works or rests.
pub fn is_routine(transition: &Transition) -> bool {
    let is_well = |status: Status| matches!(status, Status::Ok | Status::Idle | Status::Busy);
    match &transition.cause {
        Cause::Status { from: Some((from, _)), to, .. } => is_well(*from) && is_well(*to),
        Cause::Status { from: None, .. } | Cause::Event { .. } | Cause::Heartbeat => false,
    }
}

/// How grave: the verdict whose colour it has.
pub fn weight(transition: &Transition) -> Verdict {
    match &transition.cause {
        Cause::Event { .. } | Cause::Heartbeat => transition.verdict,
        Cause::Status { to, .. } => match to {
            Status::Unknown | Status::Shutdown => Verdict::Stopped,
            Status::Ok | Status::Idle | Status::Busy => Verdict::Ok,
            Status::Startup => Verdict::Starting,
            Status::Degraded | Status::Warning => Verdict::Degraded,
            Status::Error => Verdict::Error,
            Status::Failed => Verdict::Failed,
        },
    }
}
