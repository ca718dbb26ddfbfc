//! Lengths of time as a file says them: `10s`, `5m`, `1h30m`, or a number of seconds.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A length of time, from zero to a year.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(TimeDelta);

/// The longest, in seconds.
const LONGEST: f64 = 366.0 * 86_400.0;

/// Why a text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a duration up to a year\nhint: write `30s`, `5m`, `2h` or `7d`", .0.escape_debug())]
pub struct SpanError(String);

impl Span {
    /// Whole seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self(TimeDelta::seconds(seconds as i64))
    }

    /// As chrono has it.
    pub const fn delta(self) -> TimeDelta {
        self.0
    }

    fn of_seconds(seconds: f64) -> Option<Self> {
        let fits = (0.0..=LONGEST).contains(&seconds);
        fits.then(|| Self(TimeDelta::milliseconds((seconds * 1e3).round() as i64)))
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let mut seconds = 0.0;
        let mut rest = text.trim();
        loop {
            let wrong = || SpanError(text.to_owned());
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
            let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
            let unit = rest[digits..].trim_start();
            let (factor, after) = match unit.as_bytes() {
                [b'm', b's', ..] => (0.001, 2),
                [b's', ..] => (1.0, 1),
                [b'm', ..] => (60.0, 1),
                [b'h', ..] => (3600.0, 1),
                [b'd', ..] => (86_400.0, 1),
                _ => return Err(wrong()),
            };
            seconds += number * factor;
            rest = unit[after..].trim_start();
            if rest.is_empty() {
                return Self::of_seconds(seconds).ok_or_else(wrong);
            }
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.num_milliseconds();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
        let whole = units.into_iter().find(|(unit, _)| millis > 0 && millis % unit == 0);
        let (unit, name) = whole.unwrap_or((1000, "s"));
        write!(f, "{}{name}", millis / unit)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;

        impl Visitor<'_> for SpanVisitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `30s`, `5m` or `2h`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Span, E> {
                Span::of_seconds(seconds).ok_or_else(|| E::custom(SpanError(seconds.to_string())))
            }
            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Span, E> {
                self.visit_f64(seconds as f64)
            }
            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Span, E> {
                self.visit_f64(seconds as f64)
            }
        }

        deserializer.deserialize_any(SpanVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_written() {
        for (text, seconds, written) in [
            ("10s", 10.0, "10s"),
            ("0s", 0.0, "0s"),
            ("5m", 300.0, "5m"),
            ("90s", 90.0, "90s"),
            ("1h30m", 5400.0, "90m"),
            ("2 h", 7200.0, "2h"),
            ("7d", 604_800.0, "7d"),
            ("0.5s", 0.5, "500ms"),
            ("500ms", 0.5, "500ms"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(Some(span), Span::of_seconds(seconds), "{text}");
            assert_eq!(span.to_string(), written);
            assert_eq!(written.parse(), Ok(span));
        }
        for wrong in ["", "10", "s", "-5s", "5x", "1.2.3s", "9999d", "5s x", "é"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<Span>("2.5").unwrap(), "2500ms".parse().unwrap());
        assert!(serde_json::from_str::<Span>("-1").is_err());
    }
}
