//! Which conditions hold at one moment: rules over a view of the fleet
//! (`docs/spec/alarms.md#rules`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tcs_fleet::{FleetView, Liveness, Order, Reason, ServiceView, Stamp, Verdict};

use crate::alarms::Alarms;
use crate::id::AlarmId;
use crate::record::{Delivery, Place};
use crate::rules::{Rule, RuleName, RuleSet, When, built_in};

/// A channel counts as failing after this many failed attempts.
const FAILING: u32 = 3;
/// Intervals that a raise by silence waits for a launcher or a host that is late.
const WAIT: i32 = 3;

/// A condition that holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Finding {
    /// Since when, where it is known.
    pub since: Option<DateTime<Utc>>,
    /// The service's verdict.
    pub verdict: Option<Verdict>,
    /// Codes of the reasons of the verdict.
    pub reasons: Vec<String>,
    /// In one line.
    pub message: Option<String>,
    /// The alarm that explains it.
    pub cause: Option<AlarmId>,
    /// A raise waits for this long: what explains it may become known meanwhile.
    pub wait: TimeDelta,
}

impl Finding {
    fn message(message: String) -> Self {
        Self { message: Some(message), ..Self::default() }
    }
}

/// All that holds at one moment, by alarm.
pub type Findings = BTreeMap<AlarmId, Finding>;

/// What the rules are asked about.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The fleet, and the time.
    pub fleet: &'a FleetView,
    /// Events that are missing for ever, by launcher.
    pub missing_events: &'a BTreeMap<Arc<str>, u64>,
    /// When the stream of alarms was created; `None`: records cannot be stored at present.
    pub stream: Option<DateTime<Utc>>,
    /// What only the sentinel itself sees, with a text for people: `store_reset`, `rules_differ`.
    pub own: &'a [(AlarmId, String)],
}

impl Situation<'_> {
    /// The broker's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.fleet.now
    }
}

/// What holds, by `rules` and by those that are built in.
pub fn findings(rules: &RuleSet, situation: &Situation<'_>, alarms: &Alarms) -> Findings {
    let mut asked =
        Asked { fleet: situation.fleet, hosts: hosts(situation.fleet), found: Findings::new() };
    for service in &situation.fleet.services {
        asked.service(rules, service);
    }
    asked.hosts(rules);
    if situation.fleet.heartbeats_missing {
        let message = "no heartbeat of any service".to_owned();
        asked.add(built_in::HEARTBEATS_MISSING, AlarmId::BROKER, Finding::message(message));
    }
    for (launcher, count) in situation.missing_events.iter().filter(|(_, count)| **count > 0) {
        let message = format!("events missing: {count}");
        asked.add(built_in::EVENT_GAP, &**launcher, Finding::message(message));
    }
    for (channel, error) in failing_channels(rules, alarms) {
        let object = AlarmId::channel_object(channel);
        asked.add(built_in::CHANNEL_FAILING, object, Finding::message(error));
    }
    let own = situation.own.iter();
    asked.found.extend(own.map(|(id, text)| (id.clone(), Finding::message(text.clone()))));
    without_unknown_causes(asked.found)
}

/// An alarm that cannot be raised explains nothing.
fn without_unknown_causes(mut found: Findings) -> Findings {
    let unknown =
        |finding: &Finding| finding.cause.as_ref().is_some_and(|it| !found.contains_key(it));
    let wrong: Vec<AlarmId> =
        found.iter().filter(|(_, finding)| unknown(finding)).map(|(id, _)| id.clone()).collect();
    for id in wrong {
        found.entry(id).and_modify(|finding| finding.cause = None);
    }
    found
}

/// Services of one host that are up, by what their heartbeats tell.
#[derive(Debug, Default, Clone, Copy)]
struct Host {
    up: usize,
    live: usize,
    lost: usize,
}

impl Host {
    /// All are silent, and some not for long enough to be lost.
    const fn is_late(self) -> bool {
        self.up > 1 && self.live == 0 && self.lost < self.up
    }
}

fn hosts(fleet: &FleetView) -> HashMap<Arc<str>, Host> {
    let mut hosts: HashMap<Arc<str>, Host> = HashMap::new();
    for service in fleet.services.iter().filter(|service| service.phase.is_up()) {
        let Some(name) = &service.host else { continue };
        let host = hosts.entry(Arc::clone(name)).or_default();
        host.up += 1;
        host.live += usize::from(service.liveness == Liveness::Live);
        host.lost += usize::from(service.liveness == Liveness::Lost);
    }
    hosts
}

struct Asked<'a> {
    fleet: &'a FleetView,
    hosts: HashMap<Arc<str>, Host>,
    found: Findings,
}

impl Asked<'_> {
    /// A name that NATS cannot carry has no alarm: nothing could be stored of it.
    fn add(&mut self, rule: &str, object: impl Into<Arc<str>>, finding: Finding) {
        if let Ok(alarm) = AlarmId::new(rule, object) {
            self.found.insert(alarm, finding);
        }
    }

    fn service(&mut self, rules: &RuleSet, service: &ServiceView) {
        if let Some(rule) = built_in_rule(service) {
            let finding = self.finding(service, rule);
            self.add(rule, Arc::clone(&service.id), finding);
        }
        let held = rules.rules.iter();
        let held = held.filter(|(_, it)| holds(&it.when, service) && it.covers.matches(service));
        let held: Vec<(&RuleName, &Rule)> = held.collect();
        // of several rules about the state of a service the most severe explains the others
        let of_state = held.iter().filter(|(_, rule)| rule.when.metric.is_none());
        let worst = of_state.max_by_key(|(_, rule)| rule.severity).copied();
        for (name, rule) in held {
            let mut finding = self.finding(service, name.as_str());
            if let (Some(metric), Some(value)) = (&rule.when.metric, metric(rule, service)) {
                (finding.since, finding.message) = (None, Some(format!("{metric} is {value}")));
            } else if let Some((worst, _)) = worst.filter(|(_, it)| it.severity > rule.severity) {
                let cause = || AlarmId::new(worst.as_str(), Arc::clone(&service.id)).ok();
                finding.cause = finding.cause.or_else(cause);
            }
            self.add(name.as_str(), Arc::clone(&service.id), finding);
        }
    }

    fn finding(&self, service: &ServiceView, rule: &str) -> Finding {
        let cause = cause(service).and_then(|(rule, object)| AlarmId::new(rule, object).ok());
        let cause = cause.filter(|cause| cause.rule() != rule || cause.object() != &*service.id);
        Finding {
            since: service.since,
            verdict: Some(service.verdict),
            reasons: service.reasons.iter().map(|reason| reason.code().to_owned()).collect(),
            message: message(service),
            wait: if cause.is_none() { self.wait(service) } else { TimeDelta::zero() },
            cause,
        }
    }

    /// How long a raise by silence waits: a launcher or a host may be the cause, and be late only;
    /// and what a launcher takes along may be late only.
    fn wait(&self, service: &ServiceView) -> TimeDelta {
        if service.verdict != Verdict::Lost {
            return TimeDelta::zero();
        }
        let late = |other: &ServiceView| other.phase.is_up() && other.liveness == Liveness::Late;
        let parent = service.parent.as_deref().and_then(|name| self.fleet.get(name));
        let parent = parent.filter(|parent| late(parent)).map(|parent| parent.interval);
        let children = service.children.iter().filter_map(|i| self.fleet.services.get(*i));
        let child = children.filter(|child| late(child)).map(|child| child.interval).max();
        let host = service.host.as_ref().and_then(|host| self.hosts.get(host));
        let host = host.filter(|host| host.is_late()).map(|_| service.interval);
        parent.into_iter().chain(child).chain(host).max().unwrap_or_default() * WAIT
    }

    fn hosts(&mut self, rules: &RuleSet) {
        let fleet = self.fleet;
        for (name, host) in &fleet.hosts {
            let object = AlarmId::host_object(name);
            if host.silent {
                let message = format!("host silent: {} services", host.services);
                self.add(built_in::HOST_SILENT, object.as_str(), Finding::message(message));
            }
            let Some(by) = host.skew else { continue };
            for (rule, terms) in &rules.rules {
                let too_much = terms.when.skew.is_some_and(|skew| by.abs() > skew.above.delta());
                if too_much && terms.covers.matches_name(&object, Some(name)) {
                    let message = Reason::Skew { host: name.to_string(), by }.to_string();
                    self.add(rule.as_str(), object.as_str(), Finding::message(message));
                }
            }
        }
    }
}

/// In one line, without ages where it can be told without them.
fn message(service: &ServiceView) -> Option<String> {
    let cause = service.cause().filter(|_| service.verdict != Verdict::Lost);
    cause.or_else(|| Some(service.headline())).filter(|text| !text.is_empty())
}

/// The built-in rule that holds of a service.
fn built_in_rule(service: &ServiceView) -> Option<&'static str> {
    let is_sentinel = service.service_type() == "sentinel";
    match service.verdict {
        Verdict::Lost if service.is_launcher => Some(built_in::LAUNCHER_LOST),
        Verdict::Lost | Verdict::Failed if is_sentinel => Some(built_in::SENTINEL_LOST),
        _ => None,
    }
}

/// The alarm that explains what is wrong with a service: rule and object.
fn cause(service: &ServiceView) -> Option<(&'static str, String)> {
    let host = service.reasons.iter().find_map(|reason| match reason {
        Reason::HostSilent(host) => Some((built_in::HOST_SILENT, AlarmId::host_object(host))),
        _ => None,
    });
    let launcher = || {
        service.reasons.iter().find_map(|reason| match reason {
            Reason::LauncherLost(launcher) => Some((built_in::LAUNCHER_LOST, launcher.clone())),
            _ => None,
        })
    };
    let itself = || built_in_rule(service).map(|rule| (rule, service.id.to_string()));
    host.or_else(launcher).or_else(itself)
}

fn holds(when: &When, service: &ServiceView) -> bool {
    let is = |codes: &[String]| {
        service.reasons.iter().any(|reason| codes.iter().any(|code| code == reason.code()))
    };
    when.skew.is_none()
        && (when.verdict.is_empty() || when.verdict.contains(&service.verdict))
        && (when.reason.is_empty() || is(&when.reason))
        && (when.not_reason.is_empty() || !is(&when.not_reason))
        && (when.metric.is_none() || metric_holds(when, service))
}

fn metric_holds(when: &When, service: &ServiceView) -> bool {
    let value = when.metric.as_deref().and_then(|name| metric_of(name, service));
    value.is_some_and(|value| {
        when.above.is_none_or(|above| value > above) && when.below.is_none_or(|below| value < below)
    })
}

fn metric(rule: &Rule, service: &ServiceView) -> Option<f64> {
    metric_of(rule.when.metric.as_deref()?, service)
}

/// The newest value: of the last heartbeat, else of the last status. Of a service that does not
/// run none is known.
fn metric_of(name: &str, service: &ServiceView) -> Option<f64> {
    if !service.phase.is_up() {
        return None;
    }
    let beat = service.record.last_beat().and_then(|beat| beat.metrics.as_ref()?.get(name));
    let status = || service.record.status()?.message.details.metrics.get(name);
    beat.or_else(status).and_then(Value::as_f64)
}

/// Channels by which the newest notification could not be sent, with the error. Channels that are
/// no longer used are left out.
fn failing_channels<'a>(
    rules: &RuleSet,
    alarms: &'a Alarms,
) -> impl Iterator<Item = (&'a str, String)> {
    let steps = || rules.escalate.values().flatten();
    let is_used = |channel: &str| steps().any(|step| step.channel.as_str() == channel);
    let mut newest: BTreeMap<&str, _> = BTreeMap::new();
    for (channel, sent) in alarms.all_sent().filter(|(channel, _)| is_used(channel)) {
        let held = newest.entry(channel).or_insert(sent);
        if sent.place > held.place {
            *held = sent;
        }
    }
    newest.into_iter().filter_map(|(channel, sent)| {
        let record = &sent.record;
        let failing = match record.st {
            Delivery::Failed => record.attempt >= FAILING,
            // the next attempt is on its way
            Delivery::Claim => record.attempt > FAILING,
            Delivery::Done => false,
        };
        let error = record.error.as_deref().unwrap_or("no answer");
        failing.then(|| (channel, format!("notifications by {channel} fail: {error}")))
    })
}

/// The newest message of each kind about a service.
pub(crate) fn evidence(service: &ServiceView) -> BTreeMap<String, Place> {
    let registry = service.record.events().into_iter().map(|kept| kept.stamp);
    let status = service.record.status().map(|kept| kept.stamp);
    let beat = service.record.last_beat().map(|beat| beat.stamp);
    let registry = registry.filter_map(|stamp| place(&stamp)).max();
    [
        ("registry", registry),
        ("status", status.as_ref().and_then(place)),
        ("heartbeat", beat.as_ref().and_then(place)),
    ]
    .into_iter()
    .filter_map(|(kind, place)| Some((kind.to_owned(), place?)))
    .collect()
}

fn place(stamp: &Stamp) -> Option<Place> {
    match stamp.order {
        Order::Stream { created, seq } => Some(Place { created: created.into(), seq }),
        Order::Core { .. } => None,
    }
}
