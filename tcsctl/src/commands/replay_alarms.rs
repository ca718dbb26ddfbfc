//! Records of alarms in a recording that is replayed into a broker. They name times, and places of the
//! stream that they were in; both are others in the new one.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_alarms::{Address, Place, Record};
use tcs_core::bus::publish::{OutgoingMessage, Sent, new_meta};
use tcs_core::bus::{ApiError, Bus};
use tcs_core::wire::{Subjects, Timestamp};

use crate::recording::Entry;

/// When what happened at a time of the recording happens in its replay: the same for each record that
/// names that time.
#[derive(Debug, Clone, Copy)]
pub(super) enum ReplayTime {
    /// As it was.
    AsIs,
    /// From the first of these to the second one, so many times as fast.
    Played(DateTime<Utc>, DateTime<Utc>, f64),
}

impl ReplayTime {
    fn of(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let Self::Played(from, to, speed) = self else { return at };
        let micros = (at - from).num_microseconds().unwrap_or_default() as f64 / speed;
        to.checked_add_signed(TimeDelta::microseconds(micros as i64)).unwrap_or(at)
    }
}

/// Makes the messages, and remembers where they are stored.
pub(super) struct AlarmReplay {
    time: ReplayTime,
    /// In the recording, and now.
    places: BTreeMap<Place, Place>,
    created: Option<Timestamp>,
}

impl AlarmReplay {
    pub(super) const fn new(time: ReplayTime) -> Self {
        Self { time, places: BTreeMap::new(), created: None }
    }

    /// The message for this site; `None`: it is no record of an alarm.
    pub(super) fn message(
        &self,
        entry: &Entry,
        from: &Subjects,
        to: &Subjects,
    ) -> Option<OutgoingMessage> {
        let address = Address::parse(from, &entry.subject)?;
        let record = Record::decode(&address, entry.payload.as_bytes()).ok()?;
        let place = |place: Place| self.places.get(&place).copied();
        let record = record.moved(|at| self.time.of(at), place);
        let meta = new_meta();
        let body = record.to_body(&meta).ok()?;
        Some(OutgoingMessage::of_body(address.subject(to), &meta.id, body))
    }

    /// Where it was stored.
    pub(super) async fn stored(
        &mut self,
        bus: &Bus,
        entry: &Entry,
        sent: &Sent,
    ) -> Result<(), ApiError> {
        let (Some(place), Sent::Stored { stream, sequence }) = (entry.place, sent) else {
            return Ok(());
        };
        let created = match self.created {
            Some(created) => created,
            None => bus.stream(stream).await?.created.into(),
        };
        self.created = Some(created);
        self.places.insert(place, Place { created, seq: *sequence });
        Ok(())
    }
}
