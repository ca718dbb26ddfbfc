//! The messages of the last hour, so that the picture of any moment in it can be made again
//! (`docs/spec/truth.md#the-past`).
//!
//! They lie in chunks, each with the fleet as it was before its first message. The picture at T
//! starts from the last chunk whose fleet holds nothing newer than T, and folds in whatever was
//! stored up to T. Because the fold takes messages in any order, the past that is read later may be
//! put at the end.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::Fleet;
use tcs_core::observer::Observed;

use crate::dashboard::event::{Heard, PastRead};

/// How far back it reaches.
pub const SPAN: TimeDelta = TimeDelta::hours(1);
/// About how much it may occupy, in bytes.
pub const BUDGET: usize = 32 * 1024 * 1024;
/// Messages in a chunk at most, so that a moment is made again in some 20 ms.
const CHUNK: usize = 16 * 1024;
/// What a chunk may occupy.
const CHUNK_BUDGET: usize = BUDGET / 8;
/// Metrics of a message that occupy more than this are not kept, in bytes.
const LARGE: usize = tcs_core::fleet::LARGE;
/// What is kept of a message beside what it says, about.
const OVERHEAD: usize = 600;
/// What a service's record occupies. A chunk holds its fleet as it was before, so of each service
/// in it that a message changes there is one more from then on.
const RECORD: usize = 3500;

#[derive(Debug, Clone, Default)]
struct Chunk {
    before: Fleet,
    messages: Vec<Arc<Observed>>,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
    bytes: usize,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    dropped_until: Option<DateTime<Utc>>,
}

impl Chunk {
    /// Returns about how many bytes it occupies.
    fn push(&mut self, message: Arc<Observed>) -> usize {
        let message = short(message);
        let was_there = message.decoded.message.name().is_some_and(|name| self.before.holds(name));
        let is_copied = was_there && self.messages.len() < self.before.len();
        let record = if is_copied { RECORD } else { 0 };
        let at = message.stamp.stored;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        let bytes = message.decoded.message.weight() + OVERHEAD + record;
        self.bytes += bytes;
        self.messages.push(message);
        bytes
    }

    /// Forgets what is not settled in `fleet`.
    fn retain_settled_in(&mut self, fleet: &Fleet) {
        self.before.retain_settled_in(fleet);
        let messages = std::mem::take(&mut self.messages);
        let is_settled = |message: &Arc<Observed>| {
            message.decoded.message.name().is_some_and(|name| fleet.is_settled(name))
        };
        self.bytes = 0;
        for message in messages.into_iter().filter(is_settled) {
            self.push(message);
        }
        self.messages.shrink_to_fit();
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= CHUNK || self.bytes >= CHUNK_BUDGET
    }
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

impl Tape {
    /// Keeps a message that the fleet is about to take; `fleet` is as it was before it.
    pub(super) fn push(&mut self, message: Arc<Observed>, fleet: &Fleet, now: DateTime<Utc>) {
        if self.chunks.back().is_none_or(Chunk::is_full) {
            let mut before = fleet.clone();
            if fleet.is_flooded() {
                before.retain_settled_in(fleet);
            }
            self.chunks.push_back(Chunk { before, ..Chunk::default() });
            self.prune(now);
        }
        if let Some(chunk) = self.chunks.back_mut() {
            self.bytes += chunk.push(message);
        }
    }

    /// Forgets what is not settled in `fleet`: what came and went in a flood.
    pub(super) fn retain_settled_in(&mut self, fleet: &Fleet) {
        for chunk in &mut self.chunks {
            chunk.retain_settled_in(fleet);
        }
        self.bytes = self.chunks.iter().map(|chunk| chunk.bytes).sum();
    }

    /// Puts what the streams hold of the past before all that was heard.
    pub(super) fn root(&mut self, read: PastRead) {
        let mut chunk = Chunk { before: read.before, ..Chunk::default() };
        let mut after = chunk.before.clone();
        for heard in read.messages {
            if let Heard::Message(message) = heard {
                super::fold(&mut after, &message);
                self.bytes += chunk.push(message);
            }
        }
        // what began with nothing now begins with this
        if let Some(first) = self.chunks.front_mut() {
            first.before = after;
        }
        self.chunks.push_front(chunk);
        self.dropped_until = Some(read.since);
    }

    fn prune(&mut self, now: DateTime<Utc>) {
        while self.chunks.len() > 1 {
            let old = self.chunks[0].last.is_some_and(|last| last < now - SPAN);
            if !old && self.bytes <= BUDGET {
                return;
            }
            if let Some(chunk) = self.chunks.pop_front() {
                self.bytes -= chunk.bytes;
                self.dropped_until = self.dropped_until.max(chunk.last);
            }
        }
    }

    /// The earliest moment whose picture is whole as far as this console has listened; `None` while
    /// nothing has come.
    pub fn reaches(&self) -> Option<DateTime<Utc>> {
        let first = self.chunks.iter().filter_map(|chunk| chunk.first).min();
        self.dropped_until.or(first)
    }

    /// The fleet as it was then.
    pub fn at(&self, then: DateTime<Utc>) -> Fleet {
        let start = self
            .chunks
            .iter()
            .rposition(|chunk| chunk.before.newest().is_none_or(|newest| newest <= then))
            .unwrap_or(0);
        let mut fleet = self.chunks.get(start).map(|c| c.before.clone()).unwrap_or_default();
        for chunk in self.chunks.iter().skip(start) {
            if chunk.first.is_some_and(|first| first > then) {
                continue;
            }
            for message in chunk.messages.iter().filter(|message| message.stamp.stored <= then) {
                super::fold(&mut fleet, message);
            }
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
        // out of order, and many times over, to fill several chunks
        while tape.chunks.len() < 4 {
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
        assert!(tape.bytes <= BUDGET + CHUNK_BUDGET + 20_000, "{}", tape.bytes);
        assert!(tape.chunks.len() > 4, "and far back all the same");
        assert!(tape.reaches().unwrap() > start);
        message.stamp.stored += SPAN + SPAN;
        let later = message.stamp.stored;
        message.decoded.message = small;
        for _ in 0..=CHUNK {
            tape.push(Arc::new(message.clone()), &fleet, later);
        }
        assert!(tape.chunks.iter().all(|chunk| chunk.last == Some(later)));
    }
}
