//! Anything at any time, against a world that starts, ends and lingers as it likes.
//!
//! Never two instances of one service; every caller answered once, and truthfully at that moment;
//! never stuck, whatever circles the order has: once the world behaves, everything comes to rest.
//! What waits for others has said for whom; what a reload starts finds nothing of what it stops;
//! crashes are counted as they happened.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

pub(super) const IDS: [&str; 4] = ["a", "b", "c", "d"];

/// One thing that may happen; numbers choose among what is possible.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Ask(usize, Command),
    /// The last request again, under its own name.
    AskAgain,
    Spawned(usize),
    NotSpawned(usize, bool),
    Ready(usize),
    Say(usize, Word),
    Watchdog(usize, Watchdog),
    Exit(usize, i32),
    Clear(usize),
    /// Time goes on: to the next deadline and so many seconds past it.
    Tick(u64),
    Reload {
        changed: usize,
        removed: usize,
        added: usize,
    },
    Shutdown,
}

fn command() -> impl Strategy<Value = Command> {
    let patience = prop_oneof![
        3 => Just(Patience::Now),
        1 => Just(Patience::WhenIdle(None)),
        1 => Just(Patience::WhenIdle(Some(s(20)))),
    ];
    prop_oneof![
        Just(Command::Start),
        patience.clone().prop_map(Command::Stop),
        patience.prop_map(Command::Restart),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let id = 0..IDS.len();
    let word = prop_oneof![Just(Word::Failed), Just(Word::Busy), Just(Word::Other)];
    let watchdog =
        prop_oneof![Just(Watchdog::Every(s(3))), Just(Watchdog::Alive), Just(Watchdog::Trigger)];
    prop_oneof![
        8 => (id.clone(), command()).prop_map(|(id, command)| Step::Ask(id, command)),
        1 => Just(Step::AskAgain),
        8 => id.clone().prop_map(Step::Spawned),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, transient)| Step::NotSpawned(id, transient)),
        4 => id.clone().prop_map(Step::Ready),
        3 => (id.clone(), word).prop_map(|(id, word)| Step::Say(id, word)),
        1 => (id.clone(), watchdog).prop_map(|(id, watchdog)| Step::Watchdog(id, watchdog)),
        6 => (id.clone(), prop_oneof![Just(0), Just(1), Just(-9), Just(143)])
            .prop_map(|(id, code)| Step::Exit(id, code)),
        6 => id.clone().prop_map(Step::Clear),
        6 => prop_oneof![4 => Just(0u64), 1 => 1..100u64].prop_map(Step::Tick),
        1 => (id.clone(), id.clone(), id)
            .prop_map(|(changed, removed, added)| Step::Reload { changed, removed, added }),
        1 => Just(Step::Shutdown),
    ]
}

pub(super) fn any_spec(id: &'static str) -> impl Strategy<Value = Spec> {
    let when = prop_oneof![
        Just(RestartWhen::No),
        Just(RestartWhen::Always),
        Just(RestartWhen::OnFailure),
        Just(RestartWhen::OnAbnormal)
    ];
    let readiness = prop_oneof![
        Just(Readiness::AtOnce),
        Just(Readiness::Reported),
        Just(Readiness::Within(s(30)))
    ];
    let after = proptest::sample::subsequence(IDS.to_vec(), 0..3);
    (when, readiness, after, 0..2i64, 0..3u32, 0..10u8).prop_map(
        move |(when, readiness, after, level, limit, enabled)| Spec {
            enabled: enabled > 1,
            restart: RestartPolicy { when, limit: NonZeroU32::new(limit), ..spec(id).restart },
            readiness,
            after: after.into_iter().map(super::id).collect(),
            level,
            ..spec(id)
        },
    )
}

/// What there is in the world of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Being {
    Asked,
    Alive { ready: bool },
    Left,
}

/// What was asked for, where it was one service; the run there was then; the answers so far.
#[derive(Debug, Default)]
struct Asked {
    what: Option<(ServiceId, Command, Run)>,
    answers: u32,
}

#[derive(Debug)]
pub(super) struct Fake {
    supervisor: Supervisor,
    now: Duration,
    specs: Vec<Spec>,
    beings: BTreeMap<ServiceId, (Run, Being)>,
    /// Told to end.
    stopped: BTreeMap<ServiceId, Run>,
    tickets: BTreeMap<Ticket, Asked>,
    last_request: Option<Event>,
    /// For whom each service said last that it waits, until it is started.
    waiting: BTreeMap<ServiceId, Vec<ServiceId>>,
    crashes: BTreeMap<ServiceId, Vec<Duration>>,
    /// Runs that a reload has told to stop, and what it has added.
    reloaded: (Vec<(ServiceId, Run)>, Option<ServiceId>),
    done: u32,
}

impl Fake {
    pub(super) fn new(specs: Vec<Spec>, places: usize) -> Self {
        let mut fake = Self {
            supervisor: Supervisor::new(places),
            now: s(1000),
            specs: specs.clone(),
            beings: BTreeMap::new(),
            stopped: BTreeMap::new(),
            tickets: BTreeMap::new(),
            last_request: None,
            waiting: BTreeMap::new(),
            crashes: BTreeMap::new(),
            reloaded: (Vec::new(), None),
            done: 0,
        };
        fake.on(Event::Apply { diff: Diff { added: specs, ..Diff::default() }, request: None });
        fake
    }

    fn on(&mut self, event: Event) {
        for effect in self.supervisor.handle(event, self.now) {
            match effect {
                Effect::Spawn { id, run } => {
                    assert_eq!(self.beings.get(&id), None, "two instances of {id}");
                    let (stops, added) = &self.reloaded;
                    let left = stops.iter().filter(|(id, run)| self.is_there(id, *run)).count();
                    assert!(added.as_ref() != Some(&id) || left == 0, "{id} before {stops:?}");
                    self.waiting.remove(&id);
                    self.stopped.remove(&id);
                    self.beings.insert(id, (run, Being::Asked));
                }
                Effect::Stop { id, run } => {
                    let being = self.beings[&id];
                    let may_end = |being| matches!(being, Being::Asked | Being::Alive { .. });
                    assert!(being.0 == run && may_end(being.1), "{being:?}");
                    assert_ne!(self.stopped.insert(id, run), Some(run), "told twice");
                }
                Effect::Kill { id, run } => {
                    assert_eq!(self.beings.get(&id).map(|it| it.0), Some(run), "kill of the gone");
                    self.stopped.insert(id, run);
                }
                Effect::Reply { ticket, answer } => self.answered(ticket, &answer),
                Effect::Forget { id } => {
                    assert_eq!(self.beings.get(&id), None, "left behind");
                    self.crashes.remove(&id);
                }
                Effect::Done(_) => {
                    assert!(
                        self.beings.is_empty()
                            || self.supervisor.services.values().any(Service::is_unkillable)
                    );
                    self.done += 1;
                }
                Effect::Publish { id, event, .. } => self.published(id, event),
            }
        }
        for service in self.supervisor.services() {
            let on = self.supervisor.waits_for(&service.spec.id);
            let said = self.waiting.get(&service.spec.id).into_iter().flatten();
            assert!(on.is_empty() || said.into_iter().any(|it| on.contains(it)), "{service:?}");
        }
    }

    /// Is it there, and can be ended?
    fn is_there(&self, id: &ServiceId, run: Run) -> bool {
        let can_end = self.supervisor.services.get(id).is_some_and(|it| !it.is_unkillable());
        can_end && self.beings.get(id).is_some_and(|it| it.0 == run)
    }

    fn published(&mut self, id: ServiceId, event: RegistryEvent) {
        let crashes = self.crashes.entry(id.clone()).or_default();
        let (recent_crashes, crash) = match event {
            RegistryEvent::Waiting { waiting_for, timed_out } => {
                let on: Vec<ServiceId> = waiting_for.iter().map(|it| it.parse().unwrap()).collect();
                assert!(!on.is_empty() && !on.contains(&id), "{id} waits for {on:?}");
                if !timed_out {
                    self.waiting.insert(id, on);
                }
                return;
            }
            RegistryEvent::Crashed(crash) => (crash.recent_crashes, true),
            RegistryEvent::Start { recent_crashes, .. }
            | RegistryEvent::Restarting { recent_crashes, .. } => (recent_crashes, false),
            _ => return,
        };
        if crash {
            crashes.push(self.now);
        }
        let recent = crashes.iter().filter(|&&at| self.now.saturating_sub(at) < s(600)).count();
        assert_eq!(recent_crashes, u32::try_from(recent).ok(), "{id}");
    }

    /// Is it so?
    fn answered(&mut self, ticket: Ticket, answer: &Answer) {
        let asked = self.tickets.get_mut(&ticket).expect("nobody asked");
        asked.answers += 1;
        assert_eq!(asked.answers, 1, "answered twice");
        let (Some((id, command, before)), Answer::Service(Ok(success))) = (&asked.what, answer)
        else {
            return;
        };
        let being = self.beings.get(id).copied();
        match success.state {
            Reached::Running { .. } => {
                assert!(matches!(being, Some((_, Being::Alive { ready: true }))), "{being:?}");
                if let Command::Restart(_) = command {
                    assert!(being.is_some_and(|it| it.0 > *before), "the old run");
                }
            }
            Reached::Stopped { .. } => {
                assert!(being.is_none_or(|it| it.0 > *before), "not stopped: {being:?}");
            }
            Reached::Starting { .. } => {
                assert!(
                    matches!(being, Some((_, Being::Asked | Being::Alive { .. }))),
                    "{being:?}"
                );
            }
            Reached::Completed | Reached::Updated => {}
        }
    }

    fn ask(&mut self, id: &ServiceId, command: Command) {
        let ticket = Ticket(self.tickets.len() as u64);
        let before = self.supervisor.services.get(id).map_or(Run(0), |service| service.run);
        self.tickets
            .insert(ticket, Asked { what: Some((id.clone(), command, before)), answers: 0 });
        let operation = operation(ticket.0);
        let event = Event::Request { ticket, operation, id: id.clone(), command };
        self.last_request = Some(event.clone());
        self.on(event);
    }

    fn report(&mut self, id: &ServiceId, report: Report) {
        let run = self.beings[id].0;
        self.on(Event::Report { id: id.clone(), run, report });
    }

    pub(super) fn step(&mut self, step: Step) {
        let being = |which: usize| {
            let id = super::id(IDS[which]);
            let being = self.beings.get(&id).map(|it| it.1);
            (id, being)
        };
        match step {
            Step::Ask(which, command) => self.ask(&super::id(IDS[which]), command),
            Step::AskAgain => {
                if let Some(Event::Request { operation, id, command, .. }) =
                    self.last_request.clone()
                {
                    let ticket = Ticket(self.tickets.len() as u64);
                    self.tickets.insert(ticket, Asked::default());
                    self.on(Event::Request { ticket, operation, id, command });
                }
            }
            Step::Spawned(which) => {
                if let (id, Some(Being::Asked)) = being(which) {
                    let ready = self.supervisor.services[&id].spec.readiness == Readiness::AtOnce;
                    self.set(&id, Being::Alive { ready });
                    self.report(&id, Report::Spawned { pid: Some(7) });
                }
            }
            Step::NotSpawned(which, transient) => {
                if let (id, Some(Being::Asked)) = being(which) {
                    let (run, _) = self.beings.remove(&id).unwrap();
                    let report = Report::NotSpawned { error: "no".into(), transient };
                    self.on(Event::Report { id, run, report });
                }
            }
            Step::Ready(which) => {
                if let (id, Some(Being::Alive { .. })) = being(which) {
                    self.set(&id, Being::Alive { ready: true });
                    self.report(&id, Report::Ready);
                }
            }
            Step::Say(which, word) => {
                if let (id, Some(Being::Alive { .. })) = being(which) {
                    self.report(&id, Report::Said { word, message: None });
                }
            }
            Step::Watchdog(which, watchdog) => {
                if let (id, Some(Being::Alive { .. })) = being(which) {
                    self.report(&id, Report::Watchdog(watchdog));
                }
            }
            Step::Exit(which, code) => {
                if let (id, Some(Being::Alive { .. })) = being(which) {
                    self.set(&id, Being::Left);
                    self.report(&id, exit(code));
                }
            }
            Step::Clear(which) => {
                if let (id, Some(Being::Left)) = being(which) {
                    let (run, _) = self.beings.remove(&id).unwrap();
                    self.on(Event::Report { id, run, report: Report::Cleared });
                }
            }
            Step::Tick(late) => {
                if let Some(at) = self.supervisor.deadline() {
                    self.now = self.now.max(at) + s(late);
                    self.on(Event::Tick);
                }
            }
            Step::Reload { changed, removed, added } => {
                let diff = Diff {
                    added: vec![self.specs[added].clone()],
                    restarted: vec![self.specs[changed].clone()],
                    updated: Vec::new(),
                    removed: vec![super::id(IDS[removed])],
                    ..Diff::default()
                };
                let ticket = Ticket(self.tickets.len() as u64);
                self.tickets.insert(ticket, Asked::default());
                let request = Some((ticket, operation(ticket.0)));
                self.reloaded = (Vec::new(), Some(super::id(IDS[added])));
                let before: Vec<_> = self.stopped.clone().into_iter().collect();
                self.on(Event::Apply { diff, request });
                let stops = self.stopped.clone().into_iter().filter(|it| !before.contains(it));
                self.reloaded.0 = stops.collect();
            }
            Step::Shutdown => self.on(Event::Shutdown),
        }
    }

    /// Nothing of any run is there.
    pub(super) fn is_empty(&self) -> bool {
        self.beings.is_empty()
    }

    /// Ends it all, in order.
    pub(super) fn shut_down(&mut self) {
        self.step(Step::Shutdown);
        self.come_to_rest();
        assert!(self.is_empty() && self.done == 1);
    }

    fn set(&mut self, id: &ServiceId, being: Being) {
        self.beings.get_mut(id).unwrap().1 = being;
    }

    /// From here on everything starts, gets ready, is idle, and ends when told to.
    fn come_to_rest(&mut self) {
        for _ in 0..2000 {
            let ids: Vec<(usize, ServiceId)> =
                IDS.iter().enumerate().map(|(n, &name)| (n, super::id(name))).collect();
            let mut still = true;
            for (n, id) in ids {
                let Some((run, being)) = self.beings.get(&id).copied() else { continue };
                match being {
                    Being::Asked => self.step(Step::Spawned(n)),
                    Being::Left => self.step(Step::Clear(n)),
                    Being::Alive { .. } if self.stopped.get(&id) == Some(&run) => {
                        self.step(Step::Exit(n, 0));
                    }
                    Being::Alive { ready: false } => self.step(Step::Ready(n)),
                    Being::Alive { ready: true } => {
                        self.step(Step::Watchdog(n, Watchdog::Every(Duration::ZERO)));
                        self.step(Step::Say(n, Word::Other));
                        continue;
                    }
                }
                still = false;
            }
            if still && self.supervisor.deadline().is_none() {
                return;
            }
            if still {
                self.step(Step::Tick(0));
            }
        }
        panic!("it does not come to rest: {self:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn anything_at_any_time(
        specs in [any_spec("a"), any_spec("b"), any_spec("c"), any_spec("d")],
        places in 1..4usize,
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut fake = Fake::new(specs.into(), places);
        for step in steps {
            fake.step(step);
        }
        fake.come_to_rest();
        for asked in fake.tickets.values() {
            prop_assert_eq!(asked.answers, 1, "{:?}", asked);
        }
        for service in fake.supervisor.services() {
            prop_assert!(!matches!(service.phase, Phase::Waiting | Phase::Starting | Phase::Stopping | Phase::Backoff), "{service:?}");
        }
        fake.step(Step::Shutdown);
        fake.come_to_rest();
        prop_assert_eq!(fake.done, 1);
        prop_assert!(fake.beings.is_empty());
    }
}
