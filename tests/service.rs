//! Services and monitors on a real broker: what they publish, and what becomes of it when things
//! go wrong.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "service/alone.rs"]
mod alone;
#[path = "service/embedded.rs"]
mod embedded;
#[path = "service/interop.rs"]
mod interop;
#[path = "service/journal.rs"]
mod journal;
#[path = "service/misbehaving.rs"]
mod misbehaving;
#[path = "service/outage.rs"]
mod outage;
#[path = "service/readme.rs"]
mod readme;
#[path = "service/resilient.rs"]
mod resilient;
#[path = "service/rpc.rs"]
mod rpc;
#[path = "service/subscribing.rs"]
mod subscribing;
#[path = "service/table.rs"]
mod table;

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::clock;
use tcs_core::config::{Config, Environment, ServiceSettings};
use tcs_core::monitor::Reporter;
use tcs_core::service::{HostOptions, Outcome, Service, run};
use tcs_testkit::nats::{Binary, LIMIT, Server, on_each_server};
use tokio_util::sync::CancellationToken;

/// A broker with the fleet's streams, and what a test sees of it.
pub struct Site {
    server: Server,
    client: async_nats::Client,
}

/// A message as a stream holds it.
#[derive(Debug, Clone)]
pub struct Held {
    subject: String,
    msg_id: String,
    data: Value,
    meta: Value,
}

impl Held {
    fn text(&self, field: &str) -> &str {
        self.data[field].as_str().unwrap_or_default()
    }
}

/// Runs a test at a new site on each version of the server, one after the other.
async fn on_each_site(test: impl AsyncFn(Site)) {
    on_each_server(async |binary| test(Site::start(&binary).await).await).await;
}

impl Site {
    async fn without_streams(binary: &Binary) -> Self {
        let server = Server::start(binary).await;
        let client = async_nats::connect(server.url()).await.unwrap();
        Self { server, client }
    }

    async fn start(binary: &Binary) -> Self {
        let site = Self::without_streams(binary).await;
        let bus = tcs_core::bus::Bus::connect(&site.settings(), "test", LIMIT).await.unwrap();
        bus.create_missing_streams().await;
        site
    }

    fn settings(&self) -> Settings {
        let flags =
            NatsSection { url: Some(self.server.url().as_str().into()), ..NatsSection::default() };
        Settings::from_process(&flags, None).unwrap()
    }

    fn reporter(&self) -> Reporter {
        Reporter::open(self.settings(), "test").unwrap()
    }

    /// All that a stream holds of one name, oldest first.
    async fn held(&self, kind: &str, name: &str) -> Vec<Held> {
        let stream = async_nats::jetstream::new(self.client.clone());
        let stream = stream.get_stream(format!("svc_{kind}")).await.unwrap();
        let config = async_nats::jetstream::consumer::pull::OrderedConfig {
            filter_subject: format!("svc.{kind}.{name}"),
            ..Default::default()
        };
        let mut consumer = stream.create_consumer(config).await.unwrap();
        let expected = consumer.info().await.unwrap().num_pending;
        let mut messages = consumer.messages().await.unwrap();
        let mut held = Vec::new();
        while (held.len() as u64) < expected {
            let message = messages.next().await.unwrap().unwrap();
            let body: Value = serde_json::from_slice(&message.payload).unwrap();
            let headers = message.headers.as_ref();
            let msg_id = headers.and_then(|headers| headers.get("Nats-Msg-Id"));
            held.push(Held {
                subject: message.subject.to_string(),
                msg_id: msg_id.map(ToString::to_string).unwrap_or_default(),
                data: body["data"].clone(),
                meta: body["meta"].clone(),
            });
        }
        held
    }

    /// What one name has said of itself: `status words`.
    async fn said(&self, name: &str) -> Vec<String> {
        let held = self.held("status", name).await;
        held.iter().map(|one| format!("{} {}", one.text("status"), one.text("message"))).collect()
    }

    /// Waits until what a stream holds of a name is as wished.
    async fn wait_until(
        &self,
        kind: &str,
        name: &str,
        is_so: impl Fn(&[Held]) -> bool,
    ) -> Vec<Held> {
        let start = clock::monotonic();
        loop {
            let held = self.held(kind, name).await;
            if is_so(&held) {
                return held;
            }
            assert!(start.elapsed() < LIMIT, "in vain; {kind} of {name}: {held:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The settings of variant `t`, from the fields of an entry.
fn settings_of<S: Service>(fields: &str) -> ServiceSettings {
    let service_type = S::registration().service_type().unwrap();
    let variant = "t".parse().unwrap();
    let file = format!("services:\n- type: {service_type}\n  variant: t\n{fields}");
    let config = Config::parse("test.yaml", file.as_bytes(), &Environment::default()).unwrap();
    config.settings_for(&service_type, &variant)
}

/// Runs a service of variant `t` until it ends.
async fn live<S: Service>(
    reporter: &Reporter,
    fields: &str,
    stop: CancellationToken,
    change: impl FnOnce(&mut HostOptions),
) -> Outcome {
    let mut options = HostOptions::new(reporter.clone());
    options.heartbeat = Duration::from_millis(100);
    options.healthcheck = Duration::from_millis(100);
    change(&mut options);
    let outcome = run(S::registration(), &settings_of::<S>(fields), options, stop).await;
    assert!(reporter.settled(LIMIT).await, "everything that was said is sent");
    outcome
}
