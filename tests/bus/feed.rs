//! A subject tree that is read whole, and messages that are stored in an agreed order.

use super::*;

use tcs_core::bus::publish::{OutgoingMessage, PublishError, Publisher, Sent};
use tcs_core::bus::{Fed, Feed, Interruption};
use tcs_core::fleet::Order;

/// The texts that a feed tells until it has told all, and when the stream was made.
async fn all(feed: &mut Feed) -> (Vec<String>, chrono::DateTime<chrono::Utc>) {
    let mut texts = Vec::new();
    loop {
        match within_limit("feed", feed.next()).await.unwrap() {
            Fed::Message { payload, .. } => texts.push(String::from_utf8(payload).unwrap()),
            Fed::Current { created } => return (texts, created),
            Fed::Interrupted(_) => {}
        }
    }
}

fn message(subject: &str, body: &str) -> OutgoingMessage {
    OutgoingMessage::composed(subject.to_owned(), body.as_bytes().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_expect_the_same_one_is_refused() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let bus = connect(&server.url()).await;
        assert_eq!(bus.create_missing_alarm_stream().await, Made::Created("svc_alarm".to_owned()));
        let publisher = Publisher::new(bus.clone());
        let send = async |subject: &str, last: u64| {
            publisher.send(&message(subject, "x").expecting(last)).await
        };
        let stored = |sequence| Ok(Sent::Stored { stream: "svc_alarm".to_owned(), sequence });
        assert_eq!(send("svc.alarm.state.a.b", 0).await, stored(1));
        assert_eq!(send("svc.alarm.state.a.c", 0).await, stored(2));
        let refused = send("svc.alarm.state.a.b", 0).await;
        assert!(refused.is_err_and(|error| error.is_overtaken()));
        assert_eq!(send("svc.alarm.state.a.b", 1).await, stored(3));
        // somebody who expects nothing is not refused
        let free = publisher.send(&message("svc.alarm.state.a.b", "x")).await;
        assert_eq!(free, stored(4));
        let other = PublishError::TooLarge { subject: String::new(), len: 0 };
        assert!(!other.is_overtaken());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_stream_has_dropped_what_is_expected_one_begins_anew() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let bus = connect(&server.url()).await;
        bus.create_missing_alarm_stream().await;
        let publisher = Publisher::new(bus.clone());
        let send = async |last: u64| {
            publisher.send(&message("svc.alarm.rules", "x").expecting(last)).await
        };
        let stored = |sequence| Ok(Sent::Stored { stream: "svc_alarm".to_owned(), sequence });
        assert_eq!(send(0).await, stored(1));
        assert_eq!(send(1).await, stored(2));
        let writer = Writer::new(&server).await;
        writer.0.get_stream("svc_alarm").await.unwrap().purge().await.unwrap();
        assert_eq!(send(2).await, stored(3));
        // another one that knows the same is too late
        assert!(send(2).await.is_err_and(|error| error.is_overtaken()));
        assert!(send(0).await.is_err_and(|error| error.is_overtaken()));
        assert_eq!(send(3).await, stored(4));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_tells_all_that_is_held_and_goes_on_after_a_wiped_store() {
    on_each_server(async |binary| {
        let mut server = Server::start(&binary).await;
        let bus = connect(&server.url()).await;
        let mut feed = bus.feed("svc.alarm.>");
        let first = within_limit("no stream", feed.next()).await;
        assert_eq!(first, Some(Fed::Interrupted(Interruption::NoStream)));
        bus.create_missing_alarm_stream().await;
        let publisher = Publisher::new(bus.clone());
        let texts: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        for text in &texts[..100] {
            publisher.send(&message("svc.alarm.ack.a.b", text)).await.unwrap();
        }
        // one that begins now: 64 are kept of a subject
        let mut late = bus.feed("svc.alarm.>");
        let (held, created) = all(&mut late).await;
        assert_eq!(held, texts[36..100]);
        publisher.send(&message("svc.alarm.ack.a.b", "live")).await.unwrap();
        let Some(Fed::Message { payload, stamp, subject }) = late.next().await else {
            panic!("no message")
        };
        assert_eq!((payload.as_slice(), subject.as_str()), (&b"live"[..], "svc.alarm.ack.a.b"));
        assert_eq!(stamp.order, Order::Stream { created, seq: 101 });
        // an outage: nothing comes twice
        server.kill();
        server.run().await;
        loop {
            match within_limit("back", late.next()).await.unwrap() {
                Fed::Current { .. } => break,
                Fed::Interrupted(_) => {}
                Fed::Message { subject, .. } => panic!("told again: {subject}"),
            }
        }
        server.kill();
        server.wipe();
        server.run().await;
        bus.tried(TIMEOUT).await;
        loop {
            match bus.create_missing_alarm_stream().await {
                Made::Created(_) | Made::Found(_) => break,
                Made::Failed(_) => tokio::task::yield_now().await,
            }
        }
        let (held, anew) = all(&mut late).await;
        assert!(held.is_empty() && anew > created);
    })
    .await;
}
