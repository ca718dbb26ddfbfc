//! A message as it came, not yet decoded.

use std::time::Instant;

use async_nats::{HeaderMap, Message, Subject};
use chrono::{DateTime, Utc};
use tokio_util::bytes::Bytes;

use crate::api::is_copy;
use tcs_wire::{DecodeError, Decoded, Kind, Subjects};

/// Where a message stands among others of its subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stored {
    /// In a stream.
    Stream {
        /// When the stream was made.
        created: DateTime<Utc>,
        /// Its sequence there.
        seq: u64,
        /// When the broker stored it, by the broker's clock.
        at: DateTime<Utc>,
    },
    /// In no stream, or received on a plain subscription.
    Core {
        /// When it came, by our monotonic clock.
        arrived: Instant,
        /// Counts up through all messages of this connection that came this way.
        number: u64,
    },
}

/// Where in its stream a message stands, from its reply subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) stream_seq: u64,
    pub(super) consumer_seq: u64,
    pub(super) stored: DateTime<Utc>,
    pub(super) pending: u64,
}

impl Place {
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<sseq>.<cseq>.<ts>.<pending>`; newer servers put
    /// domain and account before the stream, and may add a token at the end.
    pub(super) fn parse(reply: &str) -> Option<Self> {
        let tokens = reply.strip_prefix("$JS.ACK.")?;
        let count = tokens.bytes().filter(|b| *b == b'.').count() + 1;
        let skip = match count {
            7 => 3,
            9 | 10 => 5,
            _ => return None,
        };
        let mut tokens = tokens.split('.').skip(skip);
        let mut number = || tokens.next()?.parse::<u64>().ok();
        let (stream_seq, consumer_seq) = (number()?, number()?);
        let nanos = i64::try_from(number()?).ok()?;
        let stored = DateTime::from_timestamp_nanos(nanos);
        Some(Self { stream_seq, consumer_seq, stored, pending: number()? })
    }
}

/// One received message.
#[derive(Debug, Clone)]
pub struct RawMessage {
    /// What it carries, by its subject.
    pub kind: Kind,
    /// Its order and time.
    pub stored: Stored,
    /// Whether nothing of its subject came before, since all that was held has been read.
    pub(super) is_of_new_subject: bool,
    /// The reader that can read it again; 0: none.
    pub(super) reader: u32,
    subject: Subject,
    payload: Bytes,
    headers: Option<HeaderMap>,
}

impl RawMessage {
    pub(super) fn new(kind: Kind, stored: Stored, message: Message) -> Self {
        let Message { subject, payload, headers, .. } = message;
        Self { kind, stored, is_of_new_subject: false, reader: 0, subject, payload, headers }
    }

    pub(super) fn delivered(
        kind: Kind,
        created: DateTime<Utc>,
        place: Place,
        message: Message,
    ) -> Self {
        let stored = Stored::Stream { created, seq: place.stream_seq, at: place.stored };
        Self::new(kind, stored, message)
    }

    pub(super) fn of_parts(
        kind: Kind,
        stored: Stored,
        subject: &str,
        payload: Bytes,
        headers: Option<HeaderMap>,
    ) -> Self {
        let subject = subject.into();
        Self { kind, stored, is_of_new_subject: false, reader: 0, subject, payload, headers }
    }

    /// The whole subject.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The body.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Names and values of all headers.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.headers.iter().flat_map(HeaderMap::iter);
        all.flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        })
    }

    /// Whether it is an answer of JetStream that was stored again, or delivered where a message
    /// is expected: somebody asked with this subject as the reply subject. Nobody has sent it.
    pub fn is_copy(&self) -> bool {
        self.headers.as_ref().is_some_and(is_copy)
    }

    /// What it says, or why that cannot be read.
    pub fn decode(&self, subjects: &Subjects) -> Result<Decoded, DecodeError> {
        match subjects.parse(self.subject()) {
            Some(_) if self.is_copy() => Err(DecodeError::Copy),
            Some(subject) => tcs_wire::decode(subject, self.payload()),
            None => Err(DecodeError::NoName { field: "subject" }),
        }
    }

    /// Whether it only marks that a subject's messages were deleted: no body, or the headers of a
    /// key-value store or of a server that puts markers where messages expire.
    pub(super) fn is_tombstone(&self) -> bool {
        const MARKERS: [&str; 2] = ["KV-Operation", "Nats-Marker-Reason"];
        let marked = |headers: &HeaderMap| MARKERS.iter().any(|it| headers.get(*it).is_some());
        self.payload.is_empty() || self.headers.as_ref().is_some_and(marked)
    }

    /// About what it occupies while it waits.
    pub(super) fn weight(&self) -> usize {
        self.payload.len() + self.subject.len() + 256
    }

    /// The order in which messages are dropped when there are too many: first those of unknown
    /// subjects, last registry events, which a launcher sends only once.
    pub(super) fn is_expendable(&self, step: Expendable) -> bool {
        match step {
            Expendable::NewSubject => self.is_of_new_subject && self.kind != Kind::Registry,
            Expendable::Repeated => self.kind != Kind::Registry,
            Expendable::All => true,
        }
    }

    /// Lets go of what was received together with it.
    pub(super) fn detach(&mut self) {
        if self.payload.len() < SHARED_BYTES {
            self.payload = Bytes::copy_from_slice(&self.payload);
            self.subject = self.subject.as_str().to_owned().into();
        }
    }
}

/// A smaller body shares its buffer with what was received before and after it.
const SHARED_BYTES: usize = 64 * 1024;

/// See [`RawMessage::is_expendable`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Expendable {
    NewSubject,
    Repeated,
    All,
}

/// Header of a message that was restored from a backup: when it was stored first, RFC 3339.
pub(super) const FIRST_STORED: &str = "Tcs-Stored";

/// When a message counts as stored that a stream has stored at `at`: earlier, if it was restored from
/// a backup. By its header nobody makes a message newer.
pub(super) fn stored_at(headers: Option<&HeaderMap>, at: DateTime<Utc>) -> DateTime<Utc> {
    let first = headers.and_then(|headers| headers.get(FIRST_STORED));
    let first = first.and_then(|value| DateTime::parse_from_rfc3339(value.as_str()).ok());
    first.map_or(at, |first| first.to_utc().min(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_message_is_as_old_as_it_was_and_no_message_is_newer_than_it_is() {
        let at = DateTime::from_timestamp(1_800_000_000, 5).unwrap();
        let stored = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(FIRST_STORED, value);
            stored_at(Some(&headers), at)
        };
        assert_eq!(
            stored("2026-11-23T02:13:00.123456789Z").to_rfc3339(),
            "2026-11-23T02:13:00.123456789+00:00"
        );
        assert_eq!(stored("2100-01-01T00:00:00Z"), at);
        assert_eq!(stored("yesterday"), at);
        assert_eq!(stored_at(None, at), at);
    }

    #[test]
    fn places_of_old_and_new_servers() {
        let place = Place {
            stream_seq: 7,
            consumer_seq: 3,
            stored: DateTime::from_timestamp(1_700_000_000, 5).unwrap(),
            pending: 2,
        };
        let rest = "S.c.1.7.3.1700000000000000005.2";
        assert_eq!(Place::parse(&format!("$JS.ACK.{rest}")), Some(place));
        assert_eq!(Place::parse(&format!("$JS.ACK.hub.ABCD.{rest}")), Some(place));
        assert_eq!(Place::parse(&format!("$JS.ACK.hub.ABCD.{rest}.x")), Some(place));
        assert_eq!(Place::parse("$JS.ACK.S.c.1.7.3"), None);
        assert_eq!(Place::parse("_INBOX.x"), None);
    }
}
