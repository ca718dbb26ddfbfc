//! The newest few of a kind, oldest first.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::stamp::{Order, Stamp};

/// An item of a [`Recent`].
pub(super) trait Stamped {
    fn stamp(&self) -> &Stamp;

    /// Whether both are one message that was stored twice.
    fn is_copy(&self, _other: &Self) -> bool {
        false
    }
}

impl<T: Stamped> Stamped for Arc<T> {
    fn stamp(&self) -> &Stamp {
        (**self).stamp()
    }

    fn is_copy(&self, other: &Self) -> bool {
        (**self).is_copy(other)
    }
}

/// At most `N`, the newest. A join: what falls out could never come back in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recent<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Default for Recent<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const N: usize> FromIterator<T> for Recent<T, N> {
    /// From items that are in order, `N` at most.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: Stamped, const N: usize> Recent<T, N> {
    /// Oldest first.
    pub(super) fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// Adds `item`, unless it is there already or older than `N` others; returns whether it was
    /// added. Of two copies, the one that was stored first is kept.
    pub(super) fn put(&mut self, item: T) -> bool {
        self.put_all(item).0
    }

    /// The same; gives back what there is no room for.
    pub(super) fn put_all(&mut self, item: T) -> (bool, Option<T>) {
        if let Some(copy) = self.0.iter().position(|held| held.is_copy(&item)) {
            if key(self.0[copy].stamp()) <= key(item.stamp()) {
                return (false, None);
            }
            self.0.remove(copy);
        }
        let found = self.0.binary_search_by_key(&key(item.stamp()), |held| key(held.stamp()));
        let Err(place) = found else { return (false, None) };
        if self.0.len() == N {
            if place == 0 {
                return (false, Some(item));
            }
            let oldest = self.0.remove(0);
            self.0.insert(place - 1, item);
            return (true, Some(oldest));
        }
        if self.0.len() == self.0.capacity() {
            // small at first: a list of the fleet gets one item per service
            self.0.reserve_exact(self.0.len().clamp(1, N - self.0.len()));
        }
        self.0.insert(place, item);
        (true, None)
    }
}

/// Messages of plain NATS and of a stream are put in order by broker time; inside each the
/// reader's or the stream's own count decides.
pub(super) fn key(stamp: &Stamp) -> (DateTime<Utc>, DateTime<Utc>, u64) {
    match stamp.order {
        Order::Stream { created, seq } => (stamp.stored, created, seq),
        Order::Core { arrival } => (stamp.stored, DateTime::<Utc>::MIN_UTC, arrival),
    }
}
