//! A launcher with five services that crash again and again, on a cluster of three brokers whose
//! nodes die, lose their quorum and their stores, and are renewed: no event is lost, none is there
//! twice, the order is kept, and the picture is right again soon after.
//!
//! `TCS_QUORUM_SECONDS` is for how long the quorum is lost (`make soak`: 75). `TCS_CLUSTER_SECONDS`
//! (`make soak`: an hour) kills the leader of the registry at random moments
//! for that long, on the current server alone.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

#[path = "cluster/cold_start.rs"]
mod cold_start;

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tcs_core::bus::publish::{OutgoingMessage, Publisher, Sent, random_id};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::{Bus, LinkState, Progress, ReadMode, Reading};
use tcs_core::clock;
use tcs_core::fleet::{FleetView, Liveness, Verdict};
use tcs_core::observer::{Observation, Observer, Patience};
use tcs_core::wire::{HeartbeatMessage, Kind, Message, RegistryMessage, Status, StatusMessage};
use tcs_testkit::cluster::Cluster;
use tcs_testkit::tcsd::{Tcsd, Watch, told};
use tcs_testkit::{nats, programs};

const SERVICES: usize = 5;
/// From when the cluster and all streams have a leader again; where time is not measured, as long as
/// anything may take on a busy machine.
const TRUE_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at what is said of the reading itself.
const LOOK: Duration = Duration::from_millis(100);
/// How long nothing can be stored, unless `TCS_QUORUM_SECONDS` says otherwise.
const NO_QUORUM: Duration = Duration::from_secs(8);

/// Each lives for a second and crashes.
fn config() -> String {
    let program = programs::badchild().display().to_string();
    let mut text = "launch: {heartbeat: 2}\nservices:\n".to_owned();
    for n in 0..SERVICES {
        let lives = 1000 + 70 * n;
        let _ = writeln!(
            text,
            "  - {{type: crash, variant: n{n}, restart: always, restart_sec: 0.2, restart_max: 0, \
             launch: {{exec: [{program:?}, sleep, '{lives}', exit, '3']}}}}"
        );
    }
    text
}

/// All registry events, in the order in which they were stored.
async fn events(observer: &Observer) -> Vec<RegistryMessage> {
    let since = clock::wall() - chrono::TimeDelta::hours(2);
    let past = nats::within_limit("the history", observer.since(since, &[Kind::Registry])).await;
    let of_registry = |it: Observation| match it {
        Observation::Message(it) => match &it.decoded.message {
            Message::Registry(event) => Some(event.clone()),
            _ => None,
        },
        _ => None,
    };
    past.observations.into_iter().filter_map(of_registry).collect()
}

async fn observer(cluster: &Cluster) -> Observer {
    let url = Some(cluster.urls().as_str().into());
    let settings = Settings::from_process(&NatsSection { url, ..NatsSection::default() }, None);
    Observer::new(Bus::open(&settings.unwrap(), "test", Duration::from_secs(2)).await.unwrap())
}

struct Site {
    // ends first: it must not outlive its brokers by its last messages' patience
    tcsd: Tcsd,
    observer: Observer,
    cluster: Cluster,
}

impl Site {
    async fn start(binary: &nats::Binary) -> Self {
        let cluster = Cluster::start(binary).await;
        cluster.make_streams().await;
        let program = Path::new(env!("CARGO_BIN_EXE_tcsd"));
        let mut tcsd = Tcsd::new(program, &cluster.urls(), "process", &config());
        tcsd.run();
        Self { tcsd, observer: observer(&cluster).await, cluster }
    }

    /// All registry events of the launcher, in the order in which they were stored.
    async fn events(&self) -> Vec<RegistryMessage> {
        events(&self.observer).await
    }

    /// Waits until as many more crashes as there are services are stored: the way is free again.
    async fn more(&self, what: &str) {
        let last = |events: &[RegistryMessage]| {
            events.iter().filter_map(|it| it.event_seq).max().unwrap_or(0)
        };
        let begin = clock::monotonic();
        let before = last(&self.events().await);
        loop {
            let events = self.events().await;
            if last(&events) > before + 20 {
                return println!("{what}: goes on after {:.1} s", begin.elapsed().as_secs_f64());
            }
            assert!(begin.elapsed() < nats::LIMIT, "{what}: nothing is stored any more");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The sequence numbers, which must be whole.
fn assert_whole(events: &[RegistryMessage]) {
    let numbers: Vec<u64> = events.iter().map(|it| it.event_seq.unwrap()).collect();
    let missing: Vec<u64> =
        (1..=numbers.len() as u64).filter(|number| !numbers.contains(number)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    assert!(numbers.is_sorted(), "out of order: {numbers:?}");
    println!("{} events, each once, in order", numbers.len());
}

/// Nothing is shown as dead or broken that lives. (Each service does crash, and its launcher
/// reports it with the status error: by a status, by a heartbeat and by the event, which arrive in
/// any order while some streams have a leader and others have none.)
fn not_red(view: &FleetView) -> bool {
    view.services.iter().all(|it| match it.verdict {
        Verdict::Lost | Verdict::Failed => false,
        Verdict::Error => it.id.starts_with("crash.") && it.status == Some(Status::Error),
        _ => true,
    })
}

/// All services are seen at work, or on their way back.
fn at_work(view: &FleetView) -> bool {
    let services = view.services.iter().filter(|it| it.id.starts_with("crash."));
    let works = |verdict| {
        matches!(verdict, Verdict::Ok | Verdict::Degraded | Verdict::Restarting | Verdict::Starting)
    };
    services.clone().count() == SERVICES && services.clone().all(|it| works(it.verdict))
}

/// The launcher's own heartbeat arrives, and all is seen at work.
fn true_again(view: &FleetView) -> bool {
    let launcher = view.services.iter().find(|it| it.id.starts_with("launcher."));
    launcher.is_some_and(|it| it.liveness == Liveness::Live) && at_work(view)
}

/// Looks on until `end`, and nothing may turn red; when it ended.
async fn look_on(watch: &mut Watch, what: &str, end: impl Future<Output = ()>) -> Instant {
    let mut end = std::pin::pin!(end);
    loop {
        let next = tokio::time::timeout(Duration::from_millis(20), watch.following.next());
        tokio::select! {
            () = &mut end => return clock::monotonic(),
            batch = next => if let Ok(batch) = batch {
                watch.picture.extend(batch.expect("it follows"));
            },
        }
        let view = watch.view();
        assert!(not_red(&view), "{what}:\n{}", told(&view));
    }
}

/// The picture is of what happens now, soon after the streams were led again: it has messages that
/// were stored since then.
async fn back(watch: &mut Watch, what: &str, since: Instant) {
    let then = watch.picture.clock.at(since);
    let is_new = |view: &FleetView| view.newest.is_some_and(|newest| newest > then);
    watch.see_while(what, |view| is_new(view) && true_again(view), not_red).await;
    let took = since.elapsed();
    println!("{what}: picture right after {:.1} s", took.as_secs_f64());
    let limit = if quorum_seconds().is_some() { TRUE_WITHIN } else { nats::LIMIT };
    assert!(took <= limit, "{what}: right only after {took:?}:\n{}", told(&watch.view()));
}

/// For how long the quorum is lost, where somebody says so: on a machine that measures time.
fn quorum_seconds() -> Option<Duration> {
    let seconds = std::env::var("TCS_QUORUM_SECONDS").ok()?;
    Some(Duration::from_secs(seconds.parse().unwrap()))
}

/// Two of three nodes are dead. The picture says that JetStream does not answer, once the console is
/// connected to the node that lives, and goes on saying it: never that the node does not.
async fn no_quorum(watch: &mut Watch) {
    let span = quorum_seconds().unwrap_or(NO_QUORUM);
    let begin = clock::monotonic();
    let mut said = None;
    while said.is_none() || begin.elapsed() < span {
        look_on(watch, "no quorum", tokio::time::sleep(LOOK)).await;
        let problems = watch.picture.problems("svc");
        let jetstream = problems.iter().any(|it| it.code() == "jetstream_no_answer");
        match said {
            None if jetstream => said = Some(begin.elapsed()),
            None => assert!(begin.elapsed() < nats::LIMIT, "{problems:?}"),
            Some(_) => {
                assert!(jetstream, "after {:?}: {problems:?}", begin.elapsed());
                let link = &watch.picture.link;
                assert!(matches!(link, LinkState::Connected { .. }), "{link:?}");
            }
        }
    }
    println!("no quorum for {span:?}, said after {:.1} s", said.unwrap().as_secs_f64());
    let text = watch.picture.problems("svc")[0].to_string();
    assert!(text.starts_with("JetStream: no answer for "), "{text}");
}

async fn survives(binary: nats::Binary) {
    let mut site = Site::start(&binary).await;
    let mut watch =
        Watch { picture: site.observer.blank(), following: site.observer.follow(&Kind::FLEET) };
    watch.see("all at work", true_again).await;
    site.more("before").await;

    // the leader of a stream dies, and comes back
    let leader = site.cluster.leader("svc_registry").await;
    site.cluster.nodes[leader].kill();
    let led = look_on(&mut watch, "a leader is dead", site.cluster.led(Some(leader))).await;
    back(&mut watch, "another leads", led).await;
    site.more("after a leader's death").await;
    site.cluster.nodes[leader].run().await;
    site.cluster.healthy().await;

    // two of three are gone: nothing can be stored
    let (first, second) = ((leader + 1) % 3, (leader + 2) % 3);
    site.cluster.nodes[first].kill();
    site.cluster.nodes[second].kill();
    no_quorum(&mut watch).await;
    site.cluster.nodes[first].run().await;
    let run = clock::monotonic();
    let led = look_on(&mut watch, "waiting for leaders", site.cluster.led(None)).await;
    println!("the cluster has leaders after {:.1} s", (led - run).as_secs_f64());
    back(&mut watch, "quorum again", led).await;
    site.cluster.nodes[second].run().await;
    site.cluster.healthy().await;
    site.more("after the loss of quorum").await;

    // one loses all that it has
    let leader = site.cluster.leader("svc_registry").await;
    site.cluster.nodes[leader].kill();
    site.cluster.nodes[leader].wipe();
    site.cluster.nodes[leader].run().await;
    let led = look_on(&mut watch, "a store was wiped", site.cluster.led(None)).await;
    back(&mut watch, "led after a wiped store", led).await;
    site.cluster.healthy().await;

    // they are renewed one after the other
    for node in 0..3 {
        site.cluster.lame_duck(node).await;
        site.cluster.nodes[node].run().await;
        look_on(&mut watch, "one is renewed", site.cluster.healthy()).await;
    }
    back(&mut watch, "all renewed", clock::monotonic()).await;
    site.more("after all").await;

    site.tcsd.stop().await;
    let events = site.events().await;
    assert_eq!(events.last().unwrap().event.name(), "stop", "the launcher's own end");
    assert_whole(&events);
    println!("{}", told(&watch.view()));
}

/// One cluster at a time: its brokers are three, and catch up in time only where they can compute.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_whatever_happens_to_a_cluster() {
    let _one = ONE.lock().await;
    nats::on_each_server(survives).await;
}

fn bus_settings(url: &str) -> Settings {
    let section = NatsSection { url: Some(url.into()), ..NatsSection::default() };
    Settings::from_process(&section, None).unwrap()
}

/// A service says something, over a connection to this node.
async fn says(publisher: &Publisher, status: Status, text: &str) {
    let beat = HeartbeatMessage {
        service_id: "x.a".to_owned(),
        status: Some(status),
        ..HeartbeatMessage::default()
    };
    let status = StatusMessage {
        name: "x.a".to_owned(),
        status,
        message: Some(text.to_owned()),
        timestamp: Some(clock::wall().into()),
        ..StatusMessage::default()
    };
    let subjects = publisher.bus().subjects();
    let status = OutgoingMessage::new(subjects.status("x.a"), &status).unwrap();
    let beat = OutgoingMessage::new(subjects.heartbeat("x.a"), &beat).unwrap();
    for parcel in [status, beat] {
        let begin = clock::monotonic();
        loop {
            match publisher.send(&parcel).await {
                Ok(Sent::Stored { .. }) => break,
                // what is not answered within seconds may be stored all the same: it is one message
                Err(error) if !error.is_final() && begin.elapsed() < nats::LIMIT => {}
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}

/// By what means each stream is read.
fn means(watch: &Watch) -> Vec<ReadMode> {
    let streams = watch.picture.readings.values().flat_map(|reading| match reading {
        Reading::Streams(streams) => streams.values().cloned().collect(),
        _ => Vec::new(),
    });
    streams
        .filter_map(|progress| match progress {
            Progress::Complete(means) => Some(means),
            _ => None,
        })
        .collect()
}

/// Waits until each stream is read by a consumer.
async fn by_consumers(watch: &mut Watch) {
    let begin = clock::monotonic();
    while means(watch) != [ReadMode::Push, ReadMode::Push, ReadMode::Push] {
        assert!(begin.elapsed() < 2 * nats::LIMIT, "{:?}", watch.picture.readings);
        look_on(watch, "what comes", tokio::time::sleep(LOOK)).await;
    }
    println!("by consumers after {:.1} s", begin.elapsed().as_secs_f64());
}

/// Two of three nodes are dead, and the third leads all streams: no consumer can be made.
async fn is_read_without_consumers(binary: nats::Binary) {
    let mut cluster = Cluster::start(&binary).await;
    cluster.make_streams_on(0).await;
    let limit = Duration::from_secs(10);
    let bus = Bus::open(&bus_settings(&cluster.nodes[0].url()), "test", limit).await.unwrap();
    let publisher = Publisher::new(bus);
    let mut link = publisher.bus().link();
    link.wait_for(LinkState::is_connected).await.unwrap();
    says(&publisher, Status::Ok, "before").await;
    // a console that is connected to one of the others
    let urls = [1, 2, 0].map(|node: usize| cluster.nodes[node].url()).join(",");
    let bus = Bus::connect(&bus_settings(&urls), "test", limit).await.unwrap();
    let state = bus.link().borrow().clone();
    let is_other = matches!(&state, LinkState::Connected { server, .. } if server.name != "node0");
    assert!(is_other, "{state:?}");
    let console = Observer::new(bus);
    let mut watch = Watch { picture: console.blank(), following: console.follow(&Kind::FLEET) };
    let said = |text: &'static str| {
        move |view: &FleetView| {
            view.get("x.a").is_some_and(|it| it.message.as_deref() == Some(text))
        }
    };
    watch.see("what was said before", said("before")).await;
    by_consumers(&mut watch).await;

    cluster.nodes[1].kill();
    cluster.nodes[2].kill();
    let begin = clock::monotonic();
    while !means(&watch).iter().all(|it| matches!(it, ReadMode::Meanwhile(_)))
        || means(&watch).len() < 3
    {
        assert!(begin.elapsed() < nats::LIMIT, "{:?}", watch.picture.readings);
        look_on(&mut watch, "what comes", tokio::time::sleep(LOOK)).await;
    }
    println!("read without consumers after {:.1} s", begin.elapsed().as_secs_f64());
    says(&publisher, Status::Warning, "meanwhile").await;
    watch.see("what is said meanwhile", said("meanwhile")).await;
    watch.complete().await;
    // who comes now finds the streams by their usual names
    let observer = Observer::connect(&bus_settings(&urls), "test", limit).await.unwrap();
    let begin = clock::monotonic();
    loop {
        let picture = observer.snapshot(Patience::default()).await;
        let problems = picture.problems("svc");
        if problems.is_empty() && said("meanwhile")(&picture.view(clock::monotonic())) {
            break;
        }
        // a busy machine may need longer than people wait
        assert!(begin.elapsed() < nats::LIMIT, "{problems:?}");
    }

    cluster.nodes[1].run().await;
    cluster.nodes[2].run().await;
    by_consumers(&mut watch).await;
    says(&publisher, Status::Ok, "after").await;
    watch.see("what is said after", said("after")).await;
    watch.complete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_read_while_no_consumer_can_be_made() {
    let _one = ONE.lock().await;
    nats::on_each_server(is_read_without_consumers).await;
}

/// Writers that all expect the same last message of a subject, at all nodes at once: the stream takes
/// one of them, and each other learns that somebody was faster, whoever of the cluster found out.
async fn one_of_many_is_taken(binary: nats::Binary) {
    let cluster = Cluster::start(&binary).await;
    cluster.make_streams().await;
    let mut writers = Vec::new();
    for node in &cluster.nodes {
        for _ in 0..4 {
            let limit = Duration::from_secs(5);
            let bus = Bus::connect(&bus_settings(&node.url()), "test", limit).await.unwrap();
            writers.push(Publisher::new(bus));
        }
    }
    let (mut last, mut taken_once, mut was_unsure) = (0, 0, false);
    let begin = clock::monotonic();
    for round in 0.. {
        if taken_once == 50 {
            return;
        }
        assert!(begin.elapsed() < 2 * nats::LIMIT, "{taken_once} of {round} rounds");
        let writing = writers.iter().enumerate().map(|(n, writer)| {
            let body = json!({ "round": round, "writer": n });
            let subject = writer.bus().subjects().status("race");
            let message = OutgoingMessage::new(subject, &body).unwrap().expecting(last);
            let writer = writer.clone();
            tokio::spawn(async move { writer.send(&message).await })
        });
        let writing: Vec<_> = writing.collect();
        let (mut taken, mut is_unsure) = (Vec::new(), false);
        for writing in writing {
            match nats::within_limit("an answer", writing).await.unwrap() {
                Ok(Sent::Stored { sequence, .. }) => taken.push(sequence),
                Ok(other) => panic!("{other:?}"),
                Err(error) if error.is_overtaken() => {}
                Err(error) => {
                    assert!(!error.is_final(), "{error}");
                    is_unsure = true;
                }
            }
        }
        was_unsure |= is_unsure;
        assert!(taken.len() == 1 || taken.is_empty() && was_unsure, "round {round}: {taken:?}");
        if let ([sequence], false) = (&taken[..], is_unsure) {
            (last, taken_once) = (*sequence, taken_once + 1);
        } else {
            // an election: who was not answered may be the one, also some time later
            let newest = json!({ "last_by_subj": "svc.status.race" });
            let is_known = |it: &Value| it["message"]["seq"].is_u64() || it["error"]["code"] == 404;
            let newest = cluster.ask("STREAM.MSG.GET.svc_status", &newest, is_known).await;
            last = newest["message"]["seq"].as_u64().unwrap_or(0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writers_that_race_a_cluster_takes_one_and_tells_the_others() {
    let _one = ONE.lock().await;
    nats::on_each_server(one_of_many_is_taken).await;
}

/// Leaders that die at random moments, for as long as it is said.
#[tokio::test(flavor = "multi_thread")]
async fn leaders_that_die_again_and_again() {
    let Ok(seconds) = std::env::var("TCS_CLUSTER_SECONDS") else {
        return println!("not run: TCS_CLUSTER_SECONDS is not set");
    };
    let limit = Duration::from_secs(seconds.parse().unwrap());
    let binary = nats::current_server().unwrap_or_else(nats::server);
    let mut site = Site::start(&binary).await;
    let begin = clock::monotonic();
    let mut deaths = 0;
    while begin.elapsed() < limit {
        site.more("before a death").await;
        let pause = u64::from_str_radix(&random_id()[..4], 16).unwrap() % 60_000;
        let pause = Duration::from_millis(pause).min(limit / 8);
        tokio::time::sleep(pause).await;
        let leader = site.cluster.leader("svc_registry").await;
        site.cluster.nodes[leader].kill();
        deaths += 1;
        site.more("after a death").await;
        site.cluster.nodes[leader].run().await;
        site.cluster.healthy().await;
        let status = std::fs::read_to_string(format!("/proc/{}/status", site.tcsd.pid())).unwrap();
        let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        println!("{:.0} s, {deaths} deaths, {resident}", begin.elapsed().as_secs_f64());
    }
    site.tcsd.stop().await;
    assert_whole(&site.events().await);
}
