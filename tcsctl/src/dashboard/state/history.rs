//! What happened, oldest first: the transitions of the past as they were read, and those of the
//! present as they come.

use chrono::{DateTime, Utc};
use tcs_core::fleet::Fleet;
use tcs_core::fleet::transitions::Transition;

/// Entries kept.
pub const MAX_ENTRIES: usize = 5000;

/// Which of them the page of events shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shown {
    /// All but that a service that is well works or rests.
    #[default]
    Changes,
    /// What made something worse.
    Problems,
    /// All.
    All,
}

impl Shown {
    /// Whether it shows this one.
    pub fn shows(self, transition: &Transition) -> bool {
        match self {
            Self::Changes => !transition.is_routine(),
            Self::Problems => transition.severity().is_fault(),
            Self::All => true,
        }
    }

    /// This one, or the usual if it is this one already.
    pub(super) fn toggle(&mut self, to: Self) {
        *self = if *self == to { Self::Changes } else { to };
    }
}

/// Transitions of the past and the present, oldest first.
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

    /// Forgets what happened to services that are not settled in `fleet`: in a flood.
    pub(super) fn retain_settled_in(&mut self, fleet: &Fleet) {
        self.entries.retain(|entry| fleet.is_settled(&entry.id));
        self.entries.shrink_to_fit();
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
