//! The thread that speaks for the program: it owns the connection, sends what is in the outbox,
//! and runs one small task for each monitor. Nothing that a service does can keep it from its
//! beat.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::shared::Shared;
use crate::bus::outbox::{Class, Counts, Outbox};
use crate::bus::publish::{HappenedAt, OutgoingMessage, Publisher, meta_of, new_meta};
use crate::bus::rpc::{Command, Responders};
use crate::bus::settings::Settings;
#[cfg(feature = "testing")]
use crate::bus::subscribe::is_meant;
use crate::bus::{Bus, ConnectError, Failure, REQUEST_TIMEOUT, connection_log};
use crate::service::Message;
use crate::wire::{HeartbeatMessage, Kind, Meta, OutboxReport, Status, StatusMessage, Subjects};

/// How long the end of the program may wait until its last messages are sent.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// A status larger than this in bytes goes without its least important parts: the server would
/// refuse it at 1 MiB, and then nobody would see the status at all.
const MAX_BODY: usize = 512 * 1024;
/// Components that a status keeps which is too large: the gravest.
const KEPT_COMPONENTS: usize = 200;

/// Publishes for the program. Cheap to clone; ends with the last clone, after sending what waits
/// (2 s at most, and not at all where no broker is connected).
#[derive(Clone)]
pub struct Reporter(Arc<Inner>);

struct Inner {
    outlet: Outlet,
    handle: Handle,
    tracker: TaskTracker,
    stop: CancellationToken,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// A reference that does not keep the reporter alive, for a `static`: that is never dropped, and
/// what waits to be sent would be lost when the program ends.
pub(super) struct WeakReporter(Weak<Inner>);

impl WeakReporter {
    pub(super) const fn new() -> Self {
        Self(Weak::new())
    }

    pub(super) fn upgrade(&self) -> Option<Reporter> {
        self.0.upgrade().map(Reporter)
    }
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reporter").field("bus", &self.bus()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            thread.join().ok();
        }
    }
}

/// Where messages go.
#[derive(Clone)]
pub(crate) enum Outlet {
    Broker {
        publisher: Publisher,
        outbox: Outbox,
        responders: Responders,
        /// The monitor whose heartbeats report what the outbox cannot deliver: one per program.
        teller: Arc<Mutex<Weak<Shared>>>,
    },
    Recorder {
        subjects: Subjects,
        recorded: Arc<Mutex<Record>>,
    },
}

/// A message that would have been sent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recorded {
    /// Where to.
    pub subject: String,
    /// Its `data`.
    pub data: Value,
}

/// What a recorder keeps.
#[derive(Default)]
pub(crate) struct Record {
    /// How many messages may be kept.
    room: usize,
    messages: Vec<Recorded>,
    /// By monitored name and command.
    commands: HashMap<(String, String), Command>,
    /// Who has subscribed, and to what.
    listeners: Vec<(String, mpsc::Sender<Message>)>,
}

/// Messages a recorder keeps; later ones are not kept.
const MAX_RECORDED: usize = 100_000;
/// Messages that wait for a service under test.
const MAX_WAITING: usize = 10_000;
/// How long the end of a program that was too short to connect waits for the connection; where each
/// address has failed it does not wait.
const FIRST_CONNECTION: Duration = Duration::from_secs(5);

impl Reporter {
    /// Starts the thread, which connects in the background and never gives up: without a broker
    /// monitors work as usual, and their messages are sent once it is reachable. `name` is the
    /// connection's name in the server's own tools.
    ///
    /// # Errors
    /// Credentials or certificates that cannot be read.
    pub fn open(settings: Settings, name: &str) -> Result<Self, ConnectError> {
        let name = name.to_owned();
        Self::start(move || async move {
            let bus = Bus::open(&settings, &name, REQUEST_TIMEOUT).await?;
            // A server whose disk is slow or full stops reading what a connection publishes:
            // requests and their answers have a connection of their own.
            let second = format!("{name} rpc");
            let answers = Bus::open_after(&bus, &settings, &second, REQUEST_TIMEOUT).await?;
            tokio::spawn(connection_log::keep([bus.clone(), answers.clone()]));
            let publisher = Publisher::new(bus);
            let outbox = Outbox::default();
            tokio::spawn(outbox.clone().drain(publisher.clone()));
            let (responders, teller) = (Responders::new(answers), Arc::default());
            Ok(Outlet::Broker { publisher, outbox, responders, teller })
        })
    }

    /// A reporter that connects to nothing and keeps what it would have sent: for tests.
    ///
    /// # Panics
    /// When the system gives no thread.
    pub fn recorder() -> Self {
        Self::unconnected(MAX_RECORDED)
    }

    /// A recorder without a thread, on the current runtime, so that it uses the test's time.
    #[cfg(feature = "testing")]
    pub(crate) fn recorder_here() -> Self {
        let recorded = Arc::new(Mutex::new(Record { room: MAX_RECORDED, ..Record::default() }));
        Self(Arc::new(Inner {
            outlet: Outlet::Recorder { subjects: Subjects::default(), recorded },
            handle: Handle::current(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            thread: Mutex::default(),
        }))
    }

    /// A reporter that connects to nothing and says nothing.
    pub(crate) fn silent() -> Self {
        Self::unconnected(0)
    }

    fn unconnected(room: usize) -> Self {
        let recorded = Arc::new(Mutex::new(Record { room, ..Record::default() }));
        let start = Self::start(|| async {
            Ok(Outlet::Recorder { subjects: Subjects::default(), recorded })
        });
        start.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn downgrade(&self) -> WeakReporter {
        WeakReporter(Arc::downgrade(&self.0))
    }

    fn start<F, R>(connect: F) -> Result<Self, ConnectError>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<Outlet, ConnectError>>,
    {
        let (ready, started) = std::sync::mpsc::channel();
        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let (stopped, tasks) = (stop.clone(), tracker.clone());
        let thread = thread::Builder::new()
            .name("tcs-reporter".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(ready.send(Err(no_thread(&error)))),
                };
                runtime.block_on(async {
                    let outlet = match connect().await {
                        Ok(outlet) => outlet,
                        Err(error) => return drop(ready.send(Err(error))),
                    };
                    ready.send(Ok((outlet.clone(), Handle::current()))).ok();
                    stopped.cancelled().await;
                    tasks.close();
                    tokio::time::timeout(LAST_WORDS, tasks.wait()).await.ok();
                    outlet.last_words().await;
                });
                runtime.shutdown_background();
            })
            .map_err(|error| no_thread(&error))?;
        let (outlet, handle) = started.recv().map_err(|error| no_thread(&error))??;
        let thread = Mutex::new(Some(thread));
        Ok(Self(Arc::new(Inner { outlet, handle, tracker, stop, thread })))
    }

    /// The connection; `None` for a recorder.
    pub fn bus(&self) -> Option<&Bus> {
        self.publisher().map(Publisher::bus)
    }

    /// For what is sent now or not at all.
    pub fn publisher(&self) -> Option<&Publisher> {
        match &self.0.outlet {
            Outlet::Broker { publisher, .. } => Some(publisher),
            Outlet::Recorder { .. } => None,
        }
    }

    /// What answers requests for the objects of this program.
    pub fn responders(&self) -> Option<&Responders> {
        match &self.0.outlet {
            Outlet::Broker { responders, .. } => Some(responders),
            Outlet::Recorder { .. } => None,
        }
    }

    /// All subjects of this site.
    pub fn subjects(&self) -> &Subjects {
        self.0.outlet.subjects()
    }

    /// Sends what must arrive as soon as there is a broker, and streams take it: registry events
    /// in order; of statuses and heartbeats the newest of each subject. Never waits.
    pub fn post(&self, subject: String, data: &impl Serialize) {
        self.0.outlet.post(subject, data, new_meta(), None);
    }

    /// The same for an event, with the number by which a reader notices a missing one. It happened
    /// earlier where it is sent once more, to streams that have lost it.
    pub fn post_event(
        &self,
        subject: String,
        data: &impl Serialize,
        event_seq: u64,
        happened: HappenedAt,
    ) {
        self.0.outlet.post(subject, data, meta_of(happened), Some(event_seq));
    }

    /// Nothing is sent until [`Reporter::release`]: for a launcher, which makes missing streams first.
    pub fn gate(&self) {
        if let Some(outbox) = self.outbox() {
            outbox.gate();
        }
    }

    /// Sends what waits.
    pub fn release(&self) {
        if let Some(outbox) = self.outbox() {
            outbox.release();
        }
    }

    /// What waits to be sent; `None` for a recorder.
    pub fn outbox(&self) -> Option<&Outbox> {
        match &self.0.outlet {
            Outlet::Broker { outbox, .. } => Some(outbox),
            Outlet::Recorder { .. } => None,
        }
    }

    /// Makes every monitor of this program send a heartbeat and its status now: streams have
    /// just been created, and are empty. (Otherwise monitors do so with their next heartbeat.)
    pub fn say_again(&self) {
        if let Some(outbox) = self.outbox() {
            outbox.forget_missing();
            outbox.say_again();
        }
    }

    /// Numbers of messages waiting, sent and lost; all zero for a recorder.
    pub fn counts(&self) -> Counts {
        self.0.outlet.counts()
    }

    /// Waits until everything posted so far has been sent, `limit` at most; whether it was.
    pub async fn settled(&self, limit: Duration) -> bool {
        match &self.0.outlet {
            Outlet::Broker { outbox, .. } => outbox.settled(limit).await,
            Outlet::Recorder { .. } => true,
        }
    }

    /// What a recorder has kept so far, oldest first.
    pub fn recorded(&self) -> Vec<Recorded> {
        match &self.0.outlet {
            Outlet::Broker { .. } => Vec::new(),
            Outlet::Recorder { recorded, .. } => {
                recorded.lock().unwrap_or_else(PoisonError::into_inner).messages.clone()
            }
        }
    }

    /// What a test publishes on a subject.
    pub(crate) fn listen(&self, subject: &str) -> mpsc::Receiver<Message> {
        let (to, messages) = mpsc::channel(MAX_WAITING);
        if let Outlet::Recorder { recorded, .. } = &self.0.outlet {
            let mut record = recorded.lock().unwrap_or_else(PoisonError::into_inner);
            record.listeners.push((subject.to_owned(), to));
        }
        messages
    }

    /// Gives a message to those who have subscribed to its subject; how many there are.
    #[cfg(feature = "testing")]
    pub(crate) fn deliver(&self, message: &Message) -> usize {
        let Outlet::Recorder { recorded, .. } = &self.0.outlet else { return 0 };
        let mut record = recorded.lock().unwrap_or_else(PoisonError::into_inner);
        record.listeners.retain(|(_, to)| !to.is_closed());
        let meant = record.listeners.iter().filter(|it| is_meant(&it.0, &message.subject));
        meant.filter(|(_, to)| to.try_send(message.clone()).is_ok()).count()
    }

    #[cfg(feature = "testing")]
    /// A command that an object of this name serves, where nobody can ask for it over NATS.
    pub(crate) fn recorded_command(&self, name: &str, command: &str) -> Option<Command> {
        match &self.0.outlet {
            Outlet::Broker { .. } => None,
            Outlet::Recorder { recorded, .. } => {
                let record = recorded.lock().unwrap_or_else(PoisonError::into_inner);
                record.commands.get(&(name.to_owned(), command.to_owned())).cloned()
            }
        }
    }

    pub(super) fn note_command(&self, name: &str, command: &Command) {
        if let Outlet::Recorder { recorded, .. } = &self.0.outlet {
            let mut record = recorded.lock().unwrap_or_else(PoisonError::into_inner);
            record.commands.insert((name.to_owned(), command.name().to_owned()), command.clone());
        }
    }

    /// The runtime of the reporter's thread, for small tasks that never block.
    pub fn handle(&self) -> &Handle {
        &self.0.handle
    }

    pub(super) fn outlet(&self) -> &Outlet {
        &self.0.outlet
    }

    /// Runs a monitor's task; the end of the program waits for it.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tracker.spawn_on(task, &self.0.handle);
    }
}

impl Outlet {
    pub(super) fn subjects(&self) -> &Subjects {
        match self {
            Self::Broker { publisher, .. } => publisher.bus().subjects(),
            Self::Recorder { subjects, .. } => subjects,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::Broker { outbox, .. } => outbox.counts(),
            Self::Recorder { .. } => Counts::default(),
        }
    }

    fn post(&self, subject: String, data: &impl Serialize, meta: Meta, event_seq: Option<u64>) {
        match self {
            Self::Broker { outbox, publisher, .. } => {
                let kind = publisher.bus().subjects().parse(&subject).map(|it| it.kind);
                let class = match kind {
                    Some(Kind::Status) => Class::Status,
                    Some(Kind::Heartbeat) => Class::Heartbeat,
                    Some(Kind::Registry | Kind::Journal) | None => Class::Event,
                };
                match OutgoingMessage::with_meta(subject, data, meta) {
                    Ok(parcel) => outbox.push_event(class, parcel, event_seq),
                    Err(error) => tracing::warn!("cannot be written: {error}"),
                }
            }
            Self::Recorder { recorded, .. } => {
                let data = serde_json::to_value(data).unwrap_or_default();
                let mut record = recorded.lock().unwrap_or_else(PoisonError::into_inner);
                if record.messages.len() < record.room {
                    record.messages.push(Recorded { subject, data });
                }
            }
        }
    }

    /// Sends a status that was made so many seconds after this run began.
    pub(super) fn status(&self, mut message: StatusMessage, run_s: f64) {
        let size = serde_json::to_vec(&message).map_or(0, |body| body.len());
        if size > MAX_BODY {
            shed(&mut message);
        }
        let meta = Meta { run_s: Some(run_s), ..new_meta() };
        self.post(self.subjects().status(&message.name), &message, meta, None);
    }

    /// The outbox report for this monitor's heartbeat: only the first monitor of a program sends
    /// one, for as long as it exists.
    pub(super) fn report(&self, shared: &Arc<Shared>) -> Option<OutboxReport> {
        let Self::Broker { outbox, teller, .. } = self else { return None };
        let mut teller = teller.lock().unwrap_or_else(PoisonError::into_inner);
        match teller.upgrade() {
            Some(other) if !Arc::ptr_eq(&other, shared) => return None,
            Some(_) => {}
            None => *teller = Arc::downgrade(shared),
        }
        outbox.report()
    }

    /// Sends a beat, or drops it where there is no broker: an old one is of no use to anybody.
    /// Whether it was taken.
    pub(super) fn beat(&self, message: &HeartbeatMessage) -> bool {
        if let Self::Broker { publisher, .. } = self
            && !publisher.bus().is_connected()
        {
            return false;
        }
        self.post(self.subjects().heartbeat(&message.service_id), message, new_meta(), None);
        true
    }

    async fn last_words(&self) {
        if let Self::Broker { publisher, outbox, .. } = self
            && publisher.bus().tried(FIRST_CONNECTION).await
        {
            let settled = outbox.settled(LAST_WORDS).await;
            let flushed = tokio::time::timeout(LAST_WORDS, async {
                if !settled {
                    outbox.hurry(publisher).await;
                }
                publisher.bus().flush().await;
            });
            if flushed.await.is_err() || !settled {
                let waiting = outbox.counts().waiting;
                tracing::warn!("the broker has not confirmed the last messages ({waiting} wait)");
            }
        }
    }
}

fn no_thread(error: &dyn std::error::Error) -> ConnectError {
    let failure = Failure::Other(format!("cannot start the reporter's thread: {error}"));
    ConnectError::Failed { servers: "any server".to_owned(), failure }
}

/// Removes what matters least from a status: metrics and messages of its components, and all
/// components but the gravest.
fn shed(message: &mut StatusMessage) {
    let details = Arc::make_mut(&mut message.details);
    let components = &mut details.components;
    components.sort_by_key(|component| std::cmp::Reverse(component.status));
    components.truncate(KEPT_COMPONENTS);
    for component in components {
        component.details = crate::wire::Details::default();
        if component.status <= Status::Ok {
            component.message = None;
        }
    }
    if serde_json::to_vec(&details.metrics).map_or(0, |body| body.len()) > crate::wire::MAX_METRICS
    {
        details.metrics.clear();
    }
}
