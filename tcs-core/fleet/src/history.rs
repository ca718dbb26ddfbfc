//! The past of a fleet in a period: of each service its verdicts with their beginnings, its
//! restarts, and where the record has gaps (`docs/spec/history.md`).
//!
//! [`Historian`] folds messages through [`Transitions`](crate::transitions::Transitions), the model
//! that `tcsctl events` shows too; [`History`] keeps what it finds. [`timeline()`] draws it in columns,
//! [`incidents()`] puts together what went wrong. Nothing is guessed: before its first
//! message a service has no verdict.

mod availability;
mod changes;
mod historian;
mod incidents;
mod timeline;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::Event;

use crate::events::Slot;
use crate::silence::Silence;
use crate::transitions::{Cause, Transition, Turn};
use crate::{Reason, Verdict};

pub use availability::{Availability, Sum, availability, sums};
pub use changes::{Change, Changes, Happening};
pub use historian::{Chronicle, Historian, PastReader};
pub use incidents::{Common, Episode, Incident, TOGETHER, incidents};
pub use timeline::{Cell, Timeline, TimelineRow, timeline, timeline_of};

/// A verdict from its beginning on; it lasts until the next one begins.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stage {
    /// By the broker's clock. Of the first one it may be before the period.
    pub from: DateTime<Utc>,
    /// The verdict.
    pub verdict: Verdict,
    /// The decisive reason.
    pub reason: Option<Reason>,
}

/// One service's past.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Track {
    /// In the order of time. One may end when it begins.
    pub stages: Vec<Stage>,
    /// When it was started again after an end, in the order of time.
    pub restarts: Vec<DateTime<Utc>>,
    ended: bool,
    restarting: bool,
}

impl Track {
    /// Each verdict with its beginning and its end, cut to a period. What begins when the period
    /// ends is not in it.
    pub fn spans(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>, &Stage)> {
        let ends = self.stages.iter().skip(1).map(|next| next.from).chain([to]);
        let within = move |(stage, end): &(&Stage, DateTime<Utc>)| {
            // what ended before it, and what had ended when it began
            stage.from < to && (*end > from || stage.from >= from)
        };
        let stages = self.stages.iter().zip(ends).filter(within);
        stages.map(move |(stage, end)| (stage.from.max(from), end.min(to), stage))
    }

    /// The verdict at a moment, and since when; `None`: not known.
    pub fn at(&self, at: DateTime<Utc>) -> Option<&Stage> {
        self.stages.iter().rev().find(|stage| stage.from <= at)
    }

    fn turn(&mut self, turn: Turn) {
        // what was delivered late happened before what was thought meanwhile
        while self.stages.last().is_some_and(|last| last.from > turn.at) {
            self.stages.pop();
        }
        if self.stages.last().is_none_or(|last| last.verdict != turn.verdict) {
            let Turn { at, verdict, reason, .. } = turn;
            let reason = reason.filter(|_| verdict.is_fault());
            self.stages.push(Stage { from: at, verdict, reason });
            if self.stages.len() > MAX_STAGES {
                self.stages.drain(..MAX_STAGES / 2);
            }
        }
    }

    /// A start after an end is a restart; `restarting` announces one.
    fn note(&mut self, at: DateTime<Utc>, event: &Event) {
        match Slot::of(event) {
            Some(slot) if Slot::ENDS.contains(&slot) => self.ended = true,
            Some(Slot::Restarting) => {
                self.restarts.push(at);
                (self.ended, self.restarting) = (false, true);
            }
            Some(Slot::Start) => {
                if self.ended && !self.restarting {
                    self.restarts.push(at);
                }
                (self.ended, self.restarting) = (false, false);
            }
            Some(_) | None => {}
        }
    }
}

/// Verdicts kept of one service; beyond them the oldest half is forgotten, and not known any more.
const MAX_STAGES: usize = 20_000;

/// Why nothing, or not all, is known of a part of the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapKind {
    /// Life cycle events are not stored.
    Events,
    /// Statuses are not stored.
    Statuses,
    /// Heartbeats are not stored, or could not be read: late and lost are not known.
    Heartbeats,
    /// The broker stored no heartbeat of any service: it, or the way to it, was down.
    Outage,
}

/// A part of the period in which the record has a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Its beginning.
    pub from: DateTime<Utc>,
    /// Its end.
    pub until: DateTime<Utc>,
    /// What is missing.
    pub kind: GapKind,
}

impl Gap {
    /// A gap of this kind.
    pub const fn new(kind: GapKind, from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        Self { from, until, kind }
    }

    /// How long it is.
    pub fn lasted(&self) -> TimeDelta {
        self.until - self.from
    }
}

/// The verdicts, restarts and gaps of a fleet in one period.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// The beginning of the period.
    pub from: DateTime<Utc>,
    /// Its end.
    pub to: DateTime<Utc>,
    /// By id.
    pub services: BTreeMap<Arc<str>, Track>,
    /// Oldest first.
    pub gaps: Vec<Gap>,
}

impl History {
    /// An empty history of a period.
    pub const fn new(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        Self { from, to, services: BTreeMap::new(), gaps: Vec::new() }
    }

    /// Adds a change of a verdict.
    pub fn turn(&mut self, turn: Turn) {
        self.services.entry(Arc::clone(&turn.id)).or_default().turn(turn);
    }

    /// Adds an event reported by a launcher.
    pub fn note(&mut self, transition: &Transition) {
        if let Cause::Event { event, .. } = &transition.cause {
            let track = self.services.entry(Arc::clone(&transition.id)).or_default();
            track.note(transition.at, event);
        }
    }

    /// Adds a gap, cut to the period.
    pub fn gap(&mut self, gap: Gap) {
        let (from, until) = (gap.from.max(self.from), gap.until.min(self.to));
        let gap = Gap { from, until, ..gap };
        if from < until && !self.gaps.contains(&gap) {
            self.gaps.push(gap);
            self.gaps.sort_by_key(|gap| gap.from);
        }
    }

    fn outage(&mut self, silence: Silence) {
        self.gap(Gap::new(GapKind::Outage, silence.from, silence.until));
    }

    /// Times in which the broker stored nothing.
    pub fn outages(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(|gap| gap.kind == GapKind::Outage)
    }
}
