//! All that is kept of one service: of each kind of message the newest, and the last heartbeats,
//! crashes and statuses.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::beats::{Beat, Beats};
use super::events::Slot;
use super::origin::{RunTime, sender_hash};
use super::recent::Recent;
use super::stamp::{Kept, Register, Stamp};
use super::streak::{Mark, Streak};
use tcs_wire::{
    Declared, DeclaredSchedule, Decoded, Event, Message, RegistryMessage, Status, StatusMessage,
};

/// Crashes kept of one service, by their times: as many as a stream holds of one subject.
pub const MAX_CRASHES: usize = 100;
/// Statuses kept of one service, by their times: to tell when the newest one began. Of those before
/// them a [`Streak`] is kept.
const MAX_STATUSES: usize = 16;
/// Launchers whose `declared` is kept of one service.
const MAX_PARENTS: usize = 4;

/// A status repeated is the same fact: status, message and own status, by the same process.
fn fact(message: &StatusMessage, sender: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (message.status, &message.raw_status, message.details.own_status).hash(&mut hasher);
    (&message.message, &message.details.reported_by).hash(&mut hasher);
    (sender, message.pid, &message.hostname).hash(&mut hasher);
    hasher.finish()
}

/// Everything kept of one service. Cheap to clone: pictures share what is in it.
#[derive(Debug, Clone, Default)]
pub struct Record {
    facts: Arc<Facts>,
    beats: Beats,
}

/// All but the heartbeats, which come far more often.
#[derive(Debug, Clone, Default)]
struct Facts {
    status: Register<StatusMessage>,
    statuses: Recent<Mark, MAX_STATUSES>,
    /// Of the statuses before those.
    older: Option<Box<Streak>>,
    events: [Register<RegistryMessage>; Slot::COUNT],
    declared: Vec<Arc<Kept<RegistryMessage>>>,
    /// Most services have none.
    crashes: Option<Box<Recent<Mark, MAX_CRASHES>>>,
}

impl Record {
    /// The newest status.
    pub fn status(&self) -> Option<&Arc<Kept<StatusMessage>>> {
        self.facts.status.newest()
    }

    /// The last heartbeats, oldest first.
    pub fn beats(&self) -> impl DoubleEndedIterator<Item = &Arc<Beat>> + Clone {
        self.beats.iter()
    }

    /// The newest heartbeat.
    pub fn last_beat(&self) -> Option<&Beat> {
        self.beats.last().map(|beat| &**beat)
    }

    /// The last crashes, oldest first.
    pub(super) fn crashes(&self) -> &[Mark] {
        self.facts.crashes.as_deref().map(Recent::as_slice).unwrap_or_default()
    }

    /// The last statuses, oldest first.
    pub(super) fn statuses(&self) -> &[Mark] {
        self.facts.statuses.as_slice()
    }

    /// Of the statuses before [`Self::statuses`], the last that say the same.
    pub(super) fn older_statuses(&self) -> Option<&Streak> {
        self.facts.older.as_deref()
    }

    /// The newest `declared` of each launcher, newest first.
    pub fn declared(&self) -> &[Arc<Kept<RegistryMessage>>] {
        &self.facts.declared
    }

    /// The newest event of each kind but `declared`, in the order in which they were stored.
    pub fn events(&self) -> Vec<&Arc<Kept<RegistryMessage>>> {
        let mut events: Vec<_> = self.facts.events.iter().filter_map(Register::newest).collect();
        events.sort_by(|a, b| a.stamp.compare(&b.stamp));
        events
    }

    /// The newest `start`.
    pub fn start(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.facts.events[Slot::Start as usize].newest()
    }

    pub(super) fn crashed(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.facts.events[Slot::Crashed as usize].newest()
    }

    pub(super) fn restarting(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.facts.events[Slot::Restarting as usize].newest()
    }

    /// The newest event that says something of its life: neither `declared` nor an unknown one.
    pub(super) fn newest_event(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.newest_of(&Slot::OF_LIFE)
    }

    pub(super) fn stopping(&self) -> Option<&Arc<Kept<RegistryMessage>>> {
        self.facts.events[Slot::Stopping as usize].newest()
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
            .filter_map(|slot| self.facts.events[*slot as usize].newest())
            .max_by(|a, b| a.compare(b))
    }

    /// All registry messages held, in no order.
    pub(super) fn registry(&self) -> impl Iterator<Item = &Arc<Kept<RegistryMessage>>> {
        self.facts.events.iter().filter_map(Register::newest).chain(&self.facts.declared)
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
        let beats = self.beats().map(|beat| &*beat.sender);
        status.into_iter().chain(registry).chain(beats).map(sender_hash)
    }

    /// About what it occupies, in bytes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>()
            + size_of::<Facts>()
            + self.facts.status.weight()
            + self.facts.events.iter().map(Register::weight).sum::<usize>()
            + self.facts.declared.iter().map(|kept| kept.weight).sum::<usize>()
            + self.beats.weight()
            + size_of_val(self.statuses())
            + size_of_val(self.crashes())
    }

    /// Memory used by its heartbeats.
    pub(super) fn beats_weight(&self) -> usize {
        self.beats.weight()
    }

    /// Leaves out metrics that occupy more than `most` bytes of a message.
    pub(super) fn shorten(&mut self, most: usize) {
        if self.facts.status.weight() > most {
            Arc::make_mut(&mut self.facts).status.shorten(most);
        }
        self.beats.shorten(most);
    }

    /// Whether the heartbeats that are held come from several senders.
    pub(super) fn has_several_senders(&self) -> bool {
        self.beats.has_several_senders()
    }

    /// Whether a message of it occupies more than `most` bytes.
    pub(super) fn is_bulky(&self, most: usize) -> bool {
        self.facts.status.weight() > most || self.beats.is_bulky(most)
    }

    /// Whether more than one message of it is held.
    pub(super) fn is_established(&self) -> bool {
        self.beats.len() + self.statuses().len() + self.registry().take(2).count() > 1
    }

    /// The declared limits of restarting, from the newest `declared`.
    pub fn declaration(&self) -> Option<&Declared> {
        self.facts.declared.first().and_then(|kept| match &kept.message.event {
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
            return self.beats.hear(message, meta, stamp, decoded.message.weight());
        }
        let Decoded { message, meta, notes } = decoded.into_owned();
        let run = RunTime::of(&meta);
        let weight = message.weight();
        let sender: Arc<str> = meta.sender.into();
        let sent = meta.ts;
        let partial = !(notes.dropped.is_empty() && notes.cut.is_empty());
        let facts = Arc::make_mut(&mut self.facts);
        match message {
            Message::Status(message) => {
                let (fact, status) = (fact(&message, &sender), message.status);
                let (noted, older) = facts.statuses.put_all(Mark { stamp, run, fact, status });
                let noted = noted | older.is_some_and(|mark| Streak::put(&mut facts.older, mark));
                noted
                    | facts.status.put(Kept { stamp, message, sender, sent, run, partial, weight })
            }
            Message::Registry(message) => {
                facts.put_registry(Kept { stamp, message, sender, sent, run, partial, weight })
            }
            Message::Heartbeat(_) | Message::Journal(_) => false,
        }
    }
}

impl Facts {
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
}
