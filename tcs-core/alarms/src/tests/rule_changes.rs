//! Which rules are in force: those of the first sentinel, of another one, of an operator.

use serde_json::json;

use super::scenarios::world;
use super::support::fold;
use crate::{Address, Record};

#[test]
fn the_rules_of_the_first_sentinel_hold() {
    let mut world = world(1);
    let other =
        super::world::rules(&json!({"rules": {"failed": null}, "escalate": null}), &["chat"]);
    let text = other.to_text().unwrap();
    world.status("sentinel.z", "ok");
    world.thaw("sentinel.z");
    let record = crate::RulesRecord { text, by: "sentinel.z".to_owned(), applied: false };
    world.store(Address::Rules, Record::Rules(record), None);
    world.run(2.0);
    assert_eq!(world.say("rules_differ/sentinel.a"), "active x1");
    world.crash("a.0", false);
    world.run(20.0);
    assert_eq!(world.say("failed/a.0"), "none");
    assert_eq!(world.say("rules_differ/sentinel.b"), "active x1");
    // they end with it
    world.freeze("sentinel.z");
    world.run(40.0);
    assert_eq!(world.say("failed/a.0"), "active x1");
    assert_eq!(world.say("rules_differ/sentinel.b"), "normal x1");
}

#[test]
fn a_sentinel_that_comes_with_other_rules_replaces_its_own() {
    let mut world = world(1);
    let only = |channel: &str| json!({"escalate": {"critical": [{channel: "0s"}]}});
    let text = super::world::rules(&only("gone"), &["gone"]).to_text().unwrap();
    let record = crate::RulesRecord { text, by: "sentinel.a".to_owned(), applied: false };
    world.store(Address::Rules, Record::Rules(record), None);
    world.crash("a.0", false);
    world.run(3.0);
    assert!(world.sent("chat").contains(&"failed/a.0 raised".to_owned()));
    assert_eq!(world.say("rules_differ/sentinel.a"), "none");
}

#[test]
fn an_operator_gives_the_sentinels_their_own_rules_back() {
    let mut world = world(1);
    let rules = |text: &str, applied| {
        let (text, by) = (text.to_owned(), "alice".to_owned());
        Record::Rules(crate::RulesRecord { text, by, applied })
    };
    let other = json!({"rules": {"failed": null}, "escalate": null});
    let other = super::world::rules(&other, &["chat"]).to_text().unwrap();
    world.store(Address::Rules, rules(&other, true), None);
    world.run(30.0);
    assert_eq!(world.say("rules_differ/sentinel.a"), "active x1");
    world.store(Address::Rules, rules("", false), None);
    world.run(2.0);
    let folded = fold(&world.stream);
    let held = folded.rules().unwrap();
    assert_eq!(held.record.text, world.rules.to_text().unwrap());
    assert_eq!((&*held.record.by, held.record.applied), ("sentinel.a", false));
    world.crash("a.0", false);
    world.run(20.0);
    assert_eq!(world.say("failed/a.0"), "active x1");
    assert_eq!(world.say("rules_differ/sentinel.a"), "normal x1");
}

#[test]
fn rules_that_an_operator_applied_hold() {
    let mut world = world(1);
    let other =
        super::world::rules(&json!({"rules": {"failed": null}, "escalate": null}), &["chat"]);
    let text = other.to_text().unwrap();
    let record = crate::RulesRecord { text, by: "alice".to_owned(), applied: true };
    world.store(Address::Rules, Record::Rules(record), None);
    world.crash("a.0", false);
    world.run(60.0);
    assert_eq!(world.say("rules_differ/sentinel.a"), "active x1");
    assert_eq!(world.say("failed/a.0"), "none");
}
