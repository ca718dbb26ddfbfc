//! Messages that a stream holds, read one by one of a subject. The leader is asked: a follower may be
//! behind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::ApiError;
use crate::connect::Bus;

/// JetStream's code for a message that is not there.
const NO_MESSAGE: u64 = 10_037;

#[derive(Deserialize)]
struct Answer {
    message: Stored,
}

/// Where a message is, and its headers.
#[derive(Deserialize)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    #[serde(default)]
    hdrs: String,
}

impl Stored {
    /// The last message of a subject.
    pub(crate) async fn last(
        bus: &Bus,
        stream: &str,
        subject: &str,
    ) -> Result<Option<Self>, ApiError> {
        Self::get(bus, stream, &json!({ "last_by_subj": subject })).await
    }

    /// The first message of a subject from this sequence number on.
    pub(crate) async fn from(
        bus: &Bus,
        stream: &str,
        subject: &str,
        seq: u64,
    ) -> Result<Option<Self>, ApiError> {
        Self::get(bus, stream, &json!({ "seq": seq, "next_by_subj": subject })).await
    }

    async fn get(bus: &Bus, stream: &str, which: &Value) -> Result<Option<Self>, ApiError> {
        match bus.look_up::<Answer>(&format!("STREAM.MSG.GET.{stream}"), which).await {
            Ok(answer) => Ok(Some(answer.value.message)),
            Err(ApiError::Refused { code: NO_MESSAGE, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One of its headers.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let bytes = STANDARD.decode(&self.hdrs).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut headers = text.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = headers.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value.trim().to_owned())
    }
}
