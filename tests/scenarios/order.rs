//! When services count as up, and what that means to those that come after them.

use tcs_core::clock;
use tcs_core::fleet::Verdict;
use tcs_testkit::{nats, programs};

use super::{BEATS, Site, bad};

/// By a notification, a line, a port, a heartbeat, and by a Rust service's own word: each holds up
/// the one that comes after it, and the launcher's end goes the other way.
#[tokio::test(flavor = "multi_thread")]
async fn each_waits_until_the_one_before_is_ready() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let notify = bad(&["sleep", "400", "notify", "READY=1\nSTATUS=cooling", "forever"]);
    let line = bad(&["sleep", "400", "complain", "[INFO ] dome: slit is open", "forever"]);
    let tcp = bad(&["sleep", "400", "listen", &format!("127.0.0.1:{port}"), "forever"]);
    let beats = bad(&["sleep", "400", "beats", "by_beat.a", "1000", "300"]);
    let last = bad(&["forever"]);
    // in the file's order nothing of it would be so
    let config = format!(
        "{BEATS}services:
  - {{type: last, variant: a, launch: {{exec: {last}, level: 5}}}}
  - {{type: bad.slow, variant: a, after: 0.4, launch: {{after: [by_beat.a]}}}}
  - {{type: by_beat, variant: a, launch: {{exec: {beats}, ready: heartbeat, after: [by_tcp.a]}}}}
  - {{type: by_tcp, variant: a, launch: {{exec: {tcp}, ready: {{tcp: '127.0.0.1:{port}'}}, after: [by_line.a]}}}}
  - {{type: by_line, variant: a, launch: {{exec: {line}, ready: {{log: 'slit is open$'}}, after: [by_notify.a]}}}}
  - {{type: by_notify, variant: a, launch: {{exec: {notify}, ready: notify}}}}
"
    );
    let ids = ["by_notify.a", "by_line.a", "by_tcp.a", "by_beat.a", "bad.slow.a", "last.a"];
    let mut site = Site::of(&programs::badfleet(), "process", &config).await;
    let begin = clock::monotonic();
    let mut watch = site.watch();
    for id in ids {
        watch.sees("ok", id, |it| it.verdict == Verdict::Ok).await;
        println!("{id} is up {:.2} s after the start of tcsd", begin.elapsed().as_secs_f64());
    }
    watch
        .sees("its words for people", "by_notify.a", |it| it.message.as_deref() == Some("cooling"))
        .await;
    assert!(site.tcsd.stop().await.success());
    let events = site.events(None).await;
    let place = |name: &str, id: &str| {
        events
            .iter()
            .position(|it| it.service_id == id && it.event.name() == name)
            .unwrap_or_else(|| panic!("no {name} of {id}"))
    };
    for pair in ids.windows(2) {
        assert!(place("ready", pair[0]) < place("start", pair[1]), "{pair:?} at start");
        assert!(place("stop", pair[1]) < place("stopping", pair[0]), "{pair:?} at the end");
    }
}

/// A Rust service in a process of its own says itself that it is up, without a broker too.
#[tokio::test(flavor = "multi_thread")]
async fn a_rust_service_is_ready_when_it_says_so_without_a_broker() {
    let config = format!(
        "{BEATS}services:
  - {{type: hello_world, variant: after, launch: {{after: [bad.slow.a]}}}}
  - {{type: bad.slow, variant: a, after: 0.5}}
  - {{type: bad.raises, variant: a, restart: no}}
"
    );
    let mut site = Site::prepared(&programs::badfleet(), "process", &config).await;
    site.server.kill();
    site.tcsd.run();
    nats::wait_for("both to run", || site.tcsd.log().contains("hello_world.after ready")).await;
    let log = site.tcsd.log();
    assert!(!log.contains("bad.slow.a ready after 0.0 s"), "{log}");
    let (slow, after) = (log.find("bad.slow.a ready"), log.find("hello_world.after started"));
    assert!(slow.unwrap() < after.unwrap(), "{log}");
    // and why it failed
    nats::wait_for("its crash", || {
        let log = site.tcsd.log();
        log.contains("bad.raises.a crashed after ") && log.contains(": no guide star (exit 1); ")
    })
    .await;
    assert_eq!(site.tcsd.stop().await.code(), Some(1));
}
