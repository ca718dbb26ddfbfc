use chrono::TimeDelta;

use super::{Attempt, Due, attempt, due, is_wanted, of_episode};
use crate::Severity;

use crate::alarms::Held;
use crate::record::{Condition, Delivery, SentRecord, Why};
use crate::rules::{Escalation, Step};
use crate::tests::support::{
    ack, at, episode, of_ack, of_shelf, of_state, place, shelf, state, views,
};
use Delivery::{Claim, Done, Failed};

fn steps() -> Vec<Step> {
    let text = r#"{"warning": [{"chat": "0s"}, {"page": "5m"}, {"page": "15m", "repeat": "30m"}]}"#;
    let mut steps: Escalation = serde_json::from_str(text).unwrap();
    steps.remove(&Severity::Warning).unwrap()
}

fn minutes(minutes: f64) -> f64 {
    minutes * 60.0
}

#[test]
fn steps_follow_each_other_while_nobody_acknowledges() {
    let raised = of_state(state(0.0, Condition::Active, 0.0), 1.0);
    let told = |channel: &str, now: f64| {
        let view = &views(std::slice::from_ref(&raised), now)[0];
        due(view, &steps(), channel, at(now))
            .map(|due| ((due.at - at(0.0)).num_seconds(), due.step))
    };
    assert_eq!(told("chat", 1.0), Some((0, 0)));
    assert_eq!(told("chat", minutes(500.0)), Some((0, 0)));
    assert_eq!(told("page", minutes(4.9)), None);
    assert_eq!(told("page", minutes(5.0)), Some((300, 1)));
    assert_eq!(told("page", minutes(14.9)), Some((300, 1)));
    assert_eq!(told("page", minutes(15.0)), Some((900, 2)));
    assert_eq!(told("page", minutes(44.9)), Some((900, 2)));
    assert_eq!(told("page", minutes(45.0)), Some((2700, 2)));
    assert_eq!(told("page", minutes(75.0)), Some((4500, 2)));
    assert_eq!(told("ring", minutes(75.0)), None);
}

#[test]
fn nothing_is_due_of_what_is_acknowledged_shelved_or_explained() {
    let raised = of_state(state(1.0, Condition::Active, 1.0), 1.0);
    let told = |more| {
        let view = &views(&[raised.clone(), more], 5.0)[0];
        due(view, &steps(), "chat", at(5.0))
    };
    assert!(told(raised.clone()).is_some());
    assert!(told(of_ack(ack(1.0, Severity::Critical), 2.0)).is_none());
    assert!(told(of_shelf("s1", shelf("a.x", 60.0), 2.0)).is_none());
    let cause: crate::AlarmId = "launcher_lost/launcher.L".parse().unwrap();
    let mut caused = state(1.0, Condition::Active, 1.0);
    caused.cause = Some(cause.clone());
    let mut of_cause = state(1.0, Condition::Active, 1.0);
    of_cause.episode.alarm = cause.clone();
    for (condition, is_due) in [(Condition::Active, false), (Condition::Returned, true)] {
        of_cause.state = condition;
        let all = [of_state(of_cause.clone(), 1.0), of_state(caused.clone(), 2.0)];
        let views = views(&all, 5.0);
        let view = views.iter().find(|view| view.id != cause).unwrap();
        assert_eq!(due(view, &steps(), "chat", at(5.0)).is_some(), is_due);
    }
}

fn sent(st: Delivery, due: f64, why: Why) -> SentRecord {
    let (episode, due) = (episode(1.0), at(due).into());
    let by = "sentinel.main".to_owned();
    SentRecord {
        episode,
        rev: 1,
        step: 0,
        st,
        attempt: 1,
        error: None,
        told: None,
        unsure: None,
        due,
        why,
        by,
    }
}

#[test]
fn what_was_told_is_not_told_again() {
    let raise = |s| Due { at: at(s), step: 0, why: Why::Raised };
    let clear = |s| Due { at: at(s), step: 0, why: Why::Cleared };
    for (due, held, wanted) in [
        (raise(1.0), None, true),
        (raise(1.0), Some(sent(Done, 1.0, Why::Raised)), false),
        (raise(9.0), Some(sent(Done, 1.0, Why::Raised)), true),
        (raise(1.0), Some(sent(Claim, 1.0, Why::Raised)), true),
        (raise(1.0), Some(sent(Failed, 1.0, Why::Raised)), true),
        (raise(9.0), Some(sent(Done, 5.0, Why::Cleared)), true),
        // who was not told of the raise is not told of its end
        (clear(5.0), None, false),
        (clear(5.0), Some(sent(Failed, 1.0, Why::Raised)), false),
        (clear(5.0), Some(sent(Done, 1.0, Why::Raised)), true),
        (clear(5.0), Some(sent(Claim, 1.0, Why::Raised)), true),
        (clear(5.0), Some(sent(Done, 5.0, Why::Cleared)), false),
        // then seen by somebody
        (clear(9.0), Some(sent(Done, 5.0, Why::Cleared)), false),
        (clear(5.0), Some(sent(Failed, 5.0, Why::Cleared)), true),
    ] {
        assert_eq!(is_wanted(&due, &episode(1.0), held.as_ref(), None), wanted, "{due:?} {held:?}");
    }
    // a digest tells of what was due in its flood
    let mut digest = sent(Done, 60.0, Why::Digest);
    digest.episode = episode(0.5);
    let by_digest = |due: &Due| is_wanted(due, &episode(1.0), None, Some(&digest));
    assert!(!by_digest(&raise(60.0)) && by_digest(&raise(61.0)) && by_digest(&raise(0.4)));
    assert!(!by_digest(&clear(60.0)) && by_digest(&clear(61.0)));
}

#[test]
fn a_claim_is_leased_and_a_failure_waits() {
    let held =
        |record: SentRecord| Held { record: record.into(), place: place(10.0), stored: at(10.0) };
    let due = Due { at: at(1.0), step: 0, why: Why::Raised };
    let first = Some(Attempt { number: 1, may_repeat: false });
    let try_at =
        |held: &Held<SentRecord>, now: f64| attempt(Some(held), &episode(1.0), &due, at(now));
    assert_eq!(attempt(None, &episode(1.0), &due, at(10.0)), first);

    let claimed = held(sent(Delivery::Claim, 1.0, Why::Raised));
    assert_eq!(try_at(&claimed, 39.9), None);
    assert_eq!(try_at(&claimed, 40.0), Some(Attempt { number: 2, may_repeat: true }));
    // the claim of an earlier episode holds nobody up
    assert_eq!(attempt(Some(&claimed), &episode(9.0), &due, at(11.0)), first);
    assert_eq!(of_episode(Some(&claimed), &episode(9.0)), None);

    for (number, pause) in [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (99, 60)] {
        let mut failed = sent(Delivery::Failed, 1.0, Why::Raised);
        failed.attempt = number;
        let failed = held(failed);
        let ready = at(10.0) + TimeDelta::seconds(pause);
        let early = ready - TimeDelta::milliseconds(1);
        assert_eq!(attempt(Some(&failed), &episode(1.0), &due, early), None);
        let next = attempt(Some(&failed), &episode(1.0), &due, ready).unwrap();
        assert_eq!((next.number, next.may_repeat), (number + 1, false));
    }
    // that it may have arrived is not forgotten by attempts that surely failed
    let mut unsure = sent(Delivery::Failed, 1.0, Why::Raised);
    unsure.unsure = Some(at(1.0).into());
    let unsure = held(unsure);
    let later = Due { at: at(5.0), ..due };
    for (due, may_repeat) in [(&due, true), (&later, false)] {
        let next = attempt(Some(&unsure), &episode(1.0), due, at(40.0)).unwrap();
        assert_eq!(next.may_repeat, may_repeat, "{due:?}");
    }
    assert_eq!(try_at(&held(sent(Delivery::Done, 0.5, Why::Raised)), 11.0), first);
}
