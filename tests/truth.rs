//! What launchers and services of other makes leave untold: `tcsctl` finds it in what the streams
//! hold, from one snapshot, on each server.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use async_nats::jetstream::Context;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::clock;
use tcs_core::fleet::{Link, Liveness};
use tcs_core::observer::{Observer, Patience};
use tcs_core::wire::{Kind, Timestamp};
use tcs_testkit::nats::{self, Binary, Server, on_each_server};
use tcs_testkit::tcsctl::{Output, at};

const LAUNCHER: &str = "launcher.launcher.Kx1xDO.srv01-process-launcher";

/// A broker with the fleet's streams, and a pen of everybody.
struct Site {
    server: Server,
    observer: Observer,
    writer: Context,
}

impl Site {
    async fn start(binary: &Binary) -> Self {
        let server = Server::start(binary).await;
        let flags = NatsSection { url: Some(server.url().as_str().into()), ..Default::default() };
        let settings = Settings::from_process(&flags, None).unwrap();
        let observer = Observer::connect(&settings, "test", nats::LIMIT).await.unwrap();
        observer.bus().create_missing_streams().await;
        let client = async_nats::connect(server.url()).await.unwrap();
        let writer = async_nats::jetstream::new(client);
        Self { server, observer, writer }
    }

    /// As Python sends it: no run, no ages, no counts.
    async fn send(&self, subject: &str, sender: &str, mut data: Value) {
        data["timestamp"] = json!(Timestamp::new(clock::wall()));
        self.send_as_is(subject, sender, data).await;
    }

    /// The same with a time of its own.
    async fn send_as_is(&self, subject: &str, sender: &str, data: Value) {
        let time = json!(Timestamp::new(clock::wall()));
        let meta = json!({"id": "msg", "sender": sender, "ts": time});
        let body = json!({"data": data, "meta": meta}).to_string();
        let ack = self.writer.publish(format!("svc.{subject}"), body.into()).await.unwrap();
        ack.await.unwrap();
    }

    async fn event(&self, name: &str, id: &str, more: &Value) {
        let mut data = json!({"event": name, "service_id": id, "parent": LAUNCHER});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.send(&format!("registry.{name}.{id}"), "launcher", data).await;
    }

    async fn status(&self, id: &str, status: &str, message: &str) {
        let data = json!({"name": id, "status": status, "message": message, "pid": 100,
            "hostname": "srv01", "parent": LAUNCHER});
        self.send(&format!("status.{id}"), id, data).await;
    }

    async fn beat(&self, id: &str, sender: &str) {
        let data = json!({"service_id": id, "status": "ok"});
        self.send(&format!("heartbeat.{id}"), sender, data).await;
    }

    /// The next one is due in ten minutes: it is not late before, however long a test takes.
    async fn beat_seldom(&self, id: &str, sender: &str) {
        let data = json!({"service_id": id, "status": "ok", "interval_seconds": 600.0});
        self.send(&format!("heartbeat.{id}"), sender, data).await;
    }

    /// A launcher, and a service that it has started.
    async fn runs(&self, id: &str) {
        self.beat(LAUNCHER, "launcher").await;
        self.event("declared", id, &json!({})).await;
        self.event("start", id, &json!({"hostname": "srv01", "pid": 100})).await;
        self.status(id, "ok", "Service running").await;
        self.beat(id, id).await;
    }

    fn run(&self, args: &[&str]) -> Output {
        at(&self.server.url(), args)
    }

    fn service(&self, id: &str, args: &[&str]) -> Value {
        let document = self.run(args).expect(0).json();
        let mut services = document["services"].as_array().unwrap().iter();
        services.find(|it| it["id"] == id).unwrap_or_else(|| panic!("{document:#}")).clone()
    }
}

/// T3: of a launcher that does not count crashes the stream does, whatever comes after the last one.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_crashes_again_and_again_is_a_warning_all_the_time() {
    const ID: &str = "dome.main";
    on_each_server(async |binary| {
        let site = Site::start(&binary).await;
        let other = "weather.main";
        site.runs(other).await;
        site.event("declared", ID, &json!({})).await;
        let started = json!({"hostname": "srv01", "pid": 100});
        let crash =
            json!({"exit_code": 3, "will_restart": true, "error": "no port", "restart_attempt": 1});
        for _ in 0..100 {
            site.event("start", ID, &started).await;
            site.event("crashed", ID, &crash).await;
            site.event("restarting", ID, &json!({"restart_attempt": 1})).await;
        }
        let warns = |what: &str, site: &Site| {
            for args in [&["check"][..], &["check", ID]] {
                let output = site.run(args).expect(1);
                assert!(output.out.starts_with("TCS WARNING - "), "{what}: {output:#?}");
                assert!(output.out.contains("no port (exit 3)"), "{what}: {output:#?}");
                assert!(output.out.contains(ID), "{what}: {output:#?}");
            }
        };
        for _ in 0..2 {
            site.event("crashed", ID, &crash).await;
            warns("crashed", &site);
            site.event("restarting", ID, &json!({"restart_attempt": 1})).await;
            warns("restarting", &site);
            site.event("start", ID, &started).await;
            warns("started", &site);
            site.status(ID, "startup", "Initializing").await;
            warns("starting", &site);
            site.status(ID, "ok", "Service running").await;
            warns("ok", &site);
            site.beat(ID, ID).await;
            warns("live", &site);
        }
        // whatever all that took
        site.beat(LAUNCHER, "launcher").await;
        site.beat(other, other).await;
        let seen = site.service(ID, &["--json"]);
        assert_eq!(seen["verdict"], "degraded");
        assert_eq!(seen["reasons"][0], "flapping");
        let evidence = seen["evidence"][0].as_str().unwrap();
        assert!(
            evidence.starts_with("no port (exit 3); 100 or more crashes in 10 min, the last "),
            "{evidence}"
        );
        assert_eq!(site.service(other, &["--json"])["verdict"], "ok");
    })
    .await;
}

/// T4: a status that is sent again and again, without its age, is the same fact for somebody who has
/// just come and for somebody who has listened.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_sent_again_is_the_same_fact() {
    const ID: &str = "guider.jk15";
    on_each_server(async |binary| {
        let site = Site::start(&binary).await;
        site.runs(ID).await;
        let mut following = site.observer.follow(&Kind::FLEET);
        let mut picture = site.observer.blank();
        let mut since: Option<DateTime<Utc>> = None;
        for round in 0..40 {
            site.status(ID, "failed", "no camera").await;
            let stored = |picture: &tcs_core::observer::Picture| {
                let view = picture.view(clock::monotonic());
                let service = view.get(ID)?.clone();
                let newest = service.record.status()?.stamp.stored;
                (service.verdict.as_str() == "failed").then_some((service.since, newest))
            };
            let mut last = None;
            nats::within_limit("it is seen", async {
                let before = stored(&picture).map(|(_, newest)| newest);
                while stored(&picture).map(|(_, newest)| newest) == before {
                    picture.extend(following.next().await.unwrap());
                }
                last = stored(&picture).unwrap().0;
            })
            .await;
            since = since.or(last);
            assert_eq!(last, since, "after {round} repetitions");
        }
        let since = since.unwrap();
        // from one snapshot
        for args in [&["--json"][..], &["--json", ID], &["--json", "-d"]] {
            let seen = site.service(ID, args);
            let seen: DateTime<Utc> = seen["since"].as_str().unwrap().parse().unwrap();
            assert_eq!(seen, since, "{args:?}");
        }
        following.stop().await;
    })
    .await;
}

/// T14: a second program under a name is found in a fleet of any size.
#[tokio::test(flavor = "multi_thread")]
async fn two_programs_under_one_name_are_found_among_many() {
    const ID: &str = "focus.n0";
    on_each_server(async |binary| {
        let site = Site::start(&binary).await;
        for n in 0..300 {
            let id = format!("focus.n{n}");
            site.runs(&id).await;
            if id != ID {
                site.beat_seldom(&id, &id).await;
            }
        }
        site.beat_seldom(LAUNCHER, "launcher").await;
        // both go on beating; the newest one is of the first
        let run = async |args: &[&str]| {
            for sender in [ID, "an orphan", ID, "an orphan", ID, "an orphan", ID] {
                site.beat_seldom(ID, sender).await;
            }
            site.run(args)
        };
        for args in [&["check"][..], &["check", "focus"], &["check", ID]] {
            let output = run(args).await.expect(1);
            let told = [format!("{ID}, an orphan"), format!("an orphan, {ID}")];
            let told = told.map(|names| format!("two programs run under this name: {names}"));
            assert!(told.iter().any(|it| output.out.contains(it)), "{args:?}: {output:#?}");
        }
        for args in [&["-d"][..], &["-d", "focus"], &["-d", ID]] {
            let output = run(args).await.expect(0);
            assert!(output.out.contains("[double]"), "{args:?}: {output:#?}");
        }
    })
    .await;
}

/// T13: all that make the result are named with their causes, on one line of bounded length.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_many_names_each_with_its_cause() {
    on_each_server(async |binary| {
        let site = Site::start(&binary).await;
        site.runs("weather.main").await;
        let long = "x".repeat(5_000);
        for n in 0..22 {
            let id = format!("dome.n{n:02}");
            site.runs(&id).await;
            let error = if n == 0 { format!("no port {long}|\n") } else { format!("no port {n}") };
            let crash = json!({"exit_code": 3, "will_restart": false, "error": error});
            site.event("crashed", &id, &crash).await;
        }
        site.beat_seldom("weather.main", "weather.main").await;
        site.beat_seldom(LAUNCHER, "launcher").await;
        let output = site.run(&["check"]).expect(2);
        assert_eq!(output.out.lines().count(), 1, "{output:#?}");
        let text = output.out.split(" | ").next().unwrap();
        assert!(text.starts_with("TCS CRITICAL - 24 services: 22 failed, "), "{text}");
        for n in 1..10 {
            assert!(
                text.contains(&format!("; dome.n{n:02} failed: no port {n} (exit 3)")),
                "{text}"
            );
        }
        assert!(text.ends_with("; and 12 more"), "{text}");
        assert!(text.len() < 2_000 && output.out.matches('|').count() == 1, "{text}");
        // one of them, by its name, and several
        let output = site.run(&["check", "dome.n05"]).expect(2);
        assert!(output.out.contains("dome.n05 is failed for "), "{output:#?}");
        assert!(output.out.contains(": no port 5 (exit 3); crashed "), "{output:#?}");
        let output = site.run(&["check", "dome.n2"]).expect(2);
        assert!(output.out.contains("; dome.n21 failed: no port 21 (exit 3) |"), "{output:#?}");
    })
    .await;
}

/// C19: that a service works or rests is told on request, and to scripts.
#[tokio::test(flavor = "multi_thread")]
async fn busy_and_idle_are_told_on_request() {
    const ID: &str = "camera.main";
    on_each_server(async |binary| {
        let site = Site::start(&binary).await;
        site.runs(ID).await;
        for status in ["busy", "idle", "busy", "idle", "warning", "idle"] {
            site.status(ID, status, "exposing").await;
        }
        let count = |args: &[&str], what: &str| {
            let output = site.run(&[&["events", ID][..], args].concat()).expect(0);
            output.out.lines().filter(|line| line.contains(what)).count()
        };
        assert_eq!(count(&[], "busy → idle"), 0);
        assert_eq!(count(&["--all"], "busy → idle"), 2);
        assert_eq!(count(&["--json"], "\"from\":\"busy\""), 2);
        for args in [&[][..], &["--all"], &["--problems"]] {
            assert_eq!(count(args, "idle → warning"), 1, "{args:?}");
        }
        for (args, told) in [(&[][..], 1), (&["--all"], 1), (&["--problems"], 0)] {
            assert_eq!(count(args, "warning → idle"), told, "{args:?}");
            assert_eq!(count(args, "started, pid 100"), told, "{args:?}");
        }
        site.run(&["events", "--all", "--problems"]).expect(2);
    })
    .await;
}

/// T2: what lies between the heartbeats of two runs is no interval.
#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_of_earlier_runs_make_no_interval() {
    const ID: &str = "dome.main";
    on_each_server(async |binary| {
        let site = Site::start(&binary).await;
        site.event("declared", ID, &json!({})).await;
        let began = clock::wall();
        let start = json!({"hostname": "srv01", "pid": 100});
        let crash = json!({"exit_code": 1, "will_restart": true});
        for run in 0..10 {
            site.event("start", ID, &start).await;
            // by its own clock 2.4 s after that of the run before
            let time = json!(Timestamp::new(began + TimeDelta::milliseconds(2_400 * run)));
            let data = json!({"service_id": ID, "status": "ok", "timestamp": time});
            site.send_as_is(&format!("heartbeat.{ID}"), &format!("run {run}"), data).await;
            site.event("crashed", ID, &crash).await;
            site.event("restarting", ID, &json!({"restart_attempt": 1})).await;
        }
        site.event("start", ID, &start).await;
        site.status(ID, "ok", "Service running").await;
        site.beat(ID, "the last run").await;
        let mut picture = site.observer.snapshot(Patience::default()).await;
        for looked_closer in [false, true] {
            if looked_closer {
                site.observer.learn_intervals(&mut picture, &[ID]).await;
                let view = picture.view(clock::monotonic());
                assert_eq!(view.get(ID).unwrap().beats().count(), 11, "all are known");
            }
            // within 3 intervals of 10 s it is not late
            let later = clock::monotonic() + Duration::from_secs(20);
            let view = picture.fleet.view(picture.clock.at(later), Link::Steady);
            let service = view.get(ID).unwrap();
            assert_eq!(service.interval, TimeDelta::seconds(10), "{service:?}");
            assert_eq!(service.liveness, Liveness::Live);
        }
    })
    .await;
}

/// T15 to T17: what a service reports stands beside the verdict, its part in trouble leads, and one
/// that is being started is well.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_reports_is_told_with_the_verdict() {
    on_each_server(async |binary| {
        let site = Site::start(&binary).await;
        let (warns, part, starts) = ("weather.davis", "mount.main", "guider.jk15");
        for id in [warns, part] {
            site.runs(id).await;
        }
        site.status(warns, "warning", "humidity 93 %").await;
        let camera = json!({"name": "encoder", "status": "error", "message": "no signal"});
        let data = json!({"name": part, "status": "error", "message": "slewing", "pid": 100,
            "hostname": "srv01", "details": {"own_status": "busy", "children": [camera]}});
        site.send(&format!("status.{part}"), part, data).await;
        site.event("start", starts, &json!({"hostname": "srv01", "pid": 101})).await;

        let list = site.run(&[]).expect(0).out;
        let row = |id: &str| list.lines().rfind(|line| line.contains(id)).unwrap().to_owned();
        for word in ["degraded (warning)", "humidity 93 %"] {
            assert!(row(warns).contains(word), "{list}");
        }
        assert!(row(part).ends_with("encoder: no signal"), "{list}");
        let output = site.run(&["check", part]).expect(2);
        assert!(output.out.contains(": encoder: no signal"), "{output:#?}");
        let output = site.run(&["check", starts]).expect(0);
        assert!(output.out.starts_with(&format!("TCS OK - {starts} is starting")), "{output:#?}");
        // its launcher has seen it ready before its own first status came
        site.event("ready", starts, &json!({})).await;
        let output = site.run(&["check", starts]).expect(0);
        assert!(output.out.starts_with(&format!("TCS OK - {starts} is starting")), "{output:#?}");
        let output = site.run(&["check"]).expect(2);
        let named = format!("; {part} error: encoder: no signal; {warns} degraded: humidity 93 %");
        assert!(output.out.contains(&named), "{output:#?}");
    })
    .await;
}

/// T18: of what is no longer declared neither the list nor a check of all complains.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_declared_is_no_fault() {
    on_each_server(async |binary| {
        let site = Site::start(&binary).await;
        let (stays, goes, lives) = ("dome.main", "guider.old", "camera.old");
        for id in [stays, goes, lives] {
            site.runs(id).await;
        }
        let declared = |batch: u64| {
            json!({"launcher_run": "r", "event_seq": batch, "declared": {"batch": batch}})
        };
        for id in [stays, goes, lives] {
            site.event("declared", id, &declared(1)).await;
            let start = json!({"hostname": "srv01", "pid": 100, "launcher_run": "r"});
            site.event("start", id, &start).await;
            site.status(id, "ok", "Service running").await;
            site.beat(id, id).await;
        }
        let crash = json!({"exit_code": 3, "will_restart": false, "launcher_run": "r"});
        site.event("crashed", goes, &crash).await;
        site.run(&["check"]).expect(2);
        site.event("declared", stays, &declared(2)).await;
        let seen = site.service(goes, &["--all", "--json"]);
        assert_eq!((&seen["verdict"], &seen["reasons"][0]), (&json!("stopped"), &json!("no_longer_declared")));
        assert!(!site.run(&[]).expect(0).out.contains(goes));
        // one that still sends heartbeats is seen
        let output = site.run(&["check"]).expect(1);
        assert!(output.out.contains(&format!("; {lives} degraded")), "{output:#?}");
        let seen = site.service(lives, &["--json"]);
        assert_eq!(seen["reasons"][0], "unmanaged");
    })
    .await;
}
