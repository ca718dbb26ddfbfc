//! How much is kept, and who goes first. What is on the network decides how many services there
//! seem to be: what no launcher declares must not push out what one does, nor fill the memory.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::record::Record;

/// Names kept (`truth.md` 12).
pub const MAX_NAMES: usize = 100_000;
/// How many go at once when there are more.
const EVICTED_AT_ONCE: usize = MAX_NAMES / 100;
/// What services that no launcher ever declared may occupy together, in bytes.
pub const FOREIGN_BYTES: usize = 32 * 1024 * 1024;

/// What is kept by name.
type Records = BTreeMap<Arc<str>, Arc<Record>>;

/// What the services that no launcher ever declared occupy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    foreign: usize,
    /// Beyond this some of them go.
    full_at: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { foreign: 0, full_at: FOREIGN_BYTES }
    }
}

/// What a record counts in [`Room`].
pub(super) fn foreign_bytes(record: &Record) -> usize {
    if record.declared().is_empty() { record.weight() } else { 0 }
}

impl Room {
    /// A record counted `before`, and counts `after`.
    pub(super) fn change(&mut self, before: usize, after: usize) {
        self.foreign = self.foreign.saturating_sub(before) + after;
    }

    pub(super) fn is_full(&self) -> bool {
        self.foreign > self.full_at
    }

    /// Forgets a part of them; returns how many. Undeclared services go first, of these the ones
    /// that sent a single message; then those that have ended; inside each the ones that sent
    /// nothing for longest. Launchers stay as long as what they declare.
    pub(super) fn evict(&mut self, records: &mut Records) -> u64 {
        let mut order: Vec<_> = {
            let parents: HashSet<&str> = records
                .values()
                .flat_map(|record| record.declared())
                .filter_map(|kept| kept.message.parent.as_deref())
                .collect();
            let class = |name: &str, record: &Record| match record.declared().is_empty() {
                true if parents.contains(name) => Class::Current,
                true if record.is_established() => Class::Undeclared,
                true => Class::Passing,
                false if has_ended(record) => Class::Ended,
                false => Class::Current,
            };
            let ranked = |(name, record): (&Arc<str>, &Arc<Record>)| {
                (class(name, record), record.last_heard(), Arc::clone(name))
            };
            records.iter().map(ranked).collect()
        };
        order.sort_unstable();
        let too_many = if records.len() > MAX_NAMES { EVICTED_AT_ONCE } else { 0 };
        let keep = FOREIGN_BYTES / 4 * 3;
        let mut evicted = 0;
        for (class, _, name) in order {
            let foreign = class <= Class::Undeclared;
            if evicted as usize >= too_many && (self.foreign <= keep || !foreign) {
                break;
            }
            if let Some(record) = records.remove(&name) {
                self.change(foreign_bytes(&record), 0);
                evicted += 1;
            }
        }
        // what is left may all be launchers: it is not looked through at each message
        self.full_at = FOREIGN_BYTES.max(self.foreign / 4 * 5);
        evicted
    }
}

/// In the order in which they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Undeclared, and a single message of it is held.
    Passing,
    Undeclared,
    Ended,
    Current,
}

fn has_ended(record: &Record) -> bool {
    record.newest_end().is_some_and(|end| record.start().is_none_or(|start| !start.is_newer(end)))
}
