//! What a sentinel stores and sends, each in a task of its own, so that a slow broker or receiver
//! holds nothing up.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tcs_alarms::settings::Channel;
use tcs_alarms::{Address, Claim, Intent, Notification, Record, pause_after};
use tcs_core::bus::Bus;
use tcs_core::bus::publish::{OutgoingMessage, Publisher, Sent, new_meta};
use tcs_core::fleet::{Order, Stamp};
use tcs_core::prelude::*;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::channel::send;

/// An outcome that could not be stored is tried again so often; then the claim's lease ends.
const OUTCOME_TRIES: u32 = 5;
const OUTCOME_PAUSE: Duration = Duration::from_secs(2);

/// From a record that could not be stored to the next try.
const RETRY: Duration = Duration::from_secs(2);

/// How an intent ended.
pub(super) struct Finished {
    /// The subject that may be written to again.
    pub(super) address: Address,
    /// What was stored, and where.
    pub(super) stored: Vec<(Record, Stamp)>,
    /// What people are to know of it.
    pub(super) error: Option<String>,
}

/// Stores and sends, one thing a subject at a time.
pub(super) struct Writes {
    publisher: Publisher,
    channels: Arc<BTreeMap<String, Channel>>,
    busy: HashSet<Address>,
    finished: mpsc::Sender<Finished>,
}

/// More finished intents than ever wait.
const WAITING: usize = 1024;

impl Writes {
    pub(super) fn new(
        bus: Bus,
        channels: BTreeMap<String, Channel>,
    ) -> (Self, mpsc::Receiver<Finished>) {
        let (finished, receiver) = mpsc::channel(WAITING);
        let (publisher, channels) = (Publisher::new(bus), Arc::new(channels));
        (Self { publisher, channels, busy: HashSet::new(), finished }, receiver)
    }

    /// Begins what is not under way. `stream`: when the stream of alarms was created; `now`: the
    /// broker's time.
    pub(super) fn begin(
        &mut self,
        intents: Vec<Intent>,
        stream: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        for intent in intents {
            let address = match &intent {
                Intent::Write(write) => write.address.clone(),
                Intent::Notify(claim) => claim.address(),
            };
            if !self.busy.insert(address) {
                continue;
            }
            let store = Store { publisher: self.publisher.clone(), stream, now };
            let (channels, finished) = (Arc::clone(&self.channels), self.finished.clone());
            tokio::spawn(async move {
                let done = match intent {
                    Intent::Write(write) => {
                        store.finish(write.address, write.record, write.expected).await
                    }
                    Intent::Notify(claim) => store.notify(&claim, &channels).await,
                };
                if done.stored.is_empty() && done.error.is_some() {
                    tokio::time::sleep(RETRY).await;
                }
                finished.send(done).await.ok();
            });
        }
    }

    /// Its subject may be written to again.
    pub(super) fn finished(&mut self, address: &Address) {
        self.busy.remove(address);
    }

    /// Sends without a claim, where nothing can be stored; again and again, until it is sent or no longer
    /// wanted.
    pub(super) fn send_plainly(
        &self,
        ctx: Context<super::Sentinel>,
        notification: Notification,
        unwanted: CancellationToken,
    ) {
        let channels = Arc::clone(&self.channels);
        tokio::spawn(async move {
            let name = &notification.channel;
            let Some(channel) = channels.get(name) else { return };
            for attempt in 1.. {
                let Err(error) = send(channel, &notification).await else { return };
                if attempt == 1 {
                    ctx.warning(format!("channel {name}: {error}"));
                }
                let pause = pause_after(attempt).to_std().unwrap_or_default();
                tokio::select! {
                    () = unwanted.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }
}

struct Store {
    publisher: Publisher,
    stream: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl Store {
    /// Its place, where it was stored; `None`: another one was faster. An error says nothing of
    /// whether it was: then the feed tells.
    async fn store(
        &self,
        address: &Address,
        record: &Record,
        expected: u64,
    ) -> Result<Option<u64>, String> {
        let meta = new_meta();
        let body = record.to_body(&meta).map_err(|error| error.to_string())?;
        let subject = address.subject(self.publisher.bus().subjects());
        let message = OutgoingMessage::of_body(subject, &meta.id, body).expecting(expected);
        match self.publisher.send(&message).await {
            Ok(Sent::Stored { sequence, .. }) => Ok(Some(sequence)),
            Ok(Sent::Unstored) => Err("no stream holds alarms".to_owned()),
            Err(error) if error.is_overtaken() => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn stamp(&self, seq: u64) -> Stamp {
        Stamp { stored: self.now, order: Order::Stream { created: self.stream, seq } }
    }

    async fn finish(&self, address: Address, record: Record, expected: u64) -> Finished {
        match self.store(&address, &record, expected).await {
            Ok(Some(seq)) => {
                let stored = vec![(record, self.stamp(seq))];
                Finished { address, stored, error: None }
            }
            Ok(None) => Finished { address, stored: Vec::new(), error: None },
            Err(error) => Finished { address, stored: Vec::new(), error: Some(error) },
        }
    }

    /// Claims, sends, and stores the outcome.
    async fn notify(&self, claim: &Claim, channels: &BTreeMap<String, Channel>) -> Finished {
        let (address, claimed) = (claim.address(), Record::Sent(claim.record.clone()));
        let mut done = self.finish(address, claimed, claim.expected).await;
        let Some(seq) = done.stored.first().and_then(|(_, stamp)| sequence(stamp)) else {
            return done;
        };
        let sent = match channels.get(&claim.notification.channel) {
            Some(channel) => send(channel, &claim.notification).await,
            None => Err("no such channel".into()),
        };
        if let Err(error) = &sent {
            done.error = Some(format!("channel {}: {error}", claim.notification.channel));
        }
        let outcome = claim.outcome(sent);
        for _ in 0..OUTCOME_TRIES {
            match self.store(&done.address, &outcome, seq).await {
                Ok(Some(seq)) => {
                    done.stored.push((outcome, self.stamp(seq)));
                    break;
                }
                // it was stored after all, or the lease has ended
                Ok(None) => break,
                Err(_) => tokio::time::sleep(OUTCOME_PAUSE).await,
            }
        }
        done
    }
}

fn sequence(stamp: &Stamp) -> Option<u64> {
    match stamp.order {
        Order::Stream { seq, .. } => Some(seq),
        Order::Core { .. } => None,
    }
}
