//! The picture as a whole: who stands below whom, what is listed, how many there are of each
//! (`docs/spec/truth.md#what-is-listed` and `docs/spec/truth.md#tree`).

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::assess::{self, Around, Assessment};
use super::crashes;
use super::life::{Life, Moment};
use super::liveness;
use super::liveness::Link;
use super::origin::Origins;
use super::reason::Reason;
use super::record::Record;
use super::relations::{self, Hosts, Launchers, Standing};
use super::verdict::{Phase, Verdict};
use super::view::{Counts, FleetView, ServiceView};

/// What was heard of within this time is listed.
const RECENT: TimeDelta = TimeDelta::hours(24);
/// An ad-hoc object that is lost leaves the default list after this time.
const AD_HOC: TimeDelta = TimeDelta::hours(1);

/// All that the picture is made of, sorted by name.
pub(super) struct Known<'a> {
    pub(super) moment: Moment<'a>,
    pub(super) names: Vec<&'a Arc<str>>,
    pub(super) records: Vec<&'a Arc<Record>>,
    pub(super) lives: Vec<Life<'a>>,
    pub(super) launchers: Launchers<'a>,
}

impl Known<'_> {
    fn position(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|known| (***known).cmp(name)).ok()
    }
}

pub(super) fn assemble(
    known: &Known<'_>,
    newest: Option<DateTime<Utc>>,
    origins: Arc<Origins>,
) -> FleetView {
    let Moment { now, link, .. } = known.moment;
    let declaring: Vec<Vec<&str>> =
        known.records.iter().map(|record| known.launchers.declaring(record)).collect();
    let heirs: Vec<Option<&str>> =
        known.lives.iter().zip(&declaring).map(|(life, by)| heir(known, life, by)).collect();
    let parent_names: Vec<Option<&str>> =
        known.lives.iter().zip(&heirs).map(|(life, heir)| heir.or_else(|| parent(life))).collect();
    let above: Vec<Option<usize>> =
        parent_names.iter().map(|name| name.and_then(|name| known.position(name))).collect();
    let standings: Vec<Standing> = known.lives.iter().map(relations::standing).collect();

    let mut clocks = Hosts::default();
    let host_names: Vec<Option<Arc<str>>> = known
        .lives
        .iter()
        .map(|life| assess::host(life).map(|host| clocks.hear(host, life)))
        .collect();
    let hosts = clocks.views();
    let heartbeats_missing =
        !matches!(link, Link::Down { .. }) && relations::heartbeats_missing(&known.lives, now);

    let conflicts = conflicts(known, &declaring);

    let mut taken_along = vec![0_usize; known.lives.len()];
    let mut services: Vec<ServiceView> = Vec::with_capacity(known.lives.len());
    for (i, life) in known.lives.iter().enumerate() {
        let host = host_names[i].as_ref().and_then(|host| Some((host, hosts.get(host)?)));
        // an object that names itself as its parent has nobody above
        let launcher = above[i].filter(|p| *p != i).map(|p| (&**known.names[p], standings[p]));
        let around = Around {
            moment: known.moment,
            launcher,
            inherited: heirs[i].is_some(),
            removed: Launchers::removed(known.records[i], &declaring[i]),
            conflict: conflicts[i].clone(),
            host,
            heartbeats_missing,
        };
        let assessment = assess::assess(life, &around);
        if assessment.taken_along
            && let Some(p) = above[i]
        {
            taken_along[p] += 1;
        }
        let parent = match (above[i], parent_names[i]) {
            (Some(p), _) => Some(Arc::clone(known.names[p])),
            (None, name) => name.map(Arc::from),
        };
        let (host, declared) = (host_names[i].clone(), !declaring[i].is_empty());
        services.push(service(known, i, life, assessment, parent, host, declared));
    }
    for (service, along) in services.iter_mut().zip(taken_along) {
        if along > 0 {
            service.reasons.insert(0, Reason::TakesAlong(along));
        }
    }
    let roots = link_up(&mut services, &relations::parents(&above));
    let mut counts = Counts::default();
    for service in &services {
        counts.add(service.verdict);
    }
    FleetView { now, link, services, roots, counts, hosts, heartbeats_missing, newest, origins }
}

fn service(
    known: &Known<'_>,
    i: usize,
    life: &Life<'_>,
    assessment: Assessment,
    parent: Option<Arc<str>>,
    host: Option<Arc<str>>,
    declared: bool,
) -> ServiceView {
    let Assessment { verdict, phase, since, reasons, attempt, taken_along: _ } = assessment;
    let (id, record, now) = (known.names[i], known.records[i], known.moment.now);
    let up = phase.is_up();
    let present = up || phase == Phase::Failed;
    let last_heard = record.last_heard();
    let recent = last_heard.is_some_and(|at| now - at < RECENT);
    let in_default = match verdict {
        // it is to run again
        Verdict::Stopped => {
            reasons.iter().any(|it| matches!(it, Reason::Planned { .. } | Reason::Scheduled { .. }))
        }
        Verdict::Failed | Verdict::Error | Verdict::Unknown => recent,
        Verdict::Lost => {
            let patience = if life.managed { RECENT } else { AD_HOC };
            since.is_none_or(|since| now - since < patience)
        }
        Verdict::Restarting
        | Verdict::Late
        | Verdict::Degraded
        | Verdict::Starting
        | Verdict::Stopping
        | Verdict::Ok => true,
    };
    ServiceView {
        id: Arc::clone(id),
        verdict,
        since,
        reasons,
        phase,
        liveness: life.liveness,
        status: life.status().filter(|_| present),
        own_status: life.own_status().filter(|_| present),
        message: life.words.filter(|_| present).and_then(|kept| kept.message.message.clone()),
        parent,
        is_launcher: life.is_launcher,
        managed: life.managed,
        host,
        pid: assess::pid(life).filter(|_| up),
        started_at: life.started,
        last_heartbeat: life.sign,
        interval: life.interval,
        interval_source: life.interval_source,
        last_pid: assess::pid(life),
        restarts: if up { crashes::restarts(record, now) } else { 0 },
        attempt,
        last_heard,
        declared,
        restart_policy: record.declaration().and_then(|d| d.restart_policy.clone()),
        children: Vec::new(),
        worst_below: None,
        worst_ones: (0, 0),
        in_default,
        in_all: in_default || declared || recent,
        record: Arc::clone(record),
    }
}

/// The live launcher that has a service in hand, where the one that sent its newest event has not
/// any more: it has ended, is lost, or declares it no longer. Of several, the last to declare it.
fn heir<'a>(known: &Known<'_>, life: &Life<'a>, declaring: &[&'a str]) -> Option<&'a str> {
    let sender = life.record.newest_event()?.message.parent.as_deref()?;
    let lives = |name: &str| {
        known.position(name).is_some_and(|position| relations::is_live(&known.lives[position]))
    };
    if declaring.iter().all(|name| *name == sender) || declaring.contains(&sender) && lives(sender)
    {
        return None;
    }
    declaring.iter().copied().find(|name| *name != sender && lives(name))
}

/// The name of the object above: of a service that a launcher runs, the launcher that started it
/// last; else what it says itself, or who declares it.
fn parent<'a>(life: &Life<'a>) -> Option<&'a str> {
    let event = life.record.newest_event().and_then(|kept| kept.message.parent.as_deref());
    event
        .or_else(|| life.record.status().and_then(|kept| kept.message.parent.as_deref()))
        .or_else(|| life.record.declared().first().and_then(|kept| kept.message.parent.as_deref()))
}

/// Live launchers that declare the same service: at the service all of them, at each launcher the
/// others.
fn conflicts(known: &Known<'_>, declaring: &[Vec<&str>]) -> Vec<Vec<String>> {
    let mut conflicts = vec![Vec::new(); known.lives.len()];
    let mut live: HashMap<&str, bool> = HashMap::new();
    for (i, launchers) in declaring.iter().enumerate().filter(|(_, l)| l.len() > 1) {
        let there: Vec<&str> = launchers
            .iter()
            .copied()
            .filter(|name| {
                *live.entry(name).or_insert_with(|| {
                    known.position(name).is_some_and(|p| relations::is_live(&known.lives[p]))
                })
            })
            .collect();
        if there.len() < 2 {
            continue;
        }
        conflicts[i] = there.iter().map(|name| (*name).to_owned()).collect();
        for name in &there {
            let Some(p) = known.position(name) else { continue };
            let twice = there.iter().filter(|other| *other == name).count() > 1;
            for other in there.iter().filter(|other| twice || *other != name) {
                if !conflicts[p].iter().any(|held| held == other) {
                    conflicts[p].push((*other).to_owned());
                }
            }
        }
    }
    for list in &mut conflicts {
        list.sort_unstable();
    }
    conflicts
}

/// Sets children and roll-up; returns the roots. Without recursion: depth is free.
fn link_up(services: &mut [ServiceView], parents: &[Option<usize>]) -> Vec<usize> {
    let mut roots = Vec::new();
    for (i, parent) in parents.iter().enumerate() {
        match parent {
            Some(p) => services[*p].children.push(i),
            None => roots.push(i),
        }
    }
    let mut order = roots.clone();
    let mut at = 0;
    while at < order.len() {
        order.extend_from_slice(&services[order[at]].children);
        at += 1;
    }
    for i in order.into_iter().rev() {
        let Some(p) = parents[i] else { continue };
        let one = &services[i];
        let (own, below) = ((one.verdict, (1, i)), one.worst_below.map(|it| (it, one.worst_ones)));
        for (verdict, ones) in std::iter::once(own).chain(below) {
            let above = &mut services[p];
            let (count, first) = above.worst_ones;
            match above.worst_below.map_or(Ordering::Greater, |held| held.cmp(&verdict)) {
                Ordering::Less => {}
                Ordering::Equal => above.worst_ones = (count + ones.0, first.min(ones.1)),
                Ordering::Greater => {
                    (above.worst_below, above.worst_ones) = (Some(verdict), ones);
                }
            }
        }
    }
    roots
}

impl ServiceView {
    /// When it counts as late and as lost, if no more heartbeat comes; `None` when none is awaited.
    pub fn turns(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let at = self.last_heartbeat.filter(|_| self.phase.is_up())?;
        Some(liveness::turns(at, self.interval))
    }
}
