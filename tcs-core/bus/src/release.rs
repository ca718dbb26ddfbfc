//! The consumers of a connection: none of them is left at the server when a program ends.

use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::json;

use super::api::{ApiError, CONSUMER_NOT_FOUND};
use super::connect::Bus;

/// For deleting consumers at the end.
const RELEASE: Duration = Duration::from_secs(1);
/// How often a consumer that the server does not have is asked for, and how long after each other:
/// together what nobody notices who has pressed Ctrl-C.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(40);

impl Bus {
    /// Deletes all consumers of this connection at the server, within 1 s, and makes no more; for a
    /// program's end, however it comes. The server would keep them for half a minute.
    pub async fn release(&self) {
        let held = {
            let mut consumers = self.consumers();
            consumers.released = true;
            std::mem::take(&mut consumers.held)
        };
        if !self.is_connected() {
            return;
        }
        let release = async {
            let deletes = held.iter().map(|(stream, name)| self.delete_consumer(stream, name));
            futures_util::future::join_all(deletes).await;
            self.client().flush().await.ok();
        };
        tokio::time::timeout(RELEASE, release).await.ok();
    }

    /// The server may carry out requests in another order: a consumer that it does not have may be
    /// made yet, or its request was never sent. So it is asked for again for a moment.
    async fn delete_consumer(&self, stream: &str, name: &str) {
        let what = format!("CONSUMER.DELETE.{stream}.{name}");
        let body = json!({});
        for _ in 0..ATTEMPTS {
            let deleted = self.api_within::<IgnoredAny>(&what, &body, RELEASE).await;
            if !matches!(deleted, Err(ApiError::Refused { code: CONSUMER_NOT_FOUND, .. })) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Remembers a consumer that is about to be made; `false`: none may be made any more.
    pub(super) fn hold_consumer(&self, stream: &str, name: &str) -> bool {
        let mut consumers = self.consumers();
        if !consumers.released {
            consumers.held.insert((stream.to_owned(), name.to_owned()));
        }
        !consumers.released
    }

    /// A consumer was deleted, or could not be made.
    pub(super) fn forget_consumer(&self, stream: &str, name: &str) {
        self.consumers().held.remove(&(stream.to_owned(), name.to_owned()));
    }
}
