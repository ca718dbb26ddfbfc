//! Scenarios 1 to 5: how services end, as processes and as tasks.

use tcs_core::clock;
use tcs_core::fleet::{Phase, ServiceView, Verdict};
use tcs_core::wire::{Event, Limit, Status};
use tcs_testkit::{programs, python, tcsd};

use super::{BEATS, Site, bad, because, soon};

/// Rows 1 to 3, and "after the death of any child the launcher says the child's status too".
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_seen_with_what_follows_it() {
    let exec = bad(&["forever"]);
    let site = Site::start(
        "process",
        &format!(
            "{BEATS}services:
  - {{type: back, variant: a, restart: on-failure, restart_sec: 30, restart_max: 5, launch: {{exec: {exec}}}}}
  - {{type: limited, variant: a, restart: on-failure, restart_sec: 0.05, restart_max: 1, launch: {{exec: {exec}}}}}
  - {{type: left, variant: a, restart: no, launch: {{exec: {exec}}}}}
  - {{type: hello_world, variant: a, restart: no}}
"
        ),
    )
    .await;
    let mut watch = site.watch();
    for id in ["back.a", "limited.a", "left.a", "hello_world.a"] {
        watch.sees("ok", id, |it| it.verdict == Verdict::Ok).await;
    }

    tcsd::signal("KILL", site.pid("back.a").await);
    let killed = clock::monotonic();
    watch.sees("restarting", "back.a", |it| it.verdict == Verdict::Restarting).await;
    soon("1: from SIGKILL to restarting", killed.elapsed());
    let it = watch.service("back.a");
    assert_eq!(it.phase, Phase::Backoff);
    assert_eq!(it.attempt.unwrap().to_string(), "(1/5)");
    assert!(it.headline().contains("SIGKILL"), "{}", it.headline());

    // once more than it may
    tcsd::signal("KILL", site.pid("limited.a").await);
    site.until("limited.a", |it| it["restarts"] == 1).await;
    tcsd::signal("KILL", site.pid("limited.a").await);
    let killed = clock::monotonic();
    watch.sees("failed", "limited.a", |it| it.verdict == Verdict::Failed).await;
    soon("2: from the last crash to failed", killed.elapsed());
    watch.sees("given up", "limited.a", |it| because(it, "given_up")).await;

    for id in ["left.a", "hello_world.a"] {
        tcsd::signal("KILL", site.pid(id).await);
        let killed = clock::monotonic();
        watch.sees("failed", id, |it| it.verdict == Verdict::Failed).await;
        soon(&format!("3: from SIGKILL of {id} to failed"), killed.elapsed());
        assert!(
            watch.service(id).headline().contains("SIGKILL"),
            "{}",
            watch.service(id).headline()
        );
    }

    // the raw stream: what the old console goes by
    for (id, last) in [
        ("back.a", Status::Error),
        ("limited.a", Status::Failed),
        ("left.a", Status::Failed),
        ("hello_world.a", Status::Failed),
    ] {
        let status = site.statuses(id).await.pop().unwrap();
        assert_eq!(status.status, last, "{id}");
        assert!(status.by_launcher() && status.message.is_some(), "{status:?}");
        let events = site.events(Some(id)).await;
        let crash = events.iter().rev().find_map(|it| match &it.event {
            Event::Crashed(crash) => Some(crash),
            _ => None,
        });
        let crash = crash.unwrap();
        assert_eq!((crash.exit_code, crash.signal.as_deref()), (Some(-9), Some("SIGKILL")), "{id}");
        assert_eq!(crash.will_restart, id == "back.a");
        if id == "back.a" {
            assert_eq!(
                (crash.restart_attempt, crash.max_restarts),
                (Some(1), Some(Limit::Times(5)))
            );
            assert!(crash.restart_at.is_some());
        }
    }
    assert_eq!(
        site.story("limited.a").await,
        [
            "declared",
            "start",
            "ready",
            "crashed",
            "restarting",
            "start",
            "ready",
            "crashed",
            "failed"
        ]
    );
}

/// Rows 4 and 5 in both modes: a crash is a crash, and a fulfilled job is one.
async fn in_mode(mode: &str) {
    let site = Site::of(
        &programs::badfleet(),
        mode,
        &format!(
            "{BEATS}services:
  - {{type: bad.raises, variant: once, restart: no, after: 0.2}}
  - {{type: bad.raises, variant: again, restart: on-failure, restart_sec: 30, after: 0.2}}
  - {{type: bad.panics, variant: once, restart: no, after: 0.2}}
  - {{type: bad.panics, variant: twice, restart: always, restart_sec: 0.05, restart_max: 1}}
  - {{type: bad.start, variant: once, restart: no}}
  - {{type: bad.start, variant: again, restart: on-failure, restart_sec: 30}}
  - {{type: bad.job, variant: good, after: 0.2}}
  - {{type: bad.job, variant: bad, code: 137, restart: no}}
  - {{type: bad.slow, variant: fine}}
"
        ),
    )
    .await;
    let mut watch = site.watch();
    let expected = [
        ("bad.raises.once", Verdict::Failed, "no guide star"),
        ("bad.raises.again", Verdict::Restarting, "no guide star"),
        ("bad.panics.once", Verdict::Failed, "the shutter is gone"),
        ("bad.panics.twice", Verdict::Failed, "restart limit reached"),
        ("bad.start.once", Verdict::Failed, "no dome"),
        ("bad.start.again", Verdict::Restarting, "no dome"),
        ("bad.job.good", Verdict::Stopped, "completed"),
        ("bad.job.bad", Verdict::Failed, "137"),
        ("bad.slow.fine", Verdict::Ok, ""),
    ];
    for (id, verdict, words) in expected {
        let is_so = |it: &ServiceView| it.verdict == verdict && it.headline().contains(words);
        watch.sees(&format!("{verdict}: {words}"), id, is_so).await;
    }
    assert_eq!(watch.service("bad.job.good").phase, Phase::Completed);
    // from what happened, by the sender's clock, to its being stored
    for event in site.events(None).await {
        if let Event::Crashed(crash) = &event.event {
            assert!(crash.exit_code.is_some_and(|code| code > 0), "{event:?}");
        }
    }
    for (id, story) in [
        ("bad.raises.once", &["declared", "start", "ready", "crashed"][..]),
        ("bad.start.once", &["declared", "start", "crashed"]),
        ("bad.job.good", &["declared", "start", "ready", "stop"]),
    ] {
        assert_eq!(site.story(id).await, story, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_services_end_as_they_end_in_processes() {
    in_mode("process").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_services_end_as_they_end_as_tasks() {
    in_mode("async").await;
}

/// Row 4 for the Python services of the field: a failed start exits with 0 and is a crash; one whose
/// loop has raised goes on, and is no crash but an error: that is what is so. Killed, it crashed.
#[tokio::test(flavor = "multi_thread")]
async fn python_services_end_as_they_end() {
    let config = format!(
        "services:
  - {{type: field, variant: failing, restart: no, module: field_service, launch: {{env: {{TCS_TEST_FIELD: failing}}}}}}
  - {{type: field, variant: raising, restart: no, module: field_service, launch: {{env: {{TCS_TEST_FIELD: raising}}}}}}
  - {{type: field, variant: steady, restart: on-failure, restart_sec: 30, module: field_service, launch: {{ready: heartbeat}}}}
launch: {{python: {:?}, env: {{PYTHONPATH: {:?}}}}}
",
        python::interpreter(),
        python::script("")
    );
    let mut site = Site::start("process", &config).await;
    let mut watch = site.watch();
    let failed =
        |it: &ServiceView| it.verdict == Verdict::Failed && it.headline().contains("no dome");
    watch.sees("failed: no dome", "field.failing", failed).await;
    let errs =
        |it: &ServiceView| it.verdict == Verdict::Error && it.headline().contains("no guide star");
    watch.sees("error: no guide star", "field.raising", errs).await;
    watch.sees("ok", "field.steady", |it| it.verdict == Verdict::Ok).await;
    tcsd::signal("KILL", site.pid("field.steady").await);
    let killed = clock::monotonic();
    watch.sees("restarting", "field.steady", |it| it.verdict == Verdict::Restarting).await;
    soon("1: from SIGKILL of a Python service to restarting", killed.elapsed());
    // an end that was asked for is none of its own, whatever it had said
    site.ask("stop.field.raising").await.unwrap();
    watch.sees("stopped", "field.raising", |it| !it.phase.is_up()).await;
    println!("{}", watch.service("field.raising").headline());
    assert_eq!(site.tcsd.stop().await.code(), Some(1));
}
