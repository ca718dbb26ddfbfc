//! The sentinel's loop: what comes from the broker, what is decided, and what is done about it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use hyper::Method;
use tcs_alarms::settings::{Deadman, SentinelSettings};
use tcs_alarms::{
    Address, AlarmId, Alarms, Notification, Record, RuleSet, Sentinel, Severity, Situation,
    built_in, tells_unreachable,
};
use tcs_core::bus::streams::{Made, StreamFacts};
use tcs_core::bus::{Bus, Fed, Feed, Interruption};
use tcs_core::clock;
use tcs_core::fleet::{FleetView, Link, format_duration};
use tcs_core::observer::{Following, Observation, Observer, Picture};
use tcs_core::prelude::*;
use tcs_core::wire::{Kind, Subjects};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::http::Request;
use super::writes::{Finished, Writes};

/// Rules are evaluated so often, whatever comes: silence is noticed by this.
const EVERY: Duration = Duration::from_secs(1);
/// How soon after an event or a status.
const SOON: Duration = Duration::from_millis(50);
/// Of a very large fleet an evaluation takes long. Then at least so many times as long passes until the
/// next one, or until the next one that something asks for; and at most this.
const CALM: (u32, Duration) = (100, Duration::from_secs(2));
const URGENT: (u32, Duration) = (8, Duration::from_millis(400));
/// So often it is looked whether somebody has purged what is open.
const HELD: Duration = Duration::from_secs(30);
/// For so long `store_reset` holds.
const RESET: TimeDelta = TimeDelta::seconds(15);

/// The state of the sentinel's loop.
pub(super) struct Watching {
    bus: Bus,
    observer: Observer,
    picture: Picture,
    following: Following,
    feed: Feed,
    held: mpsc::Receiver<Held>,
    alarms: Alarms,
    /// When the stream of alarms was created; `None`: it cannot be read at present.
    stream: Option<DateTime<Utc>>,
    /// The same of the last one that was read, and when another one took its place.
    last_stream: Option<DateTime<Utc>>,
    reset: Option<DateTime<Utc>>,
    sentinel: Option<Sentinel>,
    writes: Writes,
    finished: mpsc::Receiver<Finished>,
    /// Why the last record could not be stored.
    unstored: Option<String>,
    /// Whether it has been reported that the stream drops old messages.
    told_age: bool,
    /// Set while the loss of the broker is being, or has been, notified; dropping it stops that.
    unreachable: Option<DropGuard>,
    last_view: Option<FleetView>,
    last_signal: Option<Instant>,
}

impl Watching {
    pub(super) fn new(ctx: &Context<super::Sentinel>, bus: &Bus) -> Self {
        let settings = ctx.config();
        let channels = settings.channels.iter();
        let channels = channels.map(|(name, it)| (name.to_string(), it.clone())).collect();
        let (writes, finished) = Writes::new(bus.clone(), channels);
        let observer = Observer::new(bus.clone());
        Self {
            picture: observer.blank(),
            following: observer.follow(&Kind::FLEET),
            feed: bus.feed(&bus.subjects().alarm(">")),
            held: held(bus.clone()),
            observer,
            bus: bus.clone(),
            alarms: Alarms::new(),
            stream: None,
            last_stream: None,
            reset: None,
            sentinel: None,
            writes,
            finished,
            told_age: false,
            unreachable: None,
            unstored: None,
            last_view: None,
            last_signal: None,
        }
    }

    /// Until the service is told to stop.
    pub(super) async fn run(mut self, ctx: &Context<super::Sentinel>, watches: &AtomicBool) {
        let mut due = clock::monotonic() + EVERY;
        // before then nothing is urgent
        let mut earliest = clock::monotonic();
        let stopped = ctx.cancellation();
        loop {
            tokio::select! {
                () = stopped.cancelled() => break,
                heard = self.following.next() => {
                    let Some(heard) = heard else { break };
                    if heard.iter().any(is_urgent) {
                        due = due.min(earliest.max(clock::monotonic() + SOON));
                    }
                    self.picture.extend(heard);
                }
                fed = self.feed.next() => {
                    let Some(fed) = fed else { break };
                    self.take(ctx, fed).await;
                    due = due.min(earliest.max(clock::monotonic() + SOON));
                }
                held = self.held.recv() => {
                    let Some((facts, held)) = held else { break };
                    self.take_held(ctx, &facts, &held);
                    due = due.min(earliest.max(clock::monotonic() + SOON));
                }
                finished = self.finished.recv() => {
                    let Some(finished) = finished else { break };
                    self.take_finished(ctx, finished);
                    due = due.min(earliest.max(clock::monotonic() + SOON));
                }
                () = tokio::time::sleep_until(due.into()) => {
                    let begin = clock::monotonic();
                    self.evaluate(ctx, watches);
                    let (now, took) = (clock::monotonic(), begin.elapsed());
                    due = now + EVERY.max((took * CALM.0).min(CALM.1));
                    earliest = now + (took * URGENT.0).min(URGENT.1);
                }
            }
        }
        self.following.stop().await;
        drop(self.observer);
    }

    /// What the stream of alarms tells.
    async fn take(&mut self, ctx: &Context<super::Sentinel>, fed: Fed) {
        match fed {
            Fed::Message { subject, payload, stamp } => {
                let Some(address) = Address::parse(self.subjects(), &subject) else { return };
                match Record::decode(&address, &payload) {
                    Ok(record) => drop(self.alarms.apply(&address, record, &stamp)),
                    Err(error) => {
                        ctx.warning(format!("{subject} cannot be read: {error}"));
                        self.alarms.pass_over(address, &stamp);
                    }
                }
            }
            Fed::Current { created } => {
                if self.last_stream.is_some_and(|before| before < created) {
                    self.reset = Some(self.picture.clock.now());
                }
                (self.stream, self.last_stream) = (Some(created), Some(created));
            }
            Fed::Interrupted(why) => {
                self.stream = None;
                let why = match why {
                    Interruption::NoStream => match self.bus.create_missing_alarm_stream().await {
                        Made::Created(_) | Made::Found(_) => return,
                        Made::Failed(error) => error.to_string(),
                    },
                    why @ Interruption::Api(_) => why.to_string(),
                };
                let message = format!("alarms are not kept: {why}");
                if ctx.monitor().message().as_deref() != Some(&message) {
                    ctx.monitor().set_status(Status::Degraded, message);
                }
            }
        }
    }

    /// Subjects that the stream holds: what was purged of an open alarm is written again.
    fn take_held(
        &mut self,
        ctx: &Context<super::Sentinel>,
        facts: &StreamFacts,
        held: &BTreeSet<String>,
    ) {
        if let Some(age) = facts.max_age.filter(|_| !self.told_age) {
            self.told_age = true;
            let age = format_duration(TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX));
            ctx.warning(format!(
                "the stream {} drops alarms after {age}: older ones are missing in reports and at \
                 past times",
                facts.name
            ));
        }
        let held = held.iter().filter_map(|subject| Address::parse(self.subjects(), subject));
        let held: BTreeSet<Address> = held.collect();
        self.alarms.note_held(facts.created.into(), facts.last_seq, &held);
    }

    fn subjects(&self) -> &Subjects {
        self.bus.subjects()
    }

    fn take_finished(&mut self, ctx: &Context<super::Sentinel>, finished: Finished) {
        let Finished { address, stored, error } = finished;
        self.writes.finished(&address);
        let is_lost = stored.is_empty();
        for (record, stamp) in stored {
            self.alarms.apply(&address, record, &stamp);
        }
        let unstored = error.clone().filter(|_| is_lost);
        // one error at a time: there is one for each record
        let is_news = unstored.is_none() || self.unstored.is_none();
        if let Some(error) = error.filter(|_| is_news) {
            ctx.warning(error);
        }
        self.unstored = unstored.map(|error| self.unstored.take().unwrap_or(error));
    }

    fn evaluate(&mut self, ctx: &Context<super::Sentinel>, watches: &AtomicBool) {
        let fleet = self.picture.view(clock::monotonic());
        let now = fleet.now;
        // before the fleet is known everything would look like an end
        if self.picture.is_settled() && self.sentinel.is_none() {
            self.sentinel = sentinel(ctx, now);
        }
        self.tell_unreachable(ctx, &fleet);
        let Some(sentinel) = &mut self.sentinel else { return };
        let reset = self.reset.filter(|at| now < *at + RESET);
        let own: Vec<(AlarmId, String)> = reset
            .and_then(|_| AlarmId::new(built_in::STORE_RESET, AlarmId::BROKER).ok())
            .map(|id| (id, "the broker lost its store; it was written again".to_owned()))
            .into_iter()
            .collect();
        let missing_events = self.picture.fleet.missing_events();
        let (stream, own) = (self.stream, own.as_slice());
        let situation = Situation { fleet: &fleet, missing_events: &missing_events, stream, own };
        let intents = sentinel.evaluate(&situation, &self.alarms);
        let judges_from = sentinel.judges_from(&fleet);
        let is_up = !matches!(fleet.link, Link::Down { .. });
        let can_store = self.stream.is_some() && self.unstored.is_none();
        let is_watching = is_up && can_store && now >= judges_from;
        // before it is told in words: a status has the metrics with it
        watches.store(is_watching, Ordering::Relaxed);
        if let Some(stream) = self.stream {
            self.writes.begin(intents, stream, now);
            report(ctx, &fleet, judges_from, self.unstored.as_deref());
        }
        if is_watching {
            self.signal(ctx);
        }
        if is_up {
            self.last_view = Some(fleet);
        }
    }

    /// Notifies once that the broker is gone, by the channels that get critical alarms at once.
    fn tell_unreachable(&mut self, ctx: &Context<super::Sentinel>, fleet: &FleetView) {
        let Link::Down { since } = fleet.link else {
            self.unreachable = None;
            return;
        };
        let last = self.last_view.as_ref();
        if self.unreachable.is_some()
            || !tells_unreachable(ctx.id().as_str(), last, since, fleet.now)
        {
            return;
        }
        // where the broker was never there, those of its own configuration
        let own;
        let rules = if let Some(sentinel) = &self.sentinel {
            sentinel.rules()
        } else {
            own = ctx.config().rules().unwrap_or_else(|_| RuleSet::defaults());
            &own
        };
        let unwanted = CancellationToken::new();
        let steps = rules.escalate.get(&Severity::Critical);
        let at_once = steps.into_iter().flatten().filter(|step| step.after.delta().is_zero());
        for step in at_once {
            if let Some(it) = Notification::unreachable(step.channel.as_str(), since) {
                self.writes.send_plainly(ctx.clone(), it, unwanted.clone());
            }
        }
        self.unreachable = Some(unwanted.drop_guard());
    }

    /// Tells the one outside that all is watched, as long as it is.
    fn signal(&mut self, ctx: &Context<super::Sentinel>) {
        let Some(Deadman { url, every }) = &ctx.config().deadman else { return };
        let every = every.delta().to_std().unwrap_or_default();
        let is_due = self.last_signal.is_none_or(|last| last.elapsed() >= every);
        if !is_due {
            return;
        }
        self.last_signal = Some(clock::monotonic());
        let (headers, body) = (Vec::new(), Vec::new());
        let request = Request { method: Method::GET, url: url.clone(), headers, body };
        tokio::spawn(async move { request.send().await.ok() });
    }
}

/// Which subjects of alarms the stream held at a moment.
type Held = (StreamFacts, BTreeSet<String>);

/// Asks for them regularly, until nobody wants to know any more.
fn held(bus: Bus) -> mpsc::Receiver<Held> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let filter = bus.subjects().alarm(">");
        loop {
            tokio::select! {
                () = sender.closed() => return,
                () = tokio::time::sleep(HELD) => {}
            }
            if let Ok(Some(held)) = bus.subjects_held(&filter).await {
                sender.send(held).await.ok();
            }
        }
    });
    receiver
}

/// Its own status: that it watches, or from when on.
fn report(
    ctx: &Context<super::Sentinel>,
    fleet: &FleetView,
    judges_from: DateTime<Utc>,
    unstored: Option<&str>,
) {
    let status = if unstored.is_some() { Status::Degraded } else { Status::Ok };
    let message = if matches!(fleet.link, Link::Down { .. }) {
        "the broker does not answer".to_owned()
    } else if let Some(error) = unstored {
        format!("alarms cannot be stored: {error}")
    } else if fleet.now < judges_from {
        format!("reading the fleet until {} UTC", judges_from.format("%H:%M:%S"))
    } else {
        "watching".to_owned()
    };
    if ctx.monitor().message().as_deref() != Some(&message) {
        ctx.monitor().set_status(status, message);
    }
}

/// Events and statuses are judged at once; heartbeats only show that nobody is silent.
fn is_urgent(observation: &Observation) -> bool {
    match observation {
        Observation::Message(message) => {
            !matches!(message.decoded.message, tcs_core::wire::Message::Heartbeat(_))
        }
        Observation::Link(_) => true,
        Observation::Malformed { .. }
        | Observation::Reading(..)
        | Observation::Clock(_)
        | Observation::Contact(_) => false,
    }
}

fn sentinel(ctx: &Context<super::Sentinel>, now: DateTime<Utc>) -> Option<Sentinel> {
    let settings: &SentinelSettings = ctx.config();
    let channels = settings.channels.keys().map(ToString::to_string).collect();
    let made =
        settings.rules().and_then(|rules| Sentinel::new(ctx.id().as_str(), rules, channels, now));
    made.map_err(|error| ctx.error(error.to_string())).ok()
}
