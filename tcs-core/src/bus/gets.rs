//! Reading single messages out of a stream, for where no consumer may be made.

use async_nats::{HeaderMap, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

use super::api::ApiError;
use super::connect::Bus;
use super::message::{RawMessage, Stored};
use super::streams::StreamFacts;
use crate::wire::Kind;

#[derive(Deserialize)]
struct Got {
    message: GotMessage,
}

#[derive(Deserialize)]
struct GotMessage {
    subject: String,
    seq: u64,
    #[serde(default)]
    data: String,
    time: DateTime<Utc>,
}

/// JetStream's code for a message that is not there.
const NO_MESSAGE: u64 = 10037;

impl Bus {
    /// The newest message of one subject that a stream holds; `None`: none does.
    pub async fn last_word(
        &self,
        kind: Kind,
        subject: &str,
    ) -> Result<Option<RawMessage>, ApiError> {
        let Some(stream) = self.streams_of(subject).await?.into_iter().next() else {
            return Ok(None);
        };
        self.newest(&self.stream(&stream).await?, kind, subject).await
    }

    /// The newest message of `subject`; `None`: there is none any more.
    pub(super) async fn newest(
        &self,
        stream: &StreamFacts,
        kind: Kind,
        subject: &str,
    ) -> Result<Option<RawMessage>, ApiError> {
        let body = json!({ "last_by_subj": subject });
        if stream.allow_direct {
            self.direct_get(stream, kind, &body).await
        } else {
            self.message_get(stream, kind, &body).await
        }
    }

    async fn direct_get(
        &self,
        stream: &StreamFacts,
        kind: Kind,
        body: &serde_json::Value,
    ) -> Result<Option<RawMessage>, ApiError> {
        let subject = self.api_subject(&format!("DIRECT.GET.{}", stream.name));
        let request = Request::new().payload(body.to_string().into());
        let message = self.ask(&subject, request).await?;
        let headers = message.headers.clone().unwrap_or_default();
        if message.status.is_some_and(|status| status == async_nats::StatusCode::NOT_FOUND) {
            return Ok(None);
        }
        let place = || -> Option<(String, u64, DateTime<Utc>)> {
            let get = |name: &str| headers.get(name).map(async_nats::HeaderValue::as_str);
            let at = DateTime::parse_from_rfc3339(get("Nats-Time-Stamp")?).ok()?;
            Some((get("Nats-Subject")?.to_owned(), get("Nats-Sequence")?.parse().ok()?, at.into()))
        };
        let Some((subject, seq, at)) = place() else {
            let why = message.description.unwrap_or_else(|| "no sequence in it".to_owned());
            return Err(ApiError::Unreadable { subject, why });
        };
        let stored = Stored::Stream { created: stream.created, seq, at };
        let payload = message.payload;
        Ok(Some(RawMessage::of_parts(kind, stored, &subject, payload, Some(own(&headers)))))
    }

    async fn message_get(
        &self,
        stream: &StreamFacts,
        kind: Kind,
        body: &serde_json::Value,
    ) -> Result<Option<RawMessage>, ApiError> {
        let what = format!("STREAM.MSG.GET.{}", stream.name);
        let GotMessage { subject, seq, data, time } = match self.api::<Got>(&what, body).await {
            Ok(answer) => answer.value.message,
            Err(ApiError::Refused { code: NO_MESSAGE, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let payload = STANDARD
            .decode(data)
            .map_err(|error| ApiError::Unreadable { subject: what, why: error.to_string() })?;
        let stored = Stored::Stream { created: stream.created, seq, at: time };
        Ok(Some(RawMessage::of_parts(kind, stored, &subject, payload.into(), None)))
    }
}

/// The message's own headers, without those of the answer.
fn own(headers: &HeaderMap) -> HeaderMap {
    const OF_ANSWER: [&str; 5] =
        ["Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Last-Sequence"];
    let mut own = HeaderMap::new();
    for (name, values) in headers.iter() {
        let text: &str = name.as_ref();
        if !OF_ANSWER.contains(&text) {
            for value in values {
                own.append(name.clone(), value.clone());
            }
        }
    }
    own
}
