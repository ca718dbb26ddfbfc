//! The figures of `tcsctl alarms stats`, as lines and as JSON.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_alarms::Stats;
use tcs_fleet::format_duration;

use super::{Line, Look, Role, text};

/// As lines: how often, which, what stays open, floods.
pub fn stats(stats: &Stats, look: &Look) -> Vec<Line> {
    let lasted = stats.until - stats.since;
    let plain = |text: &str| Line::new().with(Role::Text, text);
    let title = |text: &str| Line::new().with(Role::Title, text);
    let busiest = stats.busiest.map_or_else(String::new, |(hour, count)| {
        let from = look.times.short(hour, stats.until);
        format!(", {count} in the busiest hour (from {from}{})", look.times.zone())
    });
    let first = format!(
        "{} in {}: {:.2} an hour{busiest}",
        text::count(stats.raises, "raise"),
        format_duration(lasted),
        rate(stats),
    );
    let mut lines = vec![plain(&first)];
    if !stats.top.is_empty() {
        lines.push(title("raised most often"));
    }
    for (alarm, count) in &stats.top {
        lines.push(plain(&format!("  {count:>4}  {}", text::shown(&alarm.to_string()))));
    }
    if !stats.stale.is_empty() {
        lines.push(title("open for more than 24 h"));
    }
    for (alarm, since) in &stats.stale {
        let lasted = format_duration((stats.until - *since).max(TimeDelta::zero()));
        lines.push(plain(&format!("  {}  for {lasted}", text::shown(&alarm.to_string()))));
    }
    let floods: Vec<String> =
        stats.floods.iter().map(|at| look.times.point(*at, stats.until)).collect();
    match floods.len() {
        0 => lines.push(plain("no floods")),
        n => lines.push(plain(&format!("floods: {n} ({})", floods.join(", ")))),
    }
    lines
}

/// Raises per hour.
fn rate(stats: &Stats) -> f64 {
    let hours = (stats.until - stats.since).num_seconds().max(1) as f64 / 3600.0;
    stats.raises as f64 / hours
}

/// As JSON: `tcsctl.alarms-stats.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "alarms-stats",
    title = "What `tcsctl alarms stats --json` prints",
    description = "How often alarms were raised, from the messages that the stream still holds. Times are RFC 3339 in \
        UTC, by the broker's clock. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.alarms-stats.v1")
)]
pub struct Document<'a> {
    #[schemars(extend("const" = "tcsctl.alarms-stats.v1"))]
    schema: &'static str,
    /// Servers.
    source: &'a str,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    /// Raises of all alarms.
    raises: usize,
    raises_per_hour: f64,
    /// The hour with most raises.
    busiest_hour: Option<Hour>,
    /// The alarms that were raised most often, ten at most.
    top: Vec<Count>,
    /// Alarms that have been open for more than 24 h, oldest first.
    stale: Vec<Stale>,
    /// When floods began that people were notified of.
    floods: &'a [DateTime<Utc>],
}

#[derive(Debug, Serialize, JsonSchema)]
struct Hour {
    /// Its beginning.
    from: DateTime<Utc>,
    raises: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Count {
    /// `<rule>/<service id>`
    id: String,
    raises: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Stale {
    /// `<rule>/<service id>`
    id: String,
    /// When its episode began.
    since: DateTime<Utc>,
}

impl<'a> Document<'a> {
    /// `source`: where it was read.
    pub fn new(stats: &'a Stats, source: &'a str) -> Self {
        let top =
            stats.top.iter().map(|(id, raises)| Count { id: id.to_string(), raises: *raises });
        let stale =
            stats.stale.iter().map(|(id, since)| Stale { id: id.to_string(), since: *since });
        Self {
            schema: "tcsctl.alarms-stats.v1",
            source,
            since: stats.since,
            until: stats.until,
            raises: stats.raises,
            raises_per_hour: rate(stats),
            busiest_hour: stats.busiest.map(|(from, raises)| Hour { from, raises }),
            top: top.collect(),
            stale: stale.collect(),
            floods: &stats.floods,
        }
    }
}
