//! What people see of the fleet at one moment: the result of [`super::Fleet::view`].

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::origin::{Happened, Origins};
use super::record::{Beat, Record};
use super::stamp::Kept;
use super::verdict::{Liveness, Phase, Reason, Verdict, words};
use crate::wire::{Limit, Status};

/// Whether we can hear at all (`truth.md` 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Connected, with no outage to remember; or a picture of the past, or a recording.
    Steady,
    /// Connected again.
    Back {
        /// Since when, by the broker's clock.
        since: DateTime<Utc>,
    },
    /// Not connected: liveness is frozen as it was then.
    Down {
        /// Since when, by the broker's clock as we knew it.
        since: DateTime<Utc>,
    },
}

/// The fleet at one moment. Services stand in the order of their ids.
#[derive(Debug, Clone)]
pub struct FleetView {
    /// The moment, by the broker's clock.
    pub now: DateTime<Utc>,
    /// Whether we could hear.
    pub link: Link,
    /// All that is known, sorted by id.
    pub services: Vec<ServiceView>,
    /// Those without a (known) parent: indices into `services`.
    pub roots: Vec<usize>,
    /// How many of each verdict, of all that is known.
    pub counts: Counts,
    /// The hosts that were named, by full name.
    pub hosts: BTreeMap<Arc<str>, HostView>,
    /// Everything is silent at once while connected.
    pub heartbeats_missing: bool,
    /// Stored time of the newest message of all.
    pub newest: Option<DateTime<Utc>>,
    /// When the things happened that the messages tell of.
    pub origins: Arc<Origins>,
}

/// How many services have each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([usize; Verdict::ALL.len()]);

impl Counts {
    /// How many have this verdict.
    pub fn of(&self, verdict: Verdict) -> usize {
        self.0[verdict as usize]
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// Adds one.
    pub fn add(&mut self, verdict: Verdict) {
        self.0[verdict as usize] += 1;
    }

    /// Those that occur, worst first.
    pub fn present(&self) -> impl Iterator<Item = (Verdict, usize)> + '_ {
        Verdict::ALL.into_iter().map(|verdict| (verdict, self.of(verdict))).filter(|(_, n)| *n > 0)
    }
}

/// What is known of one host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostView {
    /// Services and launchers on it.
    pub services: usize,
    /// The broker's time minus the host's (`truth.md` 2); `None` when no message told.
    pub skew: Option<TimeDelta>,
    /// All that should run on it is lost.
    pub silent: bool,
}

/// One service (or launcher, or monitor) at one moment.
#[derive(Debug, Clone)]
pub struct ServiceView {
    /// Its name.
    pub id: Arc<str>,
    /// What we say of it.
    pub verdict: Verdict,
    /// Broker time of what made it so.
    pub since: Option<DateTime<Utc>>,
    /// The evidence, the decisive one first.
    pub reasons: Vec<Reason>,
    /// Where it is in its life.
    pub phase: Phase,
    /// What its heartbeats say; frozen while our own link is down.
    pub liveness: Liveness,
    /// What it says of itself in its present run (own and components'); from its heartbeat where it
    /// sent no status.
    pub status: Option<Status>,
    /// The message that goes with `status`.
    pub message: Option<String>,
    /// The monitored object above it, whether known or not.
    pub parent: Option<Arc<str>>,
    /// Whether it starts other services.
    pub is_launcher: bool,
    /// Whether a launcher ever spoke of it; if not it is ad hoc.
    pub managed: bool,
    /// Host name as it says, in full.
    pub host: Option<Arc<str>>,
    /// Its process.
    pub pid: Option<u32>,
    /// Broker time of the start of the present (or last) run, where known.
    pub started_at: Option<DateTime<Utc>>,
    /// Stored time of the last heartbeat of the present run; of a launcher, of any sign of life.
    pub last_heartbeat: Option<DateTime<Utc>>,
    /// Expected from one beat to the next.
    pub interval: TimeDelta,
    /// Where `interval` comes from.
    pub interval_source: IntervalSource,
    /// Restarts inside the restart window (5 minutes at least); 0 when there were none.
    pub restarts: u32,
    /// While restarting: which attempt, of how many.
    pub attempt: Option<Attempt>,
    /// Stored time of the newest message about it.
    pub last_heard: Option<DateTime<Utc>>,
    /// Whether a launcher declares it at present.
    pub declared: bool,
    /// The declared restart policy.
    pub restart_policy: Option<String>,
    /// Those directly below it: indices into [`FleetView::services`].
    pub children: Vec<usize>,
    /// The worst verdict of all that is below it.
    pub worst_below: Option<Verdict>,
    /// In the default list (`truth.md` 9).
    pub in_default: bool,
    /// In the list with `--all`.
    pub in_all: bool,
    /// All that is kept of it: the newest message of each kind and the last heartbeats.
    pub record: Arc<Record>,
}

/// Where a heartbeat interval comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalSource {
    /// The heartbeat says it.
    Said,
    /// The median gap of the beats held.
    Learned,
    /// Neither: 10 s.
    Assumed,
}

/// `(2/5)`, `(7/∞)`, `(2/?)`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// `None`: the limit is not on the wire.
    pub limit: Option<Limit>,
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.limit {
            Some(Limit::Times(limit)) => write!(f, "({}/{limit})", self.number),
            Some(Limit::Unlimited) => write!(f, "({}/∞)", self.number),
            None => write!(f, "({}/?)", self.number),
        }
    }
}

impl ServiceView {
    /// Service type: what stands before the last dot.
    pub fn service_type(&self) -> &str {
        crate::id::split(&self.id).0
    }

    /// Variant: what follows the last dot; empty where there is none.
    pub fn variant(&self) -> &str {
        crate::id::split(&self.id).1
    }

    /// Host name up to its first dot.
    pub fn short_host(&self) -> Option<&str> {
        self.host.as_deref().map(|host| host.split('.').next().unwrap_or(host))
    }

    /// How long the present run has lasted; `None` when nothing runs or the start is not known.
    pub fn uptime(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        self.started_at.filter(|_| self.phase.is_up()).map(|at| (now - at).max(TimeDelta::zero()))
    }

    /// Age of the last heartbeat.
    pub fn heartbeat_age(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        self.last_heartbeat.map(|at| (now - at).max(TimeDelta::zero()))
    }

    /// The last heartbeats, oldest first; 16 at most.
    pub fn beats(&self) -> &[Beat] {
        self.record.beats()
    }

    /// The one line that says most: why it is in trouble, or its own message.
    pub fn headline(&self) -> String {
        match self.telling() {
            Telling::Itself(message) => message.to_owned(),
            Telling::Evidence(evidence) => in_full(evidence),
        }
    }

    /// The same with the cause first, for where the end may be cut: of `crashed 4 s ago: SIGSEGV`
    /// the end is what matters most.
    pub fn cause_first(&self) -> String {
        match self.telling() {
            Telling::Itself(message) => message.to_owned(),
            Telling::Evidence(evidence) => match evidence {
                [Reason::Crashed { how, ago, .. }, ..] => {
                    format!("{how}, crashed {} ago", words(*ago))
                }
                [given_up @ Reason::GivenUp { .. }, Reason::Crashed { how, .. }, ..] => {
                    format!("{how}, {given_up}")
                }
                _ => in_full(evidence),
            },
        }
    }

    fn telling(&self) -> Telling<'_> {
        let own = self.message.as_deref().unwrap_or_default();
        match (self.verdict, &self.reasons[..]) {
            (Verdict::Ok | Verdict::Unknown | Verdict::Starting | Verdict::Error, evidence) => {
                if own.is_empty() {
                    Telling::Evidence(evidence)
                } else {
                    Telling::Itself(own)
                }
            }
            (Verdict::Degraded, [Reason::Reported { .. }, ..] | []) => Telling::Itself(own),
            (Verdict::Failed, [Reason::Reported { message: Some(message), .. }, ..]) => {
                Telling::Itself(message)
            }
            (
                Verdict::Degraded
                | Verdict::Failed
                | Verdict::Lost
                | Verdict::Restarting
                | Verdict::Late
                | Verdict::Stopping
                | Verdict::Stopped,
                evidence,
            ) => Telling::Evidence(evidence),
        }
    }
}

/// Where the headline comes from.
enum Telling<'a> {
    Itself(&'a str),
    Evidence(&'a [Reason]),
}

/// The first reason; why it was given up is told with how it crashed last.
fn in_full(evidence: &[Reason]) -> String {
    match evidence {
        [given_up @ Reason::GivenUp { .. }, Reason::Crashed { how, .. }, ..] => {
            format!("{given_up}: {how}")
        }
        [first, ..] => first.to_string(),
        [] => String::new(),
    }
}

impl FleetView {
    /// When it happened that this message tells of, and how late the message was.
    pub fn happened<T>(&self, kept: &Kept<T>) -> Happened {
        self.origins.happened(kept.run, kept.stamp.stored)
    }

    /// The service of this name.
    pub fn get(&self, id: &str) -> Option<&ServiceView> {
        self.position(id).map(|i| &self.services[i])
    }

    /// The index of the service of this name.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.services.binary_search_by(|service| (*service.id).cmp(id)).ok()
    }
}
