//! Services with a schedule: started when it says so, and not with the launcher.

use super::*;

const STOP: Command = Command::Stop(Patience::Now);

fn scheduled(name: &str) -> Spec {
    let restart = RestartPolicy { when: RestartWhen::No, ..spec(name).restart };
    Spec { schedule: Some(Schedule::every(s(60)).unwrap()), restart, ..spec(name) }
}

fn reload(world: &mut World, spec: Spec) -> Vec<String> {
    let diff = Diff { restarted: vec![spec], ..Diff::default() };
    world.on(Event::Apply { diff, request: None })
}

#[test]
fn a_scheduled_service_is_declared_at_launch_and_started_when_asked() {
    let (mut world, lines) = World::launch(vec![scheduled("a"), spec("b")]);
    assert_eq!(lines, ["a declared", "b declared", "spawn b1"]);
    assert_eq!(world.ask("a", Command::Start), ["spawn a1"]);
    world.up("a");
    assert_eq!(world.ends("a", 0), ["a completed 0"]);
    assert_eq!(world.phase("a"), Phase::Completed);
    assert_eq!(world.ask("a", Command::Start), ["spawn a2"]);
}

#[test]
fn a_stop_between_two_runs_calls_off_the_next() {
    let (mut world, _) = World::launch(vec![scheduled("a"), Spec { enabled: false, ..spec("b") }]);
    assert_eq!(world.ask("a", STOP), ["a terminated by op1", "reply 1 stopped"]);
    assert_eq!(world.phase("a"), Phase::Stopped);
    assert_eq!(world.ask("a", STOP), ["reply 2 stopped already"]);
    assert_eq!(world.ask("b", STOP), ["reply 3 stopped already"]);
    assert_eq!(world.ask("a", Command::Start), ["spawn a1"]);
}

#[test]
fn a_reload_lets_the_run_of_a_schedule_end_as_it_was_begun() {
    let (mut world, _) = World::launch(vec![scheduled("a")]);
    world.ask("a", Command::Start);
    world.up("a");
    let changed = Spec { stop_timeout: s(1), ..scheduled("a") };
    assert_eq!(reload(&mut world, changed), ["a declared"]);
    assert_eq!(world.phase("a"), Phase::Running);
    // one that is to run all the time from now on begins anew, and the other way round
    assert_eq!(reload(&mut world, spec("a")), ["a declared", "a stopping: reload", "stop a1"]);
    assert_eq!(world.ends("a", 0), ["a terminated 0", "spawn a2"]);
    world.up("a");
    assert_eq!(reload(&mut world, scheduled("a")), ["a declared", "a stopping: reload", "stop a2"]);
    assert_eq!(world.ends("a", 0), ["a terminated 0"]);
}
