//! Who starts and stops before whom.

use super::*;

fn after(name: &str, others: &[&str]) -> Spec {
    Spec { after: others.iter().map(|name| id(name)).collect(), ..slow(name) }
}

fn level(name: &str, level: i64) -> Spec {
    Spec { level, ..slow(name) }
}

fn spawns(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("spawn ")).collect()
}

#[test]
fn after_waits_for_ready_and_not_for_more() {
    let (mut world, lines) = World::launch(vec![after("b", &["a"]), slow("a"), slow("c")]);
    assert_eq!(spawns(&lines), ["a1", "c1"]);
    assert!(spawns(&world.up("a")).is_empty());
    assert_eq!(world.report("a", Report::Ready), ["a ready in 0 s", "spawn b1"]);
}

#[test]
fn one_bad_service_keeps_nobody_from_starting() {
    let bad: [fn(&mut World) -> Vec<String>; 3] = [
        |w| w.report("a", Report::NotSpawned { error: "no file".into(), transient: false }),
        |w| {
            w.up("a");
            w.ends("a", 1)
        },
        |w| {
            w.ask("a", Command::Stop(Patience::Now))
                .into_iter()
                .chain(w.up("a"))
                .chain(w.ends("a", 0))
                .collect()
        },
    ];
    for happen in bad {
        let (mut world, lines) = World::launch(vec![slow("a"), after("b", &["a"]), level("c", 1)]);
        assert_eq!(spawns(&lines), ["a1"]);
        let lines = happen(&mut world);
        assert_eq!(spawns(&lines), ["b1"], "{lines:?}");
        world.up("b");
        assert_eq!(spawns(&world.report("b", Report::Ready)), ["c1"]);
    }
}

#[test]
fn a_start_without_limit_holds_the_others_up_for_a_while_only() {
    let endless = Spec { readiness: Readiness::Reported, ..spec("a") };
    let (mut world, lines) = World::launch_with(1, vec![endless, after("b", &["a"])]);
    assert_eq!(spawns(&lines), ["a1"]);
    world.up("a");
    assert!(world.tick().is_empty(), "its place is free for others");
    assert_eq!(world.now, s(110));
    assert_eq!(world.tick(), ["b gave up waiting for a", "spawn b1"]);
    assert_eq!(world.now, s(160), "its start_timeout");
    assert_eq!(world.phase("a"), Phase::Starting);
    // who asks for it now is not kept waiting for ever
    assert_eq!(world.ask("a", Command::Start), ["reply 1 starting already"]);
}

#[test]
fn who_waits_says_so_when_it_begins_and_when_it_waits_for_others() {
    let (mut world, lines) = World::launch(vec![
        slow("a"),
        slow("b"),
        after("c", &["a", "b", "nobody"]),
        level("d", 1),
        after("e", &["d"]),
    ]);
    let waiting = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| line.contains("waiting")).cloned().collect()
    };
    assert_eq!(
        waiting(&lines),
        ["c waiting for a b", "d waiting for a b c e", "e waiting for d"],
        "each once"
    );
    assert_eq!(world.supervisor.waits_for(&id("c")), [id("a"), id("b")]);
    world.up("a");
    assert!(waiting(&world.report("a", Report::Ready)).is_empty(), "still for b");
    assert_eq!(world.supervisor.waits_for(&id("c")), [id("b")]);
    world.up("b");
    assert_eq!(spawns(&world.report("b", Report::Ready)), ["c1"]);
    assert!(world.supervisor.waits_for(&id("c")).is_empty());
    assert_eq!(world.ask("d", Command::Stop(Patience::Now))[0], "d terminated by op1");
}

#[test]
fn a_reload_starts_nothing_before_what_it_stops_has_ended() {
    let (mut world, _) = World::launch(vec![slow("old"), slow("changed"), slow("same")]);
    for name in ["old", "changed", "same"] {
        world.up(name);
        world.report(name, Report::Ready);
    }
    let diff = Diff {
        added: vec![slow("new"), after("user", &["new"])],
        restarted: vec![slow("changed")],
        updated: Vec::new(),
        removed: vec![id("old")],
        ..Diff::default()
    };
    let lines = world.on(Event::Apply { diff, request: None });
    assert!(spawns(&lines).is_empty(), "{lines:?}");
    assert!(lines.contains(&"new waiting for changed old".to_owned()), "{lines:?}");
    // nobody else is kept from anything
    assert!(spawns(&world.ask("same", Command::Restart(Patience::Now))).is_empty());
    assert_eq!(spawns(&world.ends("same", 0)), ["same2"]);
    assert!(spawns(&world.ends("changed", 0)).is_empty(), "the old one may have its port");
    assert!(spawns(&world.report("old", exit(0))).is_empty(), "something of it remains");
    assert_eq!(spawns(&world.report("old", Report::Cleared)), ["changed2", "new1"]);
}

#[test]
fn what_a_reload_changes_while_it_is_ended_waits_too() {
    let (mut world, _) = World::launch(vec![spec("old"), slow("changed")]);
    world.up("old");
    world.up("changed");
    while world.phase("changed") != Phase::Stopping {
        world.tick(); // it is not ready in time
    }
    let diff =
        Diff { restarted: vec![slow("changed")], removed: vec![id("old")], ..Diff::default() };
    world.on(Event::Apply { diff, request: None });
    world.ends("changed", 0);
    let lines = world.tick();
    assert!(spawns(&lines).is_empty(), "{lines:?}");
    assert_eq!(lines, ["changed waiting for old"]);
    assert_eq!(spawns(&world.ends("old", 0)), ["changed2"]);
}

#[test]
fn what_cannot_be_killed_does_not_keep_a_reload_for_ever() {
    let (mut world, _) = World::launch(vec![spec("old")]);
    world.up("old");
    let diff = Diff { added: vec![spec("new")], removed: vec![id("old")], ..Diff::default() };
    world.on(Event::Apply { diff, request: None });
    assert_eq!(world.tick(), ["kill old1"]);
    assert_eq!(world.tick(), ["kill old1", "spawn new1"]);
    assert_eq!(world.now, s(115), "stop_timeout, and one more SIGKILL");
}

#[test]
fn a_start_that_hangs_holds_nobody_up_for_long_and_can_be_given_up() {
    let (mut world, _) = World::launch_with(1, vec![slow("a"), after("b", &["a"])]);
    assert!(world.tick().is_empty());
    assert_eq!(world.tick(), ["b gave up waiting for a", "spawn b1"]);
    world.ask("a", Command::Stop(Patience::Now));
    world.up("b");
    world.report("b", Report::Ready);
    assert_eq!(world.tick(), ["kill a1"]);
    assert_eq!(
        world.tick(),
        ["kill a1", "reply 1 refused: cannot be killed: still there after SIGKILL"]
    );
}

#[test]
fn an_absent_or_disabled_other_is_not_waited_for() {
    let disabled = Spec { enabled: false, ..slow("off") };
    let (_, lines) = World::launch(vec![after("a", &["off", "nobody", "a"]), disabled]);
    assert_eq!(spawns(&lines), ["a1"]);
}

#[test]
fn circles_are_broken() {
    let (mut world, lines) = World::launch(vec![
        after("a", &["c"]),
        after("b", &["a"]),
        after("c", &["b"]),
        // against the levels
        Spec { after: vec![id("e")], ..level("d", 1) },
        level("e", 2),
    ]);
    assert_eq!(spawns(&lines), ["a1"]);
    let mut order = vec!["a"];
    for next in ["b", "c", "d", "e"] {
        let up = *order.last().unwrap();
        world.up(up);
        let lines = world.report(up, Report::Ready);
        assert_eq!(spawns(&lines), [format!("{next}1")]);
        order.push(next);
    }
    world.up("e");
    world.report("e", Report::Ready);
    let mut lines = world.on(Event::Shutdown);
    let mut stopped = Vec::new();
    while let Some(id) =
        lines.iter().find_map(|it| it.strip_prefix("stop ")).map(|it| it[..1].to_owned())
    {
        lines = world.ends(&id, 0);
        stopped.push(id);
    }
    assert_eq!(stopped.len(), 5, "{stopped:?}");
    assert_eq!(lines.last().unwrap(), "done true");
}

#[test]
fn places_bound_how_many_start_at_once() {
    let specs: Vec<Spec> = (0..500).map(|n| slow(&format!("s{n:03}"))).collect();
    let (mut world, lines) = World::launch_with(8, specs);
    let mut starting: Vec<String> = spawns(&lines).iter().map(|it| it[..4].to_owned()).collect();
    assert_eq!(starting, (0..8).map(|n| format!("s{n:03}")).collect::<Vec<_>>());
    let mut started = starting.len();
    while let Some(id) = starting.pop() {
        world.up(&id);
        let lines = world.report(&id, Report::Ready);
        let more: Vec<String> = spawns(&lines).iter().map(|it| it[..4].to_owned()).collect();
        started += more.len();
        starting.extend(more);
        assert!(starting.len() <= 8);
    }
    assert_eq!(started, 500);
}

#[test]
fn the_end_goes_the_other_way_and_in_parallel() {
    let up = |world: &mut World, ids: &[&str]| {
        for id in ids {
            world.up(id);
            world.report(id, Report::Ready);
        }
    };
    let (mut world, _) =
        World::launch(vec![slow("a"), slow("b"), after("c", &["a"]), level("d", 1), level("e", 1)]);
    up(&mut world, &["a", "b", "c", "d", "e"]);
    let stops = |lines: Vec<String>| -> Vec<String> {
        lines.iter().filter_map(|it| it.strip_prefix("stop ")).map(str::to_owned).collect()
    };
    assert_eq!(stops(world.on(Event::Shutdown)), ["d1", "e1"]);
    assert!(stops(world.ends("d", 0)).is_empty());
    assert!(stops(world.report("e", exit(0))).is_empty(), "something of it remains");
    assert_eq!(stops(world.report("e", Report::Cleared)), ["b1", "c1"]);
    assert_eq!(stops(world.ends("c", 0)), ["a1"]);
    world.ends("a", 0);
    assert_eq!(world.ends("b", 0), ["b terminated 0", "done true"]);
}

#[test]
fn a_second_shutdown_forces() {
    let (mut world, _) = World::launch(vec![spec("a"), level("b", 1), slow("c")]);
    world.up("a");
    world.up("c");
    world.report("c", Report::Ready);
    world.on(Event::Shutdown);
    let mut lines = world.on(Event::Shutdown);
    assert!(
        lines.contains(&"kill a1".to_owned()) && lines.contains(&"kill c1".to_owned()),
        "{lines:?}"
    );
    assert_eq!(
        world.up("b"),
        ["b start", "b stopping: shutdown", "kill b1"],
        "it was being started, and is killed as soon as it is there"
    );
    for id in ["a", "b", "c"] {
        lines = world.ends(id, -9);
    }
    assert_eq!(lines.last().unwrap(), "done false", "{lines:?}");
}
