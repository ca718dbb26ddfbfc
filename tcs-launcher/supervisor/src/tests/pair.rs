//! Two launchers of one file, in one world. On one host the lock lets one of them run; on two hosts
//! both may, and then both learn of the other, whichever of them came first, and whether anybody
//! listened when they declared what they run. Never two instances of a service under one launcher.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use tcs_fleet::{Fleet, Link, Order, Stamp};
use tcs_wire::{Subjects, decode};

use super::random::{Fake, IDS, Step, any_spec, step};
use super::*;

/// What may happen to one of the two.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// It is started, if the lock is free.
    Launch,
    /// It is there, and this happens to its services.
    Step(Step),
    /// It has a connection to the broker: what waits is stored.
    Connect,
    /// It reads the streams: of each subject the newest message, then all that come.
    Read,
    /// SIGKILL: what it has started goes with it.
    Kill,
    /// An end in order.
    Stop,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        3 => Just(Turn::Launch),
        12 => step().prop_map(Turn::Step),
        2 => Just(Turn::Connect),
        2 => Just(Turn::Read),
        1 => Just(Turn::Kill),
        1 => Just(Turn::Stop),
    ]
}

type Found = BTreeMap<Arc<str>, Vec<String>>;

/// A launcher's process.
struct Launcher {
    fake: Fake,
    run: String,
    connected: bool,
    /// What waits for a broker.
    outbox: Vec<(String, Value)>,
    /// What it has read.
    fleet: Option<Fleet>,
    found: Found,
    /// Whom the others may not know of: how often they declared a service without naming it.
    unaware: u64,
    /// As it was when it declared last.
    answered: u64,
}

impl Launcher {
    fn hear(&mut self, which: usize, stored: &Stored) {
        if let Some(fleet) = &mut self.fleet {
            apply(fleet, stored);
            let message: Value = serde_json::from_slice(&stored.body).unwrap();
            let data = &message["data"];
            let is_others = data["event"] == "declared" && data["parent"] != name(which);
            let names_us =
                data["others"].as_array().is_some_and(|it| it.contains(&name(which).into()));
            self.unaware += u64::from(is_others && !names_us);
        }
    }
}

/// A message as it was stored.
struct Stored {
    subject: String,
    body: Vec<u8>,
    stamp: Stamp,
}

struct World {
    same_host: bool,
    specs: Vec<Spec>,
    ours: BTreeSet<Arc<str>>,
    launchers: [Option<Launcher>; 2],
    stream: Vec<Stored>,
    now: DateTime<Utc>,
    runs: u32,
}

fn name(which: usize) -> String {
    format!("launcher.{which}.host{which}-process-launcher")
}

impl World {
    fn new(specs: Vec<Spec>, same_host: bool) -> Self {
        let ours = specs.iter().map(|spec| spec.id.as_str().into()).collect();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let launchers = [None, None];
        Self { same_host, specs, ours, launchers, stream: Vec::new(), now, runs: 0 }
    }

    fn turn(&mut self, which: usize, turn: Turn) {
        self.now += TimeDelta::milliseconds(100);
        match turn {
            Turn::Launch => self.launch(which),
            Turn::Step(step) => {
                // what a reload removes is another test's, and the end is `Stop`
                if let Some(launcher) = &mut self.launchers[which]
                    && !matches!(step, Step::Reload { .. } | Step::Shutdown)
                {
                    launcher.fake.step(step);
                }
            }
            Turn::Connect => self.connect(which),
            Turn::Read => self.read(which),
            Turn::Kill => self.launchers[which] = None,
            Turn::Stop => self.stop(which),
        }
        self.agree();
        let there = self.launchers.iter().flatten().filter(|it| !it.fake.is_empty()).count();
        assert!(!self.same_host || there <= 1, "the lock keeps the second from starting anything");
    }

    fn launch(&mut self, which: usize) {
        let is_locked = self.same_host && self.launchers.iter().any(Option::is_some);
        if is_locked || self.launchers[which].is_some() {
            return;
        }
        self.runs += 1;
        let fake = Fake::new(self.specs.clone(), 2);
        let run = format!("run{}", self.runs);
        let (connected, outbox, fleet) = (false, Vec::new(), None);
        let (found, unaware, answered) = (Found::new(), 0, 0);
        let launcher = Launcher { fake, run, connected, outbox, fleet, found, unaware, answered };
        self.launchers[which] = Some(launcher);
        self.post(which, "start", &name(which), json!({}));
        for id in self.ours.clone() {
            self.post(which, "declared", &id, json!({"declared": {"batch": 1}}));
        }
    }

    /// A registry event of a launcher; it waits where there is no connection.
    fn post(&mut self, which: usize, event: &str, id: &str, more: Value) {
        let Some(launcher) = &mut self.launchers[which] else { return };
        let mut data = more;
        data["event"] = event.into();
        data["service_id"] = id.into();
        data["launcher_run"] = launcher.run.clone().into();
        if id != name(which) {
            data["parent"] = name(which).into();
        }
        let subject = format!("svc.registry.{event}.{id}");
        launcher.outbox.push((subject, data));
        if launcher.connected {
            self.flush(which);
        }
    }

    fn connect(&mut self, which: usize) {
        if let Some(launcher) = &mut self.launchers[which] {
            launcher.connected = true;
            self.flush(which);
            self.beat(which);
        }
    }

    fn beat(&mut self, which: usize) {
        let Some(launcher) = &mut self.launchers[which] else { return };
        let data = json!({"service_id": name(which), "status": "ok", "interval_seconds": 10.0});
        launcher.outbox.push((format!("svc.heartbeat.{}", name(which)), data));
        self.flush(which);
    }

    /// Stores what waits, and delivers it to those who read along.
    fn flush(&mut self, which: usize) {
        let Some(launcher) = &mut self.launchers[which] else { return };
        let run = launcher.run.clone();
        for (subject, data) in std::mem::take(&mut launcher.outbox) {
            let body = json!({"data": data, "meta": {"sender": run}}).to_string().into_bytes();
            let seq = self.stream.len() as u64 + 1;
            let created = DateTime::UNIX_EPOCH;
            let stamp = Stamp { stored: self.now, order: Order::Stream { created, seq } };
            let stored = Stored { subject, body, stamp };
            for (which, reader) in self.launchers.iter_mut().enumerate() {
                if let Some(reader) = reader {
                    reader.hear(which, &stored);
                }
            }
            self.stream.push(stored);
        }
    }

    fn read(&mut self, which: usize) {
        let Some(launcher) = &mut self.launchers[which] else { return };
        if !launcher.connected || launcher.fleet.is_some() {
            return;
        }
        let newest: BTreeMap<_, _> = self.stream.iter().map(|it| (&it.subject, it)).collect();
        launcher.fleet = Some(Fleet::new());
        for stored in newest.into_values() {
            launcher.hear(which, stored);
        }
    }

    fn stop(&mut self, which: usize) {
        if let Some(launcher) = &mut self.launchers[which] {
            launcher.fake.shut_down();
            self.post(which, "stop", &name(which), json!({"reason": "terminated"}));
            self.launchers[which] = None;
        }
    }

    /// Who learns of another declares again, and that comes to an end.
    fn agree(&mut self) {
        for _ in 0..10 {
            let mut is_news = false;
            for which in 0..2 {
                let Some(launcher) = &mut self.launchers[which] else { continue };
                let Some(fleet) = &launcher.fleet else { continue };
                let found = fleet.rivals(&name(which), &self.ours, self.now, Link::Steady);
                let before = std::mem::replace(&mut launcher.found, found.clone());
                let is_asked =
                    std::mem::replace(&mut launcher.answered, launcher.unaware) != launcher.unaware;
                for id in self.ours.clone() {
                    let (old, new) = (before.get(&id), found.get(&id));
                    if old != new || (is_asked && new.is_some()) {
                        is_news = true;
                        let others = found.get(&id).cloned().unwrap_or_default();
                        let more = json!({"declared": {"batch": 1}, "others": others});
                        self.post(which, "declared", &id, more);
                    }
                }
            }
            if !is_news {
                return;
            }
        }
        panic!("they never agree");
    }

    /// Long after: those that are there are connected, read, and beat.
    fn settle(&mut self) {
        self.now += TimeDelta::hours(1);
        for turn in [Turn::Connect, Turn::Read] {
            for which in 0..2 {
                self.turn(which, turn);
            }
        }
        for which in 0..2 {
            self.beat(which);
        }
        self.agree();
    }

    /// What each that is there says of the others.
    fn check(&self) {
        let there: Vec<usize> = (0..2).filter(|n| self.launchers[*n].is_some()).collect();
        for which in &there {
            let found = &self.launchers[*which].as_ref().unwrap().found;
            let others: Vec<String> =
                there.iter().filter(|other| *other != which).map(|other| name(*other)).collect();
            for id in &self.ours {
                let said = found.get(id).cloned().unwrap_or_default();
                assert_eq!(said, others, "{id}, as launcher {which} has it");
            }
        }
        assert!(!self.same_host || there.len() <= 1);
    }
}

fn apply(fleet: &mut Fleet, stored: &Stored) {
    let subject = Subjects::default().parse(&stored.subject).unwrap();
    let decoded = decode(subject, &stored.body).unwrap();
    fleet.apply(&stored.subject, decoded, stored.stamp);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn two_launchers_of_one_file(
        specs in [any_spec(IDS[0]), any_spec(IDS[1]), any_spec(IDS[2]), any_spec(IDS[3])],
        same_host in any::<bool>(),
        turns in proptest::collection::vec((0..2usize, turn()), 0..80),
    ) {
        let mut world = World::new(specs.into(), same_host);
        for (which, turn) in turns {
            world.turn(which, turn);
        }
        world.settle();
        world.check();
        // both are started where they may be, and one of them goes
        world.turn(0, Turn::Launch);
        world.turn(1, Turn::Launch);
        world.settle();
        world.check();
        prop_assert_eq!(world.launchers.iter().flatten().count(), if same_host { 1 } else { 2 });
        world.turn(0, Turn::Stop);
        world.settle();
        world.check();
    }
}
