//! One thing observed: a message, decoded and stamped, or a fact of the observing itself.

use std::sync::Arc;

use crate::{BrokerClock, Contact, Heard, Item, LinkState, Note, RawMessage, Reading, Stored};
use tcs_fleet::{Order, Stamp};
use tcs_wire::{DecodeError, Decoded, Kind, Subjects};

/// One thing observed: a message, or a fact about the observing itself.
#[derive(Debug, Clone)]
pub enum Observation {
    /// A message that could be read.
    Message(Arc<Observed>),
    /// One that could not.
    Malformed {
        /// Where it came from.
        subject: String,
        /// Why not.
        error: DecodeError,
        /// Its size.
        bytes: usize,
    },
    /// How the reading of a kind stands. "Complete" comes after the messages it speaks of.
    Reading(Kind, Reading),
    /// The broker's clock was measured.
    Clock(BrokerClock),
    /// The link changed.
    Link(LinkState),
    /// How contact with the heartbeats' stream stands.
    Contact(Contact),
}

/// A message with all that is known of it.
#[derive(Debug, Clone)]
pub struct Observed {
    /// Its whole subject.
    pub subject: String,
    /// What it says.
    pub decoded: Decoded,
    /// When the broker stored it, and its order.
    pub stamp: Stamp,
    /// The size of its body.
    pub bytes: usize,
}

/// Turns what was received into observations. `clock` dates what no stream dated, and is brought
/// up to date on the way.
pub(super) fn observe(heard: Heard, subjects: &Subjects, clock: &mut BrokerClock) -> Observation {
    match heard {
        Item::Message(raw) => read(&raw, subjects, *clock),
        Item::Note(Note::Reading(kind, reading)) => Observation::Reading(kind, reading),
        Item::Note(Note::Link(state)) => Observation::Link(state),
        Item::Note(Note::Contact(contact)) => Observation::Contact(contact),
        Item::Note(Note::Clock(measured)) => {
            *clock = measured;
            Observation::Clock(measured)
        }
    }
}

/// Decodes and stamps one message.
pub(super) fn read(raw: &RawMessage, subjects: &Subjects, clock: BrokerClock) -> Observation {
    let bytes = raw.payload().len();
    match raw.decode(subjects) {
        Ok(decoded) => {
            let subject = raw.subject().to_owned();
            let stamp = stamp(raw.stored, clock);
            Observation::Message(Arc::new(Observed { subject, decoded, stamp, bytes }))
        }
        Err(error) => Observation::Malformed { subject: raw.subject().to_owned(), error, bytes },
    }
}

fn stamp(stored: Stored, clock: BrokerClock) -> Stamp {
    match stored {
        Stored::Stream { created, seq, at } => {
            Stamp { stored: at, order: Order::Stream { created, seq } }
        }
        Stored::Core { arrived, number } => {
            Stamp { stored: clock.at(arrived), order: Order::Core { arrival: number } }
        }
    }
}
