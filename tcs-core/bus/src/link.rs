//! The state of the connection, for people to see and for code to wait on.
//!
//! The client library tells of each failed attempt, each refused subject and each dropped message
//! by an event. Here they become one state that changes when something changes, and a channel of
//! refusals ([`Denial`]), because a request that is refused is otherwise only never answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::{Client, Event};
use tokio::sync::{Notify, broadcast, mpsc, watch};

use super::abilities::Abilities;
use super::denial::{Action, Denial};
use super::dial::{Before, Dialer, Known, Tried};
use super::failure::Failure;
use crate::clock;

/// How the connection stands. Instants are of this machine's monotonic clock.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkState {
    /// Never connected yet.
    Connecting {
        /// Attempts that failed.
        attempt: u32,
        /// Since when it is tried.
        since: Instant,
        /// Why the last attempt failed.
        why: Option<Failure>,
    },
    /// Connected.
    Connected {
        /// Since when.
        since: Instant,
        /// To whom.
        server: Server,
    },
    /// Was connected, and is being tried again, for ever.
    Disconnected {
        /// Since when.
        since: Instant,
        /// Attempts that failed since.
        attempt: u32,
        /// Why it was lost, or why the last attempt failed.
        why: Option<Failure>,
    },
}

/// How often the state is compared with the client library's own.
const COMPARE: Duration = Duration::from_millis(500);

/// How long the server may take to say that nobody listens.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// Between two such questions.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Its name; a random one when its operator gave none.
    pub name: String,
    /// Like `2.9.10`.
    pub version: String,
    /// Its address, without credentials.
    pub url: String,
    /// Whether it says that it has JetStream; the account may be without it all the same.
    pub jetstream: bool,
}

impl LinkState {
    /// Whether messages flow.
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }
}

/// Waits for such a state; for ever, should the connection have been given up.
pub(super) async fn until(
    mut link: watch::Receiver<LinkState>,
    wanted: impl FnMut(&LinkState) -> bool,
) {
    let given_up = link.wait_for(wanted).await.is_err();
    if given_up {
        std::future::pending::<()>().await;
    }
}

/// Shared between the connection's callbacks and everything that uses it.
pub(super) struct Link {
    state: watch::Sender<LinkState>,
    denials: broadcast::Sender<Denial>,
    /// The right to listen to replies, once found missing: reported once, not per request.
    no_reply_rights: Mutex<Option<Denial>>,
    /// The last error of the server before it closed the connection.
    last_word: Mutex<Option<Failure>>,
    abilities: Abilities,
    dropped: AtomicU64,
    rtt: Mutex<Option<(Duration, Instant)>>,
    /// When anything came last.
    heard: Mutex<Option<Instant>>,
    /// A request was not answered in time.
    doubt: Notify,
    dialer: Mutex<Dialer>,
    closed: AtomicBool,
}

impl Link {
    pub(super) fn new() -> Self {
        let state = LinkState::Connecting { attempt: 0, since: clock::monotonic(), why: None };
        Self {
            state: watch::Sender::new(state),
            denials: broadcast::Sender::new(256),
            no_reply_rights: Mutex::default(),
            last_word: Mutex::default(),
            abilities: Abilities::default(),
            dropped: AtomicU64::new(0),
            rtt: Mutex::default(),
            heard: Mutex::default(),
            doubt: Notify::new(),
            dialer: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    pub(super) fn denials(&self) -> broadcast::Receiver<Denial> {
        self.denials.subscribe()
    }

    pub(super) fn no_reply_rights(&self) -> Option<Denial> {
        self.no_reply_rights.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// Messages that the client library dropped because a subscription was not drained in time.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The last measured round trip, and when it was measured.
    pub(super) fn rtt(&self) -> Option<(Duration, Instant)> {
        *self.rtt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a message or an answer came last.
    pub(super) fn heard(&self) -> Option<Instant> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message came, or an answer.
    pub(super) fn note_heard(&self, now: Instant) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// A request was answered after `rtt`.
    pub(super) fn note_rtt(&self, rtt: Duration) {
        let now = clock::monotonic();
        self.note_heard(now);
        *self.rtt.lock().unwrap_or_else(PoisonError::into_inner) = Some((rtt, now));
    }

    /// A request was not answered in time: is the connection still good in both directions?
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// An attempt failed.
    pub(super) fn failed(&self, failure: Failure) {
        self.state.send_modify(|state| match state {
            LinkState::Connecting { attempt, why, .. }
            | LinkState::Disconnected { attempt, why, .. } => {
                *attempt = attempt.saturating_add(1);
                *why = Some(failure);
            }
            LinkState::Connected { .. } => {}
        });
    }

    /// Which server to try next and after which pause, and what came of the last attempt.
    pub(super) fn dial(&self, pool: &[Known]) -> (Option<(String, Duration)>, Before) {
        let lost = match &*self.state.borrow() {
            LinkState::Disconnected { why, .. } => why.clone(),
            LinkState::Connecting { .. } | LinkState::Connected { .. } => None,
        };
        let lost =
            lost.or_else(|| self.last_word.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let mut dialer = self.dialer.lock().unwrap_or_else(PoisonError::into_inner);
        dialer.next(pool, lost.as_ref(), clock::monotonic())
    }

    /// The results of the attempts at each server.
    pub(super) fn report(&self) -> Vec<Tried> {
        self.dialer.lock().unwrap_or_else(PoisonError::into_inner).report()
    }

    /// Whether each server was tried, in vain.
    pub(super) fn all_failed(&self) -> bool {
        let report = self.report();
        !report.is_empty() && report.iter().all(|tried| tried.failure.is_some())
    }

    /// The connection is no longer wanted.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(super) fn connected(&self, server: Server) {
        *self.no_reply_rights.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.abilities.forget();
        *self.last_word.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.state.send_replace(LinkState::Connected { since: clock::monotonic(), server });
    }

    fn disconnected(&self) {
        let why = self.last_word.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.state.send_if_modified(|state| {
            let was = state.is_connected();
            if was {
                let since = clock::monotonic();
                *state = LinkState::Disconnected { since, attempt: 0, why };
            }
            was
        });
    }

    /// Keeps the error that the server sends before it closes the connection.
    fn last_word(&self, word: Failure) {
        *self.last_word.lock().unwrap_or_else(PoisonError::into_inner) = Some(word);
    }

    fn refused(&self, denial: Denial, inbox: &str) {
        if denial.action == Action::Subscribe && denial.subject.starts_with(inbox) {
            *self.no_reply_rights.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(denial.clone());
        }
        self.denials.send(denial).ok();
    }
}

/// Turns events into state, for as long as `client` gives the connection: a clone held here would
/// keep it open for ever. `inbox` is the prefix of reply subjects.
///
/// Events can be lost in a flood (the library's queue holds 128), so the state is compared with
/// the library's own twice a second.
pub(super) async fn keep(
    client: impl Fn() -> Option<Client>,
    mut events: mpsc::Receiver<Event>,
    link: std::sync::Arc<Link>,
    inbox: String,
) {
    let mut probed: Option<Instant> = None;
    let mut known: Option<u64> = None;
    let mut check = tokio::time::interval(COMPARE);
    check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            event = events.recv() => match event {
                Some(event) => Some(event),
                None => return,
            },
            _ = check.tick() => None,
            () = link.doubt.notified() => {
                let Some(client) = client() else { return };
                let now = clock::monotonic();
                if probed.is_none_or(|at| now >= at + PROBE_EVERY) {
                    probed = Some(now);
                    tokio::spawn(probe(client, std::sync::Arc::clone(&link)));
                }
                continue;
            }
        };
        let Some(client) = client() else { return };
        match event {
            Some(Event::Connected) => {
                // The comparison may have been first; another connection has another number.
                let id = client.server_info().client_id;
                if !link.state.borrow().is_connected() || known != Some(id) {
                    link.connected(server(&client).await);
                    known = Some(client.server_info().client_id);
                }
            }
            Some(Event::Disconnected | Event::Closed) => link.disconnected(),
            Some(Event::SlowConsumer(_)) => {
                link.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Some(Event::ServerError(error)) => {
                let text = error.to_string();
                match Denial::parse(&text) {
                    Some(denial) => link.refused(denial, &inbox),
                    None => link.last_word(Failure::explain(&text)),
                }
            }
            Some(Event::LameDuckMode) => leave(client).await,
            // Failed attempts are told before the next one; see `connect::next_server`.
            Some(Event::ClientError(error)) => {
                if let Some((_, why)) = error.to_string().split_once("connection lost: ") {
                    link.last_word(Failure::explain(why));
                }
            }
            Some(Event::Draining) => {}
            None => {
                let shown = link.state.borrow().is_connected();
                match client.connection_state() {
                    State::Connected if !shown => {
                        link.connected(server(&client).await);
                        known = Some(client.server_info().client_id);
                    }
                    State::Disconnected if shown => link.disconnected(),
                    State::Connected | State::Disconnected | State::Pending => {}
                }
            }
        }
    }
}

/// Asks the server itself: nobody listens to a fresh reply subject, and the server says so, or that
/// it may not be used. Where no answer comes at all, the connection is dead in one direction, though
/// messages may still come in over it (which keeps the library's own pings quiet): makes it anew.
async fn probe(client: Client, link: std::sync::Arc<Link>) {
    let mut denials = link.denials();
    let subject = client.new_inbox();
    let request = async_nats::Request::new().timeout(Some(PROBE_LIMIT));
    let answer = client.send_request(subject.clone(), request);
    let denied = async {
        loop {
            match denials.recv().await {
                Ok(denial) if denial.subject == subject => return,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    let silent = tokio::select! {
        answer = answer => {
            answer.is_err_and(|error| error.kind() == async_nats::RequestErrorKind::TimedOut)
        }
        () = denied => false,
    };
    if silent && client.connection_state() == State::Connected {
        link.last_word(Failure::Silent);
        client.force_reconnect().await.ok();
    }
}

/// The server is about to end: connects to another one now, where there is one. (Otherwise the
/// connection stays as long as the server does.)
async fn leave(client: Client) {
    let pool = tokio::time::timeout(Duration::from_secs(1), client.server_pool()).await;
    if pool.is_ok_and(|pool| pool.is_ok_and(|pool| pool.len() > 1)) {
        client.force_reconnect().await.ok();
    }
}

/// Facts of the server just connected to. After a reconnect the library still shows the old
/// server for a moment; once it answers again, the new one.
async fn server(client: &Client) -> Server {
    let pool = tokio::time::timeout(Duration::from_secs(1), client.server_pool()).await;
    let url = pool.ok().and_then(Result::ok).and_then(|pool| {
        let good = |s: &&async_nats::Server| s.did_connect && s.failed_attempts == 0;
        pool.iter().find(good).map(ToString::to_string)
    });
    let info = client.server_info();
    Server {
        url: url.unwrap_or_else(|| format!("nats://{}:{}", info.host, info.port)),
        name: info.server_name,
        version: info.version,
        jetstream: info.jetstream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_and_the_last_word_is_kept() {
        let link = Link::new();
        link.failed(Failure::Refused);
        link.failed(Failure::TimedOut);
        let state = link.watch().borrow().clone();
        let LinkState::Connecting { attempt: 2, why, .. } = state else { panic!("{state:?}") };
        assert_eq!(why, Some(Failure::TimedOut));
        let server = Server {
            name: "n".into(),
            version: "2.9.10".into(),
            url: "nats://a:4222".into(),
            jetstream: true,
        };
        link.connected(server);
        link.failed(Failure::Refused); // late: changes nothing
        assert!(link.watch().borrow().is_connected());
        link.last_word(Failure::explain("nats: Stale Connection"));
        link.disconnected();
        let state = link.watch().borrow().clone();
        let LinkState::Disconnected { why: Some(why), .. } = state else { panic!("{state:?}") };
        assert_eq!(why.to_string(), "Stale Connection");
    }
}
