mod families;

use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::usage::{Counters, Moment, Sample, Usage};
use super::*;

fn at(origin: Moment, seconds: f64) -> Moment {
    Moment {
        at: origin.at + Duration::from_secs_f64(seconds),
        wall: origin.wall + TimeDelta::milliseconds((seconds * 1000.0) as i64),
    }
}

fn sample(pid: i32, cpu_seconds: f64, rss: u64) -> Sample {
    Sample {
        key: (pid, 1),
        is_main: pid == 1,
        counters: Counters { cpu_seconds, read_bytes: Some(10), ..Counters::default() },
        rss_bytes: Some(rss),
        peak_rss_bytes: Some(rss),
        open_fds: Some(4),
        ..Sample::default()
    }
}

#[test]
fn what_a_child_has_used_stays_counted_when_it_has_ended() {
    let origin = moment();
    let mut usage = Usage::default();
    usage.add(origin, &[sample(1, 0.0, 100), sample(2, 1.0, 200)]);
    usage.add(at(origin, 2.0), &[sample(1, 1.0, 100), sample(2, 2.0, 200)]);
    let both = usage.figures(false);
    usage.add(at(origin, 4.0), &[sample(1, 2.0, 100)]);
    let one = usage.figures(true);
    assert_eq!((both.processes, both.rss_bytes, both.cpu_seconds), (Some(2), Some(300), Some(3.0)));
    assert_eq!(both.cpu_percent, Some(100.0));
    assert_eq!((one.processes, one.rss_bytes, one.cpu_seconds), (Some(1), Some(100), Some(4.0)));
    assert_eq!((one.cpu_percent, one.peak_rss_bytes), (Some(50.0), Some(300)));
    assert_eq!((one.read_bytes, one.written_bytes, one.history.len()), (Some(20), None, 3));
}

#[test]
fn a_crash_tells_the_last_sample_its_age_and_the_processor_time_to_the_end() {
    let origin = moment();
    let mut usage = Usage::default();
    assert_eq!(usage.of_crash(origin.at), CrashFigures::default(), "nothing was read");
    usage.add(origin, &[sample(1, 1.0, 500)]);
    usage.add(at(origin, 10.0), &[sample(1, 2.0, 300)]);
    usage.ended(at(origin, 13.0).at, (1, 1), &[sample(1, 2.5, 0)]);
    // what was being read when it ended
    usage.add(at(origin, 12.0), &[sample(1, 2.4, 900)]);
    let crash = usage.of_crash(at(origin, 14.0).at);
    assert_eq!(crash.cpu_seconds, Some(2.5));
    assert_eq!((crash.rss_bytes, crash.peak_rss_bytes), (Some(300), Some(500)));
    assert_eq!((crash.sample_age_s, crash.read_bytes), (Some(4.0), Some(10)));
}

#[test]
fn who_may_not_be_read_makes_it_partial_and_who_goes_meanwhile_does_not() {
    let origin = moment();
    let mut usage = Usage::default();
    let gone = Sample { has_ended: true, open_fds: None, ..sample(2, 1.0, 0) };
    usage.add(origin, &[sample(1, 1.0, 100), gone]);
    let figures = usage.figures(false);
    assert_eq!(
        (figures.processes, figures.partial, figures.cpu_seconds),
        (Some(1), false, Some(2.0))
    );
    let others = Sample { is_denied: true, open_fds: None, ..sample(3, 0.0, 0) };
    usage.add(at(origin, 2.0), &[sample(1, 1.0, 100), others]);
    assert!(usage.figures(false).partial);
}

#[test]
fn the_rate_is_over_two_seconds_whoever_asks_in_between() {
    let origin = moment();
    let mut usage = Usage::default();
    let mut percent = |seconds: f64, cpu_seconds: f64| {
        usage.add(at(origin, seconds), &[sample(1, cpu_seconds, 100)]);
        usage.figures(false).cpu_percent
    };
    let told = [(0.0, 0.0), (4.0, 2.0), (4.1, 2.1), (6.0, 4.0)].map(|(at, cpu)| percent(at, cpu));
    assert_eq!(told, [None, Some(50.0), Some(50.0), Some(100.0)]);
}

#[test]
fn a_run_is_sampled_after_a_second_after_three_and_then_as_the_file_says() {
    let resources = Resources::new(Path::new("/etc/tcs.yaml"));
    let id: ServiceId = "a.x".parse().unwrap();
    resources.process_started(&id, Run(1), i32::MAX, 7, Duration::from_secs(10));
    let mut table = resources.lock();
    let began = table.services[&id].run.as_ref().unwrap().began.0;
    let mut looked = Vec::new();
    for _ in 0..4 {
        let due = table.next_due().unwrap();
        assert_eq!(table.due(due, false).len(), 1);
        looked.push(due.duration_since(began).as_secs());
    }
    assert_eq!(looked, [1, 3, 13, 23]);
    // who asks gets it out of turn, and moves nothing
    let due = table.next_due();
    assert_eq!(table.due(began, true).len(), 1);
    assert_eq!(table.next_due(), due);
    drop(table);
    resources.run_over(&id, Run(2));
    assert!(resources.lock().next_due().is_some(), "another run");
    resources.run_over(&id, Run(1));
    assert_eq!(resources.lock().next_due(), None);
}

#[test]
fn crashes_and_restarts_are_counted_over_the_runs() {
    let resources = Resources::new(Path::new("tcs.yaml"));
    let id: ServiceId = "a.x".parse().unwrap();
    for (run, how) in [(1, "exit code 3"), (2, "SIGKILL"), (3, "SIGKILL")] {
        resources.process_started(&id, Run(run), i32::MAX, run, Duration::ZERO);
        assert!(resources.crashed(&id, how.to_owned(), false).is_some());
        resources.run_over(&id, Run(run));
    }
    let figures = resources.lock().services[&id].figures(&id, false);
    assert_eq!((figures.started_at, figures.cpu_seconds), (None, None), "it does not run");
    assert_eq!((figures.scope, figures.restarts_total), (Scope::Processes, 2));
    assert_eq!(figures.crashes_total["SIGKILL"], 2);
    let busy = resources.task_started(&id, Run(4));
    busy.store(1_500_000_000, Ordering::Relaxed);
    let figures = resources.lock().services[&id].figures(&id, false);
    assert_eq!((figures.scope, figures.busy_seconds), (Scope::Task, Some(1.5)));
    assert_eq!(figures.restarts_total, 3);
    let crashes: Vec<_> = figures.crashes_total.into_iter().collect();
    assert_eq!(crashes, [("SIGKILL".to_owned(), 2), ("exit code 3".to_owned(), 1)]);
    resources.forget(&id);
    assert!(resources.lock().services.is_empty());
}

proptest! {
    /// Whatever is read of whom, in whatever order processes come and go.
    #[test]
    fn counters_never_fall(steps in prop::collection::vec(
        prop::collection::btree_map(1..5_i32, (0.0..50.0_f64, 0..1_000_u64), 0..4), 1..20))
    {
        let origin = moment();
        let (mut usage, mut cpu, mut read, mut peak) = (Usage::default(), 0.0, Some(0), Some(0));
        for (i, step) in steps.into_iter().enumerate() {
            let one = |(pid, (cpu, rss)): (i32, (f64, u64))| sample(pid, cpu, rss);
            usage.add(at(origin, i as f64), &step.into_iter().map(one).collect::<Vec<_>>());
            let figures = usage.figures(false);
            prop_assert!(figures.cpu_seconds.unwrap() >= cpu - 1e-9);
            prop_assert!(figures.read_bytes.unwrap_or(0) >= read.unwrap_or(0));
            prop_assert!(figures.peak_rss_bytes >= peak.filter(|it| *it > 0));
            prop_assert!(figures.cpu_percent.unwrap_or(0.0) >= -1e-6);
            (cpu, read, peak) = (figures.cpu_seconds.unwrap(), figures.read_bytes, figures.peak_rss_bytes);
        }
    }
}
