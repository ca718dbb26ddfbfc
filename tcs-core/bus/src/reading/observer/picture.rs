//! What is known of a site, and what is known of the knowing
//! (`docs/spec/truth.md#what-the-picture-says-of-itself`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::hearing::Hearing;
use super::observation::{Observation, Observed};
use super::problem::Problem;
use crate::clock;
use crate::{BrokerClock, ClockQuality, Cut, LinkState, Progress, ReadMode, Reading};
use tcs_fleet::{Fleet, FleetView};
use tcs_wire::{Kind, Message};

/// How much was read, for `--verbose` and the header of a dashboard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Messages of all kinds.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// From asking to having; zero while following.
    pub took: Duration,
}

/// The fleet and the state of its observation.
#[derive(Debug, Clone)]
pub struct Picture {
    /// All that the messages say.
    pub fleet: Fleet,
    /// How the connection stands.
    pub link: LinkState,
    /// The broker's clock, as far as it is known.
    pub clock: BrokerClock,
    /// How the reading of each kind stands.
    pub readings: BTreeMap<Kind, Reading>,
    /// What was read.
    pub figures: Figures,
    /// What was not handed on for lack of room.
    pub cut: Cut,
    /// A picture of the past: of this moment, by the broker's clock.
    pub at: Option<DateTime<Utc>>,
    /// What the history could not give.
    pub(super) gaps: Vec<Problem>,
    /// When the link was lost last.
    lost: Option<Instant>,
    /// Up to when heartbeats could arrive.
    pub hearing: Hearing,
}

impl Picture {
    /// A picture of `kinds`, before anything was received.
    pub fn new(kinds: &[Kind], link: LinkState, clock: BrokerClock) -> Self {
        Self {
            fleet: Fleet::new(),
            link,
            clock,
            readings: kinds.iter().map(|kind| (*kind, Reading::Pending)).collect(),
            figures: Figures::default(),
            cut: Cut::default(),
            at: None,
            gaps: Vec::new(),
            lost: None,
            hearing: Hearing::default(),
        }
    }

    /// Takes one observation in.
    pub fn apply(&mut self, observation: Observation) {
        match observation {
            Observation::Message(message) => {
                self.count(message.bytes);
                let Observed { subject, decoded, stamp, .. } = Arc::unwrap_or_clone(message);
                if let Message::Heartbeat(_) = &decoded.message {
                    self.hearing.note_beat(stamp.stored, self.clock.now());
                }
                self.fleet.apply(&subject, decoded, stamp);
            }
            Observation::Malformed { subject, error, bytes } => {
                self.count(bytes);
                self.fleet.malformed(&subject, &error);
            }
            Observation::Reading(kind, reading) => {
                self.readings.insert(kind, reading);
            }
            Observation::Clock(clock) => self.clock = clock,
            Observation::Contact(contact) => self.hearing.update(&contact, &self.clock),
            Observation::Link(state) => {
                if let LinkState::Disconnected { since, .. } = &state {
                    self.lost = Some(*since);
                }
                self.link = state;
            }
        }
    }

    /// Takes a batch in.
    pub fn extend(&mut self, observations: impl IntoIterator<Item = Observation>) {
        for observation in observations {
            self.apply(observation);
        }
    }

    fn count(&mut self, bytes: usize) {
        self.figures.messages += 1;
        self.figures.bytes += bytes as u64;
    }

    /// The fleet as it is at `now`, an instant of this machine's monotonic clock; a picture of the
    /// past stays at its moment.
    pub fn view(&self, now: Instant) -> FleetView {
        match self.at {
            Some(at) => self.fleet.view(at, tcs_fleet::Link::Steady),
            None => self.fleet.view(self.clock.at(now), self.fleet_link(now)),
        }
    }

    /// The link as the fleet's rules want it at `now`.
    pub fn fleet_link(&self, now: Instant) -> tcs_fleet::Link {
        self.hearing.judge(self.connection(), self.clock.at(now))
    }

    /// The link as the connection's own state has it.
    pub fn connection(&self) -> tcs_fleet::Link {
        match &self.link {
            LinkState::Connected { since, .. } => match self.lost {
                Some(lost) => {
                    let (lost, since) = (self.clock.at(lost), self.clock.at(*since));
                    tcs_fleet::Link::Back { lost, since }
                }
                None => tcs_fleet::Link::Steady,
            },
            LinkState::Connecting { since, .. } | LinkState::Disconnected { since, .. } => {
                tcs_fleet::Link::Down { since: self.clock.at(*since) }
            }
        }
    }

    /// Whether nothing more is to be waited for: each kind is read, or cannot be.
    pub fn is_settled(&self) -> bool {
        self.readings.values().all(Reading::is_settled)
    }

    /// Whether it listens where no stream is, so that more may come at any time.
    pub fn is_listening(&self) -> bool {
        self.readings.values().any(|reading| match reading {
            Reading::NoStream { listening } | Reading::NoJetStream { listening, .. } => *listening,
            Reading::Pending | Reading::Streams(_) | Reading::Failed(_) => false,
        })
    }

    /// Whether the broker's time is not known, and a message that is stored while the streams are
    /// read will tell it.
    pub fn lacks_clock(&self) -> bool {
        let by_gets = |reading: &Reading| match reading {
            Reading::Streams(streams) => streams.values().any(|progress| {
                matches!(progress, Progress::Complete(ReadMode::Gets(_) | ReadMode::Meanwhile(_)))
            }),
            Reading::Pending
            | Reading::NoStream { .. }
            | Reading::NoJetStream { .. }
            | Reading::Failed(_) => false,
        };
        self.clock.quality == ClockQuality::Local
            && self.link.is_connected()
            && self.readings.values().any(by_gets)
    }

    /// All that keeps it from being the whole truth now; empty: it is. The one list: `--json`,
    /// `check`, warnings and the dashboard's header are made from it.
    pub fn problems(&self, prefix: &str) -> Vec<Problem> {
        self.problems_at(prefix, clock::monotonic())
    }

    /// The same at `now`, an instant of this machine's monotonic clock.
    fn problems_at(&self, prefix: &str, now: Instant) -> Vec<Problem> {
        let mut problems = Vec::new();
        match &self.link {
            LinkState::Connected { .. } => {
                let unanswered = self.hearing.unanswered(self.clock.at(now));
                problems.extend(unanswered.map(Problem::NoAnswer));
            }
            LinkState::Connecting { why, .. } | LinkState::Disconnected { why, .. } => {
                problems.push(Problem::NotConnected { why: why.clone() });
            }
        }
        problems.extend(Problem::of_readings(&self.readings, prefix, self.figures.messages));
        problems.extend(self.gaps.iter().cloned());
        if self.cut.dropped > 0 {
            problems.push(Problem::Dropped { messages: self.cut.dropped });
        }
        problems.extend(Problem::of_record(&self.fleet));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;

    fn connected(since: Instant) -> LinkState {
        let server = Server {
            name: String::new(),
            version: "2.9.10".into(),
            url: "nats://a:4222".into(),
            jetstream: true,
        };
        LinkState::Connected { since, server }
    }

    #[test]
    fn the_link_is_steady_until_it_was_lost() {
        let start = clock::monotonic();
        let later = |s: u64| start + Duration::from_secs(s);
        let broker = DateTime::from_timestamp(1000, 0).unwrap();
        let at = |s: i64| DateTime::from_timestamp(1000 + s, 0).unwrap();
        let clock = BrokerClock::new(start, broker, ClockQuality::Local);
        let connecting = LinkState::Connecting { attempt: 0, since: start, why: None };
        let mut picture = Picture::new(&Kind::FLEET, connecting, clock);
        assert_eq!(picture.connection(), tcs_fleet::Link::Down { since: at(0) });
        assert_eq!(picture.problems("svc").len(), 2, "not connected, nothing read");
        picture.apply(Observation::Link(connected(later(1))));
        assert_eq!(picture.connection(), tcs_fleet::Link::Steady);
        let lost = LinkState::Disconnected { since: later(5), attempt: 0, why: None };
        picture.apply(Observation::Link(lost));
        assert_eq!(picture.connection(), tcs_fleet::Link::Down { since: at(5) });
        picture.apply(Observation::Link(connected(later(9))));
        assert_eq!(picture.connection(), tcs_fleet::Link::Back { lost: at(5), since: at(9) });
    }

    #[test]
    fn streams_of_which_nothing_comes_may_deliver_to_another_account() {
        let mut picture =
            Picture::new(&Kind::FLEET, connected(clock::monotonic()), BrokerClock::local());
        let told = |picture: &Picture| {
            let problems = picture.problems("svc");
            (problems.len(), problems[0].hint().unwrap().contains("--api-prefix"))
        };
        assert_eq!(told(&picture), (1, false), "nothing is found yet");
        for kind in Kind::FLEET {
            let streams = BTreeMap::from([(format!("svc_{kind}"), Progress::Reading)]);
            picture.apply(Observation::Reading(kind, Reading::Streams(streams)));
        }
        assert_eq!(told(&picture), (1, true));
        picture.figures.messages = 1;
        assert_eq!(told(&picture), (1, false));
    }

    #[test]
    fn complete_means_no_problems() {
        let start = clock::monotonic();
        let mut picture = Picture::new(&Kind::FLEET, connected(start), BrokerClock::local());
        for kind in Kind::FLEET {
            assert!(!picture.is_settled());
            let progress = Progress::Complete(ReadMode::Push);
            let streams = BTreeMap::from([(format!("svc_{kind}"), progress)]);
            picture.apply(Observation::Reading(kind, Reading::Streams(streams)));
        }
        assert!(picture.is_settled() && !picture.is_listening());
        assert_eq!(picture.problems("svc"), []);
        picture.apply(Observation::Reading(Kind::Status, Reading::NoStream { listening: true }));
        assert!(picture.is_settled() && picture.is_listening());
        assert_eq!(picture.problems("svc").len(), 1);
    }
}
