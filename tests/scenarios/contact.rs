//! What a console shows while it hears nothing, for whatever reason: the fleet as it was when
//! something was heard last, and that nothing is heard. Silence of ours is no service's.

use std::time::Duration;

use chrono::TimeDelta;
use tcs_core::bus::Bus;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::clock;
use tcs_core::fleet::transitions::{Cause, Transition, Transitions};
use tcs_core::fleet::{Fleet, FleetView, Link, Liveness, ServiceView, Verdict};
use tcs_core::observer::{Observation, Observed, Observer, Patience, Problem};
use tcs_core::wire::{Kind, Message, RegistryMessage};
use tcs_testkit::nats;
use tcs_testkit::proxy::Proxy;
use tcs_testkit::tcsd::{self, Watch, told};

use super::{Site, bad};

/// Twelve intervals are as long as the outages here, so that each service would be lost.
const INTERVAL: f64 = 0.4;
const OUTAGE: Duration = Duration::from_millis(5_500);

async fn site() -> Site {
    let exec = bad(&["forever"]);
    let config = format!(
        "launch: {{heartbeat: {INTERVAL}}}
services:
  - {{type: hello_world, variant: a}}
  - {{type: silent, variant: a, launch: {{exec: {exec}}}}}
"
    );
    Site::start("process", &config).await
}

async fn watch(port: u16) -> (Bus, Watch) {
    let section = NatsSection { port: Some(port), ..NatsSection::default() };
    let settings = Settings::from_process(&section, None).unwrap();
    let bus = Bus::open(&settings, "test", Duration::from_secs(5)).await.unwrap();
    let observer = Observer::new(bus.clone());
    (bus, Watch { picture: observer.blank(), following: observer.follow(&Kind::FLEET) })
}

/// Waits until all is well, and contact is known.
async fn well(watch: &mut Watch) {
    watch.see("all ok", all_ok).await;
    while watch.picture.hearing.heard.is_none() {
        let batch = nats::within_limit("contact", watch.following.next()).await;
        watch.picture.extend(batch.unwrap());
    }
}

/// Each is well, its start is known, and it has sent a heartbeat: without one it would not be missed
/// for 2 min.
fn all_ok(view: &FleetView) -> bool {
    let is_known = |it: &ServiceView| it.is_launcher || it.pid.is_some();
    let is_ok = |it: &ServiceView| it.verdict == Verdict::Ok && it.liveness == Liveness::Live;
    view.services.len() == 3 && view.services.iter().all(|it| is_ok(it) && is_known(it))
}

/// Nobody is worse than late, and that only for a moment.
fn none_lost(view: &FleetView) -> bool {
    view.services.iter().all(|it| matches!(it.verdict, Verdict::Ok | Verdict::Late))
}

/// Nothing has turned while nothing is heard: the picture is of the moment before.
fn frozen(view: &FleetView) -> bool {
    matches!(view.link, Link::Down { .. }) && all_ok(view)
}

fn has(watch: &Watch, code: &str) -> bool {
    watch.picture.problems("svc").iter().any(|problem| problem.code() == code)
}

/// A connection that delivers nothing and is not closed; in both directions, and in one.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_delivers_nothing() {
    let site = site().await;
    for stop in [Proxy::stop, Proxy::stop_from_server] {
        let proxy = Proxy::start(site.server.port()).await;
        let (bus, mut watch) = watch(proxy.port()).await;
        well(&mut watch).await;
        stop(&proxy);
        let stopped = clock::monotonic();
        watch.see_while("that nothing is heard", frozen, none_lost).await;
        super::within("T9: from the loss to a picture that is held", stopped.elapsed(), 6);
        let told = |view: &FleetView| stopped.elapsed() > OUTAGE && frozen(view);
        watch.see_while("the same for twelve intervals", told, none_lost).await;
        assert!(has(&watch, "no_answer") || has(&watch, "not_connected"));
        if bus.is_connected() {
            let text = watch.picture.problems("svc")[0].to_string();
            assert!(text.starts_with("no answer for "), "{text}");
        }
        proxy.go_on();
        let back = |view: &FleetView| all_ok(view) && matches!(view.link, Link::Back { .. });
        watch.see_while("all is well again", back, none_lost).await;
        assert!(!has(&watch, "no_answer") && !has(&watch, "not_connected"));
    }
}

/// A broker that hangs, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_and_goes_on() {
    let site = site().await;
    let (_bus, mut watch) = watch(site.server.port()).await;
    well(&mut watch).await;
    assert!(watch.picture.problems("svc").is_empty());
    site.server.signal("STOP");
    let stopped = clock::monotonic();
    watch.see_while("that nothing is heard", frozen, none_lost).await;
    let told = |view: &FleetView| stopped.elapsed() > OUTAGE && frozen(view);
    watch.see_while("the same for twelve intervals", told, none_lost).await;
    let problems = watch.picture.problems("svc");
    let is_told = |it: &Problem| matches!(it.code(), "no_answer" | "not_connected");
    assert!(problems.iter().any(is_told), "{problems:?}");
    site.server.signal("CONT");
    watch.see_while("all is well again", all_ok, none_lost).await;
}

/// A service that was lost before stays so: while nothing is heard, and after.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_makes_nobody_well() {
    const GONE: &str = "hello_world.a";
    let site = site().await;
    let (_bus, mut watch) = watch(site.server.port()).await;
    well(&mut watch).await;
    let pid = watch.service(GONE).pid.unwrap();
    tcsd::signal("STOP", pid);
    watch.sees("lost", GONE, |it| it.verdict == Verdict::Lost).await;
    let turned = watch.service(GONE).since;
    // the picture is held as it was at the last proof of contact
    watch.sees("proof of that", "silent.a", |it| it.last_heartbeat > turned).await;
    site.server.signal("STOP");
    let stopped = clock::monotonic();
    let is_lost = |view: &FleetView| view.get(GONE).unwrap().verdict == Verdict::Lost;
    let is_down =
        |view: &FleetView| matches!(view.link, Link::Down { .. }) && stopped.elapsed() > OUTAGE;
    watch.see_while("that nothing is heard", is_down, is_lost).await;
    site.server.signal("CONT");
    let is_back = |view: &FleetView| {
        let beats = view.services.iter().filter(|it| it.verdict == Verdict::Ok).count() == 2;
        beats && matches!(view.link, Link::Back { .. })
    };
    watch.see_while("the others again", is_back, is_lost).await;
    tcsd::signal("CONT", pid);
    watch.see("all is well", all_ok).await;
}

/// What was late in the past is found in the stored heartbeats: when it began, when it ended.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_late_is_found_with_its_true_times() {
    const ID: &str = "hello_world.a";
    let site = site().await;
    let (_bus, mut watch) = watch(site.server.port()).await;
    watch.see("all ok", all_ok).await;
    let pid = watch.service(ID).pid.unwrap();
    tcsd::signal("STOP", pid);
    watch.sees("late", ID, |it| it.verdict == Verdict::Late).await;
    tcsd::signal("CONT", pid);
    watch.sees("ok", ID, |it| it.verdict == Verdict::Ok).await;

    let since = clock::wall() - TimeDelta::hours(1);
    let past = site.observer.since(since, &Kind::FLEET).await;
    let (mut fleet, mut transitions) = (Fleet::new(), Transitions::default());
    let (mut told, mut beats) = (Vec::new(), Vec::new());
    for observation in past.observations {
        let Observation::Message(message) = observation else { continue };
        let Observed { subject, decoded, stamp, .. } = &*message;
        if let Message::Heartbeat(beat) = &decoded.message
            && beat.service_id == ID
        {
            beats.push(stamp.stored);
        }
        told.extend(transitions.take(&mut fleet, subject, decoded, *stamp, Link::Steady));
    }
    told.retain(|it| &*it.id == ID && matches!(it.cause, Cause::Heartbeat));
    let [late, ok] = &told[..] else { panic!("{told:#?}") };
    let gap = beats.windows(2).max_by_key(|pair| pair[1] - pair[0]).unwrap();
    assert_eq!((late.verdict, ok.verdict), (Verdict::Late, Verdict::Ok));
    assert_eq!(late.at - gap[0], TimeDelta::milliseconds(1_200), "three intervals after the last");
    assert_eq!(late.reasons[0].code(), "heartbeat_late");
    // a beat is made before it is stored
    assert!(ok.at <= gap[1] && gap[1] - ok.at < TimeDelta::seconds(1), "{ok:?}, {gap:?}");
    assert_eq!(ok.before.unwrap().lasted, Some(ok.at - late.at));
}

/// A service that hangs while all else goes on is late and lost as ever, also where it is the only
/// one: then the broker's answers show that it is its own silence.
#[tokio::test(flavor = "multi_thread")]
async fn silence_of_a_service_is_its_own() {
    let mut site = site().await;
    let (_bus, mut watch) = watch(site.server.port()).await;
    watch.see("all ok", all_ok).await;
    site.tcsd.signal("STOP");
    let pid = watch.service("hello_world.a").pid.unwrap();
    tcsd::signal("STOP", pid);
    for id in ["hello_world.a", "silent.a"] {
        watch.sees("lost", id, |it| it.verdict == Verdict::Lost).await;
    }
    assert!(watch.picture.problems("svc").is_empty());
    tcsd::signal("CONT", pid);
    site.tcsd.signal("CONT");
    watch.see("all ok", all_ok).await;
    site.tcsd.stop().await;
}

/// A broker that hangs while a service crashes twice: afterwards both crashes stand where they
/// happened, and the silence of everybody is no service's, neither for somebody who asks just then
/// nor for somebody who reads the past.
#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_broker_hung() {
    const ID: &str = "back.a";
    let exec = bad(&["forever"]);
    let config = format!(
        "launch: {{heartbeat: 0.3}}
services:
  - {{type: hello_world, variant: a}}
  - {{type: back, variant: a, restart: always, restart_sec: 0.1, restart_max: 0, launch: {{exec: {exec}}}}}
"
    );
    let site = Site::start("process", &config).await;
    let (_bus, mut watch) = watch(site.server.port()).await;
    well(&mut watch).await;
    let log = || site.tcsd.log();
    site.server.signal("STOP");
    let stopped = (clock::monotonic(), clock::wall());
    for run in 1..=2 {
        let log_now = log();
        let pid = log_now.rsplit("back.a started, pid ").next().unwrap();
        tcsd::signal("KILL", pid.split(':').next().unwrap().trim().parse().unwrap());
        nats::wait_for("its next run", || log().matches("back.a ready").count() == run + 1).await;
    }
    // for longer than twelve intervals, so that each service would be lost
    nats::wait_for("time", || stopped.0.elapsed() > Duration::from_secs(4)).await;
    let thawed = clock::wall();
    site.server.signal("CONT");

    let (bus, _) = self::watch(site.server.port()).await;
    let observer = Observer::new(bus);
    let mut picture = observer.snapshot(Patience::default()).await;
    let view = picture.view(clock::monotonic());
    observer.find_silence(&mut picture, &view).await;
    let view = picture.view(clock::monotonic());
    assert!(view.services.iter().all(|it| it.verdict != Verdict::Lost), "{}", told(&view));

    let is_last = |events: &[RegistryMessage]| {
        events.iter().filter(|it| it.event.name() == "ready").count() == 3
    };
    while !is_last(&site.events(Some(ID)).await) {
        watch.following.next().await;
    }
    let past = observer.since(clock::wall() - TimeDelta::hours(1), &Kind::FLEET).await;
    let messages: Vec<_> = past
        .observations
        .iter()
        .filter_map(|observation| match observation {
            Observation::Message(message) => Some(&**message),
            _ => None,
        })
        .collect();
    let (mut fleet, mut transitions) = (Fleet::new(), Transitions::default());
    transitions.look_ahead(&mut fleet, messages.iter().map(|it| (&it.decoded, it.stamp)));
    let mut story = Vec::new();
    for Observed { subject, decoded, stamp, .. } in messages {
        story.extend(transitions.take(&mut fleet, subject, decoded, *stamp, Link::Steady));
    }
    story.sort_by_key(|it| it.at);
    let silent = |it: &Transition| matches!(it.verdict, Verdict::Lost);
    assert!(!story.iter().any(silent), "{story:#?}");
    let crashes: Vec<_> = story
        .iter()
        .filter(|it| &*it.id == ID)
        .filter_map(|it| match &it.cause {
            Cause::Event { event, .. } if event.name() != "declared" => Some((event.name(), it)),
            _ => None,
        })
        .collect();
    let order: Vec<_> = crashes.iter().map(|(name, _)| *name).collect();
    let run = ["start", "ready"];
    let again = ["crashed", "restarting", "start", "ready"];
    assert_eq!(order, [&run[..], &again, &again].concat());
    for (_, crash) in crashes.iter().filter(|(name, _)| *name == "crashed") {
        assert!(stopped.1 < crash.at && crash.at < thawed, "{crash:?}, thawed {thawed}");
        assert!(crash.delivered_late >= thawed - crash.at, "{crash:?}, thawed {thawed}");
    }
}

/// Waits until the launcher answers. The server may send a request over a connection that it does not
/// know to be dead, so each is waited for only a little.
async fn answers(site: &Site) {
    let begin = clock::monotonic();
    let (name, json) = (site.tcsd.name.to_string(), serde_json::json!({}));
    let ask = || site.bus.request(&name, "list", &json, Duration::from_millis(500));
    while let Err(error) = ask().await {
        assert!(begin.elapsed() < nats::LIMIT, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The connections of a launcher at rest die without being closed, in one direction or both, while
/// others go on speaking to it: it notices, and makes both anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_whose_connections_are_dead_one_way() {
    /// More than twice what it takes. Before, 29 s in one direction.
    const NOTICED_WITHIN: Duration = Duration::from_secs(15);
    type Way = (&'static str, fn(&Proxy));
    const WAYS: [Way; 3] = [
        ("to the server", Proxy::forget_from_client),
        ("from the server", Proxy::forget_from_server),
        ("both ways", Proxy::forget),
    ];
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tcsd"));
    for binary in nats::servers() {
        let server = nats::Server::start(&binary).await;
        let proxy = Proxy::start(server.port()).await;
        let config = "launch: {heartbeat: 600}\nservices: []\n";
        let mut site = Site::at(server, program, "process", config).await;
        site.tcsd = tcsd::Tcsd::new(program, &proxy.url(), "process", config);
        site.tcsd.run();
        answers(&site).await;
        for (way, forget) in WAYS {
            let before = proxy.accepted();
            let (name, bus) = (site.tcsd.name.to_string(), site.bus.clone());
            // what arrives is no answer
            let talk = tokio::spawn(async move {
                loop {
                    let limit = Duration::from_millis(300);
                    let json = serde_json::json!({});
                    bus.request(&name, "list", &json, limit).await.ok();
                    tokio::time::sleep(limit).await;
                }
            });
            forget(&proxy);
            let begin = clock::monotonic();
            nats::wait_for("two new connections", || proxy.accepted() >= before + 2).await;
            let took = begin.elapsed();
            talk.abort();
            println!("{}: dead {way}: made anew after {:.1} s", binary.version, took.as_secs_f64());
            assert!(took < NOTICED_WITHIN, "{way}: {took:?}");
            answers(&site).await;
        }
        site.tcsd.stop().await;
    }
}
