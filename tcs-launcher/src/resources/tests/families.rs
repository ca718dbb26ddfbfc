//! Families of processes that fork, compute, end and are waited for, sampled now and then: what is
//! told of them never falls, is never more than they have used, and is all of it where each is
//! waited for.

use super::*;

/// What may happen in a family; numbers choose among those it may happen to.
#[derive(Debug, Clone, Copy)]
enum Step {
    Fork(usize),
    Compute(usize, u32),
    /// Its children, if it has some, are the launcher's from then on.
    Exit(usize),
    /// Takes the exit status of a child, and with it what that has used.
    Wait(usize),
    Sample,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..100_usize;
    prop_oneof![
        3 => who.clone().prop_map(Step::Fork),
        6 => (who.clone(), 1..50_u32).prop_map(|(who, ticks)| Step::Compute(who, ticks)),
        3 => who.clone().prop_map(Step::Exit),
        4 => who.prop_map(Step::Wait),
        4 => Just(Step::Sample),
    ]
}

#[derive(Debug, Clone, Copy)]
struct Member {
    parent: i32,
    own: u32,
    waited: u32,
    is_zombie: bool,
}

/// As the kernel keeps it: ids from 1 on, of which 1 is the main process and 0 the launcher.
#[derive(Debug)]
struct Family {
    members: BTreeMap<i32, Member>,
    next: i32,
    used: u32,
    /// Whether only a parent whose children are gone ends, so that nothing gets lost.
    is_orderly: bool,
}

impl Family {
    fn new(is_orderly: bool) -> Self {
        let main = Member { parent: 0, own: 0, waited: 0, is_zombie: false };
        Self { members: BTreeMap::from([(1, main)]), next: 2, used: 0, is_orderly }
    }

    fn one_of(&self, which: usize, may: impl Fn(i32, &Member) -> bool) -> Option<i32> {
        let able: Vec<i32> =
            self.members.iter().filter(|(pid, it)| may(**pid, it)).map(|(pid, _)| *pid).collect();
        (!able.is_empty()).then(|| able[which % able.len()])
    }

    fn has_children(&self, pid: i32) -> bool {
        self.members.values().any(|it| it.parent == pid)
    }

    fn step(&mut self, step: Step) {
        let lives = |_: i32, it: &Member| !it.is_zombie;
        match step {
            Step::Fork(which) => {
                if let Some(parent) = self.one_of(which, lives) {
                    let child = Member { parent, own: 0, waited: 0, is_zombie: false };
                    self.members.insert(self.next, child);
                    self.next += 1;
                }
            }
            Step::Compute(which, ticks) => {
                if let Some(pid) = self.one_of(which, lives) {
                    self.members.get_mut(&pid).unwrap().own += ticks;
                    self.used += ticks;
                }
            }
            Step::Exit(which) => {
                let may = |pid, it: &Member| {
                    pid != 1 && !it.is_zombie && !(self.is_orderly && self.has_children(pid))
                };
                let Some(pid) = self.one_of(which, may) else { return };
                self.members.get_mut(&pid).unwrap().is_zombie = true;
                for child in self.members.values_mut().filter(|it| it.parent == pid) {
                    child.parent = 0;
                }
                // the launcher waits for its own at once
                self.members.retain(|_, it| it.parent != 0 || !it.is_zombie);
            }
            Step::Wait(which) => {
                let Some(pid) = self.one_of(which, |_, it| it.is_zombie) else { return };
                let ended = self.members.remove(&pid).unwrap();
                self.members.get_mut(&ended.parent).unwrap().waited += ended.own + ended.waited;
            }
            Step::Sample => {}
        }
    }

    fn samples(&self) -> Vec<Sample> {
        let one = |(pid, it): (&i32, &Member)| Sample {
            parent: it.parent,
            has_ended: it.is_zombie,
            counters: Counters {
                cpu_seconds: f64::from(it.own + it.waited),
                waited_seconds: f64::from(it.waited),
                // the kernel does not tell these apart
                read_bytes: Some(u64::from(it.own + it.waited)),
                written_bytes: None,
            },
            ..sample(*pid, 0.0, 0)
        };
        self.members.iter().map(one).collect()
    }
}

proptest! {
    #[test]
    fn what_they_use_is_counted_once(
        is_orderly: bool,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let origin = moment();
        let (mut family, mut usage, mut last) = (Family::new(is_orderly), Usage::default(), 0.0);
        for (i, step) in steps.into_iter().chain([Step::Sample]).enumerate() {
            family.step(step);
            if !matches!(step, Step::Sample) {
                continue;
            }
            usage.add(at(origin, i as f64), &family.samples());
            let figures = usage.figures(false);
            let (told, used) = (figures.cpu_seconds.unwrap(), f64::from(family.used));
            prop_assert!((last..=used).contains(&told), "{told} after {last}, of {used}");
            prop_assert!(!is_orderly || told >= used, "{told} of {used}");
            prop_assert!(figures.read_bytes.unwrap() <= u64::from(family.used));
            last = told;
        }
        let (now, samples) = (at(origin, 1_000.0).at, family.samples());
        usage.ended(now, (1, 1), &samples);
        let told = usage.of_crash(now).cpu_seconds.unwrap();
        prop_assert!((last..=f64::from(family.used)).contains(&told));
    }
}

/// The parent is read first, then the child ends and is waited for: in that sample neither has it.
#[test]
fn a_child_that_ends_while_the_family_is_read_is_counted_once() {
    let origin = moment();
    let parent = |waited: f64| Sample {
        counters: Counters { cpu_seconds: waited, waited_seconds: waited, ..Counters::default() },
        ..sample(1, 0.0, 0)
    };
    let child = Sample { parent: 1, ..sample(2, 3.0, 0) };
    let mut usage = Usage::default();
    let mut told = |seconds: f64, samples: &[Sample]| {
        usage.add(at(origin, seconds), samples);
        usage.figures(false).cpu_seconds.unwrap()
    };
    assert!((told(0.0, &[parent(0.0), child]) - 3.0).abs() < 1e-9);
    assert!((told(10.0, &[parent(0.0)]) - 3.0).abs() < 1e-9);
    assert!((told(20.0, &[parent(4.0)]) - 4.0).abs() < 1e-9);
    assert!((told(30.0, &[parent(5.0)]) - 5.0).abs() < 1e-9);
}
