//! The scenarios of `docs/spec/alarms.md`, as far as they need no process and no broker: two
//! sentinels, heartbeats each second, in virtual time.

use serde_json::json;
use tcs_fleet::Link;

use super::support::{at, fold, of_shelf, shelf};
use super::world::{End, LAUNCHER, World};
use crate::{AckOp, AckRecord, Address, AlarmState, Record, Severity};

fn settings() -> serde_json::Value {
    let escalate = json!({"critical": [{"chat": "0s"}, {"page": "5m"}, {"page": "15m", "repeat": "30m"}],
        "warning": [{"chat": "0s"}]});
    json!({"escalate": escalate})
}

/// Everybody is told at once by the chat; the pager after five minutes.
pub(super) fn world(services: usize) -> World {
    World::new(services, &settings())
}

impl World {
    pub(super) fn ack(&mut self, id: &str, op: AckOp, up_to: Severity) {
        let view = self.alarm(id).unwrap();
        let record = AckRecord {
            episode: view.record().episode.clone(),
            op,
            up_to,
            note: Some("on it".to_owned()),
            expires: None,
            by: "ann@srv".to_owned(),
            restored: false,
            original: None,
        };
        self.store(Address::Ack(view.id.clone()), Record::Ack(record), None);
    }
}

#[test]
fn nothing_is_told_where_all_is_well() {
    let mut world = world(3);
    world.run(1000.0);
    assert!(world.alarms().is_empty() && world.sink.is_empty());
    // the rules, once
    assert_eq!(world.stream.len(), 1);
}

#[test]
fn a_crash_without_a_restart_is_told_once_and_at_once() {
    let mut world = world(3);
    world.crash("a.0", false);
    world.run(2.0);
    assert_eq!(world.say("failed/a.0"), "active x1");
    assert_eq!(world.sent("chat"), ["failed/a.0 raised"]);
    assert!(world.sink[0].0 <= 62.0);
    world.run(200.0);
    assert_eq!(world.sink.len(), 1);
    world.run(1000.0);
    assert_eq!(world.sent("page"), ["failed/a.0 escalation"; 2]);
}

#[test]
fn what_is_restarted_is_told_when_it_is_given_up() {
    let mut world = world(3);
    for _ in 0..2 {
        world.crash("a.0", true);
        world.run(3.0);
        world.event("restarting", "a.0", &json!({}));
        world.start("a.0");
        world.run(3.0);
    }
    assert!(world.sink.is_empty());
    world.crash("a.0", false);
    world.run(30.0);
    assert_eq!(world.sent("chat"), ["failed/a.0 raised"]);
    // the lesser alarm is explained by the worse one
    let flapping = world.alarm("flapping/a.0").unwrap();
    assert_eq!(flapping.suppressed_by.unwrap().to_string(), "failed/a.0");
}

#[test]
fn what_is_silent_is_lost_and_returns() {
    let mut world = world(3);
    world.freeze("a.0");
    world.run(11.0);
    assert_eq!(world.say("lost/a.0"), "none");
    world.run(3.0);
    assert_eq!(world.sent("chat"), ["lost/a.0 raised"]);
    world.run(20.0);
    world.thaw("a.0");
    world.run(9.0);
    assert_eq!(world.say("lost/a.0"), "active x1");
    world.run(3.0);
    assert_eq!(world.say("lost/a.0"), "returned x1");
    assert_eq!(world.sent("chat"), ["lost/a.0 raised", "lost/a.0 cleared"]);
    // seen: over
    world.ack("lost/a.0", AckOp::Ack, Severity::Critical);
    assert_eq!(world.say("lost/a.0"), "normal x1");
    world.freeze("a.0");
    world.run(14.0);
    // a new episode
    assert_eq!(world.say("lost/a.0"), "active x1");
}

#[test]
fn a_launcher_that_is_lost_is_told_once_for_all_that_it_takes_along() {
    let mut world = world(14);
    // beats that are not aligned: half of them are heard a second longer
    for i in 0..7 {
        world.freeze(&format!("a.{i}"));
    }
    world.run(1.0);
    for i in 7..13 {
        world.freeze(&format!("a.{i}"));
    }
    world.freeze(LAUNCHER);
    world.run(1.0);
    world.freeze("a.13");
    world.run(16.0);
    assert_eq!(world.sent("chat"), [format!("launcher_lost/{LAUNCHER} raised")]);
    assert_eq!(world.sink[0].1.message.as_deref(), Some("launcher lost: 14 services"));
    let lost = world.alarm("lost/a.0").unwrap();
    assert_eq!(lost.suppressed_by.unwrap().object(), LAUNCHER);
    world.run(400.0);
    assert_eq!(world.sent("page"), [format!("launcher_lost/{LAUNCHER} escalation")]);

    // one child does not come back with it
    world.thaw(LAUNCHER);
    for i in 0..13 {
        world.thaw(&format!("a.{i}"));
    }
    world.run(40.0);
    let mut told = world.sent("chat");
    told.sort();
    let all = ["launcher_lost/L cleared", "launcher_lost/L raised", "lost/a.13 cause_ended"];
    assert_eq!(told, all.map(|it| it.replace("/L", &format!("/{LAUNCHER}"))));
}

#[test]
fn a_host_that_is_silent_is_told_once() {
    let mut world = World::with_sentinels_on("srv09", 3, &settings());
    for id in [LAUNCHER, "a.0", "a.1", "a.2"] {
        world.freeze(id);
    }
    world.run(20.0);
    assert_eq!(world.sent("chat"), ["host_silent/_host.srv01 raised"]);
    assert_eq!(world.sink[0].1.message.as_deref(), Some("host silent: 4 services"));
    // planned work
    let (address, record, _) = of_shelf("s1", shelf("host:srv01", 5000.0), world.now);
    world.store(address, record, None);
    assert!(world.alarms().iter().all(|view| view.shelved.is_some()));
}

#[test]
fn what_is_acknowledged_stays_so_whoever_is_restarted() {
    let mut world = world(3);
    world.crash("a.0", false);
    world.run(3.0);
    let raised = world.now;
    world.ack("failed/a.0", AckOp::Ack, Severity::Critical);
    world.run(1.0);
    world.start_sentinels();
    world.run(4000.0);
    assert_eq!(world.say("failed/a.0"), "acked x1");
    assert_eq!(world.sent("chat"), ["failed/a.0 raised"]);
    assert!(world.sent("page").is_empty());
    // taken back: told again, and escalated from there
    world.ack("failed/a.0", AckOp::Unack, Severity::Critical);
    world.run(2.0);
    assert_eq!(world.sent("chat"), ["failed/a.0 raised", "failed/a.0 unacknowledged"]);
    world.run(300.0);
    assert_eq!(world.sent("page"), ["failed/a.0 escalation"]);

    // the past as it was then
    let then = |s: f64| {
        let stored = world.stream.iter().filter(|(_, _, stamp)| stamp.stored <= at(s));
        fold(stored).views(at(s), &world.view())[0].state
    };
    assert_eq!(then(raised - 0.5), AlarmState::Active);
    assert_eq!(then(raised + 1.0), AlarmState::Acked);
    assert_eq!(then(world.now), AlarmState::Active);
}

#[test]
fn an_acknowledgement_that_races_the_clear_never_opens() {
    for after in [0, 1, 8, 9, 10, 11, 12, 13, 14, 20, 39_u32] {
        let mut world = world(1);
        world.freeze("a.0");
        world.run(15.0);
        world.thaw("a.0");
        world.run(f64::from(after));
        let before = world.say("lost/a.0");
        world.ack("lost/a.0", AckOp::Ack, Severity::Critical);
        world.run(40.0);
        assert_eq!(world.say("lost/a.0"), "normal x1", "after {after} s: {before}");
        assert_eq!(world.sent("chat"), ["lost/a.0 raised", "lost/a.0 cleared"]);
    }
}

#[test]
fn a_sentinel_that_is_killed_at_any_moment_loses_nothing() {
    for end in [End::BeforeClaim, End::Claimed, End::Sent] {
        let mut world = world(1);
        world.kill = Some(end);
        world.crash("a.0", false);
        world.run(40.0);
        assert_eq!(world.kill, None, "{end:?}");
        let expected = if end == End::Sent { 2 } else { 1 };
        assert_eq!(world.sent("chat"), vec!["failed/a.0 raised"; expected], "{end:?}");
        let [first, .., last] = &world.sink[..] else {
            assert!(!world.sink[0].1.may_repeat || end == End::Claimed);
            continue;
        };
        assert_eq!(first.1.episode, last.1.episode);
        assert!(!first.1.may_repeat && last.1.may_repeat);
    }
}

/// A sentinel ends after it has sent; who takes over meets a channel that fails for a while.
#[test]
fn a_repeat_says_so_even_after_attempts_that_failed() {
    let mut world = world(1);
    world.kill = Some(End::Sent);
    world.crash("a.0", false);
    world.run(2.0);
    world.broken.insert("chat".to_owned());
    world.run(40.0);
    world.broken.clear();
    world.run(70.0);
    let of_it: Vec<_> = world.sink.iter().filter(|(_, it)| it.rule == "failed").collect();
    let may_repeat: Vec<_> = of_it.iter().map(|(_, it)| it.may_repeat).collect();
    assert_eq!(may_repeat, [false, true]);
}

/// All memory and the store are lost, one after the other.
#[test]
fn what_was_taken_back_is_not_told_as_new_after_a_lost_store() {
    let mut world = world(1);
    world.crash("a.0", false);
    world.run(2.0);
    world.ack("failed/a.0", AckOp::Ack, Severity::Critical);
    world.run(2.0);
    world.ack("failed/a.0", AckOp::Unack, Severity::Critical);
    world.broken.insert("chat".to_owned());
    world.run(3.0);
    world.wipe();
    world.run(1.0);
    world.start_sentinels();
    world.broken.clear();
    world.run(20.0);
    let of_it: Vec<_> =
        world.sent("chat").into_iter().filter(|it| it.starts_with("failed/")).collect();
    assert_eq!(of_it, ["failed/a.0 raised", "failed/a.0 unacknowledged"]);
}

/// That the raise was told is not forgotten when an escalation could not be sent.
#[test]
fn an_end_is_told_where_only_a_later_step_failed() {
    let settings = json!({"escalate": {"critical": [{"chat": "0s"}, {"chat": "10s"}]}});
    let mut world = World::new(1, &settings);
    world.crash("a.0", false);
    world.run(5.0);
    world.broken.insert("chat".to_owned());
    world.run(10.0);
    world.start("a.0");
    world.run(15.0);
    world.broken.clear();
    world.run(70.0);
    let of_it: Vec<_> =
        world.sent("chat").into_iter().filter(|it| it.starts_with("failed/")).collect();
    assert_eq!(of_it, ["failed/a.0 raised", "failed/a.0 cleared"]);
}

#[test]
fn an_outage_of_the_broker_raises_nothing() {
    let mut world = world(3);
    world.crash("a.2", false);
    world.run(3.0);
    let lost = at(world.now);
    world.link = Link::Down { since: lost };
    world.run(120.0);
    world.link = Link::Back { lost, since: at(world.now) };
    world.run(200.0);
    assert_eq!(world.sent("chat"), ["failed/a.2 raised"]);
    assert_eq!(world.alarms().len(), 1);
}

#[test]
fn all_that_is_silent_at_once_is_one_alarm() {
    let mut world = world(3);
    let all = world.freeze_all();
    world.run(60.0);
    assert_eq!(world.sent("chat"), ["heartbeats_missing/_broker raised"]);
    for id in &all {
        world.thaw(id);
    }
    world.run(60.0);
    let told = ["heartbeats_missing/_broker raised", "heartbeats_missing/_broker cleared"];
    assert_eq!(world.sent("chat"), told);
}

#[test]
fn what_a_store_has_lost_is_written_again() {
    let mut world = world(3);
    world.crash("a.0", false);
    world.crash("a.1", false);
    world.run(3.0);
    world.ack("failed/a.0", AckOp::Ack, Severity::Critical);
    let shelf = shelf("a.2", 5000.0);
    let (address, record, _) = of_shelf("s1", shelf, world.now);
    world.store(address, record, None);
    world.run(3.0);
    let before: Vec<_> = world.alarms().iter().map(|it| (it.id.clone(), it.state)).collect();
    world.wipe();
    assert!(world.alarms().is_empty());
    world.run(3.0);
    let after = world.alarms();
    for (id, state) in before {
        assert_eq!(after.iter().find(|view| view.id == id).map(|view| view.state), Some(state));
    }
    assert_eq!(world.say("store_reset/_broker"), "active x1");
    let told = ["failed/a.0 raised", "failed/a.1 raised", "store_reset/_broker raised"];
    assert_eq!(world.sent("chat"), told);
    assert!(world.stream.iter().any(|it| matches!(it.0, Address::Shelf(_))));
    let by = world.alarm("failed/a.0").unwrap().acked.unwrap();
    assert!(by.record.restored && by.original().at.time() < by.stored);
    let length = world.stream.len();
    world.run(100.0);
    // written once, by one of the two; then the end of the alarm of the store
    assert!(world.stream.len() <= length + 4, "{:?}", &world.stream[length..]);
}

#[test]
fn what_comes_and_goes_is_told_as_chatter() {
    let mut world = world(1);
    for _ in 0..15 {
        world.status("a.0", "failed");
        world.run(5.0);
        world.status("a.0", "ok");
        world.run(15.0);
    }
    let told = world.sent("chat");
    let count = |why: &str| told.iter().filter(|it| it.ends_with(why)).count();
    assert!(count(" raised") <= 3, "{told:?}");
    assert_eq!(count(" chatter"), 1, "{told:?}");
    assert_eq!(world.say("failed/a.0"), "active x3");
    world.run(310.0);
    assert_eq!(world.say("failed/a.0"), "returned x3");
    assert_eq!(world.sent("chat").len(), told.len() + 1);
    assert_eq!(world.sent("chat").last().unwrap(), "failed/a.0 cleared");
}

#[test]
fn a_shelfs_end_is_told_where_the_alarm_is_active() {
    let mut world = world(1);
    let (address, record, _) = of_shelf("s1", shelf("a.0", world.now + 60.0), world.now);
    world.store(address, record, None);
    world.run(1.0);
    world.crash("a.0", false);
    world.run(58.0);
    assert!(world.sink.is_empty());
    let view = world.alarm("failed/a.0").unwrap();
    assert!(view.shelved.is_some() && view.state == AlarmState::Active);
    world.run(3.0);
    assert_eq!(world.sent("chat"), ["failed/a.0 shelf_ended"]);
}

#[test]
fn a_revision_without_a_next_one_is_followed_all_the_same() {
    let mut world = world(1);
    let state = crate::Condition::Active;
    let mut record = super::support::state(50.0, state, 50.0);
    record.episode.alarm = "failed/a.0".parse().unwrap();
    record.rev = u64::MAX;
    world.store(Address::State(record.episode.alarm.clone()), Record::State(record), None);
    world.run(20.0);
    assert_eq!(world.say("failed/a.0"), "returned x1");
}

#[test]
fn what_cannot_be_read_takes_no_subject_away() {
    let mut world = world(1);
    for address in ["state.failed.a.0", "sent.chat.failed.a.0"] {
        let subject = format!("svc.alarm.{address}");
        let address = Address::parse(&tcs_wire::Subjects::default(), &subject).unwrap();
        world.store_unreadable(&address);
    }
    world.crash("a.0", false);
    world.run(3.0);
    assert_eq!(world.say("failed/a.0"), "active x1");
    assert_eq!(world.sent("chat"), ["failed/a.0 raised"]);
}

#[test]
fn open_records_are_written_again_before_they_are_a_day_old() {
    let mut world = world(1);
    world.crash("a.0", false);
    world.run(3.0);
    world.ack("failed/a.0", AckOp::Ack, Severity::Critical);
    let length = world.stream.len();
    world.run(10.0);
    world.now += 86_400.0;
    world.run(20.0);
    let again: Vec<_> = world.stream[length..].iter().map(|it| it.0.clone()).collect();
    let alarm = "failed/a.0".parse().unwrap();
    assert!(again.contains(&Address::State(alarm)), "{again:?}");
    assert_eq!(world.alarm("failed/a.0").map(|view| view.state), Some(AlarmState::Acked));
}
