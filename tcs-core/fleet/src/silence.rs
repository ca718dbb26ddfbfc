//! Times in which no heartbeat of any service was stored: the broker's silence, or that of the way
//! to it, and no service's. Pure.
//!
//! A service that sends heartbeats before and after a gap, as the same run, was alive in it. Where
//! that is so of two or more, and nobody's heartbeat was stored meanwhile although several were due,
//! nothing could be stored.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::MAX_NAMES;
use super::liveness::{DEFAULT_INTERVAL, LATE, span};
use tcs_wire::{HeartbeatMessage, Meta};

/// A gap without any heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Stored time of the last heartbeat before it.
    pub from: DateTime<Utc>,
    /// Stored time of the first one after it.
    pub until: DateTime<Utc>,
}

/// The last heartbeat of one service.
#[derive(Debug, Clone)]
struct Last {
    stored: DateTime<Utc>,
    sender: String,
    interval: TimeDelta,
}

/// A gap, and how many services are known to have lived through it.
#[derive(Debug, Clone)]
struct Gap {
    silence: Silence,
    survivors: u32,
}

/// Finds the gaps in heartbeats that are given in the order in which they were stored.
#[derive(Debug, Clone, Default)]
pub struct Silences {
    last: HashMap<Arc<str>, Last>,
    newest: Option<DateTime<Utc>>,
    gaps: Vec<Gap>,
}

/// How many services must have lived through a gap for it to count.
const SURVIVORS: u32 = 2;
/// No more gaps are kept than these: the newest, and those in which nothing could be stored.
const MAX_GAPS: usize = 1000;

impl Silences {
    /// Takes one heartbeat in.
    pub fn note(&mut self, meta: &Meta, message: &HeartbeatMessage, stored: DateTime<Utc>) {
        let seconds = message.interval_seconds.filter(|it| it.is_finite() && *it > 0.0);
        let interval = seconds.map_or(DEFAULT_INTERVAL, span);
        let last = Last { stored, sender: meta.sender.clone(), interval };
        let is_known = self.last.contains_key(message.service_id.as_str());
        let has_room = is_known || self.last.len() < MAX_NAMES;
        let before =
            has_room.then(|| self.last.insert(message.service_id.as_str().into(), last)).flatten();
        if let Some(from) = self.newest.filter(|newest| stored - *newest >= MIN_GAP) {
            if self.gaps.len() >= MAX_GAPS {
                // most are the time between the heartbeats of two services
                let unproven = self.gaps.iter().position(|gap| gap.survivors < SURVIVORS);
                self.gaps.remove(unproven.unwrap_or(0));
            }
            let silence = Silence { from, until: stored };
            self.gaps.push(Gap { silence, survivors: 0 });
        }
        self.newest = self.newest.max(Some(stored));
        let Some(before) = before.filter(|before| before.sender == meta.sender) else { return };
        for gap in self.gaps.iter_mut().rev().take_while(|gap| gap.silence.from >= before.stored) {
            let Silence { from, until } = gap.silence;
            // live when it began, late by it, and two heartbeats of it or more fall into it
            let late = before.stored + before.interval * LATE;
            let survived = from < late && late <= until && until - from >= before.interval * 2;
            gap.survivors += u32::from(survived);
        }
    }

    /// The gaps in which nothing could be stored, oldest first.
    pub fn found(&self) -> Vec<Silence> {
        let proven = self.gaps.iter().filter(|gap| gap.survivors >= SURVIVORS);
        proven.map(|gap| gap.silence).collect()
    }
}

/// Shorter gaps turn nothing.
const MIN_GAP: TimeDelta = TimeDelta::milliseconds(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + span(seconds)
    }

    /// Heartbeats of a service every second, but not in this gap.
    fn beats(id: &str, sender: [&str; 2], gap: (u32, u32)) -> Vec<(f64, String, String)> {
        (0..60)
            .filter(|second| !(gap.0 < *second && *second < gap.1))
            .map(|second| {
                let sender = sender[usize::from(second >= gap.1)];
                (f64::from(second), id.to_owned(), sender.to_owned())
            })
            .collect()
    }

    fn find(mut beats: Vec<(f64, String, String)>) -> Vec<Silence> {
        beats.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut silences = Silences::default();
        for (stored, id, sender) in beats {
            let meta = Meta { sender, ..Meta::default() };
            let message = HeartbeatMessage {
                service_id: id,
                interval_seconds: Some(1.0),
                ..HeartbeatMessage::default()
            };
            silences.note(&meta, &message, at(stored));
        }
        silences.found()
    }

    #[test]
    fn an_outage_is_remembered_through_a_long_night() {
        // between any two heartbeats there is a gap that may be an outage of a faster fleet
        let night = |id: &str| -> Vec<_> {
            let seconds = (0..4000).filter(|second| !(20 < *second && *second < 36));
            seconds.map(|second| (f64::from(second), id.to_owned(), "a".to_owned())).collect()
        };
        let found = find([night("a.a"), night("b.b")].concat());
        assert_eq!(found, [Silence { from: at(20.0), until: at(36.0) }]);
    }

    #[test]
    fn a_gap_that_two_services_lived_through_is_nobodys_silence() {
        let gap = vec![Silence { from: at(20.0), until: at(36.0) }];
        let of = |id, senders, gap| beats(id, senders, gap);
        let both = [of("a.a", ["a", "a"], (20, 36)), of("b.b", ["b", "b"], (20, 36))].concat();
        assert_eq!(find(both.clone()), gap);
        // one that does not come again is lost, and changes nothing
        let gone = of("c.c", ["c", "c"], (20, 61));
        assert_eq!(find([both.clone(), gone].concat()), gap);
        // somebody was heard meanwhile: then the others were silent themselves
        let heard = of("c.c", ["c", "c"], (60, 61));
        assert_eq!(find([both, heard].concat()), []);
        // new runs of both: they died, and were started again
        let again = [of("a.a", ["a", "x"], (20, 36)), of("b.b", ["b", "y"], (20, 36))].concat();
        assert_eq!(find(again), []);
        // one service alone may have hung
        assert_eq!(find(of("a.a", ["a", "a"], (20, 36))), []);
        // two missed heartbeats are no gap
        let short = [of("a.a", ["a", "a"], (20, 22)), of("b.b", ["b", "b"], (20, 22))].concat();
        assert_eq!(find(short), []);
    }
}
