//! What must not be lost while the broker is away: life cycle events and status changes. They
//! wait here in order, with their own times and identities, and are sent when it is back; the
//! queue is bounded, and what has to be given up is counted.
//!
//! Messages go out in small batches: within one, all are under way at once, and each stays in the
//! queue until its own ack has come. What is sent twice is dropped by JetStream.

mod queue;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;

pub use queue::{Class, Counts};

use super::connect::Bus;
use super::link::LinkState;
use super::publish::{Parcel, PublishError, Publisher};
use crate::clock;
use queue::Queue;

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
        let mut refused_since = None;
        loop {
            connected(publisher.bus()).await;
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
            let results = join_all(batch.iter().map(|(_, parcel)| publisher.send(parcel))).await;
            let since = *refused_since.get_or_insert_with(clock::monotonic);
            let mut trouble = None;
            self.change(|queue| {
                for ((serial, _), result) in batch.iter().zip(results) {
                    match result {
                        Ok(_) => {
                            refused_since = None;
                            queue.sent += 1;
                            queue.done(*serial);
                        }
                        Err(error) => {
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
                            }
                            trouble = Some(error);
                        }
                    }
                }
            });
            if let Some(error) = trouble {
                tracing::debug!("not sent: {error}");
                if error.is_final() {
                    tracing::warn!("given up: {error}");
                } else {
                    tokio::time::sleep(RETRY).await;
                }
            } else {
                refused_since = None;
            }
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

async fn connected(bus: &Bus) {
    let mut link = bus.link();
    // the state may lag behind the connection by a moment: what fails meanwhile is sent again
    if link.wait_for(LinkState::is_connected).await.is_err() {
        std::future::pending::<()>().await;
    }
}
