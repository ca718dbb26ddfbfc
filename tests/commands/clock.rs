//! The operator's own clock is ten minutes wrong, either way: nothing that is shown changes, and a
//! past that is asked for is the broker's (`docs/spec/truth.md#clocks`).

use std::collections::BTreeMap;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::clock;
use tcs_testkit::nats::{Server, on_each_server, wait_for};
use tcs_testkit::python;
use tcs_testkit::site::Site;
use tcs_testkit::tcsctl::{self, Output, at};

const CONFIG: &str = r#"
services:
  - {type: talker, variant: a, launch: {exec: [sleep, "1000"]}}
  - {type: broken, variant: a, launch: {exec: ["false"]}}
"#;

/// Makes a program see a time of day that is `by` away.
fn mislead(command: &mut Command, by: &str) {
    command
        .env("LD_PRELOAD", python::faketime())
        .env("FAKETIME", by)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

fn verdicts(output: &Output) -> BTreeMap<String, String> {
    let services = output.json()["services"].as_array().unwrap().clone();
    let text = |service: &serde_json::Value, key: &str| service[key].as_str().unwrap().to_owned();
    services.iter().map(|it| (text(it, "id"), text(it, "verdict"))).collect()
}

/// Whether this is so by the right clock; a machine may be busy, but not for minutes.
fn is_now(at: DateTime<Utc>) -> bool {
    (clock::wall() - at).abs() < TimeDelta::minutes(5)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_clock_is_ten_minutes_wrong() {
    on_each_server(async |binary| {
        let site = Site::at(Server::start(&binary).await, CONFIG);
        let url = site.server.url();
        let right = || at(&url, &["--all", "--json"]);
        let settled = || {
            let output = right();
            output.code == Some(0) && {
                let verdicts = verdicts(&output);
                let is = |id: &str, verdict| verdicts.get(id).is_some_and(|it| it == verdict);
                is("talker.a", "ok") && is("broken.a", "failed")
            }
        };
        wait_for("both to be what they stay", settled).await;
        // a time of day is told in whole seconds
        let settled = clock::wall().timestamp();
        wait_for("the next second", || clock::wall().timestamp() > settled).await;
        let (right, check) = (verdicts(&right()), at(&url, &["check"]));
        for by in ["+600", "-600"] {
            let wrong = |args: &[&str]| {
                let mut command = tcsctl::command(args);
                command.args(["--server", &url]);
                mislead(&mut command, by);
                tcsctl::finish(command)
            };
            let mut date = Command::new("date");
            date.arg("+%s");
            mislead(&mut date, by);
            let seconds = String::from_utf8(date.output().unwrap().stdout).unwrap();
            let seen = DateTime::from_timestamp(seconds.trim().parse().unwrap(), 0).unwrap();
            assert!(!is_now(seen), "its clock is wrong: {seen}");

            let output = wrong(&["--all", "--json"]).expect(0);
            assert_eq!(verdicts(&output), right, "{by}");
            let json = output.json();
            assert_eq!(json["source"]["clock"], "measured");
            for service in json["services"].as_array().unwrap() {
                let age = service["heartbeat_age_s"].as_f64().unwrap_or_default();
                assert!((0.0..300.0).contains(&age), "{by}: {service}");
            }
            let output = wrong(&["check"]);
            assert_eq!((output.code, output.err), (check.code, check.err.clone()), "{by}");

            // what happened in the last minutes did so by the broker's clock
            let events = wrong(&["events", "--since", "5m", "--json"]).expect(0).objects();
            let started = |it: &serde_json::Value| it["id"] == "talker.a" && it["event"] == "start";
            assert!(events.iter().any(started), "{by}: {events:?}");
            // a moment of the broker's clock, as an age and as a time of day
            let moment = clock::wall();
            for text in ["0s".to_owned(), moment.format("%H:%M:%S").to_string()] {
                let output = wrong(&["--all", "--json", "--at", &text]).expect(0);
                let at: DateTime<Utc> =
                    output.json()["source"]["at"].as_str().unwrap().parse().unwrap();
                assert!(is_now(at), "{by}, {text}: {at}");
                assert_eq!(verdicts(&output), right, "{by}, {text}");
            }
        }
    })
    .await;
}
