//! What services have to do with each other: launchers, hosts, common causes
//! (`docs/spec/truth.md#launchers-and-hosts`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::life::Life;
use super::record::Record;
use super::stamp::{Kept, SLACK};
use super::verdict::{Liveness, Phase};
use super::view::HostView;
use tcs_wire::{Event, RegistryMessage};

/// A launcher's `declared` that is this much older than its newest is of an earlier configuration.
const BATCH: TimeDelta = TimeDelta::seconds(60);
/// How long children may take to end after their launcher said that it ends.
pub(super) const ENDING: TimeDelta = TimeDelta::seconds(30);
/// Messages of a host that tell its skew.
const SKEW_MESSAGES: usize = 20;

/// How sure it is that a service is not in the configuration any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// Its launcher has declared others a while later.
    Probably,
    /// Its launcher numbers its declarations.
    Certainly,
}

/// What launchers have sent, by their monitored name.
#[derive(Debug, Default)]
pub(super) struct Launchers<'a> {
    sent: HashMap<&'a str, Sent<'a>>,
}

#[derive(Debug, Default)]
struct Sent<'a> {
    /// The newest event: a sign of the launcher's life.
    newest: Option<DateTime<Utc>>,
    /// The newest `declared`.
    declared: Option<&'a Kept<RegistryMessage>>,
}

impl<'a> Launchers<'a> {
    pub(super) fn read(records: impl Iterator<Item = &'a Record>) -> Self {
        let mut launchers = Self::default();
        for kept in records.flat_map(Record::registry) {
            let Some(parent) = kept.message.parent.as_deref() else { continue };
            let sent = launchers.sent.entry(parent).or_default();
            sent.newest = sent.newest.max(Some(kept.stamp.stored));
            if matches!(kept.message.event, Event::Declared(_))
                && sent.declared.is_none_or(|held| kept.stamp.stored > held.stamp.stored)
            {
                sent.declared = Some(kept);
            }
        }
        launchers
    }

    /// Whether this object starts others: it has sent events about them, or is named so.
    pub(super) fn is_launcher(&self, name: &str) -> bool {
        self.sent.contains_key(name) || name.starts_with("launcher.")
    }

    /// The newest event that this launcher sent.
    pub(super) fn sign(&self, name: &str) -> Option<DateTime<Utc>> {
        self.sent.get(name)?.newest
    }

    /// Whether launchers declared a service, and none does at present; `declaring`: those that do.
    pub(super) fn removed(record: &Record, declaring: &[&str]) -> Option<Removed> {
        let held = record.declared();
        if held.is_empty() || !declaring.is_empty() {
            return None;
        }
        let numbered = held.iter().any(|kept| kept.message.launcher_run.is_some());
        Some(if numbered { Removed::Certainly } else { Removed::Probably })
    }

    /// The launchers that declare a service at present: those in whose newest batch it is, and
    /// those that one of these names beside itself. Twice the same: two launchers of one name.
    pub(super) fn declaring<'r>(&self, record: &'r Record) -> Vec<&'r str> {
        let mut launchers: Vec<&str> = Vec::new();
        for kept in record.declared() {
            let Some(parent) = self.declarer(kept) else { continue };
            let others = match &kept.message.event {
                Event::Declared(declared) => declared.others.as_slice(),
                _ => &[],
            };
            let own_name_again = others.iter().any(|other| other == parent);
            for name in std::iter::once(parent).chain(others.iter().map(String::as_str)) {
                if !launchers.contains(&name) {
                    launchers.push(name);
                }
            }
            if own_name_again {
                launchers.push(parent);
            }
        }
        launchers
    }

    /// Who sent a `declared`, if it is of that launcher's newest batch: of its newest run and of
    /// the batch that the newest names, or, where that is not said, not much older than the newest.
    pub(super) fn declarer<'r>(&self, kept: &'r Kept<RegistryMessage>) -> Option<&'r str> {
        let parent = kept.message.parent.as_deref()?;
        let newest = self.sent.get(parent)?.declared?;
        let is_old = match (said_in(&newest.message), said_in(&kept.message)) {
            (Some((newest, _)), Some((held, _))) if newest != held => true,
            (Some((_, Some(newest))), Some((_, Some(held)))) => held < newest,
            (None | Some(_), None | Some(_)) => newest.stamp.stored - kept.stamp.stored > BATCH,
        };
        (!is_old).then_some(parent)
    }

    /// The services that `launcher` declares at present, each with the other live launchers that
    /// do. By their own words alone: what is named in `others` may be our own echo.
    pub(super) fn rivals<'r>(
        &self,
        launcher: &str,
        ours: &BTreeSet<Arc<str>>,
        records: impl Iterator<Item = (&'r Arc<str>, &'r Record)>,
        is_live: impl Fn(&str) -> bool,
    ) -> BTreeMap<Arc<str>, Vec<String>> {
        let mut rivals = BTreeMap::new();
        for (name, record) in records.filter(|(_, record)| !record.declared().is_empty()) {
            let all = record.declared().iter().filter_map(|kept| self.declarer(kept));
            let (own, mut others): (Vec<&str>, Vec<&str>) = all.partition(|it| *it == launcher);
            others.retain(|name| is_live(name));
            if (!own.is_empty() || ours.contains(name)) && !others.is_empty() {
                others.sort_unstable();
                rivals.insert(Arc::clone(name), others.into_iter().map(str::to_owned).collect());
            }
        }
        rivals
    }
}

/// The launcher's run, and which batch of it.
fn said_in(message: &RegistryMessage) -> Option<(&str, Option<u64>)> {
    let batch = match &message.event {
        Event::Declared(declared) => declared.declared.as_ref().and_then(|it| it.batch),
        _ => None,
    };
    Some((message.launcher_run.as_deref()?, batch))
}

/// How a launcher stands towards its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Up.
    There,
    /// It said that it ends, at this time.
    Ended(DateTime<Utc>),
    /// Silent for too long.
    Lost,
}

/// How this object stands towards those below it; by its own life alone.
pub(super) fn standing(life: &Life<'_>) -> Standing {
    let ended = life.words.filter(|kept| kept.message.says_shutdown());
    match life.phase {
        Phase::Stopping | Phase::Stopped | Phase::Completed => {
            match ended.map(|kept| kept.stamp.stored).or(life.since) {
                Some(at) => Standing::Ended(at),
                None => Standing::There,
            }
        }
        Phase::Starting | Phase::Running if life.liveness == Liveness::Lost => Standing::Lost,
        Phase::Waiting
        | Phase::Starting
        | Phase::Running
        | Phase::Declared
        | Phase::Backoff
        | Phase::Failed => Standing::There,
    }
}

/// Whether it is up as far as its heartbeats tell.
pub(super) fn is_live(life: &Life<'_>) -> bool {
    matches!(life.phase, Phase::Starting | Phase::Running)
        && matches!(life.liveness, Liveness::Live | Liveness::Late)
}

/// What makes all of it silent at once.
pub(super) fn heartbeats_missing(lives: &[Life<'_>], now: DateTime<Utc>) -> bool {
    let mut signs = Vec::new();
    let mut longest = TimeDelta::zero();
    for life in lives.iter().filter(|life| life.phase.is_up()) {
        match (life.liveness, life.sign) {
            (Liveness::Live, _) => return false,
            (Liveness::Late | Liveness::Lost, Some(sign)) => {
                signs.push(sign);
                longest = longest.max(life.interval);
            }
            (Liveness::Late | Liveness::Lost | Liveness::None, _) => {}
        }
    }
    let (Some(first), Some(last)) = (signs.iter().min(), signs.iter().max()) else { return false };
    // fallen silent together, and not one by one over a night
    signs.len() > 1 && *last - *first <= longest + SLACK && now > *last
}

/// What the hosts' messages tell of their clocks and of themselves.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    clocks: BTreeMap<Arc<str>, Clock>,
}

#[derive(Debug, Default)]
struct Clock {
    services: usize,
    up: usize,
    lost: usize,
    /// The newest messages: stored time, and that minus the sender's time.
    messages: BinaryHeap<Reverse<(DateTime<Utc>, TimeDelta)>>,
}

impl Clock {
    /// Says whether an older message than this could still count.
    fn hear(&mut self, stored: DateTime<Utc>, sent: DateTime<Utc>) -> bool {
        if self.messages.len() == SKEW_MESSAGES {
            if self.messages.peek().is_some_and(|Reverse((oldest, _))| stored <= *oldest) {
                return false;
            }
            self.messages.pop();
        }
        self.messages.push(Reverse((stored, stored - sent)));
        true
    }
}

impl Hosts {
    /// Takes in what one service tells of its host; gives the host's name back, shared.
    pub(super) fn hear(&mut self, host: &str, life: &Life<'_>) -> Arc<str> {
        let name = match self.clocks.get_key_value(host) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(host),
        };
        let clock = self.clocks.entry(Arc::clone(&name)).or_default();
        clock.services += 1;
        if life.phase.is_up() {
            clock.up += 1;
            clock.lost += usize::from(life.liveness == Liveness::Lost);
        }
        for beat in life.record.beats().rev() {
            if let Some(sent) = beat.sent
                && !clock.hear(beat.stamp.stored, sent.time())
            {
                break;
            }
        }
        if let Some(kept) = life.record.status()
            && let Some(sent) = kept.sent
        {
            clock.hear(kept.stamp.stored, sent.time());
        }
        name
    }

    pub(super) fn views(&self) -> BTreeMap<Arc<str>, HostView> {
        self.clocks
            .iter()
            .map(|(host, clock)| {
                let skew = clock.messages.iter().map(|Reverse((_, skew))| *skew).min();
                let silent = clock.up > 1 && clock.lost == clock.up;
                (Arc::clone(host), HostView { services: clock.services, skew, silent })
            })
            .collect()
    }
}

/// Parent of each by index; what would close a circle is at top level (`docs/spec/truth.md#tree`).
pub(super) fn parents(of: &[Option<usize>]) -> Vec<Option<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut parents = of.to_vec();
    let mut marks = vec![Mark::New; of.len()];
    for i in 0..of.len() {
        let mut path = Vec::new();
        let mut at = Some(i);
        while let Some(node) = at.filter(|node| marks[*node] == Mark::New) {
            marks[node] = Mark::OnPath;
            path.push(node);
            at = of[node];
        }
        if let Some(first) = at.filter(|node| marks[*node] == Mark::OnPath) {
            // all on the circle stand at top level; what leads to it stays below
            for node in path.iter().rev() {
                parents[*node] = None;
                if *node == first {
                    break;
                }
            }
        }
        for node in path {
            marks[node] = Mark::Done;
        }
    }
    parents
}
