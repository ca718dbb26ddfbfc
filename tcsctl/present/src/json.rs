//! The picture for scripts: `tcsctl.fleet.v1`, described by `tcsctl/schema/fleet.v1.json`. A later
//! change only adds.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tcs_fleet::{FleetView, IntervalSource, LastEnd, ServiceView, Verdict};
use tcs_wire::control::CrashFigures;
use tcs_wire::{Component, Limit, Status};

use crate::selection::{Selection, launcher};

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document<'a, S> {
    schema: &'static str,
    /// The moment of the picture, by the broker's clock.
    taken_at: DateTime<Utc>,
    source: &'a S,
    counts: Counts,
    hosts: BTreeMap<&'a str, Host>,
    services: Services<'a>,
}

/// Made one by one as they are written: of a large fleet they would be many megabytes.
#[derive(Debug)]
struct Services<'a> {
    view: &'a FleetView,
    selection: &'a Selection,
}

impl Serialize for Services<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let services = &self.view.services;
        let rows = self.selection.rows.iter();
        serializer.collect_seq(rows.map(|row| Service::new(self.view, &services[row.service])))
    }
}

#[derive(Debug, Serialize)]
struct Counts {
    /// All that is known.
    known: usize,
    /// Those in `services`.
    shown: usize,
    /// Of those shown, by verdict; all verdicts are there.
    #[serde(flatten)]
    verdicts: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Serialize)]
struct Host {
    services: usize,
    skew_s: Option<f64>,
    silent: bool,
}

/// One service.
#[derive(Debug, Serialize)]
pub struct Service<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    variant: &'a str,
    verdict: &'static str,
    since: Option<DateTime<Utc>>,
    reasons: Vec<&'static str>,
    evidence: Vec<String>,
    headline: String,
    cause: Option<String>,
    phase: &'static str,
    liveness: &'static str,
    status: Option<Status>,
    own_status: Option<Status>,
    message: Option<&'a str>,
    parent: Option<&'a str>,
    launcher: Option<&'a str>,
    is_launcher: bool,
    managed: bool,
    declared: bool,
    declared_at: Option<DateTime<Utc>>,
    runner_id: Option<&'a str>,
    host: Option<&'a str>,
    pid: Option<u32>,
    last_pid: Option<u32>,
    started_at: Option<DateTime<Utc>>,
    uptime_s: Option<f64>,
    last_heartbeat_at: Option<DateTime<Utc>>,
    heartbeat_age_s: Option<f64>,
    heartbeat_interval_s: f64,
    heartbeat_interval_source: &'static str,
    last_heard_at: Option<DateTime<Utc>>,
    restarts: u32,
    restart_attempt: Option<u32>,
    restart_limit: Option<u32>,
    restart_policy: Option<&'a str>,
    restart_window_s: Option<f64>,
    last_end: Option<End>,
    worst_below: Option<&'static str>,
    children: Vec<&'a str>,
    components: Vec<Part<'a>>,
    metrics: Map<String, Value>,
}

/// How the last process of a service ended.
#[derive(Debug, Serialize)]
struct End {
    at: DateTime<Utc>,
    exit_code: Option<i32>,
    signal: Option<String>,
    reason: String,
    requested_by: Option<String>,
    core_dumped: Option<bool>,
    uptime_s: Option<f64>,
    last_lines: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<Box<CrashFigures>>,
}

impl From<LastEnd> for End {
    fn from(end: LastEnd) -> Self {
        let LastEnd { at, exit_code, signal, reason, requested_by, core_dumped, .. } = end;
        let uptime_s = end.uptime.map(to_seconds);
        let (last_lines, resources) = (end.last_lines, end.resources);
        Self {
            at,
            exit_code,
            signal,
            reason,
            requested_by,
            core_dumped,
            uptime_s,
            last_lines,
            resources,
        }
    }
}

/// A submonitor, as the service reports it.
#[derive(Debug, Serialize)]
struct Part<'a> {
    name: &'a str,
    status: Status,
    own_status: Option<Status>,
    at: Option<DateTime<Utc>>,
    message: Option<&'a str>,
    components: Vec<Part<'a>>,
    metrics: &'a Map<String, Value>,
}

impl<'a, S: Serialize> Document<'a, S> {
    /// Of what was selected from `view`, which says of itself what `source` holds.
    pub fn new(view: &'a FleetView, selection: &'a Selection, source: &'a S) -> Self {
        let counts = selection.counts(view);
        Self {
            schema: "tcsctl.fleet.v1",
            taken_at: view.now,
            source,
            counts: Counts {
                known: view.services.len(),
                shown: selection.rows.len(),
                verdicts: Verdict::ALL
                    .into_iter()
                    .map(|verdict| (verdict.as_str(), counts.of(verdict)))
                    .collect(),
            },
            hosts: view
                .hosts
                .iter()
                .map(|(name, host)| {
                    let host = Host {
                        services: host.services,
                        skew_s: host.skew.map(to_seconds),
                        silent: host.silent,
                    };
                    (&**name, host)
                })
                .collect(),
            services: Services { view, selection },
        }
    }
}

impl<'a> Service<'a> {
    /// One service of `view`.
    pub fn new(view: &'a FleetView, service: &'a ServiceView) -> Self {
        let status = service.record.status();
        let details = status.map(|kept| &kept.message.details);
        Self {
            id: &service.id,
            kind: service.service_type(),
            variant: service.variant(),
            verdict: service.verdict.as_str(),
            since: service.since,
            reasons: service.reasons.iter().map(tcs_fleet::Reason::code).collect(),
            evidence: service.reasons.iter().map(ToString::to_string).collect(),
            headline: service.headline(),
            cause: service.cause(),
            phase: service.phase.as_str(),
            liveness: service.liveness.as_str(),
            status: service.status,
            own_status: service.own_status,
            message: service.message.as_deref(),
            parent: service.parent.as_deref(),
            launcher: launcher(view, service),
            is_launcher: service.is_launcher,
            managed: service.managed,
            declared: service.declared,
            declared_at: view.declared_at(service),
            runner_id: service.runner_id(),
            host: service.host.as_deref(),
            pid: service.pid,
            last_pid: service.last_pid,
            started_at: service.started_at,
            uptime_s: service.uptime(view.now).map(to_seconds),
            last_heartbeat_at: service.last_heartbeat,
            heartbeat_age_s: service.heartbeat_age(view.now).map(to_seconds),
            heartbeat_interval_s: to_seconds(service.interval),
            heartbeat_interval_source: match service.interval_source {
                IntervalSource::Said => "said",
                IntervalSource::Learned => "learned",
                IntervalSource::Assumed => "assumed",
            },
            last_heard_at: service.last_heard,
            restarts: service.restarts,
            restart_attempt: service.attempt.map(|attempt| attempt.number),
            restart_limit: service.attempt.and_then(|attempt| match attempt.limit {
                Some(Limit::Times(limit)) => Some(limit),
                Some(Limit::Unlimited) | None => None,
            }),
            restart_policy: service.restart_policy.as_deref(),
            restart_window_s: service.record.declaration().and_then(|it| it.restart_window),
            last_end: view.last_end(service).map(End::from),
            worst_below: service.worst_below.map(Verdict::as_str),
            children: service.children.iter().map(|i| &*view.services[*i].id).collect(),
            components: details
                .map(|d| d.components.iter().map(Part::new).collect())
                .unwrap_or_default(),
            metrics: metrics(service),
        }
    }
}

impl<'a> Part<'a> {
    fn new(component: &'a Component) -> Self {
        Self {
            name: &component.name,
            status: component.status,
            own_status: component.details.own_status,
            at: component.timestamp.map(tcs_wire::Timestamp::time),
            message: component.message.as_deref(),
            components: component.details.components.iter().map(Part::new).collect(),
            metrics: &component.details.metrics,
        }
    }
}

/// Those of the newest status, and over them those of the newest heartbeat, which is younger.
pub(crate) fn metrics(service: &ServiceView) -> Map<String, Value> {
    let mut metrics = service
        .record
        .status()
        .map(|kept| kept.message.details.metrics.clone())
        .unwrap_or_default();
    if let Some(light) = service.record.last_beat().and_then(|beat| beat.metrics.as_deref()) {
        metrics.extend(light.clone());
    }
    metrics
}

fn to_seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1000.0
}
