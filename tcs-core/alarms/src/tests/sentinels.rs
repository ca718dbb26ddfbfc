//! Sentinels and channels that are lost, fail, or are missing.

use serde_json::json;

use super::scenarios::world;
use super::support::at;
use super::world::World;
use crate::{Address, Delivery, Record, Why};

#[test]
fn nobody_writes_while_no_sentinel_lives() {
    let mut world = world(1);
    world.stop_sentinels();
    world.freeze("sentinel.a");
    world.freeze("sentinel.b");
    world.crash("a.0", false);
    world.run(14.0);
    assert!(world.alarms().is_empty());
    assert_eq!(crate::watching(&world.view()).count(), 0);
    let before = world.view();
    assert!(!crate::tells_unreachable("sentinel.a", Some(&before), at(0.0), at(59.0)));
    assert!(crate::tells_unreachable("sentinel.a", Some(&before), at(0.0), at(60.0)));
    assert!(!crate::tells_unreachable("sentinel.b", None, at(0.0), at(59.0)));
    assert!(crate::tells_unreachable("sentinel.b", None, at(0.0), at(60.0)));
}

#[test]
fn a_console_evaluates_the_same_rules_while_nobody_watches() {
    let mut world = world(2);
    world.crash("a.0", false);
    world.run(5.0);
    world.stop_sentinels();
    world.crash("a.1", false);
    world.run(5.0);
    assert_eq!(world.say("failed/a.1"), "none");
    let alarms = super::support::fold(&world.stream);
    let shown = alarms.unwatched(&world.view(), &std::collections::BTreeMap::new()).unwrap();
    let views = shown.views(at(world.now), &world.view());
    let say = |id: &str| {
        let view = views.iter().find(|view| view.id.to_string() == id).unwrap();
        (view.state.to_string(), view.record().by.clone())
    };
    assert_eq!(say("failed/a.0").0, "active");
    assert_ne!(say("failed/a.0").1, "console");
    assert_eq!(say("failed/a.1"), ("active".to_owned(), "console".to_owned()));
}

#[test]
fn what_somebody_purges_of_an_open_alarm_is_written_again_once() {
    let mut world = world(1);
    world.crash("a.0", false);
    world.run(5.0);
    let alarm = "failed/a.0";
    let told = world.sent("chat");
    assert_eq!((world.say(alarm), told.len()), ("active x1".to_owned(), 1));
    world.purge(alarm);
    world.run(5.0);
    assert_eq!(world.say(alarm), "none");
    world.look_what_is_held();
    world.run(60.0);
    assert_eq!(world.say(alarm), "active x1");
    assert_eq!(world.sent("chat"), told);
    let of_alarm = world
        .stream
        .iter()
        .filter(|(address, ..)| address.alarm().is_some_and(|it| it.to_string() == alarm));
    // its state, and that it was told
    assert_eq!(of_alarm.count(), 2);
}

#[test]
fn a_sentinel_that_has_failed_does_not_watch() {
    let mut world = world(1);
    world.status("sentinel.b", "failed");
    let view = world.view();
    assert_eq!(crate::watching(&view).collect::<Vec<_>>(), ["sentinel.a"]);
}

#[test]
fn a_sentinel_that_reads_the_fleet_does_not_watch_yet() {
    let mut world = world(1);
    let watching = |world: &World| -> Vec<String> {
        crate::watching(&world.view()).map(str::to_owned).collect()
    };
    world.status_with("sentinel.b", &json!({"watches": false}));
    assert_eq!(watching(&world), ["sentinel.a"]);
    assert_eq!(crate::running(&world.view()).count(), 2);
    world.run(1.0);
    world.status_with("sentinel.b", &json!({"watches": true}));
    assert_eq!(watching(&world), ["sentinel.a", "sentinel.b"]);
    // what it said before its restart counts no more
    world.run(1.0);
    world.event("start", "sentinel.a", &json!({}));
    assert_eq!(watching(&world), ["sentinel.b"]);
    world.run(1.0);
    world.status_with("sentinel.a", &json!({"watches": true}));
    assert_eq!(watching(&world), ["sentinel.a", "sentinel.b"]);
}

#[test]
fn a_step_whose_channel_no_sentinel_has_is_an_alarm() {
    let mut world = world(1);
    let gone = json!({"escalate": {"critical": [{"gone": "0s"}], "warning": [{"chat": "0s"}]}});
    let text = super::world::rules(&gone, &["gone", "chat"]).to_text().unwrap();
    let record = crate::RulesRecord { text, by: "alice".to_owned(), applied: true };
    world.store(Address::Rules, Record::Rules(record), None);
    // who does not say what it has may have it
    let alarm = "channel_failing/_channel.gone";
    world.run(60.0);
    assert_eq!(world.say(alarm), "none");
    for name in ["sentinel.a", "sentinel.b"] {
        world.status_with(name, &json!({"channels": ["chat", "page"]}));
    }
    world.run(29.0);
    assert_eq!(world.say(alarm), "none");
    world.run(3.0);
    assert_eq!(world.say(alarm), "active x1");
    assert!(world.sent("chat").contains(&format!("{alarm} raised")), "{:?}", world.sent("chat"));
    world.status_with("sentinel.b", &json!({"channels": ["gone"]}));
    world.run(12.0);
    assert_eq!(world.say(alarm), "normal x1");
}

#[test]
fn a_lost_sentinel_is_told_by_the_other() {
    let mut world = world(1);
    world.freeze("sentinel.b");
    world.run(15.0);
    assert_eq!(world.sent("chat"), ["sentinel_lost/sentinel.b raised"]);
    let live = world.view();
    assert_eq!(crate::watching(&live).collect::<Vec<_>>(), ["sentinel.a"]);
    assert!(!crate::tells_unreachable("sentinel.b", Some(&live), at(0.0), at(89.0)));
    assert!(crate::tells_unreachable("sentinel.b", Some(&live), at(0.0), at(90.0)));
}

#[test]
fn a_channel_that_fails_is_told_by_another_and_delivers_once_it_can() {
    let escalate =
        json!({"critical": [{"chat": "0s"}], "warning": [{"chat": "0s"}, {"page": "0s"}]});
    let mut world = World::new(1, &json!({"escalate": escalate}));
    world.broken.insert("chat".to_owned());
    world.crash("a.0", false);
    world.run(120.0);
    assert!(world.sent("chat").is_empty());
    assert_eq!(world.sent("page"), ["channel_failing/_channel.chat raised"]);
    let attempts = world
        .stream
        .iter()
        .filter(|it| matches!(&it.1, Record::Sent(sent) if sent.st == Delivery::Failed));
    // 0, 2, 6, 14, 30, 62 s
    assert!((5..=7).contains(&attempts.count()));
    world.broken.clear();
    world.run(61.0);
    assert_eq!(world.sent("chat"), ["failed/a.0 raised"]);
    world.run(20.0);
    assert_eq!(world.say("channel_failing/_channel.chat"), "normal x1");
}

#[test]
fn a_channel_by_which_nobody_is_told_any_more_does_not_fail() {
    let mut world = world(1);
    let alarm: crate::AlarmId = "failed/a.0".parse().unwrap();
    let address = Address::Sent { channel: "old".to_owned(), alarm: alarm.clone() };
    let record = crate::SentRecord {
        episode: crate::Episode::new(alarm, at(50.0)),
        rev: 1,
        step: 0,
        st: Delivery::Failed,
        attempt: 9,
        error: Some("500".to_owned()),
        told: None,
        unsure: None,
        due: at(50.0).into(),
        why: Why::Raised,
        by: "sentinel.a".to_owned(),
    };
    world.store(address, Record::Sent(record), None);
    world.run(3.0);
    assert_eq!(world.say("channel_failing/_channel.old"), "none");
}
