//! Which moments of the past can be shown: the last hour, as it was heard or read, and one part
//! further back, as it was read from the streams for somebody who looks at it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::Fleet;
use tcs_core::fleet::transitions::Transition;
use tcs_present::difference::Difference;

use super::history::History;
use super::tape::{self, Tape};
use super::{Moment, State, stops};
use crate::dashboard::event::{Action, LinkFacts, PastRead, Span};

/// How much is read before and after a moment that somebody wants to see.
const AROUND: TimeDelta = TimeDelta::minutes(30);
/// How long the difference to the present stays on the screen.
const SHOWN: TimeDelta = TimeDelta::seconds(30);

/// How far the last hour has been read from the streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reading {
    /// Nobody asked.
    #[default]
    Unread,
    /// On its way.
    Reading,
    /// Read, since then.
    Read(DateTime<Utc>),
    /// It could not be read.
    Failed(String),
}

/// Where somebody wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// To this moment.
    At(DateTime<Utc>),
    /// To the nearest problem in what is being read: before its end, or after its beginning.
    Problem { earlier: bool, of: Option<Arc<str>> },
}

/// A part of the past that is no longer held: as it was read.
#[derive(Debug, Clone)]
pub(super) struct Far {
    pub(super) since: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    tape: Tape,
    pub(super) history: History,
}

/// What changed between the moment that was shown and the present.
#[derive(Debug, Clone)]
pub struct Left {
    /// It.
    pub difference: Difference,
    pub(super) until: DateTime<Utc>,
}

/// Which past times can be shown, and which is being read.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The last hour.
    pub hour: Reading,
    /// What changed since the moment that was left last, for a while.
    pub difference: Option<Left>,
    /// When problems began in what can be shown without reading more.
    pub stops: Vec<DateTime<Utc>>,
    pub(super) far: Option<Box<Far>>,
    /// What is being read further back.
    pub(super) reading: Option<Span>,
    pub(super) goal: Option<Goal>,
    /// Nothing older is stored.
    pub(super) begins: Option<DateTime<Utc>>,
}

impl Past {
    /// The moment that is to be shown once it has been read.
    pub fn wanted(&self) -> Option<DateTime<Utc>> {
        match (&self.goal, self.reading) {
            (Some(Goal::At(at)), _) => Some(*at),
            (Some(Goal::Problem { earlier: true, .. }), Some(span)) => Some(span.since),
            (Some(Goal::Problem { earlier: false, .. }), Some(span)) => span.until,
            (Some(Goal::Problem { .. }), None) | (None, _) => None,
        }
    }

    /// Whether something is on its way.
    pub fn is_reading(&self) -> bool {
        self.hour == Reading::Reading || self.reading.is_some()
    }

    /// Forgets where somebody wanted to go; whether anybody did.
    pub(super) fn cancel(&mut self) -> bool {
        self.reading = None;
        self.goal.take().is_some()
    }
}

impl State {
    /// What happened up to the moment that is shown, oldest first, as far as it is known.
    pub fn happened(&self) -> &[Transition] {
        let shown = self.picture.now;
        self.far(shown).map_or(&self.history, |far| &far.history).until(shown)
    }

    /// The part further back in which this moment lies.
    pub(super) fn far(&self, at: DateTime<Utc>) -> Option<&Far> {
        let far = self.past.far.as_deref()?;
        let is_in = far.since <= at && at <= far.until;
        (is_in && self.reach().is_none_or(|reach| at < reach)).then_some(far)
    }

    /// The earliest moment of the last hour that can be shown.
    pub fn reach(&self) -> Option<DateTime<Utc>> {
        let hour = self.now - tape::SPAN;
        self.tape.reaches().map(|start| if self.is_recording() { start } else { start.max(hour) })
    }

    /// The time in which moments can be shown without reading more: around the one that is shown.
    pub fn reach_around(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        match self.far(self.picture.now) {
            Some(far) => Some((far.since, far.until)),
            None => self.reach().map(|reach| (reach, self.now)),
        }
    }

    /// A recording's hour may be any, and there is nobody to read from.
    pub(super) fn is_recording(&self) -> bool {
        matches!(self.link, LinkFacts::Recording { .. })
    }

    /// What was known at a moment that can be shown; `None`: it must be read first.
    pub(super) fn fleet_at(&self, at: DateTime<Utc>) -> Option<Fleet> {
        if let Some(far) = self.far(at) {
            return Some(far.tape.at(at));
        }
        self.reach().filter(|reach| *reach <= at).map(|_| self.tape.at(at))
    }

    /// Has the last hour read, unless it has been.
    pub(super) fn read_hour(&mut self) -> Vec<Action> {
        let is_unread = matches!(self.past.hour, Reading::Unread | Reading::Failed(_));
        if !is_unread || self.is_recording() {
            return Vec::new();
        }
        self.past.hour = Reading::Reading;
        vec![Action::LoadHistory(Span { since: self.now - tape::SPAN, until: None })]
    }

    /// Has the time around a moment read.
    pub(super) fn read_around(&mut self, at: DateTime<Utc>) -> Vec<Action> {
        self.read_part(at - AROUND, at + AROUND)
    }

    /// Has a part further back read.
    pub(super) fn read_part(&mut self, since: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Action> {
        let span = Span { since, until: Some(until.min(self.now)) };
        if self.past.reading == Some(span) {
            return Vec::new();
        }
        self.past.reading = Some(span);
        vec![Action::LoadHistory(span)]
    }

    /// Takes a part of the past.
    pub(super) fn past_read(
        &mut self,
        span: Span,
        outcome: Result<Box<PastRead>, String>,
    ) -> Vec<Action> {
        let is_hour = span.until.is_none();
        if !is_hour && self.past.reading != Some(span) {
            return Vec::new();
        }
        match outcome {
            Ok(read) => {
                if !read.problems.is_empty() {
                    self.tell(
                        format!("the past is incomplete: {}", read.problems.join("; ")),
                        true,
                    );
                }
                if read.since > span.since {
                    self.past.begins = Some(read.since);
                }
                self.keep(span, *read);
            }
            Err(why) => {
                self.tell(format!("the past could not be read: {why}"), true);
                if is_hour {
                    self.past.hour = Reading::Failed(why);
                }
                self.past.cancel();
                self.why.waits = false;
                return Vec::new();
            }
        }
        if let Moment::Past { at, .. } = self.moment {
            self.show_past(at);
        }
        self.arrive(is_hour)
    }

    fn keep(&mut self, span: Span, mut read: PastRead) {
        let (since, transitions) = (read.since, std::mem::take(&mut read.transitions));
        let Some(until) = span.until else {
            self.history.replace_past(transitions, self.settled.unwrap_or(self.now));
            self.tape.root(read);
            self.past.hour = Reading::Read(since);
            return;
        };
        let mut far = Far { since, until, tape: Tape::default(), history: History::default() };
        far.history.replace_past(transitions, until);
        far.tape.root(read);
        self.past.far = Some(Box::new(far));
    }

    /// Marks where problems began, for the moment that is shown.
    pub(super) fn find_stops(&mut self) {
        let Moment::Past { at, .. } = self.moment else { return };
        let history = self.far(at).map_or(&self.history, |far| &far.history);
        self.past.stops = stops::of_fleet(history.until(self.now));
    }

    /// Says what has changed since the moment that is left.
    pub(super) fn compare_with_now(&mut self) {
        let Moment::Past { at, fleet } = &self.moment else { return };
        let before = fleet.view(*at, tcs_core::fleet::Link::Steady);
        let after = self.fleet.view(self.now, self.fleet_link(self.now));
        let difference = Difference::between(&before, &after);
        self.past.difference = Some(Left { difference, until: self.now + SHOWN });
    }
}
