//! What a viewer and an operator could try: each thing that may be published is published, with
//! each reply subject that could do harm, and then nothing has changed.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, consumer};
use async_nats::{Client, HeaderMap};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tcs_testkit::nats::{Binary, Server, on_each_server, within_limit};
use tokio::sync::Mutex;

use super::site::{COMMAND, Calls, HARMLESS, LAUNCHER, RELOAD, client, envelope, fill, state};
use super::{bus, server};

/// Subjects that somebody else listens to, or that are stored.
const TARGETS: [&str; 9] = [
    RELOAD,
    COMMAND,
    "svc.registry.crashed.camera.a",
    "svc.status.camera.a",
    "svc.heartbeat.camera.a",
    "svc.journal.camera.a",
    "_INBOX.launcher.x.1",
    "_R_.x.y",
    "$JS.API.STREAM.DELETE.svc_status",
];

/// Requests to JetStream with which something could be changed, or be delivered elsewhere.
fn requests() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Value)> = Vec::new();
    for target in TARGETS {
        let config = |name: &str| {
            json!({"stream_name": "svc_status", "config": {
                "name": name, "durable_name": name,
                "deliver_subject": target, "deliver_group": target,
                "deliver_policy": "all", "ack_policy": "none", "filter_subject": "svc.status.>"}})
        };
        all.push(("CONSUMER.CREATE.svc_status.push.svc.status.>".to_owned(), config("push")));
        all.push(("CONSUMER.CREATE.svc_status".to_owned(), config("push2")));
        all.push(("CONSUMER.DURABLE.CREATE.svc_status.push3".to_owned(), config("push3")));
    }
    for n in 0..30 {
        let name = format!("many{n}");
        let config = json!({"stream_name": "svc_status",
            "config": {"durable_name": name, "ack_policy": "explicit"}});
        all.push((format!("CONSUMER.DURABLE.CREATE.svc_status.{name}"), config));
    }
    let stream = |name: &str, more: Value| {
        let mut config = json!({"name": name, "retention": "limits", "storage": "memory",
            "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "num_replicas": 1});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let to_reload = json!({"src": "x.>", "dest": RELOAD});
    let source = json!({"name": "svc_status"});
    for (name, more) in [
        ("rpc", json!({"subjects": ["svc.rpc.>"]})),
        ("inboxes", json!({"subjects": ["_INBOX.>"]})),
        ("republish", json!({"subjects": ["x.>"], "republish": to_reload})),
        ("mirror", json!({"mirror": source})),
        ("sourced", json!({"sources": [source]})),
    ] {
        all.push((format!("STREAM.CREATE.{name}"), stream(name, more)));
    }
    let update = stream("svc_status", json!({"subjects": ["svc.status.>", "svc.rpc.>"]}));
    all.push(("STREAM.UPDATE.svc_status".to_owned(), update));
    let seq = json!({"seq": 1, "no_erase": true});
    all.push(("STREAM.MSG.DELETE.svc_status".to_owned(), seq));
    for what in [
        "CONSUMER.DELETE.svc_status.victim",
        "CONSUMER.PAUSE.svc_status.victim",
        "CONSUMER.MSG.NEXT.svc_status.victim",
        "CONSUMER.LEADER.STEPDOWN.svc_status.victim",
        "STREAM.DELETE.svc_status",
        "STREAM.PURGE.svc_status",
        "STREAM.LEADER.STEPDOWN.svc_status",
        "STREAM.PEER.REMOVE.svc_status",
        "META.LEADER.STEPDOWN",
        "SERVER.REMOVE",
        "ACCOUNT.PURGE.OBSERVATORY",
        "ACCOUNT.PURGE.VIEWERS",
    ] {
        all.push((what.to_owned(), json!({})));
    }
    let snapshot = json!({"deliver_subject": RELOAD});
    all.push(("STREAM.SNAPSHOT.svc_status".to_owned(), snapshot));
    all.push(("STREAM.RESTORE.copy".to_owned(), json!({})));
    let body = |(what, body): (String, Value)| (what, body.to_string().into_bytes());
    all.into_iter().map(body).collect()
}

/// Questions that are allowed, whose answers would do harm elsewhere.
fn questions(user: &str) -> Vec<(String, Vec<u8>)> {
    let last = |subject: &str| json!({"last_by_subj": subject}).to_string().into_bytes();
    let crash = "svc.registry.crashed.camera.a";
    let batch = json!({"multi_last": ["svc.registry.>"], "batch": 9}).to_string().into_bytes();
    let mut all = vec![
        ("$JS.API.STREAM.NAMES".to_owned(), Vec::new()),
        ("$JS.API.STREAM.INFO.svc_status".to_owned(), Vec::new()),
        ("$JS.API.DIRECT.GET.svc_registry".to_owned(), last(crash)),
        ("$JS.API.DIRECT.GET.svc_registry".to_owned(), batch),
        (format!("$JS.API.DIRECT.GET.svc_registry.{crash}"), Vec::new()),
        ("$JS.API.DIRECT.GET.svc_status".to_owned(), last("svc.status.camera.a")),
        ("$JS.API.STREAM.MSG.GET.svc_status".to_owned(), last("svc.status.camera.a")),
        ("svc.rpc.camera.a.v1.health".to_owned(), envelope(&json!({}))),
        (format!("svc.rpc.{LAUNCHER}.v1.list"), envelope(&json!({}))),
        (format!("svc.rpc.{LAUNCHER}.v1.logs.camera.a"), envelope(&json!({}))),
        ("$SRV.PING".to_owned(), Vec::new()),
        ("$SRV.INFO".to_owned(), Vec::new()),
    ];
    if user == "operator" {
        // may be asked for; the answer goes nowhere else all the same
        all.push((format!("svc.rpc.{LAUNCHER}.v1.nothing"), envelope(&json!({}))));
    }
    all
}

/// Publishes all of it, as `user` may or may not.
async fn attack(attacker: &Client, user: &str) {
    let publish = async |subject: String, reply: Option<&str>, body: Vec<u8>| match reply {
        Some(reply) => {
            attacker.publish_with_reply(subject, reply.to_owned(), body.into()).await.unwrap();
        }
        None => attacker.publish(subject, body.into()).await.unwrap(),
    };
    for (what, body) in requests() {
        for prefix in ["$JS.API", "JS.TCS.API", "$JS.hub.API"] {
            for reply in ["_INBOX.x.1", RELOAD] {
                publish(format!("{prefix}.{what}"), Some(reply), body.clone()).await;
            }
        }
    }
    for (question, body) in questions(user) {
        for target in TARGETS {
            publish(question.clone(), Some(target), body.clone()).await;
        }
    }
    if user == "viewer" {
        // the ends of commands that look like questions to a longer id
        for question in ["health", "stats"] {
            for command in [
                format!("svc.rpc.camera.a.v1.move.v1.{question}"),
                format!("svc.rpc.{LAUNCHER}.v1.stop.v1.{question}"),
                format!("svc.rpc.{LAUNCHER}.v1.stop.launcher.x.y.v1.{question}"),
            ] {
                publish(command, Some("_INBOX.x.1"), envelope(&json!({}))).await;
            }
        }
    }
    for target in TARGETS.iter().filter(|target| user == "viewer" || !target.contains(".rpc.")) {
        // newer servers tell there where a message went
        let mut traced = HeaderMap::new();
        traced.insert("Nats-Trace-Dest", *target);
        let health = "svc.rpc.camera.a.v1.health";
        let body = envelope(&json!({})).into();
        attacker.publish_with_headers(health, traced, body).await.unwrap();
        publish((*target).to_owned(), None, envelope(&json!({"name": "camera.a"}))).await;
        publish((*target).to_owned(), Some("_INBOX.x.1"), envelope(&json!({}))).await;
    }
    for subject in [
        "svc.alarm.state.x.camera.a",
        "svc.registry.stop.camera.a",
        "$JS.ACK.svc_status.victim.1.1.1.1.0",
        "$JS.FC.svc_status.victim.x",
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.ACCOUNT.OBSERVATORY.CONNZ",
        "$KV.x.y",
        "test.ping",
    ] {
        publish(subject.to_owned(), Some("_INBOX.x.1"), Vec::new()).await;
    }
    attacker.flush().await.unwrap();
}

/// What came where nobody but its owner may listen.
async fn overheard(attacker: &Client, user: &str) -> Arc<Mutex<Vec<String>>> {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let others = ["_INBOX.launcher.>", "_INBOX.operator.>", "_INBOX.viewer.>"];
    for subject in [
        ">",
        "*.>",
        "_INBOX.>",
        "_INBOX.*",
        "_INBOX.*.*",
        "_INBOX.*.*.*",
        "_R_.>",
        "svc.>",
        "svc.rpc.>",
        "svc.rpc.camera.a.v1.health",
        "$JS.>",
        "$JS.API.>",
        "JS.>",
        "$SRV.>",
        "$SYS.>",
        "$JS.EVENT.>",
    ]
    .into_iter()
    .chain(others.into_iter().filter(|other| !other.contains(user)))
    {
        let mut subscriber = attacker.subscribe(subject).await.unwrap();
        let heard = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Some(message) = subscriber.next().await {
                heard.lock().await.push(format!("{subject}: {}", message.subject));
            }
        });
    }
    attacker.flush().await.unwrap();
    heard
}

/// All attacks of one user, where the configuration should stop them: of the launcher's server and
/// the attacker's.
pub(super) async fn assert_nothing_works([at, from]: [&Server; 2], user: &str) {
    let launcher = client(at, "launcher").await;
    let calls = Calls::default();
    let _serving = calls.serve(bus(at, "launcher").await).await;
    // all that arrives for launchers and services
    let mut arriving = launcher.subscribe("svc.rpc.>").await.unwrap();
    launcher.flush().await.unwrap();
    let before = state(&launcher).await;
    assert_eq!(before.streams.len(), 3);

    let attacker = client(from, user).await;
    let heard = overheard(&attacker, user).await;
    attack(&attacker, user).await;
    // Whatever was let through of that has arrived before this, which is answered, in that order.
    let question = format!("svc.rpc.{LAUNCHER}.v1.list");
    let own = client(from, user).await;
    for asking in [&attacker, &own] {
        let fence = asking.request(question.clone(), envelope(&json!({})).into());
        assert!(!within_limit("an answer", fence).await.unwrap().payload.is_empty(), "{user}");
    }
    // and so had what JetStream was asked to change, before this is
    let stream = jetstream::new(launcher.clone()).get_stream("svc_status").await.unwrap();
    let config = consumer::pull::Config { name: Some("last".to_owned()), ..Default::default() };
    stream.create_consumer(config).await.unwrap();
    stream.delete_consumer("last").await.unwrap();
    let mut faults = Vec::new();
    let after = state(&launcher).await;
    if after != before {
        faults.push(format!("changed: {after:?}"));
    }
    if calls.count() != 0 {
        faults.push(format!("{} commands were called", calls.count()));
    }
    let heard = heard.lock().await.clone();
    if !heard.is_empty() {
        faults.push(format!("overheard: {heard:?}"));
    }
    let mut seen = Vec::new();
    while let Ok(Some(message)) =
        tokio::time::timeout(Duration::from_millis(20), arriving.next()).await
    {
        seen.push(message.subject.to_string());
    }
    let harmless =
        |subject: &String| HARMLESS.iter().any(|it| subject.ends_with(&format!(".v1.{it}")));
    let allowed = |subject: &String| {
        harmless(subject) || user == "operator" && subject.ends_with(".v1.nothing")
    };
    assert!(!seen.is_empty(), "the questions arrive");
    seen.retain(|subject| !allowed(subject));
    if !seen.is_empty() {
        faults.push(format!("arrived at services: {seen:?}"));
    }
    assert!(faults.is_empty(), "{user}:\n{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_or_overhears_what_is_not_theirs() {
    on_each_server(async |binary: Binary| {
        let server = server(&binary).await;
        fill(&client(&server, "launcher").await, 1).await;
        for user in ["viewer", "operator"] {
            assert_nothing_works([&server, &server], user).await;
        }
        assert_not_forged_by_the_service_user(&server).await;
    })
    .await;
}

/// A service without a launcher writes of itself, and no life cycle events.
async fn assert_not_forged_by_the_service_user(server: &Server) {
    let launcher = client(server, "launcher").await;
    let before = state(&launcher).await;
    let service = client(server, "service").await;
    for subject in ["svc.registry.crashed.camera.a", "$JS.API.STREAM.PURGE.svc_status"] {
        service.publish(subject, envelope(&json!({})).into()).await.unwrap();
    }
    let context = jetstream::new(service);
    let data = json!({"name": "camera.c", "status": "ok"});
    let stored = context.publish("svc.status.camera.c", envelope(&data).into());
    stored.await.unwrap().await.unwrap();
    let mut expected = before;
    expected.streams.get_mut("svc_status").unwrap().2 += 1;
    assert_eq!(state(&launcher).await, expected);
}
