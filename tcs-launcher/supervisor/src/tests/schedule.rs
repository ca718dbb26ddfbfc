//! When schedules come, by literal times.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::schedule::{Schedule, ScheduleError};
use super::s;

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn cron(fields: &str, zone: &str) -> Schedule {
    Schedule::cron(fields, zone).unwrap()
}

/// What follows `after`, as many times as are expected.
fn follows(schedule: &Schedule, after: &str, expected: &[&str]) {
    let mut last = at(after);
    for expected in expected {
        let next = schedule.next(last).unwrap();
        assert_eq!(next, at(expected), "{schedule} after {last}");
        last = next;
    }
}

#[test]
fn fields_are_those_of_crontab() {
    let after = "2026-01-31T23:59:59Z";
    for (fields, next) in [
        ("30 7 * * *", "2026-02-01T07:30:00Z"),
        ("*/15 * * * *", "2026-02-01T00:00:00Z"),
        ("0 12 29 2 *", "2028-02-29T12:00:00Z"),
        ("0 0 1 */3 *", "2026-04-01T00:00:00Z"),
        ("0 6 * * MON-FRI", "2026-02-02T06:00:00Z"),
        ("0 6 * * 7", "2026-02-01T06:00:00Z"),
        // either day, as in Vixie cron
        ("0 6 13 * FRI", "2026-02-06T06:00:00Z"),
        ("5,35 0-1 * * *", "2026-02-01T00:05:00Z"),
    ] {
        follows(&cron(fields, "UTC"), after, &[next]);
    }
}

#[test]
fn what_is_no_schedule_says_why() {
    let error = |fields, zone| Schedule::cron(fields, zone).unwrap_err().to_string();
    assert_eq!(error("0 7 * * *", "Europe/Warsov"), "`Europe/Warsov` is not a time zone");
    assert_eq!(error("0 0 30 2 *", "UTC"), "`0 0 30 2 *` never comes");
    let out_of_bounds = "`60 7 * * *` is not a cron schedule: number out of bounds";
    assert_eq!(error("60 7 * * *", "UTC"), out_of_bounds);
    assert!(error("0 7 * *", "UTC").starts_with("`0 7 * *` is not a cron schedule: "));
    assert!(error("0 0 7 * * *", "UTC").starts_with("`0 0 7 * * *` is not a cron schedule: "));
    for length in [s(0), Duration::from_millis(1500), Duration::MAX] {
        assert_eq!(Schedule::every(length), Err(ScheduleError::Every(length)));
    }
}

#[test]
fn a_schedule_is_written_as_people_write_it() {
    assert_eq!(cron(" 30  7 * * mon", "Europe/Warsaw").to_string(), "30 7 * * mon Europe/Warsaw");
    for (seconds, text) in [(30, "30s"), (900, "15m"), (5400, "90m"), (7200, "2h"), (86_400, "1d")]
    {
        assert_eq!(Schedule::every(s(seconds)).unwrap().to_string(), format!("every {text}"));
    }
}

#[test]
fn a_program_that_takes_over_reads_it_as_it_was() {
    let schedules = [
        cron("30 2 * * *", "America/Santiago").with(true, false),
        Schedule::every(s(900)).unwrap(),
    ];
    for schedule in schedules {
        let text = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule, "{text}");
    }
}

#[test]
fn a_length_of_time_counts_from_the_epoch() {
    let quarter = Schedule::every(s(900)).unwrap();
    follows(
        &quarter,
        "2026-03-29T00:44:59Z",
        &["2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"],
    );
    follows(&quarter, "1969-12-31T23:50:00Z", &["1970-01-01T00:00:00Z"]);
}

/// 2026-03-29: 02:00 becomes 03:00, which is 01:00 UTC.
#[test]
fn warsaw_puts_its_clocks_forward() {
    let before = "2026-03-28T12:00:00Z";
    let warsaw = |fields| cron(fields, "Europe/Warsaw");
    let gap = ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    follows(&warsaw("30 2 * * *"), before, &gap);
    follows(&warsaw("30 1 * * *"), before, &["2026-03-29T00:30:00Z", "2026-03-29T23:30:00Z"]);
    follows(&warsaw("30 3 * * *"), before, &["2026-03-29T01:30:00Z", "2026-03-30T01:30:00Z"]);
    // by the clock on the wall: there is no 02:00 and no 02:30
    follows(&warsaw("*/30 2 * * *"), before, &["2026-03-30T00:00:00Z", "2026-03-30T00:30:00Z"]);
    follows(
        &warsaw("0 * * * *"),
        "2026-03-28T22:30:00Z",
        &[
            "2026-03-28T23:00:00Z",
            "2026-03-29T00:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T02:00:00Z",
        ],
    );
}

/// 2026-10-25: 03:00 becomes 02:00, which is 01:00 UTC.
#[test]
fn warsaw_puts_its_clocks_back() {
    let before = "2026-10-24T12:00:00Z";
    let warsaw = |fields| cron(fields, "Europe/Warsaw");
    follows(&warsaw("30 2 * * *"), before, &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    follows(&warsaw("0 3 * * *"), before, &["2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"]);
    follows(
        &warsaw("*/30 2 * * *"),
        before,
        &[
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-26T01:00:00Z",
        ],
    );
    follows(
        &warsaw("0 * * * *"),
        "2026-10-24T23:30:00Z",
        &["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"],
    );
}

/// 2026-04-04: 24:00 becomes 23:00, which is 03:00 UTC of the 5th.
#[test]
fn santiago_puts_its_clocks_back() {
    let before = "2026-04-04T12:00:00Z";
    let santiago = |fields| cron(fields, "America/Santiago");
    follows(&santiago("30 23 * * *"), before, &["2026-04-05T02:30:00Z", "2026-04-06T03:30:00Z"]);
    follows(&santiago("0 0 * * *"), before, &["2026-04-05T04:00:00Z", "2026-04-06T04:00:00Z"]);
    follows(
        &santiago("*/30 23 * * *"),
        before,
        &[
            "2026-04-05T02:00:00Z",
            "2026-04-05T02:30:00Z",
            "2026-04-05T03:00:00Z",
            "2026-04-05T03:30:00Z",
            "2026-04-06T03:00:00Z",
        ],
    );
}

/// 2026-09-06: 00:00 becomes 01:00, which is 04:00 UTC. That day has no midnight.
#[test]
fn santiago_puts_its_clocks_forward() {
    let before = "2026-09-05T12:00:00Z";
    let santiago = |fields| cron(fields, "America/Santiago");
    follows(&santiago("0 0 * * *"), before, &["2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"]);
    follows(&santiago("30 0 * * *"), before, &["2026-09-06T04:00:00Z", "2026-09-07T03:30:00Z"]);
    follows(&santiago("0 8 * * *"), before, &["2026-09-06T11:00:00Z", "2026-09-07T11:00:00Z"]);
    follows(&santiago("*/30 0 * * *"), before, &["2026-09-07T03:00:00Z", "2026-09-07T03:30:00Z"]);
}

#[test]
fn a_fixed_time_comes_once_on_each_day_of_the_year() {
    for zone in ["Europe/Warsaw", "America/Santiago"] {
        for fields in ["0 0 * * *", "30 0 * * *", "30 2 * * *", "30 23 * * *"] {
            let schedule = cron(fields, zone);
            let (mut now, end) = (at("2025-12-31T12:00:00Z"), at("2026-12-31T12:00:00Z"));
            let mut count = 0;
            while let Some(next) = schedule.next(now).filter(|next| *next <= end) {
                let apart = (next - now).num_hours();
                assert!(count == 0 || (22..=26).contains(&apart), "{schedule}: {now} to {next}");
                (now, count) = (next, count + 1);
            }
            assert_eq!(count, 365, "{schedule}");
        }
    }
}

/// In each time zone, at each change of its clocks: the next time is later, and within two days, so
/// that who looks again and again comes to an end.
#[test]
fn time_goes_on_in_every_zone() {
    for zone in chrono_tz::TZ_VARIANTS {
        let zone = zone.name();
        for fields in ["30 2 * * *", "0 0 * * *", "*/20 * * * *", "*/30 0-3 * * *"] {
            let schedule = cron(fields, zone);
            for change in changes(zone) {
                for minutes in [-181, -121, -61, -31, -1, 0, 1, 29, 30, 59, 60, 119, 120, 180] {
                    let after = change + TimeDelta::minutes(minutes);
                    let next = schedule.next(after);
                    let next = next.unwrap_or_else(|| panic!("{schedule}: none after {after}"));
                    let wait = next - after;
                    let is_sound = wait > TimeDelta::zero() && wait <= TimeDelta::days(2);
                    assert!(is_sound, "{schedule}: {next} after {after}");
                }
            }
        }
    }
}

/// When the clocks of a zone are put forward or back, in some years.
fn changes(zone: &str) -> Vec<DateTime<Utc>> {
    let zone: chrono_tz::Tz = zone.parse().unwrap();
    let offset = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local() - at.naive_utc();
    let mut changes = Vec::new();
    for year in [2011, 2026] {
        let begin = at(&format!("{year}-01-01T00:00:00Z"));
        for day in 0..365 {
            let (mut early, mut late) =
                (begin + TimeDelta::days(day), begin + TimeDelta::days(day + 1));
            if offset(early) == offset(late) {
                continue;
            }
            while late - early > TimeDelta::minutes(1) {
                let middle = early + (late - early) / 2;
                if offset(middle) == offset(late) { late = middle } else { early = middle }
            }
            changes.push(late);
        }
    }
    changes
}
