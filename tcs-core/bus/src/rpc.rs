//! Requests and their answers, on subjects that no stream holds (`docs/spec/wire.md#requests`).
//!
//! [`Bus::request`] is the asking side. [`Responders`] is the answering side: it serves the
//! commands of all monitored objects of a process, and announces them by the NATS service API
//! (ADR-32), so that `nats micro ls` shows them.

mod discover;
mod micro;
mod respond;

use std::time::Duration;

use async_nats::Request;
use serde::Serialize;
use serde_json::{Map, Value};

pub use respond::{Announcement, Call, Command, Reply, Responders, ServeError, Serving};

use super::api::ApiError;
use super::connect::Bus;
use super::denial::Denial;
use super::outgoing::new_meta;
use tcs_wire::rpc;
use tcs_wire::text::one_line;

/// Why a request brought no data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The server says at once that nobody answers there.
    #[error("`{name}` is not reachable: no answer to `{command}`")]
    NotReachable {
        /// Who was asked.
        name: String,
        /// What for.
        command: String,
    },
    /// There, and silent.
    #[error("`{name}` did not answer `{command}` in {:.1} s", after.as_secs_f64())]
    TimedOut {
        /// Who was asked.
        name: String,
        /// What for.
        command: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// It answered with an error: its own words, whatever they are, shown on one line.
    #[error("{}", one_line(.0))]
    Refused(String),
    /// A right is missing.
    #[error("{0}")]
    Denied(Denial),
    /// The link is down, or went down meanwhile.
    #[error("not connected")]
    Disconnected,
    /// The parameters or the answer cannot be read.
    #[error("`{name}` and `{command}`: {}", one_line(why))]
    Unreadable {
        /// Who was asked.
        name: String,
        /// What for.
        command: String,
        /// What is wrong.
        why: String,
    },
}

impl Bus {
    /// Asks the monitored object `name` for `command`, waiting `limit` at most.
    pub async fn request(
        &self,
        name: &str,
        command: &str,
        data: &(impl Serialize + Sync),
        limit: Duration,
    ) -> Result<Map<String, Value>, RequestError> {
        let unreadable = |why: String| RequestError::Unreadable {
            name: name.to_owned(),
            command: command.to_owned(),
            why,
        };
        let body = rpc::write_request(data, &new_meta()).map_err(|e| unreadable(e.to_string()))?;
        let request = Request::new().payload(body.into());
        let reply = self
            .ask_within(&self.subjects().rpc(name, command), request, limit)
            .await
            .map_err(|error| match error {
                ApiError::NoJetStream => RequestError::NotReachable {
                    name: name.to_owned(),
                    command: command.to_owned(),
                },
                ApiError::TimedOut { after, .. } => RequestError::TimedOut {
                    name: name.to_owned(),
                    command: command.to_owned(),
                    after,
                },
                ApiError::Denied(denial) => RequestError::Denied(denial),
                ApiError::Disconnected => RequestError::Disconnected,
                error @ (ApiError::NoDomain { .. }
                | ApiError::NotEnabled
                | ApiError::Refused { .. }
                | ApiError::Unreadable { .. }) => unreadable(error.to_string()),
            })?;
        let (outcome, _) =
            rpc::read_reply(&reply.payload).map_err(|error| unreadable(error.to_string()))?;
        outcome.map_err(RequestError::Refused)
    }
}
