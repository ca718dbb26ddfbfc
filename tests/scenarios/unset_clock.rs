//! A host whose clock is not set when its launcher starts, as after a power cut without a battery: it
//! is decades back until a time server has been asked.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::clock;
use tcs_core::fleet::{ServiceView, Verdict};
use tcs_core::wire::{Event, RegistryMessage};
use tcs_testkit::python;
use tcs_testkit::tcsd::Site;

use super::because;

const CONFIG: &str = "
launch: {heartbeat: 0.3}
services:
  - type: dome
    variant: a
    launch: {exec: [sleep, '1000'], after: [weather.a]}
  - type: weather
    variant: a
    launch: {exec: [sh, -c, 'echo up; exec sleep 1000'], ready: {log: up}}
  - {type: rust, variant: a, launch: {exec: [sleep, '1000'], after: [dome.a]}}
  - {type: hourly, variant: a, launch: {schedule: {cron: '0 * * * *', catch_up: true}, exec: ['true']}}
  - {type: often, variant: a, launch: {schedule: {every: 2h}, exec: ['true']}}
";

/// The clock shows this when the launcher starts.
async fn comes_up_at(begin: DateTime<Utc>) {
    let program = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(program, "process", CONFIG).await;
    let time = site.tcsd.dir().join("time");
    let set = |by: TimeDelta| std::fs::write(&time, format!("{:+}", by.num_seconds())).unwrap();
    set(begin - clock::wall());
    site.tcsd.environment = python::changed_clock(&time);
    site.tcsd.run();
    // all start, in order, and are well; that the clock is wrong is told
    let mut watch = site.watch();
    let is_ok = |it: &ServiceView| it.verdict == Verdict::Ok;
    for id in ["weather.a", "dome.a", "rust.a"] {
        watch.sees("ok", id, is_ok).await;
        watch.sees("its clock is wrong", id, |it| because(it, "skew")).await;
    }
    let events = site.events(None).await;
    let place = |id: &str, is: fn(&Event) -> bool| {
        let wanted = |it: &RegistryMessage| it.service_id == id && is(&it.event);
        events.iter().position(wanted).unwrap_or_else(|| panic!("{id}: {events:#?}"))
    };
    let start = |event: &Event| matches!(event, Event::Start { .. });
    let ready = |event: &Event| matches!(event, Event::Ready { .. });
    assert!(place("weather.a", ready) < place("dome.a", start));
    assert!(place("dome.a", ready) < place("rust.a", start));
    let name = site.tcsd.name.to_string();
    let waits = "the clock of this host is not set (";
    let says = |it: &ServiceView| it.message.as_deref().is_some_and(|it| it.contains(waits));
    watch.sees("that schedules wait", &name, says).await;
    // somebody can operate it
    site.ask("restart.dome.a").await.unwrap();
    watch.sees("ok again", "dome.a", is_ok).await;
    let pids = [site.pid("weather.a").await, site.pid("dome.a").await];

    // a time server is reached
    set(TimeDelta::zero());
    for id in ["weather.a", "dome.a", "rust.a"] {
        watch.sees("ok, its clock is right", id, |it| is_ok(it) && !because(it, "skew")).await;
    }
    assert_eq!([site.pid("weather.a").await, site.pid("dome.a").await], pids, "none is touched");
    // until then no run was due; schedules count from the right time on
    let next = |it: &ServiceView| Some(it.schedule()?.next_at?.time());
    let within = |it: &ServiceView, span: TimeDelta| {
        next(it).is_some_and(|at| at - clock::wall() <= span && at - clock::wall() > -span)
    };
    watch.sees("its next run", "hourly.a", |it| within(it, TimeDelta::hours(1))).await;
    watch.sees("its next run", "often.a", |it| within(it, TimeDelta::hours(2))).await;
    // and nobody is told that it has missed the runs of decades
    let events = site.events(None).await;
    let missed = events.iter().filter(|it| matches!(it.event, Event::Missed(_)));
    assert_eq!(missed.collect::<Vec<_>>(), Vec::<&RegistryMessage>::new());
    assert!(site.tcsd.stop().await.success());
    let log = site.tcsd.log();
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_clock_begins_in_1970() {
    comes_up_at("1970-01-01T00:00:40Z".parse().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_clock_is_that_of_2001() {
    comes_up_at("2001-01-01T00:00:00Z".parse().unwrap()).await;
}
