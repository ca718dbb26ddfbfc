//! Many alarms at once are notified in one digest per minute (`docs/spec/alarms.md#noise`).

use chrono::{DateTime, TimeDelta, Utc};

use crate::record::Condition;
use crate::rules::Escalation;
use crate::view::AlarmView;

/// Alarms raised within this time are counted.
const WINDOW: TimeDelta = TimeDelta::minutes(10);
/// A flood begins with this many alarms,
const BEGINS: usize = 10;
/// and ends when there are fewer than this.
const ENDS: usize = 5;
/// From one digest to the next.
const EVERY: TimeDelta = TimeDelta::minutes(1);
/// Raises that are older change nothing by now.
const OLDEST: TimeDelta = TimeDelta::hours(6);

/// A flood that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flood {
    /// When its first digest was due.
    since: DateTime<Utc>,
    /// Notifications due from this time on are sent in digests.
    pub(crate) from: DateTime<Utc>,
}

impl Flood {
    /// Whether there is a flood, judged by the alarms that are to be notified.
    pub(crate) fn of(
        views: &[AlarmView],
        escalate: &Escalation,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let counts = |view: &&AlarmView| {
            let record = view.record();
            escalate.get(&record.severity).is_some_and(|steps| !steps.is_empty())
                && record.cause.is_none()
                && (view.shelved.is_none() || record.state != Condition::Active)
        };
        let raised = views.iter().filter(counts).map(|view| view.record().episode.raised.time());
        Self::at(raised.filter(|at| now - *at <= OLDEST).collect(), now)
    }

    /// Finds a flood in the times of raises.
    fn at(mut raised: Vec<DateTime<Utc>>, now: DateTime<Utc>) -> Option<Self> {
        raised.sort_unstable();
        let mut since = None;
        let mut first = 0;
        for (i, at) in raised.iter().enumerate() {
            while raised[first] <= *at - WINDOW {
                first += 1;
                // those that are left when this one no longer counts
                if i - first < ENDS {
                    since = None;
                }
            }
            if i + 1 - first >= BEGINS {
                since = since.or(Some(*at));
            }
        }
        let left = raised.iter().filter(|at| now - **at < WINDOW).count();
        since.filter(|_| left >= ENDS).map(|since| Self { since, from: since })
    }

    /// So many that are due at once are a flood too, whenever they were raised: a large shelf has
    /// ended, or a channel is new. `singles`: when those are due that the flood so far leaves out.
    pub(crate) fn or_of(flood: Option<Self>, singles: &[DateTime<Utc>]) -> Option<Self> {
        let (Some(first), Some(last)) = (singles.iter().min(), singles.iter().max()) else {
            return flood;
        };
        if singles.len() < BEGINS {
            return flood;
        }
        Some(Self { since: flood.map_or(*last, |flood| flood.since), from: *first })
    }

    /// When the newest digest was due.
    pub(crate) fn digest_due(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let minutes = (now - self.since).num_seconds() / EVERY.num_seconds();
        self.since + EVERY * i32::try_from(minutes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::support::at;

    fn since(raised: &[f64], now: f64) -> Option<DateTime<Utc>> {
        let raised = raised.iter().map(|s| at(*s)).filter(|it| *it <= at(now)).collect();
        Flood::at(raised, at(now)).map(|flood| flood.since)
    }

    #[test]
    fn ten_in_ten_minutes_begin_a_flood_until_fewer_than_five() {
        let ten: Vec<f64> = (0..10).map(|i| 100.0 + 50.0 * f64::from(i)).collect();
        assert_eq!(since(&ten, 549.0), None);
        assert_eq!(since(&ten, 550.0), Some(at(550.0)));
        // the fifth from the end is of 350
        assert_eq!(since(&ten, 949.0), Some(at(550.0)));
        assert_eq!(since(&ten, 951.0), None);
        // one each minute: never ten
        let slow: Vec<f64> = (0..60).map(|i| 66.7 * f64::from(i)).collect();
        assert_eq!(since(&slow, 5000.0), None);
        assert_eq!(since(&[], 1.0), None);
    }

    #[test]
    fn a_flood_goes_on_and_a_later_one_is_another() {
        let first: Vec<f64> = (0..10).map(f64::from).collect();
        let on: Vec<f64> = (1..20).map(|i| 100.0 * f64::from(i)).collect();
        let both = [first.clone(), on].concat();
        assert_eq!(since(&both, 1900.0), Some(at(9.0)));
        let later: Vec<f64> = (0..10).map(|i| 5000.0 + f64::from(i)).collect();
        let both = [first, later].concat();
        assert_eq!(since(&both, 5008.5), None);
        assert_eq!(since(&both, 5020.0), Some(at(5009.0)));
    }

    #[test]
    fn a_digest_is_due_each_minute() {
        let flood = Flood { since: at(10.0), from: at(10.0) };
        assert_eq!(flood.digest_due(at(10.0)), at(10.0));
        assert_eq!(flood.digest_due(at(69.9)), at(10.0));
        assert_eq!(flood.digest_due(at(70.0)), at(70.0));
    }
}
