//! An HTTP client.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::nats::within_limit;
use crate::schema;

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// `200`
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, as text.
    pub body: String,
}

impl Reply {
    /// Asserts the status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// The JSON document that it is, as its schema has it.
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:#?}");
        let document = serde_json::from_str(&self.body).unwrap();
        schema::assert_documented(&document);
        document
    }

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request on a connection of its own, and gives what comes, with its body still on the way.
pub async fn open(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Response<Incoming> {
    within_limit(path, async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", format!("127.0.0.1:{port}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap()
    })
    .await
}

/// A request with the whole answer.
pub async fn request(port: u16, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let response = open(port, method, path, headers).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = within_limit(path, response.into_body().collect()).await.unwrap().to_bytes();
    Reply { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// A plain GET.
pub async fn get(port: u16, path: &str) -> Reply {
    request(port, "GET", path, &[]).await
}

/// Server-sent events, as they come.
pub struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    /// Opens the stream at this path.
    pub async fn open(port: u16, path: &str) -> Self {
        Self::of(open(port, "GET", path, &[]).await)
    }

    /// Reads the events of an open response.
    pub fn of(response: Response<Incoming>) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next event: its name and its data, as its schema has it. `None`: it has ended.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let (name, data) = event.split_once('\n').unwrap();
                let name = name.strip_prefix("event: ").unwrap().to_owned();
                let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                schema::assert_documented(&data);
                return Some((name, data));
            }
            let frame = within_limit("an event", self.body.frame()).await?.ok()?;
            let data = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// Waits for the first event that `is_so` accepts.
    pub async fn until(&mut self, is_so: impl Fn(&str, &Value) -> bool) -> Value {
        within_limit("the event", async {
            loop {
                let (name, data) = self.next().await.expect("the stream goes on");
                if is_so(&name, &data) {
                    return data;
                }
            }
        })
        .await
    }
}

/// Asks until the status is this one.
pub async fn until(port: u16, path: &str, status: u16) -> Reply {
    let start = tcs_core::clock::monotonic();
    loop {
        let reply = get(port, path).await;
        if reply.status == status {
            return reply;
        }
        assert!(start.elapsed() < crate::nats::LIMIT, "in vain {status}: {reply:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
