//! Whether what a site's services send can be heard at all: the difference between a service that
//! is silent and a broker, a stream or a connection that delivers nothing.
//!
//! A heartbeat that arrives proves it, and so does the leader of the heartbeats' stream when it
//! answers. Where none has arrived for [`PROBE_EVERY`], the leader is asked. A connection that is
//! dead without being closed, a broker that hangs, and a cluster without a quorum all show here
//! within seconds; the client library notices the first two later and the third never.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::api::ApiError;
use super::follow::{Note, Shared};
use crate::clock;
use crate::wire::Kind;

/// How often the stream's leader is asked while no heartbeat arrives.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// An answer that takes longer is none, and the leader is asked again.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the round trip is measured, whatever arrives.
pub(super) const ROUND_TRIP_EVERY: Duration = Duration::from_secs(5);
/// Without any proof for this long, contact is lost. Shorter gaps happen on a loaded broker.
pub const CONTACT_LOST_AFTER: Duration = Duration::from_secs(3);

/// What was last heard, and when. Instants are of this machine's monotonic clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contact {
    /// A heartbeat arrived, or the leader of the heartbeats' stream answered. `None`: never, or
    /// it may not be asked, and nothing is known.
    pub heard: Option<Instant>,
    /// Anything came over the connection: a message, any answer.
    pub answered: Option<Instant>,
    /// Contact had been lost, and is there again since.
    pub again: Option<Instant>,
}

impl Contact {
    /// Contact is proven at `now`.
    fn hear(&mut self, now: Instant) {
        let before = self.heard.replace(now);
        if before.is_some_and(|at| now.saturating_duration_since(at) >= CONTACT_LOST_AFTER) {
            self.again = Some(now);
        }
    }
}

/// Shared between the tasks that read and the one that asks.
#[derive(Debug, Default)]
pub(super) struct ContactKeeper(Mutex<Contact>);

impl ContactKeeper {
    /// A heartbeat arrived, or the leader answered.
    pub(super) fn hear(&self, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hear(now);
    }

    fn get(&self) -> Contact {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks where nothing comes by itself, and tells how contact stands, for ever.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut measured: Option<Instant> = None;
    let mut told = Contact::default();
    loop {
        shared.connected().await;
        // before asking, which may take long: whoever looks sees how old the last proof is
        tell(&shared, &mut told);
        let now = clock::monotonic();
        let heard = shared.contact.get().heard;
        let due = |at: Option<Instant>, every| {
            at.is_none_or(|at| now.saturating_duration_since(at) >= every)
        };
        let mut pause = PROBE_EVERY / 2;
        if due(heard, PROBE_EVERY) || due(measured, ROUND_TRIP_EVERY) {
            let asking = tokio::time::timeout(PROBE_TIMEOUT, ask(&shared));
            match asking.await {
                Ok(Some(Probe::Heard)) => {
                    let now = clock::monotonic();
                    measured = Some(now);
                    shared.contact.hear(now);
                }
                Ok(Some(Probe::NoLeader)) => measured = Some(clock::monotonic()),
                // nobody to be asked yet
                Ok(None) => pause = PROBE_EVERY / 10,
                Err(_) => pause = Duration::ZERO,
            }
        }
        tell(&shared, &mut told);
        tokio::time::sleep(pause).await;
    }
}

/// Tells how contact stands, where that is news.
fn tell(shared: &Shared, told: &mut Contact) {
    let contact = Contact { answered: shared.bus.link_core().heard(), ..shared.contact.get() };
    if contact != *told {
        *told = contact;
        shared.mailbox.note(Note::Contact(contact));
    }
}

/// What asking brought.
enum Probe {
    /// The leader has answered.
    Heard,
    /// Somebody has, and the stream has no leader, or nobody is found to say so.
    NoLeader,
}

/// Asks for the heartbeats' stream; `None`: there is none to be asked for.
async fn ask(shared: &Shared) -> Option<Probe> {
    let stream = shared.stream_of(Kind::Heartbeat)?;
    match shared.bus.stream(&stream).await {
        Ok(facts) if facts.has_leader => Some(Probe::Heard),
        Err(ApiError::Denied(_)) => None,
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
        contact.hear(at(0));
        contact.hear(at(2_900));
        assert_eq!(contact.again, None);
        contact.hear(at(5_900));
        assert_eq!(contact.again, Some(at(5_900)));
        contact.hear(at(6_000));
        assert_eq!((contact.heard, contact.again), (Some(at(6_000)), Some(at(5_900))));
    }
}
