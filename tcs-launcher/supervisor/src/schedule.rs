//! When a scheduled service runs: [`Schedule::next`], a function of the wall clock alone.
//!
//! Cron times are those of a time zone, so clocks that are put forward and back matter. As in Vixie
//! cron, a fixed time (`30 2 * * *`) that does not exist in a night runs at the first time after the
//! gap, and one that exists twice runs the first time. Times with `*` in minute or hour follow the
//! clock on the wall: those in a gap do not come, those that exist twice run twice.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Serialize};

/// When a service runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Schedule {
    rule: Rule,
    /// A run that is due while the one before goes on is started after it, not left out.
    pub queues: bool,
    /// One run makes up for those that were missed.
    pub catches_up: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Cron(Box<CronRule>),
    /// Whole seconds, at least one.
    Every(TimeDelta),
}

#[derive(Debug, Clone, PartialEq)]
struct CronRule {
    cron: Cron,
    zone: Tz,
    text: String,
}

/// A schedule in the table for a program that takes over.
#[derive(Serialize, Deserialize)]
struct Written {
    cron: Option<(String, String)>,
    every: Option<Duration>,
    queues: bool,
    catches_up: bool,
}

impl From<Schedule> for Written {
    fn from(schedule: Schedule) -> Self {
        let (cron, every) = match schedule.rule {
            Rule::Cron(rule) => (Some((rule.text, rule.zone.name().to_owned())), None),
            Rule::Every(length) => (None, length.to_std().ok()),
        };
        Self { cron, every, queues: schedule.queues, catches_up: schedule.catches_up }
    }
}

impl TryFrom<Written> for Schedule {
    type Error = ScheduleError;

    fn try_from(written: Written) -> Result<Self, ScheduleError> {
        let Written { cron, every, queues, catches_up } = written;
        let schedule = match cron {
            Some((fields, zone)) => Self::cron(&fields, &zone),
            None => Self::every(every.unwrap_or_default()),
        };
        Ok(schedule?.with(queues, catches_up))
    }
}

/// Why something is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The five fields cannot be read.
    #[error("`{text}` is not a cron schedule: {why}")]
    Cron {
        /// As given.
        text: String,
        /// Which field, and what of it.
        why: String,
    },
    /// Well formed, and no such day comes.
    #[error("`{0}` never comes")]
    Never(String),
    /// Not in the time zone database.
    #[error("`{0}` is not a time zone")]
    Zone(String),
    /// Not whole seconds, shorter than one, or longer than clocks reach.
    #[error("a schedule cannot repeat every {0:?}: write whole seconds")]
    Every(Duration),
}

/// Hours that clocks may leave out.
const LONGEST_GAP: i64 = 48;

/// The first time that is tried for a schedule that may never come: a leap year is within reach.
const EPOCH: DateTime<Utc> = DateTime::UNIX_EPOCH;

impl Schedule {
    /// Five fields as in crontab, by the clocks of a time zone of the IANA database.
    pub fn cron(fields: &str, zone: &str) -> Result<Self, ScheduleError> {
        let text = fields.split_whitespace().collect::<Vec<_>>().join(" ");
        let zone: Tz = zone.parse().map_err(|_| ScheduleError::Zone(zone.to_owned()))?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
        let cron = parser
            .build()
            .parse(&text)
            .map_err(|error| ScheduleError::Cron { text: text.clone(), why: in_words(&error) })?;
        let rule = CronRule { cron, zone, text };
        // such a search goes through all years: once
        if rule.search(EPOCH).is_none() {
            return Err(ScheduleError::Never(rule.text));
        }
        Ok(Self { rule: Rule::Cron(Box::new(rule)), queues: false, catches_up: false })
    }

    /// At each multiple of a length of time since 1970-01-01 00:00 UTC, so that a restart of the
    /// launcher does not move it.
    pub fn every(length: Duration) -> Result<Self, ScheduleError> {
        let wrong = || ScheduleError::Every(length);
        let whole = TimeDelta::try_seconds(i64::try_from(length.as_secs()).map_err(|_| wrong())?);
        let is_whole = length.subsec_nanos() == 0;
        let whole = whole.filter(|it| is_whole && *it >= TimeDelta::seconds(1));
        let whole = whole.ok_or_else(wrong)?;
        Ok(Self { rule: Rule::Every(whole), queues: false, catches_up: false })
    }

    /// With what becomes of runs that are due while one goes on, and of missed ones.
    #[must_use]
    pub fn with(self, queues: bool, catches_up: bool) -> Self {
        Self { queues, catches_up, ..self }
    }

    /// The first time after `after`; `None`: there is none up to the year 5000.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.rule {
            Rule::Cron(rule) => {
                // where clocks leave out a day, as in Samoa in 2011, the search ends with an error
                let mut from = (0..=LONGEST_GAP).map(|hours| after + TimeDelta::hours(hours));
                from.find_map(|from| rule.search(from))
            }
            Rule::Every(length) => {
                let length = length.num_seconds();
                let next = (after.timestamp().div_euclid(length) + 1).checked_mul(length)?;
                DateTime::from_timestamp(next, 0)
            }
        }
    }
}

impl CronRule {
    fn search(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = after.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&local, false).ok()?;
        Some(next.with_timezone(&Utc))
    }
}

/// As a fragment, without what kind of error the library calls it.
fn in_words(error: &CronError) -> String {
    let text = match error {
        CronError::ComponentError(text)
        | CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

impl fmt::Display for Schedule {
    /// `30 7 * * * Europe/Warsaw`, `every 15m`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Cron(rule) => write!(f, "{} {}", rule.text, rule.zone),
            Rule::Every(length) => {
                let seconds = length.num_seconds();
                let units = [(86_400, "d"), (3600, "h"), (60, "m")];
                let whole = units.into_iter().find(|(unit, _)| seconds % unit == 0);
                let (unit, name) = whole.unwrap_or((1, "s"));
                write!(f, "every {}{name}", seconds / unit)
            }
        }
    }
}
