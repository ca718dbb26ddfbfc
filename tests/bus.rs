//! The NATS edge against real servers: an old one and a current one.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/nats.rs"]
mod nats;

use std::collections::BTreeMap;
use std::time::Duration;

use nats::{Binary, JETSTREAM, Server, on_each_server, wait_for, within_limit};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::streams::Made;
use tcs_core::bus::{
    ApiError, Bus, ConnectError, Failure, Follow, Item, LinkState, Means, Note, Progress, Reading,
    Stored,
};
use tcs_core::wire::Kind;

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
            Item::Note(Note::Link(_)) => {}
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

    fn means(&self, kind: Kind) -> Vec<&Means> {
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

#[tokio::test(flavor = "multi_thread")]
async fn reads_streams_of_any_name_under_a_dotted_prefix_and_cleans_up() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let writer = Writer::new(&server).await;
        // Two streams share the statuses, one holds two kinds, and none has its usual name.
        writer.stream("SITE1", &["ocm.svc.status.site1.>", "ocm.svc.registry.>"], -1).await;
        writer.stream("SITE2", &["ocm.svc.status.site2.>"], 1).await;
        for n in 1..=3 {
            writer.put("ocm.svc.status.site1.a", &format!("a{n}")).await;
            writer.put("ocm.svc.status.site2.b", &format!("b{n}")).await;
        }
        writer.put("ocm.svc.registry.start.site1.a", "start").await;
        let settings = settings(&server.url(), Some("ocm.svc"));
        let bus = Bus::connect(&settings, NAME, TIMEOUT).await.unwrap();
        let mut told = follow(&bus);
        told.until("snapshot", Told::settled).await;
        assert!(told.complete(Kind::Status) && told.complete(Kind::Registry));
        assert_eq!(told.readings[&Kind::Heartbeat], Reading::NoStream { listening: false });
        assert!(told.is("ocm.svc.status.site1.a", "a3"));
        assert!(told.is("ocm.svc.status.site2.b", "b3"));
        assert_eq!(told.messages, 3);
        assert!(told.clocks > 0, "the broker's clock was measured");
        writer.put("ocm.svc.status.site2.b", "b4").await;
        told.until("live", |t| t.is("ocm.svc.status.site2.b", "b4")).await;
        assert_eq!(writer.consumers("SITE1").await, 2);
        told.follow.stop().await;
        writer.no_consumers("SITE1").await;
        writer.no_consumers("SITE2").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_streams_nothing_is_subscribed_until_they_appear() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let writer = Writer::new(&server).await;
        let bus = connect(&server.url()).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        for reading in told.readings.values() {
            assert_eq!(*reading, Reading::NoStream { listening: false });
        }
        // Nobody listens: the server says so at once.
        let asked = writer.0.client().request("svc.status.a", "x".into()).await.unwrap_err();
        assert_eq!(asked.kind(), async_nats::RequestErrorKind::NoResponders);
        let made = bus.create_missing_streams().await;
        let names: Vec<_> = made.iter().map(|(_, made)| made.clone()).collect();
        let created = |name: &str| Made::Created(name.to_owned());
        let all = [created("svc_registry"), created("svc_status"), created("svc_heartbeat")];
        assert_eq!(names, all);
        let again = bus.create_missing_streams().await;
        assert!(again.iter().all(|(_, made)| matches!(made, Made::Found(_))), "{again:?}");
        writer.put("svc.status.a", "hello").await;
        let followed = |t: &Told| t.is("svc.status.a", "hello") && t.complete(Kind::Status);
        told.until("followed", followed).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn created_streams_have_the_limits_of_the_fleet() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let settings = settings(&server.url(), Some("ocm.svc"));
        let bus = Bus::connect(&settings, NAME, TIMEOUT).await.unwrap();
        bus.create_missing_streams().await;
        let js = Writer::new(&server).await.0;
        let config = |name: &'static str| {
            let js = js.clone();
            async move { js.get_stream(name).await.unwrap().cached_info().config.clone() }
        };
        let registry = config("ocm_svc_registry").await;
        assert_eq!(registry.subjects, ["ocm.svc.registry.>"]);
        assert_eq!((registry.max_bytes, registry.max_messages_per_subject), (10 << 20, 100));
        assert_eq!(registry.max_age, Duration::ZERO);
        let status = config("ocm_svc_status").await;
        assert_eq!((status.max_bytes, status.max_age.as_secs()), (500 << 20, 30 * 86400));
        let heartbeat = config("ocm_svc_heartbeat").await;
        assert_eq!((heartbeat.max_bytes, heartbeat.max_age.as_secs()), (100 << 20, 86400));
        assert!(!heartbeat.no_ack);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jetstream_it_says_so_and_listens_only_if_asked() {
    on_each_server(async |binary| {
        let server = Server::start_with(&binary, "").await;
        let client = async_nats::connect(server.url()).await.unwrap();
        let bus = connect(&server.url()).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        let expected = Reading::NoJetStream { why: ApiError::NoJetStream, listening: false };
        assert_eq!(told.readings[&Kind::Status], expected);
        let asked = client.request("svc.status.a", "x".into()).await.unwrap_err();
        assert_eq!(asked.kind(), async_nats::RequestErrorKind::NoResponders);
        assert!(matches!(&bus.create_missing_streams().await[0].1, Made::Failed(_)));

        let mut told = Told::new(bus.follow(&Kind::FLEET, true));
        told.until("settled", Told::settled).await;
        let listening = Reading::NoJetStream { why: ApiError::NoJetStream, listening: true };
        assert_eq!(told.readings[&Kind::Status], listening);
        within_limit("heard", async {
            while !told.is("svc.status.a", "plain") {
                client.publish("svc.status.a", "plain".into()).await.unwrap();
                let next = tokio::time::timeout(Duration::from_millis(100), told.follow.next(9));
                next.await.unwrap_or_default().into_iter().for_each(|item| told.note(item));
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jetstream_off_for_the_account_is_another_answer() {
    on_each_server(async |binary| {
        let config = format!(
            "{JETSTREAM} accounts {{ A {{ jetstream: enabled, users [{{user: a, password: pw}}] }},
             B {{ users [{{user: b, password: pw}}] }} }}"
        );
        let server = Server::start_with(&binary, &config).await;
        let bus = connect(&url_as(&server, "b")).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        let Reading::NoJetStream { why, .. } = &told.readings[&Kind::Status] else {
            panic!("{:?}", told.readings)
        };
        assert_eq!(*why, ApiError::NotEnabled);
    })
    .await;
}

/// Rights as python-compat.md and nats.md measured them.
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
          {{user: nothing, password: pw, permissions {{
             publish: ["x"], subscribe: ["_INBOX.>"] }} }},
          {{user: deaf, password: pw, permissions {{
             publish: [">"], subscribe: ["x"] }} }},
        ] }}"#
    )
}

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
        let [Means::Gets(denial)] = told.means(Kind::Status)[..] else { panic!() };
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
        let [Means::Pull(denial)] = told.means(Kind::Heartbeat)[..] else {
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
        let start = tcs_core::clock::monotonic();
        let bus = connect(&url_as(&server, "nothing")).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        let text = told.readings[&Kind::Status].to_string();
        assert_eq!(text, "no right to publish `$JS.API.STREAM.NAMES`");
        let bus = connect(&url_as(&server, "deaf")).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        let text = told.readings[&Kind::Status].to_string();
        assert!(text.starts_with("no right to subscribe `_INBOX."), "{text}");
        let bus = connect(&url_as(&server, "viewer")).await;
        writer.0.delete_stream("svc_registry").await.unwrap();
        let made = bus.create_missing_streams().await;
        let Made::Failed(error) = &made[0].1 else { panic!("{made:?}") };
        let expected = "no right to publish `$JS.API.STREAM.CREATE.svc_registry`";
        assert_eq!(error.to_string(), expected);
        assert!(start.elapsed() < TIMEOUT, "no request was waited out: {:?}", start.elapsed());
        // Not knowing when a stream was made is no obstacle.
        let bus = connect(&url_as(&server, "noinfo")).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        assert!(told.complete(Kind::Status) && told.messages == 20, "{:?}", told.readings);
    })
    .await;
}

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
        assert_eq!(failure("nats://no-such-host.invalid", TIMEOUT).await, Failure::Dns);
        assert!(matches!(
            failure(&format!("tls://127.0.0.1:{}", server.port()), TIMEOUT).await,
            Failure::Tls(_)
        ));
        server.stop();
        assert_eq!(failure(&server.url(), TIMEOUT).await, Failure::Refused);
        server.run().await;
        server.signal("STOP");
        let short = Duration::from_millis(300);
        assert_eq!(failure(&server.url(), short).await, Failure::TimedOut);
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
        wait_for("writer is back", || {
            writer.0.client().connection_state() == async_nats::connection::State::Connected
        })
        .await;
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
