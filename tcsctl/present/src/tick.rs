//! A sign of life of `tcsctl serve`, with what the picture says of itself.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_fleet::{FleetView, Verdict};

use super::schema::VerdictCounts;
use super::selection::Wanted;

/// As JSON: `tcsctl.tick.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "tick",
    title = "What `tcsctl serve` sends every 5 s, as the event `tick`",
    description = "A sign of life. Times are RFC 3339 in UTC, by the broker's clock. A later version \
                   of v1 only adds fields.",
    extend("$id" = "tcsctl.tick.v1")
)]
pub struct Tick<'a> {
    #[schemars(extend("const" = "tcsctl.tick.v1"))]
    schema: &'static str,
    /// By the broker's clock.
    at: DateTime<Utc>,
    /// Whether the broker is connected.
    connected: bool,
    /// Whether everything that the site keeps was read.
    complete: bool,
    /// What is missing or doubtful, in words.
    problems: &'a [String],
    /// Stored time of the newest message of all.
    newest_message_at: Option<DateTime<Utc>>,
    /// How many services have each verdict.
    #[schemars(with = "VerdictCounts")]
    counts: BTreeMap<&'static str, usize>,
    /// The profiles that the running launchers are in: one, unless they differ.
    profiles: Vec<&'a str>,
    /// Why alarms cannot be read; null: they can, or there are none.
    alarms_problem: Option<&'a str>,
}

impl<'a> Tick<'a> {
    /// Of a picture; `connected`, `complete` and `problems` are what it says of itself.
    pub fn new(
        view: &'a FleetView,
        wanted: &Wanted,
        (connected, complete, problems): (bool, bool, &'a [String]),
        alarms_problem: Option<&'a str>,
    ) -> Self {
        let mut counts: BTreeMap<_, _> = Verdict::ALL.map(|it| (it.as_str(), 0)).into();
        for service in view.services.iter().filter(|service| wanted.includes(service)) {
            *counts.entry(service.verdict.as_str()).or_default() += 1;
        }
        let newest_message_at = view.newest;
        let (schema, at) = ("tcsctl.tick.v1", view.now);
        Self {
            schema,
            at,
            connected,
            complete,
            problems,
            newest_message_at,
            counts,
            profiles: view.profiles().into_iter().collect(),
            alarms_problem,
        }
    }
}
