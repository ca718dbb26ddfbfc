//! What a program has counted that goes on watching: from its start, or from the first sight of a
//! service, on.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tcs_fleet::FleetView;
use tcs_wire::Event;

/// The events that are counted.
pub(super) const EVENTS: [&str; 3] = ["start", "crashed", "failed"];

/// Counts.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Connections to the broker after the first.
    pub reconnects: u64,
    /// Messages read.
    pub messages: u64,
    /// Of those, which could not be read, or not in whole.
    pub malformed: u64,
    events: HashMap<Arc<str>, [Tally; EVENTS.len()]>,
}

/// How often an event has come, and when the last one was stored.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    count: u64,
    last: Option<DateTime<Utc>>,
}

impl Counted {
    /// Counts an event, by when it was stored. One that is told again is not counted again. What
    /// `is_known` from the past, which was there before anybody counted, is not counted at all.
    pub fn note(&mut self, service: &str, event: &Event, stored: DateTime<Utc>, is_known: bool) {
        let Some(i) = EVENTS.iter().position(|name| *name == event.name()) else { return };
        if !self.events.contains_key(service) {
            self.events.insert(service.into(), Default::default());
        }
        let Some(tallies) = self.events.get_mut(service) else { return };
        let tally = &mut tallies[i];
        if tally.last.is_none_or(|last| last < stored) {
            tally.last = Some(stored);
            tally.count += u64::from(!is_known);
        }
    }

    /// Forgets the services that are known no longer.
    pub fn forget(&mut self, view: &FleetView) {
        if self.events.len() > view.services.len() {
            self.events.retain(|service, _| view.get(service).is_some());
        }
    }

    /// How often this service had each event.
    pub(super) fn events(&self, service: &str) -> impl Iterator<Item = (&'static str, u64)> {
        let tallies = self.events.get(service).copied().unwrap_or_default();
        EVENTS.into_iter().zip(tallies).map(|(name, tally)| (name, tally.count))
    }
}
