//! The laws of the fold: any order and repetition, and what no message can do.

use proptest::prelude::*;

use super::support::*;
use crate::{AlarmState, Alarms, Condition, Severity};

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
