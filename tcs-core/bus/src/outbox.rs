//! What must not be lost while the broker is away, a cluster elects a leader, or a stream is full:
//! registry events, statuses and heartbeats wait here, with their own times and identities, until
//! a stream has acknowledged them.
//!
//! Each class of messages has a lane of its own, bounded in count and bytes; what has to be given
//! up is counted. `Machine` decides what is sent when; this file does it.

pub(super) mod effect;
mod folded;
mod lane;
mod lookup;
mod machine;
mod station;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};

pub use effect::{Counts, EventMarks, Trouble};
pub use lane::Class;

use super::connect::Bus;
use super::link::LinkState;
use super::outgoing::OutgoingMessage;
use super::publish::Publisher;
use crate::clock;
use effect::{Answer, Effect, Found, Remark, Streams};
use folded::Folded;
use machine::Machine;
use tcs_wire::{NotStored, OutboxReport};

/// Seconds after which a stream that takes nothing is worth telling: an election takes less.
const WORTH_TELLING: f64 = 5.0;

/// The way out for what must arrive. Cheap to clone; usable before there is a connection.
#[derive(Debug, Clone)]
pub struct Outbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    machine: Mutex<Machine>,
    wake: Notify,
    /// The serial number of the oldest message that waits.
    start: watch::Sender<u64>,
    again: watch::Sender<()>,
    keeper: Mutex<Option<Keeper>>,
}

/// The callback to which the progress of events is reported, and the last report.
struct Keeper {
    told: EventMarks,
    tell: Box<dyn FnMut(&EventMarks) + Send>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self(Arc::new(Inner {
            machine: Mutex::default(),
            wake: Notify::new(),
            start: watch::Sender::new(0),
            again: watch::Sender::new(()),
            keeper: Mutex::default(),
        }))
    }
}

/// What was done, for the machine.
enum Done {
    Answered((Class, u64, u32), Answer),
    Streams(Class, Streams),
    LookedUp((Class, u64, u32), Found),
}

impl Outbox {
    /// Takes a message in. Never waits.
    pub fn push(&self, class: Class, parcel: OutgoingMessage) {
        self.push_event(class, parcel, None);
    }

    /// Like [`Self::push`], with the number by which readers notice a missing event.
    pub fn push_event(&self, class: Class, parcel: OutgoingMessage, event_seq: Option<u64>) {
        self.machine().push(class, parcel, event_seq, clock::monotonic());
        if class == Class::Event {
            self.tell_keeper();
        }
        self.0.wake.notify_one();
    }

    /// Tells `keeper` how far events have come, now and whenever that changes: an event before it is
    /// sent, so that the next run of a program that was killed knows what is missing. It must not
    /// wait long.
    pub fn keep_marks(&self, keeper: impl FnMut(&EventMarks) + Send + 'static) {
        let mut keeper = Keeper { told: self.machine().event_marks(), tell: Box::new(keeper) };
        (keeper.tell)(&keeper.told);
        *self.0.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
    }

    fn tell_keeper(&self) {
        let mut keeper = self.0.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(keeper) = keeper.as_mut() else { return };
        // read behind the lock: what is told last is the newest
        let marks = self.machine().event_marks();
        if marks != keeper.told {
            (keeper.tell)(&marks);
            keeper.told = marks;
        }
    }

    /// Messages wait until [`Outbox::release`]: for a launcher, which makes missing streams first.
    pub fn gate(&self) {
        self.machine().gate();
    }

    /// Lets messages go.
    pub fn release(&self) {
        self.machine().release();
        self.0.wake.notify_one();
    }

    /// Streams may have been made: asks for them anew.
    pub fn forget_missing(&self) {
        self.machine().forget_missing();
        self.0.wake.notify_one();
    }

    /// Changes when streams are there that were missing: what was said meanwhile is to be said
    /// again.
    pub fn again(&self) -> watch::Receiver<()> {
        self.0.again.subscribe()
    }

    /// Asks everybody who watches [`Outbox::again`] to say again how things are.
    pub fn say_again(&self) {
        self.0.again.send_replace(());
    }

    /// How many wait, went, and were lost.
    pub fn counts(&self) -> Counts {
        self.machine().counts()
    }

    /// Sets how many events had been lost for good before this run.
    pub fn carry_lost(&self, before: u64) {
        self.machine().carry_lost(before);
        self.tell_keeper();
    }

    /// The report about the outbox for readers; `None`: all is well.
    pub fn report(&self) -> Option<OutboxReport> {
        let now = clock::monotonic();
        let machine = self.machine();
        let refused: Vec<NotStored> = machine
            .troubles()
            .into_iter()
            .map(|trouble| NotStored {
                stream: trouble.class.as_str().to_owned(),
                reason: trouble.reason,
                for_s: now.saturating_duration_since(trouble.since).as_secs_f64().round(),
            })
            .filter(|it| it.for_s >= WORTH_TELLING)
            .collect();
        let lost = machine.lost();
        (lost > 0 || !refused.is_empty()).then(|| OutboxReport {
            waiting: machine.counts().waiting as u64,
            lost_events: lost,
            refused,
        })
    }

    /// Waits until all events and statuses that are in it now have gone (or had to be given up),
    /// `limit` at most; whether they have.
    pub async fn settled(&self, limit: Duration) -> bool {
        let until = self.machine().end();
        let mut start = self.0.start.subscribe();
        let gone = async {
            loop {
                start.borrow_and_update();
                if self.machine().start() >= until || start.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(limit, gone).await.is_ok()
    }

    /// Sends the statuses that still wait without waiting for an answer: for a program that ends while
    /// the broker is slow. What a server has received it stores when it can.
    pub async fn hurry(&self, publisher: &Publisher) {
        let waiting = self.machine().hurry();
        for parcel in waiting {
            publisher.tell(&parcel).await;
        }
    }

    /// Sends what is in the outbox, and what comes later, for ever.
    pub async fn drain(self, publisher: Publisher) {
        let mut link = publisher.bus().link();
        let mut known = None;
        let mut under_way: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
        let mut folded = Folded::default();
        loop {
            let connection = connected_since(&link.borrow_and_update());
            let now = clock::monotonic();
            let (effects, due, start) = {
                let mut machine = self.machine();
                if connection != known {
                    known = connection;
                    machine.linked(connection.is_some(), now);
                }
                (machine.poll(now), machine.due(), machine.start())
            };
            self.0.start.send_if_modified(|known| std::mem::replace(known, start) != start);
            for effect in effects {
                self.act(effect, &publisher, &mut under_way, &mut folded, now);
            }
            let done = tokio::select! {
                Some(done) = under_way.next(), if !under_way.is_empty() => done,
                () = self.0.wake.notified() => continue,
                changed = link.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                () = until(due) => continue,
            };
            let now = clock::monotonic();
            let effects = {
                let mut machine = self.machine();
                match done {
                    Done::Answered(which, answer) => machine.answered(which, answer, now),
                    Done::Streams(class, streams) => machine.streams(class, streams, now),
                    Done::LookedUp(which, found) => machine.looked_up(which, found, now),
                }
            };
            self.tell_keeper();
            for effect in effects {
                self.act(effect, &publisher, &mut under_way, &mut folded, now);
            }
        }
    }

    fn act(
        &self,
        effect: Effect,
        publisher: &Publisher,
        under_way: &mut FuturesUnordered<BoxFuture<'static, Done>>,
        folded: &mut Folded<(u8, Class)>,
        now: Instant,
    ) {
        let publisher = publisher.clone();
        match effect {
            Effect::Send { class, serial, attempt, parcel, ask } => {
                under_way.push(Box::pin(async move {
                    let answer = if ask {
                        publisher.ask(&parcel).await
                    } else {
                        publisher.tell(&parcel).await
                    };
                    Done::Answered((class, serial, attempt), answer)
                }));
            }
            Effect::AskStreams { class, subject } => under_way.push(Box::pin(async move {
                Done::Streams(class, publisher.streams(&subject).await)
            })),
            Effect::LookUp { class, serial, attempt, parcel, after } => {
                under_way.push(Box::pin(async move {
                    let (subject, msg_id) = (parcel.subject(), parcel.msg_id());
                    let found = lookup::find(publisher.bus(), subject, msg_id, after).await;
                    Done::LookedUp((class, serial, attempt), found)
                }));
            }
            Effect::SayAgain => self.say_again(),
            Effect::Log(remark) => {
                if let Some(left_out) = folded.next(remark.kind(), now) {
                    remark.log(publisher.bus().subjects(), left_out);
                }
            }
        }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventMarks {
    /// How many of the events that waited are in no stream: all, or all but the first, which may have
    /// been on its way. `None`: the broker cannot say yet.
    pub async fn missing(&self, bus: &Bus) -> Option<u64> {
        if self.waiting == 0 {
            return Some(0);
        }
        match lookup::find(bus, &self.subject, &self.msg_id, self.stored.clone()).await {
            Found::Stored(_) => Some(self.waiting - 1),
            Found::Absent | Found::Forbidden => Some(self.waiting),
            Found::Unanswered => None,
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

fn connected_since(state: &LinkState) -> Option<Instant> {
    match state {
        LinkState::Connected { since, .. } => Some(*since),
        LinkState::Connecting { .. } | LinkState::Disconnected { .. } => None,
    }
}

impl Remark {
    /// Lines of one kind are folded.
    fn kind(&self) -> (u8, Class) {
        match self {
            Self::NoStream(class, _) => (0, *class),
            Self::StreamThere(class) => (1, *class),
            Self::NotStored(class, _) => (2, *class),
            Self::StoredAgain(class, _) => (3, *class),
            Self::GivenUp(class, _) => (4, *class),
            Self::Dropped(_) => (5, Class::Event),
        }
    }

    fn log(&self, subjects: &tcs_wire::Subjects, left_out: u64) {
        let all = |class: Class| format!("{}.{}.>", subjects.prefix(), class.as_str());
        let more = if left_out == 0 {
            String::new()
        } else {
            format!(" ({left_out} more such lines left out)")
        };
        match self {
            Self::NoStream(class, why) => {
                let all = all(*class);
                tracing::warn!("messages on `{all}` are not stored: {why}{more}");
            }
            Self::StreamThere(class) => {
                tracing::info!("a stream stores messages on `{}` now{more}", all(*class));
            }
            Self::NotStored(class, why) => {
                let all = all(*class);
                tracing::warn!("messages on `{all}` cannot be stored, and are kept: {why}{more}");
            }
            Self::StoredAgain(class, after) => {
                let all = all(*class);
                tracing::info!(
                    "messages on `{all}` are stored again after {:.0} s{more}",
                    after.as_secs_f64()
                );
            }
            Self::GivenUp(_, why) => tracing::warn!("dropped a message: {why}{more}"),
            Self::Dropped(count) => {
                tracing::warn!("the outbox is full: {count} messages dropped so far{more}");
            }
        }
    }
}
