//! Spans and moments as people type them.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};

mod wall;

pub use wall::PointInTime;
use wall::{by_clock, day, last};

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
    /// The instant, seen at `now`; `zone` is that of clock times.
    fn resolve<Z: TimeZone>(self, zone: &Z, now: DateTime<Utc>) -> Result<PointInTime, String> {
        match self {
            Self::Ago(span) => {
                let at = now.checked_sub_signed(span);
                at.map(PointInTime::from).ok_or_else(|| "that time is too long ago".to_owned())
            }
            Self::Instant(at) => Ok(at.into()),
            Self::Date(at) => by_clock(zone, at),
            Self::Day(back, time) => day(zone, back, time, now),
            Self::Clock(time) => last(zone, time, now),
        }
    }

    /// The instant, which is not later than `now`; clock times are those of `zone`.
    ///
    /// # Errors
    /// It is later, or that zone's clock went over it.
    pub fn past_in<Z: TimeZone>(self, zone: &Z, now: DateTime<Utc>) -> Result<PointInTime, String> {
        let point = self.resolve(zone, now)?;
        if point.at > now {
            return Err("that time is not in the past".to_owned());
        }
        Ok(point)
    }

    /// The same; clock times are UTC, or those of this machine's zone with `local`.
    ///
    /// # Errors
    /// It is later, or that zone's clock went over it.
    pub fn past(self, now: DateTime<Utc>, local: bool) -> Result<PointInTime, String> {
        if local { self.past_in(&Local, now) } else { self.past_in(&Utc, now) }
    }
}

/// A period, and what is to be said of its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Its beginning.
    pub from: DateTime<Utc>,
    /// Its end.
    pub to: DateTime<Utc>,
    /// Of ends that a clock showed twice: which is taken.
    pub notes: Vec<String>,
}

/// Both ends of a period, seen at `now`. `20:00` to `08:00` is the last such night.
///
/// # Errors
/// An end is not in the past, or was skipped; or they are the wrong way round.
pub fn period(
    since: Moment,
    until: Option<Moment>,
    now: DateTime<Utc>,
    local: bool,
) -> Result<Period, String> {
    let until = until.map_or(Ok(now.into()), |until| until.past(now, local))?;
    // an age counts from now, a clock's time is the last one before the end
    let seen_from = if matches!(since, Moment::Clock(_)) { until.at } else { now };
    let since = since.past(seen_from, local)?;
    if since.at >= until.at {
        return Err("`until` is not after `since`".to_owned());
    }
    let (from, to) = (since.at, until.at);
    Ok(Period { from, to, notes: [since.note, until.note].into_iter().flatten().collect() })
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

    #[test]
    fn moments() {
        let now: DateTime<Utc> = "2026-11-23T02:17:00Z".parse().unwrap();
        let at = |text: &str| moment(text).unwrap().resolve(&Utc, now).unwrap().at.to_rfc3339();
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
