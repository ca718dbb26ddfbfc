//! Messages of this process: each is composed once, with its identity and its own time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use async_nats::HeaderMap;
use serde::{Deserialize, Serialize};
use tokio_util::bytes::Bytes;

use crate::clock;
use tcs_wire::{Envelope, Meta, Timestamp};

/// The header by which JetStream and we recognise a message.
pub(super) const MSG_ID: &str = "Nats-Msg-Id";
/// The header with which a stream stores a message only if the expected one is still the last.
pub(super) const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";

/// Who this process is on the wire: the sender's name, and a random id, so that no message id
/// ever repeats, across restarts too (`docs/spec/wire.md#envelope`).
struct Sender {
    name: String,
    uid: String,
    /// When this run began, on `CLOCK_BOOTTIME`.
    began: Duration,
    next: AtomicU64,
}

/// The beginning of a run that another program has begun in this process.
static BEGAN: OnceLock<Duration> = OnceLock::new();

/// This program goes on with the run of the program that was in this process before, which began then
/// (on `CLOCK_BOOTTIME`). To be called before any message is made.
pub fn continue_run(began: Duration) {
    let _ = BEGAN.set(began);
}

/// When this run began, on `CLOCK_BOOTTIME`.
pub fn run_began() -> Duration {
    SENDER.began
}

static SENDER: LazyLock<Sender> = LazyLock::new(|| {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(std::path::Path::file_name);
    let program = program.map_or_else(|| "tcs".into(), |name| name.to_string_lossy());
    let user = std::env::var("USER").unwrap_or_else(|_| nix::unistd::getuid().to_string());
    let name = format!("{program}:{user}@{}:{}", hostname(), std::process::id());
    Sender {
        name: name.chars().filter(|c| !c.is_control()).collect(),
        uid: format!("mi{}", random_id()),
        began: BEGAN.get().copied().unwrap_or_else(clock::boottime),
        next: AtomicU64::new(1),
    }
});

/// This host's name as the system has it, not shortened.
pub fn hostname() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// 32 random hexadecimal digits, never the same again: for a run, an instance.
pub fn random_id() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // no source: the time and the process are not the same again either
        let nanoseconds = clock::boottime().as_nanos() ^ (u128::from(std::process::id()) << 96);
        bytes = nanoseconds.to_be_bytes();
    }
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// When a thing happened that a message tells of, by this host's clock and in this run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HappenedAt {
    ts: Timestamp,
    run_s: f64,
}

impl HappenedAt {
    /// For what happens now.
    pub fn now() -> Self {
        Self { ts: clock::wall().into(), run_s: run_seconds() }
    }
}

/// The `meta` of a new message: `msg`, `msg-2`, ... by this process, now.
pub fn new_meta() -> Meta {
    meta_of(HappenedAt::now())
}

/// The same for what happened earlier: a message that is sent once more, to streams that have lost
/// it, tells of then.
pub fn meta_of(happened: HappenedAt) -> Meta {
    let id = match SENDER.next.fetch_add(1, Ordering::Relaxed) {
        1 => "msg".to_owned(),
        n => format!("msg-{n}"),
    };
    let mut meta = Meta::new(id, &SENDER.name, happened.ts);
    meta.run_s = Some(happened.run_s);
    meta
}

/// Seconds since this run of the program began, suspended time included, to the millisecond.
pub fn run_seconds() -> f64 {
    let ran = clock::boottime().saturating_sub(SENDER.began);
    (ran.as_secs_f64() * 1000.0).round() / 1000.0
}

/// A message ready to be sent, any number of times.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    pub(super) subject: String,
    pub(super) msg_id: String,
    pub(super) body: Bytes,
    /// The last sequence number that its subject is to have.
    pub(super) expected: Option<u64>,
}

impl OutgoingMessage {
    /// Composes a message for `subject`. Numbers that JSON cannot hold are written as null.
    pub fn new(subject: String, data: &impl Serialize) -> Result<Self, serde_json::Error> {
        Self::with_meta(subject, data, new_meta())
    }

    /// As [`OutgoingMessage::new`], with a `meta` from [`new_meta`] that was added to.
    pub fn with_meta(
        subject: String,
        data: &impl Serialize,
        mut meta: Meta,
    ) -> Result<Self, serde_json::Error> {
        meta.timestamp = meta.ts; // the old console shows it as "Last Status"
        let body = Envelope { data: Some(data), meta: &meta }.to_body()?;
        Ok(Self::of_body(subject, &meta.id, body))
    }

    /// A message that is composed already (a recorded one), under an id of its own.
    pub fn composed(subject: String, body: Vec<u8>) -> Self {
        let n = SENDER.next.fetch_add(1, Ordering::Relaxed);
        Self::of_body(subject, &format!("composed-{n}"), body)
    }

    /// From a body made with a `meta` from [`new_meta`]; `id` is the id of that `meta`.
    pub fn of_body(subject: String, id: &str, body: Vec<u8>) -> Self {
        let msg_id = format!("{}:{id}", SENDER.uid);
        Self { subject, msg_id, body: body.into(), expected: None }
    }

    /// To be stored only if this is the sequence number of the last message of its subject; 0: if
    /// there is none. See [`is_overtaken`](crate::publish::PublishError::is_overtaken).
    #[must_use]
    pub fn expecting(self, last: u64) -> Self {
        Self { expected: Some(last), ..self }
    }

    /// Where it goes.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Its identity, which never repeats: what `Nats-Msg-Id` says.
    pub fn msg_id(&self) -> &str {
        &self.msg_id
    }

    /// It is sent in the place of an older status of its subject: `details.coalesced` counts both.
    pub(super) fn stand_for(&mut self, older: &Self) {
        let read = |parcel: &Self| serde_json::from_slice::<serde_json::Value>(&parcel.body).ok();
        let coalesced =
            |body: &serde_json::Value| body["data"]["details"]["coalesced"].as_u64().unwrap_or(1);
        let (Some(mut body), Some(older)) = (read(self), read(older)) else { return };
        let count = coalesced(&body).saturating_add(coalesced(&older));
        body["data"]["details"]["coalesced"] = count.into();
        if let Ok(body) = serde_json::to_vec(&body) {
            self.body = body.into();
        }
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(MSG_ID, self.msg_id.as_str());
        if let Some(expected) = self.expected {
            headers.insert(EXPECTED, expected.to_string());
        }
        headers
    }

    /// The whole message as it travels.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_repeat() {
        let parcel =
            || OutgoingMessage::new("svc.status.a".to_owned(), &serde_json::json!({})).unwrap();
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| parcel().msg_id).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn a_status_stands_for_those_it_replaces() {
        let status = |details: serde_json::Value| {
            let data = serde_json::json!({"name": "a.b", "status": "ok", "details": details});
            OutgoingMessage::new("svc.status.a.b".to_owned(), &data).unwrap()
        };
        let mut newer = status(serde_json::json!({"own_status": "ok"}));
        newer.stand_for(&status(serde_json::json!({"coalesced": 3})));
        newer.stand_for(&status(serde_json::json!(null)));
        let body: serde_json::Value = serde_json::from_slice(newer.body()).unwrap();
        assert_eq!(body["data"]["details"]["coalesced"], 5);
        assert_eq!(body["data"]["details"]["own_status"], "ok");
        assert_eq!(body["meta"]["id"], newer.msg_id().split_once(':').unwrap().1);
    }
}
