//! The broker goes and comes: nothing that matters is lost, and the order is kept.

use std::time::Duration;

use serde_json::json;
use tcs_core::bus::Bus;
use tcs_core::bus::outbox::{Class, Outbox};
use tcs_core::bus::publish::{HappenedAt, OutgoingMessage, Publisher};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::monitor::{Monitor, Reporter};
use tcs_core::wire::{Kind, Status};
use tcs_testkit::nats::{self, LIMIT, on_each_server, wait_for};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

use super::{Held, Site, on_each_site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_restarted() {
    on_each_site(async |mut site| {
        let reporter = site.reporter();
        let link = reporter.bus().unwrap().clone();
        let monitor = Monitor::builder("steady.a")
            .unwrap()
            .heartbeat(Duration::from_millis(50))
            .start(&reporter);
        let mut seq = 0;
        let mut act = |n: usize| {
            for _ in 0..n {
                seq += 1;
                let event = json!({"service_id": "x.a", "event": "start", "event_seq": seq});
                reporter.post("svc.registry.start.x.a".to_owned(), &event);
                let status = if seq % 2 == 0 { Status::Ok } else { Status::Warning };
                monitor.set_status(status, format!("change {seq}"));
            }
        };
        act(5);
        site.wait_until("heartbeat", "steady.a", |beats| beats.len() > 2).await;
        site.server.kill();
        act(5);
        wait_for("the loss is noticed", || !link.is_connected()).await;
        act(5);
        site.server.run().await;
        act(5);
        assert!(reporter.settled(LIMIT).await);
        site.client = async_nats::connect(site.server.url()).await.unwrap();

        let events = site.wait_until("registry", "start.x.a", |held| held.len() >= 20).await;
        let numbers: Vec<u64> =
            events.iter().map(|one| one.data["event_seq"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>(), "none lost, none twice, in order");
        let ids: std::collections::HashSet<_> = events.iter().map(|one| &one.msg_id).collect();
        assert_eq!(ids.len(), 20);
        assert!(events.iter().all(|one| one.subject == "svc.registry.start.x.a"));
        assert!(events.iter().all(|one| one.msg_id.ends_with(one.meta["id"].as_str().unwrap())));

        // the current state is said again, in a message of its own: whichever it was just then
        let again = |said: &[Held]| {
            let distinct: std::collections::HashSet<_> =
                said.iter().map(|one| one.text("message")).collect();
            said.len() > distinct.len() && distinct.contains("change 20")
        };
        let said = site.wait_until("status", "steady.a", again).await;
        let changes: Vec<u64> = said
            .iter()
            .map(|one| one.text("message").trim_start_matches("change ").parse().unwrap())
            .collect();
        assert!(changes.is_sorted(), "{changes:?}");
        let stands_for = |one: &Held| one.data["details"]["coalesced"].as_u64().unwrap_or(1);
        let mut seen = std::collections::BTreeSet::new();
        let distinct = said.iter().filter(|one| seen.insert(one.text("message").to_owned()));
        assert_eq!(distinct.map(stands_for).sum::<u64>(), 20, "every change is accounted for");
        // their times are their own, not those of the sending
        let times: Vec<String> = said.iter().map(|one| one.data["timestamp"].to_string()).collect();
        assert!(times.len() > 1 && times[0] != *times.last().unwrap());
        // heartbeats go on, and those of the outage were dropped
        let before = site.held("heartbeat", "steady.a").await.len();
        let beats =
            site.wait_until("heartbeat", "steady.a", |beats| beats.len() > before + 2).await;
        let numbers: Vec<u64> =
            beats.iter().map(|b| b.data["sequence"].as_u64().unwrap()).collect();
        assert!(numbers.is_sorted());
        assert_eq!(reporter.counts().dropped, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_there_at_first() {
    on_each_site(async |mut site| {
        site.server.stop();
        let reporter = site.reporter();
        let monitor = Monitor::builder("early.a").unwrap().start(&reporter);
        monitor.set_status(Status::Ok, "alone");
        wait_for("it is in the outbox", || reporter.counts().waiting == 1).await;
        assert!(!reporter.settled(Duration::from_millis(50)).await);
        site.server.run().await;
        assert!(reporter.settled(LIMIT).await);
        site.client = async_nats::connect(site.server.url()).await.unwrap();
        let heard = |said: &[Held]| said.iter().any(|one| one.text("message") == "alone");
        site.wait_until("status", "early.a", heard).await;
        site.wait_until("heartbeat", "early.a", |beats| !beats.is_empty()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_word_is_sent_before_the_program_ends() {
    on_each_site(async |site| {
        let reporter = site.reporter();
        let bus = reporter.bus().unwrap().clone();
        wait_for("the connection", || bus.is_connected()).await;
        drop(bus);
        let monitor = Monitor::builder("brief.a").unwrap().start(&reporter);
        monitor.set_status(Status::Ok, "here");
        tokio::task::spawn_blocking(move || {
            drop(monitor);
            drop(reporter);
        })
        .await
        .unwrap();
        assert_eq!(site.said("brief.a").await, ["ok here", "shutdown Ended"]);
    })
    .await;
}

/// Where no stream holds the subjects, and somebody merely listens, nothing waits for acks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_streams_what_is_said_goes_out_plainly() {
    on_each_server(async |binary| {
        let site = Site::without_streams(&binary).await;
        let mut heard = site.client.subscribe("svc.status.>").await.unwrap();
        site.client.flush().await.unwrap();
        let reporter = site.reporter();
        let bus = reporter.bus().unwrap().clone();
        let mut link = bus.link();
        link.wait_for(tcs_core::bus::LinkState::is_connected).await.unwrap();
        let monitor = Monitor::builder("plain.a").unwrap().start(&reporter);
        for n in 1..=5 {
            let status = if n % 2 == 0 { Status::Ok } else { Status::Warning };
            monitor.set_status(status, format!("{n}"));
        }
        for n in 1..=5 {
            let next = futures_util::StreamExt::next(&mut heard);
            let message = nats::within_limit("a message", next).await.unwrap();
            let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            assert_eq!(body["data"]["message"], n.to_string(), "once, and in order");
        }
        assert!(reporter.settled(LIMIT).await);
        assert_eq!(reporter.counts().waiting, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_came_before_the_streams_is_said_again_once_they_are_there() {
    on_each_site(async |site| {
        let streams = async_nats::jetstream::new(site.client.clone());
        for kind in ["registry", "status", "heartbeat"] {
            streams.delete_stream(format!("svc_{kind}")).await.unwrap();
        }
        let reporter = site.reporter();
        let monitor = Monitor::builder("early.a")
            .unwrap()
            .heartbeat(Duration::from_millis(50))
            .start(&reporter);
        monitor.set_status(Status::Busy, "before the streams");
        assert!(reporter.settled(LIMIT).await);
        wait_for("it is sent", || reporter.counts().sent > 0).await;

        let bus = reporter.bus().unwrap();
        bus.create_missing_streams().await;
        let said = site.wait_until("status", "early.a", |said| !said.is_empty()).await;
        assert_eq!(
            (said[0].text("status"), said[0].text("message")),
            ("busy", "before the streams")
        );
    })
    .await;
}

/// Between a client and the broker: a link that can lose what one side says, stand still, and break.
struct Lossy {
    port: u16,
    /// Whether what the broker says is lost.
    deaf: watch::Sender<bool>,
    /// Whether the broker reads nothing more, but of connections for requests.
    stuck: watch::Sender<bool>,
    /// What is said to the broker over the present connections is lost from now on.
    mute: broadcast::Sender<()>,
    cut: broadcast::Sender<()>,
}

impl Lossy {
    async fn start(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (deaf, stuck) = (watch::Sender::new(false), watch::Sender::new(false));
        let (mute, cut) = (broadcast::Sender::new(1), broadcast::Sender::new(1));
        let link = Self { port, deaf, stuck, mute, cut };
        let (losing, sticking) = (link.deaf.clone(), link.stuck.clone());
        let (muting, cutting) = (link.mute.clone(), link.cut.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (losing, mut stuck) = (losing.subscribe(), sticking.subscribe());
                let (mut mute, mut cut) = (muting.subscribe(), cutting.subscribe());
                tokio::spawn(async move {
                    let Ok(mut broker) = TcpStream::connect(("127.0.0.1", broker)).await else {
                        return;
                    };
                    let (mut said, mut asks) = broker.split();
                    let (mut from, mut to) = client.into_split();
                    let asking = async {
                        let mut bytes = vec![0; 64 * 1024];
                        let (mut for_requests, mut lost) = (false, false);
                        while let Ok(n @ 1..) = from.read(&mut bytes).await {
                            let text = String::from_utf8_lossy(&bytes[..n]);
                            for_requests |= text.contains(" rpc\"");
                            if !for_requests {
                                stuck.wait_for(|stuck| !stuck).await.ok();
                            }
                            lost |= mute.try_recv().is_ok();
                            if !lost && asks.write_all(&bytes[..n]).await.is_err() {
                                break;
                            }
                        }
                    };
                    let saying = async {
                        let mut bytes = vec![0; 64 * 1024];
                        while let Ok(n @ 1..) = said.read(&mut bytes).await {
                            if !*losing.borrow() && to.write_all(&bytes[..n]).await.is_err() {
                                break;
                            }
                        }
                    };
                    tokio::select! {
                        () = asking => {}
                        () = saying => {}
                        _ = cut.recv() => {}
                    }
                });
            }
        });
        link
    }

    fn settings(&self) -> Settings {
        let url = format!("nats://127.0.0.1:{}", self.port);
        let flags = NatsSection { url: Some(url.as_str().into()), ..NatsSection::default() };
        Settings::from_process(&flags, None).unwrap()
    }
}

/// The broker goes on talking over a connection and no longer listens to it: unanswered requests
/// tell, and another connection is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_dead_in_one_direction() {
    on_each_site(async |site| {
        let link = Lossy::start(site.server.port()).await;
        let bus = Bus::connect(&link.settings(), "test", Duration::from_secs(1)).await.unwrap();
        let followed = bus.follow(&[Kind::Status], false);
        let feed = site.client.clone();
        let feeding = tokio::spawn(async move {
            // so that the client library has no reason to ask whether the broker is there
            loop {
                let body = r#"{"data":{"name":"a.b","status":"ok"},"meta":{}}"#;
                feed.publish("svc.status.a.b", body.into()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let mut heard = 0;
        while heard < 5 {
            heard += nats::within_limit("a message", followed.next(1)).await.len();
        }
        link.mute.send(()).unwrap();
        let begin = tcs_core::clock::monotonic();
        while let Err(error) = bus.streams_of("svc.status.>").await {
            assert!(begin.elapsed() < LIMIT, "{error}");
        }
        println!("answered again after {:.1} s", begin.elapsed().as_secs_f64());
        feeding.abort();
    })
    .await;
}

/// A broker whose disk is full reads nothing more of a connection that publishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_while_nothing_can_be_published() {
    on_each_site(async |site| {
        let link = Lossy::start(site.server.port()).await;
        let reporter = Reporter::open(link.settings(), "test").unwrap();
        let monitor = Monitor::builder("asked.a").unwrap().start(&reporter);
        monitor.set_status(Status::Ok, "here");
        site.wait_until("status", "asked.a", |said| !said.is_empty()).await;
        // requests have a connection of their own, which may be made later
        let asking = Bus::connect(&site.settings(), "asking", LIMIT).await.unwrap();
        nats::within_limit("an answer", async {
            while asking.request("asked.a", "health", &json!({}), LIMIT).await.is_err() {}
        })
        .await;
        link.stuck.send_replace(true);
        monitor.set_status(Status::Warning, "not to be published");
        let begin = tcs_core::clock::monotonic();
        let answer = asking.request("asked.a", "health", &json!({}), LIMIT).await.unwrap();
        println!("answered after {:.3} s (2 s)", begin.elapsed().as_secs_f64());
        assert_eq!(answer["message"], "not to be published");
        link.stuck.send_replace(false);
        assert!(reporter.settled(LIMIT).await);
        let there =
            |said: &[Held]| said.iter().any(|one| one.text("message") == "not to be published");
        site.wait_until("status", "asked.a", there).await;
    })
    .await;
}

/// All that the outbox holds after a long outage is delivered, in order, while requests are
/// answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_events_after_an_outage() {
    const EVENTS: u64 = 20_000;
    on_each_site(async |mut site| {
        let reporter = site.reporter();
        let bus = reporter.bus().unwrap().clone();
        let monitor = Monitor::builder("asked.a").unwrap().start(&reporter);
        monitor.set_status(Status::Ok, "here");
        wait_for("the connection", || bus.is_connected()).await;
        assert!(reporter.settled(LIMIT).await);
        site.server.kill();
        wait_for("the loss is noticed", || !bus.link().borrow().is_connected()).await;
        for seq in 1..=EVENTS {
            // a stream holds 100 of a subject
            let id = format!("x.n{}", seq % 400);
            let event = json!({"service_id": id, "event": "start", "event_seq": seq});
            reporter.post_event(format!("svc.registry.start.{id}"), &event, seq, HappenedAt::now());
        }
        site.server.run().await;
        let asking = Bus::connect(&site.settings(), "asking", LIMIT).await.unwrap();
        let begin = tcs_core::clock::monotonic();
        let delivered = reporter.settled(2 * LIMIT);
        tokio::pin!(delivered);
        let mut slowest = Duration::ZERO;
        let (mut asked, mut whole) = (0, false);
        while !whole {
            let before = tcs_core::clock::monotonic();
            // at first it may not be connected again
            if asking.request("asked.a", "stats", &json!({}), LIMIT).await.is_ok() {
                slowest = slowest.max(before.elapsed());
                asked += 1;
            }
            let pause = tokio::time::timeout(Duration::from_millis(20), &mut delivered);
            if let Ok(all) = pause.await {
                assert!(all, "{:?}", reporter.counts());
                whole = true;
            }
        }
        println!(
            "{EVENTS} events in {:.1} s (10 s); {asked} requests, the slowest answer after {:.0} ms \
             (100 ms)",
            begin.elapsed().as_secs_f64(),
            slowest.as_secs_f64() * 1000.0
        );
        assert!(asked > 0);
        site.client = async_nats::connect(site.server.url()).await.unwrap();
        let events = site.held("registry", "start.>").await;
        let numbers = events.iter().map(|one| one.data["event_seq"].as_u64().unwrap());
        assert!(numbers.eq(1..=EVENTS), "lost, doubled or out of order");
        let counts = reporter.counts();
        assert_eq!((counts.waiting, counts.dropped), (0, 0));
    })
    .await;
}

/// JetStream forgets a message's id after the stream's duplicate window; what it has stored by
/// then is not sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ack_lost_in_an_outage_longer_than_the_brokers_memory() {
    on_each_server(async |binary| {
        let site = Site::without_streams(&binary).await;
        let streams = async_nats::jetstream::new(site.client.clone());
        let config = async_nats::jetstream::stream::Config {
            name: "svc_registry".to_owned(),
            subjects: vec!["svc.registry.>".to_owned()],
            duplicate_window: Duration::from_millis(200),
            ..Default::default()
        };
        streams.create_stream(config).await.unwrap();
        let link = Lossy::start(site.server.port()).await;
        let bus = Bus::connect(&link.settings(), "test", LIMIT).await.unwrap();
        let outbox = Outbox::default();
        tokio::spawn(outbox.clone().drain(Publisher::new(bus.clone())));
        let push = |seq: u32| {
            let event = json!({"service_id": "x.a", "event": "start", "event_seq": seq});
            let parcel = OutgoingMessage::new("svc.registry.start.x.a".to_owned(), &event).unwrap();
            outbox.push(Class::Event, parcel);
        };
        push(1);
        assert!(outbox.settled(LIMIT).await);
        link.deaf.send_replace(true);
        push(2);
        push(3);
        // the third may go with the second, or wait for its ack
        site.wait_until("registry", "start.x.a", |held| held.len() >= 2).await;
        // the broker forgets ids in their order: once this one counts as new again, those too
        let probe = || async {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Msg-Id", "probe");
            let subject = "svc.registry.start.probe.a";
            let ack = streams.publish_with_headers(subject, headers, "{}".into()).await.unwrap();
            ack.await.unwrap().duplicate
        };
        assert!(!probe().await);
        while probe().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(outbox.counts().sent, 1, "no ack has come");
        link.deaf.send_replace(false);
        link.cut.send(()).unwrap();
        push(4);
        assert!(outbox.settled(LIMIT).await);
        let events = site.held("registry", "start.x.a").await;
        let numbers: Vec<_> = events.iter().map(|one| one.data["event_seq"].clone()).collect();
        assert_eq!(numbers, [1, 2, 3, 4], "none twice, none lost");
        assert_eq!((outbox.counts().sent, outbox.counts().waiting), (4, 0));
    })
    .await;
}
