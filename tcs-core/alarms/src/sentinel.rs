//! What a sentinel does at one moment: records to be stored, and notifications to be claimed and
//! sent (`docs/spec/alarms.md#sentinels`).
//!
//! All that counts is in the stream. A sentinel remembers only since when conditions have held, so
//! any of several may do what is to be done: the server takes the first record and refuses others.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::{FleetView, Link};

use crate::address::Address;
use crate::alarms::{Alarms, Held};
use crate::due::{self, Due};
use crate::findings::{Finding, Findings, Situation, evidence, findings};
use crate::flood::Flood;
use crate::id::{AlarmId, Episode};
use crate::intent::Intent;
use crate::machine::{Case, Watch};
use crate::notification::{Claim, Teller};
use crate::record::{Condition, Record, RulesRecord, Why};
use crate::renew::renewed;
use crate::rules::{RuleSet, RulesError, Terms, built_in};
use crate::severity::Severity;
use crate::span::Span;
use crate::view::AlarmView;
use crate::watchers::{missing_channels, running};

/// On top of one interval: so long after a start or an outage nothing is raised or cleared.
const GRACE: TimeDelta = TimeDelta::seconds(5);
/// The interval where no service is concerned.
const INTERVAL: TimeDelta = TimeDelta::seconds(10);

/// A sentinel: decides which records to store and which notifications to send.
#[derive(Debug, Clone)]
pub struct Sentinel {
    name: String,
    /// The rules of its own configuration.
    rules: RuleSet,
    text: String,
    /// Those that hold, where they are others: their text, and what it says if it can be read.
    stored: Option<(String, Option<RuleSet>)>,
    channels: Vec<String>,
    started: DateTime<Utc>,
    watches: BTreeMap<AlarmId, Watch>,
    last: Option<DateTime<Utc>>,
}

impl Sentinel {
    /// `name`: its service id; `channels`: those that it can send by; `started`: the broker's time.
    pub fn new(
        name: &str,
        rules: RuleSet,
        channels: Vec<String>,
        started: DateTime<Utc>,
    ) -> Result<Self, RulesError> {
        let text = rules.to_text()?;
        let (name, watches) = (name.to_owned(), BTreeMap::new());
        Ok(Self { name, rules, text, stored: None, channels, started, watches, last: None })
    }

    /// The rules that hold: those that are stored, else, or where they cannot be read, its own.
    pub fn rules(&self) -> &RuleSet {
        let stored = self.stored.as_ref().and_then(|(_, rules)| rules.as_ref());
        stored.unwrap_or(&self.rules)
    }

    /// Whether no condition holds and no alarm is open, as of the last evaluation.
    pub fn is_idle(&self) -> bool {
        self.watches.is_empty()
    }

    /// All that is to be done now.
    pub fn evaluate(&mut self, situation: &Situation<'_>, alarms: &Alarms) -> Vec<Intent> {
        let now = situation.now();
        let passed = self.last.replace(now).map_or(TimeDelta::zero(), |last| now - last);
        if passed < TimeDelta::zero() {
            // the broker's clock was set back
            self.watches.values_mut().for_each(|watch| watch.freeze(passed));
        }
        let blind = matches!(situation.fleet.link, Link::Down { .. });
        let Some(stream) = situation.stream.filter(|_| !blind) else {
            let passed = passed.max(TimeDelta::zero());
            self.watches.values_mut().for_each(|watch| watch.freeze(passed));
            return Vec::new();
        };
        let rules = self.take_rules(situation, alarms, stream);
        let mut intents: Vec<Intent> = rules.into_iter().collect();
        let views = alarms.views(now, situation.fleet);
        intents.extend(renewed(alarms, &views, stream, now));
        let mut found = findings(self.rules(), situation, alarms);
        for (alarm, finding) in missing_channels(self.rules(), situation.fleet, &self.channels) {
            found.entry(alarm).or_insert(finding);
        }
        if let Some(alarm) = self.rules_differ() {
            let message = "its rules are not those that hold".to_owned();
            found.insert(alarm, Finding { message: Some(message), ..Finding::default() });
        }
        self.states(situation, alarms, &views, &found, passed, &mut intents);
        self.notifications(situation, alarms, &views, &mut intents);
        // of two records for one subject the second would be refused
        let mut subjects = BTreeSet::new();
        intents.retain_mut(|intent| {
            let address = intent.address();
            let expected = intent.expected();
            *expected = alarms.last_seq(&address, stream.into(), *expected);
            subjects.insert(address)
        });
        intents
    }

    /// Takes over the rules that are stored, as long as the sentinel that stored them watches with
    /// them; else its own are stored.
    fn take_rules(
        &mut self,
        situation: &Situation<'_>,
        alarms: &Alarms,
        stream: DateTime<Utc>,
    ) -> Option<Intent> {
        let own = |sentinel: &Self, expected| {
            let (text, by) = (sentinel.text.clone(), sentinel.name.clone());
            Some(Intent::write(
                Address::Rules,
                Record::Rules(RulesRecord { text, by, applied: false }),
                expected,
            ))
        };
        let Some(held) = alarms.rules() else {
            self.stored = None;
            return own(self, 0);
        };
        let text = &held.record.text;
        let is_older = held.place.created < stream.into();
        let is_gone = is_older || alarms.is_purged(&Address::Rules, held.place);
        let expected = if is_older { 0 } else { held.place.seq };
        let known = self.stored.as_ref().is_some_and(|(known, _)| known == text);
        if *text == self.text {
            self.stored = None;
        } else if self.may_replace(situation, &held.record) {
            self.stored = None;
            return own(self, expected);
        } else if !known {
            self.stored = Some((text.clone(), RuleSet::of_text(text).ok()));
        }
        let record = || Record::Rules((*held.record).clone());
        is_gone.then(|| Intent::write(Address::Rules, record(), expected))
    }

    /// Whether stored rules hold no longer: the sentinel that stored them has others now, or is
    /// gone.
    fn may_replace(&self, situation: &Situation<'_>, stored: &RulesRecord) -> bool {
        if stored.applied {
            return false;
        }
        let writer = &stored.by;
        let sees = self.differing().is_some_and(|differing| !self.is_blind(situation, &differing));
        *writer == self.name || sees && !running(situation.fleet).any(|other| other == writer)
    }

    fn rules_differ(&self) -> Option<AlarmId> {
        self.stored.as_ref().and_then(|_| self.differing())
    }

    fn differing(&self) -> Option<AlarmId> {
        AlarmId::new(built_in::RULES_DIFFER, self.name.as_str()).ok()
    }

    fn states(
        &mut self,
        situation: &Situation<'_>,
        alarms: &Alarms,
        views: &[AlarmView],
        found: &Findings,
        passed: TimeDelta,
        intents: &mut Vec<Intent>,
    ) {
        let by_id: BTreeMap<&AlarmId, &AlarmView> =
            views.iter().map(|view| (&view.id, view)).collect();
        let open = views.iter().filter(|view| view.record().state != Condition::Normal);
        let mut ids: BTreeSet<AlarmId> = found.keys().cloned().collect();
        ids.extend(open.map(|view| view.id.clone()));
        self.watches.retain(|id, _| ids.contains(id));
        for id in ids {
            let view = by_id.get(&id).copied();
            let mut watch = self.watches.get(&id).copied().unwrap_or_default();
            if self.is_blind(situation, &id) {
                watch.freeze(passed);
                self.watches.insert(id, watch);
                continue;
            }
            let finding = found.get(&id);
            watch.observe(finding, situation.now());
            self.watches.insert(id.clone(), watch);
            let is_active = view.is_some_and(|view| view.record().state == Condition::Active);
            let own;
            let finding = match finding.and_then(|it| Some((it, it.cause.as_ref()?))) {
                Some((finding, cause)) if !alarms.is_active(cause) => {
                    // what explains it and is raised at once is to be known first
                    if !is_active && self.terms(cause, None).held == Span::default() {
                        continue;
                    }
                    own = Finding { cause: None, ..finding.clone() };
                    Some(&own)
                }
                _ => finding,
            };
            let service = situation.fleet.get(id.object());
            let case = Case {
                id: &id,
                held: view.map(|view| &view.held),
                acked: view.is_some_and(|view| view.acked.is_some()),
                finding,
                terms: self.terms(&id, view),
                evidence: service.map(evidence).unwrap_or_default(),
                now: situation.now(),
                by: &self.name,
            };
            if let Some(record) = case.next(&watch) {
                let expected = expected(case.held, situation);
                let record = Record::State(record);
                intents.push(Intent::write(Address::State(id), record, expected));
            }
        }
    }

    /// Of a rule that was taken away those by which nothing lasts.
    fn terms(&self, id: &AlarmId, view: Option<&AlarmView>) -> Terms {
        let gone = || Terms {
            severity: view.map_or(Severity::Info, |view| view.record().severity),
            held: Span::default(),
            clear_after: Span::default(),
            latch: false,
        };
        self.rules().terms(id.rule()).unwrap_or_else(gone)
    }

    /// Whether we cannot tell how it is with this alarm: nothing is raised or cleared then.
    fn is_blind(&self, situation: &Situation<'_>, id: &AlarmId) -> bool {
        // only who has other rules knows
        if id.rule() == built_in::RULES_DIFFER && id.object() != self.name {
            return situation.fleet.get(id.object()).is_some_and(|other| other.phase.is_up());
        }
        // whether its own channels fail is in the stream; which others have is told by the fleet
        let is_own = |name: &String| AlarmId::channel_object(name) == id.object();
        if id.rule() == built_in::STORE_RESET
            || id.rule() == built_in::CHANNEL_FAILING && self.channels.iter().any(is_own)
        {
            return false;
        }
        let missing = situation.fleet.heartbeats_missing;
        if missing && id.rule() != built_in::HEARTBEATS_MISSING {
            return true;
        }
        let interval =
            situation.fleet.get(id.object()).map_or(INTERVAL, |service| service.interval);
        situation.now() < self.sees_from(situation.fleet, interval)
    }

    /// Since when it has seen enough to judge services that send a heartbeat every `interval`.
    fn sees_from(&self, fleet: &FleetView, interval: TimeDelta) -> DateTime<Utc> {
        let since = match fleet.link {
            Link::Back { since, .. } => since.max(self.started),
            Link::Steady | Link::Down { .. } => self.started,
        };
        since + interval + GRACE
    }

    /// From when on it judges, after a start or an outage.
    pub fn judges_from(&self, fleet: &FleetView) -> DateTime<Utc> {
        self.sees_from(fleet, INTERVAL)
    }

    fn notifications(
        &self,
        situation: &Situation<'_>,
        alarms: &Alarms,
        views: &[AlarmView],
        intents: &mut Vec<Intent>,
    ) {
        let rules = self.rules();
        let flood = Flood::of(views, &rules.escalate, situation.now());
        for channel in &self.channels {
            let teller = Teller { channel, by: &self.name, rules, fleet: situation.fleet };
            let round = Round { situation, alarms, views, teller, flood };
            let claims = round.claims().into_iter().map(|claim| Intent::Notify(Box::new(claim)));
            intents.extend(claims);
        }
    }
}

/// The notifications of one channel at one moment.
struct Round<'a> {
    situation: &'a Situation<'a>,
    alarms: &'a Alarms,
    views: &'a [AlarmView],
    teller: Teller<'a>,
    flood: Option<Flood>,
}

impl Round<'_> {
    fn claims(&self) -> Vec<Claim> {
        let now = self.situation.now();
        let flood_id = AlarmId::new(built_in::FLOOD, AlarmId::BROKER).ok();
        let last_digest =
            flood_id.as_ref().and_then(|id| self.alarms.sent(self.teller.channel, id));
        let told = last_digest.map(|held| &*held.record);
        let (mut wanted, mut is_relied_on) = (Vec::new(), false);
        for view in self.views {
            let Some(due) = self.due(view) else { continue };
            let episode = &view.record().episode;
            let last = self.alarms.sent(self.teller.channel, &view.id);
            let own = due::of_episode(last, episode);
            is_relied_on |= told.is_some_and(|told| due::relies_on(told, &due, episode, own));
            if due::is_wanted(&due, episode, own, told) {
                wanted.push((view, due, last));
            }
        }
        let is_single = |due: &Due| self.flood.is_none_or(|flood| due.at < flood.from);
        let singles = wanted.iter().map(|(_, due, _)| due).filter(|due| is_single(due));
        let flood = Flood::or_of(self.flood, &singles.map(|due| due.at).collect::<Vec<_>>());
        let in_digest = |due: &Due| flood.is_some_and(|flood| due.at >= flood.from);
        let wants_digest = |flood: &Flood| {
            wanted.iter().any(|(_, due, _)| in_digest(due) && due.at <= flood.digest_due(now))
        };
        let digest = flood_id.zip(flood.filter(wants_digest)).and_then(|(id, flood)| {
            let due = Due { at: flood.digest_due(now), step: 0, why: Why::Digest };
            let told_from = told.filter(|_| is_relied_on).map(|told| told.episode.raised.time());
            let from = told_from.map_or(flood.from, |told_from| told_from.min(flood.from));
            let episode = Episode::new(id, from);
            let attempt = due::attempt(last_digest, &episode, &due, now)?;
            let expected = expected(last_digest, self.situation);
            Some(self.teller.digest(self.views, episode, &due, attempt, last_digest, expected))
        });
        let singly = wanted.iter().filter(|(_, due, _)| !in_digest(due));
        let singly = singly.filter_map(|(view, due, last)| {
            let attempt = due::attempt(*last, &view.record().episode, due, now)?;
            let expected = expected(*last, self.situation);
            Some(self.teller.claim(view, due, attempt, *last, expected))
        });
        singly.chain(digest).collect()
    }

    /// What is due by the steps of its severity. A failing channel is not used to report itself.
    fn due(&self, view: &AlarmView) -> Option<Due> {
        let own = AlarmId::channel_object(self.teller.channel);
        if view.id.object() == own {
            return None;
        }
        let steps = self.teller.rules.escalate.get(&view.record().severity)?;
        due::due(view, steps, self.teller.channel, self.situation.now())
    }
}

/// The last sequence number of a subject in the present stream.
fn expected<T>(held: Option<&Held<T>>, situation: &Situation<'_>) -> u64 {
    let stream = situation.stream.map(tcs_wire::Timestamp::new);
    held.filter(|held| Some(held.place.created) == stream).map_or(0, |held| held.place.seq)
}
