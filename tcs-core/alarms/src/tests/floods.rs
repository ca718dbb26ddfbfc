//! Many alarms at once.

use super::scenarios::world;
use super::support::{of_shelf, shelf};
use crate::record::Why;

#[test]
fn many_alarms_are_told_in_one_message_a_minute() {
    let mut world = world(40);
    for i in 0..30 {
        world.crash(&format!("a.{i}"), false);
        world.run(1.0);
    }
    world.run(60.0);
    let told = world.sent("chat");
    let digests = told.iter().filter(|it| *it == "flood/_broker digest").count();
    assert!((1..=3).contains(&digests) && told.len() <= 9 + digests, "{told:?}");
    let last = &world.sink.last().unwrap().1;
    assert_eq!((last.active, last.alarms.len(), last.why), (Some(30), 30, Why::Digest));
    let length = world.sink.len();
    world.run(200.0);
    assert_eq!(world.sink.len(), length);
    // what came before the flood is cleared by itself
    world.start("a.0");
    world.run(700.0);
    let cleared = |it: &String| it == "failed/a.0 cleared" || it == "flood/_broker digest";
    assert!(world.sent("chat")[length - 1..].iter().any(cleared), "{:?}", world.sent("chat"));
}

#[test]
fn a_later_flood_does_not_tell_of_an_earlier_one_again() {
    let mut world = world(24);
    for i in 0..12 {
        world.crash(&format!("a.{i}"), false);
    }
    world.run(1200.0);
    let before = world.sent("chat").len();
    for i in 12..24 {
        world.crash(&format!("a.{i}"), false);
    }
    world.run(300.0);
    let told = world.sent("chat");
    let later = &told[before..];
    assert!(later.iter().all(|it| it == "flood/_broker digest"), "{told:?}");
}

#[test]
fn the_end_of_a_large_shelf_is_told_in_one_message() {
    let mut world = world(24);
    let (address, record, _) = of_shelf("s1", shelf("a.", world.now + 1200.0), world.now);
    world.store(address, record, None);
    for i in 0..24 {
        world.crash(&format!("a.{i}"), false);
    }
    world.run(1190.0);
    assert!(world.sent("chat").is_empty(), "{:?}", world.sent("chat"));
    world.run(300.0);
    assert_eq!(world.sent("chat"), ["flood/_broker digest"]);
}
