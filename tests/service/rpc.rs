//! Requests: `health`, `stats`, a service's own commands, and the NATS service API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};
use tcs_core::bus::Bus;
use tcs_core::bus::rpc::{Command, RequestError};
use tcs_core::monitor::Monitor;
use tcs_core::wire::Status;
use tcs_testkit::nats::LIMIT;

use super::on_each_site;

const NOTHING: Value = Value::Null;

async fn ask(bus: &Bus, command: &str) -> Result<Map<String, Value>, RequestError> {
    bus.request("guider.jk15", command, &json!({}), LIMIT).await
}

/// A responder is there a moment after its monitor: until then nobody answers.
async fn once_there(bus: &Bus, command: &str) -> Map<String, Value> {
    let start = tcs_core::clock::monotonic();
    loop {
        match ask(bus, command).await {
            Ok(reply) => return reply,
            Err(RequestError::NotReachable { .. }) if start.elapsed() < LIMIT => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{command}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_stats_and_commands_of_its_own() {
    on_each_site(async |site| {
        let bus = Bus::connect(&site.settings(), "asker", LIMIT).await.unwrap();
        let start = tcs_core::clock::monotonic();
        let nobody = ask(&bus, "health").await.unwrap_err();
        assert_eq!(nobody.to_string(), "`guider.jk15` is not reachable: no answer to `health`");
        assert!(start.elapsed() < LIMIT / 2, "at once, not after a time-out");

        let monitor = Monitor::builder("guider.jk15").unwrap().start(&site.reporter());
        monitor.set_status(Status::Ok, "guiding");
        monitor.add_health_check("star", || Some((Status::Degraded, "faint")));
        let acted = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&acted);
        monitor.serve(
            Command::new("park", move |call| {
                let n = count.fetch_add(1, Ordering::Relaxed) + 1;
                async move {
                    match call.data.get("fail") {
                        Some(_) => Err("wind".to_owned()),
                        None => Ok(Map::from_iter([("parked".to_owned(), n.into())])),
                    }
                }
            })
            .acting(),
        );
        monitor.serve(Command::new("panics", |_| async { panic!("no film") }));

        let health = once_there(&bus, "health").await;
        assert_eq!(health["service_id"], "guider.jk15");
        assert_eq!(health["status"], "degraded", "the checks are called by the question");
        assert_eq!(health["checks"], json!({"star": "degraded"}));
        assert_eq!(health["timestamp"].as_array().unwrap().len(), 7);
        let stats = once_there(&bus, "stats").await;
        assert!(stats["uptime_seconds"].is_number() && stats["stats"]["outbox"].is_object());

        assert_eq!(once_there(&bus, "park").await["parked"], 1);
        let refused = bus.request("guider.jk15", "park", &json!({"fail": 1}), LIMIT).await;
        assert_eq!(refused.unwrap_err(), RequestError::Refused("wind".to_owned()));
        let text = {
            once_there(&bus, "health").await;
            ask(&bus, "panics").await.unwrap_err().to_string()
        };
        assert!(text.contains("no film"), "{text}");

        // the same request again acts once, and gets the first answer
        let before = acted.load(Ordering::Relaxed);
        let body = json!({"data": {}, "meta": {"id": "msg-7", "sender": "me", "ts": [2026, 1, 1]}});
        let mut replies = Vec::new();
        for _ in 0..2 {
            let body = body.to_string().into_bytes().into();
            let reply = site.client.request("svc.rpc.guider.jk15.v1.park", body).await.unwrap();
            let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
            replies.push(reply["data"].clone());
        }
        assert_eq!(replies[0], replies[1]);
        assert_eq!(acted.load(Ordering::Relaxed), before + 1);

        drop(monitor);
        let start = tcs_core::clock::monotonic();
        while ask(&bus, "health").await.is_ok() {
            assert!(start.elapsed() < LIMIT, "it still answers");
        }
        let _ = NOTHING;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nats_service_api_shows_it() {
    on_each_site(async |site| {
        let bus = Bus::connect(&site.settings(), "asker", LIMIT).await.unwrap();
        let reporter = site.reporter();
        let monitor = Monitor::builder("guider.jk15")
            .unwrap()
            .about("keeps the star in place", "1.2.3")
            .start(&reporter);
        let _other = Monitor::builder("guider.wk06").unwrap().start(&reporter);
        monitor.set_status(Status::Ok, "");
        once_there(&bus, "stats").await;

        let inbox = site.client.new_inbox();
        let mut pongs = site.client.subscribe(inbox.clone()).await.unwrap();
        site.client.publish_with_reply("$SRV.PING", inbox, "".into()).await.unwrap();
        let mut names = Vec::new();
        while names.len() < 2 {
            let pong = tokio::time::timeout(LIMIT, pongs.next()).await.unwrap().unwrap();
            let pong: Value = serde_json::from_slice(&pong.payload).unwrap();
            assert_eq!(pong["type"], "io.nats.micro.v1.ping_response");
            names.push(pong["name"].as_str().unwrap().to_owned());
        }
        names.sort();
        assert_eq!(names, ["guider-jk15", "guider-wk06"]);

        // what the library itself reads of it
        let info = site.client.request("$SRV.INFO.guider-jk15", "".into()).await.unwrap();
        let info: async_nats::service::Info = serde_json::from_slice(&info.payload).unwrap();
        assert_eq!((&*info.version, &*info.description), ("1.2.3", "keeps the star in place"));
        assert_eq!(info.metadata["tcs.service_id"], "guider.jk15");
        assert_eq!(info.metadata["tcs.variant"], "jk15");
        let subject = "svc.rpc.guider.jk15.v1.stats";
        let endpoint = info.endpoints.iter().find(|one| one.subject == subject).unwrap();
        assert_eq!(
            (&*endpoint.queue_group, &*endpoint.name),
            (subject, "svc-rpc-guider-jk15-v1-stats")
        );
        let by_id = format!("$SRV.STATS.guider-jk15.{}", info.id);
        let stats = site.client.request(by_id, "".into()).await.unwrap();
        let stats: async_nats::service::Stats = serde_json::from_slice(&stats.payload).unwrap();
        let endpoint = stats.endpoints.iter().find(|one| one.subject == subject).unwrap();
        assert!(endpoint.requests >= 1);
    })
    .await;
}

/// A reply larger than the server carries is answered with that reason, at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_too_large_says_so() {
    on_each_site(async |site| {
        let reporter = site.reporter();
        let monitor = Monitor::builder("guider.jk15").unwrap().start(&reporter);
        monitor.serve(Command::new("log", |_| async {
            let lines = vec!["slewing"; 200_000];
            Ok(json!({ "lines": lines }).as_object().cloned().unwrap_or_default())
        }));
        let bus = Bus::connect(&site.settings(), "asker", LIMIT).await.unwrap();
        once_there(&bus, "stats").await;
        let RequestError::Refused(why) = ask(&bus, "log").await.unwrap_err() else { panic!() };
        assert!(why.starts_with("the reply has 2000"), "{why}");
        assert!(why.ends_with("more than the server's max_payload of 1048576"), "{why}");
    })
    .await;
}
