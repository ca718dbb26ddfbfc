//! Points in time for people.

use std::time::Duration;

use chrono::{DateTime, Local, TimeDelta, TimeZone, Utc};
use clap::ValueEnum;
use serde::Serializer;
use tcs_core::fleet::format_duration;

/// How times are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Times {
    /// `02:13:05 UTC`
    #[default]
    Utc,
    /// `03:13:05`, by this machine's zone
    Local,
    /// `4 min 12 s ago`
    Relative,
}

impl Times {
    /// `at`, seen at `now`; with the date where it is not the same day.
    pub fn point(self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        match self {
            Self::Utc => format!("{} UTC", clock(&at, &now)),
            Self::Local => clock(&at.with_timezone(&Local), &now.with_timezone(&Local)),
            Self::Relative => ago(now - at),
        }
    }

    /// `at`, and how long ago that is: `02:13:05 UTC (4 min 12 s ago)`.
    pub fn point_and_age(self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        match self {
            Self::Relative => self.point(at, now),
            Self::Utc | Self::Local => format!("{} ({})", self.point(at, now), ago(now - at)),
        }
    }

    /// `at` at a fixed width, for columns: `2026-11-23 02:13:05`.
    pub fn stamp(self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        const FORM: &str = "%Y-%m-%d %H:%M:%S";
        match self {
            Self::Utc => at.format(FORM).to_string(),
            Self::Local => at.with_timezone(&Local).format(FORM).to_string(),
            Self::Relative => format!("{:>12}", ago(now - at)),
        }
    }
}

fn clock<Z: TimeZone>(at: &DateTime<Z>, now: &DateTime<Z>) -> String
where
    Z::Offset: std::fmt::Display,
{
    if at.date_naive() == now.date_naive() {
        at.format("%H:%M:%S").to_string()
    } else {
        at.format("%Y-%m-%d %H:%M:%S").to_string()
    }
}

/// `4 min 12 s ago`; `in 5 s` for what is to come.
pub fn ago(span: TimeDelta) -> String {
    if span < TimeDelta::zero() {
        format!("in {}", format_duration(-span))
    } else {
        format!("{} ago", format_duration(span))
    }
}

/// A length of time in JSON: seconds, to the millisecond.
pub(super) fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((span.as_secs_f64() * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_there_when_it_is_another_day() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-23T02:17:17Z");
        assert_eq!(Times::Utc.point(at("2026-11-23T02:13:05Z"), now), "02:13:05 UTC");
        assert_eq!(Times::Utc.point(at("2026-11-22T22:13:05Z"), now), "2026-11-22 22:13:05 UTC");
        assert_eq!(Times::Relative.point(at("2026-11-23T02:13:05Z"), now), "4 min 12 s ago");
        assert_eq!(
            Times::Utc.point_and_age(at("2026-11-23T02:13:05Z"), now),
            "02:13:05 UTC (4 min 12 s ago)"
        );
        assert_eq!(ago(TimeDelta::seconds(-5)), "in 5 s");
    }
}
