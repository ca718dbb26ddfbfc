//! Whether a stream has a message already: looked up by its `Nats-Msg-Id`, on its subject, among
//! all that was stored since the last acknowledgement. By its id JetStream knows a message again
//! for two minutes only (a stream's `duplicate_window`), and an outage may be longer. The leader
//! is asked: a follower may be behind.

use super::effect::Found;
use crate::api::{ApiError, STREAM_NOT_FOUND};
use crate::connect::Bus;
use crate::outgoing::MSG_ID;
use crate::stored::Stored;

/// Messages of one subject looked at, at most: more than a stream of ours holds of it.
const MOST: usize = 1000;

fn has_id(message: &Stored, id: &str) -> bool {
    message.header(MSG_ID).is_some_and(|value| value == id)
}

/// Looks for the message with this id on this subject: `after` is the stream and the sequence of the
/// last message known to be stored.
pub(super) async fn find(
    bus: &Bus,
    subject: &str,
    msg_id: &str,
    after: Option<(String, u64)>,
) -> Found {
    match try_find(bus, subject, msg_id, after).await {
        Ok(Some(sequence)) => Found::Stored(sequence),
        Ok(None) => Found::Absent,
        Err(ApiError::Denied(_)) => Found::Forbidden,
        Err(_) => Found::Unanswered,
    }
}

async fn try_find(
    bus: &Bus,
    subject: &str,
    msg_id: &str,
    after: Option<(String, u64)>,
) -> Result<Option<u64>, ApiError> {
    let (known, after) = after.map_or((None, 0), |(stream, after)| (Some(stream), after));
    let first = match &known {
        Some(stream) => Stored::last(bus, stream, subject).await,
        None => Err(ApiError::Refused {
            subject: subject.to_owned(),
            code: STREAM_NOT_FOUND,
            description: "not asked yet".to_owned(),
        }),
    };
    let (stream, after, newest) = match first {
        // another stream may hold the subject by now
        Err(ApiError::Refused { code: STREAM_NOT_FOUND, .. }) => {
            let streams = bus.streams_capturing(subject).await?;
            let Some(other) = streams.into_iter().find(|it| Some(it) != known.as_ref()) else {
                return first.map(|_| None);
            };
            let newest = Stored::last(bus, &other, subject).await?;
            (other, 0, newest)
        }
        first => (known.unwrap_or_default(), after, first?),
    };
    let Some(newest) = newest else { return Ok(None) };
    if has_id(&newest, msg_id) {
        return Ok(Some(newest.seq));
    }
    let mut from = after + 1;
    for _ in 0..MOST {
        if from >= newest.seq {
            break;
        }
        match Stored::from(bus, &stream, subject, from).await? {
            Some(next) if has_id(&next, msg_id) => return Ok(Some(next.seq)),
            Some(next) => from = next.seq + 1,
            None => break,
        }
    }
    Ok(None)
}
