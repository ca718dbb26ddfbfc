//! The broker's clock, by which all ages, orders and windows are (`docs/spec/truth.md#clocks`):
//! this machine's monotonic clock plus what was measured.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock;

/// How far the broker's clock is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockQuality {
    /// Measured by a request, right within this.
    Measured {
        /// Half the request's round trip.
        within: Duration,
    },
    /// Estimated from messages' arrivals: late by the time they travelled.
    Arrivals,
    /// Not known: it is this machine's own clock, and the picture says so.
    Local,
}

/// Turns instants of this machine's monotonic clock into broker time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrokerClock {
    at: Instant,
    broker: DateTime<Utc>,
    /// How far to trust it.
    pub quality: ClockQuality,
}

/// One measurement: the broker's time at about the middle of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) clock: BrokerClock,
    half: Duration,
    taken: Instant,
}

impl Sample {
    pub(super) fn new(broker: DateTime<Utc>, sent: Instant, received: Instant) -> Self {
        let half = received.saturating_duration_since(sent) / 2;
        let quality = ClockQuality::Measured { within: half };
        Self { clock: BrokerClock { at: sent + half, broker, quality }, half, taken: received }
    }

    /// The tighter one; an old one goes all the same, because clocks drift.
    pub(super) fn better_than(&self, known: &Self) -> bool {
        self.half <= known.half
            || self.taken.saturating_duration_since(known.taken) > Duration::from_secs(50)
    }
}

impl BrokerClock {
    /// This machine's own clock, for as long as nothing is known.
    pub fn local() -> Self {
        Self { at: clock::monotonic(), broker: clock::wall(), quality: ClockQuality::Local }
    }

    /// Known by other means: it was `broker` there at `at` here.
    pub fn new(at: Instant, broker: DateTime<Utc>, quality: ClockQuality) -> Self {
        Self { at, broker, quality }
    }

    /// Broker time at `instant`.
    pub fn at(&self, instant: Instant) -> DateTime<Utc> {
        let delta = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let moved = if instant >= self.at {
            self.broker.checked_add_signed(delta(instant - self.at))
        } else {
            self.broker.checked_sub_signed(delta(self.at - instant))
        };
        moved.unwrap_or(self.broker)
    }

    /// Broker time now.
    pub fn now(&self) -> DateTime<Utc> {
        self.at(clock::monotonic())
    }
}

/// The smallest (arrival - stored) of the last minute, for where the clock may not be measured.
#[derive(Debug)]
pub struct Arrivals {
    /// Local time against which arrivals are counted.
    anchor: BrokerClock,
    /// Smallest delay of the current and of the previous half minute.
    current: Option<TimeDelta>,
    previous: Option<TimeDelta>,
    since: Instant,
}

impl Arrivals {
    /// Begins at `anchor`'s clock.
    pub fn new(anchor: BrokerClock) -> Self {
        Self { anchor, current: None, previous: None, since: anchor.at }
    }

    /// A message that was just stored arrived.
    pub fn note(&mut self, arrived: Instant, stored: DateTime<Utc>) {
        if arrived.saturating_duration_since(self.since) > Duration::from_secs(30) {
            self.previous = self.current.take();
            self.since = arrived;
        }
        let delay = self.anchor.at(arrived) - stored;
        self.current = Some(self.current.map_or(delay, |known| known.min(delay)));
    }

    /// The clock by what was noted; `None`: nothing was, in the last minute.
    pub fn clock(&self) -> Option<BrokerClock> {
        let delay = [self.current, self.previous].into_iter().flatten().min()?;
        let broker = self.anchor.broker.checked_sub_signed(delay)?;
        Some(BrokerClock { at: self.anchor.at, broker, quality: ClockQuality::Arrivals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_sample_is_right_in_the_middle_of_its_request() {
        let start = clock::monotonic();
        let later = |ms| start + Duration::from_millis(ms);
        let sample = Sample::new(utc(1000), later(100), later(300));
        assert_eq!(sample.clock.at(later(200)), utc(1000));
        assert_eq!(sample.clock.at(later(1200)), utc(1001));
        assert_eq!(sample.clock.at(start), utc(1000) - TimeDelta::milliseconds(200));
        let tight = Sample::new(utc(1000), later(400), later(410));
        assert!(tight.better_than(&sample) && !sample.better_than(&tight));
        let new = Sample::new(utc(1060), later(60_000), later(60_500));
        assert!(new.better_than(&tight));
    }

    #[test]
    fn arrivals_take_the_quickest_message_of_the_last_minute() {
        let anchor = BrokerClock::new(clock::monotonic(), utc(5000), ClockQuality::Local);
        let later = |s| anchor.at + Duration::from_secs(s);
        let mut arrivals = Arrivals::new(anchor);
        assert_eq!(arrivals.clock(), None);
        // The broker is at 1000 when we think it is 5000.
        arrivals.note(later(0), utc(997));
        arrivals.note(later(1), utc(1001));
        assert_eq!(arrivals.clock().unwrap().at(later(10)), utc(1010));
        arrivals.note(later(40), utc(1035));
        assert_eq!(arrivals.clock().unwrap().at(later(40)), utc(1040), "previous half minute");
        arrivals.note(later(80), utc(1075));
        assert_eq!(arrivals.clock().unwrap().at(later(80)), utc(1075), "forgotten");
    }
}
