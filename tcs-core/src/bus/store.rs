//! Putting a message that is composed already (a recorded one) into whatever stream holds its
//! subject.

use async_nats::{HeaderMap, Request};
use serde::Deserialize;

use super::api::ApiError;
use super::connect::Bus;

#[derive(Deserialize)]
struct Ack {
    stream: Option<String>,
    error: Option<AckError>,
}

#[derive(Deserialize)]
struct AckError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Bus {
    /// Publishes and waits until a stream has it: its name, or `None` where none holds the subject.
    /// `msg_id` must never have been used before.
    pub async fn store(
        &self,
        subject: String,
        msg_id: &str,
        body: Vec<u8>,
    ) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", msg_id);
        let request = Request::new().headers(headers).payload(body.into());
        let reply = match self.ask(&subject, request).await {
            Ok(reply) => reply,
            // nobody there, which for a plain subject is no error
            Err(ApiError::NoJetStream) => return Ok(None),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice(&reply.payload) {
            Ok(Ack { error: Some(AckError { err_code: code, description }), .. }) => {
                Err(ApiError::Refused { subject, code, description })
            }
            Ok(Ack { stream, error: None }) => Ok(stream),
            // somebody else answered in a stream's place
            Err(_) => Ok(None),
        }
    }
}
