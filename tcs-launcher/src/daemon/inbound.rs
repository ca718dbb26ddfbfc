//! What the children say of themselves, out of the streams: a Python service that fails to start
//! says so and exits with 0 (`docs/spec/supervision.md#how-python-services-end`), one that is busy
//! may be left to finish, and one that speaks needs nobody to beat for it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tcs_core::bus::publish::hostname;
use tcs_core::bus::{Bus, RawMessage};
use tcs_core::observer::{Observation, Observer};
use tcs_core::wire::{Kind, Message, Status, Timestamp};
use tokio::sync::{mpsc, watch};

use super::conflicts::{Conflicts, Ours, Shared};
use tcs_supervisor::{ServiceId, Word};

/// How long an end waits for what was said before it.
const LAST_WORD: Duration = Duration::from_millis(500);

/// One message that a program sent about itself, not a launcher's message about a service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heard {
    pub(super) id: ServiceId,
    /// When it was sent, by the sender's clock: our own, for our children.
    pub(super) sent: DateTime<Utc>,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Status(Status, Option<String>),
    /// The status that it carries.
    Beat(Option<Status>),
}

/// What says that a service is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadyBy {
    /// Its runner sees it, or it counts as up as soon as it is started.
    Runner,
    /// Its first heartbeat of a status other than `startup`.
    Heartbeat,
    /// Its first status other than `startup`, which a heartbeat may carry.
    Status,
}

impl What {
    /// Whether it says that the service is up. One that reports `failed` is not: a Python service
    /// whose start has failed says so.
    pub(super) fn is_ready(&self, by: ReadyBy) -> bool {
        match (self, by) {
            (Self::Status(status, _), ReadyBy::Status) => is_up(*status),
            (Self::Beat(status), ReadyBy::Heartbeat) => status.is_none_or(is_up),
            (Self::Beat(status), ReadyBy::Status) => status.is_some_and(is_up),
            (Self::Status(..) | Self::Beat(_), _) => false,
        }
    }
}

fn is_up(status: Status) -> bool {
    match status {
        Status::Ok
        | Status::Idle
        | Status::Busy
        | Status::Degraded
        | Status::Warning
        | Status::Error => true,
        Status::Unknown | Status::Startup | Status::Shutdown | Status::Failed => false,
    }
}

/// What a status means to the supervisor.
pub(super) fn word(status: Status) -> Word {
    match status {
        Status::Failed | Status::Error => Word::Failed,
        Status::Busy => Word::Busy,
        Status::Unknown
        | Status::Ok
        | Status::Idle
        | Status::Shutdown
        | Status::Startup
        | Status::Degraded
        | Status::Warning => Word::Other,
    }
}

/// How often it is looked whether another launcher has come or gone.
const LOOK: Duration = Duration::from_secs(1);

/// Hands on what is said on this host, and which other launchers declare the services of `own`, as
/// long as somebody takes it. Without streams nothing is heard: a plain listener would slow Python
/// publishers down.
pub(super) async fn listen(
    bus: Bus,
    (own, run, ours): (String, String, Ours),
    inbound: mpsc::Sender<Heard>,
    shared: watch::Sender<Shared>,
) {
    let observer = Observer::new(bus);
    let mut conflicts = Conflicts::new(&observer, own, run, ours);
    let mut following = observer.follow(&Kind::FLEET);
    let here = hostname();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut is_news = true;
        tokio::select! {
            batch = following.next() => {
                let Some(batch) = batch else { return };
                is_news = false;
                for observation in batch {
                    if let Observation::Message(observed) = &observation {
                        let sent = observed.decoded.meta.ts.map(Timestamp::time);
                        if let Some(heard) = hear(&observed.decoded.message, sent, &here)
                            && inbound.send(heard).await.is_err()
                        {
                            return;
                        }
                    }
                    is_news |= conflicts.hear(observation);
                }
            }
            // another launcher may have fallen silent
            _ = look.tick() => {}
        }
        if is_news {
            let found = conflicts.found();
            shared.send_if_modified(|held| std::mem::replace(held, found) != *held);
        }
    }
}

/// The last status of a service that has ended; `None` too where nobody answers in time.
pub(super) async fn last(bus: Bus, id: ServiceId) -> Option<Heard> {
    let subject = bus.subjects().status(id.as_str());
    let asked = bus.last_word(Kind::Status, &subject);
    let raw = tokio::time::timeout(LAST_WORD, asked).await.ok()?.ok()??;
    read(&bus, &raw, &hostname())
}

fn read(bus: &Bus, raw: &RawMessage, here: &str) -> Option<Heard> {
    let decoded = raw.decode(bus.subjects()).ok()?;
    hear(&decoded.message, decoded.meta.ts.map(Timestamp::time), here)
}

fn hear(message: &Message, sent: Option<DateTime<Utc>>, here: &str) -> Option<Heard> {
    match message {
        Message::Status(status) => {
            if status.by_launcher() || status.hostname.as_deref().is_some_and(|at| at != here) {
                return None;
            }
            let sent = sent.or(status.timestamp.map(Timestamp::time))?;
            let id = status.name.parse().ok()?;
            // a component in trouble does not make an end a failure
            let what = What::Status(status.own_status(), status.message.clone());
            Some(Heard { id, sent, what })
        }
        Message::Heartbeat(beat) if beat.reported_by.is_none() => {
            let sent = sent.or(beat.timestamp.map(Timestamp::time))?;
            Some(Heard { id: beat.service_id.parse().ok()?, sent, what: What::Beat(beat.status) })
        }
        Message::Heartbeat(_) | Message::Registry(_) | Message::Journal(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tcs_core::wire::Subjects;

    use tcs_core::wire::decode;

    use super::*;

    fn heard(subject: &str, data: &serde_json::Value) -> Option<What> {
        let body = json!({"data": data, "meta": {"ts": [2026, 11, 23, 1, 2, 3, 4]}}).to_string();
        let subjects = Subjects::default();
        let decoded = decode(subjects.parse(subject).unwrap(), body.as_bytes()).unwrap();
        hear(&decoded.message, decoded.meta.ts.map(Timestamp::time), "here").map(|it| it.what)
    }

    #[test]
    fn only_own_words_of_this_host_count() {
        let status = |more: serde_json::Value| {
            let mut data = json!({"name": "a.b", "status": "failed", "hostname": "here"});
            for (key, value) in more.as_object().unwrap() {
                data[key] = value.clone();
            }
            heard("svc.status.a.b", &data)
        };
        assert_eq!(status(json!({})), Some(What::Status(Status::Failed, None)));
        assert_eq!(status(json!({"hostname": "there"})), None);
        let part = json!({"details": {"own_status": "ok", "children": []}});
        assert_eq!(status(part), Some(What::Status(Status::Ok, None)), "a component failed");
        assert_eq!(status(json!({"details": {"reported_by": "launcher"}})), None);
        let beat = json!({"service_id": "a.b"});
        assert_eq!(heard("svc.heartbeat.a.b", &beat), Some(What::Beat(None)));
        let launchers = json!({"service_id": "a.b", "reported_by": "launcher"});
        assert_eq!(heard("svc.heartbeat.a.b", &launchers), None);
    }

    #[test]
    fn a_service_that_still_starts_or_has_failed_is_not_ready() {
        use ReadyBy::{Heartbeat, Runner};
        let ready = |status| {
            let (said, beat) = (What::Status(status, None), What::Beat(Some(status)));
            assert_eq!(said.is_ready(ReadyBy::Status), beat.is_ready(Heartbeat), "{status}");
            assert!(!said.is_ready(Runner) && !said.is_ready(Heartbeat));
            assert!(!beat.is_ready(Runner));
            assert_eq!(beat.is_ready(ReadyBy::Status), said.is_ready(ReadyBy::Status));
            beat.is_ready(Heartbeat)
        };
        let not = Status::ALL.into_iter().filter(|status| !ready(*status));
        assert_eq!(
            not.collect::<std::collections::BTreeSet<_>>(),
            [Status::Unknown, Status::Startup, Status::Shutdown, Status::Failed].into()
        );
        assert!(What::Beat(None).is_ready(Heartbeat));
        assert!(!What::Beat(None).is_ready(ReadyBy::Status), "it names no status");
    }
}
