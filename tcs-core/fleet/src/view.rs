//! What people see of the fleet at one moment: the result of [`super::Fleet::view`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::beats::Beat;
use super::crashes::{self, Attempt, LastEnd};
use super::liveness::{IntervalSource, Link};
use super::origin::{Happened, Origins};
use super::reason::Reason;
use super::record::Record;
use super::stamp::Kept;
use super::verdict::{Liveness, Phase, Verdict};
use tcs_wire::{DeclaredSchedule, Event, Planned, Status};

/// The fleet at one moment. Services stand in the order of their ids.
#[derive(Debug, Clone)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct HostView {
    /// Services and launchers on it.
    pub services: usize,
    /// The broker's time minus the host's (`docs/spec/truth.md#clocks`); `None` if no message
    /// shows it.
    pub skew: Option<TimeDelta>,
    /// All that should run on it is lost.
    pub silent: bool,
}

/// One service (or launcher, or monitor) at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceView {
    /// Its name.
    pub id: Arc<str>,
    /// What the symbol and the colour say.
    pub verdict: Verdict,
    /// When the verdict became so, by the broker's clock.
    pub since: Option<DateTime<Utc>>,
    /// Why, the decisive one first.
    pub reasons: Vec<Reason>,
    /// Where it is in its life.
    pub phase: Phase,
    /// What its heartbeats tell; frozen while our own link is down.
    pub liveness: Liveness,
    /// What it reports in its present run, its components included; from its heartbeat where it
    /// sent no status.
    pub status: Option<Status>,
    /// Its own status, without its components': of a launcher, without its services'.
    pub own_status: Option<Status>,
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
    /// The process that it has or had last.
    pub last_pid: Option<u32>,
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
    /// Those below it that have this verdict: how many, and the first by id, an index into
    /// [`FleetView::services`].
    pub worst_ones: (usize, usize),
    /// In the default list (`docs/spec/truth.md#what-is-listed`).
    pub in_default: bool,
    /// In the list with `--all`.
    pub in_all: bool,
    /// All that is kept of it: the newest message of each kind and the last heartbeats.
    pub record: Arc<Record>,
}

/// A host's name up to its first dot.
pub fn short_host(name: &str) -> &str {
    name.split_once('.').map_or(name, |(short, _)| short)
}

impl ServiceView {
    /// Service type: what stands before the last dot.
    pub fn service_type(&self) -> &str {
        tcs_wire::id::split(&self.id).0
    }

    /// Variant: what follows the last dot; empty where there is none.
    pub fn variant(&self) -> &str {
        tcs_wire::id::split(&self.id).1
    }

    /// Host name up to its first dot.
    pub fn short_host(&self) -> Option<&str> {
        self.host.as_deref().map(short_host)
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
    pub fn beats(&self) -> impl DoubleEndedIterator<Item = &Arc<Beat>> + Clone {
        self.record.beats()
    }

    /// `<launcher id>.<service type>`, as its launcher named it last.
    pub fn runner_id(&self) -> Option<&str> {
        let event = self.record.newest_event().and_then(|kept| kept.message.runner_id.as_deref());
        event.or_else(|| self.record.declared().first()?.message.runner_id.as_deref())
    }

    /// The services that it is started after, as its launcher declared it last.
    pub fn after(&self) -> &[String] {
        let declaration = self.record.declaration().and_then(|it| it.declared.as_ref());
        declaration.map(|it| &it.after[..]).unwrap_or_default()
    }

    /// Which start of a launcher its newest event is from: of a launcher, its own.
    pub fn launcher_run(&self) -> Option<&str> {
        self.record.newest_event()?.message.launcher_run.as_deref()
    }

    /// When it runs, where its launcher declares that it does not run all the time.
    pub fn schedule(&self) -> Option<&DeclaredSchedule> {
        self.record.schedule()
    }

    /// The work for which it was stopped, as long as it is.
    pub fn planned(&self) -> Option<&Planned> {
        match &self.record.newest_event()?.message.event {
            Event::Stop(stop) => stop.planned.as_deref().filter(|_| self.phase == Phase::Stopped),
            _ => None,
        }
    }

    /// The most informative line: why it is in trouble, the cause first; else its own message.
    pub fn headline(&self) -> String {
        let own = self.message.as_deref().unwrap_or_default();
        let own_first = match self.verdict {
            Verdict::Ok | Verdict::Unknown => true,
            Verdict::Starting => !matches!(
                self.reasons.first(),
                Some(Reason::WaitingFor { .. } | Reason::NotReady { .. })
            ),
            _ => self.reasons.is_empty(),
        };
        if own_first && !own.is_empty() {
            return own.to_owned();
        }
        match &self.reasons[..] {
            [given_up @ Reason::GivenUp { .. }, Reason::Crashed { cause, .. }, ..] => {
                format!("{cause}; {given_up}")
            }
            [ended @ Reason::Ended { .. }, next @ Reason::Scheduled { .. }, ..] => {
                format!("{next}; {}", ended.headline())
            }
            [first, ..] => first.headline(),
            [] => String::new(),
        }
    }

    /// Why it is in trouble, without times: the last crash, or the component and its message.
    /// `None` if it is not in trouble, or no cause is known.
    pub fn cause(&self) -> Option<String> {
        if !self.verdict.is_fault() {
            return None;
        }
        self.reasons.iter().find_map(|reason| match reason {
            Reason::Reported { message: Some(_), .. } => Some(reason.headline()),
            Reason::Crashed { cause, .. } | Reason::Flapping { cause, .. } => Some(cause.clone()),
            _ => None,
        })
    }
}

impl FleetView {
    /// When the thing reported by this message happened, and how late the message was.
    pub fn happened<T>(&self, kept: &Kept<T>) -> Happened {
        self.origins.happened(kept.run, kept.stamp.stored)
    }

    /// The profiles that live launchers say they are in, by name.
    pub fn profiles(&self) -> BTreeSet<&str> {
        let launchers = self.services.iter().filter(|it| it.is_launcher && it.phase.is_up());
        let said = launchers.filter_map(|it| it.record.last_beat()?.metrics.as_ref());
        said.filter_map(|metrics| metrics.get("profile")?.as_str()).collect()
    }

    /// How the last process of a service ended, or why none was started; `None` where no end of it
    /// is held.
    pub fn last_end(&self, service: &ServiceView) -> Option<LastEnd> {
        crashes::last_end(&service.record, &self.origins)
    }

    /// When a launcher declared a service last.
    pub fn declared_at(&self, service: &ServiceView) -> Option<DateTime<Utc>> {
        service.record.declared().first().map(|kept| self.happened(kept).at)
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
