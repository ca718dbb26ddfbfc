//! Asks the broker while nothing arrives by itself, and reports the state of [`Contact`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::contact::Contact;
use super::shared::{Note, Shared};
use crate::api::ApiError;
use crate::clock;
use crate::connect::ROUND_TRIP_EVERY;
use tcs_wire::Kind;

/// How often the stream's leader is asked while no heartbeat arrives, and the server while nothing
/// does.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How often to check whether a question or a report is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// An answer that takes longer is none, and the leader is asked again.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks and reports, without end.
///
/// Three loops, because an answer that does not come must delay neither the other question nor the
/// news of how old the last proof is.
pub(super) async fn keep_contact(shared: Arc<Shared>) {
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
