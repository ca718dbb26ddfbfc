//! A broker whose streams hold a past: messages with the times at which they were stored, hours ago.
//!
//! A server stamps what is published with its own clock. What a mirror copies keeps its times,
//! though; so a stream is made as the mirror of one that is said to be at the other end of a leaf
//! node's connection, which is ours, and becomes an ordinary stream when it has all. (Servers before
//! 2.12 do not let a mirror become a stream: there a newer one fills the store.)

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::nats::{self, Binary, JETSTREAM, Server, wait_for};
use crate::port::Port;
use crate::raw::Client;

/// A message as a stream holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// When it was stored.
    pub at: DateTime<Utc>,
    /// Its subject.
    pub subject: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// Starts a server with these streams (name and subjects), each with those of the messages that are
/// on its subjects, in the order of time. A current server makes them, in whose place this one runs then.
pub async fn server(binary: &Binary, streams: &[(&str, &str)], messages: &[Stored]) -> Server {
    let filler = nats::current_server().unwrap_or_else(|| binary.clone());
    let leaf = Port::free();
    let port = leaf.number();
    let config = format!("{JETSTREAM}leafnodes {{ listen: \"127.0.0.1:{port}\" }}\n");
    let mut server = Server::start_with(&filler, &config).await;
    server.keep(leaf);
    let mut messages: Vec<&Stored> = messages.iter().collect();
    messages.sort_by_key(|message| message.at);
    for (name, subjects) in streams {
        let start = subjects.trim_end_matches('>');
        let own: Vec<_> = messages.iter().filter(|it| it.subject.starts_with(start)).collect();
        Origin::connect(port).fill(&server, (name, subjects), &own).await;
    }
    if binary.version != filler.version {
        server.run_as(binary).await;
    }
    server
}

fn api(client: &mut Client, subject: &str, request: &Value) -> Value {
    let reply = client.request(&format!("$JS.API.{subject}"), request.to_string().as_bytes());
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert!(reply.get("error").is_none(), "{subject}: {reply:#}");
    reply
}

/// The other end of a leaf node's connection.
struct Origin(BufReader<TcpStream>);

impl Origin {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(nats::LIMIT)).unwrap();
        let mut origin = Self(BufReader::new(stream));
        let connect = json!({"name": "past", "server_name": "past", "headers": false,
            "is_spoke": true, "verbose": false});
        origin.send(format!("CONNECT {connect}\r\nPING\r\nLS+ PAST.API.>\r\n").as_bytes());
        origin
    }

    async fn fill(mut self, server: &Server, stream: (&str, &str), messages: &[&&Stored]) {
        let (name, subjects) = stream;
        let mut client = Client::connect(server.port());
        let external = json!({"api": "PAST.API", "deliver": "PAST.D"});
        let mirror = json!({"name": "past", "external": external});
        let config = json!({"name": name, "storage": "file", "allow_direct": true});
        let with = |key: &str, value: Value| {
            let mut config = config.clone();
            config[key] = value;
            config
        };
        api(&mut client, &format!("STREAM.CREATE.{name}"), &with("mirror", mirror));
        self.deliver(messages);
        let held = messages.len();
        wait_for("the stream has its past", || {
            api(&mut client, &format!("STREAM.INFO.{name}"), &json!({}))["state"]["messages"]
                == held
        })
        .await;
        let subjects = json!([subjects]);
        api(&mut client, &format!("STREAM.UPDATE.{name}"), &with("subjects", subjects));
    }

    /// Plays the consumer that the server asks for.
    fn deliver(&mut self, messages: &[&&Stored]) {
        let (reply, request) = self.wanted();
        let consumer = &request["config"];
        let (to, consumer_name) = (text(&consumer["deliver_subject"]), text(&consumer["name"]));
        let nothing = json!({"consumer_seq": 0, "stream_seq": 0});
        let created = json!({"type": "io.nats.jetstream.api.v1.consumer_create_response",
            "stream_name": "past", "name": consumer_name, "created": "2026-01-01T00:00:00Z",
            "config": consumer, "delivered": nothing, "ack_floor": nothing,
            "num_pending": messages.len()});
        self.message(&reply, "", created.to_string().as_bytes());
        self.until_wanted(&to);
        let left = messages.len();
        for (i, Stored { at, subject, body }) in messages.iter().enumerate() {
            let (seq, at) = (i + 1, at.timestamp_nanos_opt().unwrap());
            let ack = format!("$JS.ACK.past.{consumer_name}.1.{seq}.{seq}.{at}.{}", left - seq);
            self.message(&to, &format!("{ack}@{subject} "), body);
        }
        self.send(b"PING\r\n");
    }

    /// The request for a consumer: where the reply goes, and what it asks for.
    fn wanted(&mut self) -> (String, Value) {
        loop {
            let line = self.line();
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let Some(size) = words.last().filter(|_| words[0].contains("MSG")) else { continue };
            let mut body = vec![0; size.parse::<usize>().unwrap() + 2];
            self.0.read_exact(&mut body).unwrap();
            if words[1].starts_with("PAST.API.CONSUMER.CREATE.") {
                let start = body.iter().position(|byte| *byte == b'{').unwrap();
                let request = serde_json::from_slice(&body[start..body.len() - 2]).unwrap();
                return (words[2].to_owned(), request);
            }
        }
    }

    /// Waits until the server listens to this subject.
    fn until_wanted(&mut self, subject: &str) {
        while !self.line().starts_with(&format!("LS+ {subject}")) {}
    }

    /// The next line that is not a sign of life.
    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the server closed the connection");
            match line.trim() {
                "PING" => self.send(b"PONG\r\n"),
                "PONG" | "" => {}
                _ => return line,
            }
        }
    }

    fn message(&mut self, subject: &str, reply: &str, body: &[u8]) {
        let mut message = format!("LMSG {subject} {reply}{}\r\n", body.len()).into_bytes();
        message.extend_from_slice(body);
        message.extend_from_slice(b"\r\n");
        self.send(&message);
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
