//! Users who may not do everything.

use chrono::TimeDelta;
use tcs_core::bus::{Budget, Completeness, HistoryQuery};

use super::*;

async fn site_with_users(binary: &Binary) -> (Server, Writer) {
    let server = Server::start_with(binary, &with_users()).await;
    connect(&url_as(&server, "admin")).await.create_missing_streams().await;
    let writer = Writer::as_admin(&server).await;
    for n in 0..20 {
        writer.put(&format!("svc.status.s{n}"), "old").await;
        writer.put(&format!("svc.status.s{n}"), "new").await;
    }
    (server, writer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_user_gets_message_by_message_and_listens() {
    on_each_server(async |binary| {
        let (server, writer) = site_with_users(&binary).await;
        // One stream that does not allow direct gets.
        writer.0.delete_stream("svc_registry").await.unwrap();
        writer.stream("plain", &["svc.registry.>"], -1).await;
        writer.put("svc.registry.start.s1", "start").await;
        let bus = connect(&url_as(&server, "viewer")).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        assert!(Kind::FLEET.iter().all(|kind| told.complete(*kind)), "{:?}", told.readings);
        let [ReadMode::Gets(denial)] = told.means(Kind::Status)[..] else { panic!() };
        assert!(denial.subject.starts_with("$JS.API.CONSUMER.CREATE.svc_status."), "{denial}");
        assert_eq!(told.messages, 21);
        assert!(told.is("svc.status.s7", "new") && told.is("svc.registry.start.s1", "start"));
        writer.put("svc.status.s7", "live").await;
        told.until("live", |t| t.is("svc.status.s7", "live")).await;
        // The clock is known all the same: told on new servers, by what is just stored on old ones.
        let busy = async {
            loop {
                writer.put("svc.status.s8", "tick").await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = told.until("the clock", |t| t.clocks > 0) => {}
            () = busy => {}
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_listen_does_not_seem_to_follow() {
    on_each_server(async |binary| {
        let (server, _writer) = site_with_users(&binary).await;
        let bus = connect(&url_as(&server, "getter")).await;
        let mut told = follow(&bus);
        told.until("told", |t| {
            t.readings
                .get(&Kind::Status)
                .is_some_and(|r| r.to_string().contains("no right to subscribe `svc.status.>`"))
        })
        .await;
    })
    .await;
}

/// Old servers are asked for all that a stream holds where that is wanted; not everybody may.
#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_read_with_a_filter_where_only_that_is_allowed() {
    on_each_server(async |binary| {
        let (server, _writer) = site_with_users(&binary).await;
        for user in ["narrow", "admin"] {
            let bus = connect(&url_as(&server, user)).await;
            let mut piece = HistoryQuery::whole("svc_status", Kind::Status, "svc.status.>");
            piece.from = Some(tcs_core::clock::wall() - TimeDelta::hours(1));
            let mut found = 0;
            let read = bus.read_piece(&piece, &Budget::new(1 << 20), |_| found += 1).await;
            assert_eq!((read.unwrap(), found), (Completeness::Whole, 40), "{user}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_flow_control_it_pulls() {
    on_each_server(async |binary| {
        let (server, writer) = site_with_users(&binary).await;
        // Enough for flow control to set in.
        let body = "x".repeat(2000);
        let mut acks = Vec::new();
        for n in 0..30_000 {
            let subject = format!("svc.heartbeat.s{n}");
            acks.push(writer.0.publish(subject, body.clone().into()).await.unwrap());
            if acks.len() == 500 {
                for ack in acks.drain(..) {
                    ack.await.unwrap();
                }
            }
        }
        let bus = connect(&url_as(&server, "nofc")).await;
        let mut told = follow(&bus);
        told.until("complete", |t| t.settled() && t.complete(Kind::Heartbeat)).await;
        let heartbeats = told.newest.keys().filter(|s| s.starts_with("svc.heartbeat.")).count();
        assert_eq!(heartbeats, 30_000);
        let [ReadMode::Pull(denial)] = told.means(Kind::Heartbeat)[..] else {
            panic!("{:?}", told.readings)
        };
        assert!(denial.subject.starts_with("$JS.FC."), "{denial}");
        writer.put("svc.heartbeat.s7", "live").await;
        told.until("live", |t| t.is("svc.heartbeat.s7", "live")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_are_named_at_once() {
    on_each_server(async |binary| {
        let (server, writer) = site_with_users(&binary).await;
        // a request that is waited out takes longer than a busy machine needs for all of this
        let patience = Duration::from_mins(2);
        let connect =
            async |url: String| Bus::connect(&settings(&url, None), NAME, patience).await.unwrap();
        let start = tcs_core::clock::monotonic();
        let bus = connect(url_as(&server, "nothing")).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        let text = told.readings[&Kind::Status].to_string();
        assert_eq!(text, "no right to publish `$JS.API.STREAM.NAMES`");
        let bus = connect(url_as(&server, "deaf")).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        let text = told.readings[&Kind::Status].to_string();
        assert!(text.starts_with("no right to subscribe `_INBOX."), "{text}");
        let bus = connect(url_as(&server, "viewer")).await;
        writer.0.delete_stream("svc_registry").await.unwrap();
        let made = bus.create_missing_streams().await;
        let Made::Failed(error) = &made[0].1 else { panic!("{made:?}") };
        let expected = "no right to publish `$JS.API.STREAM.CREATE.svc_registry`";
        assert_eq!(error.to_string(), expected);
        assert!(start.elapsed() < patience, "no request was waited out: {:?}", start.elapsed());
        // Not knowing when a stream was made is no obstacle.
        let bus = connect(url_as(&server, "noinfo")).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        assert!(told.complete(Kind::Status) && told.messages == 20, "{:?}", told.readings);
    })
    .await;
}
