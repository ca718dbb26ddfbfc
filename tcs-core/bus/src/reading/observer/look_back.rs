//! What a message that cannot be read hides: whoever reads of each subject the newest message alone
//! would never see the one before it.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};

use super::observation::{Observation, read};
use crate::reading::coverage::Progress;
use crate::reading::follow::Follow;
use crate::reading::gets::Gets;
use crate::{ApiError, BrokerClock, Bus, Heard, Item, Reading, Stored};
use tcs_wire::Kind;

/// Subjects, in all: whoever stores more of these is not worth more requests.
const MOST: usize = 256;
const AT_ONCE: usize = 16;
/// What is not found within this stays hidden.
const LIMIT: Duration = Duration::from_secs(2);

/// Looks once a subject, and only until all that the streams held has been read.
#[derive(Debug, Default)]
pub(super) struct LookBack {
    subjects: BTreeSet<String>,
    read: BTreeSet<Kind>,
}

/// The newest message of a subject, which may be one that cannot be read.
#[derive(Debug)]
pub(super) struct Newest {
    kind: Kind,
    subject: String,
    created: DateTime<Utc>,
    seq: u64,
}

impl Newest {
    pub(super) fn of(heard: &Heard) -> Option<Self> {
        let Item::Message(raw) = heard else { return None };
        let Stored::Stream { created, seq, .. } = raw.stored else { return None };
        Some(Self { kind: raw.kind, subject: raw.subject().to_owned(), created, seq })
    }
}

impl LookBack {
    /// Adds what messages in a batch hide that cannot be read. Where that may not be asked, nothing.
    pub(super) async fn complete(
        &mut self,
        bus: &Bus,
        follow: &Follow,
        batch: &mut Vec<Observation>,
        unreadable: Vec<Newest>,
    ) {
        let mut wanted = Vec::new();
        for newest in unreadable {
            let is_wanted = !self.read.contains(&newest.kind) && self.subjects.len() < MOST;
            if is_wanted
                && let Some(stream) = follow.stream_of(newest.kind)
                && self.subjects.insert(newest.subject.clone())
            {
                wanted.push((stream, newest));
            }
        }
        let found = stream::iter(wanted)
            .map(|(stream, newest)| async move { before(bus, &stream, &newest).await })
            .buffer_unordered(AT_ONCE);
        let found = found.filter_map(|it| std::future::ready(it.ok().flatten()));
        let mut found = std::pin::pin!(found.take_until(tokio::time::sleep(LIMIT)));
        while let Some(observation) = found.next().await {
            batch.insert(0, observation);
        }
        for observation in batch {
            if let Observation::Reading(kind, Reading::Streams(streams)) = observation
                && streams.values().all(|it| matches!(it, Progress::Complete(_)))
            {
                self.read.insert(*kind);
            }
        }
    }
}

/// The newest message before this one that can be read.
async fn before(bus: &Bus, stream: &str, newest: &Newest) -> Result<Option<Observation>, ApiError> {
    let facts = bus.stream(stream).await?;
    if facts.created != newest.created {
        return Ok(None);
    }
    let gets = Gets::new(bus, facts, newest.kind);
    let before = gets.previous(&newest.subject, newest.seq).await?;
    let message = gets.readable(before).await?;
    // it is dated by its stream
    Ok(message.map(|raw| read(&raw, bus.subjects(), BrokerClock::local())))
}
