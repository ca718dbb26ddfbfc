//! The consumers of a connection: none of them is left at the server when a program ends.

use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::json;

use super::api::{ApiError, CONSUMER_NOT_FOUND};
use super::connect::Bus;

/// For deleting consumers at the end.
const RELEASE: Duration = Duration::from_secs(1);

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

    /// Until the server has deleted it. It may carry out requests in another order: what it does not
    /// have may be made yet.
    async fn delete_consumer(&self, stream: &str, name: &str) {
        let what = format!("CONSUMER.DELETE.{stream}.{name}");
        let body = json!({});
        let delete = || self.api_within::<IgnoredAny>(&what, &body, RELEASE);
        while let Err(ApiError::Refused { code: CONSUMER_NOT_FOUND, .. }) = delete().await {
            tokio::time::sleep(RELEASE / 20).await;
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
