//! Spans and moments as people type them.

use std::time::Duration;

use chrono::{
    DateTime, Days, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
};

/// `5`, `2.5` (seconds), `500ms`, `60s`, `1h30m`, `2d`.
pub fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write 5s, 500ms, 2m, 1h30m or 2d");
    let mut seconds = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..letters] {
                "ms" => 0.001,
                "" | "s" | "sec" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return Err(wrong()),
            };
        rest = rest[letters..].trim_start();
    }
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|span| span.as_secs() < 10 * 365 * 86_400)
        .ok_or_else(|| format!("`{text}` is longer than 10 years"))
}

/// A moment of the past, as typed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moment {
    /// That long ago.
    Ago(TimeDelta),
    /// The last time that the clock showed this.
    Clock(NaiveTime),
    /// That date and time, by the clock that times are shown in.
    Date(NaiveDateTime),
    /// That time, so many days before today.
    Day(u64, NaiveTime),
    /// That instant.
    Instant(DateTime<Utc>),
}

/// `2h`, `-2h`, `02:13`, `02:13:05`, `2026-11-23 02:13`, `2026-11-23`, `yesterday 22:00`, `today`,
/// `@1795393000` (seconds since 1970), RFC 3339.
pub fn moment(text: &str) -> Result<Moment, String> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Moment::Instant(at.to_utc()));
    }
    if let Some(time) = clock(text) {
        return Ok(Moment::Clock(time));
    }
    for (word, back) in [("today", 0), ("yesterday", 1)] {
        if let Some(rest) = text.strip_prefix(word) {
            let time =
                if rest.is_empty() { Some(NaiveTime::MIN) } else { clock(rest.trim_start()) };
            return time.map(|time| Moment::Day(back, time)).ok_or_else(|| not_a_moment(text));
        }
    }
    if let Some(seconds) = text.strip_prefix('@') {
        let at = seconds.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        return at.map(Moment::Instant).ok_or_else(|| not_a_moment(text));
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(Moment::Date(day.and_time(NaiveTime::MIN)));
    }
    for form in ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f"]
    {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, form) {
            return Ok(Moment::Date(at));
        }
    }
    // a bare number would be a guess
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(not_a_moment(text));
    }
    let age = text.strip_prefix('-').unwrap_or(text).trim_end_matches("ago").trim_end();
    let ago = span(age).map_err(|_| not_a_moment(text))?;
    Ok(Moment::Ago(TimeDelta::from_std(ago).map_err(|_| not_a_moment(text))?))
}

/// `02:13`, `02:13:05`
fn clock(text: &str) -> Option<NaiveTime> {
    let forms = ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f"];
    forms.into_iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok())
}

fn not_a_moment(text: &str) -> String {
    format!(
        "`{text}` is not a time: write 02:13, 2h (ago), yesterday 22:00, 2026-11-23 02:13 or \
         2026-11-23T02:13:00Z"
    )
}

impl Moment {
    /// The instant, seen at `now`; clock times are UTC, or this machine's zone with `local`.
    /// `None` where that zone's clock skipped it.
    pub fn resolve(self, now: DateTime<Utc>, local: bool) -> Option<DateTime<Utc>> {
        match self {
            Self::Ago(span) => now.checked_sub_signed(span),
            Self::Instant(at) => Some(at),
            Self::Date(at) if local => by_clock(&Local, at),
            Self::Date(at) => by_clock(&Utc, at),
            Self::Day(back, time) if local => day(&Local, back, time, now),
            Self::Day(back, time) => day(&Utc, back, time, now),
            Self::Clock(time) if local => last(&Local, time, now),
            Self::Clock(time) => last(&Utc, time, now),
        }
    }
}

/// Both ends of a period, seen at `now`. `20:00` to `08:00` is the last such night.
pub fn period(
    since: Moment,
    until: Option<Moment>,
    now: DateTime<Utc>,
    local: bool,
) -> Result<(DateTime<Utc>, DateTime<Utc>), &'static str> {
    let past = |moment: Moment, seen_from| {
        let at = moment.resolve(seen_from, local).filter(|at| *at <= seen_from);
        at.ok_or("that time is not in the past")
    };
    let to = until.map_or(Ok(now), |until| past(until, now))?;
    // an age counts from now, a clock's time is the last one before the end
    let seen_from = if matches!(since, Moment::Clock(_)) { to } else { now };
    let from = past(since, seen_from)?;
    if from >= to {
        return Err("`until` is not after `since`");
    }
    Ok((from, to))
}

/// When a clock showed this, the earliest first: in autumn it shows an hour twice.
fn shown<Z: TimeZone>(zone: &Z, at: NaiveDateTime) -> Vec<DateTime<Utc>> {
    let shown = zone.from_local_datetime(&at);
    // the library's order is that of the offsets
    let mut all: Vec<_> = [shown.clone().earliest(), shown.latest()]
        .into_iter()
        .flatten()
        .map(|it| it.to_utc())
        .collect();
    all.sort_unstable();
    all
}

fn by_clock<Z: TimeZone>(zone: &Z, at: NaiveDateTime) -> Option<DateTime<Utc>> {
    shown(zone, at).first().copied()
}

fn day<Z: TimeZone>(
    zone: &Z,
    back: u64,
    time: NaiveTime,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let today = now.with_timezone(zone).date_naive();
    by_clock(zone, today.checked_sub_days(Days::new(back))?.and_time(time))
}

/// The last time before `now` at which a clock showed this.
fn last<Z: TimeZone>(zone: &Z, time: NaiveTime, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let today = now.with_timezone(zone).date_naive();
    [Some(today), today.checked_sub_days(Days::new(1))]
        .into_iter()
        .flatten()
        .flat_map(|day| shown(zone, day.and_time(time)))
        .filter(|at| *at <= now)
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let ms = |text| span(text).map(|span| span.as_millis());
        assert_eq!(ms("5"), Ok(5_000));
        assert_eq!(ms("2.5"), Ok(2_500));
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("1h30m"), Ok(5_400_000));
        assert_eq!(ms("2 d"), Ok(172_800_000));
        for bad in ["", "x", "5x", "-5", "1e9", "h", "99999d", "nan", "."] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    /// A zone whose clocks show 02:00 to 03:00 of 2026-10-25 twice, as in Warsaw.
    #[derive(Clone, Copy, Debug)]
    struct Autumn;

    impl Autumn {
        const CHANGE: &str = "2026-10-25T01:00:00";

        fn hours(hours: i32) -> chrono::FixedOffset {
            chrono::FixedOffset::east_opt(hours * 3600).unwrap()
        }
    }

    impl TimeZone for Autumn {
        type Offset = chrono::FixedOffset;

        fn from_offset(_: &Self::Offset) -> Self {
            Self
        }

        fn offset_from_local_date(&self, day: &NaiveDate) -> chrono::MappedLocalTime<Self::Offset> {
            self.offset_from_local_datetime(&day.and_time(NaiveTime::MIN))
        }

        fn offset_from_local_datetime(
            &self,
            at: &NaiveDateTime,
        ) -> chrono::MappedLocalTime<Self::Offset> {
            let change: NaiveDateTime = Self::CHANGE.parse().unwrap();
            let (begins, ends) = (change + TimeDelta::hours(1), change + TimeDelta::hours(2));
            if *at < begins {
                chrono::MappedLocalTime::Single(Self::hours(2))
            } else if *at < ends {
                // in this order, as the library has it on some systems
                chrono::MappedLocalTime::Ambiguous(Self::hours(1), Self::hours(2))
            } else {
                chrono::MappedLocalTime::Single(Self::hours(1))
            }
        }

        fn offset_from_utc_date(&self, day: &NaiveDate) -> Self::Offset {
            self.offset_from_utc_datetime(&day.and_time(NaiveTime::MIN))
        }

        fn offset_from_utc_datetime(&self, at: &NaiveDateTime) -> Self::Offset {
            let change: NaiveDateTime = Self::CHANGE.parse().unwrap();
            Self::hours(if *at < change { 2 } else { 1 })
        }
    }

    #[test]
    fn of_an_hour_that_is_shown_twice_a_clock_time_is_the_nearest_past_one() {
        let at = |time: &str, now: &str| {
            let now: DateTime<Utc> = now.parse().unwrap();
            last(&Autumn, clock(time).unwrap(), now).unwrap().to_rfc3339()
        };
        // 02:40 is shown for the first time, for the second time, and 02:20 again
        assert_eq!(at("02:30", "2026-10-25T00:40:00Z"), "2026-10-25T00:30:00+00:00");
        assert_eq!(at("02:30", "2026-10-25T01:40:00Z"), "2026-10-25T01:30:00+00:00");
        assert_eq!(at("02:30", "2026-10-25T01:20:00Z"), "2026-10-25T00:30:00+00:00");
        assert_eq!(at("02:30", "2026-10-25T12:00:00Z"), "2026-10-25T01:30:00+00:00");
        assert_eq!(at("02:30", "2026-10-25T00:20:00Z"), "2026-10-24T00:30:00+00:00");
        // with a date, the earlier
        let dated = by_clock(&Autumn, "2026-10-25T02:30:00".parse().unwrap()).unwrap();
        assert_eq!(dated.to_rfc3339(), "2026-10-25T00:30:00+00:00");
    }

    #[test]
    fn moments() {
        let now: DateTime<Utc> = "2026-11-23T02:17:00Z".parse().unwrap();
        let at = |text: &str| moment(text).unwrap().resolve(now, false).unwrap().to_rfc3339();
        assert_eq!(at("02:13"), "2026-11-23T02:13:00+00:00");
        assert_eq!(at("22:13"), "2026-11-22T22:13:00+00:00");
        assert_eq!(at("2h"), "2026-11-23T00:17:00+00:00");
        assert_eq!(at("2h ago"), "2026-11-23T00:17:00+00:00");
        assert_eq!(at("2026-11-20 01:02"), "2026-11-20T01:02:00+00:00");
        assert_eq!(at("2026-11-20T01:02:03+01:00"), "2026-11-20T00:02:03+00:00");
        assert_eq!(at("-5m"), "2026-11-23T02:12:00+00:00");
        assert_eq!(at("yesterday 22:00"), "2026-11-22T22:00:00+00:00");
        assert_eq!(at("yesterday"), "2026-11-22T00:00:00+00:00");
        assert_eq!(at("today"), "2026-11-23T00:00:00+00:00");
        assert_eq!(at("2026-11-20"), "2026-11-20T00:00:00+00:00");
        assert_eq!(at("@1795393000"), "2026-11-23T00:16:40+00:00");
        for bad in
            ["", "213", "25:00", "yesterday 25:00", "todays", "@x", "2026-13-01 00:00", "--5m"]
        {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
