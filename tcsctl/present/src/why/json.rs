//! The page as JSON: `tcsctl.why.v1`.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_fleet::Reason;

use super::{Answer, sections};
use crate::Times;
use crate::schema::VerdictWord;

/// The page.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "why",
    title = "What `tcsctl why --json` prints",
    description = "Why a service is as it is, from what its site keeps. Times are RFC 3339 in UTC, by the broker's \
        clock; durations are in seconds. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.why.v1")
)]
pub struct Document<'a> {
    #[schemars(extend("const" = "tcsctl.why.v1"))]
    schema: &'static str,
    /// The moment that is explained.
    at: DateTime<Utc>,
    id: &'a str,
    #[schemars(with = "VerdictWord")]
    verdict: &'static str,
    since: Option<DateTime<Utc>>,
    /// Why it is that verdict, as codes, the decisive one first.
    reasons: Vec<&'static str>,
    /// When the trouble began; null: none is known.
    onset: Option<DateTime<Utc>>,
    last_end: Option<End<'a>>,
    crashes: Crashes,
    /// The page, line by line.
    lines: Vec<Told>,
    /// What could not be read.
    problems: &'a [String],
}

/// How its last process ended, or why none was started.
#[derive(Debug, Serialize, JsonSchema)]
struct End<'a> {
    at: DateTime<Utc>,
    /// crashed, completed, terminated, `force_killed`, or why it was not started.
    reason: &'a str,
    exit_code: Option<i32>,
    signal: Option<&'a str>,
    core_dumped: Option<bool>,
    uptime_s: Option<f64>,
    requested_by: Option<&'a str>,
    /// Whether its host killed processes because memory ran out at that time; null: not known.
    host_out_of_memory: Option<bool>,
}

/// How often it crashed, and how long the runs lasted.
#[derive(Debug, Serialize, JsonSchema)]
struct Crashes {
    last_hour: usize,
    last_24_hours: usize,
    last_7_days: usize,
    /// There may have been more.
    at_least: bool,
    /// From one to the next, where that is regular.
    every_s: Option<f64>,
    shortest_run_s: Option<f64>,
    median_run_s: Option<f64>,
    longest_run_s: Option<f64>,
}

/// One line of the page.
#[derive(Debug, Serialize, JsonSchema)]
struct Told {
    #[schemars(extend("enum" = ["verdict", "last_end", "pattern", "before", "tried", "next"]))]
    section: &'static str,
    text: String,
    /// Of before: what the service has to do with it.
    #[schemars(extend("enum" = ["itself", "launcher", "after", "broker", "same_launcher", "same_host", "elsewhere", null]))]
    relation: Option<&'static str>,
    /// Of before: `cause` if it is known to be one, `possible` if it can have been, `coincidence` if
    /// it only happened at about the same time.
    #[schemars(extend("enum" = ["cause", "possible", "own", "coincidence", null]))]
    bearing: Option<&'static str>,
    /// Of next: what to type.
    command: Option<String>,
    source: Origin,
}

/// The source of a line.
#[derive(Debug, Serialize, JsonSchema)]
struct Origin {
    /// The kind of message; `picture`: what follows from all messages.
    #[schemars(extend("enum" = ["registry", "status", "heartbeat", "alarms", "rules", "picture", "tcsctl"]))]
    kind: &'static str,
    /// Whose message, or which rule; null: of many.
    id: Option<String>,
    /// When the event that it reports happened.
    at: Option<DateTime<Utc>>,
}

impl<'a> Document<'a> {
    /// Of one answer.
    pub fn new(answer: &'a Answer<'_>) -> Self {
        let seconds = |span: TimeDelta| span.num_milliseconds() as f64 / 1000.0;
        let (service, pattern) = (answer.service, &answer.pattern);
        let run = |i: usize| pattern.runs.map(|runs| seconds(runs[i]));
        Self {
            schema: "tcsctl.why.v1",
            at: answer.view.now,
            id: &service.id,
            verdict: service.verdict.as_str(),
            since: service.since,
            reasons: service.reasons.iter().map(Reason::code).collect(),
            onset: answer.onset.map(|onset| onset.at),
            last_end: answer.end.as_ref().map(|end| End {
                at: end.at,
                reason: &end.reason,
                exit_code: end.exit_code,
                signal: end.signal.as_deref(),
                core_dumped: end.core_dumped,
                uptime_s: end.uptime.map(seconds),
                requested_by: end.requested_by.as_deref(),
                host_out_of_memory: answer.out_of_memory,
            }),
            crashes: Crashes {
                last_hour: pattern.hour,
                last_24_hours: pattern.day,
                last_7_days: pattern.week,
                at_least: pattern.at_least,
                every_s: pattern.every.map(seconds),
                shortest_run_s: run(0),
                median_run_s: run(1),
                longest_run_s: run(2),
            },
            lines: told(answer),
            problems: answer.problems,
        }
    }
}

fn told(answer: &Answer<'_>) -> Vec<Told> {
    let line = |name| {
        move |fact: super::Fact| Told {
            section: name,
            text: fact.line.plain(),
            relation: fact.relation.map(tcs_fleet::why::Relation::as_str),
            bearing: fact.bearing.map(tcs_fleet::why::Bearing::as_str),
            command: fact.command,
            source: Origin { kind: fact.source.kind, id: fact.source.id, at: fact.source.at },
        }
    };
    let sections = sections(answer, Times::Utc).into_iter();
    sections.flat_map(|section| section.facts.into_iter().map(line(section.name))).collect()
}
