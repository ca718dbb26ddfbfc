//! Requests and their replies: `<prefix>.rpc.<name>.v1.<command>`.

use serde::Serialize;
use serde_json::{Map, Value};

use super::envelope::{self, Envelope, Meta};
use super::error::DecodeError;
use super::tolerant::{Field, Notes};

/// What came back: `data`, or the text of the error.
pub type Outcome = Result<Map<String, Value>, String>;

/// One request as its responder sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Parameters; empty when there are none.
    pub data: Map<String, Value>,
    /// `sender` and `id` identify the operation.
    pub meta: Meta,
}

/// Reads a request. An empty body is a request without parameters and without a sender.
pub fn read_request(body: &[u8]) -> Result<Request, DecodeError> {
    if body.is_empty() {
        return Ok(Request { data: Map::new(), meta: Meta::default() });
    }
    let (data, meta) = read(body)?;
    Ok(Request { data: data.unwrap_or_default(), meta })
}

/// Reads a reply: an error if `meta.status` says so, or if there is no `data`.
pub fn read_reply(body: &[u8]) -> Result<(Outcome, Meta), DecodeError> {
    let (data, mut meta) = read(body)?;
    let failed = meta.status.as_deref() == Some("error");
    let outcome = match data {
        Some(data) if !failed => Ok(data),
        _ => Err(meta.error.take().unwrap_or_else(|| "the reply holds no data".to_owned())),
    };
    Ok((outcome, meta))
}

/// The body of a request.
pub fn write_request(data: &impl Serialize, meta: &Meta) -> Result<Vec<u8>, serde_json::Error> {
    Envelope { data: Some(data), meta }.to_body()
}

/// The body of a reply: `data`, or on failure only `meta` with `status` and `error`.
pub fn write_reply(
    outcome: &Result<impl Serialize, String>,
    meta: Meta,
) -> Result<Vec<u8>, serde_json::Error> {
    match outcome {
        Ok(data) => Envelope { data: Some(data), meta: &meta }.to_body(),
        Err(error) => {
            let meta =
                Meta { status: Some("error".to_owned()), error: Some(error.clone()), ..meta };
            Envelope::<()> { data: None, meta: &meta }.to_body()
        }
    }
}

fn read(body: &[u8]) -> Result<(Option<Map<String, Value>>, Meta), DecodeError> {
    let raw = envelope::open::<Map<String, Value>>(body)?;
    let mut notes = Notes::default();
    let meta = match raw.meta {
        Field::Got(meta) => meta.read(&mut notes),
        Field::Absent | Field::Wrong => Meta::default(),
    };
    Ok((notes.take(raw.data, "data"), meta))
}
