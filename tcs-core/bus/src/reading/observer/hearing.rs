//! Up to when heartbeats could arrive: silence after that is the connection's, not a service's.
//! Pure.

use chrono::{DateTime, TimeDelta, Utc};

use super::observation::Observed;
use crate::{BrokerClock, CONTACT_LOST_AFTER, Contact};
use tcs_fleet::Link;
use tcs_wire::Message;

/// Liveness is judged by the last proof of contact once that is older than this. On a quiet site a
/// proof comes every second and a half.
const FRESH: TimeDelta = TimeDelta::seconds(2);
/// Contact that lasts for less than this between two outages is part of one: an interval and the
/// grace after it, within which not everybody can be heard.
const BRIEF: TimeDelta = TimeDelta::seconds(15);
/// A heartbeat from further ahead of the clock than this was stored by another clock.
const AHEAD: TimeDelta = TimeDelta::seconds(5);

/// What proves contact, by the broker's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hearing {
    /// The heartbeats' stream was last known to take and deliver messages. `None`: that is not
    /// known, and the link's own state is all there is.
    pub heard: Option<DateTime<Utc>>,
    /// Anything came last over the connection.
    pub answered: Option<DateTime<Utc>>,
    /// The last loss of contact that is over.
    outage: Option<Outage>,
    /// Stored time of the newest heartbeat.
    beat: Option<DateTime<Utc>>,
}

/// A period in which nothing could arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outage {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Outage {
    /// The later one of two, from where the earlier one began if there was hardly anything between.
    fn join(one: Self, other: Self) -> Self {
        let (first, last) = if one.until <= other.until { (one, other) } else { (other, one) };
        Self { from: first.brief_until(last.from), until: last.until }
    }

    /// When an outage began that broke out at `from`, after this one.
    fn brief_until(&self, from: DateTime<Utc>) -> DateTime<Utc> {
        if from < self.until + BRIEF { from.min(self.from) } else { from }
    }
}

/// Who does not answer, while the link is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// Nothing comes over the connection at all.
    Broker {
        /// For how long.
        lasted: TimeDelta,
    },
    /// The broker answers; the stream that holds the heartbeats does not, or has no leader.
    JetStream {
        /// For how long.
        lasted: TimeDelta,
    },
}

impl Hearing {
    /// Takes over what the connection knows.
    pub fn update(&mut self, contact: &Contact, clock: &BrokerClock) {
        let at = |instant| clock.at(instant);
        self.heard = contact.heard.map(at);
        self.answered = contact.answered.map(at);
        if let Some((from, until)) = contact.outage {
            self.note_outage(at(from), at(until));
        }
    }

    /// Takes over what another reader of the same site knows.
    pub fn renew(&mut self, other: Self) {
        let beat = self.beat.max(other.beat);
        let before = std::mem::replace(self, Self { beat, ..other });
        if let Some(Outage { from, until }) = before.outage {
            self.note_outage(from, until);
        }
    }

    /// A heartbeat came at `now`.
    pub fn note_beat(&mut self, stored: DateTime<Utc>, now: DateTime<Utc>) {
        // the first one after a loss may come before the news that contact is there again
        if let Some(proven) = self.proven(stored)
            && stored - proven >= lost_after()
            && stored <= now + AHEAD
        {
            self.note_outage(proven, stored);
        }
        self.beat = self.beat.max(Some(stored));
    }

    /// Nothing could arrive in that period, so it makes no service late or lost.
    pub(super) fn note_outage(&mut self, from: DateTime<Utc>, until: DateTime<Utc>) {
        let outage = Outage { from, until };
        self.outage = Some(self.outage.map_or(outage, |held| Outage::join(held, outage)));
    }

    /// A message came; of those a heartbeat proves contact.
    pub fn note(&mut self, message: &Observed, now: DateTime<Utc>) {
        if let Message::Heartbeat(_) = &message.decoded.message {
            self.note_beat(message.stamp.stored, now);
        }
    }

    /// The last proof of contact, as of `now`.
    fn proven(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let heard = self.heard?;
        Some(self.beat.filter(|beat| *beat <= now + AHEAD).map_or(heard, |beat| beat.max(heard)))
    }

    /// The link as the fleet's rules need it: while nothing can arrive, liveness is judged as of
    /// the last proof of contact.
    pub fn judge(&self, link: Link, now: DateTime<Utc>) -> Link {
        let proven = self.proven(now);
        match (link, proven) {
            (Link::Down { since }, Some(proven)) => self.down(since.min(proven)),
            (Link::Down { .. }, None) => link,
            (_, Some(proven)) if now - proven > FRESH => self.down(proven),
            (Link::Back { lost, since }, _) => {
                let outage = Outage { from: lost, until: since };
                back(self.outage.map_or(outage, |held| Outage::join(held, outage)))
            }
            (Link::Steady, _) => self.outage.map_or(Link::Steady, back),
        }
    }

    fn down(&self, since: DateTime<Utc>) -> Link {
        Link::Down { since: self.outage.map_or(since, |before| before.brief_until(since)) }
    }

    /// Who does not answer, although the link is up; for longer than a loaded broker may take.
    pub fn unanswered(&self, now: DateTime<Utc>) -> Option<Unanswered> {
        let limit = lost_after();
        let lasted = now - self.proven(now)?;
        let nothing = self.answered.max(self.beat).map_or(lasted, |at| now - at);
        match (lasted >= limit, nothing >= limit) {
            (false, _) => None,
            (true, true) => Some(Unanswered::Broker { lasted: nothing }),
            (true, false) => Some(Unanswered::JetStream { lasted }),
        }
    }
}

fn back(Outage { from, until }: Outage) -> Link {
    Link::Back { lost: from, since: until }
}

fn lost_after() -> TimeDelta {
    TimeDelta::from_std(CONTACT_LOST_AFTER).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_795_393_000_000 + ms).unwrap()
    }

    #[test]
    fn liveness_is_judged_by_the_last_proof_before_the_loss_is_noticed_and_after() {
        let mut hearing = Hearing { heard: Some(at(0)), ..Hearing::default() };
        assert_eq!(hearing.judge(Link::Steady, at(1_900)), Link::Steady);
        let frozen = Link::Down { since: at(0) };
        assert_eq!(hearing.judge(Link::Steady, at(2_100)), frozen);
        assert_eq!(hearing.judge(Link::Down { since: at(6_000) }, at(7_000)), frozen);
        hearing.note_beat(at(2_000), at(2_000));
        assert_eq!(hearing.judge(Link::Steady, at(2_100)), Link::Steady);
        hearing.note_beat(at(600_000), at(2_100));
        assert_eq!(hearing.judge(Link::Steady, at(2_100)), frozen, "stored by another clock");
        hearing.note_outage(at(2_000), at(9_000));
        hearing.heard = Some(at(9_000));
        let back = |lost, since| Link::Back { lost: at(lost), since: at(since) };
        assert_eq!(hearing.judge(Link::Steady, at(9_100)), back(2_000, 9_000));
        assert_eq!(hearing.judge(back(2_100, 9_050), at(9_100)), back(2_000, 9_050));
    }

    #[test]
    fn brief_contact_between_two_outages_is_part_of_one() {
        let mut hearing = Hearing { heard: Some(at(30_000)), ..Hearing::default() };
        hearing.note_outage(at(10_000), at(29_000));
        assert_eq!(hearing.judge(Link::Steady, at(33_000)), Link::Down { since: at(10_000) });
        hearing.note_outage(at(30_000), at(40_000));
        hearing.heard = Some(at(60_000));
        let back = |lost, since| Link::Back { lost: at(lost), since: at(since) };
        assert_eq!(hearing.judge(Link::Steady, at(60_100)), back(10_000, 40_000));
        assert_eq!(hearing.judge(Link::Steady, at(63_000)), Link::Down { since: at(60_000) });
        hearing.note_outage(at(60_000), at(70_000));
        hearing.heard = Some(at(70_000));
        assert_eq!(hearing.judge(Link::Steady, at(70_100)), back(60_000, 70_000));
        // told late, and once more
        hearing.note_outage(at(30_000), at(40_000));
        assert_eq!(hearing.judge(Link::Steady, at(70_100)), back(60_000, 70_000));
    }

    #[test]
    fn without_any_proof_the_link_is_all_there_is() {
        let hearing = Hearing { beat: Some(at(0)), ..Hearing::default() };
        let back = Link::Back { lost: at(0), since: at(1) };
        for link in [Link::Steady, back, Link::Down { since: at(1) }] {
            assert_eq!(hearing.judge(link, at(100_000)), link);
        }
        assert_eq!(hearing.unanswered(at(100_000)), None);
    }

    #[test]
    fn a_broker_that_hangs_is_told_from_a_stream_without_a_leader() {
        let mut hearing =
            Hearing { heard: Some(at(0)), answered: Some(at(100)), ..Hearing::default() };
        assert_eq!(hearing.unanswered(at(2_900)), None);
        let lasted = TimeDelta::milliseconds(9_000);
        assert_eq!(hearing.unanswered(at(9_100)), Some(Unanswered::Broker { lasted }));
        hearing.answered = Some(at(11_000));
        let lasted = TimeDelta::milliseconds(12_000);
        assert_eq!(hearing.unanswered(at(12_000)), Some(Unanswered::JetStream { lasted }));
    }
}
