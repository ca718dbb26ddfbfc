//! Makes the history of a period from messages.

use chrono::{DateTime, Utc};
use tcs_wire::Decoded;

use super::{Change, Changes, Gap, History};
use crate::transitions::{Transition, Transitions};
use crate::{Fleet, FleetView, Link, Stamp};

/// Transitions that are kept; beyond them the oldest are forgotten.
const MAX_TRANSITIONS: usize = 100_000;

/// Takes in the past of a period. Messages are looked through in pieces ([`Self::look_ahead`]), and taken after that one
/// by one, in the order in which they were stored.
pub trait PastReader {
    /// The record has a gap.
    fn gap(&mut self, gap: Gap);

    /// Looks through messages before they are taken ([`Transitions::look_ahead`]).
    fn look_ahead<'a>(&mut self, messages: impl Iterator<Item = (&'a Decoded, Stamp)>);

    /// Takes a message.
    fn take(&mut self, subject: &str, decoded: &Decoded, stamp: Stamp);
}

/// Builds a [`Chronicle`] from messages.
#[derive(Debug)]
pub struct Historian {
    fleet: Fleet,
    transitions: Transitions,
    history: History,
    told: Vec<Transition>,
    changes: Changes,
}

/// The past of a period.
#[derive(Debug)]
#[non_exhaustive]
pub struct Chronicle {
    /// The verdicts.
    pub history: History,
    /// What happened, in the order of time.
    pub transitions: Vec<Transition>,
    /// What was changed, in the order of time.
    pub changes: Vec<Change>,
    /// The fleet at the end of the period: the order of its services, their launchers and hosts.
    pub view: FleetView,
}

impl Historian {
    /// `fleet` is what was known when the period began. Heartbeats are known from `heard_from` on;
    /// `None`: not at all.
    pub fn new(
        fleet: Fleet,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        heard_from: Option<DateTime<Utc>>,
    ) -> Self {
        let mut historian = Self {
            fleet,
            transitions: Transitions::of_period(from, heard_from).keeping_turns(),
            history: History::new(from, to),
            told: Vec::new(),
            changes: Changes::default(),
        };
        let view = historian.fleet.view(from, Link::Steady);
        historian.transitions.begin(&historian.fleet, from, Link::Steady);
        historian.changes.begin(&view);
        historian.note_turns();
        historian
    }

    fn note(&mut self, told: Vec<Transition>) {
        self.note_turns();
        for transition in &told {
            self.history.note(transition);
            self.changes.transition(transition);
        }
        self.told.extend(told);
        if self.told.len() > 2 * MAX_TRANSITIONS {
            self.told.drain(..MAX_TRANSITIONS);
        }
    }

    fn note_turns(&mut self) {
        for turn in self.transitions.take_turns() {
            self.history.turn(turn);
        }
    }

    /// Goes on to the end of the period.
    pub fn finish(mut self) -> Chronicle {
        let to = self.history.to;
        let told = self.transitions.advance(&self.fleet, to, Link::Steady);
        self.note(told);
        for silence in self.transitions.silences() {
            self.history.outage(silence);
        }
        let view = self.fleet.view(to, Link::Steady);
        let mut transitions = self.told;
        transitions.sort_by_key(|transition| transition.at);
        let changes = self.changes.finish(&view);
        Chronicle { history: self.history, transitions, changes, view }
    }
}

impl PastReader for Historian {
    fn gap(&mut self, gap: Gap) {
        self.history.gap(gap);
    }

    fn look_ahead<'a>(&mut self, messages: impl Iterator<Item = (&'a Decoded, Stamp)>) {
        self.transitions.look_ahead(&mut self.fleet, messages);
    }

    fn take(&mut self, subject: &str, decoded: &Decoded, stamp: Stamp) {
        self.changes.message(decoded, stamp.stored);
        let told = self.transitions.take(&mut self.fleet, subject, decoded, stamp, Link::Steady);
        self.note(told);
    }
}
