//! Spans and moments as people type them.

use std::time::Duration;

use chrono::{DateTime, Days, Local, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};

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
    /// That instant.
    Instant(DateTime<Utc>),
}

/// `2h`, `02:13`, `02:13:05`, `2026-11-23 02:13`, RFC 3339.
pub fn moment(text: &str) -> Result<Moment, String> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Moment::Instant(at.to_utc()));
    }
    for form in ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f"] {
        if let Ok(time) = NaiveTime::parse_from_str(text, form) {
            return Ok(Moment::Clock(time));
        }
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
    let ago = span(text.trim_end_matches("ago").trim_end()).map_err(|_| not_a_moment(text))?;
    Ok(Moment::Ago(TimeDelta::from_std(ago).map_err(|_| not_a_moment(text))?))
}

fn not_a_moment(text: &str) -> String {
    format!(
        "`{text}` is not a time: write 02:13, 2h (ago), 2026-11-23 02:13 or 2026-11-23T02:13:00Z"
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
            Self::Clock(time) if local => last(&Local, time, now),
            Self::Clock(time) => last(&Utc, time, now),
        }
    }
}

fn by_clock<Z: TimeZone>(zone: &Z, at: NaiveDateTime) -> Option<DateTime<Utc>> {
    // of an hour that a clock showed twice, the earlier
    zone.from_local_datetime(&at).earliest().map(|at| at.to_utc())
}

fn last<Z: TimeZone>(zone: &Z, time: NaiveTime, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let today = now.with_timezone(zone).date_naive();
    [Some(today), today.checked_sub_days(Days::new(1))]
        .into_iter()
        .flatten()
        .filter_map(|day| by_clock(zone, day.and_time(time)))
        .find(|at| *at <= now)
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
        let at = |text: &str| moment(text).unwrap().resolve(now, false).unwrap().to_rfc3339();
        assert_eq!(at("02:13"), "2026-11-23T02:13:00+00:00");
        assert_eq!(at("22:13"), "2026-11-22T22:13:00+00:00");
        assert_eq!(at("2h"), "2026-11-23T00:17:00+00:00");
        assert_eq!(at("2h ago"), "2026-11-23T00:17:00+00:00");
        assert_eq!(at("2026-11-20 01:02"), "2026-11-20T01:02:00+00:00");
        assert_eq!(at("2026-11-20T01:02:03+01:00"), "2026-11-20T00:02:03+00:00");
        for bad in ["", "213", "25:00", "yesterday", "2026-13-01 00:00"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
