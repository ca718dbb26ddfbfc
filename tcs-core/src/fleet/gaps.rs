//! The holes that a reader sees in the numbers (`event_seq`) of a launcher's events. Pure.
//!
//! A stream forgets events by itself (100 of a subject), and a snapshot shows one of a subject: so a
//! hole counts only between two events of one run of a launcher where every message that the stream
//! stored between them was seen. It is filled by the events that come later.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::stamp::{Order, Stamp};
use crate::ranges::Ranges;
use crate::wire::RegistryMessage;

/// Runs of launchers kept: those that miss nothing go first, then the oldest.
const MAX_RUNS: usize = 1000;
/// Streams kept, the newest.
const MAX_STREAMS: usize = 8;

/// What was seen of the numbers of events.
#[derive(Debug, Clone, Default)]
pub(super) struct Gaps {
    /// By when a stream was made: every sequence of it in this range was seen.
    seen: BTreeMap<DateTime<Utc>, (u64, u64)>,
    /// By launcher and run.
    runs: BTreeMap<(Arc<str>, Arc<str>), Run>,
}

#[derive(Debug, Clone)]
struct Run {
    /// The highest number, and where in which stream it is.
    last: u64,
    at: (DateTime<Utc>, u64),
    missing: Ranges,
}

impl Gaps {
    /// Takes a registry event in.
    pub(super) fn apply(&mut self, message: &RegistryMessage, stamp: &Stamp) {
        let Order::Stream { created, seq } = stamp.order else { return };
        let Some(from) = self.see(created, seq) else { return };
        let (Some(run), Some(number)) = (&message.launcher_run, message.event_seq) else { return };
        let launcher = message.parent.as_deref().unwrap_or(&message.service_id);
        let key = (Arc::from(launcher), Arc::from(run.as_str()));
        let at = (created, seq);
        if let Some(run) = self.runs.get_mut(&key) {
            if number <= run.last {
                run.missing.remove(number);
                return;
            }
            if run.at.0 == created && run.at.1 >= from {
                run.missing.insert(run.last + 1, number - 1);
            }
            (run.last, run.at) = (number, at);
            return;
        }
        if self.runs.len() >= MAX_RUNS {
            let idle = self.runs.iter().min_by_key(|(_, it)| (it.missing.count() > 0, it.at));
            if let Some(key) = idle.map(|(key, _)| key.clone()) {
                self.runs.remove(&key);
            }
        }
        self.runs.insert(key, Run { last: number, at, missing: Ranges::default() });
    }

    /// Notes a sequence of a stream: from which one on all were seen; `None`: it is not news.
    fn see(&mut self, created: DateTime<Utc>, seq: u64) -> Option<u64> {
        let Some((from, last)) = self.seen.get_mut(&created) else {
            self.seen.insert(created, (seq, seq));
            if self.seen.len() > MAX_STREAMS {
                self.seen.pop_first();
            }
            return Some(seq);
        };
        if seq <= *last {
            return None;
        }
        if seq > *last + 1 {
            *from = seq;
        }
        *last = seq;
        Some(*from)
    }

    /// How many events of each launcher are missing.
    pub(super) fn missing(&self) -> BTreeMap<Arc<str>, u64> {
        let mut missing: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for ((launcher, _), run) in &self.runs {
            let count = run.missing.count();
            if count > 0 {
                let sum = missing.entry(Arc::clone(launcher)).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Event;

    fn at(seq: u64) -> Stamp {
        let created = DateTime::UNIX_EPOCH;
        Stamp { stored: created, order: Order::Stream { created, seq } }
    }

    fn event(run: &str, number: u64) -> RegistryMessage {
        RegistryMessage {
            service_id: "a.b".to_owned(),
            timestamp: None,
            parent: Some("launcher.x".to_owned()),
            runner_id: None,
            launcher_run: Some(run.to_owned()),
            event_seq: Some(number),
            requested_by: None,
            event: Event::Other("x".to_owned()),
        }
    }

    fn missing(gaps: &Gaps) -> u64 {
        gaps.missing().get("launcher.x").copied().unwrap_or_default()
    }

    #[test]
    fn a_hole_among_all_that_was_stored_is_missing_until_it_is_filled() {
        let mut gaps = Gaps::default();
        // a snapshot: one of a subject; what is between them was forgotten, or is not shown
        for (seq, number) in [(3, 2), (90, 50), (100, 60)] {
            gaps.apply(&event("r", number), &at(seq));
        }
        assert_eq!(missing(&gaps), 0);
        // and what comes: an event of another run is between
        gaps.apply(&event("other", 7), &at(101));
        gaps.apply(&event("r", 64), &at(102));
        assert_eq!(missing(&gaps), 3);
        gaps.apply(&event("r", 64), &at(102));
        gaps.apply(&event("r", 62), &at(103));
        assert_eq!(missing(&gaps), 2, "the same again is no news; one of them came late");
        // a reader that was away does not know
        gaps.apply(&event("r", 80), &at(120));
        // another run begins anew, and the first is not forgotten
        gaps.apply(&event("next", 1), &at(121));
        gaps.apply(&event("next", 3), &at(122));
        assert_eq!(missing(&gaps), 3);
    }
}
