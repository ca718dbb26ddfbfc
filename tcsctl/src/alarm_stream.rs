//! The stream of alarms, read from its beginning and folded: one reader for all commands.

use chrono::{DateTime, Utc};
use tcs_alarms::{Address, Alarms, Record};
use tcs_core::bus::{Bus, Fed, Feed, Interruption};
use tcs_core::fleet::Stamp;
use tokio::time::Instant;

/// The alarms of a site, as far as their stream has been read.
#[derive(Debug)]
pub(crate) struct AlarmStream {
    bus: Bus,
    feed: Feed,
    /// Records that were stored later are passed over.
    until: Option<DateTime<Utc>>,
    /// What was read, folded.
    pub(crate) alarms: Alarms,
    /// When the stream that is read was created.
    pub(crate) created: Option<DateTime<Utc>>,
}

/// What was read.
#[derive(Debug)]
pub(crate) enum StreamNews {
    /// A record, which is folded in; `None`: it cannot be read.
    Record(Option<Box<(Address, Record)>>, Stamp),
    /// All that the stream held has been read.
    Current,
    /// Nothing can be read at present.
    Interrupted(Interruption),
}

/// Why not all alarms are known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// No sentinel has ever run.
    #[error("no stream of alarms: no sentinel has run")]
    NoStream,
    /// The broker did not answer in time, or refused.
    #[error("alarms cannot be read: {0}")]
    NoAnswer(String),
}

impl AlarmStream {
    /// From its first message on; `until`: of a moment of the past.
    pub(crate) fn new(bus: &Bus, until: Option<DateTime<Utc>>) -> Self {
        let (bus, feed) = (bus.clone(), bus.feed(&bus.subjects().alarm(">")));
        Self { bus, feed, until, alarms: Alarms::new(), created: None }
    }

    /// Reads all that the stream holds; each record is given to `note`.
    pub(crate) async fn read_all(
        &mut self,
        limit: Instant,
        mut note: impl FnMut(&Address, &Record, &Stamp),
    ) -> Result<(), Unread> {
        let mut why = "no answer".to_owned();
        while let Ok(Some(news)) = tokio::time::timeout_at(limit, self.next()).await {
            match news {
                StreamNews::Record(Some(record), stamp) => note(&record.0, &record.1, &stamp),
                StreamNews::Record(None, _) => {}
                StreamNews::Current => return Ok(()),
                StreamNews::Interrupted(Interruption::NoStream) => return Err(Unread::NoStream),
                // the feed tries again
                StreamNews::Interrupted(error) => why = error.to_string(),
            }
        }
        Err(Unread::NoAnswer(why))
    }

    /// The next; safe to drop while waiting. `None` does not come while all is well.
    pub(crate) async fn next(&mut self) -> Option<StreamNews> {
        loop {
            match self.feed.next().await? {
                Fed::Message { stamp, .. } if self.until.is_some_and(|it| stamp.stored > it) => {}
                Fed::Message { subject, payload, stamp } => {
                    return Some(StreamNews::Record(self.take(&subject, &payload, &stamp), stamp));
                }
                Fed::Current { created } => {
                    self.created = Some(created);
                    return Some(StreamNews::Current);
                }
                Fed::Interrupted(why) => return Some(StreamNews::Interrupted(why)),
            }
        }
    }

    fn take(
        &mut self,
        subject: &str,
        payload: &[u8],
        stamp: &Stamp,
    ) -> Option<Box<(Address, Record)>> {
        let address = Address::parse(self.bus.subjects(), subject)?;
        let Ok(record) = Record::decode(&address, payload) else {
            self.alarms.pass_over(address, stamp);
            return None;
        };
        self.alarms.apply(&address, record.clone(), stamp);
        Some(Box::new((address, record)))
    }
}

/// The alarms at a moment, none where no stream has any; or why they cannot be read.
pub(crate) async fn alarms_at(
    bus: &Bus,
    at: DateTime<Utc>,
    limit: Instant,
) -> Result<Alarms, String> {
    let mut stream = AlarmStream::new(bus, Some(at));
    match stream.read_all(limit, |_, _, _| {}).await {
        Ok(()) | Err(Unread::NoStream) => Ok(stream.alarms),
        Err(Unread::NoAnswer(why)) => Err(why),
    }
}
