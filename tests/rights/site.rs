//! A site to attack: its clients, what its account holds, and a launcher and a service that count
//! the commands they are given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::jetstream::{self, consumer, stream};
use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};
use tcs_core::bus::Bus;
use tcs_core::bus::rpc::{Announcement, Command, Responders, Serving};
use tcs_testkit::nats::Server;

pub(super) const LAUNCHER: &str = "launcher.ab12.host-tcsd";
pub(super) const RELOAD: &str = "svc.rpc.launcher.ab12.host-tcsd.v1.reload";
pub(super) const COMMAND: &str = "svc.rpc.camera.a.v1.expose";
/// Questions that anybody may ask.
pub(super) const HARMLESS: [&str; 4] = ["health", "stats", "list", "logs.camera.a"];

pub(super) async fn client(server: &Server, user: &str) -> Client {
    ConnectOptions::new()
        .user_and_password(user.to_owned(), format!("pw-{user}"))
        .custom_inbox_prefix(format!("_INBOX.{user}"))
        .connect(server.url())
        .await
        .unwrap()
}

pub(super) fn envelope(data: &Value) -> Vec<u8> {
    let meta = json!({"id": "m", "sender": "s", "ts": [2026, 11, 23, 0, 0, 0, 0]});
    json!({"data": data, "meta": meta}).to_string().into_bytes()
}

/// How often commands that act were called.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<AtomicUsize>);

impl Calls {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn command(&self, name: &str) -> Command {
        let calls = self.0.clone();
        Command::new(name, move |_| {
            calls.fetch_add(1, Ordering::SeqCst);
            async { Ok(Map::new()) }
        })
    }

    /// A launcher with `reload` and a service with a command of its own.
    pub(super) async fn serve(&self, bus: Bus) -> Vec<Serving> {
        let responders = Responders::new(bus);
        let mut serving = Vec::new();
        for (name, acts) in [(LAUNCHER, &["reload", "stop.>"]), ("camera.a", &["expose", "move.>"])]
        {
            let about = Announcement {
                name: name.to_owned(),
                description: String::new(),
                version: "1.0.0".to_owned(),
            };
            let harmless = HARMLESS.map(|name| Command::new(name, |_| async { Ok(Map::new()) }));
            let acting = acts.iter().map(|name| self.command(name).acting());
            let commands = acting.chain(harmless);
            serving.push(responders.serve(about, commands).await.unwrap());
        }
        serving
    }
}

/// What a site's account holds: all that an attack could change.
#[derive(Debug, PartialEq)]
pub(super) struct State {
    /// Of each stream: subjects, first and last sequence, consumers.
    pub(super) streams: BTreeMap<String, (Vec<String>, u64, u64, usize)>,
}

pub(super) async fn state(launcher: &Client) -> State {
    let context = jetstream::new(launcher.clone());
    let mut streams = BTreeMap::new();
    let mut names = context.stream_names();
    while let Some(name) = names.next().await {
        let name = name.unwrap();
        let info = context.get_stream(&name).await.unwrap().cached_info().clone();
        let state = info.state;
        let facts =
            (info.config.subjects, state.first_sequence, state.last_sequence, state.consumer_count);
        streams.insert(name, facts);
    }
    State { streams }
}

/// Streams with an old crash, a status that looks like a request, and somebody's consumer.
pub(super) async fn fill(launcher: &Client, replicas: usize) {
    let context = jetstream::new(launcher.clone());
    for kind in ["registry", "status", "heartbeat"] {
        let config = stream::Config {
            name: format!("svc_{kind}"),
            subjects: vec![format!("svc.{kind}.>")],
            allow_direct: true,
            num_replicas: replicas,
            ..stream::Config::default()
        };
        context.create_stream(config).await.unwrap();
    }
    for (subject, data) in [
        ("svc.registry.crashed.camera.a", json!({"event": "crashed", "service_id": "camera.a"})),
        ("svc.status.camera.a", json!({"name": "camera.a", "status": "ok"})),
        ("svc.status.camera.b", json!({"name": "camera.b", "status": "ok"})),
        ("svc.heartbeat.camera.a", json!({"service_id": "camera.a", "status": "ok"})),
    ] {
        context.publish(subject, envelope(&data).into()).await.unwrap().await.unwrap();
    }
    let stream = context.get_stream("svc_status").await.unwrap();
    let config = consumer::pull::Config {
        name: Some("victim".to_owned()),
        inactive_threshold: Duration::from_hours(1),
        ..consumer::pull::Config::default()
    };
    stream.create_consumer(config).await.unwrap();
}
