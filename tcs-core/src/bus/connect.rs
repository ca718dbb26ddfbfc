//! Making the connection: at once or not at all ([`Bus::connect`], for commands that run once), or
//! in the background and for ever ([`Bus::open`], for dashboards and services).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Request};
use tokio::sync::{mpsc, watch};
use tokio_util::bytes::Bytes;

use super::contact::ROUND_TRIP_EVERY;
use super::failure::Failure;
use super::link::{self, Denial, Link, LinkState, RETRY_AT_MOST};
use super::settings::{Auth, Settings};
use crate::clock;
use crate::wire::Subjects;

/// A dead peer is noticed at the third ping (the library's default is a minute): within 6 s.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// An overflow drops flow control messages too, and each costs a wait of seconds: big enough for
/// a whole snapshot.
const SUBSCRIPTION_CAPACITY: usize = 262_144;
/// For deleting consumers at the end.
const RELEASE: Duration = Duration::from_secs(1);
/// For each answer of the server, when nobody says otherwise.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection. Cheap to clone; all clones share it, and it ends with the last one.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    client: Client,
    /// Stream and name of each consumer that is, or may be, at the server.
    consumers: Mutex<BTreeSet<(String, String)>>,
    link: Arc<Link>,
    settings: Settings,
    timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server, or the way to it, said no.
    #[error("cannot connect to {servers}: {failure}{}", hint(failure))]
    Failed {
        /// Where to, without credentials.
        servers: String,
        /// Why not.
        failure: Failure,
    },
    /// The text given as credentials is none.
    #[error("the credentials file holds no JWT and seed: {0}")]
    Credentials(String),
    /// A file that TLS needs is missing.
    #[error("TLS: cannot read {}: {source}", path.display())]
    TlsFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

fn hint(failure: &Failure) -> String {
    failure.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"))
}

impl Bus {
    /// Connects within `timeout`, or fails. `name` is what the server's own tools show:
    /// `tcsctl 0.1.0`. Afterwards the connection is kept: lost, it is made again, for ever.
    pub async fn connect(
        settings: &Settings,
        name: &str,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let failed = |failure| ConnectError::Failed { servers: settings.shown_servers(), failure };
        let connecting = Self::start(settings, name, timeout, false);
        match tokio::time::timeout(timeout, connecting).await {
            Ok(result) => result,
            Err(_) => Err(failed(Failure::TimedOut)),
        }
    }

    /// Returns at once and goes on trying, for ever, also where the login is refused (it may be
    /// put right). See [`Bus::link`] for how it goes. `timeout` bounds each attempt and request.
    pub async fn open(
        settings: &Settings,
        name: &str,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        Self::start(settings, name, timeout, true).await
    }

    async fn start(
        settings: &Settings,
        name: &str,
        timeout: Duration,
        background: bool,
    ) -> Result<Self, ConnectError> {
        let link = Arc::new(Link::new());
        let (events_to, events) = mpsc::channel(1024);
        let mut options =
            options(settings, timeout, &link).await?.name(name).event_callback(move |event| {
                let events_to = events_to.clone();
                async move { events_to.send(event).await.unwrap_or_default() }
            });
        if background {
            options = options.retry_on_initial_connect();
        }
        let addresses: Vec<String> =
            settings.servers.value.iter().map(ToString::to_string).collect();
        let client = options.connect(addresses).await.map_err(|error| ConnectError::Failed {
            servers: settings.shown_servers(),
            failure: Failure::explain(&error.to_string()),
        })?;
        let inbox = settings.inbox_prefix.clone();
        let consumers = Mutex::default();
        let (link_of, settings) = (Arc::clone(&link), settings.clone());
        let inner = Inner { client, consumers, link: link_of, settings, timeout };
        let bus = Self(Arc::new(inner));
        let weak = Arc::downgrade(&bus.0);
        let client = move || weak.upgrade().map(|inner| inner.client.clone());
        tokio::spawn(link::keep(client, events, link, inbox));
        if !background {
            let mut state = bus.link();
            state.wait_for(LinkState::is_connected).await.ok();
        }
        Ok(bus)
    }

    /// How the connection stands, now and as it changes.
    pub fn link(&self) -> watch::Receiver<LinkState> {
        self.0.link.watch()
    }

    /// All subjects of this site.
    pub fn subjects(&self) -> &Subjects {
        &self.0.settings.subjects.value
    }

    /// What the connection was made with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The last measured time from a request to its reply; `None` where the last measurement is
    /// older than two of its periods.
    pub fn round_trip(&self) -> Option<Duration> {
        let (rtt, at) = self.0.link.rtt()?;
        (since(at) <= 2 * ROUND_TRIP_EVERY).then_some(rtt)
    }

    /// Messages that came faster than they were taken, and were dropped. What reads streams
    /// notices the gap and reads again.
    pub fn dropped(&self) -> u64 {
        self.0.link.dropped()
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Whether messages can be sent right now.
    pub fn is_connected(&self) -> bool {
        matches!(self.client().connection_state(), async_nats::connection::State::Connected)
    }

    /// Sends what is still in the buffer, waiting `timeout` at most.
    pub async fn flush(&self) {
        tokio::time::timeout(self.0.timeout, self.client().flush()).await.ok();
    }

    /// Takes all consumers of this connection off the server, within 1 s; for a program's end,
    /// however it comes. The server would keep them for half a minute.
    pub async fn release(&self) {
        let left: Vec<_> = std::mem::take(&mut *self.consumers()).into_iter().collect();
        if !self.is_connected() {
            return;
        }
        let release = async {
            let deletes = left.iter().map(|(stream, name)| {
                let subject = self.api_subject(&format!("CONSUMER.DELETE.{stream}.{name}"));
                async move { self.ask_within(&subject, Request::new(), RELEASE).await.ok() }
            });
            futures_util::future::join_all(deletes).await;
            self.client().flush().await.ok();
        };
        tokio::time::timeout(RELEASE, release).await.ok();
    }

    /// A consumer is about to be made, or was deleted.
    pub(super) fn consumers(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.0.consumers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(super) fn link_core(&self) -> &Link {
        &self.0.link
    }

    pub(super) fn denials(&self) -> tokio::sync::broadcast::Receiver<Denial> {
        self.0.link.denials()
    }

    /// `<api prefix>.<what>`
    pub(super) fn api_subject(&self, what: &str) -> String {
        format!("{}.{what}", self.0.settings.api_prefix)
    }

    /// Fire and forget, for flow control and clean-up.
    pub(super) async fn send(&self, subject: String, reply: Option<String>, body: Bytes) {
        let client = self.client();
        match reply {
            Some(reply) => client.publish_with_reply(subject, reply, body).await.ok(),
            None => client.publish(subject, body).await.ok(),
        };
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus")
            .field("servers", &self.0.settings.shown_servers())
            .field("link", &*self.link().borrow())
            .finish_non_exhaustive()
    }
}

async fn options(
    settings: &Settings,
    timeout: Duration,
    link: &Arc<Link>,
) -> Result<ConnectOptions, ConnectError> {
    let first_round = settings.servers.value.len();
    let ever = Arc::clone(link);
    let detail = Arc::clone(link);
    let mut options = ConnectOptions::new()
        .connection_timeout(timeout)
        .request_timeout(Some(timeout))
        .ping_interval(PING_INTERVAL)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .max_reconnects(None)
        .reconnect_delay_callback(move |attempt| {
            // The very first round goes through the list at once. A server that accepts and then
            // hangs up must not be hammered.
            let never_connected = matches!(*ever.watch().borrow(), LinkState::Connecting { .. });
            if never_connected && attempt <= first_round {
                Duration::ZERO
            } else {
                let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
                (Duration::from_millis(25) * 2_u32.pow(doublings)).min(RETRY_AT_MOST)
            }
        })
        .reconnect_to_server_callback(move |pool, _| {
            // Not to choose one, but because the pool alone knows why an attempt failed.
            let errors: Vec<_> = pool.iter().filter_map(|s| s.last_error.as_deref()).collect();
            if let Some(error) = errors.last() {
                detail.detail(Failure::explain(error));
            }
            async { None }
        });
    options = options.custom_inbox_prefix(&settings.inbox_prefix);
    let tls = &settings.tls.value;
    if let Some(ca) = &tls.ca {
        options = options.add_root_certificates(readable(ca).await?);
    }
    if let Some((cert, key)) = &tls.client {
        options = options.add_client_certificate(readable(cert).await?, readable(key).await?);
    }
    if tls.first {
        options = options.tls_first();
    }
    Ok(match &settings.auth.value {
        Auth::Anonymous => options,
        Auth::User(user, password) => {
            options.user_and_password(user.clone(), password.reveal().to_owned())
        }
        Auth::Token(token) => options.token(token.reveal().to_owned()),
        Auth::NKey(seed) => options.nkey(seed.reveal().to_owned()),
        Auth::Creds(text) => credentials(options, text.reveal())?,
        // The signing is inside the library, and this is the way to it.
        Auth::Jwt(jwt, seed) => credentials(
            options,
            &format!(
                "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
                 -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
                jwt.reveal(),
                seed.reveal()
            ),
        )?,
    })
}

fn credentials(options: ConnectOptions, text: &str) -> Result<ConnectOptions, ConnectError> {
    options.credentials(text).map_err(|error| ConnectError::Credentials(error.to_string()))
}

/// A missing file is told by name now, not as an "IO error" of the connection later.
async fn readable(path: &std::path::Path) -> Result<PathBuf, ConnectError> {
    match tokio::fs::read(path).await {
        Ok(_) => Ok(path.to_owned()),
        Err(source) => Err(ConnectError::TlsFile { path: path.to_owned(), source }),
    }
}

/// Time since `start`, and the reply's arrival, for measuring round trips.
pub(super) fn since(start: std::time::Instant) -> Duration {
    clock::monotonic().saturating_duration_since(start)
}
