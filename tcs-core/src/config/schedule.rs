//! `launch.schedule`: when a service runs that does its work and ends.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::problem::Place;
use super::value::Mapping;
use super::values::{As, CronFields, Every};

/// When a service is started, in place of with the launcher: either `cron` or `every`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Schedule {
    /// Minute, hour, day of month, month and day of week, as in crontab: `30 7 * * *`.
    #[serde(with = "As::<Option<CronFields>>")]
    pub cron: Option<String>,
    /// Time zone of `cron`: `Europe/Warsaw`; UTC by default.
    pub zone: Option<String>,
    /// From one start to the next: `30s`, `15m`, `6h`, `1d`, counted from 1970-01-01 00:00 UTC.
    #[serde(with = "As::<Option<Every>>")]
    pub every: Option<Duration>,
    /// When a run is due while the one before goes on.
    pub overlap: Overlap,
    /// One run in place of those that were missed, as soon as possible.
    pub catch_up: bool,
    /// Where it stands.
    #[serde(skip)]
    pub at: Option<Place>,
}

/// What becomes of a run that is due while the one before goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is left out, which is an event.
    #[default]
    Skip,
    /// One starts as soon as the run before has ended; more are left out.
    Queue,
}

/// Where the schedule stands in a `launch`.
pub(super) fn place(launch: &Mapping) -> Option<Place> {
    launch.get("schedule").map(|node| node.at)
}
