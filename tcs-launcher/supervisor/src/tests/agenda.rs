//! Which runs are started, left out, and missed.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use tcs_wire::Missed;

use super::super::agenda::{Activity, Agenda, Due};
use super::super::schedule::Schedule;
use super::schedule::at;
use super::{id, s};

const FREE: Activity = Activity::Free;

fn every_minute() -> Schedule {
    Schedule::cron("* * * * *", "Europe/Warsaw").unwrap()
}

fn agenda(schedule: &Schedule, from: &str) -> Agenda {
    let mut agenda = Agenda::default();
    agenda.set(&id("a"), schedule, at(from));
    agenda
}

/// What a look brings, as short lines; the times as `HH:MM`.
fn look(agenda: &mut Agenda, now: &str, doing: Activity) -> Vec<String> {
    let lines = agenda.look(at(now), |_| doing).into_iter().filter_map(|due| match due {
        Due::Start { at, .. } => Some(format!("start {}", at.format("%H:%M"))),
        Due::Missed { missed: Missed { reason, missed_count, scheduled_at, made_up }, .. } => {
            let made_up = if made_up { ", made up" } else { "" };
            let (reason, count) = (reason.unwrap(), missed_count.unwrap());
            let last = scheduled_at.unwrap().time().format("%H:%M");
            Some(format!("missed {count}, last {last}: {reason}{made_up}"))
        }
        Due::Moved { .. } => None,
    });
    lines.collect()
}

#[test]
fn each_minute_of_a_year_runs_once() {
    let (begin, end) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    let mut agenda = Agenda::default();
    agenda.set(&id("a"), &every_minute(), begin);
    agenda.set(&id("b"), &Schedule::every(s(60)).unwrap(), begin);
    let mut runs = BTreeMap::from([(id("a"), Vec::new()), (id("b"), Vec::new())]);
    let mut now = begin;
    let mut step = 0_i64;
    while now < end {
        // the launcher looks when a run is due and every 30 s, each time up to 2 s late
        step += 1;
        let late = TimeDelta::milliseconds(step * 7919 % 2000);
        let due = agenda.due(now, |_| FREE).unwrap();
        now = due.min(now + TimeDelta::seconds(30)) + late;
        for due in agenda.look(now, |_| FREE) {
            match due {
                Due::Start { id, at } => runs.get_mut(&id).unwrap().push(at),
                Due::Missed { .. } => panic!("{due:?}"),
                Due::Moved { .. } => {}
            }
        }
    }
    for (id, runs) in runs {
        let mut expected = begin;
        for run in &runs {
            expected += TimeDelta::minutes(1);
            assert_eq!(*run, expected, "{id}");
        }
        assert_eq!(runs.len(), 365 * 24 * 60, "{id}");
    }
}

#[test]
fn a_run_that_is_due_while_one_goes_on_is_left_out_or_waits() {
    let mut skips = agenda(&every_minute(), "2026-01-01T00:00:00Z");
    let skipped = "missed 1, last 00:01: still_running";
    assert_eq!(look(&mut skips, "2026-01-01T00:01:00Z", Activity::Running), [skipped]);
    assert_eq!(look(&mut skips, "2026-01-01T00:01:30Z", FREE), [""; 0]);
    assert_eq!(look(&mut skips, "2026-01-01T00:02:00Z", FREE), ["start 00:02"]);

    let queues = every_minute().with(true, false);
    let mut queues = agenda(&queues, "2026-01-01T00:00:00Z");
    assert_eq!(look(&mut queues, "2026-01-01T00:01:00Z", Activity::Running), [""; 0]);
    let skipped = "missed 1, last 00:02: still_running";
    assert_eq!(look(&mut queues, "2026-01-01T00:02:00Z", Activity::Running), [skipped]);
    let now = at("2026-01-01T00:02:10Z");
    assert_eq!(queues.due(now, |_| Activity::Running), Some(at("2026-01-01T00:03:00Z")));
    assert_eq!(queues.due(now, |_| FREE), Some(now));
    assert_eq!(look(&mut queues, "2026-01-01T00:02:10Z", FREE), ["start 00:02"]);
    assert_eq!(look(&mut queues, "2026-01-01T00:02:20Z", FREE), [""; 0]);
}

#[test]
fn a_stopped_service_is_not_started_and_nothing_is_told_of_it() {
    let queues = every_minute().with(true, true);
    let mut agenda = agenda(&queues, "2026-01-01T00:00:00Z");
    assert_eq!(look(&mut agenda, "2026-01-01T00:01:00Z", Activity::Running), [""; 0]);
    assert_eq!(look(&mut agenda, "2026-01-01T00:01:10Z", Activity::Stopped), [""; 0]);
    assert_eq!(look(&mut agenda, "2026-01-01T00:09:10Z", Activity::Stopped), [""; 0]);
    assert_eq!(look(&mut agenda, "2026-01-01T00:09:20Z", FREE), [""; 0]);
    assert_eq!(look(&mut agenda, "2026-01-01T00:10:00Z", FREE), ["start 00:10"]);
}

#[test]
fn missed_runs_are_told_and_made_up_once() {
    let hourly = Schedule::cron("0 * * * *", "UTC").unwrap();
    let mut tells = agenda(&hourly, "2026-01-01T00:00:00Z");
    let told = "missed 5, last 05:00: launcher_not_running";
    assert_eq!(look(&mut tells, "2026-01-01T05:10:00Z", FREE), [told]);
    assert_eq!(look(&mut tells, "2026-01-01T05:10:30Z", FREE), [""; 0]);

    let catches_up = hourly.with(false, true);
    let mut makes_up = agenda(&catches_up, "2026-01-01T00:00:00Z");
    let made_up = format!("{told}, made up");
    assert_eq!(look(&mut makes_up, "2026-01-01T05:10:00Z", FREE), [&made_up, "start 05:00"]);
    assert_eq!(look(&mut makes_up, "2026-01-01T06:00:02Z", FREE), ["start 06:00"]);
    // the run that is due now is the one that makes up
    let both = ["missed 2, last 08:00: launcher_not_running", "start 09:00"];
    assert_eq!(look(&mut makes_up, "2026-01-01T09:00:30Z", FREE), both);
}

#[test]
fn a_year_of_missed_minutes_is_counted_to_a_thousand() {
    let catches_up = every_minute().with(false, true);
    let mut agenda = agenda(&catches_up, "2026-01-01T00:00:00Z");
    let told = "missed 1000, last 16:41: launcher_not_running";
    let now = "2027-01-01T12:34:20Z";
    assert_eq!(look(&mut agenda, now, FREE), [told, "start 12:34"]);
    assert_eq!(agenda.next(&id("a")), Some(at("2027-01-01T12:35:00Z")));
}

#[test]
fn a_clock_that_is_put_back_repeats_nothing() {
    let mut agenda = agenda(&Schedule::cron("0 * * * *", "UTC").unwrap(), "2026-01-01T00:30:00Z");
    assert_eq!(look(&mut agenda, "2026-01-01T03:00:00Z", FREE).last().unwrap(), "start 03:00");
    for (now, expected) in [
        ("2026-01-01T02:00:00Z", None),
        ("2026-01-01T02:30:00Z", None),
        ("2026-01-01T03:00:00Z", None),
        ("2026-01-01T04:00:00Z", Some("start 04:00")),
        // by more than three hours: it was wrong before
        ("2026-01-01T00:10:00Z", None),
        ("2026-01-01T01:00:00Z", Some("start 01:00")),
    ] {
        assert_eq!(look(&mut agenda, now, FREE).first().map(String::as_str), expected, "{now}");
    }
}

#[test]
fn a_clock_that_is_put_forward_tells_what_it_passed_over() {
    let mut agenda = agenda(&Schedule::cron("0 * * * *", "UTC").unwrap(), "2026-01-01T00:30:00Z");
    let told = "missed 3, last 03:00: launcher_not_running";
    assert_eq!(look(&mut agenda, "2026-01-01T03:30:00Z", FREE), [told]);
    assert_eq!(look(&mut agenda, "2026-01-01T04:00:01Z", FREE), ["start 04:00"]);
}

#[test]
fn a_changed_schedule_counts_anew_and_the_same_one_goes_on() {
    let mut agenda = agenda(&every_minute(), "2026-01-01T00:00:00Z");
    let now: DateTime<Utc> = at("2026-01-01T00:05:00Z");
    agenda.set(&id("a"), &every_minute(), now);
    assert_eq!(agenda.next(&id("a")), Some(at("2026-01-01T00:01:00Z")));
    agenda.set(&id("a"), &Schedule::every(s(3600)).unwrap(), now);
    assert_eq!(agenda.next(&id("a")), Some(at("2026-01-01T01:00:00Z")));
    agenda.retain(|_| false);
    assert_eq!((agenda.next(&id("a")), agenda.due(now, |_| FREE)), (None, None));
}

#[test]
fn a_run_that_waits_is_handed_on() {
    let minutes = every_minute().with(true, false);
    let mut before = agenda(&minutes, "2026-01-01T00:00:00Z");
    assert_eq!(look(&mut before, "2026-01-01T00:01:00Z", Activity::Running), [""; 0]);
    let queued: Vec<_> = before.queued().cloned().collect();
    assert_eq!(queued, [id("a")]);
    let mut after = agenda(&minutes, "2026-01-01T00:01:00Z");
    for id in &queued {
        after.queue(id);
    }
    assert_eq!(look(&mut after, "2026-01-01T00:01:10Z", FREE), ["start 00:01"]);
    assert_eq!(after.queued().count(), 0);
    // one that does not wait any more by its present schedule
    let mut skips = agenda(&every_minute(), "2026-01-01T00:01:00Z");
    skips.queue(&id("a"));
    assert_eq!(look(&mut skips, "2026-01-01T00:01:10Z", FREE), [""; 0]);
}

#[test]
fn until_the_clock_is_set_nothing_is_due_and_then_nothing_was_missed() {
    for begin in ["1970-01-01T00:00:40Z", "2001-01-01T00:00:00Z"] {
        let mut agenda = agenda(&every_minute(), begin);
        let wrong = at(begin) + TimeDelta::hours(2);
        assert!(agenda.waits_for_clock(wrong));
        assert_eq!(agenda.next(&id("a")), None, "nobody is told of a run in {begin}");
        assert_eq!(agenda.due(wrong, |_| FREE), Some(wrong + TimeDelta::seconds(1)));
        assert_eq!(agenda.look(wrong, |_| FREE), []);
        // a time server is reached
        let right = at("2026-01-01T04:00:30Z");
        assert!(!agenda.waits_for_clock(right));
        assert_eq!(agenda.due(right, |_| FREE), Some(right), "at once");
        let moved = Due::Moved { id: id("a") };
        assert_eq!(agenda.look(right, |_| FREE), [moved]);
        assert_eq!(agenda.next(&id("a")), Some(at("2026-01-01T04:01:00Z")));
        assert_eq!(look(&mut agenda, "2026-01-01T04:01:00Z", FREE), ["start 04:01"]);
    }
}

#[test]
fn what_was_missed_before_the_clock_was_lost_is_told_when_it_is_set() {
    let hourly = Schedule::cron("0 * * * *", "UTC").unwrap();
    // as the launcher before has kept it
    let mut agenda = agenda(&hourly, "2026-01-01T00:00:00Z");
    assert_eq!(agenda.look(at("1970-01-01T00:00:40Z"), |_| FREE), []);
    let told = "missed 3, last 03:00: launcher_not_running";
    assert_eq!(look(&mut agenda, "2026-01-01T03:30:00Z", FREE), [told]);
}
