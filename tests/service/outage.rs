//! The broker goes and comes: nothing that matters is lost, and the order is kept.

use std::time::Duration;

use serde_json::json;
use tcs_core::bus::Bus;
use tcs_core::bus::outbox::{Class, Outbox};
use tcs_core::bus::publish::{Parcel, Publisher};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::monitor::Monitor;
use tcs_core::wire::Status;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

use super::nats::{LIMIT, on_each_server, wait_for};
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
            let message = super::nats::within_limit("a message", next).await.unwrap();
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

/// Between a client and the broker: a link that can lose what the broker says, and break.
struct Lossy {
    port: u16,
    /// Whether the broker's words are lost.
    deaf: watch::Sender<bool>,
    cut: broadcast::Sender<()>,
}

impl Lossy {
    async fn start(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (deaf, cut) = (watch::Sender::new(false), broadcast::Sender::new(1));
        let (losing, cutting) = (deaf.clone(), cut.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (losing, mut cut) = (losing.subscribe(), cutting.subscribe());
                tokio::spawn(async move {
                    let Ok(mut broker) = TcpStream::connect(("127.0.0.1", broker)).await else {
                        return;
                    };
                    let (mut said, mut asks) = broker.split();
                    let (mut from, mut to) = client.into_split();
                    tokio::select! {
                        _ = tokio::io::copy(&mut from, &mut asks) => {}
                        () = async {
                            let mut bytes = vec![0; 64 * 1024];
                            while let Ok(n @ 1..) = said.read(&mut bytes).await {
                                if !*losing.borrow() && to.write_all(&bytes[..n]).await.is_err() {
                                    break;
                                }
                            }
                        } => {}
                        _ = cut.recv() => {}
                    }
                });
            }
        });
        Self { port, deaf, cut }
    }
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
        let url = format!("nats://127.0.0.1:{}", link.port);
        let flags = NatsSection { url: Some(url.as_str().into()), ..NatsSection::default() };
        let settings = Settings::from_process(&flags, None).unwrap();
        let bus = Bus::connect(&settings, "test", LIMIT).await.unwrap();
        let outbox = Outbox::default();
        tokio::spawn(outbox.clone().drain(Publisher::new(bus.clone())));
        let push = |seq: u32| {
            let event = json!({"service_id": "x.a", "event": "start", "event_seq": seq});
            let parcel = Parcel::new("svc.registry.start.x.a".to_owned(), &event).unwrap();
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
