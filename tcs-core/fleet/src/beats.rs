//! The last heartbeats of one service.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::metrics::Metrics;
use super::recent::{Recent, Stamped, key};
use super::stamp::Stamp;
use tcs_wire::{HeartbeatMessage, Message, Meta, OutboxReport, Status, Timestamp};

/// Heartbeats kept of one service.
pub const MAX_BEATS: usize = 16;
/// Places for so many, and for a few that are kept no longer.
const MAX_PLACES: usize = MAX_BEATS + 8;
/// If the heartbeats use more than this, in bytes, those before the last [`MAX_BEATS`] are dropped
/// at once.
const HEAVY: usize = 16 * 1024;

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
    /// The messages of its program that streams have not stored.
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

/// At most [`MAX_BEATS`], the newest, oldest first. A join, as [`Recent`] is.
///
/// Each heartbeat changes it, and pictures hold it as it was: a clone shares the places, and the
/// next heartbeat goes into the first free one, which the clone does not look at.
#[derive(Clone, Default)]
pub(super) struct Beats {
    places: Arc<[OnceLock<Arc<Beat>>]>,
    /// The places that count.
    from: u8,
    to: u8,
    /// The newest so many have one sender.
    alike: u8,
    /// Memory used by the heartbeats in all places up to `to`.
    weight: u32,
}

impl Beats {
    /// Oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Beat>> + Clone {
        self.places[usize::from(self.from)..usize::from(self.to)].iter().filter_map(OnceLock::get)
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.to - self.from)
    }

    pub(super) fn last(&self) -> Option<&Arc<Beat>> {
        self.places[..usize::from(self.to)].last()?.get()
    }

    /// About what they occupy, in bytes.
    pub(super) const fn weight(&self) -> usize {
        self.weight as usize
    }

    /// Whether they come from several senders.
    pub(super) const fn has_several_senders(&self) -> bool {
        self.alike < self.to - self.from
    }

    /// Whether one of them occupies more than `most` bytes.
    pub(super) fn is_bulky(&self, most: usize) -> bool {
        self.weight() > most && self.iter().any(|beat| beat.weight > most)
    }

    /// Leaves out metrics that occupy more than `most` bytes of a message.
    pub(super) fn shorten(&mut self, most: usize) {
        if !self.is_bulky(most) {
            return;
        }
        let shortened = self.iter().map(|beat| {
            if beat.weight <= most {
                return Arc::clone(beat);
            }
            Arc::new(Beat { metrics: None, weight: size_of::<Message>(), ..(**beat).clone() })
        });
        *self = shortened.collect();
    }

    /// Takes in a heartbeat. Returns whether it changed anything.
    pub(super) fn hear(
        &mut self,
        message: &HeartbeatMessage,
        meta: &Meta,
        stamp: Stamp,
        weight: usize,
    ) -> bool {
        // one sender's name is shared by all its beats
        let same = self.iter().rev().find(|beat| *beat.sender == *meta.sender);
        let sender = same.map_or_else(|| (&*meta.sender).into(), |beat| Arc::clone(&beat.sender));
        self.put(Beat {
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
        })
    }

    fn put(&mut self, beat: Beat) -> bool {
        if self.last().is_none_or(|last| key(&last.stamp) < key(&beat.stamp)) {
            self.append(Arc::new(beat));
            return true;
        }
        let mut recent: Recent<Arc<Beat>, MAX_BEATS> = self.iter().cloned().collect();
        let changed = recent.put(Arc::new(beat));
        if changed {
            *self = recent.as_slice().iter().cloned().collect();
        }
        changed
    }

    /// The newest of all.
    fn append(&mut self, beat: Arc<Beat>) {
        let is_alike = self.last().is_some_and(|last| last.sender == beat.sender);
        let weight = self.weight() + beat.weight;
        let is_heavy = weight > HEAVY && self.len() == MAX_BEATS;
        let beat = match self.places.get(usize::from(self.to)).filter(|_| !is_heavy) {
            Some(place) => place.set(beat).err(),
            None => Some(beat),
        };
        if let Some(beat) = beat {
            // no place is free, or a diverged clone has taken it
            *self = self.iter().cloned().chain([beat]).collect();
            return;
        }
        self.to += 1;
        self.from = self.from.max(self.to.saturating_sub(MAX_BEATS as u8));
        self.weight = cut(weight);
        self.alike = if is_alike { (self.alike + 1).min(self.to - self.from) } else { 1 };
    }
}

fn cut(weight: usize) -> u32 {
    u32::try_from(weight).unwrap_or(u32::MAX)
}

impl fmt::Debug for Beats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<Arc<Beat>> for Beats {
    /// Keeps the last of the heartbeats, given in order, with places for more.
    fn from_iter<I: IntoIterator<Item = Arc<Beat>>>(beats: I) -> Self {
        let beats: Vec<_> = beats.into_iter().collect();
        let beats = &beats[beats.len().saturating_sub(MAX_BEATS)..];
        let alike = |pair: &&[Arc<Beat>]| pair[0].sender == pair[1].sender;
        let places = (2 * beats.len()).min(MAX_PLACES);
        let filled = beats.iter().map(|beat| OnceLock::from(Arc::clone(beat)));
        let places = filled.chain(std::iter::repeat_with(OnceLock::new)).take(places).collect();
        Self {
            places,
            from: 0,
            to: beats.len() as u8,
            alike: beats.len().min(1 + beats.windows(2).rev().take_while(alike).count()) as u8,
            weight: cut(beats.iter().map(|beat| beat.weight).sum()),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::*;
    use crate::Order;

    fn beat(second: i64, sender: u8, weight: usize) -> Beat {
        let stored = DateTime::<Utc>::from_timestamp(second, 0).unwrap();
        let order = Order::Stream { created: DateTime::UNIX_EPOCH, seq: second.cast_unsigned() };
        Beat {
            stamp: Stamp { stored, order },
            sender: format!("s{sender}").into(),
            sent: None,
            timestamp: None,
            status: None,
            interval_seconds: None,
            lag_seconds: None,
            uptime_seconds: None,
            sequence: None,
            by_launcher: false,
            outbox: None,
            metrics: None,
            weight,
        }
    }

    proptest! {
        /// What is held is what the plain list holds, in any order of arrival, for the fleet that
        /// goes on and for each of the clones of it, whichever of them goes on too.
        #[test]
        fn clones_share_places_and_see_their_own(
            arrivals in prop::collection::vec(
                (0..3_usize, 0..120_i64, 0..3_u8, 0..12_u32, any::<bool>()), 0..150),
        ) {
            let plain = || Recent::<Arc<Beat>, MAX_BEATS>::default();
            let mut all = vec![(Beats::default(), plain())];
            for (i, (which, second, sender, size, is_clone)) in (0..).zip(arrivals) {
                let which = which % all.len();
                // most of them in order
                let second = if second < 100 { 1000 + i } else { 900 + second };
                let (beats, recent) = &mut all[which];
                let beat = beat(second, sender / 2, 1 << size);
                prop_assert_eq!(beats.put(beat.clone()), recent.put(Arc::new(beat)));
                let copy = (beats.clone(), recent.clone());
                if is_clone && all.len() < 4 {
                    all.push(copy);
                }
                for (beats, recent) in &all {
                    let recent = recent.as_slice();
                    prop_assert!(beats.iter().eq(recent.iter()));
                    prop_assert_eq!(beats.len(), recent.len());
                    prop_assert_eq!(beats.last(), recent.last());
                    let several = recent.windows(2).any(|pair| pair[0].sender != pair[1].sender);
                    prop_assert_eq!(beats.has_several_senders(), several);
                    let weight: usize = recent.iter().map(|beat| beat.weight).sum();
                    prop_assert!((weight..=weight.max(HEAVY)).contains(&beats.weight()));
                }
            }
        }
    }

    #[test]
    fn what_comes_next_copies_nothing_of_what_a_picture_holds() {
        let mut beats: Beats = (0..8).map(|second| Arc::new(beat(second, 0, 100))).collect();
        let picture = beats.clone();
        beats.put(beat(8, 0, 100));
        assert!(Arc::ptr_eq(&beats.places, &picture.places));
        assert_eq!((picture.len(), beats.len()), (8, 9));
        // a clone that changes gets places of its own
        let mut other = picture.clone();
        other.put(beat(9, 1, 100));
        assert_eq!(other.last().unwrap().stamp.stored.timestamp(), 9);
        assert_eq!(beats.last().unwrap().stamp.stored.timestamp(), 8);
    }
}
