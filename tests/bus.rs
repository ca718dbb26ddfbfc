//! The NATS edge against real servers: an old one and a current one.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "bus/connecting.rs"]
mod connecting;
#[path = "bus/feed.rs"]
mod feed;
#[path = "bus/foreign.rs"]
mod foreign;
#[path = "bus/outages.rs"]
mod outages;
#[path = "bus/rights.rs"]
mod rights;
#[path = "bus/streams.rs"]
mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt as _;

use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::streams::Made;
use tcs_core::bus::{
    ApiError, Bus, ConnectError, Failure, Follow, Item, LinkState, Note, Progress, ReadMode,
    Reading, Stored,
};
use tcs_core::wire::Kind;
use tcs_testkit::nats::{self, Binary, JETSTREAM, Server, on_each_server, within_limit};

const TIMEOUT: Duration = Duration::from_secs(10);
const NAME: &str = "test 0.0.0";

fn settings(url: &str, prefix: Option<&str>) -> Settings {
    let flags = NatsSection {
        url: Some(url.into()),
        subject_prefix: prefix.map(str::to_owned),
        ..NatsSection::default()
    };
    Settings::from_process(&flags, None).unwrap()
}

fn url_as(server: &Server, user: &str) -> String {
    format!("nats://{user}:pw@127.0.0.1:{}", server.port())
}

async fn connect(url: &str) -> Bus {
    Bus::connect(&settings(url, None), NAME, TIMEOUT).await.unwrap()
}

/// A plain client, to write with.
struct Writer(async_nats::jetstream::Context);

impl Writer {
    async fn new(server: &Server) -> Self {
        Self::with(async_nats::connect(server.url()).await.unwrap())
    }

    async fn as_admin(server: &Server) -> Self {
        let options = async_nats::ConnectOptions::new();
        let options = options.user_and_password("admin".into(), "pw".into());
        Self::with(options.connect(server.url()).await.unwrap())
    }

    fn with(client: async_nats::Client) -> Self {
        Self(async_nats::jetstream::new(client))
    }

    async fn stream(&self, name: &str, subjects: &[&str], per_subject: i64) {
        let config = async_nats::jetstream::stream::Config {
            name: name.into(),
            subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
            max_messages_per_subject: per_subject,
            ..Default::default()
        };
        self.0.create_stream(config).await.unwrap();
    }

    async fn put(&self, subject: &str, body: &str) -> u64 {
        let ack = self.0.publish(subject.to_owned(), body.to_owned().into()).await.unwrap();
        ack.await.unwrap().sequence
    }

    async fn consumers(&self, stream: &str) -> usize {
        self.0.get_stream(stream).await.unwrap().cached_info().state.consumer_count
    }
}

impl Writer {
    /// Soon, as the server deletes after the request's arrival.
    async fn no_consumers(&self, stream: &str) {
        within_limit("consumers are deleted", async {
            while self.consumers(stream).await != 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

/// What a [`Follow`] told so far.
struct Told {
    follow: Follow,
    /// Newest body of each subject.
    newest: BTreeMap<String, String>,
    readings: BTreeMap<Kind, Reading>,
    messages: usize,
    /// Messages that came out of order within their subject.
    backwards: usize,
    clocks: usize,
    seqs: BTreeMap<String, (i64, u64)>,
}

impl Told {
    fn new(follow: Follow) -> Self {
        Self {
            follow,
            newest: BTreeMap::new(),
            readings: BTreeMap::new(),
            messages: 0,
            backwards: 0,
            clocks: 0,
            seqs: BTreeMap::new(),
        }
    }

    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = tcs_core::clock::monotonic();
        while !is_so(self) {
            let next = tokio::time::timeout(Duration::from_millis(100), self.follow.next(1000));
            for item in next.await.unwrap_or_default() {
                self.note(item);
            }
            let (readings, newest) = (&self.readings, &self.newest);
            assert!(start.elapsed() < nats::LIMIT, "in vain: {what}\n{readings:?}\n{newest:?}");
        }
    }

    fn note(&mut self, item: Item<Note>) {
        match item {
            Item::Message(message) => {
                self.messages += 1;
                if let Stored::Stream { created, seq, .. } = message.stored {
                    let place = (created.timestamp_micros(), seq);
                    let known = self.seqs.entry(message.subject().to_owned()).or_default();
                    self.backwards += usize::from(place <= *known);
                    *known = place;
                }
                let body = String::from_utf8_lossy(message.payload()).into_owned();
                self.newest.insert(message.subject().to_owned(), body);
            }
            Item::Note(Note::Reading(kind, reading)) => {
                self.readings.insert(kind, reading);
            }
            Item::Note(Note::Clock(_)) => self.clocks += 1,
            Item::Note(Note::Link(_) | Note::Contact(_)) => {}
        }
    }

    fn is(&self, subject: &str, body: &str) -> bool {
        self.newest.get(subject).is_some_and(|b| b == body)
    }

    fn complete(&self, kind: Kind) -> bool {
        self.readings.get(&kind).is_some_and(Reading::is_complete)
    }

    fn settled(&self) -> bool {
        self.readings.len() == 3 && self.readings.values().all(Reading::is_settled)
    }

    fn means(&self, kind: Kind) -> Vec<&ReadMode> {
        let Some(Reading::Streams(streams)) = self.readings.get(&kind) else { return vec![] };
        streams
            .values()
            .filter_map(|progress| match progress {
                Progress::Complete(means) => Some(means),
                Progress::Reading | Progress::Failed(_) => None,
            })
            .collect()
    }
}

fn follow(bus: &Bus) -> Told {
    Told::new(bus.follow(&Kind::FLEET, false))
}

/// Rights to read, see `docs/spec/wire.md#permissions`.
fn with_users() -> String {
    format!(
        r#"{JETSTREAM} authorization {{ users [
          {{user: admin, password: pw}},
          {{user: viewer, password: pw, permissions {{
             publish: ["$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.*",
                       "$JS.API.DIRECT.GET.>", "$JS.API.STREAM.MSG.GET.*"],
             subscribe: ["_INBOX.>", "svc.status.>", "svc.heartbeat.>", "svc.registry.>"] }} }},
          {{user: getter, password: pw, permissions {{
             publish: ["$JS.API.STREAM.>", "$JS.API.DIRECT.GET.>"],
             subscribe: ["_INBOX.>"] }} }},
          {{user: nofc, password: pw, permissions {{
             publish: ["$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.*",
                       "$JS.API.CONSUMER.>"],
             subscribe: ["_INBOX.>"] }} }},
          {{user: noinfo, password: pw, permissions {{
             publish: ["$JS.API.STREAM.NAMES", "$JS.API.CONSUMER.>", "$JS.FC.>"],
             subscribe: ["_INBOX.>"] }} }},
          {{user: narrow, password: pw, permissions {{
             publish: ["$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.*",
                       "$JS.API.CONSUMER.CREATE.svc_status.*.svc.status.>",
                       "$JS.API.CONSUMER.DELETE.>", "$JS.FC.>"],
             subscribe: ["_INBOX.>"] }} }},
          {{user: nothing, password: pw, permissions {{
             publish: ["x"], subscribe: ["_INBOX.>"] }} }},
          {{user: deaf, password: pw, permissions {{
             publish: [">"], subscribe: ["x"] }} }},
        ] }}"#
    )
}
