//! What a launcher hears of its services and says for them: readiness, and status.

use super::*;

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
    let events = site.events_with("user.a", "start").await;
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
    let events = site.events_with("patient.a", "ready").await;
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
    nats::wait_for("its time is over", || {
        at("user.a started without waiting longer for plain.a").is_some()
    })
    .await;
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
