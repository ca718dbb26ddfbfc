//! Why a service is as it is (`docs/spec/history.md#why`): since when it has been in trouble, how it
//! ended before, and what else happened shortly before that.
//!
//! In this order: the service's own events of a week ([`OwnEvent`]) and the picture give the
//! [`Onset`]; the messages around it, of all services, give what happened nearby ([`nearby`]).

mod bearing;
mod hosts;
mod near;
mod pattern;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::{Decoded, Event, Message};

use super::crashes::FLAPPING_WINDOW;
use super::origin::{Origins, RunTime};
use super::reason::Reason;
use super::stamp::{SLACK, Stamp};
use super::verdict::Verdict;
use super::view::{FleetView, ServiceView};

pub use bearing::Bearing;
pub use hosts::{ClockStep, out_of_memory};
pub use near::{Happening, Nearby, Relation, nearby};
pub use pattern::{Pattern, Used};

/// What happened so long before the onset may have to do with it.
pub const NEAR: TimeDelta = TimeDelta::seconds(60);
/// How far back the service's own events are looked at.
pub const WEEK: TimeDelta = TimeDelta::days(7);
/// Read before what counts, so that the verdicts at its beginning are known.
const WARM_UP: TimeDelta = TimeDelta::minutes(2);
/// A run longer than this between two crashes ends a series of them.
const SERIES: TimeDelta = FLAPPING_WINDOW;

/// A message of the past: its subject, its content, its place in the stream.
pub type Told<'a> = (&'a str, &'a Decoded, Stamp);

/// The facts about a service at one time that decide which messages must be read to explain it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject {
    /// Which service.
    pub id: Arc<str>,
    /// The moment, by the broker's clock.
    pub now: DateTime<Utc>,
    verdict: Verdict,
    since: Option<DateTime<Utc>>,
    last_heartbeat: Option<DateTime<Utc>>,
    flaps: bool,
    /// When it ended last, where that was a crash.
    crashed: Option<DateTime<Utc>>,
}

impl Subject {
    /// Of a service in a picture.
    pub fn of(view: &FleetView, service: &ServiceView) -> Self {
        let crashed = view.last_end(service).filter(|end| end.reason == "crashed");
        Self {
            id: Arc::clone(&service.id),
            now: view.now,
            verdict: service.verdict,
            since: service.since,
            last_heartbeat: service.last_heartbeat,
            flaps: service.reasons.iter().any(|it| matches!(it, Reason::Flapping { .. })),
            crashed: crashed.map(|end| end.at),
        }
    }

    /// From when and until when messages are to be read for [`out_of_memory`], if it crashed.
    pub fn end_window(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        self.crashed.map(|at| (at - NEAR, at + NEAR))
    }
}

/// An event of the service itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OwnEvent {
    /// When it happened, by the broker's clock.
    pub at: DateTime<Utc>,
    /// What.
    pub event: Event,
    /// Who asked for it.
    pub by: Option<String>,
}

impl OwnEvent {
    /// Those of the service `id` among these messages, oldest first.
    pub fn all<'a>(id: &str, messages: impl IntoIterator<Item = Told<'a>> + Clone) -> Vec<Self> {
        let mut origins = Origins::default();
        for (_, decoded, stamp) in messages.clone() {
            if let Some(time) = RunTime::of(&decoded.meta) {
                origins.note(time, stamp.stored);
            }
        }
        let own = |(_, decoded, stamp): Told<'a>| match &decoded.message {
            Message::Registry(message) if message.service_id == id => Some(Self {
                at: origins.happened(RunTime::of(&decoded.meta), stamp.stored).at,
                event: message.event.clone(),
                by: message.requested_by.clone(),
            }),
            _ => None,
        };
        let mut all: Vec<Self> = messages.into_iter().filter_map(own).collect();
        all.sort_by_key(|event| event.at);
        all
    }

    const fn is_crash(&self) -> bool {
        matches!(self.event, Event::Crashed(_))
    }
}

/// The beginning of what is to be explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Onset {
    /// When it began: the first crash of a series, the last heartbeat before silence, the first
    /// report of a status.
    pub at: DateTime<Utc>,
    /// When it was known: silence is known only some intervals later.
    pub known: DateTime<Utc>,
}

impl Onset {
    /// Since when the service has been as it is; of one that is well, when it last was not. `None`
    /// where nothing is known of any trouble.
    pub fn of(subject: &Subject, own: &[OwnEvent]) -> Option<Self> {
        let at = |at: DateTime<Utc>| Self { at, known: at };
        let crash = || series(own).or(subject.crashed).map(at);
        match subject.verdict {
            Verdict::Late | Verdict::Lost => {
                let known = subject.since.or(subject.last_heartbeat)?;
                let heard = subject.last_heartbeat.filter(|heard| *heard < known);
                Some(Self { at: heard.unwrap_or(known), known })
            }
            Verdict::Stopped | Verdict::Stopping => {
                let ends = |it: &&OwnEvent| matches!(it.event, Event::Stopping { .. });
                own.iter().rev().find(ends).map(|it| it.at).or(subject.since).map(at)
            }
            Verdict::Degraded if subject.flaps => crash().or(subject.since.map(at)),
            Verdict::Error | Verdict::Degraded | Verdict::Unknown => subject.since.map(at),
            Verdict::Failed | Verdict::Restarting => crash().or(subject.since.map(at)),
            Verdict::Starting | Verdict::Ok => crash(),
        }
    }

    /// From when and until when messages are to be read for [`nearby`].
    pub fn window(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.at - NEAR - WARM_UP, self.known + SLACK)
    }
}

/// The first crash of the last series of them: each within ten minutes of the one before.
fn series(own: &[OwnEvent]) -> Option<DateTime<Utc>> {
    let mut crashes = own.iter().rev().filter(|event| event.is_crash()).map(|event| event.at);
    let mut first = crashes.next()?;
    for at in crashes {
        if first - at >= SERIES {
            break;
        }
        first = at;
    }
    Some(first)
}
