//! Bus and fleet joined, against real servers.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::{ClockQuality, Stored};
use tcs_core::clock;
use tcs_core::fleet::{IntervalSource, Liveness, Verdict};
use tcs_core::observer::{Observation, Observer, Patience, Picture, Problem};
use tcs_core::wire::{Kind, Message, Status};
use tcs_testkit::nats::{self, Server, on_each_server};

const PATIENCE: Patience =
    Patience { timeout: Duration::from_mins(1), listen: Duration::from_millis(500) };

struct Site {
    server: Server,
    observer: Observer,
    writer: async_nats::jetstream::Context,
}

impl Site {
    /// A server, with the fleet's streams, and connections to it.
    async fn new(server: Server) -> Self {
        let flags = NatsSection { url: Some(server.url().as_str().into()), ..Default::default() };
        let settings = Settings::from_process(&flags, None).unwrap();
        let observer = Observer::connect(&settings, "test 0", PATIENCE.timeout).await.unwrap();
        observer.bus().create_missing_streams().await;
        let client = async_nats::connect(server.url()).await.unwrap();
        Self { server, observer, writer: async_nats::jetstream::new(client) }
    }

    async fn put(&self, subject: &str, data: Value) {
        let body = json!({"data": data, "meta": {"sender": "t", "ts": [2026, 1, 1, 0, 0, 0, 0]}});
        self.put_body(subject, body.to_string()).await;
    }

    async fn put_body(&self, subject: &str, body: String) {
        let ack = self.writer.publish(subject.to_owned(), body.into()).await.unwrap();
        ack.await.unwrap();
    }

    /// What following comes to, once all that is stored has come.
    async fn followed(&self) -> Picture {
        let mut followed = self.observer.blank();
        let mut following = self.observer.follow(&Kind::FLEET);
        nats::within_limit("followed", async {
            while !followed.is_settled() {
                followed.extend(following.next().await.unwrap());
            }
        })
        .await;
        following.stop().await;
        followed
    }

    async fn status(&self, name: &str, status: &str) {
        self.put(&format!("svc.status.{name}"), json!({"name": name, "status": status})).await;
    }

    async fn beat(&self, name: &str) {
        let subject = format!("svc.heartbeat.{name}");
        self.put(&subject, json!({"service_id": name, "status": "ok"})).await;
    }

    /// Publishes a recording's stream messages as fast as they are taken.
    async fn replay(&self, recording: &str) {
        let path = format!("{}/../tests/fixtures/wire/{recording}", env!("CARGO_MANIFEST_DIR"));
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let subject = line["subject"].as_str().unwrap();
            if ["svc.registry.", "svc.status.", "svc.heartbeat."]
                .iter()
                .any(|p| subject.starts_with(p))
            {
                self.put_body(subject, line["payload"].as_str().unwrap().to_owned()).await;
            }
        }
    }
}

fn verdict(picture: &Picture, id: &str) -> Option<Verdict> {
    picture.view(clock::monotonic()).get(id).map(|service| service.verdict)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_through_a_broker_gives_its_picture() {
    on_each_server(async |binary| {
        let site = Site::new(Server::start(&binary).await).await;
        site.replay("process-launcher.jsonl").await;
        let picture = site.observer.snapshot(PATIENCE).await;
        assert_eq!(picture.problems("svc"), []);
        assert_eq!(verdict(&picture, "hello_world.main"), Some(Verdict::Failed));
        assert_eq!(verdict(&picture, "examples.nonblocking.tutorial"), Some(Verdict::Failed));
        assert_eq!(verdict(&picture, "examples.basic.tutorial"), Some(Verdict::Stopped));
        assert!(matches!(picture.clock.quality, ClockQuality::Measured { .. }));
        assert!(picture.figures.messages > 10 && picture.figures.bytes > 1000);
        // Same machine, same clock: the measured one agrees with it.
        let off = (picture.clock.now() - clock::wall()).abs();
        assert!(off < TimeDelta::seconds(30), "{off}");
        // What follows comes to the same.
        let followed = site.followed().await;
        assert_eq!(followed.problems("svc"), []);
        assert_eq!(followed.fleet.len(), picture.fleet.len());
        assert_eq!(verdict(&followed, "hello_world.main"), Some(Verdict::Failed));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_are_counted_with_their_subject() {
    on_each_server(async |binary| {
        let site = Site::new(Server::start(&binary).await).await;
        site.put_body("svc.status.bad", "{".to_owned()).await;
        site.status("good", "ok").await;
        // nobody reports for another one
        let of_other = json!({"data": {"name": "good", "status": "failed"}});
        site.put_body("svc.status.other", of_other.to_string()).await;
        let picture = site.observer.snapshot(PATIENCE).await;
        let tally = picture.fleet.tally();
        assert_eq!((tally.received, tally.malformed), (3, 2));
        let subjects: BTreeSet<_> = tally.last_malformed.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(subjects, BTreeSet::from(["svc.status.bad", "svc.status.other"]));
        let view = picture.view(clock::monotonic());
        assert_eq!(view.get("good").unwrap().status, Some(Status::Ok));
        assert_eq!(view.services.len(), 1);
    })
    .await;
}

/// Of each subject the newest message is read: one that is none hides no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_message_does_not_hide_the_one_before_it() {
    on_each_server(async |binary| {
        let site = Site::new(Server::start(&binary).await).await;
        let of_other = json!({"data": {"name": "good", "status": "ok"}}).to_string();
        site.status("hidden", "failed").await;
        site.status("buried", "failed").await;
        for n in 0..50 {
            site.status(&format!("between{n}"), "ok").await;
        }
        for body in ["{", "[]", &of_other] {
            site.put_body("svc.status.hidden", body.to_owned()).await;
        }
        for _ in 0..20 {
            site.put_body("svc.status.buried", "{".to_owned()).await;
        }
        site.put_body("svc.status.never", "{".to_owned()).await;
        let last = site.observer.bus().last_word(Kind::Status, "svc.status.hidden").await.unwrap();
        assert!(last.unwrap().payload().starts_with(b"{\"data\":{\"name\":\"hidden\""));
        let followed = site.followed().await;
        for picture in [site.observer.snapshot(PATIENCE).await, followed] {
            let view = picture.view(clock::monotonic());
            assert_eq!(view.get("hidden").unwrap().status, Some(Status::Failed));
            assert!(view.get("buried").is_none(), "under more than is looked at");
            assert_eq!(view.services.len(), 51);
            let tally = picture.fleet.tally();
            assert_eq!((tally.received, tally.malformed), (54, 3));
            assert_eq!(picture.problems("svc"), []);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_what_was_stored_until_then() {
    on_each_server(async |binary| {
        let site = Site::new(Server::start(&binary).await).await;
        site.status("a.x", "ok").await;
        site.beat("a.x").await;
        site.status("b.x", "warning").await;
        let before = site.observer.snapshot(PATIENCE).await;
        let at = before.fleet.newest().unwrap();
        // By the broker's clock it is later now.
        nats::wait_for("time passes", || before.clock.now() > at + TimeDelta::milliseconds(50))
            .await;
        site.status("a.x", "error").await;
        site.status("c.x", "ok").await;
        for _ in 0..5 {
            site.beat("a.x").await;
        }
        let registry = json!({"event": "stop", "service_id": "a.x", "reason": "completed",
            "exit_code": 0, "status": "shutdown"});
        site.put("svc.registry.stop.a.x", registry).await;

        let past = site.observer.at(at, PATIENCE).await;
        assert_eq!(past.problems("svc"), [], "{:?}", past.readings);
        let view = past.view(clock::monotonic());
        assert_eq!(view.now, at);
        let names: Vec<_> = view.services.iter().map(|s| s.id.to_string()).collect();
        assert_eq!(names, ["a.x", "b.x"]);
        assert_eq!(verdict(&past, "a.x"), Some(Verdict::Ok));
        let earlier = site.observer.at(at - TimeDelta::hours(1), PATIENCE).await;
        let gaps = earlier.problems("svc");
        assert!(gaps.iter().all(|p| matches!(p, Problem::HistoryBegins { .. })), "{gaps:?}");
        assert_eq!((gaps.len(), earlier.fleet.len()), (3, 0));
        let now = site.observer.snapshot(PATIENCE).await;
        assert_eq!(now.view(clock::monotonic()).services.len(), 3);
        assert_ne!(verdict(&now, "a.x"), Some(Verdict::Ok));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn intervals_are_learned_from_the_last_beats() {
    on_each_server(async |binary| {
        let site = Site::new(Server::start(&binary).await).await;
        for second in 0..5 {
            let time = [2026, 1, 1, 0, 0, second * 2, 0];
            let data = json!({"service_id": "a.x", "status": "ok", "timestamp": time});
            site.put("svc.heartbeat.a.x", data).await;
        }
        let mut picture = site.observer.snapshot(PATIENCE).await;
        let interval = |picture: &Picture| {
            let view = picture.view(clock::monotonic());
            let service = view.get("a.x").unwrap();
            (service.interval, service.interval_source)
        };
        assert_eq!(interval(&picture).1, IntervalSource::Assumed);
        site.observer.learn_intervals(&mut picture, &["a.x"]).await;
        assert_eq!(interval(&picture), (TimeDelta::seconds(2), IntervalSource::Learned));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_since_comes_in_order_and_the_feed_goes_on() {
    on_each_server(async |binary| {
        let site = Site::new(Server::start(&binary).await).await;
        let start = site.observer.snapshot(PATIENCE).await.clock.now() - TimeDelta::seconds(5);
        for n in 0..10 {
            site.status("a.x", if n % 2 == 0 { "ok" } else { "busy" }).await;
            let event = json!({"event": "ready", "service_id": "a.x"});
            site.put("svc.registry.ready.a.x", event).await;
        }
        let past = site.observer.since(start, &[Kind::Registry, Kind::Status]).await;
        assert_eq!(past.problems, []);
        let stamps: Vec<_> = past
            .observations
            .iter()
            .map(|observation| match observation {
                Observation::Message(message) => message.stamp.stored,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(stamps.len(), 20);
        assert!(stamps.is_sorted());
        assert!(
            site.observer
                .since(start + TimeDelta::hours(1), &[Kind::Status])
                .await
                .observations
                .is_empty()
        );
    })
    .await;
}

/// What a server counts as pending is then not to be relied on.
#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_read_while_more_is_written() {
    on_each_server(async |binary| {
        let site = Site::new(Server::start(&binary).await).await;
        for _ in 0..20 {
            // by the broker's own stamp: a clock that is measured is wrong by as long as that took
            site.status("a.x", "ok").await;
            let last = site.observer.bus().last_word(Kind::Status, "svc.status.a.x").await;
            let Stored::Stream { at: since, .. } = last.unwrap().unwrap().stored else { panic!() };
            let mut written = 1;
            // writing ends, now earlier, now later, while the consumer is made
            for round in 0..20 {
                let past = site.observer.since(since, &[Kind::Status]);
                let write = async {
                    for n in 0..=round % 16 {
                        site.status("a.x", if n % 2 == 0 { "ok" } else { "busy" }).await;
                    }
                };
                let (past, ()) = tokio::join!(nats::within_limit("the past", past), write);
                assert_eq!(past.problems, []);
                let read = past.observations.len();
                assert!(read >= written, "{read} read, {written} were there");
                written += round % 16 + 1;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_streams_the_picture_says_so_and_core_listens_for_a_while() {
    on_each_server(async |binary| {
        let server = Server::start_with(&binary, "").await;
        let site = Site::new(server).await;
        let picture = site.observer.snapshot(PATIENCE).await;
        let [problem] = &picture.problems("svc")[..] else { panic!("{:?}", picture.readings) };
        assert!(matches!(problem, Problem::NoJetStream { listening: false, .. }));
        assert!(problem.hint().is_some());
        let listener = site.observer.clone().with_core(true);
        let longer = Patience { listen: Duration::from_secs(3), ..PATIENCE };
        let client = site.writer.client();
        let talk = async {
            loop {
                let body = r#"{"data":{"name":"a.x","status":"ok"},"meta":{}}"#;
                client.publish("svc.status.a.x", body.into()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let picture = tokio::select! {
            picture = listener.snapshot(longer) => picture,
            () = talk => unreachable!(),
        };
        assert_eq!(picture.fleet.len(), 1);
        assert!(picture.is_listening());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_freezes_the_picture_and_ends() {
    on_each_server(async |binary| {
        let mut site = Site::new(Server::start(&binary).await).await;
        site.status("a.x", "ok").await;
        site.beat("a.x").await;
        let mut picture = site.observer.blank();
        let mut following = site.observer.follow(&Kind::FLEET);
        let mut until = async |what: &str, picture: &mut Picture, so: &dyn Fn(&Picture) -> bool| {
            nats::within_limit(what, async {
                while !so(picture) {
                    picture.extend(following.next().await.unwrap());
                }
            })
            .await;
        };
        until("snapshot", &mut picture, &|p| p.is_settled() && p.fleet.len() == 1).await;
        site.server.kill();
        until("lost", &mut picture, &|p| !p.link.is_connected()).await;
        assert!(matches!(picture.problems("svc")[..], [Problem::NotConnected { .. }]));
        // An hour of our own blindness kills nobody.
        let view = picture.view(clock::monotonic() + Duration::from_hours(1));
        assert_eq!(view.get("a.x").unwrap().liveness, Liveness::Live);
        site.server.run().await;
        until("back", &mut picture, &|p| p.problems("svc").is_empty()).await;
        // the connection of before may not know yet that it is lost
        let client = async_nats::connect(site.server.url()).await.unwrap();
        site.writer = async_nats::jetstream::new(client);
        site.status("a.x", "busy").await;
        until("followed on", &mut picture, &|p| {
            let view = p.view(clock::monotonic());
            view.get("a.x").is_some_and(|s| s.status == Some(Status::Busy))
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_loses_no_last_word() {
    const SERVICES: usize = 500;
    on_each_server(async |binary| {
        let site = Site::new(Server::start(&binary).await).await;
        let mut following = site.observer.follow(&Kind::FLEET);
        let mut acks = Vec::new();
        for round in 0..200 {
            for n in 0..SERVICES {
                let body = json!({"data": {"service_id": format!("s{n}.x"), "status": "ok",
                    "sequence": round}, "meta": {}});
                let subject = format!("svc.heartbeat.s{n}.x");
                acks.push(site.writer.publish(subject, body.to_string().into()).await.unwrap());
            }
            for ack in acks.drain(..) {
                ack.await.unwrap();
            }
        }
        // Only now it begins to read.
        let mut last = vec![0; SERVICES];
        nats::within_limit("all last words", async {
            while last.iter().any(|sequence| *sequence != 199) {
                for observation in following.next().await.unwrap() {
                    let Observation::Message(message) = observation else { continue };
                    let Message::Heartbeat(beat) = &message.decoded.message else {
                        continue;
                    };
                    let n: usize = beat.service_id[1..].trim_end_matches(".x").parse().unwrap();
                    last[n] = beat.sequence.unwrap();
                }
            }
        })
        .await;
        assert_eq!(following.cut().dropped, 0);
        assert!(following.cut().coalesced > 0, "it was slow enough to matter");
    })
    .await;
}
