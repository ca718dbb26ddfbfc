//! What a command that goes on says of a link over which nothing comes: the client library notices a
//! connection that is dead, but not closed, a few seconds later, and a JetStream without a quorum
//! never.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tcs_core::bus::{BrokerClock, CONTACT_LOST_AFTER};
use tcs_core::fleet::format_duration;
use tcs_core::observer::{Hearing, Problem, Unanswered};

/// How often to look.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// Whether the link is silent, as far as it was said.
pub(super) struct Silence {
    said: Option<Instant>,
    connected: Option<Instant>,
}

impl Silence {
    pub(super) fn new(now: Instant) -> Self {
        Self { said: None, connected: Some(now) }
    }

    /// The link is there, or lost, which is said by somebody else.
    pub(super) fn link(&mut self, connected: bool, now: Instant) {
        *self = Self { said: None, connected: connected.then_some(now) };
    }

    /// Whether the link is there, by what was told.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// Whether nothing is heard, by what was said.
    pub(super) fn is_said(&self) -> bool {
        self.said.is_some()
    }

    /// What is to be said now, and since when nothing was heard.
    pub(super) fn look(
        &mut self,
        hearing: &Hearing,
        clock: &BrokerClock,
        now: Instant,
    ) -> Option<(String, Instant)> {
        let connected = self.connected?;
        match (hearing.unanswered(clock.at(now)), self.said) {
            (Some(silent), None) if now >= connected + CONTACT_LOST_AFTER => {
                let (Unanswered::Broker { lasted } | Unanswered::JetStream { lasted }) = silent;
                let since = now.checked_sub(lasted.to_std().unwrap_or_default()).unwrap_or(now);
                self.said = Some(since);
                Some((Problem::NoAnswer(silent).to_string(), since))
            }
            (None, Some(since)) => {
                self.said = None;
                let lasted =
                    TimeDelta::from_std(now.saturating_duration_since(since)).unwrap_or_default();
                Some((format!("answers again after {}", format_duration(lasted)), since))
            }
            (Some(_), _) | (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tcs_core::bus::{ClockQuality, Contact};
    use tcs_core::clock;

    use super::*;

    #[test]
    fn silence_and_its_end_are_said_once() {
        let start = clock::monotonic();
        let at = |s: u64| start + Duration::from_secs(s);
        let clock = BrokerClock::new(start, clock::wall(), ClockQuality::Local);
        let heard = |s: u64| {
            let contact = Contact { heard: Some(at(s)), answered: Some(at(s)), outage: None };
            let mut hearing = Hearing::default();
            hearing.update(&contact, &clock);
            hearing
        };
        let mut silence = Silence::new(start);
        let look = |silence: &mut Silence, last, now| {
            silence.look(&heard(last), &clock, at(now)).map(|(text, _)| text)
        };
        assert_eq!(look(&mut silence, 10, 12), None);
        assert_eq!(look(&mut silence, 10, 13).as_deref(), Some("no answer for 3 s"));
        assert_eq!(look(&mut silence, 10, 14), None);
        assert!(silence.is_said());
        assert_eq!(look(&mut silence, 20, 20).as_deref(), Some("answers again after 10 s"));
        assert_eq!(look(&mut silence, 20, 21), None);
        // the link is lost: that is another thing to say; after it, the first answer takes a moment
        silence.link(false, at(24));
        assert_eq!(look(&mut silence, 20, 30), None);
        silence.link(true, at(30));
        assert_eq!(look(&mut silence, 20, 31), None);
        assert_eq!(look(&mut silence, 20, 33).as_deref(), Some("no answer for 13 s"));
    }
}
