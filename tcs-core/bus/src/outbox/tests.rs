use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::clock;

fn parcel(subject: &str, n: u64) -> OutgoingMessage {
    OutgoingMessage::new(subject.to_owned(), &json!({ "n": n })).unwrap()
}

/// One copy of a message in a stream.
#[derive(Debug, Clone)]
struct Copy {
    id: String,
    subject: String,
    at: Instant,
}

/// How long the simulated streams know an id again.
const WINDOW: Duration = Duration::from_mins(2);

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// It is answered.
    Normal,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It is lost.
    Vanishes,
    /// It is not answered in time, and carried out later.
    Late,
}

/// A machine and the streams that it talks to.
struct Rig {
    machine: Machine,
    now: Instant,
    effects: Vec<Effect>,
    streams: [Vec<Copy>; 3],
    leader: [bool; 3],
    refusing: [bool; 3],
    late: Vec<(Class, OutgoingMessage)>,
    pushed: [Vec<(String, String)>; 3],
    said: Vec<Remark>,
}

impl Rig {
    fn new() -> Self {
        let mut rig = Self {
            machine: Machine::default(),
            now: clock::monotonic(),
            effects: Vec::new(),
            streams: Default::default(),
            leader: [true; 3],
            refusing: [false; 3],
            late: Vec::new(),
            pushed: Default::default(),
            said: Vec::new(),
        };
        rig.machine.linked(true, rig.now);
        rig
    }

    fn push(&mut self, class: Class, subject: &str) -> String {
        let n = self.pushed[class as usize].len() as u64 + 1;
        let parcel = parcel(subject, n);
        let id = parcel.msg_id().to_owned();
        self.pushed[class as usize].push((subject.to_owned(), id.clone()));
        self.machine.push(class, parcel, (class == Class::Event).then_some(n), self.now);
        self.poll();
        id
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Log(remark) => self.said.push(remark),
                other => self.effects.push(other),
            }
        }
    }

    fn poll(&mut self) {
        let effects = self.machine.poll(self.now);
        self.take(effects);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.poll();
    }

    fn link(&mut self, connected: bool) {
        self.machine.linked(connected, self.now);
        self.poll();
    }

    /// Stores a copy, as JetStream does.
    fn store(&mut self, class: Class, parcel: &OutgoingMessage) -> u64 {
        let stream = &mut self.streams[class as usize];
        let known = stream
            .iter()
            .position(|copy| copy.id == parcel.msg_id() && self.now < copy.at + WINDOW);
        let at = known.unwrap_or_else(|| {
            stream.push(Copy {
                id: parcel.msg_id().to_owned(),
                subject: parcel.subject().to_owned(),
                at: self.now,
            });
            stream.len() - 1
        });
        at as u64 + 1
    }

    /// One of the requests under way has its fate.
    fn resolve(&mut self, which: usize, fate: Fate) {
        if self.effects.is_empty() {
            return;
        }
        let effect = self.effects.remove(which % self.effects.len());
        let now = self.now;
        let effects = match effect {
            Effect::Send { class, serial, attempt, parcel, ask } => {
                assert!(ask, "streams are there");
                let at = class as usize;
                let answer = match fate {
                    Fate::Normal if !self.leader[at] => Answer::NoResponders,
                    Fate::Normal if self.refusing[at] => Answer::Refused("full".to_owned()),
                    Fate::Normal => {
                        let sequence = self.store(class, &parcel);
                        Answer::Stored { stream: "s".to_owned(), sequence }
                    }
                    Fate::AnswerLost => {
                        if self.leader[at] && !self.refusing[at] {
                            self.store(class, &parcel);
                        }
                        Answer::Unanswered
                    }
                    Fate::Vanishes => Answer::Unanswered,
                    Fate::Late => {
                        self.late.push((class, parcel));
                        Answer::Unanswered
                    }
                };
                self.machine.answered((class, serial, attempt), answer, now)
            }
            Effect::AskStreams { class, .. } => {
                let answer = if fate == Fate::Normal { Streams::Held } else { Streams::Unknown };
                self.machine.streams(class, answer, now)
            }
            Effect::LookUp { class, serial, attempt, parcel, after } => {
                let stream = &self.streams[class as usize];
                let from = after.map_or(0, |(_, after)| after) as usize;
                let found = stream.iter().skip(from).position(|it| it.id == parcel.msg_id());
                let found = match (fate, found) {
                    (Fate::Normal, _) if !self.leader[class as usize] => Found::Unanswered,
                    (Fate::Normal, Some(at)) => Found::Stored((from + at + 1) as u64),
                    (Fate::Normal, None) => Found::Absent,
                    (Fate::AnswerLost | Fate::Vanishes | Fate::Late, _) => Found::Unanswered,
                };
                self.machine.looked_up((class, serial, attempt), found, now)
            }
            Effect::SayAgain | Effect::Log(_) => Vec::new(),
        };
        self.take(effects);
        self.poll();
    }

    fn arrive(&mut self, which: usize) {
        if !self.late.is_empty() {
            let (class, parcel) = self.late.remove(which % self.late.len());
            self.store(class, &parcel);
        }
    }

    /// All is well from now on; until nothing waits.
    fn heal(&mut self) {
        (self.leader, self.refusing) = ([true; 3], [false; 3]);
        self.link(true);
        for _ in 0..100_000 {
            while !self.effects.is_empty() {
                self.resolve(0, Fate::Normal);
            }
            if self.machine.counts().waiting == 0 {
                return;
            }
            self.pass(Duration::from_millis(100));
        }
        panic!("{:?} wait for ever", self.machine.counts());
    }

    /// What a reader makes of a stream: the same id is the same message.
    fn read(&self, class: Class) -> Vec<(String, String)> {
        let mut seen = BTreeSet::new();
        let copies = self.streams[class as usize].iter();
        let first = copies.filter(|copy| seen.insert(copy.id.clone()));
        first.map(|copy| (copy.subject.clone(), copy.id.clone())).collect()
    }
}

/// What may happen in the property test.
#[derive(Debug, Clone)]
enum Step {
    Push(Class, u8),
    Resolve(usize, Fate),
    Pass(u64),
    Link(bool),
    Leader(Class, bool),
    Refuse(Class, bool),
    Arrive(usize),
}

fn class() -> impl Strategy<Value = Class> {
    prop::sample::select(Class::ALL.to_vec())
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        6 => Just(Fate::Normal),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Vanishes),
        1 => Just(Fate::Late),
    ];
    prop_oneof![
        6 => (class(), 0..3_u8).prop_map(|(class, subject)| Step::Push(class, subject)),
        12 => (0..8_usize, fate).prop_map(|(which, fate)| Step::Resolve(which, fate)),
        4 => prop_oneof![4 => 1..3000_u64, 1 => Just(130_000)].prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Link),
        1 => (class(), any::<bool>()).prop_map(|(class, it)| Step::Leader(class, it)),
        1 => (class(), any::<bool>()).prop_map(|(class, it)| Step::Refuse(class, it)),
        1 => (0..8_usize).prop_map(Step::Arrive),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// Whatever happens on the way: below the bounds each event is stored, in order, and the
    /// newest status of each subject is the newest stored; what is stored twice is recognised.
    #[test]
    fn nothing_is_lost_and_the_order_is_kept(steps in prop::collection::vec(step(), 1..120)) {
        let mut rig = Rig::new();
        for step in steps {
            match step {
                Step::Push(class, subject) => drop(rig.push(class, &format!("s.{subject}"))),
                Step::Resolve(which, fate) => rig.resolve(which, fate),
                Step::Pass(ms) => rig.pass(Duration::from_millis(ms)),
                Step::Link(connected) => rig.link(connected),
                Step::Leader(class, there) => rig.leader[class as usize] = there,
                Step::Refuse(class, refuses) => rig.refusing[class as usize] = refuses,
                Step::Arrive(which) => rig.arrive(which),
            }
        }
        rig.heal();
        prop_assert_eq!(rig.read(Class::Event), rig.pushed[Class::Event as usize].clone());
        let newest = |messages: &[(String, String)]| {
            messages.iter().cloned().collect::<BTreeMap<String, String>>()
        };
        prop_assert_eq!(
            newest(&rig.read(Class::Status)),
            newest(&rig.pushed[Class::Status as usize])
        );
        for class in Class::ALL {
            let mut last: BTreeMap<&str, Instant> = BTreeMap::new();
            for copy in &rig.streams[class as usize] {
                if let Some(before) = last.insert(&copy.id, copy.at) {
                    prop_assert!(copy.at >= before + WINDOW, "twice inside the window");
                }
            }
        }
        let counts = rig.machine.counts();
        prop_assert_eq!((counts.waiting, counts.dropped, counts.refused), (0, 0, 0));
        // what comes late changes nothing for a reader
        while !rig.late.is_empty() {
            rig.arrive(0);
        }
        prop_assert_eq!(rig.read(Class::Event), rig.pushed[Class::Event as usize].clone());
        prop_assert_eq!(
            newest(&rig.read(Class::Status)),
            newest(&rig.pushed[Class::Status as usize])
        );
    }
}

#[test]
fn a_stream_that_refuses_statuses_delays_no_event() {
    let mut rig = Rig::new();
    rig.refusing[Class::Status as usize] = true;
    for n in 0..50 {
        rig.push(Class::Status, &format!("s.{n}"));
        rig.push(Class::Event, "e");
        for _ in 0..8 {
            rig.resolve(0, Fate::Normal);
        }
    }
    assert_eq!(rig.read(Class::Event).len(), 50);
    for _ in 0..100 {
        rig.pass(Duration::from_secs(1));
        rig.resolve(0, Fate::Normal);
    }
    let troubles = rig.machine.troubles();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert_eq!((troubles[0].class, troubles[0].reason.as_str()), (Class::Status, "full"));
    assert!(rig.said.contains(&Remark::NotStored(Class::Status, "full".to_owned())));
    rig.heal();
    assert_eq!(rig.read(Class::Status).len(), 50, "no time limit");
    assert_eq!(rig.machine.troubles(), []);
}

#[test]
fn full_it_gives_up_the_oldest_event_and_says_which() {
    let mut rig = Rig::new();
    rig.machine = Machine::bounded(4, 1 << 20); // not connected
    for _ in 0..10 {
        rig.push(Class::Event, "e");
        rig.push(Class::Status, "s");
        rig.now += Duration::from_secs(2);
    }
    let counts = rig.machine.counts();
    assert_eq!((counts.waiting, counts.dropped), (5, 6), "statuses are coalesced, not given up");
    assert_eq!(rig.machine.lost(), 6);
    assert_eq!(rig.said.last(), Some(&Remark::Dropped(6)));

    let mut lane = lane::Lane::new(Class::Event, 100, 1000);
    for n in 0..100 {
        lane.push(n, parcel("e", n), Some(n), rig.now);
    }
    assert!(lane.bytes() <= 1000 && lane.len() > 2);
    for n in 0..100 {
        lane.remove(n);
        lane.remove(n); // twice does no harm
    }
    assert_eq!((lane.bytes(), lane.len()), (0, 0));
}

/// The stream of a class is gone, or never was.
fn without_streams(rig: &mut Rig, class: Class) -> Vec<Effect> {
    let Some(at) = rig.effects.iter().position(|it| matches!(it, Effect::AskStreams { .. })) else {
        return Vec::new();
    };
    rig.effects.remove(at);
    rig.machine.streams(class, Streams::None("no stream holds it".to_owned()), rig.now)
}

#[test]
fn no_stream_is_believed_by_the_list_of_streams_alone_and_asked_again() {
    let mut rig = Rig::new();
    rig.leader = [false; 3];
    rig.push(Class::Event, "e");
    rig.resolve(0, Fate::Normal);
    rig.poll();
    assert_eq!(rig.machine.counts().waiting, 1, "kept while nobody answers");
    let effects = without_streams(&mut rig, Class::Event);
    rig.take(effects);
    rig.poll();
    rig.resolve(0, Fate::Normal);
    assert_eq!((rig.machine.counts().waiting, rig.machine.counts().sent), (0, 1));
    for _ in 0..5 {
        rig.push(Class::Event, "e");
        rig.resolve(0, Fate::Normal);
    }
    assert_eq!(rig.machine.counts().sent, 6);
    assert_eq!(rig.said.len(), 1, "said once: {:?}", rig.said);
    assert!(rig.effects.is_empty(), "not asked again before 10 s");
    rig.pass(Duration::from_secs(10));
    rig.push(Class::Event, "e");
    assert!(rig.effects.iter().any(|it| matches!(it, Effect::AskStreams { .. })));
    rig.leader = [true; 3];
    rig.heal();
    assert_eq!(rig.read(Class::Event).len(), 1);
    assert_eq!(rig.said.last(), Some(&Remark::StreamThere(Class::Event)));
    assert_eq!(rig.machine.lost(), 0);
}

#[test]
fn one_list_without_a_stream_that_has_acknowledged_proves_nothing() {
    let mut rig = Rig::new();
    rig.push(Class::Event, "e");
    rig.resolve(0, Fate::Normal);
    rig.leader = [false; 3];
    rig.push(Class::Event, "e");
    rig.resolve(0, Fate::Normal);
    let effects = without_streams(&mut rig, Class::Event);
    rig.take(effects);
    rig.heal();
    assert_eq!(rig.read(Class::Event).len(), 2, "a cluster that had just started");
}

#[test]
fn a_heartbeat_is_not_sent_once_it_is_old() {
    let mut rig = Rig::new();
    rig.link(false);
    rig.push(Class::Heartbeat, "h");
    rig.pass(Duration::from_secs(6));
    let newest = rig.push(Class::Heartbeat, "h");
    rig.heal();
    assert_eq!(rig.read(Class::Heartbeat), [("h".to_owned(), newest)]);
}

#[test]
fn a_gated_outbox_waits_for_its_release_and_not_at_later_connections() {
    let mut rig = Rig::new();
    rig.machine.gate();
    rig.push(Class::Event, "e");
    assert!(rig.effects.is_empty());
    rig.machine.release();
    rig.poll();
    assert_eq!(rig.effects.len(), 1);
    rig.resolve(0, Fate::Normal);
    rig.link(false);
    rig.link(true);
    rig.push(Class::Event, "e");
    rig.poll();
    assert_eq!(rig.effects.len(), 1);
}
