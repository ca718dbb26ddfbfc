//! An observatory on paper: services that beat each second, a stream that takes a record only after
//! the one that is expected, sentinels, and a sink for what they send. Time is virtual.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tcs_fleet::{Fleet, FleetView, Link, Order, Stamp};
use tcs_wire::{Subjects, Timestamp, decode};

use super::support::{Stored, at};
use crate::{
    Address, AlarmView, Alarms, Claim, Intent, Notification, Record, RuleSet, Sentinel, Situation,
};

pub(crate) const LAUNCHER: &str = "launcher.L.srv01-process-launcher";

/// What a sentinel does about a claim before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    BeforeClaim,
    Claimed,
    Sent,
}

pub(crate) struct World {
    pub(crate) now: f64,
    sentinel_host: &'static str,
    fleet: Fleet,
    /// Who beats.
    beating: BTreeSet<String>,
    numbers: BTreeMap<String, u64>,
    created: f64,
    seq: u64,
    last: BTreeMap<Address, u64>,
    pub(crate) stream: Vec<Stored>,
    /// What each sentinel has folded, which survives a wiped store.
    sentinels: Vec<(Sentinel, Alarms, usize)>,
    pub(crate) sink: Vec<(f64, Notification)>,
    /// Channels that answer 500.
    pub(crate) broken: BTreeSet<String>,
    pub(crate) link: Link,
    /// The next sentinel that claims ends here.
    pub(crate) kill: Option<End>,
    pub(crate) rules: RuleSet,
}

pub(crate) fn rules(settings: &Value, channels: &[&str]) -> RuleSet {
    let rules = serde_json::from_value(settings["rules"].clone()).unwrap_or_default();
    let escalate = serde_json::from_value(settings["escalate"].clone()).unwrap();
    RuleSet::of_settings(rules, escalate, channels).unwrap()
}

impl World {
    /// A launcher with services `a.0`, `a.1`, ... and two sentinels, up for a minute.
    pub(crate) fn new(services: usize, settings: &Value) -> Self {
        Self::with_sentinels_on("srv01", services, settings)
    }

    pub(crate) fn with_sentinels_on(host: &'static str, services: usize, settings: &Value) -> Self {
        let mut world = Self {
            now: 0.0,
            sentinel_host: host,
            fleet: Fleet::new(),
            beating: BTreeSet::new(),
            numbers: BTreeMap::new(),
            created: -1e6,
            seq: 0,
            last: BTreeMap::new(),
            stream: Vec::new(),
            sentinels: Vec::new(),
            sink: Vec::new(),
            broken: BTreeSet::new(),
            link: Link::Steady,
            kill: None,
            rules: rules(settings, &["chat", "page"]),
        };
        world.status(LAUNCHER, "ok");
        world.beating.insert(LAUNCHER.to_owned());
        for i in 0..services {
            world.start(&format!("a.{i}"));
        }
        for name in ["sentinel.a", "sentinel.b"] {
            world.status(name, "ok");
            world.beating.insert(name.to_owned());
        }
        world.start_sentinels();
        world.run_to(60.0);
        world
    }

    /// New processes, with nothing in memory.
    pub(crate) fn start_sentinels(&mut self) {
        let channels = vec!["chat".to_owned(), "page".to_owned()];
        let start = |name: &str| {
            let rules = self.rules.clone();
            Sentinel::new(name, rules, channels.clone(), at(self.now)).unwrap()
        };
        let names = ["sentinel.a", "sentinel.b"];
        self.sentinels = names.map(|name| (start(name), Alarms::new(), 0)).into();
    }

    pub(crate) fn stop_sentinels(&mut self) {
        self.sentinels.clear();
    }

    fn tell(&mut self, subject: &str, mut data: Value) {
        let ts = serde_json::to_value(Timestamp::new(at(self.now))).unwrap();
        data["timestamp"] = ts.clone();
        let body = json!({"data": data, "meta": {"id": "m", "sender": "s", "ts": ts}}).to_string();
        let subject = format!("svc.{subject}");
        let decoded =
            decode(Subjects::default().parse(&subject).unwrap(), body.as_bytes()).unwrap();
        let number = self.numbers.entry("fleet".to_owned()).or_default();
        *number += 1;
        let order = Order::Stream { created: at(-1e6), seq: *number };
        self.fleet.apply(&subject, decoded, Stamp { stored: at(self.now), order });
    }

    pub(crate) fn status(&mut self, id: &str, word: &str) {
        let mut data = json!({"name": id, "status": word, "hostname": "srv01", "pid": 100});
        if id.starts_with("sentinel") {
            data["hostname"] = json!(self.sentinel_host);
            data["details"] = json!({"metrics": {"watches": true}});
        }
        self.tell(&format!("status.{id}"), data);
    }

    /// That it is well, with metrics.
    pub(crate) fn status_with(&mut self, id: &str, metrics: &Value) {
        let data = json!({"name": id, "status": "ok", "hostname": self.sentinel_host, "pid": 100,
            "details": {"metrics": metrics}});
        self.tell(&format!("status.{id}"), data);
    }

    pub(crate) fn event(&mut self, name: &str, id: &str, more: &Value) {
        let mut data = json!({"event": name, "service_id": id, "parent": LAUNCHER,
            "hostname": "srv01", "pid": 100});
        for (key, value) in more.as_object().unwrap() {
            data[key] = value.clone();
        }
        self.tell(&format!("registry.{name}.{id}"), data);
    }

    pub(crate) fn start(&mut self, id: &str) {
        self.event("start", id, &json!({}));
        self.status(id, "ok");
        self.beating.insert(id.to_owned());
    }

    /// A crash that is not followed by a restart, or is.
    pub(crate) fn crash(&mut self, id: &str, will_restart: bool) {
        self.beating.remove(id);
        self.event("crashed", id, &json!({"exit_code": -9, "will_restart": will_restart}));
    }

    /// It sends no heartbeats any more.
    pub(crate) fn freeze(&mut self, id: &str) {
        self.beating.remove(id);
    }

    pub(crate) fn thaw(&mut self, id: &str) {
        self.beating.insert(id.to_owned());
    }

    pub(crate) fn freeze_all(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.beating)
    }

    /// One second at a time.
    pub(crate) fn run_to(&mut self, until: f64) {
        while self.now + 1.0 <= until {
            self.now = (self.now + 1.0).floor();
            if !matches!(self.link, Link::Down { .. }) {
                for id in self.beating.clone() {
                    let number = self.numbers.entry(id.clone()).or_default();
                    *number += 1;
                    let data =
                        json!({"service_id": id, "sequence": *number, "interval_seconds": 1.0});
                    self.tell(&format!("heartbeat.{id}"), data);
                }
            }
            self.evaluate();
        }
    }

    pub(crate) fn run(&mut self, seconds: f64) {
        self.run_to(self.now + seconds);
    }

    /// The store is lost, and a new stream is made.
    pub(crate) fn wipe(&mut self) {
        (self.created, self.seq) = (self.now, 0);
        self.last.clear();
        self.stream.clear();
        for (_, _, read) in &mut self.sentinels {
            *read = 0;
        }
    }

    /// Somebody purges all subjects of an alarm.
    pub(crate) fn purge(&mut self, alarm: &str) {
        let is_of = |address: &Address| address.alarm().is_some_and(|it| it.to_string() == *alarm);
        self.stream.retain(|(address, ..)| !is_of(address));
        self.last.retain(|address, _| !is_of(address));
        for (_, _, read) in &mut self.sentinels {
            *read = self.stream.len();
        }
    }

    /// The sentinels look what the stream holds.
    pub(crate) fn look_what_is_held(&mut self) {
        let held = self.stream.iter().map(|(address, ..)| address.clone()).collect();
        for (_, alarms, _) in &mut self.sentinels {
            alarms.note_held(at(self.created).into(), self.seq, &held);
        }
    }

    pub(crate) fn view(&self) -> FleetView {
        self.fleet.view(at(self.now), self.link)
    }

    /// What the sentinels have folded.
    pub(crate) fn folds(&self) -> impl Iterator<Item = &Alarms> {
        self.sentinels.iter().map(|(_, alarms, _)| alarms)
    }

    /// What a console makes of the stream.
    pub(crate) fn alarms(&self) -> Vec<AlarmView> {
        super::support::fold(&self.stream).views(at(self.now), &self.view())
    }

    pub(crate) fn alarm(&self, id: &str) -> Option<AlarmView> {
        self.alarms().into_iter().find(|view| view.id.to_string() == id)
    }

    /// `state xN`, or `none`.
    pub(crate) fn say(&self, id: &str) -> String {
        self.alarm(id).map_or_else(
            || "none".to_owned(),
            |view| format!("{} x{}", view.state, view.record().occurrences),
        )
    }

    /// What was sent by a channel: alarm and why.
    pub(crate) fn sent(&self, channel: &str) -> Vec<String> {
        let by = self.sink.iter().filter(|(_, it)| it.channel == channel);
        by.map(|(_, it)| {
            let why = serde_json::to_value(it.why).unwrap();
            format!("{}/{} {}", it.rule, it.object, why.as_str().unwrap())
        })
        .collect()
    }

    /// Stores a record; `expected`: what a sentinel demands.
    pub(crate) fn store(
        &mut self,
        address: Address,
        record: Record,
        expected: Option<u64>,
    ) -> bool {
        // where all messages of a subject are gone, the next one is the first again
        let last = self.last.get(&address).copied();
        if expected.zip(last).is_some_and(|(expected, last)| expected != last) {
            return false;
        }
        self.seq += 1;
        self.last.insert(address.clone(), self.seq);
        let order = Order::Stream { created: at(self.created), seq: self.seq };
        self.stream.push((address, record, Stamp { stored: at(self.now), order }));
        true
    }

    /// Somebody stores what no sentinel can read.
    pub(crate) fn store_unreadable(&mut self, address: &Address) {
        self.seq += 1;
        let order = Order::Stream { created: at(self.created), seq: self.seq };
        self.last.insert(address.clone(), self.seq);
        for (_, alarms, _) in &mut self.sentinels {
            alarms.pass_over(address.clone(), &Stamp { stored: at(self.now), order });
        }
    }

    /// All sentinels see the same, and then write one after the other.
    pub(crate) fn evaluate(&mut self) {
        let fleet = self.view();
        let missing: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        let reset = self.created > 0.0 && self.now < self.created + 5.0;
        let own =
            "store_reset/_broker".parse().map(|id| (id, "the broker lost its store".to_owned()));
        let own: Vec<_> = own.into_iter().filter(|_| reset).collect();
        let is_down = matches!(self.link, Link::Down { .. });
        let mut plans = Vec::new();
        for (sentinel, alarms, read) in &mut self.sentinels {
            if !is_down {
                for (address, record, stamp) in &self.stream[*read..] {
                    alarms.apply(address, record.clone(), stamp);
                }
                *read = self.stream.len();
            }
            let stream = (!is_down).then(|| at(self.created));
            let situation =
                Situation { fleet: &fleet, missing_events: &missing, stream, own: &own };
            plans.push(sentinel.evaluate(&situation, alarms));
        }
        for (number, intents) in plans.into_iter().enumerate() {
            for intent in intents {
                match intent {
                    Intent::Write(write) => {
                        self.store_by(number, write.address, write.record, write.expected);
                    }
                    Intent::Notify(claim) => {
                        if self.send(number, &claim) {
                            // killed, and started again at once
                            let name = ["sentinel.a", "sentinel.b"][number];
                            let channels = vec!["chat".to_owned(), "page".to_owned()];
                            let rules = self.rules.clone();
                            let new = Sentinel::new(name, rules, channels, at(self.now)).unwrap();
                            self.sentinels[number] = (new, Alarms::new(), 0);
                            break;
                        }
                    }
                }
            }
        }
    }

    /// A sentinel folds what it has stored itself at once.
    fn store_by(&mut self, number: usize, address: Address, record: Record, expected: u64) -> bool {
        let stored = self.store(address, record, Some(expected));
        if let Some((address, record, stamp)) = self.stream.last().filter(|_| stored) {
            self.sentinels[number].1.apply(address, record.clone(), stamp);
        }
        stored
    }

    /// Claims, sends, and stores the outcome; whether the sentinel was killed meanwhile.
    fn send(&mut self, number: usize, claim: &Claim) -> bool {
        let kill = self.kill.take();
        if kill == Some(End::BeforeClaim) {
            return true;
        }
        let record = Record::Sent(claim.record.clone());
        if !self.store_by(number, claim.address(), record, claim.expected) {
            self.kill = kill;
            return false;
        }
        let claimed = self.seq;
        if kill == Some(End::Claimed) {
            return true;
        }
        let is_broken = self.broken.contains(&claim.notification.channel);
        if !is_broken {
            self.sink.push((self.now, claim.notification.clone()));
        }
        if kill == Some(End::Sent) {
            return true;
        }
        let result = if is_broken { Err("500".into()) } else { Ok(()) };
        self.store_by(number, claim.address(), claim.outcome(result), claimed);
        false
    }
}
