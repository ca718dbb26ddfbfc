//! What must not be lost while the broker is away: life cycle events and status changes. They
//! wait here in order, with their own times and identities, and are sent when it is back; the
//! queue is bounded, and what has to be given up is counted.
//!
//! Messages go out in small batches: within one, all are under way at once, and each stays in the
//! queue until its own ack has come. What is sent twice is dropped by JetStream.

mod complaints;
mod queue;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;

pub use queue::{Class, Counts};

use super::connect::Bus;
use super::link::LinkState;
use super::publish::{Parcel, PublishError, Publisher};
use crate::clock;
use complaints::Complaints;
use queue::{Item, Queue};

/// Messages under way at once. `join_all` polls this many in order, so they leave in order.
const BATCH: usize = 16;
/// Wait before what was refused or unanswered is sent again.
const RETRY: Duration = Duration::from_millis(500);
/// How long a message may be refused by a server that is there before it is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// The way out for what must arrive. Cheap to clone; usable before there is a connection.
#[derive(Debug, Clone)]
pub struct Outbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: Mutex<Queue>,
    /// (start, end) of the queue by serial number.
    moved: watch::Sender<(u64, u64)>,
}

impl Default for Outbox {
    fn default() -> Self {
        let moved = watch::Sender::new((0, 0));
        Self(Arc::new(Inner { queue: Mutex::default(), moved }))
    }
}

impl Outbox {
    /// Puts a message at the end. Never waits.
    pub fn push(&self, class: Class, parcel: Parcel) {
        self.change(|queue| queue.push(class, parcel));
    }

    /// How many wait, went, and were lost.
    pub fn counts(&self) -> Counts {
        self.queue().counts()
    }

    /// Waits until all that is in it now has gone (or had to be given up), `limit` at most;
    /// whether it has.
    pub async fn settled(&self, limit: Duration) -> bool {
        let until = self.queue().end();
        let mut moved = self.0.moved.subscribe();
        let gone = moved.wait_for(|(start, _)| *start >= until);
        matches!(tokio::time::timeout(limit, gone).await, Ok(Ok(_)))
    }

    /// Sends what is in the queue, and what comes later, for ever.
    pub async fn drain(self, publisher: Publisher) {
        let mut moved = self.0.moved.subscribe();
        let mut told = 0;
        let mut complaints = Complaints::default();
        let mut refused_since = None;
        loop {
            let link = connected(publisher.bus()).await;
            self.strike_out_stored(&publisher, link).await;
            let batch = self.queue().oldest(BATCH);
            if batch.is_empty() {
                let dropped = self.counts().dropped;
                if dropped > told {
                    let lost = dropped - told;
                    tracing::warn!("{lost} messages had to be given up while the broker was away");
                    told = dropped;
                }
                if moved.wait_for(|(start, end)| start < end).await.is_err() {
                    return;
                }
                continue;
            }
            let results = join_all(batch.iter().map(|item| publisher.send(&item.parcel))).await;
            let since = *refused_since.get_or_insert_with(clock::monotonic);
            let (mut given_up, mut unsent) = (Vec::new(), None);
            self.change(|queue| {
                for (Item { serial, .. }, result) in batch.iter().zip(results) {
                    let Err(error) = result else {
                        refused_since = None;
                        queue.sent += 1;
                        queue.done(*serial);
                        continue;
                    };
                    let away = matches!(
                        &error,
                        PublishError::Unsure { .. } if !publisher.bus().is_connected()
                    );
                    if away {
                        refused_since = None;
                    }
                    let patient = clock::monotonic() < since + PATIENCE;
                    if error.is_final() || (!patient && !away) {
                        queue.refused += 1;
                        queue.done(*serial);
                        given_up.push(error);
                    } else {
                        queue.tried(*serial, link);
                        unsent = Some(error);
                    }
                }
            });
            for error in &given_up {
                match complaints.next(clock::monotonic()) {
                    Some(0) => tracing::warn!("given up: {error}"),
                    Some(more) => tracing::warn!("given up: {error} (and {more} more before it)"),
                    None => {}
                }
            }
            if let Some(error) = unsent {
                tracing::debug!("not sent: {error}");
                tokio::time::sleep(RETRY).await;
            } else if given_up.is_empty() {
                refused_since = None;
            }
        }
    }

    /// Takes out what a stream has already: what was sent before the link was lost, and its ack
    /// lost with it. By its id JetStream knows a message again for two minutes only (a stream's
    /// `duplicate_window`), and an outage may be longer.
    ///
    /// Where the stream may not be read, or somebody else has written to the subject meanwhile,
    /// it is sent again: twice is better than never, and readers take it for once (`truth.md` 1).
    async fn strike_out_stored(&self, publisher: &Publisher, link: Instant) {
        let mut batch = self.queue().oldest(BATCH);
        batch.retain(|item| item.tried_on.is_some_and(|on| on != link));
        let subjects: BTreeSet<&str> = batch.iter().map(|item| item.parcel.subject()).collect();
        let newest = join_all(subjects.into_iter().map(async |subject| {
            (subject, publisher.bus().newest_body(subject).await.ok().flatten())
        }));
        let mut stored = Vec::new();
        for (subject, newest) in newest.await {
            let mut ours: Vec<_> =
                batch.iter().filter(|item| item.parcel.subject() == subject).collect();
            // those of one subject are stored in order: with the newest, all before it
            let is_newest = |item: &&Item| Some(&item.parcel.body) == newest.as_ref();
            ours.truncate(ours.iter().rposition(is_newest).map_or(0, |at| at + 1));
            stored.extend(ours.iter().map(|item| item.serial));
        }
        if !stored.is_empty() {
            self.change(|queue| {
                for serial in stored {
                    queue.sent += 1;
                    queue.done(serial);
                }
            });
        }
    }

    fn change(&self, act: impl FnOnce(&mut Queue)) {
        let mut queue = self.queue();
        act(&mut queue);
        self.0.moved.send_replace((queue.start(), queue.end()));
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the link; since when it is up.
async fn connected(bus: &Bus) -> Instant {
    let mut link = bus.link();
    // the state may lag behind the connection by a moment: what fails meanwhile is sent again
    let since = match link.wait_for(LinkState::is_connected).await.as_deref() {
        Ok(LinkState::Connected { since, .. }) => Some(*since),
        Ok(LinkState::Connecting { .. } | LinkState::Disconnected { .. }) | Err(_) => None,
    };
    match since {
        Some(since) => since,
        None => std::future::pending().await,
    }
}
