//! The messages of the last hour, so that the picture of any moment in it can be made again
//! (`docs/spec/truth.md#the-past`).
//!
//! Before them stands the fleet as it was: what is dropped from the tape is folded into it. Between
//! them are snapshots of the fleet. The picture at T starts from the last of these that holds nothing
//! newer than T, and folds in whatever was stored up to T. Because the fold takes messages in any
//! order, the past that is read later may be put before what was heard.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::Fleet;
use tcs_core::observer::Observed;

use crate::dashboard::event::{Heard, PastRead};

/// How far back it reaches.
pub const SPAN: TimeDelta = TimeDelta::hours(1);
/// About how much it may occupy, in bytes, with its fleets.
pub const BUDGET: usize = 32 * 1024 * 1024;
/// What the messages may occupy, however large the fleet is.
const LEAST: usize = BUDGET / 4;
/// Messages between two snapshots at least, so that a moment is made again in some 20 ms.
const BETWEEN: usize = 16 * 1024;
/// And so many for each service: a snapshot has the records that change after it copied.
const BETWEEN_EACH: usize = 16;
/// Metrics of a message that occupy more than this are not kept, in bytes.
const LARGE: usize = tcs_core::fleet::LARGE;
/// What is kept of a message beside what it says, about.
const OVERHEAD: usize = 600;
/// What a service's record in one of the fleets occupies, about.
const RECORD: usize = 3500;

/// The messages of the last hour, with snapshots of the fleet between them.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    before: Fleet,
    messages: VecDeque<Arc<Observed>>,
    snapshots: VecDeque<Snapshot>,
    /// What the messages occupy, about.
    bytes: usize,
    /// When the earliest message was stored, while all that came is there.
    first: Option<DateTime<Utc>>,
    /// The latest moment of which something is in `before`.
    dropped_until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
struct Snapshot {
    fleet: Fleet,
    /// The messages that are in it.
    messages: usize,
}

/// What it occupies, about.
fn occupied(message: &Observed) -> usize {
    message.decoded.message.weight() + OVERHEAD
}

/// Without large metrics.
fn short(message: Arc<Observed>) -> Arc<Observed> {
    match message.decoded.shortened(LARGE) {
        Some(decoded) => {
            let Observed { subject, decoded: _, stamp, bytes } = &*message;
            Arc::new(Observed { subject: subject.clone(), decoded, stamp: *stamp, bytes: *bytes })
        }
        None => message,
    }
}

/// Whether it is time for a snapshot of `fleet`.
fn is_due(messages: usize, fleet: &Fleet) -> bool {
    messages >= BETWEEN.max(BETWEEN_EACH * fleet.len())
}

impl Tape {
    /// Keeps a message that the fleet is about to take; `fleet` is as it was before it.
    pub(super) fn push(&mut self, message: Arc<Observed>, fleet: &Fleet, now: DateTime<Utc>) {
        let message = short(message);
        let stored = message.stamp.stored;
        let last = self.snapshots.back().map_or(0, |last| last.messages);
        if is_due(self.messages.len() - last, fleet) {
            let mut before = fleet.clone();
            if fleet.is_flooded() {
                before.retain_settled_in(fleet);
            }
            self.snapshots.push_back(Snapshot { fleet: before, messages: self.messages.len() });
        }
        self.first = Some(self.first.map_or(stored, |first| first.min(stored)));
        self.bytes += occupied(&message);
        self.messages.push_back(message);
        self.prune(fleet, now);
    }

    /// Forgets what is not settled in `fleet`: what came and went in a flood.
    pub(super) fn retain_settled_in(&mut self, fleet: &Fleet) {
        self.before.retain_settled_in(fleet);
        // they count messages that may be forgotten
        self.snapshots.clear();
        self.messages.retain(|message| {
            message.decoded.message.name().is_some_and(|name| fleet.is_settled(name))
        });
        self.messages.shrink_to_fit();
        self.bytes = self.messages.iter().map(|message| occupied(message)).sum();
    }

    /// Puts what the streams hold of the past before all that was heard.
    pub(super) fn root(&mut self, read: PastRead) {
        let mut read_messages = VecDeque::new();
        let mut snapshots = VecDeque::new();
        let mut fleet = read.before.clone();
        let mut last = 0;
        for heard in read.messages {
            let Heard::Message(message) = heard else { continue };
            if is_due(read_messages.len() - last, &fleet) {
                last = read_messages.len();
                snapshots.push_back(Snapshot { fleet: fleet.clone(), messages: last });
            }
            super::fold(&mut fleet, &message);
            let message = short(message);
            self.bytes += occupied(&message);
            read_messages.push_back(message);
        }
        for snapshot in &mut self.snapshots {
            snapshot.messages += read_messages.len();
        }
        snapshots.append(&mut self.snapshots);
        read_messages.append(&mut self.messages);
        (self.before, self.messages, self.snapshots) = (read.before, read_messages, snapshots);
        self.dropped_until = Some(read.since);
    }

    fn prune(&mut self, fleet: &Fleet, now: DateTime<Utc>) {
        let services = |it: &Snapshot| it.fleet.len();
        let records = self.before.len() + self.snapshots.iter().map(services).sum::<usize>();
        let room = BUDGET.saturating_sub(records * RECORD).max(LEAST);
        while let Some(first) = self.messages.front()
            && (self.bytes > room || first.stamp.stored < now - SPAN)
        {
            self.bytes -= occupied(first);
            self.dropped_until = self.dropped_until.max(Some(first.stamp.stored));
            if !fleet.is_passing(&first.decoded.message) {
                super::fold(&mut self.before, first);
            }
            self.messages.pop_front();
            for snapshot in &mut self.snapshots {
                snapshot.messages -= 1;
            }
            if let Some(next) = self.snapshots.pop_front_if(|next| next.messages == 0) {
                self.before = next.fleet;
            }
        }
    }

    /// The earliest moment whose picture is whole as far as this console has listened; `None` while
    /// nothing has come.
    pub fn reaches(&self) -> Option<DateTime<Utc>> {
        self.dropped_until.or(self.first)
    }

    /// The fleet as it was then.
    pub fn at(&self, then: DateTime<Utc>) -> Fleet {
        let is_before = |it: &&Snapshot| it.fleet.newest().is_none_or(|newest| newest <= then);
        let start = self.snapshots.iter().rev().find(is_before);
        let (fleet, from) = start.map_or((&self.before, 0), |it| (&it.fleet, it.messages));
        let mut fleet = fleet.clone();
        for message in self.messages.range(from..).filter(|it| it.stamp.stored <= then) {
            super::fold(&mut fleet, message);
        }
        fleet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::event::{Event, LinkFacts};
    use crate::dashboard::state::{Banner, Options, State};
    use crate::dashboard::tests::fixture;
    use tcs_core::fleet::{Link, Order, Stamp};
    use tcs_core::wire::{Component, Details, Message, StatusMessage, Subjects, decode};

    fn picture(fleet: &Fleet, then: DateTime<Utc>) -> Vec<String> {
        let view = fleet.view(then, Link::Steady);
        view.services.iter().map(|s| format!("{} {}", s.id, s.verdict)).collect()
    }

    fn expected(messages: &[Arc<Observed>], then: DateTime<Utc>) -> Vec<String> {
        let mut fleet = Fleet::new();
        for message in messages.iter().filter(|message| message.stamp.stored <= then) {
            super::super::fold(&mut fleet, message);
        }
        picture(&fleet, then)
    }

    #[test]
    fn the_past_is_the_fold_of_what_was_stored_until_then() {
        let messages = fixture::recording("process-launcher");
        let now = messages.last().unwrap().stamp.stored;
        let mut tape = Tape::default();
        let mut fleet = Fleet::new();
        // out of order, and many times over, for snapshots
        while tape.snapshots.len() < 2 {
            for message in messages.iter().rev() {
                tape.push(Arc::clone(message), &fleet, now);
                super::super::fold(&mut fleet, message);
            }
        }
        assert_eq!(tape.dropped_until, None, "nothing is dropped");
        for message in &messages {
            let then = message.stamp.stored;
            assert_eq!(picture(&tape.at(then), then), expected(&messages, then));
        }
    }

    #[test]
    fn what_is_dropped_is_in_the_fleet_before_the_rest() {
        let messages = fixture::recording("process-launcher");
        let (old, new) = messages.split_at(messages.len() / 2);
        let now = new[0].stamp.stored + SPAN;
        let mut tape = Tape::default();
        let fleet = Fleet::new();
        for message in &messages {
            tape.push(Arc::clone(message), &fleet, now);
        }
        assert_eq!(tape.messages.len(), new.len());
        assert_eq!(tape.reaches(), Some(old.last().unwrap().stamp.stored));
        for message in new {
            let then = message.stamp.stored;
            assert_eq!(picture(&tape.at(then), then), expected(&messages, then));
        }
    }

    #[test]
    fn what_was_read_later_comes_before_what_was_heard() {
        let messages = fixture::recording("process-launcher");
        let now = messages.last().unwrap().stamp.stored;
        let (old, new) = messages.split_at(messages.len() / 2);
        let mut tape = Tape::default();
        let mut fleet = Fleet::new();
        for message in new {
            tape.push(Arc::clone(message), &fleet, now);
            super::super::fold(&mut fleet, message);
        }
        let since = old[4].stamp.stored;
        let mut before = Fleet::new();
        old[..5].iter().for_each(|message| super::super::fold(&mut before, message));
        let messages_since = old[5..].iter().map(|m| Heard::Message(Arc::clone(m))).collect();
        tape.root(PastRead {
            since,
            before,
            messages: messages_since,
            transitions: Vec::new(),
            problems: Vec::new(),
        });
        assert_eq!(tape.reaches(), Some(since));
        for message in &messages[4..] {
            let then = message.stamp.stored;
            assert_eq!(picture(&tape.at(then), then), expected(&messages, then));
        }
    }

    #[test]
    fn a_flood_leaves_nothing_behind() {
        let messages = fixture::recording("process-launcher");
        let start = messages.last().unwrap().stamp.stored;
        let link = LinkFacts::Recording { file: "test".to_owned() };
        let mut state = State::new(Options::default(), link, (80, 24), start);
        state.update(Event::Heard(messages.into_iter().map(Heard::Message).collect()), start);
        state.update(Event::Settled, start);
        state.settle(start);
        let held = |state: &State| {
            let names: Vec<_> = state.fleet.names().map(ToString::to_string).collect();
            (names, state.tape.bytes, state.history.until(state.now).len())
        };
        let before = held(&state);
        for n in 0..100_000_i64 {
            let now = start + TimeDelta::microseconds(20 * (n + 1));
            let body = format!(
                r#"{{"data": {{"name": "flood.s{n}", "status": "ok"}}, "meta": {{"sender": "m{n}"}}}}"#
            );
            let subject = format!("svc.status.flood.s{n}");
            let decoded = decode(Subjects::default().parse(&subject).unwrap(), body.as_bytes());
            let order = Order::Stream { created: start, seq: n.cast_unsigned() + 1 };
            let stamp = Stamp { stored: now, order };
            let decoded = decoded.unwrap();
            let message = Observed { subject, decoded, stamp, bytes: body.len() };
            state.update(Event::Heard(vec![Heard::Message(Arc::new(message))]), now);
        }
        assert_eq!(state.banner(), Some(Banner::Flooded));
        for seconds in [3, 30, 200] {
            state.update(Event::Tick, start + TimeDelta::seconds(seconds));
        }
        assert_ne!(state.banner(), Some(Banner::Flooded));
        assert_eq!(held(&state).0, before.0);
        assert!(held(&state).1 <= before.1, "{} of {}", held(&state).1, before.1);
        assert!(held(&state).2 <= before.2);
    }

    #[test]
    fn it_stays_inside_its_bounds() {
        let messages = fixture::recording("process-launcher");
        let fleet = Fleet::new();
        let mut tape = Tape::default();
        let start = messages[0].stamp.stored;
        let mut message = Observed::clone(&messages[0]);
        let large = Component { name: "x".repeat(3000), ..Component::default() };
        let large = Details { components: vec![large], ..Details::default() };
        let status = StatusMessage { details: large.into(), ..StatusMessage::default() };
        let small = std::mem::replace(&mut message.decoded.message, Message::Status(status));
        for n in 0..20_000 {
            message.stamp.stored = start + TimeDelta::milliseconds(n);
            tape.push(Arc::new(message.clone()), &fleet, message.stamp.stored);
        }
        assert!(tape.bytes <= BUDGET, "{}", tape.bytes);
        assert!(tape.bytes > BUDGET / 2, "and far back all the same");
        assert!(tape.reaches().unwrap() > start);
        message.stamp.stored += SPAN + SPAN;
        let later = message.stamp.stored;
        message.decoded.message = small;
        tape.push(Arc::new(message.clone()), &fleet, later);
        assert_eq!(tape.messages.len(), 1);
    }
}
