//! Who reads a service's lines just now: a request for them may ask for a lease, and as long as it
//! lasts each line is published on the service's journal too (`docs/spec/wire.md#log-lines`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tcs_core::bus::publish::{OutgoingMessage, Publisher, new_meta, random_id};
use tcs_core::wire::{JournalMessage, Timestamp, journal};

use crate::runner::output::Line;
use tcs_supervisor::ServiceId;

/// The longest lease.
const LONGEST: Duration = Duration::from_mins(5);

/// The leases, by service.
#[derive(Debug, Default)]
pub(super) struct LogSubscriptions {
    until: Mutex<HashMap<ServiceId, Instant>>,
}

impl LogSubscriptions {
    /// Somebody reads along for `lease` from now.
    pub(super) fn renew(&self, id: &ServiceId, lease: Duration, now: Instant) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.insert(id.clone(), now + lease.min(LONGEST));
    }

    /// Whether somebody reads along.
    pub(super) fn has(&self, id: &ServiceId, now: Instant) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.get(id).is_some_and(|until| now < *until)
    }
}

/// One service's lines on its journal.
#[derive(Debug)]
pub(super) struct Journal {
    id: ServiceId,
    publisher: Publisher,
    conversation: String,
}

impl Journal {
    pub(super) fn new(id: ServiceId, publisher: Publisher) -> Self {
        Self { id, publisher, conversation: format!("journal{}", random_id()) }
    }

    /// Sends a line to those who listen; without a broker it is dropped.
    pub(super) async fn send(&self, line: &Line) {
        let message = JournalMessage {
            conversation_id: self.conversation.clone(),
            level: line.level,
            message: line.text.clone(),
            timestamp: Some(Timestamp::new(line.time)),
            explanation: None,
            op: "publish".to_owned(),
        };
        let mut meta = new_meta();
        journal::MESSAGE_TYPE.clone_into(&mut meta.message_type);
        meta.service_id = Some(self.id.to_string());
        meta.run = Some(line.run.0);
        meta.stream = Some(line.stream.as_str().to_owned());
        let subject = self.publisher.bus().subjects().journal(self.id.as_str());
        if let Ok(parcel) = OutgoingMessage::with_meta(subject, &message, meta) {
            self.publisher.send_plain(&parcel).await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_by_itself_and_is_never_longer_than_the_longest() {
        let (subscriptions, id) =
            (LogSubscriptions::default(), "a.b".parse::<ServiceId>().unwrap());
        let now = tcs_core::clock::monotonic();
        assert!(!subscriptions.has(&id, now));
        subscriptions.renew(&id, Duration::from_secs(30), now);
        assert!(subscriptions.has(&id, now + Duration::from_secs(29)));
        assert!(!subscriptions.has(&id, now + Duration::from_secs(30)));
        subscriptions.renew(&id, Duration::MAX, now);
        assert!(!subscriptions.has(&id, now + LONGEST));
    }
}
