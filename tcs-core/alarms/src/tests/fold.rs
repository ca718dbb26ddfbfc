//! What condition, acknowledgements and shelves come to.

use super::support::*;
use crate::{Condition, Original, Severity, ShelfMatch};

use Condition::{Active, Normal, Returned};
use Severity::{Critical, Info, Warning};

#[test]
fn an_acknowledgement_counts_for_its_episode_and_up_to_its_severity() {
    let raised = of_state(state(1.0, Active, 1.0), 1.0);
    assert_eq!(say(&[], 5.0), "nothing");
    assert_eq!(say(std::slice::from_ref(&raised), 5.0), "active 1 raised");
    for (acks, expected) in [
        (vec![(ack(1.0, Warning), 2.0)], "acked"),
        (vec![(ack(1.0, Critical), 2.0)], "acked"),
        (vec![(ack(1.0, Info), 2.0)], "active 1 raised"),
        (vec![(ack(0.5, Critical), 2.0)], "active 1 raised"),
        // one up to less takes nothing away
        (vec![(ack(1.0, Critical), 2.0), (ack(1.0, Info), 3.0)], "acked"),
        (vec![(ack(1.0, Critical), 2.0), (unack(1.0), 3.0)], "active 3 unacknowledged"),
        (vec![(unack(1.0), 2.0), (ack(1.0, Critical), 3.0)], "acked"),
        (vec![(ack(1.0, Critical), 2.0), (unack(0.5), 3.0)], "acked"),
    ] {
        let acks = acks.into_iter().map(|(ack, s)| of_ack(ack, s));
        let messages: Vec<_> = std::iter::once(raised.clone()).chain(acks).collect();
        assert_eq!(say(&messages, 5.0), expected, "{messages:?}");
    }
}

#[test]
fn a_higher_severity_needs_another_acknowledgement() {
    let mut worse = state(1.0, Active, 1.0);
    (worse.severity, worse.max_severity, worse.rev) = (Critical, Critical, 2);
    worse.raised = Some(place(1.0));
    worse.notify = crate::Notify { at: at(3.0).into(), why: crate::Why::Severity };
    let mut messages = vec![of_state(state(1.0, Active, 1.0), 1.0), of_ack(ack(1.0, Warning), 2.0)];
    assert_eq!(say(&messages, 2.0), "acked");
    messages.push(of_state(worse.clone(), 3.0));
    assert_eq!(say(&messages, 4.0), "active 3 severity");
    // and does so when it is less severe again
    worse.severity = Warning;
    messages.push(of_state(worse, 4.0));
    assert_eq!(say(&messages, 5.0), "active 3 severity");
    messages.push(of_ack(ack(1.0, Critical), 6.0));
    assert_eq!(say(&messages, 7.0), "acked");
}

#[test]
fn an_acknowledgement_expires_and_one_that_had_expired_never_counts() {
    let until = |s: f64, expires: f64| {
        let mut ack = ack(1.0, Critical);
        ack.expires = Some(at(expires).into());
        of_ack(ack, s)
    };
    let messages = [of_state(state(1.0, Active, 1.0), 1.0), until(2.0, 60.0)];
    assert_eq!(say(&messages, 59.0), "acked");
    assert_eq!(say(&messages, 61.0), "active 60 unacknowledged");
    let messages = [messages[0].clone(), of_ack(ack(1.0, Critical), 2.0), until(5.0, 4.0)];
    assert_eq!(say(&messages, 6.0), "acked");
}

#[test]
fn what_has_returned_is_over_once_it_is_acknowledged() {
    let returned = of_state(state(1.0, Returned, 5.0), 5.0);
    assert_eq!(say(std::slice::from_ref(&returned), 6.0), "returned");
    let mut seen = ack(1.0, Critical);
    seen.expires = Some(at(20.0).into());
    let messages = [returned.clone(), of_ack(seen, 6.0)];
    assert_eq!(say(&messages, 7.0), "normal");
    // for good
    assert_eq!(say(&messages, 30.0), "normal");
    let over = [of_state(state(1.0, Normal, 5.0), 5.0), of_ack(ack(1.0, Critical), 6.0)];
    assert_eq!(say(&over, 7.0), "normal");
    assert_eq!(say(&[over[0].clone(), of_ack(unack(1.0), 6.0)], 7.0), "normal");
}

#[test]
fn an_acknowledgement_from_before_a_new_occurrence_does_not_cover_it() {
    let again = |s: f64| {
        let mut state = state(1.0, Active, s);
        state.occurrences = 2;
        state
    };
    // raised again by a sentinel that had not seen the acknowledgement
    let mut messages = vec![of_ack(ack(1.0, Critical), 6.0), of_state(again(7.0), 7.0)];
    assert_eq!(say(&messages, 8.0), "active 1 raised");
    // whatever is written of that occurrence later
    let mut later = again(7.0);
    later.raised = Some(place(7.0));
    messages.push(of_state(later, 9.0));
    assert_eq!(say(&messages, 10.0), "active 1 raised");
    // also where the old one is written again
    let mut old = ack(1.0, Critical);
    old.original = Some(Original { place: place(6.0), at: at(6.0).into() });
    messages.push(of_ack(old, 11.0));
    assert_eq!(say(&messages, 12.0), "active 1 raised");
    messages.push(of_ack(ack(1.0, Critical), 13.0));
    assert_eq!(say(&messages, 14.0), "acked");
}

#[test]
fn a_shelf_hides_until_it_ends_and_its_end_demands_attention() {
    let mut messages = vec![
        of_state(state(1.0, Active, 1.0), 1.0),
        of_shelf("s1", shelf("a.x", 60.0), 2.0),
        of_shelf("s2", shelf("a.y", 90.0), 2.0),
        of_shelf("s3", shelf("", 90.0), 2.0),
    ];
    let view = &views(&messages, 59.0)[0];
    assert_eq!(view.shelved.as_ref().unwrap().id, "s1");
    assert!(!view.is_loud());
    let view = &views(&messages, 60.0)[0];
    assert!(view.shelved.is_none() && view.is_loud());
    assert_eq!(say(&messages, 61.0), "active 60 shelf_ended");
    // ended before, and never opened again by a message about it
    let mut ended = shelf("a.x", 60.0);
    ended.ended = true;
    messages.push(of_shelf("s1", ended, 30.0));
    messages.push(of_shelf("s1", shelf("a.x", 60.0), 31.0));
    assert_eq!(say(&messages, 40.0), "active 30 shelf_ended");
}

#[test]
fn a_shelf_lasts_seven_days_at_most() {
    let day = 86_400.0;
    let messages =
        [of_state(state(1.0, Active, 1.0), 1.0), of_shelf("s1", shelf("a.x", 30.0 * day), 2.0)];
    assert!(views(&messages, 6.9 * day)[0].shelved.is_some());
    assert!(views(&messages, 7.1 * day)[0].shelved.is_none());
}

#[test]
fn a_shelf_may_name_a_rule_and_covers_the_alarms_of_a_host() {
    let cover = |rule: Option<&str>, filter: Option<&str>| ShelfMatch {
        rule: rule.map(str::to_owned),
        filter: filter.map(str::to_owned),
    };
    for (id, covers, shelved) in [
        ("failed/a.x", cover(Some("failed"), None), true),
        ("failed/a.x", cover(Some("lost"), None), false),
        ("failed/a.x", cover(Some("failed"), Some("a.y")), false),
        ("failed/a.x", cover(None, None), false),
        ("host_silent/_host.srv02_oca_lan", cover(None, Some("host:srv02")), true),
        ("host_silent/_host.srv02_oca_lan", cover(None, Some("host:srv03")), false),
        ("host_silent/_host.srv02_oca_lan", cover(None, Some("verdict:ok")), false),
    ] {
        let mut raised = state(1.0, Active, 1.0);
        raised.episode.alarm = id.parse().unwrap();
        let mut shelf = shelf("", 60.0);
        shelf.covers = covers;
        let messages = [of_state(raised, 1.0), of_shelf("s1", shelf.clone(), 2.0)];
        assert_eq!(views(&messages, 3.0)[0].shelved.is_some(), shelved, "{id} {shelf:?}");
    }
}

#[test]
fn what_nobody_has_seen_stands_first() {
    let of = |id: &str, condition, severity| {
        let mut state = state(1.0, condition, 1.0);
        state.episode.alarm = id.parse().unwrap();
        (state.severity, state.max_severity) = (severity, severity);
        state
    };
    let mut acked = ack(1.0, Critical);
    acked.episode.alarm = "failed/a.acked".parse().unwrap();
    let messages = [
        of_state(of("failed/a.acked", Active, Critical), 1.0),
        of_ack(acked, 2.0),
        of_state(of("failed/a.normal", Normal, Critical), 3.0),
        of_state(of("failed/a.warning", Active, Warning), 4.0),
        of_state(of("failed/a.returned", Returned, Critical), 5.0),
        of_state(of("failed/a.critical", Active, Critical), 6.0),
        of_state(of("failed/a.shelved", Active, Critical), 7.0),
        of_shelf("s1", shelf("shelved", 60.0), 8.0),
    ];
    let order: Vec<_> = views(&messages, 9.0).iter().map(|view| view.id.to_string()).collect();
    let names = ["critical", "warning", "returned", "acked", "shelved", "normal"];
    assert_eq!(order, names.map(|name| format!("failed/a.{name}")));
}
