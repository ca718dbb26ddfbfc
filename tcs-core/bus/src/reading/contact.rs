//! Whether messages of a site's services can arrive at all: the difference between a service that
//! is silent and a broker, a stream or a connection that delivers nothing.
//!
//! A heartbeat that arrives proves it. Where none arrives, two things must be shown: the leader of
//! the heartbeats' stream answers, and the consumer through which we read it is alive (it sends an
//! idle heartbeat every second). Either can be gone alone: a consumer in memory dies with its node
//! while the stream goes on elsewhere, and a consumer lives on where the stream has no leader. A
//! connection that is dead without being closed, a broker that hangs, and a cluster without a
//! quorum all show here within seconds; the client library notices the first two later and the
//! third never.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// Without any proof for this long, contact is lost. Shorter gaps happen on a loaded broker.
pub const CONTACT_LOST_AFTER: Duration = Duration::from_secs(3);

/// The last proofs of contact. Instants are of this machine's monotonic clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contact {
    /// Up to then a heartbeat would have arrived: one did, or the stream's leader and our
    /// consumer were both alive. `None`: nothing is known yet.
    pub heard: Option<Instant>,
    /// Anything came over the connection: a message, any answer.
    pub answered: Option<Instant>,
    /// The last loss of contact that is over: from the last proof before it, to the next.
    pub outage: Option<(Instant, Instant)>,
}

impl Contact {
    /// Contact is proven up to `proof`, which is known at `now`.
    fn hear(&mut self, proof: Instant, now: Instant) {
        if self.heard.is_some_and(|before| proof <= before) {
            return;
        }
        let Some(before) = self.heard.replace(proof) else { return };
        if proof.saturating_duration_since(before) >= CONTACT_LOST_AFTER {
            self.outage = Some((before, now));
        }
    }
}

/// What is known of both ends, and what follows from it.
#[derive(Debug, Default)]
struct Ends {
    contact: Contact,
    /// When the leader of the heartbeats' stream was last alive.
    leader: Option<Instant>,
    /// When the consumer through which the stream is read was last alive.
    consumer: Option<Instant>,
    /// The stream is read without a consumer, by asking its leader.
    by_leader: bool,
}

impl Ends {
    fn infer(&mut self, now: Instant) {
        let consumer = if self.by_leader { self.leader } else { self.consumer };
        if let Some((leader, consumer)) = self.leader.zip(consumer) {
            self.contact.hear(leader.min(consumer), now);
        }
    }
}

/// Shared between the tasks that read and the one that asks.
#[derive(Debug, Default)]
pub(super) struct ContactKeeper(Mutex<Ends>);

impl ContactKeeper {
    fn change(&self, change: impl FnOnce(&mut Ends)) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut ends);
        ends.infer(clock::monotonic());
    }

    /// A heartbeat arrived: all is well from one end to the other.
    pub(super) fn hear(&self, now: Instant) {
        self.change(|ends| {
            ends.leader = ends.leader.max(Some(now));
            ends.consumer = ends.consumer.max(Some(now));
        });
    }

    /// The consumer was made, or has said that it has nothing to deliver.
    pub(super) fn consumer_alive(&self, at: Instant) {
        self.change(|ends| {
            ends.by_leader = false;
            ends.consumer = ends.consumer.max(Some(at));
        });
    }

    /// Whether the stream is read by asking its leader.
    pub(super) fn read_by_leader(&self, so: bool) {
        self.change(|ends| ends.by_leader = so);
    }

    /// The leader answered, or may not be asked.
    pub(super) fn leader_alive(&self, at: Instant) {
        self.change(|ends| ends.leader = ends.leader.max(Some(at)));
    }

    pub(super) fn leader(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).leader
    }

    pub(super) fn get(&self) -> Contact {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contact_is_there_again_after_a_loss_and_not_after_a_short_gap() {
        let start = clock::monotonic();
        let at = |ms| start + Duration::from_millis(ms);
        let mut contact = Contact::default();
        let mut hear = |ms| {
            contact.hear(at(ms), at(ms));
            (contact.heard, contact.outage)
        };
        let outage = Some((at(2_900), at(5_900)));
        assert_eq!(hear(0), (Some(at(0)), None));
        assert_eq!(hear(2_900), (Some(at(2_900)), None));
        assert_eq!(hear(5_900), (Some(at(5_900)), outage));
        assert_eq!(hear(6_000), (Some(at(6_000)), outage));
        assert_eq!(hear(5_000), (Some(at(6_000)), outage), "an older proof is no news");
    }

    #[test]
    fn contact_needs_a_leader_and_a_consumer() {
        let start = clock::monotonic();
        let at = |ms| start + Duration::from_millis(ms);
        let keeper = ContactKeeper::default();
        keeper.leader_alive(at(0));
        assert_eq!(keeper.get().heard, None, "nothing is read yet");
        keeper.consumer_alive(at(500));
        assert_eq!(keeper.get().heard, Some(at(0)));
        keeper.hear(at(1_000));
        // the consumer died with its node; another node leads the stream
        keeper.leader_alive(at(9_000));
        assert_eq!(keeper.get().heard, Some(at(1_000)));
        keeper.consumer_alive(at(9_500));
        assert_eq!(keeper.get().heard, Some(at(9_000)));
        assert!(keeper.get().outage.is_some());
        // no quorum: the consumer goes on saying that it has nothing
        keeper.consumer_alive(at(15_000));
        assert_eq!(keeper.get().heard, Some(at(9_000)));
        // no right to have a consumer
        keeper.read_by_leader(true);
        keeper.leader_alive(at(20_000));
        assert_eq!(keeper.get().heard, Some(at(20_000)));
    }
}
