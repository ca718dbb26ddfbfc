//! Alarms of a past moment, of a recording, of rules that are tried; and what somebody purges.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tcs_core::clock;
use tcs_testkit::nats::{Server, on_each_server, wait_for};
use tcs_testkit::schema::assert_documented;
use tcs_testkit::tcsctl;
use tcs_testkit::tcsd::signal;

use super::deaths::{LONG, watched};
use super::{Sink, alarm, alarms};

fn taken_at(document: &Value) -> DateTime<Utc> {
    document["taken_at"].as_str().unwrap().parse().unwrap()
}

/// The alarms at a moment about which nothing was stored for a second before and after: clocks of old
/// servers are known to a fraction of one.
async fn settled(url: &str) -> Value {
    let later = async |than: DateTime<Utc>| {
        let mut document = Value::Null;
        wait_for("a second later", || {
            document = alarms(url);
            taken_at(&document) > than + TimeDelta::seconds(1)
        })
        .await;
        document
    };
    let document = later(taken_at(&alarms(url))).await;
    later(taken_at(&document)).await;
    document
}

/// What does not depend on times and places.
fn told(document: &Value) -> Vec<(String, String, u64, String, usize)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = document["alarms"].as_array().unwrap().iter();
    all.map(|it| {
        let told = it["told"].as_array().unwrap().len();
        let occurrences = it["occurrences"].as_u64().unwrap();
        (text(&it["id"]), text(&it["state"]), occurrences, text(&it["acked"]["note"]), told)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_of_the_past_are_those_of_then() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let site = watched(&binary, &sink, 2).await;
        let url = site.server.url();
        let at = |args: &[&str]| tcsctl::at(&url, args);
        let is_told = |id: &str| alarm(&url, id)["told"][0]["st"] == "done";
        let before = settled(&url).await;
        signal("KILL", site.pid("dome.main").await);
        wait_for("the outcome", || is_told("failed/dome.main")).await;
        let raised = settled(&url).await;
        at(&["ack", "failed/dome.main", "-m", "changing the cable"]).expect(0);
        let acked = settled(&url).await;
        signal("KILL", site.pid("dome.n1").await);
        wait_for("the outcome", || is_told("failed/dome.n1")).await;
        for then in [&before, &raised, &acked] {
            let moment = then["taken_at"].as_str().unwrap();
            let past = at(&["alarms", "--all", "--json", "--at", moment]).expect(0).json();
            assert_eq!(past["alarms"], then["alarms"], "{moment}");
            assert_eq!(past["watched_by"], then["watched_by"], "{moment}");
        }

        // what a recording tells, in another broker
        let file = site.tcsd.path("night.jsonl");
        at(&["record", &file, "--for", "100ms"]).expect(0);
        let refused = at(&["replay", &file, "--instant", "--yes"]).expect(2);
        let why = "sentinel.a, sentinel.b; a replay there would notify people; nothing was done";
        assert!(refused.err.contains(why) && refused.err.contains("--force"), "{refused:#?}");
        let other = Server::start(&binary).await;
        tcsctl::at(&other.url(), &["replay", "--instant", "--create-streams", &file]).expect(0);
        let now = alarms(&url);
        assert_eq!(told(&alarms(&other.url())), told(&now));
        let acked = told(&now).into_iter().find(|it| it.0 == "failed/dome.main").unwrap();
        assert_eq!((&*acked.1, &*acked.3), ("acked", "changing the cable"));

        // the rules in force would have told the same
        let raise_of = |document: &Value, id: &str| {
            let mut found = document["raises"].as_array().unwrap().iter();
            found.find(|it| it["id"] == id).cloned().unwrap_or_default()
        };
        let mut replayed = Value::Null;
        wait_for("a moment later", || {
            replayed = at(&["alarms", "replay", "--since", "1h", "--json"]).expect(0).json();
            !raise_of(&replayed, "failed/dome.n1")["notified"][0].is_null()
        })
        .await;
        assert_documented(&replayed);
        for id in ["failed/dome.main", "failed/dome.n1"] {
            let (replayed, real) = (raise_of(&replayed, id), alarm(&url, id));
            let at = |it: &Value| it.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
            let apart = at(&replayed["at"]) - at(&real["since"]);
            assert!(apart.abs() < TimeDelta::minutes(1), "{replayed} {real}");
            assert_eq!(replayed["notified"][0]["channel"], "chat", "{replayed}");
        }
        let lines = at(&["alarms", "replay", "--since", "1h"]).expect(0).out;
        let line = lines.lines().find(|line| line.contains("failed/dome.n1")).unwrap();
        assert!(line.contains("still active") && line.contains("notified: chat"), "{lines}");
        // other rules
        let quiet = std::fs::read_to_string(site.tcsd.path("services.yaml")).unwrap();
        let quiet = quiet.replace(
            "escalate: {critical: [{chat: 0s}]",
            "rules: {failed: ~}\n    \
                                  escalate: {critical: []",
        );
        std::fs::write(site.tcsd.path("quiet.yaml"), quiet).unwrap();
        let rules = site.tcsd.path("quiet.yaml");
        let args = ["alarms", "replay", "--since", "1h", "--rules", &rules, "--json"];
        let replayed = at(&args).expect(0).json();
        let failed = |it: &Value| it["rule"] == "failed";
        assert!(!replayed["raises"].as_array().unwrap().iter().any(failed), "{replayed:#}");
        assert_eq!(replayed["notifications"], json!({}));

        let stats = at(&["alarms", "stats", "--json"]).expect(0).json();
        assert_documented(&stats);
        let top = stats["top"].as_array().unwrap();
        assert!(top.iter().any(|it| it["id"] == "failed/dome.n1" && it["raises"] == 1), "{stats}");

        // what somebody purges of an open alarm comes back, and nobody is told again
        let client = async_nats::connect(&url).await.unwrap();
        let api = async |what: &str, body: Value| -> Value {
            let reply =
                client.request(format!("$JS.API.STREAM.{what}.svc_alarm"), body.to_string().into());
            serde_json::from_slice(&reply.await.unwrap().payload).unwrap()
        };
        let last = async || {
            let body = json!({"last_by_subj": "svc.alarm.state.failed.dome.n1"});
            api("MSG.GET", body).await["message"]["seq"].as_u64().unwrap_or_default()
        };
        let before = last().await;
        for subject in ["state.failed.dome.n1", "sent.chat.failed.dome.n1"] {
            let body = json!({"filter": format!("svc.alarm.{subject}")});
            let reply = api("PURGE", body).await;
            assert!(reply["purged"].as_u64() > Some(0), "{reply}");
        }
        let begin = clock::monotonic();
        while last().await <= before {
            assert!(begin.elapsed() < LONG, "it is not written again");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        wait_for("that it was told too", || is_told("failed/dome.n1")).await;
        assert_eq!(alarm(&url, "failed/dome.n1")["state"], "active");
        assert_eq!(sink.told(), ["failed/dome.main raised", "failed/dome.n1 raised"]);
    })
    .await;
}
