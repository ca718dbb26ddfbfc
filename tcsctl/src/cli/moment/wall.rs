//! Instants by what a clock on the wall shows: in autumn it shows an hour twice, in spring one never.

use chrono::{DateTime, Days, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc};

/// An instant that was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointInTime {
    /// Which.
    pub at: DateTime<Utc>,
    /// Where a clock showed twice what was typed: which is taken, and which is the other.
    pub note: Option<String>,
}

impl From<DateTime<Utc>> for PointInTime {
    fn from(at: DateTime<Utc>) -> Self {
        Self { at, note: None }
    }
}

/// As it can be typed.
fn in_utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// `02:30`, with seconds where there are any.
fn of_day(time: NaiveTime) -> String {
    let text = time.to_string();
    text.strip_suffix(":00").map_or(text.clone(), str::to_owned)
}

/// When a clock showed this, the earliest first.
fn shown<Z: TimeZone>(zone: &Z, at: NaiveDateTime) -> Vec<DateTime<Utc>> {
    let shown = zone.from_local_datetime(&at);
    // the library's order is that of the offsets
    let mut all: Vec<_> = [shown.clone().earliest(), shown.latest()]
        .into_iter()
        .flatten()
        .map(|it| it.to_utc())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// That the clock went over a time.
struct Skipped {
    /// When it did.
    at: DateTime<Utc>,
    why: String,
}

/// Of a time that a clock did not show: when it went over it.
fn skipped<Z: TimeZone>(zone: &Z, at: NaiveDateTime) -> Option<Skipped> {
    let near = |hours| shown(zone, at + TimeDelta::hours(hours)).first().copied();
    let by_wall = |at: DateTime<Utc>| at.with_timezone(zone).naive_local();
    let offset = |at: DateTime<Utc>| by_wall(at) - at.naive_utc();
    // no clock has ever been put forward by more than a day
    let (mut before, mut after) = (near(-26)?, near(26)?);
    let old = offset(before);
    while after - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if offset(middle) == old { before = middle } else { after = middle }
    }
    let (day, time) = (at.date(), of_day(at.time()));
    let (from, to) = ((after.naive_utc() + old).time(), by_wall(after).time());
    let (from, to) = (of_day(from), of_day(to));
    let why = format!(
        "{time} did not exist on {day}: clocks went from {from} to {to}\n\
         hint: write {to}, or a time in UTC: {}",
        in_utc(after)
    );
    Some(Skipped { at: after, why })
}

/// A date and a time by a clock: the first of two.
pub(super) fn by_clock<Z: TimeZone>(zone: &Z, at: NaiveDateTime) -> Result<PointInTime, String> {
    match shown(zone, at)[..] {
        [only] => Ok(only.into()),
        [first, second, ..] => Ok(taken(at, (first, "first"), (second, "second"))),
        [] => {
            Err(skipped(zone, at).map_or_else(|| "there is no such time".to_owned(), |it| it.why))
        }
    }
}

fn taken(
    at: NaiveDateTime,
    (taken, which): (DateTime<Utc>, &str),
    (other, the_other): (DateTime<Utc>, &str),
) -> PointInTime {
    let (day, time) = (at.date(), of_day(at.time()));
    let note = format!(
        "{time} occurred twice on {day}: using the {which}, {}; the {the_other} is {}",
        in_utc(taken),
        in_utc(other)
    );
    PointInTime { at: taken, note: Some(note) }
}

/// A time so many days before today.
pub(super) fn day<Z: TimeZone>(
    zone: &Z,
    back: u64,
    time: NaiveTime,
    now: DateTime<Utc>,
) -> Result<PointInTime, String> {
    let today = now.with_timezone(zone).date_naive();
    let day = today.checked_sub_days(Days::new(back)).ok_or("that time is too long ago")?;
    by_clock(zone, day.and_time(time))
}

/// The last time before `now` at which a clock showed this. If it went over it since then, that time
/// was most likely meant.
pub(super) fn last<Z: TimeZone>(
    zone: &Z,
    time: NaiveTime,
    now: DateTime<Utc>,
) -> Result<PointInTime, String> {
    let today = now.with_timezone(zone).date_naive();
    for back in 0..=2 {
        let Some(day) = today.checked_sub_days(Days::new(back)) else { break };
        let at = day.and_time(time);
        let all = shown(zone, at);
        if all.is_empty()
            && let Some(skipped) = skipped(zone, at).filter(|it| it.at <= now)
        {
            return Err(skipped.why);
        }
        match all.into_iter().filter(|at| *at <= now).collect::<Vec<_>>()[..] {
            [first, second, ..] => return Ok(taken(at, (second, "second"), (first, "first"))),
            [only] => return Ok(only.into()),
            [] => {}
        }
    }
    Err("there is no such time".to_owned())
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Warsaw;

    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// What is taken for a clock time, and the note.
    fn clock(time: &str, now: &str) -> Result<(String, Option<String>), String> {
        let time = NaiveTime::parse_from_str(time, "%H:%M").unwrap();
        last(&Warsaw, time, utc(now)).map(|it| (in_utc(it.at), it.note))
    }

    fn dated(at: &str) -> Result<(String, Option<String>), String> {
        by_clock(&Warsaw, at.parse().unwrap()).map(|it| (in_utc(it.at), it.note))
    }

    /// On 2026-10-25 at 01:00 UTC clocks in Warsaw go from 03:00 back to 02:00.
    #[test]
    fn of_an_hour_that_comes_twice_the_nearest_past_one_is_taken_and_told() {
        let plain = |at: &str| Ok((at.to_owned(), None));
        // only one of the two has come: 02:40 for the first time, and for the second; 02:20 again
        assert_eq!(clock("02:30", "2026-10-25T00:40:00Z"), plain("2026-10-25T00:30:00Z"));
        assert_eq!(clock("02:30", "2026-10-25T01:20:00Z"), plain("2026-10-25T00:30:00Z"));
        assert_eq!(clock("02:30", "2026-10-25T00:20:00Z"), plain("2026-10-24T00:30:00Z"));
        let note = "02:30 occurred twice on 2026-10-25: using the second, \
                    2026-10-25T01:30:00Z; the first is 2026-10-25T00:30:00Z";
        let second = Ok(("2026-10-25T01:30:00Z".to_owned(), Some(note.to_owned())));
        assert_eq!(clock("02:30", "2026-10-25T01:40:00Z"), second);
        assert_eq!(clock("02:30", "2026-10-25T12:00:00Z"), second);
        // the edges of the hour: 01:59 and 03:00 come once, 02:00 and 02:59 twice
        let is_told = |time| clock(time, "2026-10-25T12:00:00Z").unwrap().1.is_some();
        assert_eq!(["01:59", "02:00", "02:59", "03:00"].map(is_told), [false, true, true, false]);
        // and another day is another day
        assert_eq!(clock("02:30", "2026-10-26T12:00:00Z"), plain("2026-10-26T01:30:00Z"));
    }

    #[test]
    fn with_a_date_the_first_of_two_is_taken_and_told() {
        let (at, note) = dated("2026-10-25T02:30:00").unwrap();
        assert_eq!(at, "2026-10-25T00:30:00Z");
        let note = note.unwrap();
        assert!(note.contains("using the first, 2026-10-25T00:30:00Z; the second"), "{note}");
        assert_eq!(dated("2026-10-25T03:00:00"), Ok(("2026-10-25T02:00:00Z".to_owned(), None)));
    }

    /// On 2026-03-29 at 01:00 UTC clocks in Warsaw go from 02:00 to 03:00.
    #[test]
    fn a_time_that_never_came_is_refused_with_what_can_be_typed() {
        let why = "02:30 did not exist on 2026-03-29: clocks went from 02:00 to 03:00\n\
                   hint: write 03:00, or a time in UTC: 2026-03-29T01:00:00Z";
        assert_eq!(dated("2026-03-29T02:30:00"), Err(why.to_owned()));
        assert_eq!(clock("02:30", "2026-03-29T12:00:00Z"), Err(why.to_owned()));
        let at = NaiveTime::from_hms_opt(2, 30, 0).unwrap();
        let yesterday = day(&Warsaw, 1, at, utc("2026-03-30T12:00:00Z"));
        assert_eq!(yesterday, Err(why.to_owned()));
        // the next night has it; before the gap it is that of the night before
        let plain = |at: &str| Ok((at.to_owned(), None));
        assert_eq!(clock("02:30", "2026-03-30T12:00:00Z"), plain("2026-03-30T00:30:00Z"));
        assert_eq!(clock("02:30", "2026-03-29T00:59:00Z"), plain("2026-03-28T01:30:00Z"));
        // until the next 02:30 it is still the time that never came
        assert_eq!(clock("02:30", "2026-03-29T23:00:00Z"), Err(why.to_owned()));
        assert_eq!(dated("2026-03-29T01:59:59"), plain("2026-03-29T00:59:59Z"));
        assert_eq!(dated("2026-03-29T03:00:00"), plain("2026-03-29T01:00:00Z"));
    }

    #[test]
    fn in_utc_each_time_comes_once() {
        for at in ["2026-10-25T02:30:00", "2026-03-29T02:30:00"] {
            assert_eq!(by_clock(&Utc, at.parse().unwrap()).unwrap().note, None);
        }
    }
}
