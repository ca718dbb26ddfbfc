//! The fleet's way to write an instant: `[year, month, day, hour, minute, second, microsecond]`,
//! UTC. Readers also take 3 to 6 elements (the missing ones are 0) and refuse impossible dates.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, SubsecRound, Timelike, Utc};
use serde::de::{Error as _, SeqAccess};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::tolerant::{Field, Take, drain_list};

/// An instant on the wire, with a resolution of one microsecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Cuts off what is below a microsecond.
    pub fn new(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(6))
    }

    /// The instant.
    pub fn time(self) -> DateTime<Utc> {
        self.0
    }

    /// From 3 to 7 elements; `None` for any other number of them and for a date that does not exist.
    pub fn from_elements(elements: &[i64]) -> Option<Self> {
        if !(3..=7).contains(&elements.len()) {
            return None;
        }
        let at = |i: usize| elements.get(i).copied().unwrap_or(0);
        let part = |i: usize| u32::try_from(at(i)).ok();
        let year = i32::try_from(at(0)).ok().filter(|year| (1..=9999).contains(year))?;
        let micro = part(6).filter(|us| *us < 1_000_000)?;
        NaiveDate::from_ymd_opt(year, part(1)?, part(2)?)?
            .and_hms_micro_opt(part(3)?, part(4)?, part(5)?, micro)
            .map(|time| Self(time.and_utc()))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self::new(time)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let elements = Vec::<i64>::deserialize(deserializer)?;
        Self::from_elements(&elements).ok_or_else(|| D::Error::custom("not a time"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let t = &self.0;
        // a leap second (59.999999 and on) is written as the last microsecond of its minute
        let micro = (t.nanosecond() / 1000).min(999_999);
        (t.year(), t.month(), t.day(), t.hour(), t.minute(), t.second(), micro)
            .serialize(serializer)
    }
}

impl Take for Timestamp {
    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut elements = [0; 7];
        let mut len = 0;
        let mut good = true;
        while let Some(element) = list.next_element::<Field<i64>>()? {
            match element {
                Field::Got(number) if len < 7 => elements[len] = number,
                _ => {
                    good = false;
                    break;
                }
            }
            len += 1;
        }
        if !good {
            drain_list(list)?;
            return Ok(None);
        }
        Ok(Self::from_elements(&elements[..len]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Field<Timestamp> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn seven_elements_and_what_is_missing_is_zero() {
        let full = Timestamp::from_elements(&[2026, 11, 23, 1, 2, 3, 456_789]).unwrap();
        assert_eq!(full.time().to_rfc3339(), "2026-11-23T01:02:03.456789+00:00");
        assert_eq!(serde_json::to_string(&full).unwrap(), "[2026,11,23,1,2,3,456789]");
        for n in 3..=7 {
            let elements = [2026, 11, 23, 1, 2, 3, 4];
            assert!(Timestamp::from_elements(&elements[..n]).is_some(), "{n} elements");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in [
            "[2026,11]",
            "[2026,11,23,1,2,3,4,5]",
            "[2026,13,1]",
            "[2026,2,30]",
            "[2026,1,1,24,0,0]",
            "[2026,1,1,0,0,0,1000000]",
            "[0,1,1]",
            "[99999,1,1]",
            "[2026,1,-1]",
            "[2026,1,\"x\"]",
            "[2026,1,1.5]",
            "[[],{\"a\":[1]},3,4,5,6,7,8,9]",
            "\"2026-11-23\"",
            "1795393039.7",
            "{}",
        ] {
            assert!(matches!(read(bad), Field::Wrong), "{bad}");
        }
        assert!(matches!(read("null"), Field::Absent));
        assert!(matches!(read("[2026,1,1.0]"), Field::Got(_)));
    }
}
