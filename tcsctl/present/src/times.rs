//! Points in time for people.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use tcs_fleet::format_duration;

/// How times are written.
#[derive(Debug, Clone, Copy, Default)]
pub enum Times {
    /// `02:13:05 UTC`
    #[default]
    Utc,
    /// `03:13:05`, as this makes of a time what a clock on the wall shows.
    Local(fn(DateTime<Utc>) -> NaiveDateTime),
    /// `4 min 12 s ago`
    Relative,
}

impl Times {
    /// What a clock on the wall shows.
    pub fn wall(self, at: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Self::Utc | Self::Relative => at.naive_utc(),
            Self::Local(wall) => wall(at),
        }
    }

    /// What stands behind such a time; nothing for the machine's own zone.
    pub const fn zone(self) -> &'static str {
        match self {
            Self::Utc | Self::Relative => " UTC",
            Self::Local(_) => "",
        }
    }

    /// `at`, seen at `now`; with the date where it is not the same day.
    pub fn point(self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        if matches!(self, Self::Relative) {
            return ago(now - at);
        }
        let (wall, today) = (self.wall(at), self.wall(now).date());
        let form = if wall.date() == today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        format!("{}{}", wall.format(form), self.zone())
    }

    /// `at`, and how long ago that is: `02:13:05 UTC (4 min 12 s ago)`.
    pub fn point_and_age(self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        match self {
            Self::Relative => self.point(at, now),
            Self::Utc | Self::Local(_) => format!("{} ({})", self.point(at, now), ago(now - at)),
        }
    }

    /// `at` at a fixed width, for columns: `2026-11-23 02:13:05`.
    pub fn stamp(self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        match self {
            Self::Relative => format!("{:>12}", ago(now - at)),
            Self::Utc | Self::Local(_) => self.wall(at).format("%Y-%m-%d %H:%M:%S").to_string(),
        }
    }

    /// `02:13:05`, or `22 02:13` of another day: eight cells.
    pub fn short(self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        let (at, now) = (self.wall(at), self.wall(now));
        at.format(if at.date() == now.date() { "%H:%M:%S" } else { "%d %H:%M" }).to_string()
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
