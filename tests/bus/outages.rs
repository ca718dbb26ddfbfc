//! Links that fail, and stores that change behind our back.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn connection_failures_in_one_line() {
    on_each_server(async |binary| {
        let mut server = Server::start_with(&binary, &with_users()).await;
        let failure = async |url: &str, timeout| {
            let settings = settings(url, None);
            match Bus::connect(&settings, NAME, timeout).await {
                Err(ConnectError::Failed { failure, servers }) => {
                    assert!(!servers.contains("hush"), "{servers}");
                    failure
                }
                other => panic!("{other:?}"),
            }
        };
        let wrong = format!("nats://admin:hush@127.0.0.1:{}", server.port());
        assert_eq!(failure(&wrong, TIMEOUT).await, Failure::Login);
        assert_eq!(failure(&server.url(), TIMEOUT).await, Failure::Login);
        // longer than a label may be: nobody is asked for it, however slow the network's answers are
        let no_name = format!("nats://{}.invalid", "x".repeat(64));
        assert_eq!(failure(&no_name, TIMEOUT).await, Failure::Dns);
        assert!(matches!(
            failure(&format!("tls://127.0.0.1:{}", server.port()), TIMEOUT).await,
            Failure::Tls(_)
        ));
        server.stop();
        assert_eq!(failure(&server.url(), TIMEOUT).await, Failure::Refused);
        server.run().await;
        server.signal("STOP");
        let short = Duration::from_secs(3);
        assert_eq!(failure(&server.url(), short).await, Failure::Silent);
        server.signal("CONT");
        // A dead server first in the list is passed over.
        let list = format!("127.0.0.1:1,{}", url_as(&server, "admin"));
        connect(&list).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_background_connection_tells_why_and_recovers() {
    on_each_server(async |binary| {
        let mut server = Server::start(&binary).await;
        server.stop();
        let bus = Bus::open(&settings(&server.url(), None), NAME, TIMEOUT).await.unwrap();
        let mut link = bus.link();
        let refused = link.wait_for(|state| {
            let LinkState::Connecting { attempt, why, .. } = state else { return false };
            *attempt >= 2 && *why == Some(Failure::Refused)
        });
        drop(within_limit("told why", refused).await.unwrap());
        server.run().await;
        let state = within_limit("connected", link.wait_for(LinkState::is_connected));
        let LinkState::Connected { server: who, .. } = state.await.unwrap().clone() else {
            panic!()
        };
        assert_eq!((who.version.as_str(), who.url), (server.version(), server.url()));
        server.kill();
        let lost = link.wait_for(|state| matches!(state, LinkState::Disconnected { .. }));
        drop(within_limit("lost", lost).await.unwrap());
        server.run().await;
        drop(within_limit("back", link.wait_for(LinkState::is_connected)).await.unwrap());
        bus.create_missing_streams().await;
        assert!(bus.round_trip().is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn following_survives_a_restart_and_a_wiped_store() {
    on_each_server(async |binary| {
        let mut server = Server::start(&binary).await;
        let writer = Writer::new(&server).await;
        let bus = connect(&server.url()).await;
        bus.create_missing_streams().await;
        for n in 0..50 {
            writer.put("svc.status.a", &n.to_string()).await;
        }
        let mut told = follow(&bus);
        told.until("snapshot", |t| t.settled() && t.is("svc.status.a", "49")).await;

        server.kill();
        server.run().await;
        // one that knows nothing of the server before
        let writer = Writer::new(&server).await;
        writer.put("svc.status.a", "after restart").await;
        told.until("followed on", |t| t.is("svc.status.a", "after restart")).await;
        assert_eq!(told.messages, 2, "nothing twice");

        server.kill();
        server.wipe();
        server.run().await;
        within_limit("streams are back", async {
            while bus
                .create_missing_streams()
                .await
                .iter()
                .any(|(_, m)| matches!(m, Made::Failed(_)))
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        let writer = Writer::new(&server).await;
        let seq = writer.put("svc.status.a", "new store").await;
        assert_eq!(seq, 1, "an empty store counts anew");
        told.until("followed on", |t| t.is("svc.status.a", "new store")).await;
        assert_eq!(told.backwards, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_under_writing_is_complete() {
    const SUBJECTS: usize = 2000;
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let writer = Writer::new(&server).await;
        writer.stream("hb", &["svc.heartbeat.>"], 1).await;
        for n in 0..SUBJECTS {
            writer.put(&format!("svc.heartbeat.s{n}"), "0").await;
        }
        let js = writer.0.clone();
        let busy = tokio::spawn(async move {
            for n in 0.. {
                let subject = format!("svc.heartbeat.s{}", n * 7 % SUBJECTS);
                js.publish(subject, n.to_string().into()).await.unwrap().await.unwrap();
            }
        });
        let bus = connect(&server.url()).await;
        for _ in 0..5 {
            let mut told = follow(&bus);
            told.until("complete", |t| t.settled() && t.complete(Kind::Heartbeat)).await;
            assert_eq!(told.newest.len(), SUBJECTS);
            assert_eq!(told.backwards, 0);
            told.follow.stop().await;
        }
        busy.abort();
        writer.no_consumers("hb").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_behind_our_back_is_noticed() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let writer = Writer::new(&server).await;
        writer.stream("st", &["svc.status.>"], -1).await;
        writer.put("svc.status.a", "1").await;
        writer.put("svc.status.a", "2").await;
        let bus = connect(&server.url()).await;
        let mut told = follow(&bus);
        told.until("snapshot", |t| t.is("svc.status.a", "2")).await;
        writer.0.delete_stream("st").await.unwrap();
        writer.stream("st", &["svc.status.>"], -1).await;
        writer.put("svc.status.a", "anew").await;
        told.until("noticed", |t| t.is("svc.status.a", "anew")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_thrown_away_in_a_flood_is_read_again() {
    for user in ["admin", "viewer"] {
        on_each_server(async |binary| {
            let server = Server::start_with(&binary, &with_users()).await;
            let writer = Writer::as_admin(&server).await;
            writer.stream("status", &["svc.status.>"], 10).await;
            let bus = connect(&url_as(&server, user)).await;
            let mut told = Told::new(bus.follow(&[Kind::Status], false));
            told.until("complete", |told| told.complete(Kind::Status)).await;
            // more than may wait, while nobody takes it
            let body = "x".repeat(700_000);
            for i in 0..60 {
                writer.put(&format!("svc.status.s{i:02}.a"), &body).await;
            }
            within_limit("something is thrown away", async {
                while told.follow.cut().dropped == 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await;
            let all = |told: &Told| {
                let nothing_lost = told.follow.cut().dropped == 0;
                told.newest.len() == 60 && nothing_lost && told.complete(Kind::Status)
            };
            told.until("all", all).await;
        })
        .await;
    }
}
