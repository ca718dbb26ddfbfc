//! Records that are written again, so that what is open is never lost
//! (`docs/spec/alarms.md#sentinels`): old ones, before the stream drops them, and all after the
//! broker lost its store.

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::Timestamp;

use crate::address::Address;
use crate::alarms::{Alarms, Held};
use crate::record::{AckRecord, Condition, Place, Record, SentRecord, ShelfRecord, StateRecord};
use crate::sentinel::Intent;
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
    let clock = Clock { stream: stream.into(), now };
    let shelves = alarms.shelves().filter(|(_, shelf)| shelf.end() > now);
    let shelves = shelves.filter_map(|(id, shelf)| {
        let record = ShelfRecord { restored: true, ..(*shelf.held.record).clone() };
        clock.write(&shelf.held, Address::Shelf(id.to_owned()), Record::Shelf(record))
    });
    let open = views.iter().filter(|view| view.record().state != Condition::Normal);
    shelves.chain(open.flat_map(|view| clock.of_alarm(alarms, view))).collect()
}

struct Clock {
    stream: Timestamp,
    now: DateTime<Utc>,
}

impl Clock {
    fn of_alarm(&self, alarms: &Alarms, view: &AlarmView) -> Vec<Intent> {
        let held = &view.held;
        let state = StateRecord {
            rev: held.record.rev.saturating_add(1),
            raised: Some(held.raised()),
            ..(*held.record).clone()
        };
        let state = self.write(held, Address::State(view.id.clone()), Record::State(state));
        let ack = view.acked.as_ref().filter(|ack| self.is_due(ack)).map(|ack| {
            let original = Some(ack.original());
            let record =
                Record::Ack(AckRecord { restored: true, original, ..(*ack.record).clone() });
            let expected = self.expected(alarms.last_ack(&view.id).unwrap_or(ack.place));
            Intent::write(Address::Ack(view.id.clone()), record, expected)
        });
        let told = view.told.iter().filter_map(|(channel, sent)| {
            let address = Address::Sent { channel: channel.to_string(), alarm: view.id.clone() };
            self.write(sent, address, Record::Sent(SentRecord::clone(&sent.record)))
        });
        state.into_iter().chain(ack).chain(told).collect()
    }

    /// A record written again, where it is old or of a stream that is gone.
    fn write<T>(&self, held: &Held<T>, address: Address, record: Record) -> Option<Intent> {
        self.is_due(held).then(|| Intent::write(address, record, self.expected(held.place)))
    }

    fn is_due<T>(&self, held: &Held<T>) -> bool {
        held.place.created < self.stream || self.now >= held.stored + OLD
    }

    /// The last sequence number of a subject, of which this is the newest message.
    fn expected(&self, newest: Place) -> u64 {
        if newest.created < self.stream { 0 } else { newest.seq }
    }
}
