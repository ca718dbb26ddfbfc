//! Messages that another client made so that readers stumble.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::*;

/// Publishes bytes as they are, past every check of a client library.
async fn publish_raw(server: &Server, messages: &[(&[u8], Option<&[u8]>)]) {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let mut stream = BufReader::new(stream);
    let mut input = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n".to_vec();
    for (subject, header) in messages {
        match header {
            None => input.extend([b"PUB ", *subject, b" 2\r\n{}\r\n"].concat()),
            Some(header) => {
                let sizes = format!(" {} {}\r\n", header.len(), header.len() + 2);
                input.extend([b"HPUB ", *subject, sizes.as_bytes(), header, b"{}\r\n"].concat());
            }
        }
    }
    input.extend(b"PING\r\n");
    stream.write_all(&input).await.unwrap();
    let mut line = String::new();
    while line != "PONG\r\n" {
        line.clear();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "the server hung up");
        assert!(!line.starts_with("-ERR"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_subject_and_no_header_of_another_client_ends_the_reading() {
    const PLAIN: &[u8] = b"NATS/1.0\r\nA: b\r\n\r\n";
    let subjects: [&[u8]; 8] = [
        b"svc.status.a\xC2\xA0b",
        b"svc.status.a\xE3\x80\x80b",
        b"svc.status.a\xC2\x85b",
        b"svc.status.a\x0Bb",
        b"svc.status.a\x0C\x1Cb",
        b"svc.status.\xE2\x80\xA8",
        b"svc.status.a\xFFb",
        b"svc.status.\x01\x7F",
    ];
    let headers: [&[u8]; 7] = [
        b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 77\r\n\r\n",
        b"NATS/1.0 409 Consumer Deleted\r\n\r\n",
        b"NATS/1.0 odd\r\n\r\n",
        b"NATS/1.0\r\nno header\r\n\xFF: x\r\n\r\n",
        b"NATS/1.0\r\nA: b\rc\r\n\r\n",
        b"\xFF\xFE",
        b"NATS/1.0\r\nA: \xFF\r\n\r\n",
    ];
    let mut messages: Vec<(&[u8], Option<&[u8]>)> = Vec::new();
    for subject in subjects {
        messages.extend([(subject, None), (subject, Some(PLAIN))]);
    }
    messages.extend(headers.map(|header| (&b"svc.status.h"[..], Some(header))));
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let writer = Writer::new(&server).await;
        writer.stream("S", &["svc.status.>"], -1).await;
        // Once stored before anybody reads, once while it is read, by a stream and without.
        publish_raw(&server, &messages).await;
        let bus = connect(&server.url()).await;
        let link = bus.link().borrow().clone();
        let plain = async_nats::connect(server.url()).await.unwrap();
        let mut told = Told::new(bus.follow(&[Kind::Status, Kind::Heartbeat], true));
        told.until("the stored ones are read", |told| told.messages >= subjects.len()).await;
        // Nothing tells when a subscription without a stream has begun, but a message that arrives.
        within_limit("listening", async {
            while !told.newest.contains_key("svc.heartbeat.first") {
                plain.publish("svc.heartbeat.first", "beat".into()).await.unwrap();
                plain.flush().await.unwrap();
                let heard = tokio::time::timeout(Duration::from_millis(50), told.follow.next(1000));
                heard.await.unwrap_or_default().into_iter().for_each(|item| told.note(item));
            }
        })
        .await;
        publish_raw(&server, &messages).await;
        let beats: Vec<_> =
            messages.iter().map(|(s, h)| ([b"svc.heartbeat", &s[10..]].concat(), *h)).collect();
        let beats: Vec<_> = beats.iter().map(|(subject, header)| (&subject[..], *header)).collect();
        publish_raw(&server, &beats).await;
        plain.publish("svc.heartbeat.last", "beat".into()).await.unwrap();
        plain.flush().await.unwrap();
        writer.put("svc.status.last", "good").await;
        told.until("what comes after them is read", |told| {
            told.newest.contains_key("svc.status.last")
                && told.newest.contains_key("svc.heartbeat.last")
        })
        .await;
        assert!(told.messages >= messages.len() * 2, "{}", told.messages);
        assert!(told.newest.contains_key("svc.status.a\u{a0}b"), "{:?}", told.newest);
        assert_eq!(*bus.link().borrow(), link, "the connection was kept");
        assert_eq!(writer.consumers("S").await, 1);
    })
    .await;
}
