//! Which services somebody has in hand.

use serde_json::json;

use super::support::{of_shelf, shelf};
use super::world::World;
use crate::{AckOp, Severity, Taken, taken};

fn say(world: &World) -> Vec<String> {
    let views = world.alarms();
    let taken = taken(&views, &world.rules, &world.view());
    let how = |taken: &Taken<'_>| match taken {
        Taken::Acknowledged(_) => "acknowledged",
        Taken::Shelved(_) => "shelved",
    };
    taken.iter().map(|(id, taken)| format!("{id} {}", how(taken))).collect()
}

fn shelve(world: &mut World, filter: &str, rule: Option<&str>) {
    let mut record = shelf(filter, world.now + 600.0);
    record.covers.rule = rule.map(str::to_owned);
    let (address, record, _) = of_shelf("s1", record, world.now);
    world.store(address, record, None);
}

#[test]
fn a_fault_is_taken_once_its_alarm_is() {
    let mut world = World::new(3, &json!({}));
    world.crash("a.0", false);
    world.crash("a.1", false);
    assert!(say(&world).is_empty());
    world.run(2.0);
    assert!(say(&world).is_empty());
    world.ack("failed/a.0", AckOp::Ack, Severity::Critical);
    shelve(&mut world, "a.1", None);
    world.run(1.0);
    assert_eq!(say(&world), ["a.0 acknowledged", "a.1 shelved"]);
    world.ack("failed/a.0", AckOp::Unack, Severity::Critical);
    assert_eq!(say(&world), ["a.1 shelved"]);
    world.run(600.0);
    assert!(say(&world).is_empty());
}

#[test]
fn what_is_shelved_of_another_verdict_takes_no_failure() {
    let mut world = World::new(1, &json!({}));
    world.status("a.0", "error");
    world.run(15.0);
    shelve(&mut world, "a.0", Some("error"));
    assert_eq!(say(&world), ["a.0 shelved"]);
    world.crash("a.0", false);
    // also before its own alarm is raised
    assert!(say(&world).is_empty());
    world.run(2.0);
    assert!(say(&world).is_empty());
}

#[test]
fn what_a_cause_explains_is_taken_with_it() {
    let mut world = World::new(2, &json!({}));
    world.freeze_all();
    world.thaw("sentinel.a");
    world.run(60.0);
    let cause = world.alarm("lost/a.0").and_then(|view| view.suppressed_by).unwrap();
    assert!(say(&world).is_empty());
    world.ack(&cause.to_string(), AckOp::Ack, Severity::Critical);
    let taken = say(&world);
    assert!(taken.iter().any(|it| it == "a.0 acknowledged"), "{taken:?}");
}
