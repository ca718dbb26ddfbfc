//! What an event shortly before a trouble has to do with it: known to be its cause, or only near it.

use tcs_wire::control::Oom;
use tcs_wire::{Event, Status};

use super::{Happening, NEAR, Nearby, Onset, Relation};
use crate::crashes::LastEnd;
use crate::transitions::{Cause, Transition};
use crate::verdict::Verdict;
use crate::view::FleetView;

/// What an event has to do with the trouble of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Bearing {
    /// It ends services like this one: it is the cause.
    Cause,
    /// It can make such trouble; whether it did is not known.
    Possible,
    /// It is the service's own report.
    Own,
    /// It happened at about the same time. Nothing that is known connects them.
    Coincidence,
}

impl Bearing {
    /// The word, as in `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cause => "cause",
            Self::Possible => "possible",
            Self::Own => "own",
            Self::Coincidence => "coincidence",
        }
    }
}

impl Nearby {
    /// What it has to do with the trouble that began at `onset`; `end`: the service's last end.
    pub fn bearing(&self, view: &FleetView, onset: Onset, end: Option<&LastEnd>) -> Bearing {
        let end = end.filter(|end| (end.at - onset.at).abs() <= NEAR);
        let is_first = self.at <= onset.known;
        match (&self.what, self.relation) {
            (Happening::Reboot { .. }, Relation::SameHost) => Bearing::Cause,
            (Happening::OutOfMemory { .. }, Relation::SameHost) => {
                let oom = end.and_then(|end| end.resources.as_ref()?.oom);
                if oom == Some(Oom::Killed) { Bearing::Cause } else { Bearing::Possible }
            }
            (Happening::Reload { .. }, Relation::Itself) => {
                // what crashed after it was not stopped by it
                let is_stopped = end.is_some_and(|end| end.reason != "crashed");
                if is_stopped { Bearing::Cause } else { Bearing::Possible }
            }
            (Happening::Transition(it), Relation::Launcher | Relation::After) => {
                if is_first && is_end(view, it) { Bearing::Cause } else { Bearing::Possible }
            }
            (Happening::Outage { .. }, _) | (Happening::ClockStep(_), Relation::SameHost) => {
                Bearing::Possible
            }
            (Happening::Transition(_), Relation::Itself) => Bearing::Own,
            _ => Bearing::Coincidence,
        }
    }
}

/// Whether whoever it happened to did not run any more afterwards. Silence that lasts is an end.
fn is_end(view: &FleetView, transition: &Transition) -> bool {
    match &transition.cause {
        Cause::Event { event, .. } => matches!(
            event,
            Event::Crashed(_) | Event::Failed { .. } | Event::Stop(_) | Event::Stopping { .. }
        ),
        Cause::Status { to, .. } => *to == Status::Shutdown,
        Cause::Heartbeat => {
            let is_lost = view.get(&transition.id).is_some_and(|it| it.verdict == Verdict::Lost);
            is_lost || transition.verdict == Verdict::Lost
        }
        Cause::Reboot { .. } | Cause::Profile { .. } => false,
    }
}
