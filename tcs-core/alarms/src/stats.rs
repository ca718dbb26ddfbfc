//! How often alarms were raised, which ones, and what stays open: whether the rules of a site are
//! worth listening to (`docs/spec/alarms.md#commands`).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::Stamp;
use tcs_wire::Timestamp;

use crate::address::Address;
use crate::id::AlarmId;
use crate::record::{Condition, Delivery, Record};
use crate::rules::built_in;
use crate::view::{AlarmState, AlarmView};

/// Alarms that are named of those raised most often.
const MOST: usize = 10;
/// What has been open for longer is stale.
const STALE: TimeDelta = TimeDelta::hours(24);

/// When alarms were raised, and when there were floods, by all messages of the stream.
#[derive(Debug, Clone, Default)]
pub struct History {
    raises: BTreeMap<AlarmId, Vec<DateTime<Utc>>>,
    floods: BTreeSet<Timestamp>,
}

/// The figures of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Its beginning.
    pub since: DateTime<Utc>,
    /// Its end.
    pub until: DateTime<Utc>,
    /// How often any alarm was raised.
    pub raises: usize,
    /// The hour with most of them: its beginning, and how many.
    pub busiest: Option<(DateTime<Utc>, usize)>,
    /// The alarms that were raised most often, and how often; ten at most.
    pub top: Vec<(AlarmId, usize)>,
    /// Alarms that have been open for more than 24 h, and since when, oldest first.
    pub stale: Vec<(AlarmId, DateTime<Utc>)>,
    /// When the floods began that were notified.
    pub floods: Vec<DateTime<Utc>>,
}

impl History {
    /// Takes in a message of the stream.
    pub fn note(&mut self, address: &Address, record: &Record, stamp: &Stamp) {
        match (address, record) {
            // what is written again, or goes on, names the message that began it
            (Address::State(alarm), Record::State(state))
                if state.state == Condition::Active && state.raised.is_none() =>
            {
                self.raises.entry(alarm.clone()).or_default().push(stamp.stored);
            }
            (Address::Sent { alarm, .. }, Record::Sent(sent))
                if alarm.rule() == built_in::FLOOD && sent.st == Delivery::Done =>
            {
                self.floods.insert(sent.episode.raised);
            }
            _ => {}
        }
    }

    /// The figures from `since` to `now`. `views`: the alarms at `now`.
    pub fn stats(&self, views: &[AlarmView], since: DateTime<Utc>, now: DateTime<Utc>) -> Stats {
        let within = |at: &DateTime<Utc>| (since..=now).contains(at);
        let mut top: Vec<(AlarmId, usize)> = self
            .raises
            .iter()
            .map(|(alarm, at)| (alarm.clone(), at.iter().filter(|at| within(at)).count()))
            .filter(|(_, count)| *count > 0)
            .collect();
        let raises = top.iter().map(|(_, count)| count).sum();
        top.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        top.truncate(MOST);
        let mut hours: BTreeMap<i64, usize> = BTreeMap::new();
        for at in self.raises.values().flatten().filter(|at| within(at)) {
            *hours.entry(at.timestamp().div_euclid(3600)).or_default() += 1;
        }
        // of several the first
        let busiest = hours.into_iter().rev().max_by_key(|(_, count)| *count);
        let busiest = busiest
            .and_then(|(hour, count)| Some((DateTime::from_timestamp(hour * 3600, 0)?, count)));
        let open = views.iter().filter(|view| view.state != AlarmState::Normal);
        let open = open.map(|view| (view.id.clone(), view.record().episode.raised.time()));
        let mut stale: Vec<_> = open.filter(|(_, raised)| now - *raised > STALE).collect();
        stale.sort_by_key(|(_, raised)| *raised);
        let floods = self.floods.iter().map(|at| at.time()).filter(within).collect();
        Stats { since, until: now, raises, busiest, top, stale, floods }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::support::{Stored, at, of_state, place, state, views};

    fn history(messages: &[Stored]) -> History {
        let mut history = History::default();
        for (address, record, stamp) in messages {
            history.note(address, record, stamp);
        }
        history
    }

    #[test]
    fn raises_are_counted_and_what_goes_on_is_not() {
        let day = 86_400.0;
        let active = |raised: f64| state(raised, Condition::Active, raised);
        let mut again = active(day);
        again.raised = Some(place(day));
        let messages = [
            of_state(active(0.0), 0.0),
            of_state(active(day), day),
            of_state(again, day + 60.0),
            of_state(active(day + 4000.0), day + 4000.0),
            of_state(active(day + 4100.0), day + 4100.0),
        ];
        let history = history(&messages);
        let now = day + 7200.0;
        let stats = history.stats(&views(&messages, now), at(day - 1.0), at(now));
        assert_eq!((stats.raises, stats.top[0].1), (3, 3));
        // the epoch is a whole hour
        assert_eq!(stats.busiest, Some((at(day + 3600.0), 2)));
        assert_eq!((&*stats.stale, &*stats.floods), (&[][..], &[][..]));
        let later = history.stats(&views(&messages, now + 2.0 * day), at(now), at(now + 2.0 * day));
        assert_eq!((later.raises, later.stale.len(), later.busiest), (0, 1, None));
    }
}
