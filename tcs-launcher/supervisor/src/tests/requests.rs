//! What callers are told.

use super::*;

const STOP: Command = Command::Stop(Patience::Now);
const RESTART: Command = Command::Restart(Patience::Now);

fn running() -> World {
    let (mut world, _) = World::launch(vec![slow("a")]);
    world.up("a");
    world.report("a", Report::Ready);
    world
}

fn replies(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| line.starts_with("reply")).collect()
}

#[test]
fn a_start_is_answered_when_it_is_ready() {
    let (mut world, _) = World::launch(vec![Spec { enabled: false, ..slow("a") }]);
    assert_eq!(world.ask("a", Command::Start), ["spawn a1"]);
    assert_eq!(world.up("a"), ["a start by op1"]);
    assert_eq!(world.report("a", Report::Ready), ["a ready in 0 s by op1", "reply 1 running"]);
    assert_eq!(world.ask("a", Command::Start), ["reply 2 running already"]);
}

#[test]
fn a_start_that_fails_says_why() {
    let ask = |report: Report| {
        let (mut world, _) = World::launch(vec![Spec { enabled: false, ..slow("a") }]);
        world.ask("a", Command::Start);
        replies(world.report("a", report))
    };
    let refused = |text: &str| vec![format!("reply 1 refused: {text}")];
    let error = "starting /no/such/program: No such file or directory".to_owned();
    assert_eq!(
        ask(Report::NotSpawned { error: error.clone(), transient: false }),
        refused("not started: starting /no/such/program: No such file or directory")
    );
    assert_eq!(ask(exit(1)), refused("crashed while starting (code 1), will be started again"));
    assert_eq!(
        ask(Report::Exited(Exit::signal(11))),
        refused("crashed while starting (signal 11), will be started again")
    );
}

#[test]
fn a_restart_is_answered_by_the_new_run() {
    let mut world = running();
    assert_eq!(world.ask("a", RESTART), ["a stopping: restart by op1", "stop a1"]);
    assert_eq!(world.report("a", exit(0)), ["a terminated 0 by op1"]);
    assert_eq!(world.report("a", Report::Cleared), ["spawn a2"]);
    assert_eq!(world.up("a"), ["a start by op1"]);
    assert_eq!(replies(world.report("a", Report::Ready)), ["reply 1 running"]);
}

#[test]
fn two_people_at_once() {
    // start, then stop: the start is told so, after the stop
    let (mut world, _) = World::launch(vec![Spec { enabled: false, ..slow("a") }]);
    world.ask("a", Command::Start);
    assert!(replies(world.ask("a", STOP)).is_empty());
    world.up("a");
    let lines = replies(world.ends("a", 0));
    assert_eq!(
        lines,
        ["reply 1 refused: overtaken: op2 asked for the opposite", "reply 2 stopped 0"]
    );

    // stop, then start: both come true, one after the other
    let mut world = running();
    world.ask("a", STOP);
    assert!(world.ask("a", Command::Start).is_empty());
    assert_eq!(world.ends("a", 0), ["a terminated 0 by op2", "spawn a2", "reply 1 stopped 0"]);
    world.up("a");
    assert_eq!(replies(world.report("a", Report::Ready)), ["reply 2 running"]);

    // two restarts: one new run
    let mut world = running();
    world.ask("a", RESTART);
    assert!(world.ask("a", RESTART).is_empty());
    world.ends("a", 0);
    world.up("a");
    let lines = replies(world.report("a", Report::Ready));
    assert_eq!(lines, ["reply 1 running", "reply 2 running"]);
    assert_eq!(world.supervisor.services[&id("a")].run, Run(2));

    // restart, then stop
    let mut world = running();
    world.ask("a", RESTART);
    world.ask("a", STOP);
    assert_eq!(
        replies(world.ends("a", 0)),
        ["reply 1 refused: overtaken: op2 asked for the opposite", "reply 2 stopped 0"]
    );
}

#[test]
fn a_patient_stop_waits_for_the_end_of_busy() {
    let busy = Report::Said { word: Word::Busy, message: None };
    let idle = Report::Said { word: Word::Other, message: None };
    let patient = |limit| Command::Stop(Patience::WhenIdle(limit));

    let mut world = running();
    assert_eq!(world.ask("a", patient(None)), ["a stopping: requested by op1", "stop a1"]);

    let mut world = running();
    world.report("a", busy.clone());
    assert!(world.ask("a", patient(Some(s(60)))).is_empty());
    assert!(world.supervisor.service(&id("a")).unwrap().stop_pending);
    assert_eq!(world.report("a", idle), ["a stopping: requested by op1", "stop a1"]);

    let mut world = running();
    world.report("a", busy.clone());
    world.ask("a", patient(Some(s(60))));
    assert_eq!(world.tick(), ["a stopping: requested by op1", "stop a1"]);
    assert_eq!(world.now, s(160));

    // somebody in a hurry
    let mut world = running();
    world.report("a", busy.clone());
    world.ask("a", patient(None));
    assert_eq!(world.ask("a", STOP), ["a stopping: requested by op2", "stop a1"]);
    assert_eq!(replies(world.ends("a", 0)), ["reply 1 stopped 0", "reply 2 stopped 0 already"]);

    // called off
    let mut world = running();
    world.report("a", busy);
    world.ask("a", patient(None));
    assert_eq!(
        world.ask("a", Command::Start),
        ["reply 1 refused: overtaken: op2 asked for the opposite", "reply 2 running"]
    );
}

#[test]
fn a_restart_that_is_called_off_says_so() {
    let mut world = running();
    world.report("a", Report::Said { word: Word::Busy, message: None });
    world.ask("a", Command::Restart(Patience::WhenIdle(None)));
    world.ask("a", Command::Stop(Patience::WhenIdle(None)));
    let overtaken =
        |ticket| format!("reply {ticket} refused: overtaken: op3 asked for the opposite");
    assert_eq!(
        world.ask("a", Command::Start),
        [overtaken(1), overtaken(2), "reply 3 running".to_owned()]
    );
}

#[test]
fn a_request_that_comes_twice_acts_once_for_ten_minutes() {
    let mut world = running();
    let again = |world: &mut World, ticket| {
        world.on(Event::Request {
            ticket: Ticket(ticket),
            operation: operation(1),
            id: id("a"),
            command: RESTART,
        })
    };
    assert!(!again(&mut world, 1).is_empty());
    assert!(again(&mut world, 2).is_empty());
    world.ends("a", 0);
    world.up("a");
    let lines = replies(world.report("a", Report::Ready));
    assert_eq!(lines, ["reply 1 running", "reply 2 running"]);
    world.now += s(599);
    assert_eq!(again(&mut world, 3), ["reply 3 running"]);
    world.now += s(2);
    assert_eq!(again(&mut world, 4), ["a stopping: restart by op1", "stop a2"]);
}

#[test]
fn requests_under_way_are_bounded() {
    let mut world = running();
    world.report("a", Report::Said { word: Word::Busy, message: None });
    let patient = Command::Stop(Patience::WhenIdle(None));
    for _ in 0..1024 {
        assert!(world.ask("a", patient).is_empty());
    }
    let lines = world.ask("a", patient);
    assert_eq!(lines, ["reply 1025 refused: too many requests under way"]);
}

#[test]
fn a_manual_start_clears_the_count() {
    let mut service = slow("a");
    service.restart.limit = NonZeroU32::new(1);
    let (mut world, _) = World::launch(vec![service]);
    let mut crash = |first: &str| {
        world.up("a");
        assert!(world.ends("a", 1).contains(&format!("a crashed 1, {first}")));
        if world.phase("a") == Phase::Backoff {
            world.tick()
        } else {
            world.ask("a", Command::Start)
        }
    };
    crash("1/1 in 5 s");
    crash("left");
    crash("1/1 in 5 s");
    crash("left");
}

#[test]
fn a_reload_touches_what_changed_and_tells_what_became_of_it() {
    let ids = ["same", "gone", "changed", "rules", "stopped"];
    let (mut world, _) = World::launch(ids.map(spec).to_vec());
    for id in ids {
        world.up(id);
    }
    world.ask("stopped", STOP);
    world.ends("stopped", 0);
    let diff = Diff {
        added: vec![spec("new")],
        restarted: vec![spec("changed"), spec("stopped")],
        updated: vec![spec("rules")],
        removed: vec![id("gone")],
        ..Diff::default()
    };
    let request = Some((Ticket(9), operation(9)));
    assert_eq!(
        world.on(Event::Apply { diff, request }),
        [
            "gone stopping: reload by op9",
            "stop gone1",
            "rules declared",
            "changed declared",
            "changed stopping: reload by op9",
            "stop changed1",
            "stopped declared",
            "new declared",
            "new waiting for changed gone by op9",
        ]
    );
    assert_eq!(world.ends("gone", 0), ["gone terminated 0 by op9", "forget gone"]);
    assert_eq!(world.ends("changed", 0)[1..], ["spawn changed2", "spawn new1"]);
    world.up("new");
    assert_eq!(
        world.up("changed"),
        [
            "changed start by op9",
            "changed ready in 0 s by op9",
            "reply 9 [gone stopped 0, rules updated, changed running, stopped updated, new running]"
        ]
    );
}

#[test]
fn a_service_that_leaves_and_comes_back_runs_once() {
    let mut world = running();
    let apply = |world: &mut World, diff| world.on(Event::Apply { diff, request: None });
    let removed = Diff { removed: vec![id("a")], ..Diff::default() };
    assert_eq!(apply(&mut world, removed), ["a stopping: reload", "stop a1"]);
    assert_eq!(world.ask("a", Command::Start), ["reply 1 refused: no such service here: a"]);
    let added = Diff { added: vec![slow("a")], ..Diff::default() };
    assert_eq!(apply(&mut world, added), ["a declared"]);
    assert_eq!(world.ends("a", 0), ["a terminated 0", "spawn a2"]);
}

#[test]
fn a_reload_does_not_start_what_somebody_stops() {
    let mut world = running();
    world.report("a", Report::Said { word: Word::Busy, message: None });
    world.ask("a", Command::Stop(Patience::WhenIdle(None)));
    let diff = Diff { restarted: vec![slow("a")], ..Diff::default() };
    assert_eq!(world.on(Event::Apply { diff, request: None }), ["a declared"]);
    world.report("a", Report::Said { word: Word::Other, message: None });
    world.ends("a", 0);
    assert_eq!(world.phase("a"), Phase::Stopped);
}

#[test]
fn what_is_asked_for_at_the_end_is_answered() {
    let mut world = running();
    world.on(Event::Shutdown);
    assert_eq!(world.ask("a", Command::Start), ["reply 1 refused: the launcher is shutting down"]);
    assert!(world.ask("a", STOP).is_empty());
    assert_eq!(world.ends("a", 0), ["a terminated 0", "reply 2 stopped 0 already", "done true"]);
}

#[test]
fn an_unknown_service_is_said_to_be_unknown() {
    let mut world = running();
    assert_eq!(world.ask("b", STOP), ["reply 1 refused: no such service here: b"]);
}
