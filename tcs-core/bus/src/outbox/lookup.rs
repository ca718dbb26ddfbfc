//! Whether a stream has a message already: looked up by its `Nats-Msg-Id`, on its subject, among
//! all that was stored since the last acknowledgement. By its id JetStream knows a message again
//! for two minutes only (a stream's `duplicate_window`), and an outage may be longer. The leader
//! is asked: a follower may be behind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::effect::Found;
use crate::api::{ApiError, STREAM_NOT_FOUND};
use crate::connect::Bus;
use crate::publish::MSG_ID;

/// Messages of one subject looked at, at most: more than a stream of ours holds of it.
const MOST: usize = 1000;
/// JetStream's code for a message that is not there.
const NO_MESSAGE: u64 = 10_037;

#[derive(Deserialize)]
struct Got {
    message: GotMessage,
}

#[derive(Deserialize)]
struct GotMessage {
    seq: u64,
    #[serde(default)]
    hdrs: String,
}

impl GotMessage {
    fn has_id(&self, id: &str) -> bool {
        let bytes = STANDARD.decode(&self.hdrs).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().any(|line| {
            let header = line.split_once(':');
            header.is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case(MSG_ID) && value.trim() == id
            })
        })
    }
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
    let last = json!({ "last_by_subj": subject });
    let (known, after) = after.map_or((None, 0), |(stream, after)| (Some(stream), after));
    let first = match &known {
        Some(stream) => get(bus, stream, &last).await,
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
            let newest = get(bus, &other, &last).await?;
            (other, 0, newest)
        }
        first => (known.unwrap_or_default(), after, first?),
    };
    let Some(newest) = newest else { return Ok(None) };
    if newest.has_id(msg_id) {
        return Ok(Some(newest.seq));
    }
    let mut from = after + 1;
    for _ in 0..MOST {
        if from >= newest.seq {
            break;
        }
        let next = json!({ "seq": from, "next_by_subj": subject });
        match get(bus, &stream, &next).await? {
            Some(next) if next.has_id(msg_id) => return Ok(Some(next.seq)),
            Some(next) => from = next.seq + 1,
            None => break,
        }
    }
    Ok(None)
}

async fn get(bus: &Bus, stream: &str, which: &Value) -> Result<Option<GotMessage>, ApiError> {
    match bus.api::<Got>(&format!("STREAM.MSG.GET.{stream}"), which).await {
        Ok(answer) => Ok(Some(answer.value.message)),
        Err(ApiError::Refused { code: NO_MESSAGE, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
