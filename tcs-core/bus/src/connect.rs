//! Making the connection: at once or not at all ([`Bus::connect`], for commands that run once), or
//! in the background and for ever ([`Bus::open`], for dashboards and services).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{AuthError, Client, ConnectOptions, ReconnectToServer};
use tokio::sync::{mpsc, watch};
use tokio_util::bytes::Bytes;

use super::denial::Denial;
use super::dial::{Before, Known};
use super::failure::{CREDENTIALS, Failure};
use super::link::{self, Link, LinkState};
use super::secret::parse_creds;
use super::settings::{Auth, Settings};
use crate::clock;
use tcs_wire::Subjects;

/// A peer that does not answer is noticed at the third ping after its last answer: within 6 s. One
/// that sends much meanwhile, after 16 (see the vendored library's README).
const PING_INTERVAL: Duration = Duration::from_millis(1800);
/// An overflow drops flow control messages too, and each costs a wait of seconds: big enough for
/// a whole snapshot.
const SUBSCRIPTION_CAPACITY: usize = 262_144;
/// For each answer of the server, when nobody says otherwise.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the round trip is measured, whatever arrives.
pub(super) const ROUND_TRIP_EVERY: Duration = Duration::from_secs(5);

/// A connection. Cheap to clone; all clones share it, and it ends with the last one.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    client: Client,
    consumers: Mutex<Consumers>,
    link: Arc<Link>,
    settings: Settings,
    timeout: Duration,
}

/// Stream and name of each consumer of a connection that is, or may be, at the server.
#[derive(Default)]
pub(super) struct Consumers {
    pub(super) held: BTreeSet<(String, String)>,
    /// The connection was released: no more are made.
    pub(super) released: bool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.link.close();
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server refused the connection, or could not be reached.
    #[error("cannot connect to {servers}: {failure}{}", hint(failure))]
    Failed {
        /// Where to, without credentials.
        servers: String,
        /// Why not.
        failure: Failure,
    },
    /// None of several servers could be connected to.
    #[error("cannot connect to any server:{}", each(attempts))]
    AllFailed {
        /// Each server's address, and what came of it; `None`: it was not its turn in time.
        attempts: Vec<(String, Option<Failure>)>,
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

fn each(attempts: &[(String, Option<Failure>)]) -> String {
    let line = |(server, failure): &(String, Option<Failure>)| match failure {
        Some(failure) => format!("\n  {server}: {failure}"),
        None => format!("\n  {server}: not tried, out of time"),
    };
    let lines: String = attempts.iter().map(line).collect();
    lines
        + &attempts.iter().find_map(|(_, failure)| failure.as_ref()).map_or_else(String::new, hint)
}

fn hint(failure: &Failure) -> String {
    failure.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"))
}

impl ConnectError {
    fn of(mut attempts: Vec<(String, Option<Failure>)>, settings: &Settings) -> Self {
        if attempts.len() > 1 {
            return Self::AllFailed { attempts };
        }
        let failure = attempts.pop().and_then(|(_, failure)| failure).unwrap_or(Failure::TimedOut);
        Self::Failed { servers: settings.shown_servers(), failure }
    }
}

impl Bus {
    /// Connects within `timeout`, or fails. `name` is what the server's own tools show:
    /// `tcsctl 0.1.0`. Afterwards the connection is kept: lost, it is made again, for ever.
    pub async fn connect(
        settings: &Settings,
        name: &str,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let bus = Self::start(settings, name, timeout, None).await?;
        if bus.tried(timeout).await {
            return Ok(bus);
        }
        let attempts =
            bus.0.link.report().into_iter().map(|tried| (tried.url, tried.failure)).collect();
        Err(ConnectError::of(attempts, settings))
    }

    /// Returns at once and goes on trying, for ever, also where the login is refused (it may be
    /// put right). See [`Bus::link`] for how it goes. `timeout` bounds each attempt and request.
    pub async fn open(
        settings: &Settings,
        name: &str,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        Self::start(settings, name, timeout, None).await
    }

    /// The same, for a second connection of a program: where a server has room for one more, the
    /// first one is to have it, so this one is tried once that one has been connected.
    pub async fn open_after(
        first: &Self,
        settings: &Settings,
        name: &str,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        Self::start(settings, name, timeout, Some(first.link())).await
    }

    async fn start(
        settings: &Settings,
        name: &str,
        timeout: Duration,
        after: Option<watch::Receiver<LinkState>>,
    ) -> Result<Self, ConnectError> {
        let link = Arc::new(Link::new());
        let (events_to, events) = mpsc::channel(1024);
        let options = options(settings, timeout, &link, after)
            .await?
            .name(name)
            .retry_on_initial_connect()
            .event_callback(move |event| {
                let events_to = events_to.clone();
                async move { events_to.send(event).await.unwrap_or_default() }
            });
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
        Ok(bus)
    }

    /// Waits until there is a connection, or each address has failed, `limit` at most; whether
    /// there is one.
    pub async fn tried(&self, limit: Duration) -> bool {
        let link = &self.0.link;
        let mut state = link.watch();
        let done = state.wait_for(|state| state.is_connected() || link.all_failed());
        matches!(tokio::time::timeout(limit, done).await, Ok(Ok(state)) if state.is_connected())
    }

    /// How the connection stands, now and as it changes.
    pub fn link(&self) -> watch::Receiver<LinkState> {
        self.0.link.watch()
    }

    /// All subjects of this site.
    pub fn subjects(&self) -> &Subjects {
        &self.0.settings.subjects.value
    }

    /// The settings of this connection.
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

    pub(super) fn consumers(&self) -> MutexGuard<'_, Consumers> {
        self.0.consumers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(super) fn link_core(&self) -> &Link {
        &self.0.link
    }

    /// Whether a consumer with a filter may be slow: the server is older than 2.10.
    pub(super) fn filters_slowly(&self) -> bool {
        let version = self.client().server_info().version;
        let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
        matches!((numbers.next(), numbers.next()), (Some(2), Some(..10)))
    }

    pub(super) fn denials(&self) -> tokio::sync::broadcast::Receiver<Denial> {
        self.0.link.denials()
    }

    /// `<api prefix>.<what>`
    pub(super) fn api_subject(&self, what: &str) -> String {
        format!("{}.{what}", self.0.settings.api_prefix.value)
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
    after: Option<watch::Receiver<LinkState>>,
) -> Result<ConnectOptions, ConnectError> {
    let servers = u32::try_from(settings.servers.value.len()).unwrap_or(u32::MAX);
    // A server that accepts and then stays silent must leave time for the others, and for the
    // command. With a single server, its failure must be known before the time is up.
    let attempt = if servers > 1 { timeout / servers.saturating_add(1) } else { timeout / 20 * 19 };
    let dialing = Arc::clone(link);
    check_credentials(&settings.auth.value)?;
    let options = if settings.auth.value == Auth::Anonymous {
        ConnectOptions::new()
    } else {
        let login = Arc::new(Login { settings: settings.clone(), last: Mutex::default() });
        ConnectOptions::with_auth_callback(move |nonce| {
            let answer = login.answer(&nonce);
            async { answer }
        })
    };
    let mut options = options
        .connection_timeout(attempt)
        .request_timeout(Some(timeout))
        .ping_interval(PING_INTERVAL)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .max_reconnects(None)
        .reconnect_to_server_callback(move |pool, _| {
            let (link, after) = (Arc::clone(&dialing), after.clone());
            async move {
                if let Some(mut after) = after.filter(|_| link.report().is_empty()) {
                    after.wait_for(LinkState::is_connected).await.ok();
                }
                next_server(&link, &pool)
            }
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
    Ok(options)
}

/// Before each attempt: what came of the last one, and which server is next.
fn next_server(link: &Link, pool: &[async_nats::Server]) -> Option<ReconnectToServer> {
    let known: Vec<Known> = pool
        .iter()
        .map(|server| Known {
            url: server.to_string(),
            failed: server.failed_attempts,
            error: server.last_error.clone(),
        })
        .collect();
    if link.is_closed() {
        // The connection is no longer wanted, but the library would try until it succeeds.
        let addr = pool.first()?.addr.clone();
        return Some(ReconnectToServer { addr, delay: Some(Duration::MAX) });
    }
    let (next, before) = link.dial(&known);
    if let Before::Failed(failure) = before {
        link.failed(failure);
    }
    let (url, delay) = next?;
    let server = pool.iter().find(|server| server.to_string() == url)?;
    Some(ReconnectToServer { addr: server.addr.clone(), delay: Some(delay) })
}

fn check_credentials(auth: &Auth) -> Result<(), ConnectError> {
    match auth {
        Auth::Creds(text) if parse_creds(text.reveal()).is_none() => {
            Err(ConnectError::Credentials("it has other lines".to_owned()))
        }
        Auth::Anonymous
        | Auth::User(..)
        | Auth::Token(_)
        | Auth::NKey(_)
        | Auth::Jwt(..)
        | Auth::Creds(_) => Ok(()),
    }
}

/// Answers each login with the credentials as they are now.
struct Login {
    settings: Settings,
    /// The last that could be read: used while the file is being replaced.
    last: Mutex<Option<Auth>>,
}

impl Login {
    fn answer(&self, nonce: &[u8]) -> Result<async_nats::Auth, AuthError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let auth = match self.settings.fresh_auth() {
            Ok(auth) if check_credentials(&auth).is_ok() => auth,
            Ok(_) => last.clone().ok_or_else(|| refusal(&"no JWT and seed in the file"))?,
            Err(error) => last.clone().ok_or_else(|| refusal(&error))?,
        };
        let answer = sign(&auth, nonce)?;
        *last = Some(auth);
        Ok(answer)
    }
}

fn refusal(why: &dyn std::fmt::Display) -> AuthError {
    AuthError::new(format!("{CREDENTIALS}{why}"))
}

/// The public key of a seed, and its signature.
#[cfg(feature = "nkeys")]
fn signed(seed: &str, nonce: &[u8]) -> Result<(String, Vec<u8>), AuthError> {
    let pair = nkeys::KeyPair::from_seed(seed.trim());
    let pair = pair.map_err(|error| refusal(&format!("the seed is not valid: {error}")))?;
    let signature = pair.sign(nonce).map_err(|error| refusal(&error))?;
    Ok((pair.public_key(), signature))
}

#[cfg(not(feature = "nkeys"))]
fn signed(_: &str, _: &[u8]) -> Result<(String, Vec<u8>), AuthError> {
    Err(refusal(&"this program is built without NKeys (the feature `nkeys` of tcs-core)"))
}

fn sign(auth: &Auth, nonce: &[u8]) -> Result<async_nats::Auth, AuthError> {
    let mut answer = async_nats::Auth::new();
    let mut by_seed = |seed: &str| -> Result<String, AuthError> {
        let (key, signature) = signed(seed, nonce)?;
        answer.signature = Some(signature);
        Ok(key)
    };
    match auth {
        Auth::Anonymous => {}
        Auth::User(user, password) => {
            answer.username = Some(user.clone());
            answer.password = Some(password.reveal().to_owned());
        }
        Auth::Token(token) => answer.token = Some(token.reveal().to_owned()),
        Auth::NKey(seed) => answer.nkey = Some(by_seed(seed.reveal())?),
        Auth::Jwt(jwt, seed) => {
            by_seed(seed.reveal())?;
            answer.jwt = Some(jwt.reveal().to_owned());
        }
        Auth::Creds(text) => {
            let (jwt, seed) = parse_creds(text.reveal()).ok_or_else(|| refusal(&"no JWT"))?;
            by_seed(seed)?;
            answer.jwt = Some(jwt.to_owned());
        }
    }
    Ok(answer)
}

/// Reports a missing file by name now, not as an "IO error" of the connection later.
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
