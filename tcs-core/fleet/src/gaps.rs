//! The holes that a reader sees in the numbers (`event_seq`) of a launcher's events. Pure.
//!
//! A stream forgets events by itself (100 of a subject), and a snapshot shows one of a subject. So
//! between two events of one run the numbers that were not seen may stand where the stream's messages
//! between them were not seen. Only as many numbers as find no room there are missing for certain:
//! all of them for who has read what the stream holds and follows it. A hole is filled by the events
//! that come later, in whatever order they are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::stamp::{Order, Stamp};
use tcs_wire::RegistryMessage;

/// Runs of launchers kept: those whose last event is the oldest go first.
const MAX_RUNS: usize = 1000;
/// Streams kept, the newest.
const MAX_STREAMS: usize = 8;
/// Spans kept of one run, and of one stream: the last ones. Forgetting can only hide a hole.
const MAX_SPANS: usize = 20_000;

/// Which event numbers were seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Gaps {
    /// By when a stream was made: the sequences of it that were seen.
    seen: BTreeMap<DateTime<Utc>, Sequences>,
    runs: BTreeMap<RunKey, Run>,
}

/// A stream, a launcher and its run.
type RunKey = (DateTime<Utc>, Arc<str>, Arc<str>);

/// Sequences of a stream: the first and last of each span of them, none touching the next.
#[derive(Debug, Clone, Default)]
struct Sequences(BTreeMap<u64, u64>);

/// The numbers of one run that were seen: spans by their first number, none touching the next.
#[derive(Debug, Clone, Default)]
struct Run(BTreeMap<u64, Span>);

#[derive(Debug, Clone, Copy)]
struct Span {
    /// Where in the stream the first number is.
    begins_at: u64,
    /// The last number, and where it is.
    last: u64,
    ends_at: u64,
}

impl Gaps {
    /// Takes a registry event in.
    pub(super) fn apply(&mut self, message: &RegistryMessage, stamp: &Stamp) {
        let Order::Stream { created, seq } = stamp.order else { return };
        self.seen.entry(created).or_default().insert(seq);
        if self.seen.len() > MAX_STREAMS {
            self.seen.pop_first();
        }
        let (Some(run), Some(number)) = (&message.launcher_run, message.event_seq) else { return };
        let launcher = message.parent.as_deref().unwrap_or(&message.service_id);
        let key = (created, Arc::from(launcher), Arc::from(run.as_str()));
        if let Some(run) = self.runs.get_mut(&key) {
            return run.insert(number, seq);
        }
        if self.runs.len() >= MAX_RUNS {
            let oldest = self.runs.iter().min_by_key(|(key, run)| (key.0, run.ends_at()));
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.runs.remove(&key);
            }
        }
        self.runs.entry(key).or_default().insert(number, seq);
    }

    /// How many events of each launcher are missing for certain.
    pub(super) fn missing(&self) -> BTreeMap<Arc<str>, u64> {
        let seen: BTreeMap<_, _> =
            self.seen.iter().map(|(created, seen)| (*created, seen.counted())).collect();
        let mut missing: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for ((created, launcher, _), run) in &self.runs {
            let Some(seen) = seen.get(created) else { continue };
            let count = run.missing(seen);
            if count > 0 {
                let sum = missing.entry(Arc::clone(launcher)).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        missing
    }
}

impl Sequences {
    fn insert(&mut self, seq: u64) {
        let before = self.0.range(..=seq).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| seq <= last) {
            return;
        }
        let joins = before.filter(|(_, last)| last + 1 == seq);
        let first = joins.map_or(seq, |(first, _)| first);
        let behind = seq.checked_add(1).and_then(|next| self.0.remove(&next));
        self.0.insert(first, behind.unwrap_or(seq));
        if self.0.len() > MAX_SPANS {
            self.0.pop_first();
        }
    }

    /// Each span, with the number of sequences in it and before it.
    fn counted(&self) -> Counted {
        let mut sum = 0;
        let count = |(first, last): (&u64, &u64)| {
            sum += last - first + 1;
            (*first, *last, sum)
        };
        Counted(self.0.iter().map(count).collect())
    }
}

/// See [`Sequences::counted`].
struct Counted(Vec<(u64, u64, u64)>);

impl Counted {
    /// How many up to this one.
    fn up_to(&self, seq: u64) -> u64 {
        let spans = self.0.partition_point(|(first, _, _)| *first <= seq);
        let Some((_, last, sum)) = spans.checked_sub(1).and_then(|at| self.0.get(at)) else {
            return 0;
        };
        sum - last.saturating_sub(seq)
    }

    /// How many between these two were not seen.
    fn unseen(&self, first: u64, last: u64) -> u64 {
        let between = last.saturating_sub(first).saturating_sub(1);
        if between == 0 {
            return 0;
        }
        between.saturating_sub(self.up_to(last - 1) - self.up_to(first))
    }
}

impl Run {
    fn insert(&mut self, number: u64, at: u64) {
        let before = self.0.range(..=number).next_back().map(|(first, span)| (*first, *span));
        let (mut first, mut span) = (number, Span { begins_at: at, last: number, ends_at: at });
        match before {
            // of one that is stored twice the first counts
            Some((begin, mut known)) if number <= known.last => {
                if number == begin {
                    known.begins_at = known.begins_at.min(at);
                }
                if number == known.last {
                    known.ends_at = known.ends_at.min(at);
                }
                self.0.insert(begin, known);
                return;
            }
            Some((begin, known)) if known.last + 1 == number => {
                (first, span.begins_at) = (begin, known.begins_at);
            }
            Some(_) | None => {}
        }
        let behind = number.checked_add(1).and_then(|next| self.0.remove(&next));
        if let Some(behind) = behind {
            (span.last, span.ends_at) = (behind.last, behind.ends_at);
        }
        self.0.insert(first, span);
        if self.0.len() > MAX_SPANS {
            self.0.pop_first();
        }
    }

    fn ends_at(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(_, span)| span.ends_at)
    }

    fn missing(&self, seen: &Counted) -> u64 {
        let behind = self.0.iter().skip(1);
        let holes = self.0.values().zip(behind).map(|(before, (next, behind))| {
            let (a, b) = (before.ends_at, behind.begins_at);
            let room = seen.unseen(a.min(b), a.max(b));
            (next - before.last - 1).saturating_sub(room)
        });
        holes.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use tcs_wire::Event;

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

    /// The events of two runs: which run sent each, and whether it was ever stored.
    fn said() -> impl Strategy<Value = Vec<(bool, bool)>> {
        prop::collection::vec((any::<bool>(), prop::bool::weighted(0.7)), 1..60)
    }

    /// The stream's events by sequence, and how many of each run are missing among them.
    fn stored(said: &[(bool, bool)]) -> (Vec<(u64, &'static str, u64)>, u64) {
        let (mut stream, mut lost) = (Vec::new(), 0);
        let (mut numbers, mut waiting) = ([0_u64; 2], [0_u64; 2]);
        for (run, is_stored) in said {
            let (at, run) = if *run { (1, "s") } else { (0, "r") };
            numbers[at] += 1;
            if *is_stored {
                lost += std::mem::take(&mut waiting[at]);
                stream.push((stream.len() as u64 + 1, run, numbers[at]));
            } else if stream.iter().any(|(_, known, _)| *known == run) {
                // what is missing before the first, nobody can see
                waiting[at] += 1;
            }
        }
        (stream, lost)
    }

    fn read(events: impl IntoIterator<Item = (u64, &'static str, u64)>) -> u64 {
        let mut gaps = Gaps::default();
        for (seq, run, number) in events {
            gaps.apply(&event(run, number), &at(seq));
        }
        missing(&gaps)
    }

    proptest! {
        #[test]
        fn who_reads_all_knows_all_that_is_missing(said in said()) {
            let (stream, lost) = stored(&said);
            prop_assert_eq!(read(stream), lost);
        }

        #[test]
        fn who_reads_a_part_in_any_order_is_never_told_too_much(
            said in said(), part in any::<u64>(), order in any::<u64>(),
        ) {
            let (stream, lost) = stored(&said);
            let mut events: Vec<_> =
                stream.into_iter().filter(|(seq, ..)| part >> (seq % 64) & 1 == 1).collect();
            let straight = read(events.clone());
            prop_assert!(straight <= lost, "{straight} of {lost}");
            events.sort_by_key(|(seq, ..)| seq.wrapping_mul(order | 1));
            let twice = events.clone().into_iter().chain(events);
            prop_assert_eq!(read(twice), straight);
        }
    }
}
