//! A NATS client of a few lines, which sends and answers bytes exactly as they are given.

use crate::nats::LIMIT;
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

/// A connection.
pub struct Client {
    reader: BufReader<TcpStream>,
    subscriptions: u32,
    received: VecDeque<Message>,
}

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where to.
    pub subject: String,
    /// Where a reply is to go.
    pub reply: Option<String>,
    /// What it says.
    pub body: Vec<u8>,
}

enum Operation {
    Message(Message),
    Pong,
    Other,
}

impl Client {
    /// Connects to a server on loopback that asks for no login.
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let reader = BufReader::new(stream);
        let mut client = Self { reader, subscriptions: 0, received: VecDeque::new() };
        client.send(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
        client.flush();
        client
    }

    /// Subscribes to a subject; the server knows of it when this returns.
    pub fn subscribe(&mut self, subject: &str) {
        self.subscriptions += 1;
        self.send(format!("SUB {subject} {}\r\n", self.subscriptions).as_bytes());
        self.flush();
    }

    /// Publishes a body, with a reply subject if one is given.
    pub fn publish(&mut self, subject: &str, reply: Option<&str>, body: &[u8]) {
        let reply = reply.map(|reply| format!("{reply} ")).unwrap_or_default();
        self.send(format!("PUB {subject} {reply}{}\r\n", body.len()).as_bytes());
        self.send(body);
        self.send(b"\r\n");
    }

    /// Asks, and waits for the reply.
    pub fn request(&mut self, subject: &str, body: &[u8]) -> Vec<u8> {
        let inbox = format!("_INBOX.raw.{}", self.subscriptions);
        self.subscribe(&inbox);
        self.publish(subject, Some(&inbox), body);
        loop {
            let message = self.receive();
            if message.subject == inbox {
                return message.body;
            }
        }
    }

    /// The next message of any subscription; a panic after [`LIMIT`] without one.
    pub fn receive(&mut self) -> Message {
        loop {
            if let Some(message) = self.received.pop_front() {
                return message;
            }
            if let Operation::Message(message) = self.read() {
                self.received.push_back(message);
            }
        }
    }

    /// Waits until the server has taken in all that was sent.
    pub fn flush(&mut self) {
        self.send(b"PING\r\n");
        loop {
            match self.read() {
                Operation::Pong => return,
                Operation::Message(message) => self.received.push_back(message),
                Operation::Other => {}
            }
        }
    }

    fn read(&mut self) -> Operation {
        let mut line = String::new();
        assert!(self.reader.read_line(&mut line).unwrap() > 0, "the server closed the connection");
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (subject, reply, size) = match words[..] {
            ["MSG", subject, _, size] => (subject, None, size),
            ["MSG", subject, _, reply, size] => (subject, Some(reply.to_owned()), size),
            ["PONG"] => return Operation::Pong,
            ["PING"] => {
                self.send(b"PONG\r\n");
                return Operation::Other;
            }
            ["HMSG" | "-ERR", ..] => panic!("not expected here: {line}"),
            _ => return Operation::Other,
        };
        let mut body = vec![0; size.parse::<usize>().unwrap() + 2];
        self.reader.read_exact(&mut body).unwrap();
        body.truncate(body.len() - 2);
        Operation::Message(Message { subject: subject.to_owned(), reply, body })
    }

    fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }
}
