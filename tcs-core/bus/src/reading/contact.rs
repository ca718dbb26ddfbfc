//! Whether what a site's services send can be heard at all: the difference between a service that
//! is silent and a broker, a stream or a connection that delivers nothing.
//!
//! A heartbeat that arrives proves it. Where none arrives, two things must be shown: the leader of
//! the heartbeats' stream answers, and the consumer through which we read it is alive (it sends an
//! idle heartbeat every second). Either can be gone alone: a consumer in memory dies with its node
//! while the stream goes on elsewhere, and a consumer lives on where the stream has no leader. A
//! connection that is dead without being closed, a broker that hangs, and a cluster without a
//! quorum all show here within seconds; the client library notices the first two later and the
//! third never.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::follow::{Note, Shared};
use crate::api::ApiError;
use crate::clock;
use crate::connect::ROUND_TRIP_EVERY;
use tcs_wire::Kind;

/// How often the stream's leader is asked while no heartbeat arrives, and the server while nothing
/// does.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether somebody is to be asked, and something to be told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// An answer that takes longer is none, and the leader is asked again.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Without any proof for this long, contact is lost. Shorter gaps happen on a loaded broker.
pub const CONTACT_LOST_AFTER: Duration = Duration::from_secs(3);

/// What was last heard, and when. Instants are of this machine's monotonic clock.
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
    /// The leader of the heartbeats' stream was last alive.
    leader: Option<Instant>,
    /// So was the consumer through which it is read.
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
    fn leader_alive(&self, at: Instant) {
        self.change(|ends| ends.leader = ends.leader.max(Some(at)));
    }

    fn leader(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).leader
    }

    fn get(&self) -> Contact {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contact
    }
}

/// Asks where nothing comes by itself, and tells how contact stands, for ever.
///
/// Three loops, because an answer that does not come must delay neither the other question nor the
/// news of how old the last proof is.
pub(super) async fn keep(shared: Arc<Shared>) {
    tokio::join!(keep_leader(&shared), keep_server(&shared), keep_told(&shared));
}

/// Asks the leader of the heartbeats' stream.
async fn keep_leader(shared: &Shared) {
    loop {
        shared.connected().await;
        let mut pause = LOOK_EVERY;
        let measured = shared.bus.link_core().rtt().map(|(_, at)| at);
        if is_due(shared.contact.leader(), PROBE_EVERY) || is_due(measured, ROUND_TRIP_EVERY) {
            match tokio::time::timeout(PROBE_TIMEOUT, ask(shared)).await {
                // where it may not be asked, our consumer must do
                Ok(Some(Probe::Heard | Probe::MayNotAsk)) => {
                    shared.contact.leader_alive(clock::monotonic());
                }
                Ok(Some(Probe::NoLeader)) => {}
                // nobody to be asked yet
                Ok(None) => pause = LOOK_EVERY / 5,
                Err(_) => pause = Duration::ZERO,
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Asks the server that we are connected to, where no leader answers: a JetStream that is silent, as
/// in a cluster without a quorum, is another thing than a server that is. (While the leader answers
/// nobody else is asked: who may not publish to inboxes is refused, and the server logs that.)
async fn keep_server(shared: &Shared) {
    let begin = clock::monotonic();
    loop {
        shared.connected().await;
        let link = shared.bus.link_core();
        let measured = link.rtt().map(|(_, at)| at);
        if is_due(shared.contact.leader().or(Some(begin)), PROBE_TIMEOUT)
            && (is_due(link.heard().or(Some(begin)), PROBE_EVERY)
                || is_due(measured, ROUND_TRIP_EVERY))
        {
            shared.bus.ask_server(PROBE_TIMEOUT).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tells how contact stands, where that is news.
async fn keep_told(shared: &Shared) {
    let mut told = Contact::default();
    loop {
        let contact = Contact { answered: shared.bus.link_core().heard(), ..shared.contact.get() };
        if contact != told {
            told = contact;
            shared.mailbox.note(Note::Contact(contact));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn is_due(at: Option<Instant>, every: Duration) -> bool {
    at.is_none_or(|at| clock::monotonic().saturating_duration_since(at) >= every)
}

/// What asking brought.
enum Probe {
    /// The leader has answered.
    Heard,
    /// Somebody has, and the stream has no leader, or nobody is found to say so.
    NoLeader,
    /// That right is missing.
    MayNotAsk,
}

/// Asks for the heartbeats' stream; `None`: there is none to be asked for.
async fn ask(shared: &Shared) -> Option<Probe> {
    let stream = shared.stream_of(Kind::Heartbeat)?;
    match shared.bus.stream(&stream).await {
        Ok(facts) if facts.has_leader => Some(Probe::Heard),
        Err(ApiError::Denied(_)) => Some(Probe::MayNotAsk),
        Err(ApiError::TimedOut { .. } | ApiError::Disconnected) => std::future::pending().await,
        Ok(_) | Err(_) => Some(Probe::NoLeader),
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
