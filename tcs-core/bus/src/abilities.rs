//! What has turned out to work or not over this connection, so that it is not tried for each stream
//! and each request anew. A new connection begins with nothing known.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::denial::Denial;

#[derive(Debug, Default)]
pub(super) struct Abilities {
    batches: Mutex<Option<bool>>,
    /// By stream.
    no_consumers: Mutex<HashMap<String, Denial>>,
}

impl Abilities {
    /// Whether many messages may be asked for at once, as far as is known.
    pub(super) fn batches(&self) -> bool {
        self.lock_batches().unwrap_or(true)
    }

    /// Whether it has been seen.
    pub(super) fn known_batches(&self) -> bool {
        self.lock_batches().is_some()
    }

    /// The server has answered a batch, or is too old for it.
    pub(super) fn set_batches(&self, has: bool) {
        *self.lock_batches() = Some(has);
    }

    fn lock_batches(&self) -> MutexGuard<'_, Option<bool>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why no consumer may be made on a stream.
    pub(super) fn no_consumers(&self, stream: &str) -> Option<Denial> {
        let known = self.no_consumers.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(stream).cloned()
    }

    /// No consumer may be made on a stream.
    pub(super) fn set_no_consumers(&self, stream: &str, denial: Denial) {
        let mut known = self.no_consumers.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(stream.to_owned(), denial);
    }

    /// For a new connection: another server, or other rights.
    pub(super) fn forget(&self) {
        *self.lock_batches() = None;
        self.no_consumers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
