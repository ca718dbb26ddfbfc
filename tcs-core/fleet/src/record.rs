//! All that is kept of one service: of each kind of message the newest, and the last heartbeats,
//! crashes and statuses.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::events::Slot;
use super::metrics::Metrics;
use super::origin::{RunTime, sender_hash};
use super::recent::{Recent, Stamped};
use super::stamp::{Kept, Register, Stamp};
use super::streak::Streak;
use tcs_wire::{
    Declared, DeclaredSchedule, Decoded, Event, HeartbeatMessage, Message, Meta, OutboxReport,
    RegistryMessage, Status, StatusMessage, Timestamp,
};

/// Heartbeats kept of one service.
pub const MAX_BEATS: usize = 16;
/// Crashes kept of one service, by their times: as many as a stream holds of one subject.
pub const MAX_CRASHES: usize = 100;
/// Statuses kept of one service, by their times: to tell when the newest one began. Of those before
/// them a [`Streak`] is kept.
const MAX_STATUSES: usize = 16;
/// Launchers whose `declared` is kept of one service.
pub const MAX_PARENTS: usize = 4;

/// One heartbeat, as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// When the broker stored it.
    pub stamp: Stamp,
    /// The messenger that sent it.
    pub sender: Arc<str>,
    /// `meta.ts`: when it was sent, by the sender's clock.
    pub sent: Option<Timestamp>,
    /// The payload's own time, by the sender's clock.
    pub timestamp: Option<Timestamp>,
    /// The service's own status.
    pub status: Option<Status>,
    /// Seconds between two beats, where the message says it.
    pub interval_seconds: Option<f64>,
    /// How late the service's loop is, in seconds.
    pub lag_seconds: Option<f64>,
    /// Seconds since the service started, where the message says it.
    pub uptime_seconds: Option<f64>,
    /// From 1 through one process.
    pub sequence: Option<u64>,
    /// Whether a launcher beats for it.
    pub by_launcher: bool,
    /// What its program could not have stored.
    pub outbox: Option<Arc<OutboxReport>>,
    /// Light metrics, where there are some.
    pub metrics: Option<Arc<Metrics>>,
    /// About what it occupies, in bytes.
    weight: usize,
}

impl Stamped for Beat {
    fn stamp(&self) -> &Stamp {
        &self.stamp
    }
}

/// When one of the last messages of a kind came, and what tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) stamp: Stamp,
    pub(super) run: Option<RunTime>,
    /// Of what it says; two that say the same have the same.
    pub(super) fact: u64,
    /// What a status message reports.
    pub(super) status: Status,
}

impl Stamped for Mark {
    fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    fn is_copy(&self, other: &Self) -> bool {
        self.run.is_some() && (self.run, self.fact) == (other.run, other.fact)
    }
}

impl Mark {
    /// Whether both messages tell of one fact in one run.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.fact == other.fact
            && self.run.zip(other.run).is_none_or(|(mine, theirs)| mine.is_same_run(&theirs))
    }
}

/// A status repeated is the same fact: status, message and own status, by the same process.
fn fact(message: &StatusMessage, sender: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (message.status, &message.raw_status, message.details.own_status).hash(&mut hasher);
    (&message.message, &message.details.reported_by).hash(&mut hasher);
    (sender, message.pid, &message.hostname).hash(&mut hasher);
    hasher.finish()
}

/// Everything kept of one service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    status: Register<StatusMessage>,
    statuses: Recent<Mark, MAX_STATUSES>,
    /// Of the statuses before those.
    older: Option<Box<Streak>>,
    events: [Register<RegistryMessage>; Slot::COUNT],
    declared: Vec<Arc<Kept<RegistryMessage>>>,
    /// Shared with the pictures that hold them.
    beats: Recent<Arc<Beat>, MAX_BEATS>,
    /// What these occupy, and whether several senders sent them: looked at more often than they
    /// change.
    beats_weight: u32,
    several_senders: bool,
    /// Most services have none.
    crashes: Option<Box<Recent<Mark, MAX_CRASHES>>>,
}

impl Record {
    /// The newest status.
    pub fn status(&self) -> Option<&Arc<Kept<StatusMessage>>> {
        self.status.newest()
    }

    /// The last heartbeats, oldest first.
    pub fn beats(&self) -> &[Arc<Beat>] {
        self.beats.as_slice()
    }

    /// The newest heartbeat.
    pub fn last_beat(&self) -> Option<&Beat> {
        self.beats().last().map(|beat| &**beat)
    }

    /// The last crashes, oldest first.
    pub(super) fn crashes(&self) -> &[Mark] {
        self.crashes.as_deref().map(Recent::as_slice).unwrap_or_default()
    }

    /// The last statuses, oldest first.
    pub(super) fn statuses(&self) -> &[Mark] {
        self.statuses.as_slice()
    }

    /// Of the statuses before [`Self::statuses`], the last that say the same.
    pub(super) fn older_statuses(&self) -> Option<&Streak> {
        self.older.as_deref()
    }

    /// The newest `declared` of each launcher, newest first.
    pub fn declared(&self) -> &[Arc<Kept<RegistryMessage>>] {
        &self.declared
    }

    /// The newest event of each kind but `declared`, in the order in which they were stored.
    pub fn events(&self) -> Vec<&Arc<Kept<RegistryMessage>>> {
        let mut events: Vec<_> = self.events.iter().filter_map(Register::newest).collect();
        events.sort_by(|a, b| a.stamp.compare(&b.stamp));
        events
    }

    /// The newest `start`.
    pub fn start(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.events[Slot::Start as usize].newest()
    }

    pub(super) fn crashed(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.events[Slot::Crashed as usize].newest()
    }

    pub(super) fn restarting(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.events[Slot::Restarting as usize].newest()
    }

    /// The newest event that says something of its life: neither `declared` nor an unknown one.
    pub(super) fn newest_event(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.newest_of(&Slot::OF_LIFE)
    }

    pub(super) fn stopping(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.events[Slot::Stopping as usize].newest()
    }

    /// The newest of `stop` and `crashed`: how a process of it ended last.
    pub(super) fn newest_exit(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.newest_of(&Slot::EXITS)
    }

    /// The newest of `stop`, `crashed` and `failed`.
    pub(super) fn newest_end(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.newest_of(&Slot::ENDS)
    }

    fn newest_of(&self, slots: &[Slot]) -> Option<&Arc<Kept<RegistryMessage>>> {
        slots
            .iter()
            .filter_map(|slot| self.events[*slot as usize].newest())
            .max_by(|a, b| a.compare(b))
    }

    /// All registry messages held, in no order.
    pub(super) fn registry(&self) -> impl Iterator<Item = &Arc<Kept<RegistryMessage>>> {
        self.events.iter().filter_map(Register::newest).chain(&self.declared)
    }

    /// Whether this very event is held: it was sent again, to a stream that was made anew.
    pub(super) fn holds(&self, message: &RegistryMessage) -> bool {
        let number = |it: &RegistryMessage| it.launcher_run.clone().zip(it.event_seq);
        let wanted = number(message);
        wanted.is_some() && self.registry().any(|kept| number(&kept.message) == wanted)
    }

    /// Stored time of the newest message of all.
    pub fn last_heard(&self) -> Option<DateTime<Utc>> {
        let status = self.status().map(|kept| kept.stamp.stored);
        let beat = self.last_beat().map(|beat| beat.stamp.stored);
        let registry = self.registry().map(|kept| kept.stamp.stored).max();
        status.max(beat).max(registry)
    }

    /// The senders of all that is held, by [`sender_hash`].
    pub(super) fn senders(&self) -> impl Iterator<Item = u64> {
        let status = self.status().map(|kept| &*kept.sender);
        let registry = self.registry().map(|kept| &*kept.sender);
        let beats = self.beats().iter().map(|beat| &*beat.sender);
        status.into_iter().chain(registry).chain(beats).map(sender_hash)
    }

    /// About what it occupies, in bytes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>()
            + self.status.weight()
            + self.events.iter().map(Register::weight).sum::<usize>()
            + self.declared.iter().map(|kept| kept.weight).sum::<usize>()
            + self.beats_weight as usize
            + size_of_val(self.statuses())
            + size_of_val(self.crashes())
    }

    /// The same of its heartbeats.
    pub(super) fn beats_weight(&self) -> usize {
        self.beats_weight as usize
    }

    /// Leaves out metrics that occupy more than `most` bytes of a message.
    pub(super) fn shorten(&mut self, most: usize) {
        self.status.shorten(most);
        for beat in self.beats.iter_mut().filter(|beat| beat.weight > most) {
            let beat = Arc::make_mut(beat);
            beat.metrics = None;
            beat.weight = size_of::<Message>();
        }
        self.look_at_beats();
    }

    fn look_at_beats(&mut self) {
        let beats = self.beats.as_slice();
        let weight = beats.iter().map(|beat| beat.weight).sum::<usize>();
        self.beats_weight = u32::try_from(weight).unwrap_or(u32::MAX);
        self.several_senders = beats.windows(2).any(|pair| pair[0].sender != pair[1].sender);
    }

    /// Whether the heartbeats that are held come from several senders.
    pub(super) fn has_several_senders(&self) -> bool {
        self.several_senders
    }

    /// Whether a message of it occupies more than `most` bytes.
    pub(super) fn is_bulky(&self, most: usize) -> bool {
        self.status.weight() > most || self.beats().iter().any(|beat| beat.weight > most)
    }

    /// Whether more than one message of it is held.
    pub(super) fn is_established(&self) -> bool {
        self.beats().len() + self.statuses().len() + self.registry().take(2).count() > 1
    }

    /// The declared limits of restarting, from the newest `declared`.
    pub fn declaration(&self) -> Option<&Declared> {
        self.declared.first().and_then(|kept| match &kept.message.event {
            Event::Declared(declared) => Some(declared),
            _ => None,
        })
    }

    /// When it runs, as its launcher declared it last.
    pub fn schedule(&self) -> Option<&DeclaredSchedule> {
        self.declaration()?.declared.as_ref()?.schedule.as_ref()
    }

    /// When it is ready, as its launcher declared it last.
    pub fn ready(&self) -> Option<&str> {
        self.declaration()?.declared.as_ref()?.ready.as_deref()
    }

    /// Folds one message in; whether it changed anything.
    pub(super) fn apply(&mut self, decoded: Cow<'_, Decoded>, stamp: Stamp) -> bool {
        if let Decoded { message: Message::Heartbeat(message), meta, .. } = &*decoded {
            return self.put_beat(message, meta, stamp, decoded.message.weight());
        }
        let Decoded { message, meta, notes } = decoded.into_owned();
        let run = RunTime::of(&meta);
        let weight = message.weight();
        let sender: Arc<str> = meta.sender.into();
        let sent = meta.ts;
        let partial = !(notes.dropped.is_empty() && notes.cut.is_empty());
        match message {
            Message::Status(message) => {
                let (fact, status) = (fact(&message, &sender), message.status);
                let (noted, older) = self.statuses.put_all(Mark { stamp, run, fact, status });
                let noted = noted | older.is_some_and(|mark| Streak::put(&mut self.older, mark));
                noted | self.status.put(Kept { stamp, message, sender, sent, run, partial, weight })
            }
            Message::Registry(message) => {
                self.put_registry(Kept { stamp, message, sender, sent, run, partial, weight })
            }
            Message::Heartbeat(_) | Message::Journal(_) => false,
        }
    }

    fn put_registry(&mut self, kept: Kept<RegistryMessage>) -> bool {
        let Some(slot) = Slot::of(&kept.message.event) else { return self.put_declared(kept) };
        let noted = matches!(slot, Slot::Crashed)
            && self.crashes.get_or_insert_default().put(Mark {
                stamp: kept.stamp,
                run: kept.run,
                fact: 0,
                status: Status::Unknown,
            });
        noted | self.events[slot as usize].put(kept)
    }

    /// Keeps the newest of each launcher, and of those the newest [`MAX_PARENTS`]. The newest of a
    /// launcher only ever gets newer, so what falls out here could never come back in: still a join.
    fn put_declared(&mut self, kept: Kept<RegistryMessage>) -> bool {
        let same = self.declared.iter().position(|held| held.message.parent == kept.message.parent);
        if let Some(i) = same {
            if !kept.is_newer(&self.declared[i]) {
                return false;
            }
            self.declared.remove(i);
        }
        let place = self.declared.partition_point(|held| {
            held.stamp
                .compare(&kept.stamp)
                .then_with(|| held.message.parent.cmp(&kept.message.parent))
                .is_gt()
        });
        if place == MAX_PARENTS {
            return false;
        }
        self.declared.insert(place, Arc::new(kept));
        self.declared.truncate(MAX_PARENTS);
        true
    }

    fn put_beat(
        &mut self,
        message: &HeartbeatMessage,
        meta: &Meta,
        stamp: Stamp,
        weight: usize,
    ) -> bool {
        // one sender's name is shared by all its beats
        let same = self.beats().iter().find(|beat| *beat.sender == *meta.sender);
        let sender = same.map_or_else(|| (&*meta.sender).into(), |beat| Arc::clone(&beat.sender));
        let changed = self.beats.put(Arc::new(Beat {
            stamp,
            sender,
            sent: meta.ts,
            timestamp: message.timestamp,
            status: message.status,
            interval_seconds: message.interval_seconds,
            lag_seconds: message.lag_seconds,
            uptime_seconds: message.uptime_seconds,
            sequence: message.sequence,
            by_launcher: message.reported_by.as_deref() == Some("launcher"),
            outbox: message.outbox.clone().map(Arc::new),
            metrics: (!message.metrics.is_empty())
                .then(|| Arc::new(Metrics::new(&message.metrics))),
            weight,
        }));
        self.look_at_beats();
        changed
    }
}
