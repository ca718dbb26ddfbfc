//! Each state times each event, as a table to read; and what the table cannot show.

use std::fmt::Write as _;

use super::*;

type Step<'a> = &'a dyn Fn(&mut World) -> Vec<String>;
type Happen = fn(&mut World) -> Vec<String>;

/// Brings service `a` into each state.
fn states() -> Vec<(&'static str, World)> {
    let begin = |spec: Spec| World::launch(vec![spec]).0;
    let running = || {
        let mut world = begin(slow("a"));
        world.up("a");
        world.report("a", Report::Ready);
        world
    };
    let and = |mut world: World, steps: &[Step<'_>]| {
        for step in steps {
            step(&mut world);
        }
        world
    };
    let busy = Report::Said { word: Word::Busy, message: None };
    let idle = Command::Stop(Patience::WhenIdle(Some(s(60))));
    let stop = Command::Stop(Patience::Now);
    let restart = Command::Restart(Patience::Now);
    let later_restart = Command::Restart(Patience::WhenIdle(None));
    let one_shot = spec("a");
    let crashed = || and(running(), &[&|w| w.report("a", exit(1))]);
    let no_restart =
        Spec { restart: RestartPolicy { when: RestartWhen::No, ..spec("a").restart }, ..spec("a") };
    vec![
        ("declared", begin(Spec { enabled: false, ..slow("a") })),
        ("waiting", and(crashed(), &[&|w| w.ask("a", Command::Start)])),
        ("waiting after a crash", and(crashed(), &[&|w| w.tick()])),
        ("spawning", begin(slow("a"))),
        ("starting", and(begin(slow("a")), &[&|w| w.up("a")])),
        ("running", running()),
        (
            "running, stop when idle",
            and(running(), &[&|w| w.report("a", busy.clone()), &|w| w.ask("a", idle)]),
        ),
        (
            "running, restart when idle",
            and(running(), &[&|w| w.report("a", busy.clone()), &|w| w.ask("a", later_restart)]),
        ),
        ("stopping before it runs", and(begin(slow("a")), &[&|w| w.ask("a", stop)])),
        ("stopping", and(running(), &[&|w| w.ask("a", stop)])),
        ("stopping to start again", and(running(), &[&|w| w.ask("a", restart)])),
        (
            "stopping, not ready",
            and(begin(slow("a")), &[&|w| w.up("a"), &|w| w.tick(), &|w| w.tick()]),
        ),
        ("backoff", and(crashed(), &[&|w| w.report("a", Report::Cleared)])),
        ("stopped", and(running(), &[&|w| w.ask("a", stop), &|w| w.ends("a", 0)])),
        (
            "stopped, something remains",
            and(running(), &[&|w| w.ask("a", stop), &|w| w.report("a", exit(0))]),
        ),
        ("completed", and(begin(one_shot), &[&|w| w.up("a"), &|w| w.ends("a", 0)])),
        ("failed", and(begin(no_restart), &[&|w| w.up("a"), &|w| w.ends("a", 1)])),
    ]
}

/// One event of each kind.
fn events() -> Vec<(&'static str, Happen)> {
    vec![
        ("start", |w| w.ask("a", Command::Start)),
        ("stop", |w| w.ask("a", Command::Stop(Patience::Now))),
        ("stop when idle", |w| w.ask("a", Command::Stop(Patience::WhenIdle(None)))),
        ("restart", |w| w.ask("a", Command::Restart(Patience::Now))),
        ("spawned", |w| w.up("a")),
        ("not spawned", |w| {
            w.report("a", Report::NotSpawned { error: "no file".into(), transient: false })
        }),
        ("not spawned now", |w| {
            w.report("a", Report::NotSpawned { error: "no memory".into(), transient: true })
        }),
        ("ready", |w| w.report("a", Report::Ready)),
        ("says failed", |w| {
            w.report("a", Report::Said { word: Word::Failed, message: Some("no camera".into()) })
        }),
        ("says busy", |w| w.report("a", Report::Said { word: Word::Busy, message: None })),
        ("says ok", |w| w.report("a", Report::Said { word: Word::Other, message: None })),
        ("watchdog trigger", |w| w.report("a", Report::Watchdog(Watchdog::Trigger))),
        ("exit 0", |w| w.report("a", exit(0))),
        ("exit 1", |w| w.report("a", exit(1))),
        ("SIGKILL", |w| w.report("a", Report::Exited(Exit::signal(9)))),
        ("cleared", |w| w.report("a", Report::Cleared)),
        ("tick", |w| {
            w.now = w.supervisor.deadline().unwrap_or(w.now);
            w.on(Event::Tick)
        }),
        ("changed", |w| {
            let diff = Diff { restarted: vec![slow("a")], ..Diff::default() };
            w.on(Event::Apply { diff, request: None })
        }),
        ("removed", |w| {
            let diff = Diff { removed: vec![id("a")], ..Diff::default() };
            w.on(Event::Apply { diff, request: None })
        }),
        ("shutdown", |w| w.on(Event::Shutdown)),
        ("shutdown twice", |w| {
            let mut lines = w.on(Event::Shutdown);
            lines.extend(w.on(Event::Shutdown));
            lines
        }),
    ]
}

#[test]
fn each_state_and_event() {
    let mut table = String::new();
    for row in 0..states().len() {
        let (state, world) = states().swap_remove(row);
        writeln!(table, "{state} ({:?})", world.phase("a")).unwrap();
        for (event, happen) in events() {
            let mut world = states().swap_remove(row).1;
            let lines = happen(&mut world);
            let phase = world
                .supervisor
                .service(&id("a"))
                .map_or("gone".to_owned(), |service| format!("{:?}", service.phase));
            writeln!(table, "    {event:<17} -> {phase:<9} {}", lines.join("; ")).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_word_of_an_earlier_run_changes_nothing() {
    let (mut world, _) = World::launch(vec![spec("a")]);
    world.up("a");
    world.ends("a", 1);
    world.tick();
    world.up("a");
    let reports = [Report::Ready, exit(3), Report::Cleared, Report::Watchdog(Watchdog::Trigger)];
    for report in reports {
        assert!(world.on(Event::Report { id: id("a"), run: Run(1), report }).is_empty());
    }
    assert_eq!(world.phase("a"), Phase::Running);
}

/// The four one-shots of the Python project's own crash test (issue 4).
#[test]
fn the_crash_test_of_the_original() {
    let run = |code, when| {
        let mut service = spec("a");
        service.restart = RestartPolicy { when, ..service.restart };
        let (mut world, mut lines) = World::launch(vec![service]);
        loop {
            world.now += s(1);
            lines.extend(world.up("a"));
            world.now += s(1);
            lines.extend(world.ends("a", code));
            if world.phase("a") != Phase::Backoff {
                return lines.split_off(2).join("; ");
            }
            lines.extend(world.tick());
        }
    };
    assert_eq!(run(1, RestartWhen::No), "a start; a ready in 0 s; a crashed 1, left");
    let limit = |code| {
        format!(
            "a start; a ready in 0 s; a crashed {code}, 1/2 in 5 s; \
             a restarting 1/2; spawn a2; a start; a ready in 0 s; a crashed {code}, 2/2 in 5 s; \
             a restarting 2/2; spawn a3; a start; a ready in 0 s; a crashed {code}, left; \
             a failed: restart_limit_reached after 2"
        )
    };
    assert_eq!(run(1, RestartWhen::OnFailure), limit(1));
    assert_eq!(run(137, RestartWhen::OnAbnormal), limit(137));
    assert_eq!(run(0, RestartWhen::Always), limit(0));
    assert_eq!(run(0, RestartWhen::OnFailure), "a start; a ready in 0 s; a completed 0");
}

#[test]
fn a_python_service_that_says_failed_and_exits_0_has_crashed() {
    let (mut world, _) = World::launch(vec![slow("a")]);
    world.up("a");
    let message = Some("Failed to start service: no camera".into());
    world.report("a", Report::Said { word: Word::Failed, message });
    assert_eq!(
        world.report("a", exit(0)),
        ["a crashed 0 (Failed to start service: no camera), 1/2 in 5 s"]
    );
}

/// The numbers of recent crashes that events carry.
fn recent(effects: Vec<Effect>) -> Vec<(&'static str, u32)> {
    let count = |effect| match effect {
        Effect::Publish { event: RegistryEvent::Start { recent_crashes, .. }, .. } => {
            Some(("start", recent_crashes?))
        }
        Effect::Publish { event: RegistryEvent::Crashed(crash), .. } => {
            Some(("crashed", crash.recent_crashes?))
        }
        Effect::Publish { event: RegistryEvent::Restarting { recent_crashes, .. }, .. } => {
            Some(("restarting", recent_crashes?))
        }
        _ => None,
    };
    effects.into_iter().filter_map(count).collect()
}

#[test]
fn events_count_the_crashes_of_ten_minutes_whoever_started_it() {
    let (mut world, _) = World::launch(vec![spec("a")]);
    let mut seen = Vec::new();
    let mut on = |world: &mut World, event: Event| {
        seen.extend(recent(world.supervisor.handle(event, world.now)));
    };
    for run in 1..=3 {
        let report = |report| Event::Report { id: id("a"), run: Run(run), report };
        on(&mut world, report(Report::Spawned { pid: Some(7) }));
        world.now += s(2);
        on(&mut world, report(exit(1)));
        on(&mut world, report(Report::Cleared));
        if let Some(at) = world.supervisor.deadline() {
            world.now = at;
            on(&mut world, Event::Tick);
        }
    }
    assert_eq!(world.phase("a"), Phase::Failed);
    world.now += s(590);
    world.ask("a", Command::Start);
    let report = Event::Report { id: id("a"), run: Run(4), report: Report::Spawned { pid: None } };
    on(&mut world, report);
    assert_eq!(
        seen,
        [
            ("start", 0),
            ("crashed", 1),
            ("restarting", 1),
            ("start", 1),
            ("crashed", 2),
            ("restarting", 2),
            ("start", 2),
            ("crashed", 3),
            ("start", 2),
        ]
    );
}

#[test]
fn a_program_that_is_missing_for_a_moment_is_tried_again_if_it_has_run() {
    let missing = || Report::NotSpawned { error: "no such file".into(), transient: false };
    let (mut world, _) = World::launch(vec![spec("a")]);
    assert_eq!(world.report("a", missing()), ["a failed: no such file after 0"], "the first time");
    for when in [RestartWhen::Always, RestartWhen::OnFailure, RestartWhen::OnAbnormal] {
        let restart = RestartPolicy { when, ..spec("a").restart };
        let (mut world, _) = World::launch(vec![Spec { restart, ..spec("a") }]);
        world.up("a");
        world.ends("a", -9);
        world.tick();
        let again = "a crashed unstarted (no such file), 2/2 in 5 s";
        assert_eq!(world.report("a", missing()), [again], "{when:?}");
        assert_eq!(world.tick(), ["a restarting 2/2", "spawn a3"]);
        assert_eq!(
            world.report("a", missing()),
            ["a crashed unstarted (no such file), left", "a failed: restart_limit_reached after 2"]
        );
    }
    // another definition has a first start of its own
    let (mut world, _) = World::launch(vec![spec("a")]);
    world.up("a");
    let diff = Diff { restarted: vec![spec("a")], ..Diff::default() };
    world.on(Event::Apply { diff, request: None });
    world.ends("a", 0);
    assert_eq!(world.report("a", missing()), ["a failed: no such file after 0"]);
}

#[test]
fn a_hot_loop_is_slowed_down_and_said_so_once() {
    let restart =
        RestartPolicy { when: RestartWhen::Always, delay: s(0), limit: None, ..spec("a").restart };
    let (mut world, _) = World::launch(vec![Spec { restart, ..spec("a") }]);
    let mut starts = 0;
    let mut throttled = 0;
    while world.now < s(130) {
        world.up("a");
        let lines = world.ends("a", 0);
        throttled += lines.iter().filter(|line| line.ends_with("throttled")).count();
        world.tick();
        starts += 1;
    }
    assert_eq!((starts, throttled), (11, 1), "in 30 s");
    // a run of a second, and the next start is at once
    world.up("a");
    world.now += s(1);
    assert!(world.ends("a", 0)[0].ends_with("/inf in 0 s"));
}

#[test]
fn what_ignores_the_stop_signal_is_killed_and_said_so() {
    let (mut world, _) = World::launch(vec![spec("a")]);
    world.up("a");
    world.ask("a", Command::Stop(Patience::Now));
    assert_eq!(world.tick(), ["kill a1"]);
    assert_eq!(world.now, s(110));
    assert_eq!(world.report("a", Report::Exited(Exit::signal(9))), ["a force_killed -9 by op1"]);
    assert_eq!(world.report("a", Report::Cleared), ["reply 1 stopped -9"]);
}

#[test]
fn what_survives_sigkill_is_said_and_does_not_keep_the_launcher() {
    let (mut world, _) = World::launch(vec![spec("a"), spec("b")]);
    world.up("a");
    world.up("b");
    world.ask("a", Command::Stop(Patience::Now));
    assert_eq!(world.tick(), ["kill a1"]);
    assert_eq!(
        world.tick(),
        ["kill a1", "reply 1 refused: cannot be killed: still there after SIGKILL"]
    );
    assert_eq!(world.on(Event::Shutdown), ["b stopping: shutdown", "stop b1"]);
    assert_eq!(world.ends("b", 0), ["b terminated 0", "done false"]);
}

#[test]
fn nothing_is_started_on_top_of_what_a_run_left() {
    let (mut world, _) = World::launch(vec![spec("a")]);
    world.up("a");
    assert_eq!(world.report("a", exit(1)), ["a crashed 1, 1/2 in 5 s"]);
    assert!(world.tick().is_empty(), "the delay is over, a grandchild still runs");
    assert_eq!(world.tick(), ["kill a1"], "its grace is over");
    assert_eq!(world.report("a", Report::Cleared), ["a restarting 1/2", "spawn a2"]);
}

#[test]
fn a_frozen_launcher_kills_nobody() {
    let (mut world, _) = World::launch(vec![slow("a"), spec("b")]);
    world.up("a");
    world.up("b");
    world.ask("b", Command::Stop(Patience::Now));
    world.now += s(60);
    assert!(world.on(Event::Tick).is_empty(), "both deadlines have passed, unseen");
    assert_eq!(world.report("a", Report::Ready), ["a ready in 60 s"]);
    assert_eq!(world.ends("b", 0), ["b terminated 0 by op1", "reply 1 stopped 0"]);
}

#[test]
fn a_watchdog_that_is_not_served_is_a_crash() {
    let (mut world, _) = World::launch(vec![spec("a")]);
    world.up("a");
    world.report("a", Report::Watchdog(Watchdog::Every(s(3))));
    world.now += s(2);
    world.report("a", Report::Watchdog(Watchdog::Alive));
    assert_eq!(world.tick(), ["a stopping: watchdog", "stop a1"]);
    assert_eq!(world.now, s(105));
    assert_eq!(world.report("a", exit(0)), ["a crashed 0 (watchdog timeout), 1/2 in 5 s"]);
}

#[test]
fn done_says_whether_a_wanted_service_had_failed() {
    let end = |stopped_by_hand: bool| {
        let no = RestartPolicy { when: RestartWhen::No, ..spec("a").restart };
        let (mut world, _) = World::launch(vec![Spec { restart: no, ..spec("a") }]);
        world.up("a");
        world.ends("a", 1);
        if stopped_by_hand {
            world.ask("a", Command::Stop(Patience::Now));
        }
        world.on(Event::Shutdown)
    };
    assert_eq!(end(false), ["done false"]);
    assert_eq!(end(true), ["done true"]);
}
