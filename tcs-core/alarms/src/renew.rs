//! Records that are written again, so that what is open is never lost
//! (`docs/spec/alarms.md#sentinels`): old ones, before the stream drops them, those that somebody has
//! purged, and all after the broker lost its store.

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::Timestamp;

use crate::address::Address;
use crate::alarms::{Alarms, Held};
use crate::intent::Intent;
use crate::record::{AckRecord, Condition, Place, Record, SentRecord, ShelfRecord, StateRecord};
use crate::view::AlarmView;

/// Older records of what is open are written again.
const OLD: TimeDelta = TimeDelta::hours(24);

/// The writes at `now`, where the stream was created at `stream`.
pub(crate) fn renewed(
    alarms: &Alarms,
    views: &[AlarmView],
    stream: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Intent> {
    let renewer = Renewer { alarms, stream: stream.into(), now };
    let shelves = alarms.shelves().filter(|(_, shelf)| shelf.end() > now);
    let shelves = shelves.filter_map(|(id, shelf)| {
        let record = ShelfRecord { restored: true, ..(*shelf.held.record).clone() };
        renewer.write(&shelf.held, Address::Shelf(id.to_owned()), Record::Shelf(record))
    });
    let open = views.iter().filter(|view| view.record().state != Condition::Normal);
    shelves.chain(open.flat_map(|view| renewer.of_alarm(view))).collect()
}

struct Renewer<'a> {
    alarms: &'a Alarms,
    stream: Timestamp,
    now: DateTime<Utc>,
}

impl Renewer<'_> {
    fn of_alarm(&self, view: &AlarmView) -> Vec<Intent> {
        let held = &view.held;
        let state = StateRecord {
            rev: held.record.rev.saturating_add(1),
            raised: Some(held.raised()),
            ..(*held.record).clone()
        };
        let state = self.write(held, Address::State(view.id.clone()), Record::State(state));
        // who was told of the end of an acknowledgement is not told again
        let ack = view.acked.as_ref().or(view.reopened_by.as_ref());
        let ack = ack.and_then(|ack| {
            let address = Address::Ack(view.id.clone());
            let newest = self.alarms.last_ack(&view.id).unwrap_or(ack.place);
            if !self.is_due(ack, &address, newest) {
                return None;
            }
            let original = Some(ack.original());
            let record = AckRecord { restored: true, original, ..(*ack.record).clone() };
            Some(Intent::write(address, Record::Ack(record), self.expected(newest)))
        });
        let told = view.told.iter().filter_map(|(channel, sent)| {
            let address = Address::Sent { channel: channel.to_string(), alarm: view.id.clone() };
            self.write(sent, address, Record::Sent(SentRecord::clone(&sent.record)))
        });
        state.into_iter().chain(ack).chain(told).collect()
    }

    /// A record written again, where it is old, purged, or of a stream that is gone.
    fn write<T>(&self, held: &Held<T>, address: Address, record: Record) -> Option<Intent> {
        let is_due = self.is_due(held, &address, held.place);
        is_due.then(|| Intent::write(address, record, self.expected(held.place)))
    }

    /// `newest` is the newest message of its subject.
    fn is_due<T>(&self, held: &Held<T>, address: &Address, newest: Place) -> bool {
        held.place.created < self.stream
            || self.now >= held.stored + OLD
            || self.alarms.is_purged(address, newest)
    }

    /// The last sequence number of a subject, of which this is the newest message.
    fn expected(&self, newest: Place) -> u64 {
        if newest.created < self.stream { 0 } else { newest.seq }
    }
}
