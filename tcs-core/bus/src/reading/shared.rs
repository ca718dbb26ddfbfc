//! What the tasks of one [`Follow`](super::Follow) share.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::contact::{Contact, ContactKeeper};
use super::coverage::{Coverage, Progress, Reading};
use super::mailbox::{Item, Mailbox};
use super::message::{RawMessage, Stored};
use crate::api::ApiError;
use crate::clock;
use crate::connect::Bus;
use crate::denial::Denial;
use crate::link::{self, LinkState};
use crate::time::{BrokerClock, Sample};
use tcs_wire::Kind;

/// The link's state is reported with a delay: a task that finds the link down before that waits
/// this long before it checks again.
pub(super) const LINK_CHECK: Duration = Duration::from_millis(50);

/// What is reported besides messages.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// How the reading of a kind stands now. "Complete" comes after the messages it speaks of.
    Reading(Kind, Reading),
    /// The broker's clock was measured.
    Clock(BrokerClock),
    /// The link changed.
    Link(LinkState),
    /// How contact with the heartbeats' stream stands.
    Contact(Contact),
}

/// Between all tasks of one [`Follow`](super::Follow).
pub(super) struct Shared {
    pub(super) bus: Bus,
    pub(super) mailbox: Mailbox<Note>,
    pub(super) cancel: CancellationToken,
    pub(super) coverage: Coverage,
    pub(super) core: bool,
    pub(super) contact: ContactKeeper,
    heard_plainly: AtomicU64,
    /// The number of the last reader.
    readers: AtomicU32,
    pub(super) sample: Mutex<Option<Sample>>,
}

impl Shared {
    pub(super) fn new(bus: &Bus, kinds: &[Kind], core: bool, cancel: CancellationToken) -> Self {
        Self {
            bus: bus.clone(),
            mailbox: Mailbox::new(),
            cancel,
            coverage: Coverage::new(kinds),
            core,
            contact: ContactKeeper::default(),
            heard_plainly: AtomicU64::new(0),
            readers: AtomicU32::new(0),
            sample: Mutex::default(),
        }
    }

    pub(super) fn progress(&self, kind: Kind, stream: &str, progress: Progress) {
        if let Some(reading) = self.coverage.progress(kind, stream, progress) {
            self.mailbox.note(Note::Reading(kind, reading));
        }
    }

    /// A number for a new reader.
    pub(super) fn number(&self) -> u32 {
        self.readers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn reading(&self, kind: Kind, change: impl FnOnce(&mut Reading)) {
        if let Some(reading) = self.coverage.change(kind, change) {
            self.mailbox.note(Note::Reading(kind, reading));
        }
    }

    pub(super) fn sampled(&self, sample: Sample) {
        let mut known = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| sample.better_than(&known)) {
            *known = Some(sample);
            drop(known);
            self.mailbox.note(Note::Clock(sample.clock));
        }
    }

    /// The clock by messages' arrivals, for as long as it could not be measured.
    pub(super) fn estimated(&self, clock: BrokerClock) {
        if self.sample.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            self.mailbox.note(Note::Clock(clock));
        }
    }

    /// Subscribes without a stream, and gives what then listens; that ends only if it cannot. What
    /// is sent to the server from now on, it gets after the subscription. `None`: the connection
    /// has ended.
    pub(super) async fn listen(
        self: &Arc<Self>,
        kind: Kind,
        filter: &str,
    ) -> Option<impl Future<Output = ApiError> + use<>> {
        let denials = self.bus.denials();
        let subscriber = self.bus.client().subscribe(filter.to_owned()).await.ok()?;
        let (shared, filter) = (Arc::clone(self), filter.to_owned());
        Some(async move { shared.hear(kind, &filter, subscriber, denials).await })
    }

    async fn hear(
        &self,
        kind: Kind,
        filter: &str,
        mut subscriber: async_nats::Subscriber,
        mut denials: broadcast::Receiver<Denial>,
    ) -> ApiError {
        loop {
            let message = tokio::select! {
                biased;
                message = subscriber.next() => message,
                denial = denials.recv() => match denial {
                    Ok(denial) if denial.subject == filter => return ApiError::Denied(denial),
                    Ok(_) | Err(_) => continue,
                },
            };
            let Some(message) = message else { return ApiError::Disconnected };
            let number = self.heard_plainly.fetch_add(1, Ordering::Relaxed);
            let stored = Stored::Core { arrived: clock::monotonic(), number };
            self.mailbox.push([Item::Message(RawMessage::new(kind, stored, message))]);
        }
    }

    /// A stream that holds this kind, where one is read.
    pub(super) fn stream_of(&self, kind: Kind) -> Option<String> {
        self.coverage.stream_of(kind)
    }

    /// Waits for the link to be up.
    pub(super) async fn connected(&self) {
        link::until(self.bus.link(), LinkState::is_connected).await;
    }

    /// Waits for the link to be down.
    pub(super) async fn lost(&self) {
        link::until(self.bus.link(), |state| !state.is_connected()).await;
    }

    /// Waits until the link was lost and is back.
    pub(super) async fn reconnected(&self) {
        self.lost().await;
        self.connected().await;
    }
}
