//! What has turned out not to work over this connection, so that it is not tried for each stream
//! and each request anew. A new connection begins with nothing known.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::link::Denial;

#[derive(Debug, Default)]
pub(super) struct Abilities {
    no_batches: AtomicBool,
    /// By stream.
    no_consumers: Mutex<HashMap<String, Denial>>,
}

impl Abilities {
    /// Whether many messages may be asked for at once, as far as is known.
    pub(super) fn batches(&self) -> bool {
        !self.no_batches.load(Ordering::Relaxed)
    }

    /// The server is too old for batches.
    pub(super) fn set_no_batches(&self) {
        self.no_batches.store(true, Ordering::Relaxed);
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
        self.no_batches.store(false, Ordering::Relaxed);
        self.no_consumers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
