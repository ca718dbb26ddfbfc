//! Reading what a site keeps, and going on with what comes: for each kind of message a task that
//! looks for its streams, for each stream a [`super::reader`].
//!
//! Streams may be missing and appear later, or vanish: each kind looks again after a reconnect and
//! every 10 s. Where no stream holds a subject nothing is subscribed to, unless that was asked for
//! (`docs/spec/wire.md#reading-the-streams`).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::consumer::{Consumer, Pace, Start};
use super::coverage::{Progress, Reading};
use super::mailbox::{Cut, Item};
use super::shared::{LINK_CHECK, Note, Shared};
use super::{probe, reader};
use crate::api::ApiError;
use crate::connect::Bus;
use crate::time::{BrokerClock, Sample};
use tcs_wire::Kind;

/// How often to look for streams that appeared or vanished.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// And how soon at first, where something is missing.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// How often the broker's clock is measured (`docs/spec/truth.md#clocks`).
const CLOCK_EVERY: Duration = Duration::from_mins(1);
/// For taking our consumers off the server at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a [`Follow`] hands over.
pub type Heard = Item<Note>;

/// Reads streams until it is dropped.
pub struct Follow {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    _cancel: DropGuard,
}

impl Bus {
    /// Reads `kinds`: of each subject the newest message, then all that come. With `core` also
    /// where no stream holds the subjects.
    pub fn follow(&self, kinds: &[Kind], core: bool) -> Follow {
        let cancel = CancellationToken::new();
        let shared = Arc::new(Shared::new(self, kinds, core, cancel.clone()));
        let mut tasks = JoinSet::new();
        for kind in kinds {
            tasks.spawn(follow_kind(Arc::clone(&shared), *kind));
        }
        tasks.spawn(until_cancelled(cancel.clone(), watch_link(Arc::clone(&shared))));
        tasks.spawn(until_cancelled(cancel.clone(), keep_clock(Arc::clone(&shared))));
        if kinds.contains(&Kind::Heartbeat) {
            tasks.spawn(until_cancelled(cancel.clone(), probe::keep_contact(Arc::clone(&shared))));
        }
        Follow { shared, tasks, _cancel: cancel.drop_guard() }
    }
}

impl Follow {
    /// Waits for something, and takes at most `limit` of what is there.
    pub async fn next(&self, limit: usize) -> Vec<Heard> {
        self.shared.mailbox.take(limit).await
    }

    /// What was not handed on because it was not taken in time.
    pub fn cut(&self) -> Cut {
        self.shared.mailbox.cut()
    }

    /// A stream that holds this kind, where one is read.
    pub(super) fn stream_of(&self, kind: Kind) -> Option<String> {
        self.shared.stream_of(kind)
    }

    /// Ends the reading and takes our consumers off the server, 1 s at most.
    pub async fn stop(mut self) {
        self.shared.cancel.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(FAREWELL, all).await.ok();
        tokio::time::timeout(FAREWELL, self.shared.bus.client().flush()).await.ok();
    }
}

async fn until_cancelled(cancel: CancellationToken, task: impl Future<Output = ()>) {
    cancel.run_until_cancelled(task).await;
}

/// Tells of the link, and forgets the clock of the server before.
async fn watch_link(shared: Arc<Shared>) {
    let mut link = shared.bus.link();
    loop {
        let state = link.borrow_and_update().clone();
        if !state.is_connected() {
            *shared.sample.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        shared.mailbox.note(Note::Link(state));
        if link.changed().await.is_err() {
            return;
        }
    }
}

/// The readers measure the clock when they begin; this does it while they go on.
async fn keep_clock(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(CLOCK_EVERY).await;
        let Some((kind, stream)) = shared.coverage.any_stream() else { continue };
        if let Some(sample) = shared.bus.sample_clock(kind, &stream).await {
            shared.sampled(sample);
        }
    }
}

impl Bus {
    /// The broker's clock, asked for now; this machine's own where no stream tells it. `None`: there
    /// is nobody to be asked.
    pub async fn broker_clock(&self) -> Option<BrokerClock> {
        let mut silent = None;
        for kind in Kind::FLEET {
            let Ok(streams) = self.streams_of(&self.subjects().all(kind)).await else { continue };
            for stream in streams {
                if let Some(sample) = self.sample_clock(kind, &stream).await {
                    return Some(sample.clock);
                }
                silent = Some(BrokerClock::local());
            }
        }
        silent
    }

    /// The server's time, as it tells it of this stream of `kind`.
    async fn sample_clock(&self, kind: Kind, stream: &str) -> Option<Sample> {
        let asked = self.stream_and_clock(stream, self.timeout());
        if let Some(sample) = asked.await.ok().and_then(|(_, sample)| sample) {
            return Some(sample);
        }
        // servers before 2.10 tell the time only as the age of a consumer
        let filter = self.subjects().all(kind);
        let consumer =
            Consumer::create(self, stream, None, &filter, Start::New, Pace::Pull, self.timeout());
        let consumer = consumer.await.ok()?;
        let sample = consumer.sample;
        consumer.delete().await;
        Some(sample)
    }
}

/// One running task that ends when this is dropped or stopped.
struct Running {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start<F: Future<Output = ()> + Send + 'static>(
        parent: &CancellationToken,
        task: impl FnOnce(CancellationToken) -> F,
    ) -> Self {
        let cancel = parent.child_token();
        Self { task: tokio::spawn(task(cancel.clone())), cancel }
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.ok();
    }

    fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

/// Finds the streams of one kind, again and again, and keeps a reader on each.
async fn follow_kind(shared: Arc<Shared>, kind: Kind) {
    let filter = shared.bus.subjects().all(kind);
    let mut readers: BTreeMap<String, Running> = BTreeMap::new();
    let mut listener: Option<Running> = None;
    let mut soon = LOOK_SOON;
    let cancel = shared.cancel.clone();
    let work = async {
        loop {
            shared.connected().await;
            match shared.bus.streams_of(&filter).await {
                Err(ApiError::Disconnected) => {
                    tokio::time::sleep(LINK_CHECK).await;
                    continue;
                }
                // What is being read goes on, or finds out itself that it cannot.
                Err(_) if !readers.is_empty() => {}
                found => {
                    let names = found.as_deref().unwrap_or_default();
                    let gone: Vec<_> =
                        readers.keys().filter(|name| !names.contains(name)).cloned().collect();
                    for name in gone {
                        if let Some(reader) = readers.remove(&name) {
                            reader.stop().await;
                        }
                    }
                    let listen = shared.core && names.is_empty();
                    if !listen && let Some(listener) = listener.take() {
                        listener.stop().await;
                    }
                    if listen && listener.is_none() {
                        let Some(listening) = shared.listen(kind, &filter).await else {
                            tokio::time::sleep(LINK_CHECK).await;
                            continue;
                        };
                        let shared = Arc::clone(&shared);
                        listener = Some(Running::start(&cancel, move |cancel| async move {
                            if let Some(error) = cancel.run_until_cancelled(listening).await {
                                shared.reading(kind, |reading| *reading = Reading::Failed(error));
                            }
                        }));
                    }
                    // a listener that was refused has said so
                    if !listener.as_ref().is_some_and(Running::has_ended) {
                        shared.reading(kind, |now| *now = now_reading(now, &found, listen));
                    }
                    for name in names {
                        readers.entry(name.clone()).or_insert_with(|| {
                            let (shared, filter) = (Arc::clone(&shared), filter.clone());
                            let name = name.clone();
                            Running::start(&cancel, move |cancel| {
                                reader::follow_stream(shared, kind, filter, name, cancel)
                            })
                        });
                    }
                }
            }
            let wait = if readers.is_empty() { soon } else { LOOK_AGAIN };
            tokio::select! {
                () = tokio::time::sleep(wait) => soon = (soon * 2).min(LOOK_AGAIN),
                () = shared.reconnected() => {
                    soon = LOOK_SOON;
                    // rights may be others now
                    listener.take_if(|listener| listener.has_ended());
                }
            }
        }
    };
    cancel.run_until_cancelled(work).await;
    for reader in std::mem::take(&mut readers).into_values().chain(listener.take()) {
        reader.stop().await;
    }
}

fn now_reading(
    before: &Reading,
    found: &Result<Vec<String>, ApiError>,
    listening: bool,
) -> Reading {
    match found {
        Ok(names) if names.is_empty() => Reading::NoStream { listening },
        Ok(names) => {
            let known = |name: &String| match before {
                Reading::Streams(streams) => streams.get(name).cloned(),
                Reading::Pending
                | Reading::NoStream { .. }
                | Reading::NoJetStream { .. }
                | Reading::Failed(_) => None,
            };
            let progress = |name: &String| known(name).unwrap_or(Progress::Reading);
            Reading::Streams(names.iter().map(|name| (name.clone(), progress(name))).collect())
        }
        Err(why @ (ApiError::NoJetStream | ApiError::NoDomain { .. } | ApiError::NotEnabled)) => {
            Reading::NoJetStream { why: why.clone(), listening }
        }
        Err(error) => Reading::Failed(error.clone()),
    }
}
