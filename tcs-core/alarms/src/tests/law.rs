//! The laws of the fold: any order and repetition, and what no message can do.

use proptest::prelude::*;

use serde_json::json;

use super::support::*;
use super::world::{End, World};
use crate::{AckOp, AlarmState, AlarmView, Alarms, Condition, Severity, Why};

/// Messages of two sentinels and several operators about one alarm, no two at the same place.
fn messages() -> impl Strategy<Value = Vec<Stored>> {
    let one = (0..8_u8, 0..3_usize, 0..3_usize, prop::option::of(1..60_u8));
    prop::collection::vec(one, 1..40).prop_map(|picks| {
        let messages = picks.into_iter().enumerate().map(|(i, (kind, which, severity, later))| {
            let s = 1.0 + 7.0 * i as f64;
            let raised = [1.0, 2.0, 3.0][which];
            let severity = Severity::ALL[severity];
            let until = s + later.map_or(1000.0, f64::from);
            match kind {
                0..=2 => {
                    let condition = [Condition::Active, Condition::Returned, Condition::Normal];
                    let mut state = state(raised, condition[usize::from(kind)], s);
                    (state.severity, state.max_severity) = (severity, severity);
                    state.raised = later.map(|ago| place((s - f64::from(ago)).max(0.0)));
                    of_state(state, s)
                }
                3 | 4 => {
                    let mut ack = ack(raised, severity);
                    ack.expires = later.map(|_| at(until).into());
                    of_ack(ack, s)
                }
                5 => of_ack(unack(raised), s),
                _ => {
                    let mut shelf = shelf("a.x", until);
                    shelf.ended = kind == 7;
                    of_shelf(["s1", "s2", "s3"][which], shelf, s)
                }
            }
        });
        messages.collect()
    })
}

/// Fisher-Yates with a small generator, so that the seed alone tells the order.
fn shuffle<T>(list: &mut [T], mut seed: u64) {
    for i in (1..list.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(i, (seed >> 33) as usize % (i + 1));
    }
}

fn state_at(alarms: &Alarms, now: f64) -> Option<AlarmState> {
    alarms.views(at(now), &nobody(now)).first().map(|view| view.state)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_repetition_gives_the_same_alarms(
        messages in messages(), repeated in any::<prop::sample::Index>(), seed in any::<u64>(),
    ) {
        let mut mixed = messages.clone();
        mixed.extend_from_slice(&messages[..repeated.index(messages.len())]);
        shuffle(&mut mixed, seed);
        let (straight, mut mixed) = (fold(&messages), fold(&mixed));
        prop_assert_eq!(&mixed, &straight);
        for (address, record, stamp) in &messages {
            prop_assert!(!mixed.apply(address, record.clone(), stamp), "{:?} twice", record);
        }
        prop_assert_eq!(mixed, straight);
    }

    #[test]
    fn an_acknowledgement_never_opens(
        messages in messages(), raised in 0..3_usize, severity in 0..3_usize,
        expires in prop::option::of(-5..60_i8),
    ) {
        let now = 1.0 + 7.0 * messages.len() as f64;
        let before = fold(&messages);
        let mut ack = ack([1.0, 2.0, 3.0][raised], Severity::ALL[severity]);
        ack.expires = expires.map(|later| at(now + f64::from(later)).into());
        let mut after = before.clone();
        let (address, record, stamp) = of_ack(ack, now);
        after.apply(&address, record, &stamp);
        let order = |state| match state {
            None | Some(AlarmState::Normal) => 0,
            Some(AlarmState::Acked | AlarmState::Returned) => 1,
            Some(AlarmState::Active) => 2,
        };
        prop_assert!(order(state_at(&after, now)) <= order(state_at(&before, now)));
    }

    #[test]
    fn a_shelfs_end_is_never_lost(messages in messages()) {
        let now = 1.0 + 7.0 * messages.len() as f64;
        let alarms = fold(&messages);
        let mut more = alarms.clone();
        for (id, shelf) in alarms.shelves() {
            prop_assert!(shelf.end() <= shelf.held.stored + crate::MAX_SHELF);
            let (address, record, stamp) = of_shelf(id, super::support::shelf("a.x", 1e7), now);
            more.apply(&address, record, &stamp);
            let end = more.shelf(id).unwrap().end();
            let longest = at(now) + crate::MAX_SHELF;
            prop_assert_eq!(end, shelf.ended.map_or(longest, |ended| ended.min(longest)));
        }
    }
}

/// What may happen to a small observatory.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Crash,
    Start,
    Freeze,
    Thaw,
    Ack(Severity),
    Unack,
    Shelve,
    Kill(End),
    RestartSentinels,
    Wipe,
    Break,
    Mend,
}

fn happenings() -> impl Strategy<Value = Vec<(Happening, bool, u8)>> {
    use Happening::{
        Ack, Break, Crash, Freeze, Kill, Mend, RestartSentinels, Shelve, Start, Thaw, Unack, Wipe,
    };
    let severity = prop::sample::select(Severity::ALL.as_slice());
    let end = prop::sample::select(vec![End::BeforeClaim, End::Claimed, End::Sent]);
    let one = prop_oneof![
        4 => prop::sample::select(vec![Crash, Start, Freeze, Thaw]),
        2 => severity.prop_map(Ack),
        1 => Just(Unack),
        2 => prop::sample::select(vec![Shelve, RestartSentinels, Wipe, Break, Mend]),
        1 => end.prop_map(Kill),
    ];
    prop::collection::vec((one, any::<bool>(), 0..40_u8), 1..16)
}

fn happen(world: &mut World, happening: Happening, id: &str) {
    let alarms = [format!("failed/{id}"), format!("lost/{id}")];
    let known: Vec<_> = alarms.iter().filter(|alarm| world.alarm(alarm).is_some()).collect();
    match happening {
        Happening::Crash => world.crash(id, false),
        Happening::Start => world.start(id),
        Happening::Freeze => world.freeze(id),
        Happening::Thaw => world.thaw(id),
        Happening::Ack(up_to) => {
            for alarm in known {
                world.ack(alarm, AckOp::Ack, up_to);
            }
        }
        Happening::Unack => {
            for alarm in known {
                world.ack(alarm, AckOp::Unack, Severity::Info);
            }
        }
        Happening::Shelve => {
            let until = world.now + 30.0;
            let (address, record, _) = of_shelf("s1", shelf(id, until), world.now);
            world.store(address, record, None);
        }
        Happening::Kill(end) => world.kill = Some(end),
        Happening::RestartSentinels => world.start_sentinels(),
        Happening::Wipe => world.wipe(),
        Happening::Break => drop(world.broken.insert("chat".to_owned())),
        Happening::Mend => drop(world.broken.remove("chat")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Two sentinels, operators, crashes and ends of sentinels in any order: all see the same
    /// alarms, what is loud was told, and what was told twice says so.
    #[test]
    fn whatever_happens_all_see_the_same_and_nothing_is_missed(
        happenings in happenings(), seed in any::<u64>(),
    ) {
        let settings = json!({"escalate": {"critical": [{"chat": "0s"}], "warning": [{"chat": "0s"}]}});
        let mut world = World::new(2, &settings);
        let mut wiped = Vec::new();
        for (happening, second, seconds) in happenings {
            if matches!(happening, Happening::Wipe) {
                wiped.push(world.now);
            }
            happen(&mut world, happening, if second { "a.1" } else { "a.0" });
            world.run(f64::from(seconds));
        }
        // every channel works, and leases and pauses are over
        world.broken.clear();
        world.kill = None;
        world.run(130.0);
        world.evaluate();
        let mut mixed = world.stream.clone();
        shuffle(&mut mixed, seed);
        let console = fold(&world.stream);
        prop_assert_eq!(&fold(&mixed), &console);
        let states = |alarms: &Alarms| {
            let views = alarms.views(at(world.now), &world.view());
            let open = views.iter().filter(|view| view.state != AlarmState::Normal);
            open.map(|view| (view.id.clone(), view.state)).collect::<Vec<_>>()
        };
        for folded in world.folds() {
            prop_assert_eq!(states(folded), states(&console));
        }
        let told: Vec<_> = world.sink.iter().map(|(_, sent)| sent).collect();
        // (a channel that fails is not told by itself)
        let told_of = |view: &&AlarmView| view.is_loud() && view.id.rule() != "channel_failing";
        for view in world.alarms().iter().filter(told_of) {
            let of_it = told.iter().filter(|sent| sent.episode == view.record().episode);
            prop_assert!(of_it.count() > 0, "{} was not told", view.id);
        }
        // what was sent just before the store was lost nobody may know any more
        let is_forgotten = |at: f64| wiped.iter().any(|wipe| (0.0..=2.0).contains(&(wipe - at)));
        for (i, (_, sent)) in world.sink.iter().enumerate() {
            let same = |other: &crate::Notification| {
                (&other.episode, other.why, other.since, other.step)
                    == (&sent.episode, sent.why, sent.since, sent.step)
            };
            let earlier = world.sink[..i].iter().rfind(|(_, other)| same(other));
            let is_repeat = earlier.is_some_and(|(at, _)| !is_forgotten(*at));
            let told_anew =
                matches!(sent.why, Why::Unacknowledged | Why::ShelfEnded | Why::CauseEnded);
            prop_assert!(!is_repeat || told_anew || sent.may_repeat, "{sent:?}");
        }
    }
}
