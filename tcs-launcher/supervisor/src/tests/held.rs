//! Services that are held down for planned work.

use super::*;

const HOLD: Command = Command::Hold(Patience::Now);

fn held_at_launch(spec: Spec) -> (World, Vec<String>) {
    let (mut world, _) = World::launch(Vec::new());
    let diff = Diff { held: vec![spec.id.clone()], added: vec![spec], ..Diff::default() };
    let lines = world.on(Event::Apply { diff, request: None });
    (world, lines)
}

#[test]
fn a_held_service_ends_and_is_started_by_nothing_but_a_request() {
    let (mut world, _) = World::launch(vec![spec("a")]);
    world.up("a");
    assert_eq!(world.ask("a", HOLD), ["a stopping: requested by op1", "stop a1"]);
    assert_eq!(world.ends("a", 0), ["a terminated 0 by op1", "reply 1 stopped 0"]);
    // a reload does not, whatever has changed of it
    for enabled in [false, true] {
        let changed = Spec { enabled, ..spec("a") };
        let diff = Diff { restarted: vec![changed], ..Diff::default() };
        assert_eq!(world.on(Event::Apply { diff, request: None }), ["a declared"]);
    }
    assert_eq!(world.ask("a", Command::Start), ["spawn a2"]);
}

#[test]
fn what_has_failed_is_stopped_and_told_again_with_each_new_reason() {
    let restart = RestartPolicy { when: RestartWhen::No, ..spec("a").restart };
    let (mut world, _) = World::launch(vec![Spec { restart, ..spec("a") }]);
    world.up("a");
    world.ends("a", 1);
    assert_eq!(world.phase("a"), Phase::Failed);
    assert_eq!(world.ask("a", HOLD), ["a terminated by op1", "reply 1 stopped 1"]);
    assert_eq!(world.ask("a", HOLD), ["a terminated by op2", "reply 2 stopped 1 already"]);
    assert_eq!(world.phase("a"), Phase::Stopped);
}

#[test]
fn the_next_launcher_declares_it_stopped_and_does_not_start_it() {
    let (mut world, lines) = held_at_launch(spec("a"));
    assert_eq!(lines, ["a declared", "a terminated"]);
    assert_eq!(world.phase("a"), Phase::Stopped);
    assert_eq!(world.ask("a", Command::Restart(Patience::Now)), ["spawn a1"]);
}

#[test]
fn a_patient_hold_waits_for_an_idle_service() {
    let (mut world, _) = World::launch(vec![spec("a")]);
    world.up("a");
    world.report("a", Report::Said { word: Word::Busy, message: None });
    assert_eq!(world.ask("a", Command::Hold(Patience::WhenIdle(None))), [""; 0]);
    let idle = Report::Said { word: Word::Other, message: None };
    assert_eq!(world.report("a", idle), ["a stopping: requested by op1", "stop a1"]);
    assert_eq!(world.ends("a", 0), ["a terminated 0 by op1", "reply 1 stopped 0"]);
}

#[test]
fn a_profile_stops_before_it_starts_and_leaves_what_is_held() {
    let off = |name| Spec { enabled: false, ..spec(name) };
    let (mut world, _) = World::launch(vec![spec("a"), off("b"), off("c")]);
    world.up("a");
    world.ask("c", HOLD);
    let diff = Diff { up: vec![id("b"), id("c")], down: vec![id("a")], ..Diff::default() };
    let request = Some((Ticket(9), operation(9)));
    let lines = world.on(Event::Apply { diff, request });
    assert_eq!(lines, ["a stopping: reload by op9", "stop a1", "b waiting for a by op9"]);
    assert_eq!(world.ends("a", 0), ["a terminated 0 by op9", "spawn b1"]);
    let up = world.up("b");
    assert_eq!(up.last().unwrap(), "reply 9 [a stopped 0, b running]");
    assert_eq!(world.phase("c"), Phase::Stopped);
}
