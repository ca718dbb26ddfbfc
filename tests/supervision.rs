//! What a launcher decides, seen from outside: order, reloads, restarts, and what is told of them.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tcs_core::bus::publish::{OutgoingMessage, Publisher, hostname};
use tcs_core::wire::{Event, Message, RegistryMessage, Status, StatusMessage, Timestamp};
use tcs_testkit::tcsd::{self, Site, because};
use tcs_testkit::{nats, python};

/// A program that has one thing for itself while it runs, and gives it up slowly.
const HOLDS: &str = "mkdir held || exit 7; trap 'sleep 0.5; rmdir held; exit 0' TERM; \
                     while :; do sleep 0.02; done";

fn one(id: &str, more: &str) -> String {
    format!("  - {{type: {id}, variant: a, {more}}}\n")
}

/// What is told of one service: name and interesting part of each event.
fn story(events: &[RegistryMessage], id: &str) -> Vec<String> {
    let told = |event: &Event| match event {
        Event::Waiting { waiting_for, timed_out } => {
            let how = if *timed_out { "gave up waiting" } else { "waiting" };
            format!("{how} for {}", waiting_for.join(" "))
        }
        event => event.name().to_owned(),
    };
    let of_it = events.iter().filter(|it| it.service_id == id);
    of_it.map(|it| told(&it.event)).filter(|it| it != "declared").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_service_starts_when_the_old_one_has_ended() {
    let file = |id: &str| {
        format!("services:\n{}", one(id, &format!("launch: {{exec: [sh, -c, \"{HOLDS}\"]}}")))
    };
    let site = Site::start("process", &file("old")).await;
    site.pid("old.a").await;
    nats::wait_for("it holds its thing", || site.tcsd.dir().join("held").exists()).await;
    site.tcsd.configure(&file("new"));
    let answer = Value::Object(site.ask("reload").await.unwrap());
    let result = |id: &str| {
        let all = answer["services"].as_array().unwrap();
        all.iter().find(|it| it["service_id"] == id).unwrap()["result"].clone()
    };
    assert_eq!((result("old.a"), result("new.a")), (json!("stopped"), json!("started")));
    site.until("new.a", |it| it["status"] == "running").await;
    let events = site.events(None).await;
    let at = |id: &str, name: &str| {
        let is = |it: &RegistryMessage| it.service_id == id && it.event.name() == name;
        events.iter().position(is).unwrap_or_else(|| panic!("no {name} of {id}"))
    };
    assert!(at("old.a", "stop") < at("new.a", "start"));
    assert_eq!(story(&events, "new.a"), ["waiting for old.a", "start", "ready"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_others_is_seen_to_wait_and_not_for_ever() {
    let sleeps = "exec: [sleep, '1000']";
    let site = Site::start(
        "process",
        &format!(
            "services:\n{}{}{}{}",
            one("never", &format!("launch: {{{sleeps}, ready: notify, start_timeout: 0.3}}")),
            one("impatient", &format!("launch: {{{sleeps}, after: [never.a]}}")),
            one("slow", &format!("launch: {{{sleeps}, ready: notify, start_timeout: 3600}}")),
            one("patient", &format!("launch: {{{sleeps}, after: [slow.a]}}")),
        ),
    )
    .await;
    site.pid("impatient.a").await;
    let waits = site.until("patient.a", |it| it["status"] == "waiting").await;
    assert_eq!(waits["waiting_for"], json!(["slow.a"]));
    let events = site.events(None).await;
    assert_eq!(
        story(&events, "impatient.a"),
        ["waiting for never.a", "gave up waiting for never.a", "start", "ready"]
    );
    assert_eq!(story(&events, "patient.a"), ["waiting for slow.a"]);
    // one that does not say that it is ready keeps nobody who asks for it waiting either
    let started = site.ask("start.never.a").await.unwrap();
    assert_eq!((&started["result"], &started["state"]), (&json!("started"), &json!("starting")));
    let log = site.tcsd.log();
    assert!(log.contains("patient.a waiting for slow.a"), "{log}");
    assert!(log.contains("impatient.a is started although never.a is not ready"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_meant_is_refused() {
    let good = format!("services:\n{}", one("a", "launch: {exec: [sleep, '1000']}"));
    let mut site = Site::start("process", &good).await;
    let pid = site.pid("a.a").await;
    let circle = format!(
        "services:\n{}{}",
        one("a", "launch: {exec: [sleep, '1000'], after: [b.a]}"),
        one("b", "launch: {exec: [sleep, '1000'], after: [a.a]}")
    );
    for (file, why) in [
        ("", "no `services` in the file"),
        ("services:\n", "no `services` in the file"),
        ("nats: {subject_prefix: svc}\n", "no `services` in the file"),
        (circle.as_str(), "`after` is circular: `a.a` after `b.a` after `a.a`"),
    ] {
        site.tcsd.configure(file);
        let error = site.ask("reload").await.unwrap_err().to_string();
        assert!(error.contains(why), "{file:?}: {error}");
        site.tcsd.signal("HUP");
        let refused = || site.tcsd.log().matches("not reloaded").count() > 1;
        nats::wait_for("SIGHUP is refused too", refused).await;
        assert_eq!(site.pid("a.a").await, pid);
    }
    // neither checked nor started
    site.tcsd.configure(&circle);
    let checked = site.tcsd.command().arg("check").output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    // meant so: all stop
    site.tcsd.configure("services: []\n");
    let checked = site.tcsd.command().arg("check").output().unwrap();
    assert_eq!(checked.status.code(), Some(0));
    assert!(site.tcsd.log().contains("services.yaml: warning: no services: nothing would run"));
    site.ask("reload").await.unwrap();
    let list = site.answer("list", |list| list["services"] == json!([])).await;
    assert_eq!(list["services"], json!([]));
    site.tcsd.stop().await;
    site.tcsd.configure(&circle);
    site.tcsd.run();
    assert_eq!(site.tcsd.end().await.code(), Some(1));
    assert!(site.tcsd.log().contains("`after` is circular"));

    // or said so on the command line
    let mut site =
        Site::prepared(std::path::Path::new(env!("CARGO_BIN_EXE_tcsd")), "process", &good).await;
    site.tcsd.arguments.push("--allow-empty".to_owned());
    site.tcsd.run();
    site.pid("a.a").await;
    site.tcsd.configure("");
    site.ask("reload").await.unwrap();
    site.answer("list", |list| list["services"] == json!([])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_gone_for_a_moment_comes_back() {
    let site = Site::start(
        "process",
        &format!(
            "services:\n{}{}",
            one("deployed", "restart: on-abnormal, restart_sec: 0.1, launch: {exec: [./program]}"),
            one("never", "restart: always, restart_sec: 0.1, launch: {exec: [./no-such-program]}"),
        ),
    )
    .await;
    // it is not there yet, and that is final
    site.until("deployed.a", |it| it["status"] == "failed").await;
    site.until("never.a", |it| it["status"] == "failed").await;
    let (program, away) = (site.tcsd.dir().join("program"), site.tcsd.dir().join("away"));
    fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    site.ask("start.deployed.a").await.unwrap();
    let pid = site.pid("deployed.a").await;
    fs::rename(&program, &away).unwrap();
    tcsd::signal("KILL", pid);
    site.until("deployed.a", |it| it["restarts"].as_u64() >= Some(2)).await;
    fs::rename(&away, &program).unwrap();
    assert_ne!(site.pid("deployed.a").await, pid);
    let crashes: Vec<_> = site.events(Some("deployed.a")).await;
    let unstarted = crashes.iter().filter_map(|it| match &it.event {
        Event::Crashed(it) if it.exit_code.is_none() => it.error.clone(),
        _ => None,
    });
    let unstarted: Vec<String> = unstarted.collect();
    assert!(!unstarted.is_empty());
    assert!(unstarted.iter().all(|error| error.contains("./program")), "{unstarted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_loop_is_slowed_down_and_its_crashes_are_counted() {
    let config = one("hot", "restart: always, restart_sec: 0, launch: {exec: [sh, -c, 'exit 3']}");
    let site = Site::start("process", &format!("services:\n{config}")).await;
    site.until("hot.a", |it| it["restarts"].as_u64() >= Some(4)).await;
    let events = site.events(Some("hot.a")).await;
    let mut count = 0;
    for event in &events {
        match &event.event {
            Event::Crashed(crashed) => {
                count += 1;
                assert_eq!(crashed.recent_crashes, Some(count));
                let pause = crashed.restart_at.unwrap().time() - event.timestamp.unwrap().time();
                let (pause, uptime) = (pause.as_seconds_f64(), crashed.uptime_seconds.unwrap());
                let floor = 0.1 * 2_f64.powi(count.cast_signed() - 1);
                // both times of the event are taken one after the other
                assert!(uptime >= 1.0 || pause + uptime > floor.min(5.0) - 0.05, "{event:?}");
            }
            Event::Restarting { recent_crashes, .. } | Event::Start { recent_crashes, .. } => {
                assert_eq!(*recent_crashes, Some(count));
            }
            _ => {}
        }
    }
    assert!(count >= 4, "{events:?}");
    let said = site.tcsd.log().matches("hot.a ends within 1 s of its start").count();
    assert_eq!(said, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_launcher_of_one_file_is_refused_wherever_it_keeps_its_files() {
    let config = format!("services:\n{}", one("a", "launch: {exec: [sleep, '1000']}"));
    let runtime = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        ("RUNTIME_DIRECTORY".to_owned(), runtime.path().join(name).display().to_string())
    };
    let mut site = Site::prepared(Path::new(env!("CARGO_BIN_EXE_tcsd")), "process", &config).await;
    site.tcsd.environment.push(place("first"));
    site.tcsd.run();
    let pid = site.pid("a.a").await;
    let second = |more: &str| {
        let mut command = site.tcsd.command();
        let output = command.envs([place(more)]).stderr(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let expected = format!(", pid {}, since ", site.tcsd.pid());
    for (n, runtime_dir) in ["second", "first"].into_iter().enumerate() {
        let (code, error) = second(runtime_dir);
        assert_eq!(code, Some(1), "{error}");
        assert!(
            error.contains("services.yaml is already supervised on this host: launcher "),
            "{error}"
        );
        assert!(error.contains(&expected) && error.contains(&place("first").1), "{error}");
        // a cleaner of temporary files came along
        assert!(n == 1 || fs::remove_dir_all(place("first").1).is_ok());
    }
    assert_eq!(site.pid("a.a").await, pid);
    // a launcher that is killed leaves no lock
    site.tcsd.kill().await;
    site.tcsd.run();
    assert_ne!(site.pid("a.a").await, pid);
}

/// Killed with its test.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two containers, or machines, of one host name and one path: neither knows of the other's lock.
#[tokio::test(flavor = "multi_thread")]
async fn another_run_under_our_own_name_is_a_conflict() {
    let config = format!("services:\n{}", one("a", "launch: {exec: [sleep, '1000']}"));
    let runtime = tempfile::tempdir().unwrap();
    let mut site = Site::prepared(Path::new(env!("CARGO_BIN_EXE_tcsd")), "process", &config).await;
    let place = |name: &str| {
        ("RUNTIME_DIRECTORY".to_owned(), runtime.path().join(name).display().to_string())
    };
    site.tcsd.environment.push(place("first"));
    site.tcsd.run();
    site.pid("a.a").await;
    // another directory of the same path, as in another container
    let (dir, away) = (site.tcsd.dir().to_owned(), runtime.path().join("away"));
    fs::rename(&dir, &away).unwrap();
    fs::create_dir(&dir).unwrap();
    site.tcsd.configure(&config);
    let mut other = Other(site.tcsd.command().envs([place("second")]).spawn().unwrap());
    let mut watch = site.watch();
    for id in ["a.a", site.tcsd.name.as_str()] {
        watch.sees("conflict", id, |it| because(it, "conflict")).await;
    }
    let said =
        format!("a.a is also declared by another launcher: another run of {}", site.tcsd.name);
    let logs = [away.join("tcsd.log"), dir.join("tcsd.log")];
    let says = |text: &str, log: &Path| fs::read_to_string(log).unwrap_or_default().contains(text);
    nats::wait_for("both say it", || logs.iter().all(|log| says(&said, log))).await;
    tcsd::signal("TERM", other.0.id());
    let over = "a.a is no longer declared by another launcher";
    nats::wait_for("the first takes it back", || says(over, &logs[0])).await;
    other.0.wait().unwrap();
    watch.sees("no conflict", "a.a", |it| !because(it, "conflict")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_service_is_ready_when_its_status_says_so() {
    let field = |variant: &str, ready: &str| {
        let launch = format!("launch: {{env: {{TCS_TEST_FIELD: slow}}{ready}}}");
        format!("  - {{type: field, variant: {variant}, module: field_service, {launch}}}\n")
    };
    let site = Site::start(
        "process",
        &format!(
            "launch: {{python: {:?}, env: {{PYTHONPATH: {:?}}}}}\nservices:\n{}{}{}",
            python::interpreter(),
            python::script(""),
            field("status", ""),
            field("beat", ", ready: heartbeat"),
            one("user", "launch: {exec: [sleep, '1000'], after: [field.status, field.beat]}")
        ),
    )
    .await;
    site.pid("user.a").await;
    let events = site.events(None).await;
    let at = |id: &str, name: &str| {
        let is = |it: &RegistryMessage| it.service_id == id && it.event.name() == name;
        events.iter().position(is).unwrap_or_else(|| panic!("no {name} of {id}"))
    };
    for id in ["field.status", "field.beat"] {
        let ready = &events[at(id, "ready")].event;
        let Event::Ready { startup_duration_seconds: Some(took) } = ready else { panic!() };
        assert!(*took >= 2.0, "{id} ready after {took} s");
        assert!(at(id, "ready") < at("user.a", "start"));
    }
}

/// A module that does not use the framework never publishes a status: it is not waited for longer
/// than for its `start_timeout`, and not at all where the file says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_python_module_that_publishes_nothing_is_ready_after_its_start_timeout() {
    let plain = |variant: &str, launch: &str| {
        format!("  - {{type: plain, variant: {variant}, module: plain, launch: {{{launch}}}}}\n")
    };
    let config = format!(
        "launch: {{python: {:?}}}\nservices:\n{}{}{}{}",
        python::interpreter(),
        plain("silent", "start_timeout: 1.5"),
        plain("said", "ready: started"),
        one("patient", "launch: {exec: [sleep, '1000'], after: [plain.silent]}"),
        one("user", "launch: {exec: [sleep, '1000'], after: [plain.said]}"),
    );
    let mut site = Site::prepared(Path::new(env!("CARGO_BIN_EXE_tcsd")), "process", &config).await;
    fs::write(site.tcsd.dir().join("plain.py"), "import time\ntime.sleep(1000)\n").unwrap();
    site.tcsd.run();
    site.pid("user.a").await;
    site.until("plain.silent", |it| it["status"] == "running").await;
    site.pid("patient.a").await;
    let events = site.events(None).await;
    let told = |id: &str| story(&events, id);
    assert_eq!(told("plain.silent"), ["start", "ready"]);
    assert_eq!(told("plain.said"), ["start", "ready"]);
    let gave_up = "gave up waiting for plain.silent";
    let awaited = told("patient.a");
    assert_eq!(awaited[..1], ["waiting for plain.silent"]);
    assert_eq!(awaited[awaited.len() - 2..], ["start", "ready"]);
    assert!(awaited.len() == 3 || awaited[1] == gave_up, "{awaited:?}");
    let took = events.iter().find_map(|it| match it.event {
        Event::Ready { startup_duration_seconds } if it.service_id == "plain.silent" => {
            startup_duration_seconds
        }
        _ => None,
    });
    assert!(took.unwrap() >= 1.5, "{took:?}");
    let log = site.tcsd.log();
    for line in [
        "-m plain; ready at its first status other than startup, or after 1.5 s without one",
        "plain.silent has published no status for 1.5 s: assumed ready",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!log.contains("plain.said has published no status"), "{log}");
}

/// While there is no broker nobody can publish: that says nothing of a module.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_no_module_is_taken_for_ready() {
    let config = format!(
        "launch: {{python: {:?}}}\nservices:\n{}{}",
        python::interpreter(),
        "  - {type: plain, variant: a, module: plain, launch: {start_timeout: 0.3}}\n",
        one("user", "launch: {exec: [sleep, '1000'], after: [plain.a]}"),
    );
    let mut site = Site::prepared(Path::new(env!("CARGO_BIN_EXE_tcsd")), "process", &config).await;
    fs::write(site.tcsd.dir().join("plain.py"), "import time\ntime.sleep(1000)\n").unwrap();
    site.server.kill();
    site.tcsd.run();
    let at = |text: &str| site.tcsd.log().find(text);
    nats::wait_for("its time is over", || at("although plain.a is not ready").is_some()).await;
    nats::wait_for("the user runs", || at("user.a ready").is_some()).await;
    site.server.run().await;
    site.until("plain.a", |it| it["status"] == "running").await;
    let ready = at("plain.a has published no status for 0.3 s: assumed ready").unwrap();
    assert!(ready > at("created the stream svc_status").unwrap(), "{}", site.tcsd.log());
}

/// The newest status of a launcher's or service's own subject that is so.
async fn last_status(site: &Site, id: &str, what: &str, is_so: impl Fn(&StatusMessage) -> bool) {
    nats::within_limit(what, async {
        loop {
            let statuses = site.statuses(id).await;
            if statuses.last().is_some_and(&is_so) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_launchers_status_is_the_worst_of_its_services() {
    let mut site = Site::start(
        "process",
        &format!(
            "services:\n{}{}{}",
            one("well", "launch: {exec: [sleep, '1000']}"),
            one("idle", "launch: {enabled: false, exec: [sh, -c, 'exit 3']}"),
            one("bad", "launch: {exec: [sh, -c, 'exit 3']}"),
        ),
    )
    .await;
    let name = site.tcsd.name.to_string();
    let is_failed = |it: &StatusMessage| {
        it.status == Status::Failed
            && it.details.own_status == Some(Status::Ok)
            && it.message.as_deref().is_some_and(|text| text.contains("failed: bad.a"))
    };
    last_status(&site, &name, "the failed service shows", is_failed).await;
    // one that is not to run is nobody's trouble
    site.ask("stop.bad.a").await.unwrap();
    let is_well = |it: &StatusMessage| it.status == Status::Ok;
    last_status(&site, &name, "nothing is wrong", is_well).await;
    site.ask("start.bad.a").await.ok();
    last_status(&site, &name, "it has failed again", is_failed).await;
    // at its own end it speaks of itself
    site.tcsd.stop().await;
    let is_over = |it: &StatusMessage| it.status == Status::Shutdown;
    last_status(&site, &name, "its own end", is_over).await;
}

/// What a service that runs reports enters where it is bad, and only then.
#[tokio::test(flavor = "multi_thread")]
async fn what_services_report_of_themselves_enters_the_launchers_status_where_it_is_bad() {
    let sleeps = "launch: {exec: [sleep, '1000']}";
    let services = format!("services:\n{}{}", one("dome", sleeps), one("roof", sleeps));
    let site = Site::start("process", &services).await;
    for id in ["dome.a", "roof.a"] {
        site.pid(id).await;
    }
    let publisher = Publisher::new(site.bus.clone());
    let report = async |id: &str, status: Status, text: &str| {
        let message = StatusMessage {
            name: id.to_owned(),
            status,
            message: Some(text.to_owned()),
            timestamp: Some(Timestamp::new(tcs_core::clock::wall())),
            hostname: Some(hostname()),
            ..StatusMessage::default()
        };
        let parcel = OutgoingMessage::new(site.bus.subjects().status(id), &message).unwrap();
        publisher.send(&parcel).await.unwrap();
    };
    let name = site.tcsd.name.to_string();
    let says = async |status: Status, text: &str| {
        let is_so = |it: &StatusMessage| {
            it.status == status
                && it.own_status() == Status::Ok
                && it.message.as_deref().is_some_and(|said| said.contains(text))
        };
        last_status(&site, &name, text, is_so).await;
    };
    says(Status::Ok, "Supervising").await; // there are streams
    // each in turn: what is only work, beginning or end must not be between them
    for work in [Status::Startup, Status::Busy, Status::Idle, Status::Shutdown] {
        report("dome.a", work, "at work").await;
        report("roof.a", Status::Degraded, "wind").await;
        says(Status::Degraded, "degraded: roof.a (wind)").await;
        report("dome.a", Status::Warning, "slow").await;
        says(Status::Warning, "warning: dome.a (slow) and 1 more").await;
        report("roof.a", Status::Error, "no motor").await;
        says(Status::Error, "error: roof.a (no motor) and 1 more").await;
        report("dome.a", Status::Failed, "no power").await;
        says(Status::Failed, "failed: dome.a (no power) and 1 more").await;
        report("roof.a", work, "at work").await;
        report("dome.a", work, "at work").await;
        says(Status::Ok, "Supervising").await;
    }
    let statuses = site.statuses(&name).await;
    let work = [Status::Busy, Status::Idle, Status::Shutdown];
    assert!(statuses.iter().all(|it| !work.contains(&it.status)), "{statuses:#?}");
    let first_ok = statuses.iter().position(|it| it.status == Status::Ok).unwrap();
    assert!(statuses[first_ok..].iter().all(|it| it.status != Status::Startup), "{statuses:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_launcher_speaks_for_a_silent_program_to_its_end() {
    let site = Site::start(
        "process",
        &format!(
            "services:\n{}{}{}",
            one("done", "launch: {exec: ['true']}"),
            one("gone", "launch: {exec: [sh, -c, 'exit 3']}"),
            one("absent", "launch: {exec: [./no-such-program]}"),
        ),
    )
    .await;
    let by_launcher = |it: &StatusMessage| it.details.reported_by.as_deref() == Some("launcher");
    let is_over = |it: &StatusMessage| it.status == Status::Shutdown && by_launcher(it);
    last_status(&site, "done.a", "its last status", is_over).await;
    // the old console lists only what has a heartbeat: these never came to one of their own
    for id in ["gone.a", "absent.a"] {
        let is_failed = |it: &StatusMessage| it.status == Status::Failed && by_launcher(it);
        last_status(&site, id, "the status of the dead", is_failed).await;
        let beat = nats::within_limit("a heartbeat", async {
            loop {
                let subject = site.bus.subjects().heartbeat(id);
                let raw = site.bus.last_word(tcs_core::wire::Kind::Heartbeat, &subject).await;
                if let Ok(Some(raw)) = raw {
                    let subject = site.bus.subjects().parse(raw.subject()).unwrap();
                    return tcs_core::wire::decode(subject, raw.payload()).unwrap().message;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
        let Message::Heartbeat(beat) = beat else { panic!() };
        assert_eq!(beat.status, Some(Status::Failed));
        assert_eq!(beat.reported_by.as_deref(), Some("launcher"));
        // and starts nothing
        let mut watch = site.watch();
        let failed = |it: &tcs_core::fleet::ServiceView| it.phase == tcs_core::fleet::Phase::Failed;
        watch.sees("failed", id, failed).await;
    }
}
