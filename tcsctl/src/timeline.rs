//! What happened, from the messages in the order in which they were stored: life cycle events and
//! changes of status, with how long what was before had lasted. Pure.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::wire::{Event, Message, RegistryMessage, Status, StatusMessage};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// When the broker stored the message that tells of it.
    pub at: DateTime<Utc>,
    /// To whom.
    pub id: String,
    /// What.
    pub what: What,
}

/// See [`Happening`].
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A launcher's event.
    Event {
        /// As it was told.
        event: Event,
        /// The launcher.
        parent: Option<String>,
        /// Who asked for it.
        requested_by: Option<String>,
        /// Of an end: how long it had run.
        lasted: Option<TimeDelta>,
    },
    /// The service says something else of itself than before.
    Status {
        /// What it said before; `None`: nothing that we know of.
        from: Option<Status>,
        /// What it says now.
        to: Status,
        /// Its message.
        message: Option<String>,
        /// How long it had said `from`.
        lasted: Option<TimeDelta>,
    },
}

/// What was last known of one service.
#[derive(Debug, Default)]
struct Last {
    status: Option<(Status, DateTime<Utc>)>,
    started: Option<DateTime<Utc>>,
    stopped: Option<DateTime<Utc>>,
}

/// Two ends closer than this are one.
const TWICE: TimeDelta = TimeDelta::milliseconds(500);

/// Services followed at once; beyond it the oldest knowledge is given up, and with it a duration.
const MAX_SERVICES: usize = 100_000;

/// Turns messages into happenings. Feed it in the order of storing.
#[derive(Debug, Default)]
pub struct Timeline {
    last: HashMap<String, Last>,
}

impl Timeline {
    /// Takes one message; what it tells of, if that is news.
    pub fn push(&mut self, message: Message, at: DateTime<Utc>) -> Option<Happening> {
        if self.last.len() >= MAX_SERVICES {
            self.last.clear();
        }
        match message {
            Message::Registry(message) => self.event(message, at),
            Message::Status(message) => self.status(message, at),
            Message::Heartbeat(_) | Message::Journal(_) => None,
        }
    }

    fn event(&mut self, message: RegistryMessage, at: DateTime<Utc>) -> Option<Happening> {
        let last = self.last.entry(message.service_id.clone()).or_default();
        let ran = |told: Option<f64>, started: Option<DateTime<Utc>>| {
            told.and_then(|seconds| {
                seconds.is_finite().then(|| TimeDelta::milliseconds((seconds * 1000.0) as i64))
            })
            .or(started.map(|started| at - started))
        };
        let lasted = match &message.event {
            // a launcher speaks of what its configuration lists at each of its starts
            Event::Declared(_) => return None,
            Event::Start { .. } | Event::Restarting { .. } => {
                last.started = Some(at);
                last.stopped = None;
                None
            }
            // an ordinary stop makes Python's process launcher say `stop` twice within 0.1 s
            Event::Stop(_) if last.stopped.is_some_and(|before| at - before < TWICE) => {
                return None;
            }
            Event::Stop(stop) => {
                last.stopped = Some(at);
                ran(stop.uptime_seconds, last.started.take())
            }
            Event::Crashed(crash) => ran(crash.uptime_seconds, last.started.take()),
            Event::Waiting { .. }
            | Event::Ready { .. }
            | Event::Stopping { .. }
            | Event::Failed { .. }
            | Event::Other(_) => None,
        };
        Some(Happening {
            at,
            id: message.service_id,
            what: What::Event {
                event: message.event,
                parent: message.parent,
                requested_by: message.requested_by,
                lasted,
            },
        })
    }

    fn status(&mut self, message: StatusMessage, at: DateTime<Utc>) -> Option<Happening> {
        // a launcher that speaks for the service repeats what its event has told already
        if message.by_launcher() {
            return None;
        }
        // how Python's controller ends (`truth.md` 4)
        let ended = message.says_shutdown();
        let status = if ended { Status::Shutdown } else { message.status };
        let last = self.last.entry(message.name.clone()).or_default();
        let before = last.status;
        if before.is_some_and(|(before, _)| before == status) {
            return None;
        }
        last.status = Some((status, at));
        Some(Happening {
            at,
            id: message.name,
            what: What::Status {
                from: before.map(|(status, _)| status),
                to: status,
                message: message.message,
                lasted: before.map(|(_, since)| at - since),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_393_000 + second, 0).unwrap()
    }

    fn says(status: Status) -> Message {
        Message::Status(StatusMessage { name: "a.b".into(), status, ..StatusMessage::default() })
    }

    #[test]
    fn a_status_is_told_once_and_with_how_long_the_one_before_lasted() {
        let mut timeline = Timeline::default();
        assert!(timeline.push(says(Status::Ok), at(0)).is_some());
        assert_eq!(timeline.push(says(Status::Ok), at(5)), None);
        let change = timeline.push(says(Status::Error), at(60)).unwrap();
        assert_eq!(
            change.what,
            What::Status {
                from: Some(Status::Ok),
                to: Status::Error,
                message: None,
                lasted: Some(TimeDelta::seconds(60)),
            }
        );
    }

    #[test]
    fn what_a_launcher_says_for_a_service_is_told_by_its_event_alone() {
        let mut timeline = Timeline::default();
        assert!(timeline.push(says(Status::Ok), at(0)).is_some());
        let mut spoken = StatusMessage {
            name: "a.b".into(),
            status: Status::Failed,
            ..StatusMessage::default()
        };
        std::sync::Arc::make_mut(&mut spoken.details).reported_by = Some("launcher".to_owned());
        assert_eq!(timeline.push(Message::Status(spoken), at(10)), None);
        // and the service's own word before it still holds
        assert_eq!(timeline.push(says(Status::Ok), at(20)), None);
    }

    #[test]
    fn an_end_tells_how_long_it_ran() {
        let mut timeline = Timeline::default();
        let event = |event| {
            Message::Registry(RegistryMessage {
                service_id: "a.b".into(),
                timestamp: None,
                parent: None,
                runner_id: None,
                launcher_run: None,
                event_seq: None,
                requested_by: None,
                event,
            })
        };
        timeline
            .push(event(Event::Start { hostname: None, pid: None, recent_crashes: None }), at(0));
        let end =
            timeline.push(event(Event::Stop(tcs_core::wire::Stop::default())), at(90)).unwrap();
        assert!(
            matches!(end.what, What::Event { lasted: Some(ran), .. } if ran == TimeDelta::seconds(90))
        );
        // a Python process launcher says it twice
        let again = timeline.push(event(Event::Stop(tcs_core::wire::Stop::default())), at(90));
        assert_eq!(again, None);
    }
}
